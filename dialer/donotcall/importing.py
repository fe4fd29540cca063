"""From a file to the list: batch by batch, each for good with its commit, so that a kill costs one batch.

A batch is two transactions. The first adds the entries, under the lock of all that is taken last and for the
moment of the commit: from then on none of its numbers is dialled. The second closes the leads of the numbers
and says how far the file is. Whoever goes on after a kill takes up there; what was added already is known.

A registry's file replaces what the registry held: what it has no longer is removed at the end, with the file
as the reason, unless more than half of it would be: a file that was cut short must not open the telephones.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts.columns import Field
from dialer.contacts.csvfile import detect_encoding, open_text
from dialer.contacts.files import BadRecord, Record, inspect, read_records
from dialer.contacts.loading import Loader, Loading
from dialer.contacts.numbers import BadNumber, read_cell
from dialer.contacts.rejects import Reject
from dialer.db.events import emit, wake
from dialer.donotcall import importstore, store
from dialer.donotcall.model import ImportCounts, ImportStatus, NumbersImport, Rejected
from dialer.errors import ImportInterrupted, NoPhoneColumn, RegistryShrunk
from dialer.settings import Settings
from scheduler import refused

log = structlog.stdlib.get_logger(__name__)

#: Rows of a batch. Its commit is what campaigns wait for.
BATCH_ROWS = 2000
#: A file that has more than this part of a registry's numbers no longer is taken for a part of the file.
MOST_GONE = 0.5
#: Longest line of a plain list of numbers.
_LINE = 1000


def file_of(settings: Settings, tenant_id: int, import_id: int) -> Path:
    """Where the file of an import lies until the import has ended."""
    return settings.data_dir / "imports" / f"do-not-call-{tenant_id}-{import_id}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file, read."""

    #: number of the last row
    last: int
    #: numbers in E.164, each once
    numbers: tuple[str, ...]
    #: pieces that are no number: (row, why, what stood there)
    rejects: tuple[Rejected, ...]


def rows_of(path: Path, *, after: int = 0) -> Iterator[tuple[int, Sequence[str]]]:
    """The cells with numbers of each row from `after + 1` on: of the columns whose header says so, or of a
    plain list the first of each line. Raises UnreadableFile."""
    try:
        layout = inspect(path)
    except NoPhoneColumn:
        yield from _plain(path, after)
        return
    phones = [place for place, column in enumerate(layout.columns) if column.field is Field.PHONE]
    for record in read_records(path, layout, after=after):
        if isinstance(record, BadRecord):
            yield record.number, [record.value]
        else:
            assert isinstance(record, Record)
            yield record.number, [record.cells[place] for place in phones]


def _plain(path: Path, after: int) -> Iterator[tuple[int, Sequence[str]]]:
    with path.open("rb") as file:
        encoding = detect_encoding(iter(lambda: file.read(1 << 20), b""))
    with open_text(path, encoding) as text:
        for number, line in enumerate(iter(lambda: text.readline(_LINE), ""), start=1):
            if number > after:
                yield number, [line.replace("\t", ";").split(";")[0].strip(' "\n')]


def read_batch(
    rows: Iterable[tuple[int, Sequence[str]]], region: str, size: int = BATCH_ROWS
) -> Batch | None:
    """The next `size` rows; None at the end of the file."""
    numbers: dict[str, None] = {}
    rejects: list[Rejected] = []
    last = 0
    for row, cells in itertools.islice(rows, size):
        last = row
        for cell in cells:
            good, bad = read_cell(cell[:300], region)
            numbers.update((one.e164, None) for one in good)
            rejects += [
                (row, one.code.value, Reject.of(row, "", one.code, one.value).value)
                for one in bad
                if isinstance(one, BadNumber)
            ]
    return Batch(last, tuple(numbers), tuple(rejects)) if last else None


@dataclass(slots=True)
class _Run(Loading[NumbersImport]):
    """One import at work in this process."""

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return file_of(self._settings, self._tenant_id, self._job.id)

    async def load(self) -> None:
        """Load what is left of the file. Raises ImportInterrupted."""
        rows = rows_of(self.path, after=self._job.counts.rows)
        # In a thread: numbers are all arithmetic, and the loop has connections to keep.
        while batch := await asyncio.to_thread(read_batch, rows, self._settings.default_region):
            await self._store(batch)
        if self._job.registry_id is not None:
            await self._drop_missing()

    async def _store(self, batch: Batch) -> None:
        job, said = self._job, self._job.refusal
        async with self._database.tenant(self._tenant_id) as conn:
            if job.registry_id is None:
                by = await store.add(
                    conn, self._tenant_id, batch.numbers, said, by=None, now=utc_now(), leads=False
                )
                added = len(by)
            else:
                added = len(await importstore.renew(conn, self._tenant_id, job, batch.numbers))
                await wake(conn, "do_not_call", tenant_id=self._tenant_id)
                await store.lock_all(conn, self._tenant_id)
        counts = replace(
            job.counts,
            rows=batch.last,
            added=job.counts.added + added,
            known=job.counts.known + len(batch.numbers) - added,
            rejected=job.counts.rejected + len(batch.rejects),
        )
        async with self._database.tenant(self._tenant_id) as conn:
            await store.stop_numbers(conn, self._tenant_id, batch.numbers, said, utc_now())
            await self._advance(conn, counts, batch.rejects)
        self._grown += added
        self._progress(self._job)

    async def _drop_missing(self) -> None:
        async with self._database.tenant(self._tenant_id) as conn:
            held, found = await importstore.held(conn, self._tenant_id, self._job)
        before = held - self._job.counts.added
        if held - found > before * MOST_GONE and not self._job.fewer:
            raise RegistryShrunk(found=found, held=before)
        reason = f"not in {self._job.filename}"
        while True:
            async with self._database.tenant(self._tenant_id) as conn:
                numbers = await importstore.drop_missing(
                    conn, self._tenant_id, self._job, reason=reason, limit=BATCH_ROWS
                )
                if not numbers:
                    return
                await refused.open_numbers(conn, self._tenant_id, numbers, None)
                counts = replace(self._job.counts, removed=self._job.counts.removed + len(numbers))
                await self._advance(conn, counts, ())
            self._progress(self._job)

    async def _advance(
        self, conn: AsyncConnection, counts: ImportCounts, rejects: Sequence[Rejected]
    ) -> None:
        if not await importstore.advance(conn, self._tenant_id, self._job, counts, rejects):
            raise ImportInterrupted(import_id=self._job.id)
        self._job = replace(self._job, counts=counts, status=ImportStatus.RUNNING)
        await self._tell(conn)

    async def finish(self, error: str | None) -> None:
        """Write the end."""
        status = ImportStatus.FAILED if error else ImportStatus.DONE
        async with self._database.tenant(self._tenant_id) as conn:
            await importstore.finish(conn, self._tenant_id, self._job, status, error)
            self._job = replace(self._job, status=status, error=error)
            await wake(conn, "campaigns", tenant_id=self._tenant_id)
            await self._tell(conn)
        log.info("numbers_imported", import_id=self._job.id, status=status, rows=self._job.counts.rows)
        await self._look()
        self._progress(self._job)

    async def _tell(self, conn: AsyncConnection) -> None:
        job = self._job
        payload = {
            "import_id": job.id,
            "status": job.status,
            "rows": job.counts.rows,
            "added": job.counts.added,
        }
        await emit(conn, "do_not_call.import", payload, tenant_id=self._tenant_id)


LOADER = Loader(importstore.claim_import, _Run)
run_next_import, run_import = LOADER.next, LOADER.one
