"""A file that waits for a person: how it is read, what loading it would do, and its start.

Looking changes nothing. How a file is read can be changed until it is started; a file that nobody starts is
thrown away after a day.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import fields_store, importstore, mappingstore
from dialer.contacts.dryrun import DryRun, dry_run
from dialer.contacts.fields import FieldSpec
from dialer.contacts.files import BadRecord, Layout, Record, inspect, look, read_records
from dialer.contacts.importing import file_of
from dialer.contacts.imports import record_import
from dialer.contacts.lists import check_campaign
from dialer.contacts.mappings import fitting, get_mapping
from dialer.contacts.model import ImportJob, ImportStatus, SavedMapping, Wins
from dialer.contacts.reading import Reading, check, check_headers
from dialer.db.session import Database
from dialer.errors import DozvonError, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.settings import Settings

#: Rows that are shown as they are read.
SHOWN_ROWS = 20
#: Rows whose loading is tried: a second's work.
TRIED_ROWS = 10_000
#: Rejects that are shown.
SHOWN_REJECTS = 50


@dataclass(frozen=True, slots=True)
class Preview:
    """A file as it would be read."""

    job: ImportJob
    #: the name of the campaign that leads are made for
    campaign: str | None
    layout: Layout
    #: what each column is: the words of a mapping
    words: tuple[str, ...]
    #: saved mappings for files with these columns, the last used first
    saved: tuple[SavedMapping, ...]
    #: the one of them that is in force
    chosen: SavedMapping | None
    #: the first rows
    rows: tuple[Record | BadRecord, ...]
    #: the tenant's own fields that a column may be
    own: tuple[FieldSpec, ...]
    #: what loading its first rows would do; None where it cannot be loaded
    trial: DryRun | None
    #: why it cannot be loaded
    fault: DozvonError | None


class PreviewService:
    """Files of a tenant that wait to be started."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def preview(self, actor: Actor, import_id: int) -> Preview:
        """A file as it would be read now. Raises NotFound, WrongState, UnreadableFile."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            job = await _waiting(conn, actor, import_id)
            campaign = await importstore.campaign_name(conn, actor.tenant_id, job.campaign_id)
        path = file_of(self._settings, actor.tenant_id, job.id)
        layout, rows = await asyncio.to_thread(_first_rows, path, job.reading)
        headers = [column.name for column in layout.columns]
        async with self._database.tenant(actor.tenant_id) as conn:
            saved = await fitting(conn, actor.tenant_id, headers)
            own = await fields_store.fields(conn, actor.tenant_id)
        trial: DryRun | None = None
        fault: DozvonError | None = None
        try:
            trial = await dry_run(
                self._database,
                self._settings,
                actor.tenant_id,
                path,
                list_id=job.list_id,
                reading=job.reading,
                wins=job.wins,
                limit=SHOWN_REJECTS,
                rows=TRIED_ROWS,
            )
        except DozvonError as error:
            fault = error
        mapping = job.reading.mapping
        return Preview(
            job=job,
            campaign=campaign,
            layout=layout,
            words=tuple(mapping.get(column.name, column.field.value) for column in layout.columns),
            saved=tuple(saved),
            chosen=next((one for one in saved if one.columns == mapping), None),
            rows=rows,
            own=tuple(one.spec for one in own if not one.archived),
            trial=trial,
            fault=fault,
        )

    async def change(
        self,
        actor: Actor,
        import_id: int,
        reading: Reading,
        campaign_id: int | None = None,
        *,
        mapping_id: int | None = None,
        wins: Wins = Wins.BASE,
    ) -> None:
        """Have a file read in another way, or for another campaign; by a saved mapping, if one is named.

        What is said of a column must be of one that the file has, by the old way or by the new.
        Raises NotFound, WrongState, Invalid, UnreadableFile.
        """
        actor.require(Right.CONTACTS_EDIT)
        if campaign_id is not None:
            actor.require(Right.CAMPAIGNS_EDIT)
        check(reading)
        async with self._database.tenant(actor.tenant_id) as conn:
            job = await _waiting(conn, actor, import_id)
            await check_campaign(conn, actor, campaign_id)
            if mapping_id is not None:
                saved = await get_mapping(conn, actor, mapping_id)
                reading = replace(reading, mapping=saved.columns)
        path = file_of(self._settings, actor.tenant_id, job.id)
        layout = await asyncio.to_thread(look, path, reading)  # what cannot be shown is not kept
        if mapping_id is None and (named := reading.mapping.keys() - job.reading.mapping.keys()):
            before = await asyncio.to_thread(look, path, job.reading)
            headers = [column.name for one in (layout, before) for column in one.columns]
            check_headers(sorted(named), list(dict.fromkeys(headers)))
        async with self._database.tenant(actor.tenant_id) as conn:
            await _waiting(conn, actor, import_id, lock=True)
            await importstore.change_preview(conn, actor.tenant_id, import_id, reading, campaign_id, wins)

    async def start(self, actor: Actor, import_id: int) -> ImportJob:
        """Have a file loaded as it is read now. Raises NotFound, WrongState, UnreadableFile, Invalid."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            job = await _waiting(conn, actor, import_id, lock=True)
            if job.campaign_id is not None:
                actor.require(Right.CAMPAIGNS_EDIT)
            path = file_of(self._settings, actor.tenant_id, job.id)
            layout = await asyncio.to_thread(inspect, path, job.reading)
            headers = [column.name for column in layout.columns]
            for saved in await fitting(conn, actor.tenant_id, headers):
                if saved.columns == job.reading.mapping:
                    await mappingstore.touch(conn, actor.tenant_id, saved.id)
            await importstore.start_preview(conn, actor.tenant_id, import_id)
            await record_import(conn, actor, job)
            started = await importstore.get_import(conn, actor.tenant_id, import_id)
        assert started is not None
        return started

    async def discard(self, actor: Actor, import_id: int) -> None:
        """Throw a file away that was not started. Raises NotFound, WrongState."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            job = await _waiting(conn, actor, import_id, lock=True)
            await importstore.remove_preview(conn, actor.tenant_id, import_id)
            await audit.record(
                conn, actor, "list.discard_import", f"list:{job.list_id}", filename=job.filename
            )
        path = file_of(self._settings, actor.tenant_id, import_id)
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _first_rows(path: Path, reading: Reading) -> tuple[Layout, tuple[Record | BadRecord, ...]]:
    layout = look(path, reading)
    with closing(read_records(path, layout)) as records:
        return layout, tuple(itertools.islice(records, SHOWN_ROWS))


async def _waiting(conn: AsyncConnection, actor: Actor, import_id: int, *, lock: bool = False) -> ImportJob:
    """An import that waits to be started. Raises NotFound, WrongState."""
    job = await importstore.get_import(conn, actor.tenant_id, import_id, lock=lock)
    if job is None:
        raise NotFound(what="import", key=import_id)
    if job.status is not ImportStatus.PREVIEW:
        raise WrongState(what="The import", state="started", allowed="waiting to be started")
    return job
