"""The API of queues' figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, Self

from aiohttp import web
from pydantic import Field

from dialer.contacts.csvfile import safe_cell
from dialer.errors import Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Moment, Out
from dialer.queues.figures import QueueFigures, QueueReport
from dialer.queues.service_level import FORMULAE, Counts, Interval, Variant, service_level

QUEUE_FIGURES = web.AppKey("queue_figures", QueueFigures)
routes = Routes("queue_figures")

#: As they are asked for.
INTERVALS: Final[Mapping[str, Interval]] = MappingProxyType(
    {"15": Interval.QUARTER, "30": Interval.HALF_HOUR, "60": Interval.HOUR, "day": Interval.DAY}
)
#: What stands in a line of the CSV file after queue and time.
COLUMNS: Final = (
    "offered", "answered", "answered_within", "abandoned", "short_abandoned", "overflowed", "voicemails",
    "callbacks", "callbacks_offered", "places_kept", "places_reached", "waiting", "service_level", "asa_s",
    "longest_wait_s", "abandon_share",
)  # fmt: skip


class QueueFiguresQuery(In):
    """Which figures."""

    interval: Literal["15", "30", "60", "day"] = Field(
        "30", description="minutes, or a day, by the clock of the tenant's place"
    )
    from_: Moment | None = Field(None, alias="from", description="who came then or later; null: today")
    until: Moment | None = Field(None, description="who came before; null: now")
    queue: str | None = Field(None, min_length=1, max_length=100, description="only the one of this name")


class CountsOut(Out):
    """What came to a queue, and what became of it."""

    offered: int
    answered: int
    answered_within: int = Field(description="within the queue's time")
    abandoned: int
    abandoned_within: int
    short_abandoned: int = Field(description="of the abandoned, who hardly waited")
    overflowed: int = Field(description="led elsewhere: another queue, back to the flow, or lost by us")
    voicemails: int
    callbacks: int
    callbacks_offered: int = Field(description="who were told that they can be called back in turn")
    places_kept: int = Field(description="who hung up and kept their place, by the time at which they did")
    places_reached: int = Field(description="of them, who met an agent when they were called")
    waiting: int
    asa_s: float | None = Field(description="average speed of answer; null: nobody was answered")
    longest_wait_s: float
    abandon_share: float | None
    service_level: float | None = Field(description="A/E, 0 to 1; null: nobody entered")
    service_levels: dict[Variant, float | None] = Field(description="by every published formula")

    @classmethod
    def of(cls, counts: Counts, **more: Any) -> Self:
        """The reply of counts."""
        computed = {
            "service_level": service_level(counts),
            "service_levels": {one: service_level(counts, one) for one in Variant},
            **more,
        }
        plain = {name: getattr(counts, name) for name in cls.model_fields if name not in computed}
        return cls.model_validate(plain | computed)


class QueueCountsOut(CountsOut):
    """One queue."""

    queue: str


class QueueIntervalOut(QueueCountsOut):
    """One queue in one interval."""

    start: datetime = Field(description="when the interval began")


class FlowIntervalOut(Out):
    """One flow in one interval: the calls that came in then and are over."""

    flow: str
    start: datetime = Field(description="when the interval began")
    entered: int = Field(description="but for those that failed on our side, or of which nothing is known")
    contained: int = Field(description="served by the flow to the end, without an agent")
    containment: float | None = Field(description="0 to 1: contained of all that entered")


class QueueFiguresOut(Out):
    """What queues did in a span of time."""

    since: datetime
    until: datetime
    total: CountsOut
    queues: list[QueueCountsOut]
    rows: list[QueueIntervalOut] = Field(description="an interval in which nobody came has none")
    results: dict[str, int] = Field(description="calls that came in and are over, in a queue or not")
    reasons: dict[str, int] = Field(description="of these, by the reason that was said")
    containment: float | None = Field(description="0 to 1: served by the flow to the end, of all")
    flows: list[FlowIntervalOut] = Field(description="an interval in which no call came has none")
    formulas: dict[Variant, str]

    @classmethod
    def of(cls, report: QueueReport) -> Self:
        """The reply of a report."""
        return cls(
            since=report.since,
            until=report.until,
            total=CountsOut.of(report.total),
            queues=[QueueCountsOut.of(counts, queue=name) for name, counts in report.queues.items()],
            rows=[QueueIntervalOut.of(row.counts, queue=row.queue, start=row.start) for row in report.rows],
            results=dict(report.results),
            reasons=dict(report.reasons),
            containment=report.containment,
            flows=[FlowIntervalOut.model_validate(row) for row in report.flows],
            formulas={variant: formula.text for variant, formula in FORMULAE.items()},
        )


async def _report(call: Call, query: QueueFiguresQuery) -> QueueReport:
    return await call.app[QUEUE_FIGURES].report(
        call.actor,
        INTERVALS[query.interval],
        since=query.from_,
        until=query.until,
        queue=query.queue,
    )


@routes.get("/figures/queues", right=Right.REPORTS_READ, errors=(Invalid,))
async def figures(call: Call, query: QueueFiguresQuery) -> QueueFiguresOut:
    """Offered, answered, abandoned, service level, waits: by queue and interval; and IVR containment."""
    return QueueFiguresOut.of(await _report(call, query))


@routes.get("/figures/queues.csv", right=Right.REPORTS_READ, raw="text/csv", errors=(Invalid,))
async def file(call: Call, query: QueueFiguresQuery) -> web.StreamResponse:
    """The same by queue and interval as CSV."""
    return web.Response(
        body=b"\xef\xbb\xbf" + _lines(await _report(call, query)).encode(),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="queues.csv"',
            "Cache-Control": "no-store",
        },
    )


def _lines(report: QueueReport) -> str:
    out = io.StringIO()
    lines = csv.writer(out)
    lines.writerow(("queue", "start", *COLUMNS))
    for row in report.rows:
        said = CountsOut.of(row.counts)
        values = (getattr(said, name) for name in COLUMNS)
        cells = ("" if value is None else str(round(value, 4)) for value in values)
        lines.writerow((safe_cell(row.queue), row.start.isoformat(), *cells))
    return out.getvalue()
