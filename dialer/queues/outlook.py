"""What stands between a waiting caller and an agent, from live data: the SQL for `waits`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift, Takes
from dialer.db.prepared import Prepared
from dialer.queues.model import Need, Queue, could_take
from dialer.queues.waits import SPANS_S, Outlook, Seen

#: How long it is remembered what the agents did, seconds: the shortest stretch is a quarter of an hour.
REMEMBERED_S = 10.0
#: A talk that began so long before a stretch is over, seconds: older rows are not looked at.
LONGEST_TALK_S = 2 * 3600
#: States of agents who will be free.
_BUSY = (AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)
_SPANS = ", ".join(
    f"""
       count(*) FILTER (WHERE a.state = 'talking' AND a.ended_at > m.now - interval '{span_s} s')
           AS talks_{span_s},
       coalesce(sum(extract(epoch FROM coalesce(a.ended_at, m.now)
                                       - greatest(a.started_at, m.now - interval '{span_s} s')))
                FILTER (WHERE coalesce(a.ended_at, m.now) > m.now - interval '{span_s} s'), 0)::float8
           AS busy_{span_s}"""
    for span_s in SPANS_S
)
_SEEN = Prepared(
    f"""
    SELECT a.agent_id, {_SPANS}
      FROM agent_time a, (SELECT CAST(:now AS timestamptz) AS now) m
     WHERE a.tenant_id = :tenant_id AND a.state IN ('talking', 'wrap_up')
       AND a.started_at > CAST(:since AS timestamptz) AND a.started_at <= m.now
     GROUP BY a.agent_id
    """  # noqa: S608 numbers of ours
)


def serves(shift: Shift, needs: Iterable[Need], queue: Queue) -> bool:
    """Whether the agent may be given callers who ask for these."""
    return shift.takes is not Takes.OUTBOUND and could_take(shift.levels, needs, queue)


async def at_work(
    conn: AsyncConnection, tenant_id: int, needs: Sequence[Need], queue: Queue, *, node: str | None = None
) -> int:
    """Agents who take calls now, or after the present one, and could serve the queue: those of one node, whom
    a caller on the line there can have, or all, one of whom would call."""
    return sum(
        (shift.state is AgentState.READY or shift.state in _BUSY)
        and serves(shift, needs, queue)
        and node in (None, shift.node)
        for shift in await agents.open_shifts(conn, tenant_id)
    )


@dataclass(slots=True)
class Outlooks:
    """What is seen of the agents of each tenant, kept for some seconds."""

    #: by tenant: when it was read (monotonic seconds); by agent what each did over the stretches
    _seen: dict[int, tuple[float, Mapping[int, Sequence[Seen]]]] = field(default_factory=dict)

    async def of(
        self,
        conn: AsyncConnection,
        tenant_id: int,
        needs: Sequence[Need],
        queue: Queue,
        before: int,
        now: datetime,
    ) -> Outlook:
        """Of a caller with so many `before` them."""
        shifts = [each for each in await agents.open_shifts(conn, tenant_id) if serves(each, needs, queue)]
        known = await self._known(conn, tenant_id, now)
        theirs = [known[each.agent_id] for each in shifts if each.agent_id in known]
        return Outlook(
            before=before,
            free=sum(each.state is AgentState.READY for each in shifts),
            busy=sum(each.state in _BUSY for each in shifts),
            seen=[
                Seen(sum(one[n].talks for one in theirs), sum(one[n].busy_s for one in theirs))
                for n in range(len(SPANS_S))
            ],
        )

    async def _known(
        self, conn: AsyncConnection, tenant_id: int, now: datetime
    ) -> Mapping[int, Sequence[Seen]]:
        read_s, known = self._seen.get(tenant_id, (0.0, {}))
        if not read_s or time.monotonic() - read_s > REMEMBERED_S:
            since = now - timedelta(seconds=SPANS_S[-1] + LONGEST_TALK_S)
            rows = await _SEEN.rows(conn, tenant_id=tenant_id, now=now, since=since)
            known = {
                row.agent_id: [Seen(row[f"talks_{span_s}"], row[f"busy_{span_s}"]) for span_s in SPANS_S]
                for row in rows
            }
            self._seen[tenant_id] = time.monotonic(), known
        return known
