"""The SQL of queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.tables import queue
from dialer.queues.model import Announce, Overflow, Queue, Rule


def from_row(row: Mapping[str, Any]) -> Queue:
    """The value of a row that has the columns of `queue`."""
    return Queue(
        id=row["id"],
        name=row["name"],
        skill=row["skill"],
        least_level=row["least_level"],
        relax_every_s=row["relax_every_s"],
        lowest_level=row["lowest_level"],
        rule=Rule(row["rule"]),
        priority=row["priority"],
        last_agent_s=row["last_agent_s"],
        max_wait_s=row["max_wait_s"],
        max_waiting=row["max_waiting"],
        needs_agents=row["needs_agents"],
        overflow=Overflow(row["overflow"]),
        overflow_queue_id=row["overflow_queue_id"],
        announce=Announce(
            first_after_s=row["announce_first_s"],
            every_s=row["announce_every_s"],
            position=row["announce_position"],
            wait=row["announce_wait"],
            most_position=row["announce_most_position"],
            offer_callback_after_s=row["offer_callback_s"],
            offer_callback_wait_s=row["offer_callback_wait_s"],
            offer_callback_key=row["offer_callback_key"],
        ),
        short_abandon_s=row["short_abandon_s"],
        target_share=row["target_share"],
        target_s=row["target_s"],
        music=row["music"],
        wrap_up_s=row["wrap_up_s"],
        survey=row["survey"],
        callback_tries=row["callback_tries"],
        callback_again_s=row["callback_again_s"],
    )


async def queues(conn: AsyncConnection, tenant_id: int) -> dict[int, Queue]:
    """All queues of the tenant by id: what the rules go by."""
    return {row["id"]: from_row(row) for row in await all_fields(conn, tenant_id)}


_ALL = Prepared(select(queue).where(queue.c.tenant_id == bindparam("tenant_id")).order_by(queue.c.name))


async def all_fields(conn: AsyncConnection, tenant_id: int) -> list[dict[str, Any]]:
    """Every column of all queues, by name."""
    return [dict(row) for row in await _ALL.rows(conn, tenant_id=tenant_id)]


async def fields(
    conn: AsyncConnection, tenant_id: int, queue_id: int, *, lock: bool = False
) -> dict[str, Any] | None:
    """Every column of one queue."""
    query = select(queue).where(queue.c.tenant_id == tenant_id, queue.c.id == queue_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return dict(row) if row else None


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """Write a new queue; its id."""
    made = await conn.execute(insert(queue).values(tenant_id=tenant_id, **values).returning(queue.c.id))
    return int(made.scalar_one())


async def change(conn: AsyncConnection, tenant_id: int, queue_id: int, values: Mapping[str, Any]) -> None:
    """Write changed columns."""
    mine = (queue.c.tenant_id == tenant_id) & (queue.c.id == queue_id)
    await conn.execute(update(queue).where(mine).values(**values))


async def remove(conn: AsyncConnection, tenant_id: int, queue_id: int) -> None:
    """Remove a queue into which no other overflows (else IntegrityError)."""
    await conn.execute(delete(queue).where(queue.c.tenant_id == tenant_id, queue.c.id == queue_id))
