"""Logging in and out, one's language and password."""

from __future__ import annotations

from aiohttp import web

from dialer.errors import DozvonError, TooManyRequests, WrongPassword
from dialer.httpkit.access import Right
from dialer.httpkit.i18n import LOCALES
from dialer.httpkit.identity import (
    address_of,
    clear_session_cookie,
    page_actor,
    safe_next,
    session_token,
    set_session_cookie,
)
from dialer.httpkit.keys import ACTOR, LOCALE, SETTINGS
from dialer.httpkit.problems import locale_of
from dialer.users.http import USERS
from dialer.users.shortcuts import USUAL
from dialer.web import forms, phone
from dialer.web.render import is_fragment, page

routes = web.RouteTableDef()


def see(path: str) -> web.Response:
    """Go there with a GET."""
    return web.Response(status=303, headers={"Location": path})


def renewed(request: web.Request, path: str) -> web.Response:
    """What was asked is done: the page reads its parts anew; without scripts, go to `path`."""
    if is_fragment(request):
        return web.Response(status=204, headers={"HX-Trigger": "refresh-all"})
    return see(path)


async def warned(request: web.Request, text: str) -> web.StreamResponse:
    """The same for a page with scripts, with something to be known of it: a notice beside the others."""
    headers = {"HX-Trigger": "refresh-all", "HX-Retarget": "#notices", "HX-Reswap": "beforeend"}
    return await page(request, "parts/notice.html", headers=headers, text=text, tone="warn")


def _choose_language(request: web.Request, wanted: str | None) -> None:
    """Nobody is logged in: the language of this page is the one chosen on it."""
    if wanted in LOCALES and ACTOR not in request:
        request[LOCALE] = wanted


async def refused(request: web.Request, error: DozvonError, text: str) -> web.StreamResponse:
    """What was typed stays where it is; a notice in place of the others says why it is not taken."""
    headers = {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
    return await page(request, "parts/notice.html", status=error.status, headers=headers, text=text)


@routes.get("/login")
async def login_page(request: web.Request) -> web.StreamResponse:
    """The log-in page."""
    target = safe_next(request.query.get("next"))
    if ACTOR in request:
        return see(target)
    _choose_language(request, request.query.get("lang"))
    return await page(request, "login.html", target=target, login="", fault=None)


@routes.post("/login")
async def log_in(request: web.Request) -> web.StreamResponse:
    """Begin a session."""
    form = await forms.texts(request)
    _choose_language(request, form.get("lang"))
    target = safe_next(form.get("next"))
    login, password = form.get("login", "")[:200], form.get("password", "")[:1000]
    try:
        session = await request.app[USERS].log_in(login, password, address_of(request))
    except (WrongPassword, TooManyRequests) as error:
        fault = forms.faults(error, locale_of(request))[""]
        return await page(
            request,
            "login.html",
            status=error.status if isinstance(error, TooManyRequests) else 401,
            target=target,
            login=login,
            fault=fault,
        )
    reply = see(target)
    set_session_cookie(reply, request.app[SETTINGS], session.token)
    return reply


@routes.post("/logout")
async def log_out(request: web.Request) -> web.StreamResponse:
    """End the session."""
    actor = page_actor(request)
    token = session_token(request)
    if token is not None:
        await request.app[USERS].log_out(actor, token)
        phone.look(request.app)
    reply = see("/login")
    clear_session_cookie(reply, request.app[SETTINGS])
    return reply


@routes.post("/language")
async def set_language(request: web.Request) -> web.StreamResponse:
    """Keep one's language, and show the same page in it."""
    actor = page_actor(request)
    wanted = await forms.field(request, "lang")
    if wanted in LOCALES:
        await request.app[USERS].change_me(actor, locale=wanted)
    return see(safe_next(await forms.field(request, "next", "/")))


@routes.get("/me")
async def me(request: web.Request) -> web.StreamResponse:
    """One's own account."""
    actor = page_actor(request)
    keys = await request.app[USERS].shortcuts(actor)
    return await page(request, "me.html", faults={}, saved="saved" in request.query, keys=keys)


@routes.post("/me/keys")
async def change_keys(request: web.Request) -> web.StreamResponse:
    """Other keys for the desk; the usual ones, where that was asked for."""
    actor, form = page_actor(request, Right.WORK), await forms.texts(request)
    wanted = {name: form.get(name, "") for name in USUAL} if "usual" not in form else USUAL
    try:
        await request.app[USERS].set_shortcuts(actor, wanted)
    except DozvonError as error:
        found = forms.faults(error, locale_of(request))
        return await page(request, "me.html", status=error.status, faults=found, saved=False, keys=wanted)
    return see("/me#keys")


@routes.post("/me")
async def change_password(request: web.Request) -> web.StreamResponse:
    """Another password."""
    actor = page_actor(request)
    form = await forms.texts(request)
    try:
        await request.app[USERS].change_me(
            actor,
            password=form.get("password", ""),
            old_password=form.get("old_password", ""),
            session_token=session_token(request),
        )
    except DozvonError as error:
        found = forms.faults(error, locale_of(request))
        keys = await request.app[USERS].shortcuts(actor)
        return await page(request, "me.html", status=error.status, faults=found, saved=False, keys=keys)
    return see("/me?saved")
