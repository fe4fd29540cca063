"""One look for all who look at the same: whoever asks is told what was read after they asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Slot(Generic[T]):
    """Of one key."""

    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: the read that has not begun: who asks now gets what it gives
    coming: asyncio.Task[T] | None = None
    #: when the last one began, by the loop's clock
    began_s: float = float("-inf")


class Shared(Generic[T]):
    """What `read` gives for a key.

    One read at a time, each `every_s` seconds after the one before it began at the earliest; all who ask
    before it begins share it. So nobody sees less than was so when they asked.
    """

    def __init__(self, every_s: float, read: Callable[[int], Awaitable[T]]) -> None:
        self._every_s = every_s
        self._read = read
        self._slots: dict[int, _Slot[T]] = {}

    async def get(self, key: int) -> T:
        """What the next read gives. Raises what it raises."""
        slot = self._slots.setdefault(key, _Slot())
        if slot.coming is None:
            slot.coming = asyncio.create_task(self._later(key, slot))
            # When nobody waits any more, nobody asks what went wrong.
            slot.coming.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Who goes away takes nothing from the others.
        return await asyncio.shield(slot.coming)

    async def _later(self, key: int, slot: _Slot[T]) -> T:
        loop = asyncio.get_running_loop()
        async with slot.reading:
            await asyncio.sleep(max(0.0, slot.began_s + self._every_s - loop.time()))
            slot.coming, slot.began_s = None, loop.time()
            return await self._read(key)
