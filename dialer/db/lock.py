"""One engine a server's name: a second one would take the first one's calls for its own.

Servers of different names share a database by leases (dialer.servers); this keeps two engines of one name
apart, a former one that has not ended and its successor above all. The lock is PostgreSQL's advisory one,
held by a connection of its own: it is free in the moment that its holder ends, whatever ends it. Who finds it
taken stands by.
"""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from dialer.db.session import CONNECTION_ERRORS, connect
from dialer.errors import Conflict, DatabaseUnavailable

log = structlog.get_logger(__name__)

#: "doze" in ASCII.
ENGINE_LOCK = 0x646F7A65
#: Between two looks whether the lock is free, or the database back.
LOOK_S = 0.25
#: Seconds between two looks at a connection that says nothing, and until it must have answered.
PROBE_S = 15.0
PROBE_TIMEOUT_S = 5.0

_WHO = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_TAKE = "SELECT pg_try_advisory_lock($1, hashtext($2))"
#: A cut that only we have seen leaves our own session behind, with the lock.
_END_FORMER = """
    SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2
"""


class Alone:
    """The right to be the engine of this name. First `wait`, then `keep` for as long as the work lasts."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: asyncpg.Connection | None = None
        self._lost = asyncio.Event()
        #: the session that holds, or held, the lock
        self._session: asyncpg.Record | None = None

    async def wait(self) -> None:
        """Until no other engine works under this name. Raises DatabaseUnavailable."""
        waiting = False
        while not await self._take():
            if not waiting:
                log.warning(
                    "another_engine_works", reason=f"it works under the name {self._name}; standing by"
                )
                waiting = True
            await asyncio.sleep(LOOK_S)

    async def keep(self) -> None:
        """Take the lock again whenever its connection is lost, until cancelled.

        Raises Conflict when another engine was first: what it has adopted is no longer ours.
        """
        while True:
            await self._until_lost()
            try:
                if not await self._take():
                    raise Conflict(reason="another engine has taken over")
            except DatabaseUnavailable:
                await asyncio.sleep(LOOK_S)  # nothing tells when a database is back

    def end(self) -> None:
        """Leave the place to the next."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _until_lost(self) -> None:
        while self._connection is not None and not self._lost.is_set():
            try:
                async with asyncio.timeout(PROBE_S):
                    await self._lost.wait()
            except TimeoutError:
                # A machine that vanished closes no socket: only a question finds that out.
                try:
                    await self._connection.execute("SELECT 1", timeout=PROBE_TIMEOUT_S)
                except CONNECTION_ERRORS:
                    break
        self.end()

    async def _take(self) -> bool:
        try:
            if self._connection is None or self._lost.is_set():
                self.end()
                self._connection = await connect(self._url, application="dozvon engine")
                self._lost = lost = asyncio.Event()
                self._connection.add_termination_listener(lambda _: lost.set())
                if self._session is not None:
                    await self._connection.execute(_END_FORMER, *self._session, timeout=PROBE_TIMEOUT_S)
            if not await self._connection.fetchval(_TAKE, ENGINE_LOCK, self._name, timeout=PROBE_TIMEOUT_S):
                return False
            self._session = await self._connection.fetchrow(_WHO, timeout=PROBE_TIMEOUT_S)
        except CONNECTION_ERRORS as error:
            self.end()
            raise DatabaseUnavailable(reason=str(error) or type(error).__name__) from error
        return True
