"""Closes hours that are over: their figures are counted once, and reports add them up.

An hour is closed when all of its attempts have ended, and never before the one before it. What may happen to
it later all the same (the journal writes late, a clock was set back, somebody mends a row by hand) is told by
triggers: they move `report_state` back, and the hours from there on are counted again. That nobody slips
through between the two goes so:

1. `marked_until` is moved on, and committed. Whoever writes before it from now on is seen by the trigger.
2. Every transaction that may have looked before that is waited for.
3. The hours up to the mark are closed, each in a transaction that holds the tenant's row of `report_state`,
   where a trigger has to wait.

Each step may be the last one of a process: the next begins again at the first. Of several servers one closes
a tenant's hours at a time, by the lock of that row.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import structlog

from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.reports import closing_store as store

log = structlog.get_logger(__name__)

EVERY_S = 30.0
#: An hour is left alone for so long after its end: its last talks go on, and would hold it open.
GRACE = timedelta(minutes=2)
#: Transactions that write take milliseconds; one that takes longer is waited for in the next round.
SETTLED_IN_S = 5.0
LOOK_S = 0.05


class Closing:
    """Closes the hours of one installation. Agents' time of so many days ago stays as it was once counted:
    its rows may have been deleted. `rest` is the share of the time in which a long past is left alone."""

    def __init__(
        self, database: Database, agent_time_days: int, *, grace: timedelta = GRACE, rest: float = 0.5
    ) -> None:
        self._database = database
        self._agent_time_days = agent_time_days
        self._grace = grace
        self._rest = rest

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again later."""
        while True:
            try:
                await self.round()
            except DatabaseUnavailable as error:
                log.warning("closing_waits", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def round(self) -> int:
        """Close what can be closed, of every tenant; how many times an hour was."""
        closed = 0
        for tenant_id in await self._database.tenants():
            closed += await self._close(tenant_id)
        return closed

    async def _close(self, tenant_id: int) -> int:
        async with self._database.tenant(tenant_id) as conn:
            await store.mark(conn, tenant_id, self._grace)
        async with self._database.tenant(tenant_id) as conn:
            marked = await store.marked(conn, tenant_id)
            fence = await store.next_transaction(conn)
        if marked is None or marked.closed_until >= marked.marked_until or not await self._settled(fence):
            return 0
        closed, more = 0, True
        time_since = utc_now() - timedelta(days=self._agent_time_days)
        while more:
            began_s = time.monotonic()
            async with self._database.tenant(tenant_id) as conn:
                more = await store.close_next(
                    conn, tenant_id, marked.marked_until, marked.reopened, time_since
                )
            closed += 1
            # Leaves the database to the calls.
            await asyncio.sleep((time.monotonic() - began_s) * self._rest / (1 - self._rest))
        return closed

    async def _settled(self, fence: int) -> bool:
        """Wait until every transaction before that number has ended; whether it has come to that."""
        until_s = time.monotonic() + SETTLED_IN_S
        while True:
            async with self._database.system() as conn:
                if await store.oldest_transaction(conn) >= fence:
                    return True
            if time.monotonic() > until_s:
                log.info("closing_waits", reason="a long transaction")
                return False
            await asyncio.sleep(LOOK_S)  # nothing tells that a transaction has ended
