"""What must be true of a site some time after a fault: every agent free for calls, no attempt open."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents.model import AgentState
from dialer.bench.site import TENANT, Mark, NotInTime, Site, patience
from dialer.bench.site_parts import until
from dialer.db import tables as t
from dialer.errors import DatabaseUnavailable

#: A talk that has lived through the fault, and its paperwork, are over by then, seconds at rest.
FREE_S = 15.0


async def talked(conn: AsyncConnection, since: datetime) -> int:
    """How many agents have had a talk that began at `since` or later."""
    query = select(func.count(t.attempt.c.agent_id.distinct())).where(t.attempt.c.connected_at >= since)
    return await conn.scalar(query) or 0


async def held(conn: AsyncConnection, since: datetime) -> list[str]:
    """Agents of an open shift who are neither ready nor have had a talk since, with what they are in.

    A state of work is not enough: whoever stays in a talk that died with its call is at work for ever.
    """
    s, a = t.agent_session.c, t.attempt.c
    new_talk = select(a.id).where(
        a.tenant_id == s.tenant_id, a.agent_id == s.agent_id, a.connected_at >= since
    )
    query = (
        select(s.agent_id, s.state, s.attempt_id)
        .where(s.logged_out_at.is_(None), s.state != AgentState.READY, ~new_talk.exists())
        .order_by(s.agent_id)
    )
    return [
        f"agent {row.agent_id} is {row.state} with attempt {row.attempt_id}"
        for row in await conn.execute(query)
    ]


async def open_attempts(conn: AsyncConnection, since: datetime, to: datetime) -> list[UUID]:
    """The attempts that were made from `since` until before `to` and have no end."""
    a = t.attempt.c
    query = select(a.id).where(a.created_at >= since, a.created_at < to, a.ended_at.is_(None))
    return list(await conn.scalars(query.order_by(a.created_at)))


async def not_free(site: Site, since: Mark, within_s: float = FREE_S) -> str:
    """Wait until every agent was ready, or in a new talk, after `since`; what is wrong, in words, or nothing.

    `within_s` is at rest.
    """
    last: list[str] = []

    async def free() -> bool:
        try:
            async with site.database.tenant(TENANT) as conn:
                last[:] = await held(conn, since.at)
        except DatabaseUnavailable as error:
            last[:] = [str(error)]
        return not last

    try:
        await until("every agent is free", free, patience(within_s))
    except NotInTime as error:
        return f"{error} {'; '.join(last[:3])}"
    return ""
