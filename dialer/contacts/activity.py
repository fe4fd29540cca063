"""What people's calls came to: counted from their attempts, so that segments need not count them each time.

The jobs process follows the events: each call that has ended, and each disposition, names an attempt, and
all of its contact's attempts are counted anew. Events come in an order in which none is missed (see
`dialer.db.events`); `activity_state` keeps how far they were followed, in the transaction of what they led
to. Who was away for longer than events are kept counts everybody anew. Attempts are the truth: what is told
twice is counted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events
from dialer.db import tables as t

#: Events that are looked at in one transaction.
BATCH = 2000

#: Attempts outlive a person who is gone from the base.
_COUNTED = """
    INSERT INTO contact_activity (
        tenant_id, contact_id, attempts, talks, last_attempt_at, last_talk_at, last_result, last_code,
        last_kind
    )
    SELECT a.tenant_id, a.contact_id, count(*), count(a.connected_at), max(a.created_at), max(a.connected_at),
           (array_agg(a.result ORDER BY a.created_at DESC, a.id DESC))[1],
           (array_agg(d.code ORDER BY a.created_at DESC, a.id DESC) FILTER (WHERE d.id IS NOT NULL))[1],
           (array_agg(d.kind ORDER BY a.created_at DESC, a.id DESC) FILTER (WHERE d.id IS NOT NULL))[1]
      FROM attempt a
      JOIN contact c ON c.tenant_id = a.tenant_id AND c.id = a.contact_id
      LEFT JOIN disposition d ON d.tenant_id = a.tenant_id AND d.id = a.disposition_id
     WHERE a.tenant_id = :tenant_id AND a.contact_id IS NOT NULL AND a.result IS NOT NULL {which}
     GROUP BY a.tenant_id, a.contact_id
"""
_ALL = text(_COUNTED.format(which=""))
_SOME = text(_COUNTED.format(which="AND a.contact_id = ANY(CAST(:contact_ids AS bigint[]))"))


async def recount(conn: AsyncConnection, tenant_id: int, contact_ids: Sequence[int]) -> None:
    """Count these contacts' attempts anew: also for who has given attempts to another contact."""
    ids = sorted(set(contact_ids))
    # Whoever has a contact's row counts after us and sees what we have written; rows in order: no deadlock.
    c = t.contact.c
    mine = select(c.id).where(c.tenant_id == tenant_id, c.id.in_(ids)).order_by(c.id)
    await conn.execute(mine.with_for_update(key_share=True))
    a = t.contact_activity.c
    await conn.execute(delete(t.contact_activity).where(a.tenant_id == tenant_id, a.contact_id.in_(ids)))
    await conn.execute(_SOME, {"tenant_id": tenant_id, "contact_ids": ids})


async def rebuild(conn: AsyncConnection, tenant_id: int) -> None:
    """Count everybody's attempts."""
    await conn.execute(delete(t.contact_activity).where(t.contact_activity.c.tenant_id == tenant_id))
    await conn.execute(_ALL, {"tenant_id": tenant_id})


async def follow(conn: AsyncConnection, tenant_id: int) -> bool:
    """Take the next events in; whether there may be more."""
    state = t.activity_state.c
    await conn.execute(insert(t.activity_state).values(tenant_id=tenant_id, seq=-1).on_conflict_do_nothing())
    seen = await conn.scalar(
        select(state.seq).where(state.tenant_id == tenant_id).with_for_update(skip_locked=True)
    )
    if seen is None:
        return False  # another server's process is at it
    span = await events.span(conn)
    if seen < 0 or seen < span.oldest - 1:
        # What is committed after the span was read comes with its events.
        await rebuild(conn, tenant_id)
        await _seen(conn, tenant_id, span.newest)
        return True
    rows = await events.read_after(conn, seen, BATCH)
    ended = {
        UUID(str(row.payload["attempt_id"]))
        for row in rows
        if row.kind == "call.disposed" or (row.kind == "call.state" and row.payload.get("state") == "ended")
    }
    if ended:
        a = t.attempt.c
        found = await conn.scalars(
            select(a.contact_id).where(a.tenant_id == tenant_id, a.id.in_(ended), a.contact_id.is_not(None))
        )
        await recount(conn, tenant_id, [one for one in found if one is not None])
    more = len(rows) == BATCH
    # Without more of ours all that was numbered when we began is behind us.
    upto = rows[-1].seq if more else max(span.newest, rows[-1].seq if rows else 0)
    if upto > seen:
        await _seen(conn, tenant_id, upto)
    return more


async def _seen(conn: AsyncConnection, tenant_id: int, seq: int) -> None:
    state = t.activity_state
    await conn.execute(update(state).where(state.c.tenant_id == tenant_id).values(seq=seq))
