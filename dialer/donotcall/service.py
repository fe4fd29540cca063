"""What people do with the list of those who are not to be called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts.lists import check_campaign
from dialer.contacts.loading import Progress
from dialer.contacts.numbers import BadNumber, number_of, read_number
from dialer.contacts.spool import pieces, plain_filename, spooled
from dialer.db.session import Database
from dialer.donotcall import importstore, store
from dialer.donotcall.importing import LOADER, file_of, read_batch, rows_of
from dialer.donotcall.model import (
    Entry,
    Kind,
    NumbersImport,
    Refusal,
    Registry,
    Source,
    one_by_one,
)
from dialer.donotcall.prefixes import other_meanings, read_prefix
from dialer.errors import Invalid, NotFound, UnreadableFile, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.paging import MAX_ID
from dialer.said import Said
from dialer.settings import Settings
from dialer.telemetry import mask_number
from scheduler import changes

#: Numbers and prefixes of one request.
MOST = 10_000
#: Prefixes of one request: each is held against every lead.
MOST_PREFIXES = 20
#: Numbers whose leads are closed in one transaction.
SLICE = 1000


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding."""

    #: ids of the new entries
    ids: tuple[int, ...]
    #: numbers and prefixes that had one which says the same
    known: int


@dataclass(frozen=True, slots=True)
class Check:
    """What is said of a number."""

    e164: str
    #: every entry that is or was for it, the newest first
    entries: tuple[Entry, ...]
    #: whether its owner was erased and had asked not to be called
    erased: bool
    #: whether no campaign may call it now
    forbidden: bool


