"""Who goes by a queue: asked before the queue, or its name, goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.errors import QueueInUse
from dialer.said import Said, told

#: So many names are said of those who serve it.
MOST_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class LedTo:
    """What leads callers to a queue by its name."""

    flows: Sequence[str] = ()
    #: numbers that name it, digits
    numbers: Sequence[str] = ()


#: What leads to the queue of this name; that of the inbound room.
Leading = Callable[[AsyncConnection, int, str], Awaitable[LedTo]]


async def unled(_conn: AsyncConnection, _tenant_id: int, _name: str) -> LedTo:
    """Where nobody calls."""
    return LedTo()


def check(led: LedTo, *, agents: Sequence[str] = (), waiting: int = 0, kept: int = 0) -> None:
    """Raises QueueInUse with all who use it.

    `agents` have a skill that no other queue asks for; so many callers are `waiting`, so many places `kept`.
    """
    parts = list(_parts(led, agents, waiting, kept))
    if not parts:
        return
    used = parts[-1]
    for part in reversed(parts[:-1]):
        used = Said("{first}; {rest}", first=part, rest=used)
    raise QueueInUse(
        led.flows, used=used, numbers=list(led.numbers), agents=list(agents), waiting=waiting, kept=kept
    )


def _parts(led: LedTo, agents: Sequence[str], waiting: int, kept: int) -> Iterator[Said]:
    if led.flows:
        yield told("flows: {names}", names=", ".join(led.flows))
    if led.numbers:
        yield told("numbers: {names}", names=", ".join(f"+{one}" for one in led.numbers))
    if agents:
        names = told("{names}", names=", ".join(agents[:MOST_NAMES]))
        if len(agents) > MOST_NAMES:
            names = Said("{names} and {more} more", names=names, more=len(agents) - MOST_NAMES)
        yield Said("agents whose skill no other queue asks for: {names}", names=names)
    if waiting:
        yield Said("callers who wait now: {many}", many=waiting)
    if kept:
        yield Said("kept places: {many}", many=kept)
