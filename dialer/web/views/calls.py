"""The call log and one call."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.agents.http import AGENTS
from dialer.calls.call_log import ALL_RESULTS, CallRow, Filter
from dialer.calls.http import CALLS
from dialer.calls.model import Direction
from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.inbound.http import INBOUND
from dialer.queues.http import QUEUES
from dialer.recordings.http import RECORDINGS
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import see
from dialer.web.views.recordings import beside
from dialer.web.views.reviews import of_call
from dialer.web.views.surveys import of_call as survey_of_call

routes = web.RouteTableDef()
PAGE = 50
FIELDS = ("direction", "campaign", "queue", "agent", "result", "number", "from", "until")


@routes.get("/calls")
async def list_(request: web.Request) -> web.StreamResponse:
    """Calls, newest first, filtered."""
    actor = page_actor(request, Right.CALLS_READ)
    asked = {name: request.query.get(name, "").strip() for name in FIELDS}
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    rows: list[CallRow] = []
    following: str | None = None
    faults: dict[str, str] = {}
    status = 200
    which = Filter()
    try:
        which = await _filter(request, asked, zone)
        key = decode(request.query.get("cursor"), datetime, UUID)
        found = await request.app[CALLS].calls(
            actor, which, after=(key[0], key[1]) if key else None, limit=PAGE + 1
        )
        rows, following = cut(found, PAGE, lambda row: (row.created_at, row.id))
    except DozvonError as error:
        faults, status = forms.faults(error, locale_of(request)), error.status
    given = {name: value for name, value in asked.items() if value}
    return await page(
        request,
        "calls.html",
        status=status,
        rows=rows,
        asked=asked,
        filtered=bool(given),
        faults=faults,
        results=ALL_RESULTS,
        directions=list(Direction),
        queues=[view.fields["name"] for view in await request.app[QUEUES].queues(actor)],
        campaigns=await request.app[CAMPAIGNS].campaigns(actor, limit=200),
        agents=[agent for agent, _ in await request.app[AGENTS].agents(actor)],
        following="/calls?" + urlencode({**given, "cursor": following}) if following else None,
        csv=_csv_address(which, asked),
    )


async def _filter(request: web.Request, asked: dict[str, str], zone: ZoneInfo) -> Filter:
    for name, known in (("result", ALL_RESULTS), ("direction", list(Direction))):
        if asked[name] and asked[name] not in known:
            raise Invalid(field=name, reason="is not known here")
    number = asked["number"]
    return Filter(
        campaign_id=forms.whole(asked["campaign"], "campaign") if asked["campaign"] else None,
        agent_id=forms.whole(asked["agent"], "agent") if asked["agent"] else None,
        result=asked["result"] or None,
        direction=Direction(asked["direction"]) if asked["direction"] else None,
        queue=asked["queue"] or None,
        e164=request.app[CALLS].e164(number) if number else None,
        since=forms.moment(asked["from"], "from", zone),
        until=forms.moment(asked["until"], "until", zone),
    )


def _csv_address(which: Filter, asked: dict[str, str]) -> str:
    """The same calls as a file, from the API."""
    wanted = {
        "campaign": which.campaign_id,
        "agent": which.agent_id,
        "result": which.result,
        "direction": which.direction,
        "queue": which.queue,
        "number": asked["number"] or None,
        "from": which.since.isoformat() if which.since else None,
        "until": which.until.isoformat() if which.until else None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return "/api/v1/calls.csv" + (f"?{urlencode(given)}" if given else "")


@routes.get("/calls/{attempt_id}")
async def one(request: web.Request) -> web.StreamResponse:
    """One call with its steps."""
    actor = page_actor(request)
    view = await request.app[CALLS].get(actor, _id(request))
    steps = await request.app[INBOUND].steps(actor, _id(request)) if actor.may(Right.CALLS_READ) else []
    recording = await request.app[RECORDINGS].of_call(actor, view.call.id) if view.recording else None
    heard = await beside(request, actor, recording) if recording else {"recording": None}
    may_score = view.call.agent_id is not None and view.call.hung_up_at is not None
    scored = await of_call(request, actor, view.call.id) if may_score else {"reviews": None}
    beside_it = {**heard, **scored, **await survey_of_call(request, actor, view.call.id)}
    return await page(request, "call.html", view=view, call=view.call, steps=steps, **beside_it)


@routes.post("/calls/{attempt_id}/hang-up")
async def hang_up(request: web.Request) -> web.StreamResponse:
    """End a call."""
    actor = page_actor(request)
    await request.app[CALLS].hang_up(actor, _id(request))
    return see(f"/calls/{_id(request)}")


def _id(request: web.Request) -> UUID:
    return forms.key(request.match_info["attempt_id"], "call")
