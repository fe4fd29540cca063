"""Calls that put a caller through over a trunk: each has a row before it is dialled, holds a line from there
to its end, and costs what the trunk's tariff says.

The line is given back with the end that the dialplan tells, else with the end of the caller's own call: so
the count is right after any crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.tables import forward
from dialer.trunks import loads
from dialer.trunks.model import Choice

_C = forward.c
#: Asked at the end of every call that came in.
_END = Prepared(
    """
    UPDATE forward SET ended_at = :at
     WHERE tenant_id = :tenant_id AND call_id = ANY (CAST(:call_ids AS uuid[])) AND ended_at IS NULL
    RETURNING id, answered_at
    """
)


@dataclass(frozen=True, slots=True)
class NewForward:
    """A call that is about to be dialled for a caller."""

    id: UUID
    #: whose caller it is for: the inbound call
    call_id: UUID
    e164: str


async def begin(
    conn: AsyncConnection, tenant_id: int, new: NewForward, choice: Choice, today: date, at: datetime
) -> None:
    """Write the row whose line was taken in this transaction."""
    rate = choice.rate
    await conn.execute(
        insert(forward).values(
            tenant_id=tenant_id,
            id=new.id,
            call_id=new.call_id,
            e164=new.e164,
            trunk_id=choice.trunk.id,
            holds_line=True,
            probe=choice.probe,
            rate_per_minute=rate.per_minute if rate else None,
            rate_per_call=rate.per_call if rate else None,
            reserved=choice.reserve,
            reserved_on=today,
            created_at=at,
        )
    )


async def answered(conn: AsyncConnection, tenant_id: int, call_id: UUID, at: datetime) -> None:
    """Somebody has picked up: the call is paid from here."""
    await conn.execute(
        update(forward)
        .where(_C.tenant_id == tenant_id, _C.call_id == call_id, _C.ended_at.is_(None))
        .values(answered_at=at)
    )


async def end(conn: AsyncConnection, tenant_id: int, call_ids: Sequence[UUID], at: datetime) -> None:
    """All that was dialled for these callers is over: the lines are free, and booked."""
    rows = await _END.rows(conn, tenant_id=tenant_id, call_ids=list(call_ids), at=at)
    ended = [
        loads.Ended(row.id, max(0.0, (at - row.answered_at).total_seconds()) if row.answered_at else None)
        for row in rows
    ]
    if ended:
        await loads.give_back(conn, tenant_id, ended, of=loads.FORWARDS)
