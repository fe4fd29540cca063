"""The SQL of what is shown live: calls on the lines, the last pacing decision, what a screen needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.tables import (
    CALL_STATES,
    attempt,
    campaign,
    lead,
    pacing_tick,
    process_status,
)
from dialer.reports.present import Pace, WaitingCallers, Whose


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """What a process of the server last said of itself."""

    name: str
    started_at: datetime
    seen_at: datetime
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ManualCampaign:
    """A campaign in which an agent types the numbers."""

    id: int
    name: str


async def calls_by_state(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> dict[str, int]:
    """Calls of the campaign that have not ended, by state; every state is there."""
    rows = await conn.execute(
        select(attempt.c.state, func.count().label("calls"))
        .where(
            attempt.c.tenant_id == tenant_id,
            attempt.c.campaign_id == campaign_id,
            attempt.c.ended_at.is_(None),
        )
        .group_by(attempt.c.state)
    )
    counts = {row.state: row.calls for row in rows}
    return {state: counts.get(state, 0) for state in CALL_STATES if state != "ended"}


_WAITING = Prepared(
    """
    SELECT coalesce(q.name, w.queue) AS queue, count(*) FILTER (WHERE NOT w.kept) AS many,
           min(w.entered_at) AS since, count(*) FILTER (WHERE w.kept) AS kept
      FROM (SELECT queue_id, queue, entered_at, false AS kept FROM queue_stay
             WHERE tenant_id = :tenant_id AND left_at IS NULL
             UNION ALL
            SELECT queue_id, queue, NULL, true FROM kept_place
             WHERE tenant_id = :tenant_id AND ended_at IS NULL) w
      LEFT JOIN queue q ON q.tenant_id = :tenant_id AND q.id = w.queue_id
     GROUP BY 1 ORDER BY 1
    """
)


async def waiting_callers(conn: AsyncConnection, tenant_id: int) -> list[WaitingCallers]:
    """Who waits now, by queue; queues in which nobody waits are not there."""
    return [WaitingCallers(*row) for row in await _WAITING.rows(conn, tenant_id=tenant_id)]


#: Whose call an agent has, of those that were dialled and those that have come in. Who is asked about a
#: customer has that call, too, and has put nobody on hold.
_WHOSE = Prepared(
    """
    SELECT s.id AS session_id, c.id, c.name, i.queue,
           CASE WHEN s.id = coalesce(a.session_id, i.session_id) AND s.state = 'talking'
                THEN coalesce(a.held_at, i.held_at) END AS held_at
      FROM agent_session s
      LEFT JOIN attempt a ON a.tenant_id = s.tenant_id AND a.id = s.attempt_id
      LEFT JOIN inbound_call i ON i.tenant_id = s.tenant_id AND i.id = s.attempt_id
      JOIN campaign c ON c.tenant_id = s.tenant_id AND c.id = coalesce(a.campaign_id, i.campaign_id)
     WHERE s.tenant_id = :tenant_id AND s.logged_out_at IS NULL AND s.attempt_id IS NOT NULL
    """
)


async def whose(conn: AsyncConnection, tenant_id: int) -> dict[UUID, Whose]:
    """By shift: the call that the agent has, and whether its customer is on hold."""
    return {
        row.session_id: Whose(row.id, row.name, row.queue, row.held_at)
        for row in await _WHOSE.rows(conn, tenant_id=tenant_id)
    }


async def last_pace(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> Pace | None:
    """The latest decision that differed from the one before it."""
    found = await conn.execute(
        select(pacing_tick.c.at, pacing_tick.c.dial, pacing_tick.c.why, pacing_tick.c.inputs)
        .where(pacing_tick.c.tenant_id == tenant_id, pacing_tick.c.campaign_id == campaign_id)
        .order_by(pacing_tick.c.at.desc(), pacing_tick.c.id.desc())
        .limit(1)
    )
    row = found.one_or_none()
    return Pace(row.at, row.dial, row.why, row.inputs) if row else None


async def processes(conn: AsyncConnection) -> list[ProcessRow]:
    """Every process that has ever said something, of all servers; who spoke last comes last."""
    p = process_status.c
    rows = await conn.execute(select(p.name, p.started_at, p.seen_at, p.status).order_by(p.seen_at))
    return [ProcessRow(*row) for row in rows]


async def write_nothing(conn: AsyncConnection) -> None:
    """Write as a process does that says it lives, and change nothing. Raises what such a write would."""
    p = process_status.c
    async with conn.begin_nested() as undone:
        await conn.execute(update(process_status).values(status=p.status))
        await undone.rollback()


async def manual_campaigns(
    conn: AsyncConnection, tenant_id: int, skills: frozenset[str]
) -> list[ManualCampaign]:
    """Running manual campaigns that an agent with these skills may call for."""
    rows = await conn.execute(
        select(campaign.c.id, campaign.c.name)
        .where(
            campaign.c.tenant_id == tenant_id,
            campaign.c.status == "running",
            campaign.c.mode == "manual",
            or_(campaign.c.skill.is_(None), campaign.c.skill.in_(skills)),
        )
        .order_by(campaign.c.name)
    )
    return [ManualCampaign(row.id, row.name) for row in rows]


async def wrap_up_limit_s(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> int:
    """How long an agent of the campaign may work after a talk, seconds."""
    found: int = (
        await conn.execute(
            select(campaign.c.wrap_up_limit_s).where(
                campaign.c.tenant_id == tenant_id, campaign.c.id == campaign_id
            )
        )
    ).scalar_one()
    return found


async def zones_of_lead(conn: AsyncConnection, tenant_id: int, lead_id: int) -> list[str]:
    """Every zone in which the lead's phone may be."""
    found = await conn.scalar(
        select(lead.c.timezones).where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id)
    )
    return list(found or [])


_ZONES_OF_CALLER = Prepared(
    """
    SELECT p.timezones FROM inbound_call i
      JOIN contact_phone p ON p.tenant_id = i.tenant_id AND p.contact_id = i.contact_id AND p.e164 = i.e164
     WHERE i.tenant_id = :tenant_id AND i.id = :call_id
    """
)


async def zones_of_caller(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> list[str]:
    """Every zone in which the phone may be that has called; none: it is withheld, or nobody's."""
    return list(await _ZONES_OF_CALLER.value(conn, tenant_id=tenant_id, call_id=call_id) or [])
