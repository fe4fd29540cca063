"""The SQL of metrics: what the database says at the moment of the scrape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import tables as t

#: Campaigns that matter to somebody who watches.
ALIVE = ("running", "paused")


#: (id, title, mode, status)
Campaign = tuple[int, str, str, str]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the engine last said of itself."""

    started_at: datetime
    #: Seconds since it spoke, by the database's clock.
    silent_s: float
    #: As `dialer.engine` writes it.
    said: Mapping[str, Any]


async def engine_status(conn: AsyncConnection) -> EngineStatus | None:
    """None: no engine has ever run on this database."""
    seen = func.extract("epoch", func.clock_timestamp() - t.process_status.c.seen_at)
    row = (
        await conn.execute(
            select(t.process_status.c.started_at, seen.label("silent_s"), t.process_status.c.status)
            .where(t.process_status.c.name == "engine")
            .order_by(t.process_status.c.seen_at.desc())
            .limit(1)  # of several servers, the one that spoke last
        )
    ).one_or_none()
    return EngineStatus(row.started_at, float(row.silent_s), row.status) if row else None


async def campaigns(conn: AsyncConnection, tenant_id: int) -> list[Campaign]:
    """Those that run or are paused."""
    c = t.campaign.c
    rows = await conn.execute(
        select(c.id, c.name, c.mode, c.status).where(c.tenant_id == tenant_id, c.status.in_(ALIVE))
    )
    return [(row.id, row.name, row.mode, row.status) for row in rows]


async def open_calls(conn: AsyncConnection, tenant_id: int) -> dict[tuple[int, str], int]:
    """Calls that have not ended, by campaign and state."""
    c = t.attempt.c
    rows = await conn.execute(
        select(c.campaign_id, c.state, func.count().label("many"))
        .where(c.tenant_id == tenant_id, c.ended_at.is_(None))
        .group_by(c.campaign_id, c.state)
    )
    return {(row.campaign_id, row.state): row.many for row in rows}


async def attempts_since(
    conn: AsyncConnection, tenant_id: int, since: datetime
) -> dict[tuple[int, str], int]:
    """Attempts made since then that have a result, by campaign and result: by the index, campaign by
    campaign, however long the history before is."""
    c = t.attempt.c
    rows = await conn.execute(
        select(c.campaign_id, c.result, func.count().label("many"))
        .where(
            c.tenant_id == tenant_id,
            c.campaign_id.in_(select(t.campaign.c.id).where(t.campaign.c.tenant_id == tenant_id)),
            c.created_at >= since,
            c.result.is_not(None),
        )
        .group_by(c.campaign_id, c.result)
    )
    return {(row.campaign_id, row.result): row.many for row in rows}


async def agents(conn: AsyncConnection, tenant_id: int) -> dict[str, int]:
    """Open shifts by state."""
    c = t.agent_session.c
    rows = await conn.execute(
        select(c.state, func.count().label("many"))
        .where(c.tenant_id == tenant_id, c.logged_out_at.is_(None))
        .group_by(c.state)
    )
    return {row.state: row.many for row in rows}


async def leads_left(conn: AsyncConnection, tenant_id: int) -> dict[int, int]:
    """Leads of living campaigns that wait to be dialled, by campaign."""
    c = t.lead.c
    alive = select(t.campaign.c.id).where(t.campaign.c.tenant_id == tenant_id, t.campaign.c.status.in_(ALIVE))
    rows = await conn.execute(
        select(c.campaign_id, func.count().label("many"))
        .where(c.tenant_id == tenant_id, c.campaign_id.in_(alive), c.status.in_(("new", "waiting")))
        .group_by(c.campaign_id)
    )
    return {row.campaign_id: row.many for row in rows}


async def trunks(conn: AsyncConnection, tenant_id: int, today: date) -> list[tuple[int, int, bool, float]]:
    """Trunks that were used: (id, calls on the line, bad, money of today)."""
    c = t.trunk_load.c
    spent = case((c.spend_day >= today, c.spent), else_=0).label("spent")
    rows = await conn.execute(select(c.trunk_id, c.channels, c.health, spent).where(c.tenant_id == tenant_id))
    return [(row.trunk_id, row.channels, row.health == "bad", float(row.spent)) for row in rows]


async def imports(conn: AsyncConnection, tenant_id: int) -> dict[str, int]:
    """Imports under way, by status."""
    c = t.import_job.c
    rows = await conn.execute(
        select(c.status, func.count().label("many"))
        .where(c.tenant_id == tenant_id, c.status.in_(("queued", "running")))
        .group_by(c.status)
    )
    return {row.status: row.many for row in rows}


async def waiting(conn: AsyncConnection, tenant_id: int) -> tuple[int, int]:
    """(commands that are not done, events that have no number)."""
    commands = select(func.count()).where(t.command.c.tenant_id == tenant_id, t.command.c.done_at.is_(None))
    events = select(func.count()).where(t.event.c.tenant_id == tenant_id, t.event.c.seq.is_(None))
    row = (await conn.execute(select(commands.scalar_subquery(), events.scalar_subquery()))).one()
    return row[0], row[1]
