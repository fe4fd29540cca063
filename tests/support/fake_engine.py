"""An engine without an Asterisk, which notes what it is asked, and the desk that asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from dialer.calls.commands import CommandDesk, CommandRunner
from dialer.calls.model import Call
from dialer.db.listen import ENGINE, REPLIES, Listener
from dialer.db.session import Database
from dialer.ids import new_id
from support.floor import TENANT, Floor, Seat


@dataclass(slots=True)
class FakeEngine:
    """The doing side of commands, without an Asterisk: notes what it is asked."""

    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    refuses: Exception | None = None
    attempt_id: UUID = field(default_factory=new_id)
    #: a command has come to it
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    #: it gets on with what it was asked
    works: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.works.set()

    async def take(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one command."""
        self.asked.append((kind, payload))
        self.begun.set()
        await self.works.wait()
        if self.refuses is not None:
            raise self.refuses
        return {"attempt_id": str(self.attempt_id)}


@asynccontextmanager
async def asked_by_a_desk(
    database: Database, database_url: str
) -> AsyncIterator[tuple[FakeEngine, CommandDesk]]:
    """A fake engine that is running, and the desk that asks it."""
    fake = FakeEngine()

    async def do(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return await fake.take(kind, payload)

    handlers = {
        kind: lambda _tenant, payload, kind=kind: do(kind, payload)
        for kind in ("hang_up", "dial_lead", "dial_number")
    }
    runner = CommandRunner(database, "main", lambda _tenant: range(1, 100), handlers)
    listener = Listener(database_url, (ENGINE, REPLIES))
    notes: asyncio.Queue[str] = asyncio.Queue()
    listener.subscribe(ENGINE, notes.put_nowait)
    desk = CommandDesk(database, listener)

    async def work() -> None:
        while True:
            await notes.get()
            await runner.run_all(TENANT)

    tasks = [asyncio.create_task(listener.run()), asyncio.create_task(work())]
    try:
        yield fake, desk
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wrapped_up(floor: Floor, seat: Seat, lead_id: int | None = None) -> Call:
    """A talk whose customer has left and whose disposition is owed."""
    return await floor.hang_up(await floor.talk(seat, lead_id))