class DoNotCallService:
    """The list of a tenant; operators add to it by their dispositions."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    # -- entries ------------------------------------------------------------------------------------------

    async def add(
        self, actor: Actor, numbers: Sequence[str], prefixes: Sequence[str], said: Refusal
    ) -> Added:
        """Have nobody call these numbers, however they are written, and all that begin in these ways.

        When this returns, no attempt is made any more, and what nobody has answered is taken back. Leads of
        these numbers are closed; those of whole areas the jobs process closes. Raises Invalid, NotFound (of
        the campaign).
        """
        actor.require(Right.COMPLIANCE_EDIT)
        marks = self._marks(numbers, prefixes)
        now = utc_now()
        _check_times(said, now)
        async with self._database.tenant(actor.tenant_id) as conn:
            await check_campaign(conn, actor, said.campaign_id)
            await audit.record(
                conn,
                actor,
                "do_not_call.add",
                "do_not_call",
                numbers=len(marks) - len(prefixes),
                prefixes=list(prefixes),
                first=mask_number(marks[0]) if numbers else None,
                campaign_id=said.campaign_id,
                reason=said.reason,
            )
            if said.valid_from is None and said.valid_until is None:
                for mark in marks:
                    if mark.endswith("*"):
                        await changes.ask_area(
                            conn, actor.tenant_id, mark[:-1], said.campaign_id, refuse=True
                        )
            ids = await store.add(conn, actor.tenant_id, marks, said, by=actor.user_id, now=now)
        await self._settle_leads(actor.tenant_id, marks, said, now)
        return Added(tuple(sorted(ids.values())), len(set(marks)) - len(ids))

    async def doubtful(self, actor: Actor, entries: Sequence[Entry]) -> dict[int, tuple[str, ...]]:
        """Of these entries those for beginnings that may have been written without a plus: by their ids, what
        was meant then (`prefixes.other_meanings`), as far as that is on the list nowhere."""
        actor.require(Right.CONTACTS_READ)
        region = self._settings.default_region
        found = {
            one.id: others
            for one in entries
            if one.kind is Kind.PREFIX and one.removed_at is None
            if (others := other_meanings(one.number, region))
        }
        if not found:
            return {}
        every = {other for others in found.values() for other in others}
        async with self._database.tenant(actor.tenant_id) as conn:
            # A beginning's own mark is among those of a number that goes on after it.
            known = await store.entries_of(conn, actor.tenant_id, [f"{one}0" for one in sorted(every)])
        there = {one.number for one in known if one.kind is Kind.PREFIX and one.removed_at is None}
        return {entry_id: others for entry_id, others in found.items() if there.isdisjoint(others)}

    async def _settle_leads(self, tenant_id: int, marks: Sequence[str], said: Refusal, now: datetime) -> None:
        """Close the leads of what was too many for one transaction; nobody dials them meanwhile either."""
        numbers = [mark for mark in marks if not mark.endswith("*")]
        for begin in () if one_by_one(marks) else range(0, len(numbers), SLICE):
            async with self._database.tenant(tenant_id) as conn:
                await store.stop_numbers(conn, tenant_id, numbers[begin : begin + SLICE], said, now)

    def _marks(self, numbers: Sequence[str], prefixes: Sequence[str]) -> list[str]:
        if not numbers and not prefixes:
            raise Invalid(field="numbers", reason="is missing")
        if len(numbers) > MOST or len(prefixes) > MOST_PREFIXES:
            raise Invalid(
                field="numbers",
                reason=Said(
                    "are too many: {most} numbers, {prefixes} prefixes", most=MOST, prefixes=MOST_PREFIXES
                ),
            )
        marks = []
        for written in numbers:
            read = read_number(written, self._settings.default_region)
            if isinstance(read, BadNumber):
                raise Invalid(field="numbers", reason=Said("{number} is no phone number", number=written))
            marks.append(read.e164)
        for written in prefixes:
            marks.append(read_prefix(written, self._settings.default_region))
        return marks

    async def remove(self, actor: Actor, entry_id: int, reason: str) -> Entry:
        """Let an entry count no more; it stays, with who removed it and why, and its leads are asked about
        anew. Raises NotFound, WrongState when it was removed already."""
        actor.require(Right.COMPLIANCE_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            entry = await self._entry(conn, actor, entry_id)
            if not await store.remove(conn, actor.tenant_id, entry, reason=reason, by=actor.user_id):
                raise WrongState(what="The entry", state="removed already", allowed="in force")
            if entry.kind is Kind.PREFIX:
                await changes.ask_area(conn, actor.tenant_id, entry.number, entry.campaign_id, refuse=False)
            await audit.record(conn, actor, "do_not_call.remove", f"do_not_call:{entry_id}", reason=reason)
            return await self._entry(conn, actor, entry_id)

    async def entries(
        self,
        actor: Actor,
        *,
        source: Source | None = None,
        removed: bool = False,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Entry]:
        """Entries, the newest first."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page(
                conn,
                actor.tenant_id,
                source=source.value if source else None,
                removed=removed,
                before=before if before is not None else MAX_ID,
                limit=limit,
            )

    async def check(self, actor: Actor, number: str) -> Check:
        """What is said of a number, however it is written. Raises BadNumber."""
        actor.require(Right.CONTACTS_READ)
        read = number_of(number, self._settings.default_region)
        (found,) = await self.check_all(actor, [read.e164])
        return found

    async def check_all(self, actor: Actor, numbers: Sequence[str]) -> list[Check]:
        """What is said of each of these numbers (E.164), in their order."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            entries = {one: await store.entries_of(conn, actor.tenant_id, [one]) for one in numbers}
            # A campaign that there is not: what counts for all.
            found = await store.covering(conn, actor.tenant_id, numbers, 0, utc_now())
        erased = {one for one, said in found.items() if said.source == store.ERASED}
        return [Check(one, tuple(entries[one]), one in erased, one in found) for one in numbers]

    async def _entry(self, conn: AsyncConnection, actor: Actor, entry_id: int) -> Entry:
        found = await store.get(conn, actor.tenant_id, entry_id)
        if found is None:
            raise NotFound(what="entry", key=entry_id)
        return found

    # -- files --------------------------------------------------------------------------------------------

    async def add_import(
        self,
        actor: Actor,
        filename: str,
        chunks: AsyncIterator[bytes],
        said: Refusal,
        *,
        registry: str | None = None,
        renew_by: datetime | None = None,
        fewer: bool = False,
    ) -> NumbersImport:
        """Take a file of numbers in pieces and queue it; the jobs process loads it. Of a registry it replaces
        what that held; `fewer`: it may have fewer than half of that. Raises Invalid, NotFound, TooLarge,
        UnreadableFile."""
        actor.require(Right.COMPLIANCE_EDIT)
        _check_times(said, utc_now())
        if registry is not None and said.campaign_id is not None:
            raise Invalid(field="campaign", reason="a registry is for all campaigns")
        async with self._database.tenant(actor.tenant_id) as conn:
            await check_campaign(conn, actor, said.campaign_id)  # before a long upload
        async with spooled(self._settings.data_dir / "imports", chunks) as (path, upload):
            await asyncio.to_thread(_check_file, path, self._settings.default_region)
            async with self._database.tenant(actor.tenant_id) as conn:
                registry_id = None
                if registry is not None:
                    registry_id = await importstore.registry_of(conn, actor.tenant_id, registry, renew_by)
                import_id = await importstore.add_import(
                    conn,
                    actor.tenant_id,
                    replace(said, source=Source.REGISTRY if registry else Source.IMPORT),
                    registry_id=registry_id,
                    filename=plain_filename(filename),
                    fingerprint=upload.fingerprint,
                    fewer=fewer,
                    added_by=actor.user_id,
                )
                await audit.record(
                    conn, actor, "do_not_call.import", f"do_not_call_import:{import_id}", registry=registry
                )
                # Before the commit: a job that can be seen has its file.
                await asyncio.to_thread(path.rename, file_of(self._settings, actor.tenant_id, import_id))
        return await self.get_import(actor, import_id)

    async def import_file(
        self,
        actor: Actor,
        path: Path,
        said: Refusal,
        *,
        registry: str | None = None,
        fewer: bool = False,
        progress: Progress[NumbersImport] | None = None,
    ) -> NumbersImport:
        """Bring a file in and wait for it: for the command line. Raises as `add_import`, and OSError."""
        job = await self.add_import(actor, path.name, pieces(path), said, registry=registry, fewer=fewer)
        look = partial(self.get_import, actor, job.id)
        return await LOADER.now(self._database, self._settings, actor.tenant_id, job.id, look, progress)

    async def get_import(self, actor: Actor, import_id: int) -> NumbersImport:
        """An import. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await importstore.get_import(conn, actor.tenant_id, import_id)
        if found is None:
            raise NotFound(what="import", key=import_id)
        return found

    async def imports(
        self, actor: Actor, *, before: int | None = None, limit: int = 50
    ) -> list[NumbersImport]:
        """Files that were brought in, the newest first."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await importstore.page_of_imports(
                conn, actor.tenant_id, before=before if before is not None else MAX_ID, limit=limit
            )

    async def registries(self, actor: Actor) -> list[Registry]:
        """All registries."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await importstore.registries(conn, actor.tenant_id)


def _check_times(said: Refusal, now: datetime) -> None:
    if said.valid_until is not None and said.valid_until <= max(now, said.valid_from or now):
        raise Invalid(field="valid_until", reason="must be in the future, and after the beginning")


def _check_file(path: Path, region: str) -> None:
    """Raise UnreadableFile where the first rows have no number: it is another file."""
    first = read_batch(rows_of(path), region, 100)
    if first is None or not first.numbers:
        raise UnreadableFile(reason="its first rows have no phone number")
