"""`/phone`: whose browser may open it, what passes, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientWebSocketResponse, WSServerHandshakeError
from sqlalchemy import select, text
from support.phone_way import EchoAsterisk, agent, register
from support.web import Caller, Web, whole_site

from dialer.agents.ice import IceServers
from dialer.agents.phones import LASTS, BrowserPhones
from dialer.asterisk.browsers import endpoint_of
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.settings import load
from dialer.web import phone


@pytest.fixture
async def site(database: Database, database_url: str, asterisk: EchoAsterisk) -> AsyncIterator[Web]:
    async with whole_site(database, database_url, load(asterisk_ws_url=asterisk.url)) as running:
        yield running


async def opened(caller: Caller, **headers: str) -> ClientWebSocketResponse:
    return await caller.http.ws_connect(
        f"{caller.url}/phone", protocols=("sip",), headers={**caller.headers, **headers}
    )


async def refused(caller: Caller, **headers: str) -> int:
    with pytest.raises(WSServerHandshakeError) as error:
        await opened(caller, **headers)
    return error.value.status


async def closed(line: ClientWebSocketResponse) -> int | None:
    """Why the server has closed it."""
    async with asyncio.timeout(30):
        await line.receive()
    return line.close_code


async def test_only_an_agents_own_browser_opens_it(site: Web, asterisk: EchoAsterisk) -> None:
    """Not a stranger, not a program with a token, not another site's page, not who is no agent."""
    caller, _ = await agent(site)
    assert await refused(await site.stranger()) == 401
    assert await refused(await site.program(Role.OPERATOR)) == 401
    assert await refused(caller, Origin="https://evil.example") == 403
    assert await refused(await site.browser(Role.OPERATOR)) == 404
    assert (await caller.call("GET", "/phone")).status == 400
    assert asterisk.heard == []


async def test_a_supervisors_browser_is_a_phone_too(site: Web, asterisk: EchoAsterisk) -> None:
    """Who listens to agents need not be one."""
    caller = await site.browser(Role.SUPERVISOR)
    assert caller.user is not None
    line = await opened(caller)
    await line.send_str(register(caller.user.id))
    assert await line.receive_str(timeout=30) == register(caller.user.id).upper()


async def test_frames_pass_both_ways_but_another_phones(site: Web, asterisk: EchoAsterisk) -> None:
    """Asterisk hears what the agent's own phone says, and is heard; what is from another never reaches it."""
    caller, user_id = await agent(site)
    line = await opened(caller)
    await line.send_str(register(user_id))
    assert await line.receive_str(timeout=30) == register(user_id).upper()
    await line.send_str(register(user_id + 1))
    assert await closed(line) == phone.NOT_YOURS
    assert asterisk.heard == [register(user_id)]
    await asyncio.wait_for(asterisk.gone.wait(), 30)


async def test_it_ends_with_the_log_in(site: Web, asterisk: EchoAsterisk) -> None:
    """Who logs out, in whatever tab, has no phone any more, and Asterisk knows it at once."""
    caller, _ = await agent(site)
    line = await opened(caller)
    assert (await caller.call("POST", "/logout")).status == 303
    assert await closed(line) == phone.LOGGED_OUT
    await asyncio.wait_for(asterisk.gone.wait(), 30)


async def test_the_newest_page_has_the_phone(site: Web) -> None:
    """The page before it is told so, and does not fight for it; another agent's is left alone."""
    caller, user_id = await agent(site)
    other, _ = await agent(site, "oleg")
    lines = [await opened(one) for one in (other, caller, caller)]
    assert await closed(lines[1]) == phone.ELSEWHERE
    await lines[2].send_str(register(user_id))
    await lines[2].receive_str(timeout=30)
    assert not lines[0].closed


async def test_asterisk_is_away(database: Database, database_url: str) -> None:
    """Who cannot be passed on is told so before the WebSocket is there."""
    async with whole_site(database, database_url, load(asterisk_ws_url="ws://127.0.0.1:1/ws")) as site:
        caller, _ = await agent(site)
        assert await refused(caller) == 503


class _Engine:
    """Does what it is asked for at once."""

    async def ask(self, *_: object, **__: object) -> dict[str, object]:
        return {}


async def test_a_secret_lasts_while_its_page_is_connected(site: Web, database: Database) -> None:
    """A connected page keeps its secret good; a new page's secret is another one."""
    caller, user_id = await agent(site)
    assert caller.user is not None
    actor = Actor(1, caller.user.id, Role.OPERATOR, "Мария", "ru")
    phones = BrowserPhones(database, _Engine(), IceServers())
    first, second = await phones.open(actor), await phones.open(actor)
    assert first.endpoint == second.endpoint == endpoint_of(user_id)
    assert first.password != second.password
    async with database.tenant(1) as conn:
        await conn.execute(text("UPDATE browser_phone SET expires_at = now() + interval '1 second'"))
    line = await opened(caller)
    await line.send_str(register(user_id))
    await line.receive_str(timeout=30)
    async with asyncio.timeout(30):
        while True:
            async with database.tenant(1) as conn:
                left = await conn.scalar(select(t.browser_phone.c.expires_at - text("now()")))
            if left is not None and left > LASTS / 2:
                break
            await asyncio.sleep(0.05)
