"""Voicemail: what callers have left; listened to, marked, removed, called back."""

from __future__ import annotations

from aiohttp import web

from dialer.errors import DozvonError
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.voicemail.http import VOICEMAIL
from dialer.voicemail.service import number_shown
from dialer.web import forms
from dialer.web.render import is_fragment, page
from dialer.web.views.door import renewed, see

routes = web.RouteTableDef()

PAGE = 50
ONE = "/voicemail/{message_id:[0-9]{1,18}}"


@routes.get("/voicemail")
async def list_(request: web.Request) -> web.StreamResponse:
    """Messages, newest first."""
    return await _page(request)


async def _page(request: web.Request, error: DozvonError | None = None) -> web.StreamResponse:
    actor = page_actor(request)
    service, query = request.app[VOICEMAIL], request.query
    box, new = query.get("box", "")[:100], "new" in query
    key = decode(query.get("cursor"), int)
    since = await request.app[HUB].newest()
    found = await service.messages(
        actor,
        box=box or None,
        heard=False if new else None,
        before=key[0] if key else None,
        limit=PAGE + 1,
    )
    rows, following = cut(found, PAGE, lambda one: (one.id,))
    chosen = {"box": box} if box else {}
    chosen |= {"new": "1"} if new else {}
    return await page(
        request,
        "parts/voicemail.html" if is_fragment(request) else "voicemail.html",
        status=error.status if error else 200,
        since=since,
        rows=[(one, number_shown(actor, one)) for one in rows],
        boxes=await service.boxes(actor),
        box=box,
        new=new,
        following=request.rel_url.with_query(chosen | {"cursor": following}) if following else None,
        here=request.path_qs if request.method == "GET" else "/voicemail",
        fault=" ".join(forms.faults(error, locale_of(request)).values()) if error else "",
    )


@routes.post(ONE + "/heard")
async def mark(request: web.Request) -> web.StreamResponse:
    """It was heard, or is to be heard again."""
    heard = await forms.field(request, "heard") == "1"
    await request.app[VOICEMAIL].mark(page_actor(request), _id(request), heard=heard)
    return _done(request)


@routes.post(ONE + "/delete")
async def delete(request: web.Request) -> web.StreamResponse:
    """Remove one for good."""
    await request.app[VOICEMAIL].delete(page_actor(request), _id(request))
    return _done(request)


@routes.post(ONE + "/call-back")
async def call_back(request: web.Request) -> web.StreamResponse:
    """Promise the caller a call, and show the promise."""
    try:
        made = await request.app[VOICEMAIL].call_back(page_actor(request), _id(request))
    except DozvonError as error:
        return await _page(request, error)
    return see(f"/callbacks/{made.id}?made=1")


def _done(request: web.Request) -> web.StreamResponse:
    return renewed(request, "/voicemail")


def _id(request: web.Request) -> int:
    return int(request.match_info["message_id"])
