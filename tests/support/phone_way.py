"""The way of browsers' SIP: an Asterisk that says back what it hears, agents, and what they send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dialer.agents.service import AgentService
from dialer.asterisk.browsers import endpoint_of
from dialer.httpkit.access import Actor, Role
from support.web import Caller, Web

__all__ = ["asterisk"]


@dataclass
class EchoAsterisk:
    """Takes WebSockets, keeps what they say and says it again in capitals."""

    url: str = ""
    heard: list[str] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        line = web.WebSocketResponse(protocols=("sip",))
        await line.prepare(request)
        async for message in line:
            self.heard.append(message.data)
            await line.send_str(message.data.upper())
        self.gone.set()
        return line


@pytest.fixture
async def asterisk() -> AsyncIterator[EchoAsterisk]:
    said = EchoAsterisk()
    app = web.Application()
    app.router.add_get("/ws", said.serve)
    async with TestServer(app) as server:
        said.url = f"ws://{server.host}:{server.port}/ws"
        yield said


async def agent(site: Web, name: str = "maria") -> tuple[Caller, int]:
    """A browser in which an agent has logged in, and the user's id."""
    caller = await site.browser(Role.OPERATOR)
    assert caller.user is not None
    await AgentService(site.database, managed=False).create(
        Actor.server(1), user_id=caller.user.id, name=name, endpoint=name, skills=[]
    )
    return caller, caller.user.id


def register(user_id: int) -> str:
    sender = f"From: <sip:{endpoint_of(user_id)}@dozvon>;tag=1"
    return f"REGISTER sip:dozvon SIP/2.0\r\n{sender}\r\nContent-Length: 0\r\n\r\n"
