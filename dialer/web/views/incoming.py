"""Calls that came in: newest first, each with its way through the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.calls.http import CALLS
from dialer.db.tables import INBOUND_RESULTS
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.inbound.http import INBOUND
from dialer.inbound.model import Filter
from dialer.inbound.service import Way
from dialer.queues.http import QUEUES
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page

routes = web.RouteTableDef()

PAGE = 50
FIELDS = ("dialled", "queue", "result", "number", "from", "until")


@routes.get("/incoming")
async def list_(request: web.Request) -> web.StreamResponse:
    """Calls that came in, filtered."""
    actor = page_actor(request, Right.CALLS_READ)
    since = await request.app[HUB].newest()
    asked = _asked(request)
    status, faults = 200, dict[str, str]()
    rows: Sequence[Way] = ()
    following: str | None = None
    try:
        rows, following = await _rows(request, actor, asked)
    except DozvonError as error:
        faults, status = forms.faults(error, locale_of(request)), error.status
    may = actor.may(Right.CAMPAIGNS_READ)
    queues = [one.fields["name"] for one in await request.app[QUEUES].queues(actor)] if may else []
    given = {name: value for name, value in asked.items() if value}
    return await page(
        request,
        "incoming.html",
        status=status,
        since=since,
        asked=asked,
        given=urlencode(given),
        faults=faults,
        rows=rows,
        following=following,
        first=not request.query.get("cursor"),
        numbers=await request.app[INBOUND].numbers(actor) if may else [],
        queues=queues + [one for one in (asked["queue"],) if one and one not in queues],
        results=INBOUND_RESULTS,
    )


@routes.get("/incoming/rows")
async def live(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes: its first fifty calls."""
    actor = page_actor(request, Right.CALLS_READ)
    rows, following = await _rows(request, actor, _asked(request))
    return await page(request, "parts/incoming_rows.html", rows=rows, following=following)


def _asked(request: web.Request) -> dict[str, str]:
    return {name: request.query.get(name, "").strip() for name in FIELDS}


async def _rows(
    request: web.Request, actor: Actor, asked: Mapping[str, str]
) -> tuple[Sequence[Way], str | None]:
    """A page of calls, and the address of the next. Raises Invalid, BadNumber."""
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    key = decode(request.query.get("cursor"), datetime, UUID)
    found = await request.app[INBOUND].calls(
        actor, _filter(request, asked, zone), before=(key[0], key[1]) if key else None, limit=PAGE + 1
    )
    rows, following = cut(found, PAGE, lambda one: (one.call.created_at, one.call.id))
    given: dict[str, Any] = {name: value for name, value in asked.items() if value}
    return rows, "/incoming?" + urlencode({**given, "cursor": following}) if following else None


def _filter(request: web.Request, asked: Mapping[str, str], zone: ZoneInfo) -> Filter:
    if asked["result"] and asked["result"] not in INBOUND_RESULTS:
        raise Invalid(field="result", reason="is not known here")
    return Filter(
        dialled=asked["dialled"] or None,
        e164=request.app[CALLS].e164(asked["number"]) if asked["number"] else None,
        queue=asked["queue"] or None,
        result=asked["result"] or None,
        since=forms.moment(asked["from"], "from", zone),
        until=forms.moment(asked["until"], "until", zone),
    )
