"""Music while somebody waits for an agent: not for who is given one at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.agi_peers import Floor, floor_of

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.tickets import music_unless_at_once


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with floor_of() as running:
        yield running


async def test_music_begins_where_nobody_is_free(floor: Floor) -> None:
    """The class of the queue."""

    async def waits(call: AgiCall) -> bool:
        chosen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        return await music_unless_at_once(call, chosen, 60.0, "default")

    floor.handle(waits)
    peer = await floor.peer()
    await peer.ask()
    assert await peer.line() == "SET MUSIC ON default\n"
    await peer.say("200 result=0\n")
    assert await floor.outcome() is True


async def test_who_has_an_agent_at_once_hears_no_music(floor: Floor) -> None:
    """Asterisk is not even asked."""

    async def waits(call: AgiCall) -> bool:
        loop = asyncio.get_running_loop()
        chosen: asyncio.Future[Any] = loop.create_future()
        loop.call_soon(chosen.set_result, "an agent")
        return await music_unless_at_once(call, chosen, 60.0, "default")

    floor.handle(waits)
    peer = await floor.peer()
    await peer.ask()
    assert await floor.outcome() is False
