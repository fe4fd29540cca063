"""The SQL of stays: who waited in which queue, from when to when, and how it ended.

A stay begins in a transaction of who lets the caller in, and ends in one of two: in that of whoever takes the
caller out of the queue by a rule (`leave`), or in the journal's, which writes what became of the call
(`settle`). The first of them holds. The row of the call is locked by both beginnings and ends, so no stay
begins in a call that has ended, and none is left open by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.queues.model import End

_BEGIN = Prepared(
    """
    WITH came AS (
        SELECT tenant_id, id FROM inbound_call
         WHERE tenant_id = :tenant_id AND id = :call_id AND hung_up_at IS NULL FOR NO KEY UPDATE),
    dialled AS (
        SELECT tenant_id, id FROM attempt
         WHERE tenant_id = :tenant_id AND id = :call_id AND hung_up_at IS NULL FOR NO KEY UPDATE)
    INSERT INTO queue_stay (tenant_id, call_id, attempt_id, n, queue_id, queue, priority, since,
                            entered_at, left_at, ended)
    SELECT c.tenant_id, c.id, c.attempt_id,
           1 + (SELECT count(*) FROM queue_stay s WHERE s.tenant_id = c.tenant_id AND s.call_id = c.id),
           (SELECT q.id FROM queue q WHERE q.tenant_id = c.tenant_id AND q.id = CAST(:queue_id AS bigint)),
           CAST(:queue AS text), CAST(:priority AS smallint), CAST(:since AS timestamptz),
           CAST(:at AS timestamptz),
           CASE WHEN CAST(:ended AS text) IS NOT NULL THEN CAST(:at AS timestamptz) END, CAST(:ended AS text)
      FROM (SELECT tenant_id, id, CAST(NULL AS uuid) AS attempt_id FROM came
             UNION ALL
            SELECT tenant_id, id, id FROM dialled) c
    """
)
_END = Prepared(
    """
    UPDATE queue_stay s SET left_at = greatest(s.entered_at, n.at), ended = n.ended, agent_id = n.agent_id
      FROM unnest(CAST(:calls AS uuid[]), CAST(:ats AS timestamptz[]), CAST(:ends AS text[]),
                  CAST(:agents AS bigint[])) AS n (call_id, at, ended, agent_id)
     WHERE s.tenant_id = :tenant_id AND s.call_id = n.call_id AND s.left_at IS NULL
    """
)
_WAITING = Prepared(
    """
    SELECT count(*) FROM queue_stay
     WHERE tenant_id = :tenant_id AND queue_id = :queue_id AND left_at IS NULL
    """
)
#: On the line, or with a place that is kept and does not rest.
_AHEAD = Prepared(
    """
    SELECT count(*) FROM (
        SELECT call_id, priority, since FROM queue_stay
         WHERE tenant_id = :tenant_id AND queue_id = :queue_id AND left_at IS NULL
         UNION ALL
        SELECT call_id, priority, since FROM kept_place
         WHERE tenant_id = :tenant_id AND queue_id = :queue_id AND ended_at IS NULL AND stage = 'kept'
           AND (not_before IS NULL OR not_before <= now())) w
     WHERE call_id <> :call_id
       AND (priority > :priority OR (priority = :priority AND since < CAST(:since AS timestamptz)))
    """
)
_OFFERED = Prepared(
    """
    UPDATE queue_stay SET callback_offered = true
     WHERE tenant_id = :tenant_id AND call_id = :call_id AND left_at IS NULL
    """
)
_ONE_BY_ONE = Prepared("SELECT pg_advisory_xact_lock(hashtextextended('queue entry', :tenant_id))")


@dataclass(frozen=True, slots=True)
class Over:
    """The end of a caller's wait."""

    call_id: UUID
    at: datetime
    ended: End
    #: who has answered
    agent_id: int | None = None


async def enter(
    conn: AsyncConnection,
    tenant_id: int,
    call_id: UUID,
    *,
    queue_id: int | None,
    queue: str,
    priority: int,
    at: datetime,
    since: datetime | None = None,
    refused: End | None = None,
) -> bool:
    """The caller waits in this queue from now on, or was `refused`; False: they have hung up.

    `since`: when the wait began, if that was in another queue.
    """
    begun = await _BEGIN.run(
        conn,
        tenant_id=tenant_id,
        call_id=call_id,
        queue_id=queue_id,
        queue=queue,
        priority=priority,
        at=at,
        since=since or at,
        ended=refused,
    )
    return begun == 1


async def settle(conn: AsyncConnection, tenant_id: int, over: Sequence[Over]) -> None:
    """End the stays of these calls; one that has ended otherwise stays so."""
    await _END.run(
        conn,
        tenant_id=tenant_id,
        calls=[each.call_id for each in over],
        ats=[each.at for each in over],
        ends=[each.ended for each in over],
        agents=[each.agent_id for each in over],
    )


async def waiting(conn: AsyncConnection, tenant_id: int, queue_id: int) -> int:
    """How many wait in the queue. Until the transaction ends nobody else asks: of two who come at once the
    second counts the first. One lock for all queues of the tenant: who overflows asks for several."""
    await _ONE_BY_ONE.row(conn, tenant_id=tenant_id)
    return int(await _WAITING.value(conn, tenant_id=tenant_id, queue_id=queue_id))


async def offered(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> None:
    """The caller was told that they can be called back in turn."""
    await _OFFERED.run(conn, tenant_id=tenant_id, call_id=call_id)


async def ahead(
    conn: AsyncConnection, tenant_id: int, queue_id: int, call_id: UUID, priority: int, since: datetime
) -> int:
    """How many in the queue come before this caller, those with a kept place among them."""
    about = {"queue_id": queue_id, "call_id": call_id, "priority": priority, "since": since}
    return int(await _AHEAD.value(conn, tenant_id=tenant_id, **about))
