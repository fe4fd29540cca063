"""Why a campaign was paced as it was."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.reports.http import PACES
from dialer.reports.service import PaceReport
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.plots import HEIGHT, WIDTH, Plot, plot
from dialer.web.render import page

routes = web.RouteTableDef()

#: Stretches on one page.
SHOWN = 200


@routes.get("/campaigns/{campaign_id:[0-9]{1,18}}/pace")
async def pace(request: web.Request) -> web.StreamResponse:
    """What was decided from when to when, and why; the last hour where nothing is asked."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    view = await request.app[CAMPAIGNS].campaign(actor, int(request.match_info["campaign_id"]))
    asked = {name: request.query.get(name, "").strip() for name in ("from", "until")}
    faults: dict[str, str] = {}
    report, status = None, 200
    try:
        report = await request.app[PACES].pace(
            actor,
            view.campaign.id,
            since=forms.moment(asked["from"], "from", zone),
            until=forms.moment(asked["until"], "until", zone),
        )
        asked = {"from": _field(report.since, zone), "until": _field(report.until, zone)}
    except Invalid as error:
        faults, status = forms.faults(error, locale_of(request)), error.status
    return await page(
        request,
        "pace.html",
        status=status,
        campaign=view.campaign,
        report=report,
        asked=asked,
        faults=faults,
        plots=_plots(report) if report else {},
        shown=SHOWN,
        size=(WIDTH, HEIGHT),
    )


def _field(at: datetime, zone: ZoneInfo) -> str:
    """For an input of the browser."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")


def _plots(report: PaceReport) -> dict[str, Plot | None]:
    def curve(name: str) -> list[float | None]:
        return [point.values.get(name) for point in report.points]

    return {
        "agents": plot({name: curve(name) for name in ("agents", "ready", "in_air")}),
        "placed": plot(
            {"answer_probability": curve("answer_probability")},
            {"dialled": [point.dialled for point in report.points]},
        ),
        "share": plot({name: curve(name) for name in ("abandon_share", "limit")}),
    }
