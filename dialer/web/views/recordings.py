"""The recordings of talks: the search, and what is noted of one beside its call."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.agents.http import AGENTS
from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.recordings.http import RECORDINGS, HoldIn, MarkIn
from dialer.recordings.model import Direction, Recording, Which
from dialer.recordings.service import silences
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import is_fragment, page
from dialer.web.views.door import see

routes = web.RouteTableDef()
PAGE = 50
ONE = "/recordings/{recording_id:[0-9]{1,18}}"
FIELDS = (
    "direction", "campaign", "agent", "number", "disposition", "from", "until", "least", "most", "noted",
)  # fmt: skip
#: What may be looked for of notes.
NOTED = ("marked", "held")


@routes.get("/recordings")
async def list_(request: web.Request) -> web.StreamResponse:
    """Recordings, newest first, filtered."""
    actor = page_actor(request)
    service = request.app[RECORDINGS]
    asked = {name: request.query.get(name, "").strip()[:100] for name in FIELDS}
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    rows: list[Recording] = []
    following: str | None = None
    faults: dict[str, str] = {}
    status = 200
    try:
        key = decode(request.query.get("cursor"), datetime, int)
        found = await service.recordings(
            actor, _which(request, asked, zone), after=(key[0], key[1]) if key else None, limit=PAGE + 1
        )
        rows, following = cut(found, PAGE, lambda row: (row.started_at, row.id))
    except Invalid as error:
        faults, status = forms.faults(error, locale_of(request)), error.status
    except DozvonError as error:
        if error.id != "bad-number":
            raise
        faults, status = {"number": forms.faults(error, locale_of(request))[""]}, error.status
    given = {name: value for name, value in asked.items() if value}
    return await page(
        request,
        "recordings.html",
        status=status,
        rows=rows,
        silent={row.id: sum(until - begin for begin, until in silences(row)) for row in rows},
        asked=asked,
        filtered=bool(given),
        faults=faults,
        noted=NOTED,
        dispositions=await service.dispositions(actor),
        campaigns=await request.app[CAMPAIGNS].campaigns(actor, limit=200)
        if actor.may(Right.CAMPAIGNS_READ)
        else [],
        agents=[agent for agent, _ in await request.app[AGENTS].agents(actor)]
        if actor.may(Right.AGENTS_READ)
        else [],
        following="/recordings?" + urlencode({**given, "cursor": following}) if following else None,
    )


def _which(request: web.Request, asked: dict[str, str], zone: ZoneInfo) -> Which:
    directions: dict[str, Direction | None] = {"": None, "inbound": "inbound", "outbound": "outbound"}
    if asked["direction"] not in directions:
        raise Invalid(field="direction", reason="is not known here")
    return Which(
        agent_id=forms.whole(asked["agent"], "agent") if asked["agent"] else None,
        campaign_id=forms.whole(asked["campaign"], "campaign") if asked["campaign"] else None,
        e164=request.app[RECORDINGS].e164(asked["number"]) if asked["number"] else None,
        direction=directions[asked["direction"]],
        since=forms.moment(asked["from"], "from", zone),
        until=forms.moment(asked["until"], "until", zone),
        least_s=_seconds(asked["least"], "least"),
        most_s=_seconds(asked["most"], "most"),
        disposition=asked["disposition"] or None,
        marked=True if asked["noted"] == "marked" else None,
        held=True if asked["noted"] == "held" else None,
    )


def _seconds(text: str, name: str) -> float | None:
    """Of minutes, as `2`, `2,5` or `2:30`."""
    if not text:
        return None
    minutes, _, seconds = text.replace(",", ".").partition(":")
    try:
        found = float(minutes) * 60 + (float(seconds) if seconds else 0)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 86400:
        raise Invalid(field=name, reason="must be minutes, as 2 or 2:30")
    return found


# -- one, beside its call ------------------------------------------------------------------------------------


async def beside(request: web.Request, actor: Actor, row: Recording) -> dict[str, Any]:
    """What the template `parts/recording.html` shows of a recording."""
    service = request.app[RECORDINGS]
    return {
        "recording": row,
        "silences": silences(row),
        "marks": await service.marks(actor, row.id),
        "listeners": await service.listeners(actor, row.id) if actor.may(Right.AUDIT_READ) else [],
        "checked": None,
        "faults": {},
        "values": {},
    }


async def _notes(request: web.Request, **more: Any) -> web.StreamResponse:
    """The notes of a recording anew, where its page asks; else the call's page."""
    actor = page_actor(request)
    row = await request.app[RECORDINGS].get(actor, _id(request))
    if not is_fragment(request) and "status" not in more:
        return see(f"/calls/{row.call_id}#recording")
    context = await beside(request, actor, row)
    return await page(request, "parts/recording_notes.html", **{**context, **more})


@routes.post(ONE + "/marks")
async def mark(request: web.Request) -> web.StreamResponse:
    """Mark a moment."""
    form = await forms.texts(request)
    values = {"at_s": form.get("at_s", ""), "text": form.get("text", "")}
    try:
        body = forms.read(MarkIn, values)
        await request.app[RECORDINGS].mark(page_actor(request), _id(request), body.at_s, body.text)
    except Invalid as error:
        faults = forms.faults(error, locale_of(request))
        return await _notes(request, faults=faults, values=values, status=error.status)
    return await _notes(request)


@routes.post(ONE + "/marks/{mark_id:[0-9]{1,18}}/delete")
async def unmark(request: web.Request) -> web.StreamResponse:
    """Take a mark away."""
    await request.app[RECORDINGS].unmark(
        page_actor(request), _id(request), int(request.match_info["mark_id"])
    )
    return await _notes(request)


@routes.post(ONE + "/hold")
async def hold(request: web.Request) -> web.StreamResponse:
    """Keep it past its term."""
    actor = page_actor(request, Right.RECORDINGS_HOLD)
    values = {"reason": await forms.field(request, "reason")}
    try:
        body = forms.read(HoldIn, values)
        await request.app[RECORDINGS].hold(actor, _id(request), body.reason)
    except Invalid as error:
        faults = forms.faults(error, locale_of(request))
        return await _notes(request, faults=faults, values=values, status=error.status)
    return await _notes(request)


@routes.post(ONE + "/release")
async def release(request: web.Request) -> web.StreamResponse:
    """Keep it no longer than others."""
    await request.app[RECORDINGS].hold(page_actor(request), _id(request), None)
    return await _notes(request)


@routes.post(ONE + "/check")
async def check(request: web.Request) -> web.StreamResponse:
    """Read the file: is it what it was?"""
    return await _notes(
        request, checked=await request.app[RECORDINGS].check(page_actor(request), _id(request))
    )


def _id(request: web.Request) -> int:
    return int(request.match_info["recording_id"])
