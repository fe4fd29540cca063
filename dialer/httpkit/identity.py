"""Whose request this is: a browser's session by its cookie, or a program by its API token.

`identify` finds the actor and puts actor, CSRF token and language into the request; it refuses nobody but a
wrong API token. Routes and pages then ask: `routes` by themselves, pages by `page_actor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from dialer.errors import NotLoggedIn, WrongScope
from dialer.httpkit.access import Actor, Right, Scope
from dialer.httpkit.keys import ACTOR, CSRF, LOCALE, SETTINGS
from dialer.settings import Settings

#: The longest credential that is looked up at all.
MAX_TOKEN = 200
#: Paths that serve everybody the same: nobody is looked up for them.
SAME_FOR_ALL = ("/static/", "/healthz")
#: Where a token that is narrowed to something may be used: everything else is refused here, whatever a route
#: asks for.
SCOPE_PATHS = {Scope.HOOKS: "/api/v1/hooks/"}


@dataclass(frozen=True, slots=True)
class Identity:
    """A credential that is valid now."""

    actor: Actor
    #: What forms must send back; None for an API token, which a browser never sends by itself.
    csrf_token: str | None


class Identities(Protocol):
    """Who knows the credentials: `dialer.users` does."""

    async def by_session(self, token: str) -> Identity | None:
        """The identity of a browser's session, None when it has ended."""

    async def by_api_token(self, token: str) -> Identity | None:
        """The identity of a program, None when the token is wrong or revoked."""


IDENTITIES: web.AppKey[Identities] = web.AppKey("identities")


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine by definition."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def is_secure(settings: Settings) -> bool:
    """Whether people reach the server by https."""
    return settings.tls_certificate is not None or (settings.public_url or "").startswith("https://")


def cookie_name(settings: Settings) -> str:
    """The session's cookie; under https browsers hold it to this host and to https by its name."""
    return "__Host-dozvon_session" if is_secure(settings) else "dozvon_session"


def set_session_cookie(reply: web.StreamResponse, settings: Settings, token: str) -> None:
    """Give the browser its session."""
    reply.set_cookie(
        cookie_name(settings),
        token,
        max_age=settings.session_hours * 3600,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=is_secure(settings),
    )


def clear_session_cookie(reply: web.StreamResponse, settings: Settings) -> None:
    """Take it away."""
    reply.del_cookie(
        cookie_name(settings), path="/", httponly=True, samesite="Lax", secure=is_secure(settings)
    )


def session_token(request: web.Request) -> str | None:
    """The token in the request's cookie."""
    return request.cookies.get(cookie_name(request.app[SETTINGS]))


def address_of(request: web.Request) -> str:
    """The caller's address: the connection's, or what a proxy on this machine says where there is one."""
    peer = request.remote or ""
    forwarded = request.headers.get("X-Forwarded-For")
    if forwarded and request.app[SETTINGS].public_url and is_loopback(peer):
        # The last one is the proxy's own word; those before it are the caller's.
        return forwarded.rpartition(",")[2].strip()[:64]
    return peer


async def find_identity(request: web.Request) -> Identity | None:
    """Look the request's credential up; asked again for as long as a stream lasts. Raises NotLoggedIn for an
    Authorization header that is not a valid API token."""
    identities = request.app[IDENTITIES]
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not _may_be_token(token):
            raise NotLoggedIn
        found = await identities.by_api_token(token.strip())
        if found is None:
            raise NotLoggedIn
        return found
    token = session_token(request) or ""
    return await identities.by_session(token) if _may_be_token(token) else None


def _may_be_token(text: str) -> bool:
    """Whether to look it up. Bytes that are no UTF-8 come as surrogates, which nothing hashes."""
    return 0 < len(text) <= MAX_TOKEN and text.isascii()


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks."""
    if not request.path.startswith(SAME_FOR_ALL):
        found = await find_identity(request)
        if found is not None:
            allowed = SCOPE_PATHS.get(found.actor.scope, "")
            if not request.path.startswith(allowed):
                raise WrongScope(scope=found.actor.scope.value)
            request[ACTOR] = found.actor
            request[LOCALE] = found.actor.locale
            if found.csrf_token is not None:
                request[CSRF] = found.csrf_token
            structlog.contextvars.bind_contextvars(user_id=found.actor.user_id)
    return await handler(request)


def page_actor(request: web.Request, right: Right | None = None) -> Actor:
    """Who looks at this page. Raises NotLoggedIn (the browser is led to /login and back) and Forbidden."""
    if ACTOR not in request:
        raise NotLoggedIn
    actor = request[ACTOR]
    if right is not None:
        actor.require(right)
    return actor


def csrf_token(request: web.Request) -> str:
    """What a page puts into its forms (`csrf_token`) and into htmx's X-CSRF-Token; empty before a log-in."""
    found: str = request.get(CSRF, "")
    return found


def safe_next(target: str | None) -> str:
    """Where to go after a log-in: a path of this server, never another one."""
    if not target or not target.startswith("/") or target[1:2] in {"/", "\\"} or not target.isprintable():
        return "/"
    return target
