"""From a file to a list: batch by batch, each one transaction, so that a kill costs one batch at most.

Worker processes read (`parsing`), this one decides who each row is (`matching`), and the database takes a
batch of new people by COPY and INSERT ... SELECT (`peoplestore`). The file lies in the data folder until its
import has ended. What a batch has loaded and how far it got are committed together; whoever goes on after a
kill skips that many rows. Rows that are already there are duplicates in any case, so nothing comes in twice
however often a file is brought.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import fields_store, history, importstore, peoplestore, store
from dialer.contacts.batches import Batch, line_of, person_of
from dialer.contacts.columns import Field
from dialer.contacts.files import inspect
from dialer.contacts.history import Kind
from dialer.contacts.matching import Gained, Headers, Sorted, gain_all, person_at, sort_people
from dialer.contacts.model import Counts, ImportJob, ImportStatus, Owner
from dialer.contacts.parsing import parsing
from dialer.contacts.rejects import Reject, RejectCode
from dialer.db.events import emit, wake
from dialer.db.session import Database, encode_json
from dialer.errors import DatabaseUnavailable, DozvonError, ImportInterrupted, NotFound, UnreadableFile
from dialer.settings import Settings, load

log = structlog.stdlib.get_logger(__name__)

#: Least time between two progress events of an import.
PROGRESS_EVERY_S = 0.5

Progress = Callable[[ImportJob], None]


def file_of(settings: Settings, tenant_id: int, import_id: int) -> Path:
    """Where the file of an import lies until the import has ended."""
    return settings.data_dir / "imports" / f"{tenant_id}-{import_id}.csv"


async def run_next_import(database: Database, settings: Settings | None = None) -> bool:
    """Load the oldest file that waits, or that a killed process left half done; False: there is none.

    A file that cannot be read ends as a failed import. Raises DatabaseUnavailable; the import then goes on
    with the next call. Needs two connections of the pool.
    """
    settings = settings or load()
    for tenant_id in await database.tenants():
        if await run_import(database, settings, tenant_id):
            return True
    return False


async def run_import(
    database: Database,
    settings: Settings,
    tenant_id: int,
    import_id: int | None = None,
    progress: Progress | None = None,
) -> bool:
    """As `run_next_import`, of one tenant; of one import, if named. `progress` is called after each batch."""
    async with database.tenant(tenant_id) as claim:
        job = await importstore.claim_import(claim, tenant_id, import_id)
        if job is None:
            return False
        path = file_of(settings, tenant_id, job.id)
        run = _Run(database, tenant_id, job, settings.default_region, progress or (lambda _job: None))
        error: DozvonError | None = None
        try:
            await run.load(path)
        except DatabaseUnavailable:
            raise  # the file stays, and the import is not over
        except ImportInterrupted:
            # The claim's connection was lost, and another process has taken over: the import is its own now.
            log.warning("import_taken_over", import_id=job.id)
            return True
        except DozvonError as raised:
            error = raised
        except OSError as raised:
            log.exception("import_file_lost", import_id=job.id)
            error = UnreadableFile(reason=raised.strerror or "the disk refuses it")
        except Exception:
            # Our own fault: without an end it would be tried again for ever, and hold up those behind it.
            log.exception("import_failed", import_id=job.id)
            error = DozvonError()
        await run.finish(error)
        await asyncio.to_thread(path.unlink, missing_ok=True)
    return True


class _Run:
    """One import at work in this process."""

    def __init__(
        self, database: Database, tenant_id: int, job: ImportJob, region: str, progress: Progress
    ) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._job = job
        self._region = region
        self._progress = progress
        self._headers = Headers(())
        self._told_at = float("-inf")

    async def load(self, path: Path) -> None:
        """Load what is left of the file. Raises UnreadableFile, ImportInterrupted, DatabaseUnavailable."""
        layout = await asyncio.to_thread(inspect, path, self._job.reading)
        self._headers = Headers(layout.columns)
        async with self._database.tenant(self._tenant_id) as conn:
            await importstore.start_import(conn, self._tenant_id, self._job.id)
            self._job = replace(self._job, status=ImportStatus.RUNNING)
            await self._tell(conn)
        async with parsing(path, layout, self._region, after=self._job.counts.rows) as batches:
            async for batch in batches:
                await self._store(batch)

    async def _store(self, batch: Batch) -> None:
        job = self._job
        async with self._database.tenant(self._tenant_id) as conn:
            if not await store.lock_list(conn, self._tenant_id, job.list_id):
                raise NotFound(what="list", key=job.list_id)
            await store.lock_people(conn, self._tenant_id)
            numbers = {number for own in batch.numbers for number in own}
            known = await store.known_numbers(conn, self._tenant_id, job.list_id, sorted(numbers))
            people = sort_people(batch.numbers, known)
            gained = await self._gained(conn, batch, people, known)
            ids, rejects = await self._add(conn, batch, people, gained)
            await store.join_list(conn, self._tenant_id, job.list_id, [*sorted(people.joining), *ids])
            if job.campaign_id is not None and await store.add_leads(
                conn,
                self._tenant_id,
                job.campaign_id,
                job.list_id,
                [*sorted(people.joining | people.listed), *ids],
            ):
                await wake(conn, "campaigns", tenant_id=self._tenant_id)
            for row, _, found in gained.gains:
                rejects += self._headers.rejects(row.row, found)
            rejects = sorted([*batch.rejects, *rejects], key=lambda one: one.row)
            await importstore.add_rejects(conn, self._tenant_id, job.id, rejects)
            counts = Counts(
                rows=batch.last,
                loaded=job.counts.loaded + len(people.new),
                joined=job.counts.joined + len(people.joining),
                duplicates=job.counts.duplicates + people.duplicates,
                rejected=job.counts.rejected + batch.rejected,
                filled=job.counts.filled + gained.rows,
            )
            if not await importstore.advance_import(conn, self._tenant_id, job.id, job.counts, counts):
                raise ImportInterrupted(import_id=job.id)
            self._job = replace(job, counts=counts)
            if time.monotonic() - self._told_at >= PROGRESS_EVERY_S:
                await self._tell(conn)
        self._progress(self._job)

    async def _add(
        self, conn: AsyncConnection, batch: Batch, people: Sorted, gained: Gained
    ) -> tuple[list[int], list[Reject]]:
        """Insert who is new, as later rows of the batch have them; their ids, and what fits no field."""
        lines, zones = list(batch.lines), {tuple(one.split(",")): n for n, one in enumerate(batch.zones, 1)}
        for person, card in gained.changed.items():
            if person < 0:
                place = person_at(person)
                lines[place] = line_of(card.onto(batch.person(place)), zones)
        new = [lines[place] for place in people.new]
        sets = [",".join(one) for one in zones]
        ids = await peoplestore.add_people(conn, self._tenant_id, new, sets)
        read = await fields_store.reader(conn, self._tenant_id)
        if not read:
            return ids, []
        rows = [person_of(line, sets) for line in new]
        customs = zip(ids, [row.custom for row in rows], strict=True)
        misfits = await fields_store.add_values(conn, self._tenant_id, read, customs)
        return ids, [
            Reject.of(row.row, wrong.name, RejectCode(wrong.code), wrong.value)
            for contact_id, row in zip(ids, rows, strict=True)
            for wrong in misfits.get(contact_id, ())
        ]

    async def _gained(
        self, conn: AsyncConnection, batch: Batch, people: Sorted, known: Mapping[str, Owner]
    ) -> Gained:
        """What the rows of a batch give to people who are known, written; of those in the batch, to be."""
        ids = sorted({person for _, person in people.known if person > 0})
        cards = await peoplestore.cards(conn, self._tenant_id, ids)
        gained = gain_all(people, batch.person, cards, known, self._job.wins)
        changed = {person: card for person, card in gained.changed.items() if person > 0}
        await peoplestore.fill(conn, self._tenant_id, changed)
        facts: list[tuple[int, str, int | None, Mapping[str, Any]]] = []
        retyped = set[int]()
        for _, person, found in gained.gains:
            if person < 0:
                continue
            values = {
                f"custom.{one.key}" if one.field is Field.CUSTOM else one.field.value: [one.before, one.after]
                for one in found.changes
                if one.field is not Field.PHONE
            }
            if values:
                facts.append((person, Kind.CHANGED, self._job.created_by, values))
            if any(one.field is Field.CUSTOM for one in found.changes):
                retyped.add(person)
            facts += [
                (person, Kind.PHONE_ADDED, self._job.created_by, {"e164": one.after})
                for one in found.changes
                if one.field is Field.PHONE
            ]
        await history.add_all(conn, self._tenant_id, facts)
        if retyped:
            await fields_store.rewrite_values(conn, self._tenant_id, sorted(retyped))
        return gained

    async def finish(self, error: DozvonError | None) -> None:
        """Write the end."""
        said = encode_json({"id": error.id, "details": error.details}) if error else None
        status = ImportStatus.FAILED if error else ImportStatus.DONE
        async with self._database.tenant(self._tenant_id) as conn:
            await importstore.finish_import(conn, self._tenant_id, self._job.id, said)
            self._job = replace(self._job, status=status, error=said)
            await self._tell(conn)
        log.info("import_ended", import_id=self._job.id, status=status.value, rows=self._job.counts.rows)
        self._progress(self._job)

    async def _tell(self, conn: AsyncConnection) -> None:
        counts = self._job.counts
        payload = {
            "import_id": self._job.id,
            "list_id": self._job.list_id,
            "status": self._job.status.value,
            "rows": counts.rows,
            "loaded": counts.loaded,
            "joined": counts.joined,
            "duplicates": counts.duplicates,
            "rejected": counts.rejected,
            "filled": counts.filled,
        }
        await emit(
            conn, "import.progress", payload, tenant_id=self._tenant_id, campaign_id=self._job.campaign_id
        )
        self._told_at = time.monotonic()
