"""What queues did, by queue and interval: counted in the database, by the rules of `service_level`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db import tenants
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import Invalid
from dialer.httpkit.access import Actor, Right
from dialer.queues.service_level import Counts, Interval, Target, containment, entered, interval_start

#: The longest time that is told at once.
MOST = timedelta(days=92)
_USUAL: Final = Target()

#: By quarters of an hour in UTC: each interval in each zone is made of whole ones. A wait that the server
#: ended (`lost`) counts as one that led elsewhere: the caller has entered, and nobody answered.
COUNTS = Prepared(
    """
    SELECT x.queue, x.quarter, count(*) AS offered,
           count(*) FILTER (WHERE x.ended = 'answered') AS answered,
           count(*) FILTER (WHERE x.ended = 'answered' AND x.wait_s <= x.target_s) AS answered_within,
           count(*) FILTER (WHERE x.ended = 'abandoned') AS abandoned,
           count(*) FILTER (WHERE x.ended = 'abandoned' AND x.wait_s <= x.target_s) AS abandoned_within,
           count(*) FILTER (WHERE x.ended = 'abandoned' AND x.wait_s < x.short_s) AS short_abandoned,
           count(*) FILTER (WHERE x.ended NOT IN ('answered', 'abandoned', 'voicemail', 'callback'))
               AS overflowed,
           count(*) FILTER (WHERE x.ended = 'voicemail') AS voicemails,
           count(*) FILTER (WHERE x.ended = 'callback') AS callbacks,
           count(*) FILTER (WHERE x.ended IS NULL) AS waiting,
           count(*) FILTER (WHERE x.ended IS NULL AND x.wait_s <= x.target_s) AS undecided,
           count(*) FILTER (WHERE x.callback_offered) AS callbacks_offered,
           coalesce(sum(x.wait_s) FILTER (WHERE x.ended = 'answered'), 0) AS answer_wait_s,
           max(x.wait_s) AS longest_wait_s
      FROM (
          SELECT coalesce(q.name, s.queue) AS queue, s.ended, s.callback_offered,
                 date_bin('15 minutes', s.entered_at, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS quarter,
                 -- not extract: that reckons in numeric, which was a third of all
                 greatest(0.0, date_part('epoch', coalesce(s.left_at, :now) - s.entered_at)) AS wait_s,
                 coalesce(q.target_s, CAST(:target_s AS double precision)) AS target_s,
                 coalesce(q.short_abandon_s, CAST(:short_s AS double precision)) AS short_s
            FROM queue_stay s
            LEFT JOIN queue q ON q.tenant_id = s.tenant_id AND q.id = s.queue_id
           WHERE s.tenant_id = :tenant_id AND s.entered_at >= :since AND s.entered_at < :until
      ) x
     GROUP BY x.queue, x.quarter
    """
)
_PLACES = Prepared(
    """
    SELECT coalesce(q.name, p.queue) AS queue,
           date_bin('15 minutes', p.kept_at, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS quarter,
           count(*) AS kept, count(*) FILTER (WHERE p.stage = 'back') AS reached
      FROM kept_place p
      LEFT JOIN queue q ON q.tenant_id = p.tenant_id AND q.id = p.queue_id
     WHERE p.tenant_id = :tenant_id AND p.kept_at >= :since AND p.kept_at < :until
     GROUP BY 1, 2
    """
)
#: The calls are counted before their flows are named: a quarter of an hour has many calls of a flow.
RESULTS = Prepared(
    """
    SELECT f.name AS flow, c.result, c.reason, c.quarter, c.many
      FROM (
          SELECT flow_id, result, reason,
                 date_bin('15 minutes', created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS quarter,
                 count(*) AS many
            FROM inbound_call
           WHERE tenant_id = :tenant_id AND created_at >= :since AND created_at < :until
             AND result IS NOT NULL
           GROUP BY flow_id, result, reason, quarter
      ) c
      JOIN flow f ON f.tenant_id = :tenant_id AND f.id = c.flow_id
    """
)


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue in an interval."""

    queue: str
    #: when the interval began
    start: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A flow in an interval: the calls that came to it then and are over."""

    flow: str
    #: when the interval began
    start: datetime
    #: by result
    results: Mapping[str, int]

    @property
    def entered(self) -> int:
        """Calls of which containment is a share."""
        return entered(self.results)

    @property
    def contained(self) -> int:
        """Served by the flow to the end."""
        return self.results.get("contained", 0)

    @property
    def containment(self) -> float | None:
        """The share of callers whom the flow served to the end."""
        return containment(self.results)


@dataclass(frozen=True, slots=True)
class QueueReport:
    """What queues did in a span of time."""

    since: datetime
    until: datetime
    #: by queue, then by time; intervals in which nobody came are not there
    rows: Sequence[QueueRow]
    #: by queue, of all intervals
    queues: Mapping[str, Counts]
    total: Counts
    #: by interval, of all queues
    intervals: Mapping[datetime, Counts]
    #: calls that came in and are over, by result; whether or not they came into a queue
    results: Mapping[str, int]
    #: and by the reason that was said, the most frequent first
    reasons: Mapping[str, int]
    #: by flow, then by time; intervals in which no call came are not there
    flows: Sequence[FlowRow]

    @property
    def containment(self) -> float | None:
        """The share of callers whom the flow served to the end."""
        return containment(self.results)


class QueueFigures:
    """Figures of a tenant's queues."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(
        self,
        actor: Actor,
        interval: Interval,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        queue: str | None = None,
    ) -> QueueReport:
        """What the queues did (or the one of this name) with those who came in this time; without `since`
        today by the clock of the tenant's place. Raises Invalid."""
        actor.require(Right.REPORTS_READ)
        now = utc_now()
        until = until or now
        async with self._database.tenant(actor.tenant_id) as conn:
            zone = ZoneInfo(await tenants.timezone(conn, actor.tenant_id))
            since = since or datetime.combine(until.astimezone(zone).date(), time(), zone)
            if not since <= until <= since + MOST:
                raise Invalid(field="from", reason="must be before the end, and 92 days at most")
            found = await count_stays(conn, actor.tenant_id, since, until, now, interval, zone)
            span: dict[str, Any] = {"tenant_id": actor.tenant_id, "since": since, "until": until}
            calls = await RESULTS.rows(conn, **span)
        rows = [
            QueueRow(name, start, counts)
            for (name, start), counts in sorted(found.items())
            if queue is None or name == queue
        ]
        return QueueReport(
            since,
            until,
            rows,
            _summed((row.queue, row.counts) for row in rows),
            sum((row.counts for row in rows), Counts()),
            dict(sorted(_summed((row.start, row.counts) for row in rows).items())),
            _tally((row.result, row.many) for row in calls),
            _tally((row.reason, row.many) for row in calls if row.reason),
            _flow_rows(calls, interval, zone),
        )


async def count_stays(
    conn: AsyncConnection,
    tenant_id: int,
    since: datetime,
    until: datetime,
    now: datetime,
    interval: Interval,
    zone: ZoneInfo,
) -> dict[tuple[str, datetime], Counts]:
    """Counts by queue's name and beginning of the interval; as `service_level.by_interval` counts them."""
    rows = await COUNTS.rows(
        conn,
        tenant_id=tenant_id,
        since=since,
        until=until,
        now=now,
        target_s=_USUAL.target_s,
        short_s=_USUAL.short_abandon_s,
    )
    places = await _PLACES.rows(conn, tenant_id=tenant_id, since=since, until=until)
    found = [(row.queue, row.quarter, _counts(row)) for row in rows]
    found += [
        (row.queue, row.quarter, Counts(places_kept=row.kept, places_reached=row.reached)) for row in places
    ]
    start = _starts(interval, zone)
    return _summed(((queue, start(quarter)), counts) for queue, quarter, counts in found)


def _starts(interval: Interval, zone: ZoneInfo) -> Callable[[datetime], datetime]:
    """`interval_start` of quarters of an hour, reckoned once each: many rows are of one."""
    return cache(lambda quarter: interval_start(quarter, interval, zone))


def _counts(row: Any) -> Counts:
    """The columns of COUNTS, each by its name."""
    told: dict[str, Any] = {name: value for name, value in row.items() if name not in ("queue", "quarter")}
    for name, value in told.items():
        told[name] = float(value) if name.endswith("_s") else int(value)
    return Counts(**told)


def _flow_rows(calls: Sequence[Any], interval: Interval, zone: ZoneInfo) -> list[FlowRow]:
    found: dict[tuple[str, datetime], list[tuple[str, int]]] = {}
    start = _starts(interval, zone)
    for flow, result, _, quarter, many in calls:
        found.setdefault((flow, start(quarter)), []).append((result, many))
    return [FlowRow(flow, start, _tally(pairs)) for (flow, start), pairs in sorted(found.items())]


def _summed(pairs: Any) -> dict[Any, Counts]:
    found: dict[Any, Counts] = {}
    for key, counts in pairs:
        found[key] = found[key] + counts if key in found else counts
    return found


def _tally(pairs: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, many in pairs:
        found[key] = found.get(key, 0) + many
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))
