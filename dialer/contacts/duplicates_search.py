"""The job that looks for duplicates of new and changed contacts.

It goes along the ids of contacts, and besides takes those that triggers have named because they were changed.
Each step is one transaction: the keys of some contacts, those whom they meet, the pairs that are worth a
look, and how far it came. A process that is killed loses one step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import combinations

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import duplicates_store as store
from dialer.contacts.duplicates import SUGGEST_FROM, Score, compare
from dialer.contacts.persons import Person, keys
from dialer.contacts.store import lock_people
from dialer.db.events import emit
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable

log = structlog.stdlib.get_logger(__name__)

#: Between two looks for new and changed contacts.
EVERY_S = 10.0
#: Contacts of one transaction.
BATCH = 500
#: A contact of so many seconds ago is looked at: a card that was begun before it, by hand, is there by then.
SETTLED_S = 10.0


class DuplicateSearch:
    """Looks for duplicates of new and changed contacts, of every tenant. `rest` is the share of the time in
    which the database is left alone."""

    def __init__(
        self, database: Database, *, batch: int = BATCH, rest: float = 0.5, settled_s: float = SETTLED_S
    ) -> None:
        self._database = database
        self._batch = batch
        self._rest = rest
        self._settled_s = settled_s

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again later."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                for tenant_id in await self._database.tenants():
                    began_s = loop.time()
                    while await self.step(tenant_id):
                        # Leaves the processor and the database to the calls.
                        await asyncio.sleep((loop.time() - began_s) * self._rest / (1 - self._rest))
                        began_s = loop.time()
            except DatabaseUnavailable as error:
                log.warning("duplicates_wait", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def round(self) -> int:
        """Look at all that is new or changed, of every tenant; how many contacts."""
        looked = 0
        for tenant_id in await self._database.tenants():
            while many := await self.step(tenant_id):
                looked += many
        return looked

    async def step(self, tenant_id: int) -> int:
        """Look at the next contacts; how many. Of several servers one looks at a time."""
        async with self._database.tenant(tenant_id) as conn:
            done_id = await store.begin(conn, tenant_id)
            ids = await store.changed(conn, tenant_id, self._batch)
            if not ids:
                # Imports hold that lock: below the ids that are seen now, none is still to come.
                await lock_people(conn, tenant_id)
                ids = await store.fresh(conn, tenant_id, done_id, self._settled_s, self._batch)
                if ids:
                    await store.done(conn, tenant_id, ids[-1])
            if ids:
                await self._look(conn, tenant_id, ids)
        return len(ids)

    async def _look(self, conn: AsyncConnection, tenant_id: int, ids: Sequence[int]) -> None:
        mine = await store.people(conn, tenant_id, ids)
        # Who was erased, or is gone, has none.
        own = {one: keys(mine[one]) if one in mine else frozenset[str]() for one in ids}
        await store.write_keys(conn, tenant_id, own)
        meeting = await store.meet(conn, tenant_id, frozenset[str]().union(*own.values()))
        wanted = {contact_id for block in meeting.values() for contact_id in block}
        known = mine | await store.people(conn, tenant_id, wanted - set(mine))
        met = {
            pair
            for block in meeting.values()
            for pair in combinations(sorted(block), 2)
            if (pair[0] in mine or pair[1] in mine) and pair[0] in known and pair[1] in known
        }
        pairs = await asyncio.to_thread(_scored, sorted(met), known)
        new = await store.write_pairs(conn, tenant_id, ids, pairs)
        if new:
            await emit(conn, "contact.duplicates_found", {"pairs": new}, tenant_id=tenant_id)


def _scored(met: Sequence[tuple[int, int]], known: Mapping[int, Person]) -> list[tuple[int, int, Score]]:
    """Those of the pairs that are worth a person's look. In a thread: it is all arithmetic."""
    scored = [(first, second, compare(known[first], known[second])) for first, second in met]
    return [pair for pair in scored if pair[2].value >= SUGGEST_FROM]
