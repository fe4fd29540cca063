"""Keeps what is made of contacts as they are: typed values, activity, grids, leads of segments.

One task of the jobs process. Each step is a transaction of its own and can be broken off anywhere: the next
round finds what is still to be done. Of several servers each step is one's, by row locks.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from dialer.contacts import activity, fields_store, rfm_store, segments_store
from dialer.contacts.segments import ExpressionFault, parse
from dialer.contacts.segments_store import Due
from dialer.db.events import emit, wake
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

#: Between two rounds in which nobody has asked for one.
EVERY_S = 5.0
#: Contacts whose values are read in one transaction.
TYPED = 5000


class Keeper:
    """Does what is due, of every tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """There is something to be done."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again later."""
        while True:
            self._asked.clear()
            try:
                for tenant_id in await self._database.tenants():
                    await self.round(tenant_id)
            except DatabaseUnavailable as error:
                log.warning("keeping_waits", reason=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._asked.wait()

    async def round(self, tenant_id: int) -> None:
        """Do all that is due for a tenant."""
        while await self._type(tenant_id):
            pass
        while await self._follow(tenant_id):
            pass
        async with self._database.tenant(tenant_id) as conn:
            grids = await rfm_store.due(conn, tenant_id)
        for grid_id in grids:
            async with self._database.tenant(tenant_id) as conn:
                await rfm_store.recount(conn, tenant_id, grid_id)
        async with self._database.tenant(tenant_id) as conn:
            due = await segments_store.due(conn, tenant_id)
        for what in due:
            await self._lead(tenant_id, what)

    async def _type(self, tenant_id: int) -> bool:
        async with self._database.tenant(tenant_id) as conn:
            field = await fields_store.next_untyped(conn, tenant_id)
            if field is not None:
                await fields_store.type_next(conn, tenant_id, field, TYPED)
        return field is not None

    async def _follow(self, tenant_id: int) -> bool:
        async with self._database.tenant(tenant_id) as conn:
            return await activity.follow(conn, tenant_id)

    async def _lead(self, tenant_id: int, what: Due) -> None:
        async with self._database.tenant(tenant_id) as conn:
            if not await segments_store.lock(conn, tenant_id, what.segment_id):
                return  # it was removed since
            segment = await segments_store.get(conn, tenant_id, what.segment_id)
            assert segment is not None
            make = await segments_store.compiler(conn, tenant_id)
            try:
                expression = parse(segment.expression, make.known, make.gone)
            except ExpressionFault as fault:
                # A field that it names is there no more; its page says so, its leads stay as they are.
                log.warning("segment_broken", segment=what.segment_id, path=fault.path, reason=fault.reason)
                await segments_store.led(conn, tenant_id, what)
                return
            list_id = await segments_store.fill(conn, make, what.segment_id, expression)
            done = await segments_store.lead(conn, tenant_id, what, list_id)
            if done.added or done.closed or done.opened:
                payload = {
                    "campaign_id": what.campaign_id,
                    "segment_id": what.segment_id,
                    "added": done.added,
                    "closed": done.closed,
                    "opened": done.opened,
                }
                await emit(conn, "segment.leads", payload, tenant_id=tenant_id, campaign_id=what.campaign_id)
                await wake(conn, "campaigns", tenant_id=tenant_id)
