"""One look for all who look."""

from __future__ import annotations

import asyncio

import pytest

from dialer.boards.sharing import Shared


class Source:
    """A value that is read when it is let."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0
        self.begun = asyncio.Event()
        self.both = asyncio.Event()
        self.go = asyncio.Event()

    async def read(self, key: int) -> tuple[int, int]:
        self.reads += 1
        found = self.value
        self.begun.set()
        if self.reads == 2:
            self.both.set()
        await self.go.wait()
        return key, found


async def test_whoever_asks_during_a_read_is_told_what_was_read_after_it() -> None:
    """Many who ask meanwhile share one further read, which sees what the first could not."""
    source = Source()
    shared = Shared(0.0, source.read)
    first = asyncio.create_task(shared.get(1))
    await source.begun.wait()
    source.value = 7
    later = [asyncio.create_task(shared.get(1)) for _ in range(5)]
    await asyncio.sleep(0)
    source.go.set()
    assert await first == (1, 0)
    assert await asyncio.gather(*later) == [(1, 7)] * 5
    assert source.reads == 2


async def test_keys_do_not_wait_for_one_another() -> None:
    """Tenants are read apart."""
    source = Source()
    shared = Shared(0.0, source.read)
    one, two = asyncio.create_task(shared.get(1)), asyncio.create_task(shared.get(2))
    await source.both.wait()
    source.go.set()
    assert (await one, await two) == ((1, 0), (2, 0))


async def test_one_who_goes_away_takes_nothing_from_the_others_and_a_fault_is_not_kept() -> None:
    """The read goes on for who still waits; after one that failed the next is tried."""
    source = Source()
    shared = Shared(0.0, source.read)
    gone, stays = asyncio.create_task(shared.get(1)), asyncio.create_task(shared.get(1))
    await source.begun.wait()
    gone.cancel()
    source.go.set()
    assert await stays == (1, 0)

    async def fail(key: int) -> int:
        if not failed:
            failed.append(key)
            raise RuntimeError("once")
        return key

    failed: list[int] = []
    failing = Shared(0.0, fail)
    with pytest.raises(RuntimeError):
        await failing.get(1)
    assert await failing.get(1) == 1
