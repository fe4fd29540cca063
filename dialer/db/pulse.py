"""Whether the database answers, asked every second on a connection of its own.

A database that ends closes its sockets, and everybody knows at once. One that is frozen, or whose machine has
vanished, says nothing: what was asked of it would wait for minutes, and with it the person who asked. So a
process that serves people runs a `Pulse`: when the database has been silent for `SILENT_S`, every question in
flight ends with DatabaseUnavailable, and new ones are refused at once until it answers again. A long report
is not touched by that: the database answers beside it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg
import structlog

from dialer.db.session import CONNECTION_ERRORS, Database, connect
from dialer.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

#: Between two questions.
LOOK_S = 1.0
#: A database that has not answered for so long is away.
SILENT_S = 3.0
#: Between two tries to reach one that is away.
AGAIN_S = 0.25


class Pulse:
    """Watches over the database of one process. `run` until cancelled."""

    def __init__(self, database: Database, url: str, *, silent_s: float = SILENT_S) -> None:
        self._database = database
        self._url = url
        self._silent_s = silent_s

    async def run(self) -> None:
        """Ask, and tell the process's `Database` what comes of it."""
        while True:
            try:
                connection = await connect(self._url, application="dozvon pulse", timeout_s=self._silent_s)
            except DatabaseUnavailable as error:
                self._away(str(error.details["reason"]))
                await asyncio.sleep(AGAIN_S)  # nothing tells when a database is back
                continue
            try:
                await self._feel(connection)
            finally:
                connection.terminate()

    async def _feel(self, connection: asyncpg.Connection) -> None:
        """Until the connection is lost or silent."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        while await self._answers(connection):
            if self._database.silent_since is not None:
                log.info("database_is_back", silent_since=self._database.silent_since.isoformat())
                self._database.answers()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await lost.wait()

    async def _answers(self, connection: asyncpg.Connection) -> bool:
        asking = asyncio.ensure_future(connection.fetchval("SELECT 1"))
        try:
            # Twice half the time: a process that was itself held up finds the answer at its second look.
            for _ in range(2):
                await asyncio.wait({asking}, timeout=self._silent_s / 2)
            if not asking.done():
                self._away(f"it has not answered for {self._silent_s:g} s")
                return False
            asking.result()
        except CONNECTION_ERRORS:
            return False  # the connection was lost: the next try says whether the database was
        finally:
            if not asking.done():
                connection.terminate()
                await asyncio.gather(asking, return_exceptions=True)
        return True

    def _away(self, reason: str) -> None:
        if self._database.silent_since is None:
            log.error("database_is_away", reason=reason)
        self._database.fall_silent(reason)
