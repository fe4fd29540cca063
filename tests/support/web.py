"""The web process of tests: the real application on a real port over the test's own database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, web
from argon2 import PasswordHasher
from multidict import CIMultiDictProxy
from sqlalchemy import text, update

from dialer.app.web import build_web
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.events import Numberer
from dialer.db.listen import EVENTS, Listener
from dialer.db.session import Database, create_engine
from dialer.httpkit.access import Actor, Role
from dialer.httpkit.application import build_application, serve
from dialer.httpkit.routes import Routes
from dialer.settings import Settings, load
from dialer.users import http as users_http
from dialer.users.model import User
from dialer.users.passwords import Passwords
from dialer.users.service import UserService

__all__ = ["PASSWORD", "Caller", "Reply", "Web", "serving", "site", "whole_site"]

PASSWORD = "correct-horse-9"
_numbers = count(1)


def cheap_passwords() -> Passwords:
    """Argon2id that takes no time: the tests are not about its price."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    text: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)


@dataclass(slots=True)
class Caller:
    """A browser or a program: its cookies and the headers it always sends."""

    http: ClientSession
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    #: Who it is; None before a log-in.
    user: User | None = None

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> Reply:
        """One request with a JSON body (or `data` as it is)."""
        target = self.url + (path if not path.startswith("~") else "/api/v1" + path[1:])
        sent = {**self.headers, **(headers or {})}
        async with self.http.request(
            method, target, json=body, data=data, headers=sent, allow_redirects=False
        ) as reply:
            return Reply(reply.status, reply.headers, await reply.text(errors="replace"))


@dataclass(slots=True)
class Web:
    """A running web process."""

    url: str
    app: web.Application
    database: Database
    users: UserService
    settings: Settings
    stack: AsyncExitStack

    async def stranger(self) -> Caller:
        """A browser that has not logged in."""
        # Browsers keep cookies for 127.0.0.1; aiohttp does so only when told.
        http = ClientSession(cookie_jar=CookieJar(unsafe=True))
        await self.stack.enter_async_context(http)
        return Caller(http, self.url)

    async def user(self, role: Role, *, tenant_id: int = 1) -> User:
        """A new user, whose password is PASSWORD."""
        return await self.users.add(
            Actor.server(tenant_id),
            login=f"user{next(_numbers)}",
            name=f"{role} {next(_numbers)}",
            role=role,
            locale="en",
            password=PASSWORD,
        )

    async def browser(self, role: Role, *, tenant_id: int = 1, user: User | None = None) -> Caller:
        """A browser in which a new user (or `user`) has logged in."""
        caller = await self.stranger()
        caller.user = user or await self.user(role, tenant_id=tenant_id)
        entered = await caller.call("POST", "~/session", {"login": caller.user.login, "password": PASSWORD})
        assert entered.status == 201, entered.text
        caller.headers["X-CSRF-Token"] = entered.json["csrf_token"]
        return caller

    async def program(self, role: Role, *, tenant_id: int = 1) -> Caller:
        """A program with an API token of a new user."""
        caller = await self.stranger()
        caller.user = await self.user(role, tenant_id=tenant_id)
        _, token = await self.users.add_token(Actor.server(tenant_id), "test", caller.user.id)
        caller.headers["Authorization"] = f"Bearer {token}"
        return caller


@asynccontextmanager
async def serving(
    database: Database,
    database_url: str,
    *,
    tables: Sequence[Routes] = (),
    services: Mapping[web.AppKey[Any], Any] | None = None,
    settings: Settings | None = None,
    pages: Callable[[web.Application], object] | None = None,
) -> AsyncIterator[Web]:
    """The application with users, the event stream, `tables` and what `pages` adds, on a free port."""
    settings = settings or load()
    users = UserService(database, session_hours=settings.session_hours, passwords=cheap_passwords())
    listener = Listener(database_url, [EVENTS])
    app = build_application(
        settings,
        database,
        listener,
        users,
        [users_http.routes, *tables],
        services={users_http.USERS: users, **(services or {})},
        background={"listener": listener.run, "numberer": Numberer(database_url).run},
    )
    if pages is not None:
        pages(app)
    async with _running(app, database, users, settings) as running:
        yield running


@asynccontextmanager
async def whole_site(
    database: Database, database_url: str, settings: Settings | None = None
) -> AsyncIterator[Web]:
    """The web process as the server builds it, on a free port."""
    settings = settings or load()
    users = UserService(database, session_hours=1, passwords=cheap_passwords())
    async with _running(build_web(settings, database_url), database, users, settings) as running:
        yield running


@asynccontextmanager
async def _running(
    app: web.Application, database: Database, users: UserService, settings: Settings
) -> AsyncIterator[Web]:
    running = await serve(app, "127.0.0.1", 0)
    try:
        async with AsyncExitStack() as stack:
            yield Web(running.url, app, database, users, settings, stack)
    finally:
        await running.close()
        users.close()


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """A web process with users and events."""
    async with serving(database, database_url) as running:
        yield running


async def at_noon(owner_url: str) -> None:
    """The first tenant's place is one whose day is at its middle: the last hours were today, at any hour."""
    engine = create_engine(owner_url, pool=1)
    try:
        async with engine.begin() as conn:
            zone = f"Etc/GMT{utc_now().hour - 12:+d}"
            await conn.execute(update(t.tenant).where(t.tenant.c.id == 1).values(timezone=zone))
    finally:
        await engine.dispose()


async def second_tenant(owner_url: str) -> int:
    """Another client company."""
    engine = create_engine(owner_url, pool=1)
    try:
        async with engine.begin() as conn:
            await conn.execute(text("INSERT INTO tenant (id, name) VALUES (2, 'Другая компания')"))
    finally:
        await engine.dispose()
    return 2
