"""A witness of acknowledged writes: a client that writes numbers, one after another, and remembers which of
them the database has said yes to. None of these may be missing afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncpg

from dialer.db.session import CONNECTION_ERRORS, connect
from dialer.errors import DatabaseUnavailable

#: Between two writes, and between two tries to reach a database that is away.
PACE_S = 0.05
#: A commit that takes longer is given up: it may have happened, and counts as not acknowledged.
PATIENCE_S = 3.0


@dataclass(slots=True)
class Writer:
    """Use `open`."""

    url: str
    acknowledged: list[int] = field(default_factory=list)
    #: seconds between the last yes before and the first after now; see `longest_gap`
    _gaps: list[float] = field(default_factory=list)
    _last_s: float = 0.0
    #: see `news`
    _told: int = 0
    _lost: set[int] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def open(cls, admin_url: str) -> AsyncIterator[Writer]:
        """One that writes into a table of its own as long as the block lasts. Raises DatabaseUnavailable."""
        connection = await connect(admin_url)
        try:
            await connection.execute("CREATE TABLE written (number bigint PRIMARY KEY)")
        finally:
            await connection.close(timeout=PATIENCE_S)
        writer = cls(admin_url)
        task = asyncio.create_task(writer._run(), name="writer")
        try:
            yield writer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def longest_gap(self) -> float:
        """The longest time without a yes since this was asked last, seconds."""
        now_s = asyncio.get_running_loop().time()
        longest = max([*self._gaps, now_s - self._last_s])
        self._gaps.clear()
        return longest

    async def news(self) -> tuple[int, int]:
        """How many writes were acknowledged since this was asked last, and how many of all that ever were are
        missing and were not then. Raises DatabaseUnavailable."""
        said = list(self.acknowledged)
        lost = await self._missing(set(said))
        new = len(said) - self._told, len(lost - self._lost)
        self._told, self._lost = len(said), self._lost | lost
        return new

    async def _missing(self, said: set[int]) -> set[int]:
        connection = await connect(self.url)
        try:
            rows = await connection.fetch("SELECT number FROM written", timeout=30)
        except CONNECTION_ERRORS as error:
            raise DatabaseUnavailable(reason=repr(error)) from error
        finally:
            connection.terminate()
        return said - {row["number"] for row in rows}

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._last_s = loop.time()
        number = 0
        while True:
            with suppress(DatabaseUnavailable, *CONNECTION_ERRORS):
                connection = await connect(self.url, timeout_s=PATIENCE_S)
                try:
                    while True:
                        number += 1
                        await _write(connection, number)
                        self.acknowledged.append(number)
                        self._gaps.append(loop.time() - self._last_s)
                        self._last_s = loop.time()
                        await asyncio.sleep(PACE_S)
                finally:
                    connection.terminate()
            await asyncio.sleep(PACE_S)  # nothing tells when the database is back


async def _write(connection: asyncpg.Connection, number: int) -> None:
    await connection.execute("INSERT INTO written VALUES ($1)", number, timeout=PATIENCE_S)
