"""What queues did, by interval: a table, a drawing, and the same as a file."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.errors import Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.queues.figures import QueueReport
from dialer.queues.figures_http import INTERVALS, QUEUE_FIGURES
from dialer.queues.service_level import FORMULAE, Interval, service_level
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.plots import HEIGHT, WIDTH, plot
from dialer.web.render import page

routes = web.RouteTableDef()
FIELDS = ("interval", "from", "until", "queue")
#: Rows by interval on one page; the file has all.
SHOWN = 500


@routes.get("/queues/figures")
async def figures(request: web.Request) -> web.StreamResponse:
    """Today by half hours, where nothing else is asked."""
    actor = page_actor(request, Right.REPORTS_READ)
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    asked = {name: request.query.get(name, "").strip() for name in FIELDS}
    asked["interval"] = asked["interval"] or "30"
    report, status = None, 200
    faults: dict[str, str] = {}
    given: dict[str, str | None] = {}
    try:
        interval = _interval(asked["interval"])
        since = forms.moment(asked["from"], "from", zone)
        until = forms.moment(asked["until"], "until", zone)
        report = await request.app[QUEUE_FIGURES].report(
            actor,
            interval,
            since=since,
            until=until,
            queue=asked["queue"] or None,
        )
        given = {
            "interval": asked["interval"],
            "from": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "queue": asked["queue"],
        }
    except Invalid as error:
        faults, status = forms.faults(error, locale_of(request)), error.status
    return await page(
        request,
        "queue_figures.html",
        status=status,
        report=report,
        asked=asked,
        faults=faults,
        intervals=list(INTERVALS),
        formulas=FORMULAE,
        level=service_level,
        drawing=_drawing(report) if report else None,
        shown=SHOWN,
        size=(WIDTH, HEIGHT),
        csv="/api/v1/figures/queues.csv?"
        + urlencode({name: value for name, value in given.items() if value}),
    )


def _interval(text: str) -> Interval:
    if text not in INTERVALS:
        raise Invalid(field="interval", reason="is not known here")
    return INTERVALS[text]


def _drawing(report: QueueReport) -> Any:
    counts = list(report.intervals.values())
    return plot(
        {"service_level": [service_level(one) for one in counts]},
        {"offered": [one.offered for one in counts], "abandoned": [one.abandoned for one in counts]},
    )
