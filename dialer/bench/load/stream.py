"""The stream of events to the pages: 200 agents' screens and five wall boards on one web process.

Events are written as the engine writes them, in transactions of their own, numbered by the server and read
from its streams; the time counts from before the transaction to the line at the reader. Readers and writer
share the bench's own process.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from dialer.bench.load.centre_data import TENANT, Seat
from dialer.bench.load.model import Measured, Say, Wish, spread
from dialer.bench.load.stage import Stage, open_stage
from dialer.db import events

AGENTS, BOARDS = 200, 5
#: Later than this an event is not waited for after the last one was written.
WITHIN_S: Final = 10.0


@dataclass(slots=True)
class Readers:
    """Open streams and what came on them."""

    opened: int = 0
    #: milliseconds from before the transaction to the reader
    ms: list[float] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self, http: ClientSession, url: str, token: str, query: str) -> None:
        """One stream, until cancelled."""
        headers = {"Authorization": f"Bearer {token}"}
        async with http.get(f"{url}/api/v1/events{query}", headers=headers) as reply:
            reply.raise_for_status()
            async for raw in reply.content:
                now = time.perf_counter()
                if raw.startswith(b"event: alive"):
                    self.opened += 1
                elif raw.startswith(b"data: {") and b'"bench.tick"' in raw:
                    self.ms.append((now - json.loads(raw[6:])["payload"]["at"]) * 1000)
                else:
                    continue
                async with self.changed:
                    self.changed.notify_all()

    async def until(self, opened: int = 0, events_read: int = 0, within_s: float = WITHIN_S) -> bool:
        """Wait until so many streams are open and so many events have come; False when they have not."""
        try:
            async with asyncio.timeout(within_s), self.changed:
                await self.changed.wait_for(lambda: self.opened >= opened and len(self.ms) >= events_read)
        except TimeoutError:
            return False
        return True


class Stream:
    """Events a second to 205 open streams."""

    name = "stream"
    title = (
        "Server-sent events on one web process: 200 agents' streams, each with the events of its own agent, "
        "and 5 wall boards with all; from before the transaction of the fact to the reader"
    )
    columns = (
        ("written_per_s", "events/s written"),
        ("delivered_per_s", "delivered"),
        ("delivered", "in all"),
        ("ms_p50", "p50, ms"),
        ("ms_p95", "p95"),
        ("ms_p99", "p99"),
        ("web_cores", "cores: web"),
        ("web_cpu_per_event", "web CPU s an event written"),
        ("db_cores", "PostgreSQL"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a rate of events written."""
        every = [20] if wish.short else [20, 100, 300]
        rates = [rate for rate in every if (self.name, f"rate={rate}", wish.short) not in wish.known]
        if not rates:
            return
        seconds = 3.0 if wish.short else 20.0
        agents = 40 if wish.short else AGENTS
        async with open_stage(say, agents=agents, leads=1, paper=True) as stage:
            seats, readers = stage.seats, Readers()
            stream = ClientTimeout(total=None, sock_read=60)
            async with ClientSession(connector=TCPConnector(limit=0), timeout=stream) as http:
                board = stage.data.supervisor_token
                wanted = [(seat.worker.token, "?agent=me") for seat in seats] + [(board, "")] * BOARDS
                tasks = [asyncio.create_task(readers.read(http, stage.server.url, *each)) for each in wanted]
                try:
                    if not await readers.until(opened=len(wanted), within_s=60):
                        raise TimeoutError("the streams did not open")
                    for rate in rates:
                        yield await self._at(stage, seats, readers, rate, seconds, wish)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)

    async def _at(
        self, stage: Stage, seats: list[Seat], readers: Readers, rate: int, seconds: float, wish: Wish
    ) -> Measured:
        rng = random.Random(f"{wish.seed} {rate}")  # noqa: S311
        readers.ms.clear()
        cpu, began = stage.cpu(), time.perf_counter()
        many = round(rate * seconds)
        for n in range(many):
            await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
            async with stage.server.database.tenant(TENANT) as conn:
                await events.emit(
                    conn,
                    "bench.tick",
                    {"at": time.perf_counter(), "n": n},
                    tenant_id=TENANT,
                    agent_id=rng.choice(seats).worker.agent_id,
                )
        written_s = time.perf_counter() - began
        expected = many * (1 + BOARDS)
        whole = await readers.until(events_read=expected)
        passed_s = time.perf_counter() - began
        spent = stage.cpu().since(cpu)
        came = len(readers.ms)
        return Measured(
            self.name,
            f"rate={rate}",
            wish.seed,
            wish.short,
            {
                "written_per_s": many / written_s,
                "delivered_per_s": came / passed_s,
                "delivered": came,
                "streams": len(seats) + BOARDS,
                **spread(readers.ms, "ms"),
                "web_cores": spent["web"] / passed_s,
                "web_cpu_per_event": spent["web"] / many,
                "db_cores": spent["db"] / passed_s,
            },
            broken="" if whole and came == expected else f"{came} of {expected} events came",
        )


STREAM = Stream()
