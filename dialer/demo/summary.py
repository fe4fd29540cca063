"""The figures of the demo's campaign: those of the reports, and what the carrier's log says against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import Call
from dialer.calls.store import call_of
from dialer.compliance.model import POLICIES
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.demo.redials import Attempt, redials
from dialer.demo.setup import TENANT
from dialer.httpkit.access import Actor
from dialer.reports.service import FigureService
from scheduler import retry
from scheduler.retry import Retries


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a list has been dialled."""

    leads: int
    #: of them: they have an attempt that was not taken back before the phone rang
    dialled: int


async def progress(conn: AsyncConnection, campaign_id: int) -> Progress:
    """How far the campaign's list has been dialled. A lead's own count of attempts does not tell: one that
    the carrier failed, or that pacing took back, is not in it."""
    leads = await conn.scalar(
        select(func.count()).select_from(t.lead).where(t.lead.c.campaign_id == campaign_id)
    )
    a = t.attempt.c
    dialled = await conn.scalar(
        select(func.count(a.lead_id.distinct())).where(
            a.campaign_id == campaign_id, (a.result.is_distinct_from("canceled")) | a.ringing_at.is_not(None)
        )
    )
    return Progress(leads or 0, dialled or 0)


async def figures(database: Database, campaign_id: int) -> dict[str, Any]:
    """What reports say of the campaign, and the limit that its abandoned calls are held to."""
    report = await FigureService(database).campaign_figures(Actor.server(TENANT), campaign_id)
    async with database.tenant(TENANT) as conn:
        c = t.campaign.c
        row = (await conn.execute(select(c.policy, c.abandon_target).where(c.id == campaign_id))).one()
    total, counts, policy = report.total, report.total.counts, POLICIES[row.policy]

    def spread(value: Any) -> dict[str, float] | None:
        return {"p50": value.p50, "p95": value.p95, "max": value.max} if value else None

    return {
        "attempts": counts.attempts,
        "by_result": dict(counts.by_result),
        "answered": counts.answered,
        "answered_live": counts.answered_live,
        "connected": counts.connected,
        "abandoned": total.abandoned,
        "connect_rate": total.connect_rate,
        "reach_rate": total.reach_rate,
        "abandon_rate": total.abandon_rate,
        "abandon_limit": min(policy.abandon_cap, row.abandon_target or policy.abandon_cap),
        "occupancy": total.occupancy,
        "join_ms": spread(counts.join_ms),
        "answer_to_agent_ms": spread(counts.answer_to_agent_ms),
    }


async def summary(
    database: Database, campaign_id: int, began: Mapping[str, Sequence[datetime | None]]
) -> dict[str, Any]:
    """The same, and what became of every call; `began`: by the carrier's log."""
    found = await figures(database, campaign_id)
    async with database.tenant(TENANT) as conn:
        a = t.attempt.c
        unfinished = await conn.scalar(
            select(func.count())
            .select_from(t.attempt)
            .where(a.campaign_id == campaign_id, a.ended_at.is_(None))
        )
        attempts, rule = await _attempts(conn, campaign_id), await _rule(conn, campaign_id)
        dispositions = await _dispositions(conn, campaign_id)
    said = redials(began, attempts, rule)
    return {
        **found,
        "double_dials": said.too_many,
        "retries": dict(said.retries),
        "unfinished_attempts": unfinished,
        "dispositions": dispositions,
    }


async def _attempts(conn: AsyncConnection, campaign_id: int) -> list[Attempt]:
    a, d = t.attempt.c, t.disposition.c
    rows = await conn.execute(
        select(t.attempt, d.kind, d.code)
        .outerjoin(t.disposition, (d.tenant_id == a.tenant_id) & (d.id == a.disposition_id))
        .where(a.campaign_id == campaign_id)
    )
    return [Attempt(row.e164, _call(row), row.kind, row.code or "") for row in rows]


def _call(row: Any) -> Call:
    policy = POLICIES[row.policy.split("/")[0]]
    return call_of(
        row,
        TENANT,
        screens=False,  # nobody asks
        abandon_after_s=policy.abandon_after_s,
        hung_up_at=row.hung_up_at,
        ended_at=row.ended_at,
        cause=row.cause,
        sip_code=row.sip_code,
    )


async def _rule(conn: AsyncConnection, campaign_id: int) -> Retries:
    c = t.campaign.c
    row = await conn.execute(select(c.max_attempts, c.retries).where(c.id == campaign_id))
    kept = row.one()
    return retry.retries_of(kept.retries, kept.max_attempts)


async def _dispositions(conn: AsyncConnection, campaign_id: int) -> Mapping[str, int]:
    a, d = t.attempt.c, t.disposition.c
    said = await conn.execute(
        select(d.code, func.count().label("many"))
        .join(t.attempt, (a.tenant_id == d.tenant_id) & (a.disposition_id == d.id))
        .where(a.campaign_id == campaign_id)
        .group_by(d.code)
        .order_by(d.code)
    )
    return {row.code: row.many for row in said}
