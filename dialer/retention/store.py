"""SQL of deleting what is over, a small batch at a time.

A batch is the oldest rows by their key: it takes the same time whether anything is due or not, and locks no
row that somebody works with.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Column, ColumnElement, CursorResult, Table, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import tables as t

#: One server does it at a time ("dozr" in ASCII).
RETENTION_LOCK = 0x646F7A72

_MINE = text("SELECT pg_try_advisory_xact_lock(:key)")
_DROP_AUDIT = text("SELECT drop_audit(:keep, :batch)")


async def mine(conn: AsyncConnection) -> bool:
    """Whether no other server deletes now; until the end of the transaction."""
    return bool(await conn.scalar(_MINE, {"key": RETENTION_LOCK}))


async def drop_commands(conn: AsyncConnection, tenant_id: int, before: datetime, batch: int) -> int:
    """Commands, done or not: one is refused when it has waited for seconds."""
    return await _drop(conn, t.command, t.command.c.created_at, tenant_id, before, batch)


async def drop_pacing(conn: AsyncConnection, tenant_id: int, before: datetime, batch: int) -> int:
    """Decisions of pacing."""
    return await _drop(conn, t.pacing_tick, t.pacing_tick.c.at, tenant_id, before, batch)


async def drop_agent_time(conn: AsyncConnection, tenant_id: int, before: datetime, batch: int) -> int:
    """Time of agents in a state that has ended."""
    over = (t.agent_time.c.ended_at.is_not(None),)
    return await _drop(conn, t.agent_time, t.agent_time.c.started_at, tenant_id, before, batch, over)


async def drop_recordings(conn: AsyncConnection, tenant_id: int, before: datetime, batch: int) -> int:
    """Mark recordings that nobody holds: their files go first, then the rows. What is still written stays."""
    r = t.recording.c
    over = (
        select(r.id)
        .where(r.tenant_id == tenant_id, r.started_at < before, r.held_at.is_(None))
        .where(r.status.in_(("whole", "lost")))
        .order_by(r.started_at, r.id)
        .limit(batch)
    )
    done: CursorResult[object] = await conn.execute(
        update(t.recording)
        .where(r.tenant_id == tenant_id, r.id.in_(over.scalar_subquery()), r.held_at.is_(None))
        .values(status="erasing")
    )
    return done.rowcount


async def drop_audit(conn: AsyncConnection, days: int, batch: int) -> int:
    """Changes of the tenant that the transaction names. Only the owner may delete them: its function does,
    and keeps them for five years whatever is asked."""
    return int(await conn.scalar(_DROP_AUDIT, {"keep": timedelta(days=days), "batch": batch}) or 0)


async def _drop(
    conn: AsyncConnection,
    table: Table,
    at: Column[object],
    tenant_id: int,
    before: datetime,
    batch: int,
    more: Sequence[ColumnElement[bool]] = (),
) -> int:
    oldest = select(table.c.id).where(table.c.tenant_id == tenant_id).order_by(table.c.id).limit(batch)
    done: CursorResult[object] = await conn.execute(
        delete(table).where(
            table.c.tenant_id == tenant_id, table.c.id.in_(oldest.scalar_subquery()), at < before, *more
        )
    )
    return done.rowcount
