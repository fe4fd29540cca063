"""Leads that an import owes: made of the people of a batch beside the writing of the next batch.

Both take their time in the database, and each connection has a core of its own there. The transaction that
writes a batch notes whom it owes a lead; a second one makes the leads and strikes the note off. What a kill
has left is made first by whoever goes on with the import.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import leadstore
from dialer.contacts.leadstore import Newcomers
from dialer.contacts.model import ImportJob
from dialer.db.prepared import Prepared

log = structlog.stdlib.get_logger(__name__)

_NOTE = Prepared("""
    INSERT INTO import_owed (tenant_id, import_id, last_row, contact_ids)
    VALUES (:tenant_id, :import_id, :last_row, CAST(:contact_ids AS bigint[]))
""")
_STRIKE_OFF = Prepared("""
    DELETE FROM import_owed
     WHERE tenant_id = :tenant_id AND import_id = :import_id AND last_row = :last_row
""")
_LEFT = Prepared("""
    SELECT last_row, contact_ids FROM import_owed
     WHERE tenant_id = :tenant_id AND import_id = :import_id ORDER BY last_row
""")


@dataclass(frozen=True, slots=True)
class Owed:
    """The people of a batch who get a lead, where they have none."""

    #: of the file, of the batch
    last_row: int
    #: contacts of the list
    known: Sequence[int]
    #: those whom the batch has added; None: nobody, or it is not known any more
    newcomers: Newcomers | None = None

    @property
    def ids(self) -> list[int]:
        """All of them."""
        return [*self.known, *(self.newcomers.ids if self.newcomers else ())]


async def note(conn: AsyncConnection, tenant_id: int, import_id: int, owed: Owed) -> None:
    """Keep what is owed."""
    await _NOTE.run(
        conn, tenant_id=tenant_id, import_id=import_id, last_row=owed.last_row, contact_ids=owed.ids
    )


async def left(conn: AsyncConnection, tenant_id: int, import_id: int) -> list[Owed]:
    """What an import owes, in the order of the file."""
    rows = await _LEFT.rows(conn, tenant_id=tenant_id, import_id=import_id)
    return [Owed(row.last_row, row.contact_ids) for row in rows]


async def pay(conn: AsyncConnection, tenant_id: int, job: ImportJob, owed: Owed) -> int:
    """Make the leads and strike the note off, unless somebody else has; how many leads."""
    assert job.campaign_id is not None
    if not await _STRIKE_OFF.run(conn, tenant_id=tenant_id, import_id=job.id, last_row=owed.last_row):
        return 0
    # Of two files for one campaign each would wait for leads of the other.
    key = func.hashtextextended(f"dozvon.import.leads:{tenant_id}:{job.campaign_id}", 0)
    await conn.execute(select(func.pg_advisory_xact_lock(key)))
    of = (conn, tenant_id, job.campaign_id, job.list_id)
    made = await leadstore.add_leads(*of, owed.known)
    if owed.newcomers is not None:
        made += await leadstore.add_leads_of_newcomers(*of, owed.newcomers)
    return made


class Beside:
    """One piece of work at a time, beside that of who has begun it; over when the context is."""

    def __init__(self) -> None:
        self._work: asyncio.Task[None] | None = None

    async def ended(self) -> None:
        """Until there is none. Raises what it has raised."""
        if self._work is not None:
            work, self._work = self._work, None
            await work

    async def begin(self, work: Coroutine[None, None, None]) -> None:
        """Once the one before is over. Raises what that has raised; then this is not begun."""
        try:
            await self.ended()
        except BaseException:
            work.close()
            raise
        self._work = asyncio.create_task(work)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.ended()
        elif self._work is not None:
            if isinstance(error, asyncio.CancelledError):
                self._work.cancel()
            await asyncio.wait([self._work])
            if not self._work.cancelled() and (also := self._work.exception()):
                log.warning("import_leads_failed", reason=str(also))
