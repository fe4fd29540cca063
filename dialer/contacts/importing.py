"""From a file to a list: batch by batch, each one transaction, so that a kill costs one batch at most.

The file lies in the data folder until its import has ended. What a batch has loaded and how far it got are
committed together; whoever goes on after a kill skips that many rows. Rows that are already there are
duplicates in any case, so nothing comes in twice however often a file is brought.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import fields_store, importstore, store
from dialer.contacts.columns import Column
from dialer.contacts.files import BadRecord, Layout, Record, inspect, read_records
from dialer.contacts.model import Counts, ImportJob, ImportStatus, NewContact, Owner
from dialer.contacts.rejects import Reject, RejectCode
from dialer.contacts.rows import read_row
from dialer.db.events import emit, wake
from dialer.db.session import Database, encode_json
from dialer.errors import DatabaseUnavailable, DozvonError, ImportInterrupted, NotFound, UnreadableFile
from dialer.settings import Settings, load

log = structlog.stdlib.get_logger(__name__)

#: Rows of a transaction.
BATCH_ROWS = 1000
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


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file, read."""

    #: number of the last row
    last: int
    contacts: tuple[NewContact, ...]
    rejects: tuple[Reject, ...]
    #: rows that are rejected whole
    rejected: int


def read_batch(
    records: Iterator[Record | BadRecord], columns: Sequence[Column], region: str, size: int = BATCH_ROWS
) -> Batch | None:
    """The next `size` rows; None at the end of the file."""
    contacts: list[NewContact] = []
    rejects: list[Reject] = []
    last = rejected = 0
    for record in itertools.islice(records, size):
        last = record.number
        contact, found = read_row(record, columns, region)
        rejects.extend(found)
        if contact is not None:
            contacts.append(contact)
        elif found:
            rejected += 1
    return Batch(last, tuple(contacts), tuple(rejects), rejected) if last else None


@dataclass(frozen=True, slots=True)
class Sorted:
    """The people of a batch: those to be added, and those whom the base has."""

    new: tuple[NewContact, ...]
    #: contacts of other lists only, who are to join this one
    joining: frozenset[int]
    #: contacts of this list that rows of the batch are
    listed: frozenset[int]
    #: rows whose person is in the list, or stood higher in the file
    duplicates: int


def sort_people(contacts: Sequence[NewContact], known: Mapping[str, Owner]) -> Sorted:
    """Who of these rows is new, where `known` has every number that somebody has.

    A row is a person whom the base has when any of its numbers is theirs: one person must not be called as
    two. Of several such persons it is the one whom the list has, else whose number stands first.
    """
    seen: set[str] = set()
    new: list[NewContact] = []
    joining, listed, duplicates = set[int](), set[int](), 0
    for contact in contacts:
        numbers = [phone.e164 for phone in contact.phones]
        owners = [known[number] for number in numbers if number in known]
        if here := [owner.contact_id for owner in owners if owner.in_list]:
            listed.update(here)
            duplicates += 1
        elif owners and owners[0].contact_id not in joining:
            joining.add(owners[0].contact_id)
        elif owners or not seen.isdisjoint(numbers):
            duplicates += 1
        else:
            seen.update(numbers)
            new.append(contact)
    return Sorted(tuple(new), frozenset(joining), frozenset(listed), duplicates)


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
        self._told_at = float("-inf")

    async def load(self, path: Path) -> None:
        """Load what is left of the file. Raises UnreadableFile, ImportInterrupted, DatabaseUnavailable."""
        layout: Layout = await asyncio.to_thread(inspect, path, self._job.reading)
        async with self._database.tenant(self._tenant_id) as conn:
            await importstore.start_import(conn, self._tenant_id, self._job.id)
            self._job = replace(self._job, status=ImportStatus.RUNNING)
            await self._tell(conn)
        records = read_records(path, layout, after=self._job.counts.rows)
        # In a thread: numbers are all arithmetic, and the loop has connections to keep.
        while batch := await asyncio.to_thread(read_batch, records, layout.columns, self._region):
            await self._store(batch)

    async def _store(self, batch: Batch) -> None:
        job = self._job
        async with self._database.tenant(self._tenant_id) as conn:
            if not await store.lock_list(conn, self._tenant_id, job.list_id):
                raise NotFound(what="list", key=job.list_id)
            await store.lock_people(conn, self._tenant_id)
            numbers = {phone.e164 for contact in batch.contacts for phone in contact.phones}
            known = await store.known_numbers(conn, self._tenant_id, job.list_id, sorted(numbers))
            people = sort_people(batch.contacts, known)
            ids = await store.add_contacts(conn, self._tenant_id, job.list_id, people.new)
            read = await fields_store.reader(conn, self._tenant_id)
            customs = zip(ids, [one.custom for one in people.new], strict=True)
            misfits = await fields_store.add_values(conn, self._tenant_id, read, customs)
            unread = [
                Reject.of(one.row, wrong.name, RejectCode(wrong.code), wrong.value)
                for one_id, one in zip(ids, people.new, strict=True)
                for wrong in misfits.get(one_id, ())
            ]
            await store.join_list(conn, self._tenant_id, job.list_id, sorted(people.joining))
            if job.campaign_id is not None and await store.add_leads(
                conn,
                self._tenant_id,
                job.campaign_id,
                job.list_id,
                [*sorted(people.joining | people.listed), *ids],
            ):
                await wake(conn, "campaigns", tenant_id=self._tenant_id)
            await importstore.add_rejects(conn, self._tenant_id, job.id, [*batch.rejects, *unread])
            counts = Counts(
                rows=batch.last,
                loaded=job.counts.loaded + len(people.new),
                joined=job.counts.joined + len(people.joining),
                duplicates=job.counts.duplicates + people.duplicates,
                rejected=job.counts.rejected + batch.rejected,
            )
            if not await importstore.advance_import(conn, self._tenant_id, job.id, job.counts, counts):
                raise ImportInterrupted(import_id=job.id)
            self._job = replace(job, counts=counts)
            if time.monotonic() - self._told_at >= PROGRESS_EVERY_S:
                await self._tell(conn)
        self._progress(self._job)

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
        }
        await emit(
            conn, "import.progress", payload, tenant_id=self._tenant_id, campaign_id=self._job.campaign_id
        )
        self._told_at = time.monotonic()
