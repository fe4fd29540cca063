"""Who may log in, and which programs may."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Actor, Right, Role
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.users.http import USERS, NewToken, NewUser
from dialer.users.model import new_password
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()
SHOWN = 200


@routes.get("/users")
async def list_(request: web.Request) -> web.StreamResponse:
    """All users."""
    return await _users(request, page_actor(request, Right.USERS_EDIT))


@routes.post("/users")
async def create(request: web.Request) -> web.StreamResponse:
    """Make a user; the password is on the page that comes back, and nowhere else."""
    actor = page_actor(request, Right.USERS_EDIT)
    form = await forms.texts(request)
    password = new_password()
    try:
        wanted = forms.read(NewUser, forms.given(form, NewUser) | {"password": password})
        made = await request.app[USERS].add(
            actor,
            login=wanted.login,
            name=wanted.name,
            role=wanted.role,
            locale=wanted.locale,
            password=wanted.password,
        )
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _users(request, actor, status=error.status, values=dict(form), faults=faults)
    return await _users(request, actor, made=made, password=password)


@routes.post("/users/{user_id:[0-9]{1,18}}/{action:enable|disable|password}")
async def act(request: web.Request) -> web.StreamResponse:
    """Switch a user off or on, or give a new password."""
    actor = page_actor(request, Right.USERS_EDIT)
    user_id, action = int(request.match_info["user_id"]), request.match_info["action"]
    if action == "password":
        password = new_password()
        user = await request.app[USERS].change(actor, user_id, password=password)
        return await _users(request, actor, made=user, password=password)
    await request.app[USERS].change(actor, user_id, disabled=action == "disable")
    return see("/users")


async def _users(
    request: web.Request,
    actor: Actor,
    *,
    status: int = 200,
    values: dict[str, Any] | None = None,
    faults: dict[str, str] | None = None,
    made: object = None,
    password: str = "",
) -> web.StreamResponse:
    users, more = await request.app[USERS].fetch(actor, request.query.get("cursor"), SHOWN)
    return await page(
        request,
        "users.html",
        status=status,
        users=users,
        more=more,
        roles=list(Role),
        values=values or {},
        faults=faults or {},
        made=made,
        password=password,
    )


@routes.get("/tokens")
async def tokens(request: web.Request) -> web.StreamResponse:
    """API tokens."""
    return await _tokens(request, page_actor(request, Right.TOKENS_EDIT))


@routes.post("/tokens")
async def add_token(request: web.Request) -> web.StreamResponse:
    """Make a token of one's own; it is on the page that comes back, and nowhere else."""
    actor = page_actor(request, Right.TOKENS_EDIT)
    try:
        wanted = forms.read(NewToken, forms.given(await forms.texts(request), NewToken))
    except Invalid as error:
        faults = forms.faults(error, locale_of(request))
        return await _tokens(request, actor, status=error.status, faults=faults)
    _, shown = await request.app[USERS].add_token(actor, wanted.name, scope=wanted.scope)
    return await _tokens(request, actor, shown=shown)


@routes.post("/tokens/{token_id:[0-9]{1,18}}/revoke")
async def revoke(request: web.Request) -> web.StreamResponse:
    """Revoke a token."""
    actor = page_actor(request, Right.TOKENS_EDIT)
    await request.app[USERS].revoke_token(actor, int(request.match_info["token_id"]))
    return see("/tokens")


async def _tokens(
    request: web.Request,
    actor: Actor,
    *,
    status: int = 200,
    faults: dict[str, str] | None = None,
    shown: str = "",
) -> web.StreamResponse:
    found, more = await request.app[USERS].fetch_tokens(actor, request.query.get("cursor"), SHOWN)
    return await page(
        request, "tokens.html", status=status, tokens=found, more=more, faults=faults or {}, shown=shown
    )
