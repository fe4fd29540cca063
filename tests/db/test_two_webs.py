"""Pages and API of two servers over one database, behind a proxy that sends anybody anywhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar
from sqlalchemy import select
from support.driven import Asterisk, working
from support.floor import TENANT, Floor
from support.web import PASSWORD, Caller, cheap_passwords

from dialer.db import tables as t
from dialer.db.embedded import Urls
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.processes import Child, child_environment
from dialer.settings import load
from dialer.users.service import UserService

WAIT_S = 60.0


@asynccontextmanager
async def web_process(name: str, folder: Path, urls: Urls) -> AsyncIterator[str]:
    """The web process of a server on a machine of its own, as `dozvon serve` runs it; its address."""
    settings = load(data_dir=folder / name, server_name=name, asterisk="external", http_port=0)
    settings.writable_data_dir()
    with (folder / f"{name}.log").open("w") as log_file:
        child = Child("web", child_environment(settings, urls, os.environ), log_file)
        keeping = asyncio.create_task(child.keep())
        try:
            async with asyncio.timeout(WAIT_S):
                said = await child.ready
            yield str(said["url"])
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture
async def webs(database_url: str, owner_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """Web processes of the servers main and b."""
    urls = Urls(database_url, owner_url)
    async with web_process("main", tmp_path, urls) as one, web_process("b", tmp_path, urls) as two:
        yield one, two


@pytest.fixture
async def operator(database: Database) -> Actor:
    """A user who can log in."""
    users = UserService(database, session_hours=1, passwords=cheap_passwords())
    user = await users.add(
        Actor.server(TENANT), login="maria", name="Maria", role=Role.OPERATOR, locale="en", password=PASSWORD
    )
    users.close()
    return Actor(TENANT, user.id, Role.OPERATOR, user.name, "en")


@pytest.fixture
async def here(webs: tuple[str, str], operator: Actor) -> AsyncIterator[Caller]:
    """The operator's browser, logged in at the first server."""
    # The proxy's name is one for both: so is the browser's cookie.
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        caller = Caller(http, webs[0])
        entered = await caller.call("POST", "~/session", {"login": "maria", "password": PASSWORD})
        assert entered.status == 201, entered.text
        caller.headers["X-CSRF-Token"] = entered.json["csrf_token"]
        yield caller


@pytest.fixture
def there(here: Caller, webs: tuple[str, str]) -> Caller:
    """The same browser, whose requests the proxy sends to the second server."""
    return replace(here, url=webs[1])


async def test_a_session_is_good_at_every_server(
    here: Caller, there: Caller, database: Database, operator: Actor
) -> None:
    """Who has logged in at one reads and writes at the other; it is heard in the stream of the first at once,
    and a log-out at one is a log-out at both."""
    floor = await Floor.open(database)
    await floor.seat(user=operator)
    async with here.http.get(f"{here.url}/api/v1/events", headers=here.headers) as stream:
        assert stream.status == 200
        await stream.content.readline()
        paused = await there.call("POST", "~/agents/me/pause", {"code": "break"})
        assert (paused.status, paused.json["shift"]["state"]) == (200, "paused"), paused.text
        async with asyncio.timeout(WAIT_S):
            while b"agent" not in (line := await stream.content.readline()):
                assert line, "the stream has ended"
    assert (await here.call("GET", "~/agents/me")).json["shift"]["state"] == "paused"
    page = await there.call("GET", "/", headers={"Accept": "text/html"})
    assert page.status in (200, 303) and "/login" not in page.headers.get("Location", "")
    assert (await there.call("DELETE", "~/session")).status == 204
    assert (await here.call("GET", "~/agents/me")).status == 401


async def test_a_command_reaches_the_engine_of_another_server(
    there: Caller, database: Database, database_url: str, tmp_path: Path, operator: Actor
) -> None:
    """An agent hangs up at the second server's API: the engine of the first, which owns the campaign, has its
    Asterisk end the call."""
    floor = await Floor.open(database)
    seat = await floor.seat(user=operator)
    call = await floor.place(agent=seat)
    assert seat.shift is not None and seat.shift.leg is not None
    asterisk = Asterisk()
    asterisk.channels = {call.attempt_id, seat.shift.leg}
    async with asterisk, working(database_url, tmp_path / "main", asterisk.port):
        done = await there.call("POST", f"~/calls/{call.attempt_id}/hangup")
        assert done.status == 204, done.text
        (asked, *_) = await asterisk.heard("Hangup")
    assert asked["channel"] == str(call.attempt_id)
    async with database.tenant(TENANT) as conn:
        taken: Any = (await conn.execute(select(t.command.c.kind, t.command.c.taken_by))).all()
    assert ("hang_up", "main") in taken
