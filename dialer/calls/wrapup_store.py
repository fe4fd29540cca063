"""The SQL of wrap-ups whose limit has passed, of attempts and of inbound calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared


@dataclass(frozen=True, slots=True)
class WrapUps:
    """The wrap-ups that an engine times itself, by a clock that nobody sets; others go by their rows."""

    #: the limit has not passed yet
    running: Sequence[UUID] = ()
    over: Sequence[UUID] = ()


#: The limit of a call `a` of campaign `c`, seconds, by the table of its direction.
_LIMIT = {
    "attempt": "c.wrap_up_limit_s",
    "inbound_call": """
        coalesce((SELECT q.wrap_up_s FROM queue q WHERE q.tenant_id = a.tenant_id AND q.name = a.queue),
                 c.wrap_up_limit_s)
    """,
}


def _is_over(table: str) -> str:
    """Whether that limit has passed."""
    return f"""
    (a.id = ANY (CAST(:over AS uuid[]))
     OR (coalesce(a.let_go_at, a.hung_up_at) + make_interval(secs => {_LIMIT[table]})
           <= CAST(:now AS timestamptz)
         AND NOT a.id = ANY (CAST(:running AS uuid[]))))
    """


def _end_overdue(table: str) -> Prepared:
    return Prepared(
        f"""
    UPDATE {table} a SET state = 'ended', ended_at = greatest(CAST(:now AS timestamptz), a.hung_up_at)
      FROM campaign c
     WHERE a.tenant_id = :tenant_id AND a.ended_at IS NULL AND a.state = 'wrap_up'
       AND a.campaign_id = ANY (CAST(:campaigns AS bigint[]))
       AND c.tenant_id = a.tenant_id AND c.id = a.campaign_id
       AND {_is_over(table)}
    """  # noqa: S608 constants
    )


def _over_wrap_up(table: str) -> Prepared:
    return Prepared(
        f"""
    SELECT s.attempt_id, s.id
      FROM agent_session s
      JOIN {table} a ON a.tenant_id = s.tenant_id AND a.id = s.attempt_id
      JOIN campaign c ON c.tenant_id = a.tenant_id AND c.id = a.campaign_id
     WHERE s.tenant_id = :tenant_id AND s.logged_out_at IS NULL AND s.state = 'wrap_up'
       AND a.campaign_id = ANY (CAST(:campaigns AS bigint[]))
       AND {_is_over(table)}
    """  # noqa: S608 constants
    )


#: Public for the test that asks the database how it goes about it.
END_OVERDUE = _end_overdue("attempt")
_END_OVERDUE_INBOUND = _end_overdue("inbound_call")
_OVER_WRAP_UP = (_over_wrap_up("attempt"), _over_wrap_up("inbound_call"))


def _about(tenant_id: int, campaign_ids: Collection[int], now: datetime, timed: WrapUps) -> Mapping[str, Any]:
    return {
        "tenant_id": tenant_id,
        "campaigns": sorted(campaign_ids),
        "now": now,
        "running": timed.running,
        "over": timed.over,
    }


async def end_overdue(
    conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int], now: datetime, timed: WrapUps
) -> None:
    """End the calls of these campaigns whose wrap-up limit has passed.

    Their disposition is still owed by the agent, who gets no call before it is saved.
    """
    for ending in (END_OVERDUE, _END_OVERDUE_INBOUND):
        await ending.run(conn, **_about(tenant_id, campaign_ids, now, timed))


async def shifts_over(
    conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int], now: datetime, timed: WrapUps
) -> list[tuple[UUID, UUID]]:
    """The shifts that are still wrapping up a talk of these campaigns whose limit has passed: (call, shift).

    The call may have ended long ago: an agent whose phone was lost wraps up after its return.
    """
    about = _about(tenant_id, campaign_ids, now, timed)
    rows = [row for query in _OVER_WRAP_UP for row in await query.rows(conn, **about)]
    return [(row.attempt_id, row.id) for row in rows]
