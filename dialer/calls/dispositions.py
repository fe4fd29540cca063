"""What a talk came to: the SQL of saving a disposition.

The attempt's row is the lock. Who saves and the engine that sees the hang-up both change it, one after the
other: the second of them finds what the first has done and ends the attempt (see `store.save_all`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import CallState
from dialer.db.tables import agent, attempt, campaign, disposition, lead


@dataclass(frozen=True, slots=True)
class Choice:
    """A disposition that an agent can choose."""

    id: int
    code: str
    label_ru: str
    label_en: str
    #: one of DISPOSITION_KINDS
    kind: str


@dataclass(frozen=True, slots=True)
class Talk:
    """An attempt as saving its disposition needs it, locked."""

    id: UUID
    campaign_id: int
    lead_id: int | None
    state: CallState
    created_at: datetime
    connected_at: datetime | None
    hung_up_at: datetime | None
    session_id: UUID | None
    agent_id: int | None
    #: the user that the agent is
    user_id: int | None
    disposition_id: int | None


async def lock_talk(conn: AsyncConnection, tenant_id: int, attempt_id: UUID) -> Talk | None:
    """The attempt, kept from everybody else until the transaction ends."""
    a = attempt.c
    found = await conn.execute(
        select(
            a.id,
            a.campaign_id,
            a.lead_id,
            a.state,
            a.created_at,
            a.connected_at,
            a.hung_up_at,
            a.session_id,
            a.agent_id,
            agent.c.user_id,
            a.disposition_id,
        )
        .outerjoin_from(attempt, agent, (agent.c.tenant_id == a.tenant_id) & (agent.c.id == a.agent_id))
        .where(a.tenant_id == tenant_id, a.id == attempt_id)
        .with_for_update(of=attempt)
    )
    row = found.mappings().one_or_none()
    return Talk(**{**row, "state": CallState(row["state"])}) if row else None


async def choices(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[Choice]:
    """What talks of a campaign may come to, in the order agents see it."""
    d = disposition.c
    rows = await conn.execute(
        select(d.id, d.code, d.label_ru, d.label_en, d.kind)
        .where(d.tenant_id == tenant_id, d.campaign_id == campaign_id)
        .order_by(d.position, d.id)
    )
    return [Choice(*row) for row in rows]


async def write(
    conn: AsyncConnection,
    talk: Talk,
    tenant_id: int,
    *,
    disposition_id: int,
    note: str,
    by: int | None,
    at: datetime,
) -> bool:
    """Write the disposition; in wrap-up that ends the attempt. Whether it has ended."""
    values: Mapping[str, Any] = {
        "disposition_id": disposition_id,
        "disposition_note": note or None,
        "disposed_at": at,
        "disposed_by": by,
    }
    if talk.state is CallState.WRAP_UP:
        values = {**values, "state": CallState.ENDED, "ended_at": at}
    await conn.execute(
        update(attempt).where(attempt.c.tenant_id == tenant_id, attempt.c.id == talk.id).values(values)
    )
    return talk.state in (CallState.WRAP_UP, CallState.ENDED)


async def tries(conn: AsyncConnection, tenant_id: int, lead_id: int) -> tuple[int, int]:
    """(attempts made at a lead, the most that its campaign makes); the lead is locked."""
    found = await conn.execute(
        select(lead.c.attempts, campaign.c.max_attempts)
        .join_from(
            lead,
            campaign,
            (campaign.c.tenant_id == lead.c.tenant_id) & (campaign.c.id == lead.c.campaign_id),
        )
        .where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id)
        .with_for_update(of=lead)
    )
    row = found.one()
    return row.attempts, row.max_attempts
