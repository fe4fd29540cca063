"""Who was booked for a visit: by day, and who came."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.clock import utc_now
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.visits.http import VISITS
from dialer.visits.model import State
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import renewed

routes = web.RouteTableDef()
#: Days that are shown where nobody asks for others, from today on.
AHEAD = timedelta(days=14)


@routes.get("/visits")
async def list_(request: web.Request) -> web.StreamResponse:
    """The visits of a span of time."""
    actor = page_actor(request, Right.CALLS_READ)
    since = await request.app[HUB].newest()
    return await page(request, "visits.html", since=since, **await _table(request, actor))


@routes.get("/visits/table")
async def table(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes."""
    actor = page_actor(request, Right.CALLS_READ)
    return await page(request, "parts/visits_table.html", **await _table(request, actor))


@routes.post("/visits/{visit_id:[0-9]{1,18}}/state")
async def set_state(request: web.Request) -> web.StreamResponse:
    """Say what became of one."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    state = await forms.field(request, "state")
    if state not in list(State):
        raise Invalid(field="state", reason="is not known here")
    await request.app[VISITS].set_state(actor, int(request.match_info["visit_id"]), State(state))
    return renewed(request, "/visits")


async def _table(request: web.Request, actor: Actor) -> dict[str, Any]:
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    asked = {name: request.query.get(name, "").strip() for name in ("from", "until")}
    today = datetime.combine(utc_now().astimezone(zone).date(), time(), zone)
    faults: dict[str, str] = {}
    since, until = today, today + AHEAD
    try:
        since = forms.moment(asked["from"], "from", zone) or since
        last = forms.moment(asked["until"], "until", zone)
        # The whole of the last day.
        until = last + timedelta(days=1) if last else max(until, since + AHEAD)
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
    rows = await request.app[VISITS].visits(actor, since, until)
    shown = {"from": f"{since:%Y-%m-%d}", "until": f"{until - timedelta(days=1):%Y-%m-%d}"}
    return {"visits": rows, "asked": asked, "shown": shown, "faults": faults, "states": tuple(State)}
