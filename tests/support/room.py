"""The routes of one room over HTTP, behind a log-in that believes the header X-Role."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.httpkit.binding import mount
from dialer.httpkit.keys import ACTOR, DATABASE, SETTINGS
from dialer.httpkit.problems import problems
from dialer.httpkit.routes import Routes
from dialer.settings import Settings

Client = TestClient[web.Request, web.Application]
Service = TypeVar("Service")


@web.middleware
async def _identify(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    role = Role(request.headers.get("X-Role", "supervisor"))
    request[ACTOR] = Actor(1, None, role, "Somebody", "en")
    return await handler(request)


@asynccontextmanager
async def room(
    database: Database,
    settings: Settings,
    key: web.AppKey[Service],
    service: Service,
    routes: Sequence[Routes],
) -> AsyncIterator[Client]:
    """A client of these routes."""
    app = web.Application(middlewares=[problems, _identify])
    app[SETTINGS], app[DATABASE], app[key] = settings, database, service
    mount(app, routes)
    async with TestClient(TestServer(app)) as opened:
        yield opened
