"""Running links for tests: started, watched while they run, and checked to leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dialer.asterisk.ami import Address, AmiLink, LinkUp
from dialer.errors import AsteriskUnavailable

#: Long enough never to pass on a busy machine.
NEVER_S = 60.0
ORIGINATE = {"Action": "Originate", "Channel": "PJSIP/1@t", "ChannelId": "a-1", "Async": "true"}


@asynccontextmanager
async def running(address: Address, **options: Any) -> AsyncIterator[AmiLink]:
    """A link that runs; at the end it is closed and must leave no task and no entry behind."""
    before = asyncio.all_tasks()
    link = AmiLink(address, **{"action_timeout_s": 10.0, "ping_s": NEVER_S} | options)
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        await asyncio.wait_for(link.close(), 30)
        await asyncio.wait_for(task, 30)
        assert not link.up
        left = {each for each in asyncio.all_tasks() - before if "ami-link" in each.get_name()}
        assert not left


async def take(link: AmiLink, timeout_s: float = 10.0) -> Any:
    return await asyncio.wait_for(link.inbox.get(), timeout_s)


async def until(link: AmiLink, kind: type) -> Any:
    while not isinstance(item := await take(link), kind):
        pass
    return item


async def failure(call: Awaitable[object]) -> AsteriskUnavailable:
    with pytest.raises(AsteriskUnavailable) as caught:
        await call
    return caught.value


async def booted(link: AmiLink) -> LinkUp:
    """Take the login's mark and the event that Asterisk says at each login."""
    up = await take(link)
    assert isinstance(up, LinkUp)
    assert (await take(link)).name == "FullyBooted"
    return up
