"""From a file to a list: batch by batch, each one transaction, so that a kill costs one batch at most.

Worker processes read (`parsing`), this one decides who each row is (`matching`), and the database takes a
batch of new people by COPY and INSERT ... SELECT (`peoplestore`). The file lies in the data folder until its
import has ended. What a batch has loaded and how far it got are committed together; whoever goes on after a
kill skips that many rows. Rows that are already there are duplicates in any case, so nothing comes in twice
however often a file is brought. Leads of a batch are made beside the writing of the next (`owed`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import (
    consents,
    fields_store,
    history,
    importstore,
    owed,
    people_store,
    peoplestore,
    store,
)
from dialer.contacts.agreed import Place
from dialer.contacts.batches import Batch, dialled_by, line_of, person_of
from dialer.contacts.columns import KEPT, Field
from dialer.contacts.files import inspect
from dialer.contacts.history import Kind
from dialer.contacts.leadstore import PRIORITY, Newcomers
from dialer.contacts.loading import Loader, Loading
from dialer.contacts.matching import Gained, Headers, Sorted, gain_all, person_at, sort_people
from dialer.contacts.model import Counts, ImportJob, ImportStatus, Owner
from dialer.contacts.owed import Beside, Owed
from dialer.contacts.parsing import parsing
from dialer.contacts.rejects import Reject, RejectCode
from dialer.db import tenants
from dialer.db.events import emit, wake
from dialer.errors import ImportInterrupted, NotFound
from dialer.settings import Settings

log = structlog.stdlib.get_logger(__name__)

#: Least time between two progress events of an import.
PROGRESS_EVERY_S = 0.5


def file_of(settings: Settings, tenant_id: int, import_id: int) -> Path:
    """Where the file of an import lies until the import has ended."""
    return settings.data_dir / "imports" / f"{tenant_id}-{import_id}.csv"


@dataclass(slots=True)
class _Run(Loading[ImportJob]):
    """One import at work in this process."""

    _headers: Headers = field(init=False)
    _place: Place = field(init=False)
    _told_at: float = float("-inf")
    #: columns of priorities
    _priorities: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return file_of(self._settings, self._tenant_id, self._job.id)

    async def load(self) -> None:
        """Load what is left of the file. Raises UnreadableFile, ImportInterrupted, DatabaseUnavailable."""
        layout = await asyncio.to_thread(inspect, self.path, self._job.reading)
        self._headers = Headers(layout.columns)
        kept = {column.kept_as for column in layout.columns if column.field in KEPT}
        self._priorities = [name for name in PRIORITY if name in kept]
        async with self._database.tenant(self._tenant_id) as conn:
            await importstore.start_import(conn, self._tenant_id, self._job.id)
            left = await owed.left(conn, self._tenant_id, self._job.id)
            self._place = Place(self._job.created_at, await tenants.zone(conn, self._tenant_id))
            self._job = replace(self._job, status=ImportStatus.RUNNING)
            await self._tell(conn, self._job)
        for one in left:
            await self._follow(self._job, one)
        region = self._settings.default_region
        async with (
            Beside() as beside,
            parsing(self.path, layout, region, after=self._job.counts.rows) as batches,
        ):
            async for batch in batches:
                first = not self._job.counts.rows
                owing = await self._store(batch)
                await beside.begin(self._follow(self._job, owing, first=first))

    async def _follow(self, job: ImportJob, owing: Owed | None, *, first: bool = False) -> None:
        """Make the leads of a batch that is written, and tell how far the file is: by then that will last."""
        due = time.monotonic() - self._told_at >= PROGRESS_EVERY_S
        if owing is not None or due:
            async with self._database.tenant(self._tenant_id) as conn:
                leads = await owed.pay(conn, self._tenant_id, job, owing) if owing is not None else 0
                if leads:
                    await wake(conn, "campaigns", tenant_id=self._tenant_id)
                if due:
                    await self._tell(conn, job)
            self._grown += leads
        if first:  # it may be the first batch that there ever was
            await self._look()

    async def _store(self, batch: Batch) -> Owed | None:
        """Write a batch; who is owed a lead by it."""
        job, owing = self._job, None
        async with self._database.tenant(self._tenant_id) as conn:
            await importstore.need_not_last(conn)
            if not await store.lock_list(conn, self._tenant_id, job.list_id):
                raise NotFound(what="list", key=job.list_id)
            await store.lock_people(conn, self._tenant_id)
            numbers = {number for own in batch.numbers for number in own}
            known = await store.known_numbers(conn, self._tenant_id, job.list_id, sorted(numbers))
            people = sort_people(batch.numbers, known)
            gained, there = await self._gained(conn, batch, people, known)
            if people.joining:
                await store.join_list(conn, self._tenant_id, job.list_id, sorted(people.joining))
            ids, newcomers, rejects = await self._add(conn, batch, people, gained)
            here = sorted(people.joining | people.listed)
            if job.campaign_id is not None and (here or ids):
                owing = Owed(batch.last, here, newcomers)
                await owed.note(conn, self._tenant_id, job.id, owing)
            agreed, over = await self._agree(conn, batch, people, there, ids)
            if agreed:
                await wake(conn, "campaigns", tenant_id=self._tenant_id)
            rejects += over
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
                consents=job.counts.consents + agreed,
            )
            if not await importstore.advance_import(conn, self._tenant_id, job.id, job.counts, counts):
                raise ImportInterrupted(import_id=job.id)
        self._job = replace(job, counts=counts)
        self._grown += len(people.new) + len(people.joining) + agreed
        self._progress(self._job)
        return owing

    async def _add(
        self, conn: AsyncConnection, batch: Batch, people: Sorted, gained: Gained
    ) -> tuple[list[int], Newcomers | None, list[Reject]]:
        """Insert who is new, as later rows of the batch have them; their ids, what their leads are made of,
        and what fits no field."""
        job = self._job
        lines, zones = list(batch.lines), {tuple(one.split(",")): n for n, one in enumerate(batch.zones, 1)}
        for person, card in gained.changed.items():
            if person < 0:
                place = person_at(person)
                lines[place] = line_of(card.onto(batch.person(place)), zones)
        new = [lines[place] for place in people.new]
        sets = [",".join(one) for one in zones]
        if not new:
            return [], None, []
        ids, written_by = await peoplestore.add_people(conn, self._tenant_id, job.list_id, new, sets)
        newcomers = None
        if job.campaign_id is not None:
            numbers, marks = zip(*map(dialled_by, new), strict=True)
            given = [self._given(line, sets) for line in new]
            newcomers = Newcomers(written_by, ids, numbers, marks, given, sets)
        read = await fields_store.reader(conn, self._tenant_id)
        if not read:
            return ids, newcomers, []
        rows = [person_of(line, sets) for line in new]
        customs = zip(ids, [row.custom for row in rows], strict=True)
        misfits = await fields_store.add_values(conn, self._tenant_id, read, customs)
        rejects = [
            Reject.of(row.row, wrong.name, RejectCode(wrong.code), wrong.value)
            for contact_id, row in zip(ids, rows, strict=True)
            for wrong in misfits.get(contact_id, ())
        ]
        return ids, newcomers, rejects

    def _given(self, line: bytes, zones: Sequence[str]) -> str | None:
        """What a line has for a priority."""
        if not self._priorities:
            return None
        custom = person_of(line, zones).custom
        return next((custom[name] for name in self._priorities if name in custom), None)

    async def _agree(
        self, conn: AsyncConnection, batch: Batch, people: Sorted, there: Collection[int], ids: Sequence[int]
    ) -> tuple[int, list[Reject]]:
        """Write down what the people of a batch agreed to; how many consents are new, and what was wrong.
        `there` are the known who still are: who has just been erased gains nothing."""
        if not batch.agreed:
            return 0, []
        added = dict(zip(people.new, ids, strict=True))
        whose = dict(people.known)
        told = []
        for place, agreed in batch.agreed:
            person = whose.get(place, person_at(place))
            contact_id = added[person_at(person)] if person < 0 else person
            if person < 0 or person in there:
                told.append((contact_id, batch.rows[place], agreed))
        new, over = self._place.consents(told, self._headers.header(Field.CONSENT_UNTIL))
        written = await consents.add_many(conn, self._tenant_id, list(new), self._job.created_by)
        known = sorted({one.contact_id for one in new} - set(ids))
        if written and known:
            await people_store.look_again(conn, self._tenant_id, known, "consent", utc_now())
        return len(written), over

    async def _gained(
        self, conn: AsyncConnection, batch: Batch, people: Sorted, known: Mapping[str, Owner]
    ) -> tuple[Gained, set[int]]:
        """What the rows of a batch give to people who are known, written; of those in the batch, to be. And
        which people still are there."""
        rows = [(person, batch.lines[place]) for place, person in people.known if person > 0]
        telling = await peoplestore.telling(conn, self._tenant_id, rows)
        # Most rows of a file that is brought again say nothing that is not known.
        there = {person for person, _ in rows} - telling
        people = replace(people, known=tuple(one for one in people.known if one[1] not in there))
        cards = await peoplestore.cards(conn, self._tenant_id, sorted(telling))
        gained = gain_all(people, batch.person, cards, known, self._job.wins)
        changed = {person: card for person, card in gained.changed.items() if person > 0}
        await peoplestore.fill(conn, self._tenant_id, changed)
        facts: list[tuple[int, str, int | None, Mapping[str, Any]]] = []
        file = {"import_id": self._job.id, "file": self._job.filename}
        retyped = set[int]()
        for _, person, found in gained.gains:
            if person < 0:
                continue
            values: dict[str, Any] = {
                f"custom.{one.key}" if one.field is Field.CUSTOM else one.field.value: [one.before, one.after]
                for one in found.changes
                if one.field is not Field.PHONE
            }
            if values:
                facts.append((person, Kind.CHANGED, self._job.created_by, values | file))
            if any(one.field is Field.CUSTOM for one in found.changes):
                retyped.add(person)
            facts += [
                (person, Kind.PHONE_ADDED, self._job.created_by, {"e164": one.after, **file})
                for one in found.changes
                if one.field is Field.PHONE
            ]
        await history.add_all(conn, self._tenant_id, facts)
        if retyped:
            await fields_store.rewrite_values(conn, self._tenant_id, sorted(retyped))
        return gained, there | {person for _, person, _ in gained.gains}

    async def finish(self, error: str | None) -> None:
        """Write the end."""
        status = ImportStatus.FAILED if error else ImportStatus.DONE
        async with self._database.tenant(self._tenant_id) as conn:
            await importstore.finish_import(conn, self._tenant_id, self._job.id, error)
            self._job = replace(self._job, status=status, error=error)
            await self._tell(conn, self._job)
        log.info("import_ended", import_id=self._job.id, status=status.value, rows=self._job.counts.rows)
        await self._look()
        self._progress(self._job)

    async def _tell(self, conn: AsyncConnection, job: ImportJob) -> None:
        counts = job.counts
        payload = {
            "import_id": job.id,
            "list_id": job.list_id,
            "status": job.status.value,
            "rows": counts.rows,
            "loaded": counts.loaded,
            "joined": counts.joined,
            "duplicates": counts.duplicates,
            "rejected": counts.rejected,
            "filled": counts.filled,
            "consents": counts.consents,
        }
        await emit(conn, "import.progress", payload, tenant_id=self._tenant_id, campaign_id=job.campaign_id)
        self._told_at = time.monotonic()


LOADER = Loader(importstore.claim_import, _Run)
run_next_import, run_import = LOADER.next, LOADER.one
