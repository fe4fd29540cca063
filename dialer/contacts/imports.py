"""What can be done with imports; a part of the service of contacts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import importstore, mappingstore
from dialer.contacts.csvfile import write_rows
from dialer.contacts.files import Kind, inspect, look
from dialer.contacts.importing import LOADER, file_of
from dialer.contacts.lists import check_campaign, get_list, lock_list
from dialer.contacts.loading import Progress
from dialer.contacts.mappings import fitting, get_mapping
from dialer.contacts.model import ImportJob, ImportStatus, Wins
from dialer.contacts.reading import AS_FOUND, Reading, check
from dialer.contacts.rejects import Reject, RejectCode
from dialer.contacts.spool import pieces, plain_filename, spooled
from dialer.db.session import Database
from dialer.errors import NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.settings import Settings

#: The columns of the rejects file.
REJECT_HEADER = ("row", "column", "code", "value")
_REJECT_PAGE = 1000


class Imports:
    """Files on their way into lists."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def add_import(
        self,
        actor: Actor,
        list_id: int,
        filename: str,
        chunks: AsyncIterator[bytes],
        campaign_id: int | None = None,
        *,
        reading: Reading = AS_FOUND,
        mapping_id: int | None = None,
        wins: Wins = Wins.BASE,
        preview: bool = False,
    ) -> ImportJob:
        """Take a file in pieces and queue it; the jobs process loads it, with leads if a campaign is named.

        The same file for the same place, while it is still under way, is the same import. With `preview` it
        waits until it is started (`previews`), for a day at most; its columns are then those of the last used
        saved mapping that fits unless one is named, and it needs no column of phones yet. Raises NotFound,
        TooLarge, Invalid, UnreadableFile.
        """
        actor.require(Right.CONTACTS_EDIT)
        if campaign_id is not None:
            actor.require(Right.CAMPAIGNS_EDIT)
        check(reading)
        async with self._database.tenant(actor.tenant_id) as conn:
            # Before a long upload, not only after it.
            await get_list(conn, actor, list_id)
            await check_campaign(conn, actor, campaign_id)
            if mapping_id is not None:
                saved = await get_mapping(conn, actor, mapping_id)
                reading = replace(reading, mapping=saved.columns)
        async with spooled(self._settings.data_dir / "imports", chunks) as (path, upload):
            layout = await asyncio.to_thread(look if preview else inspect, path, reading)
            async with self._database.tenant(actor.tenant_id) as conn:
                await lock_list(conn, actor, list_id)
                under_way = await importstore.open_import(
                    conn, actor.tenant_id, list_id, campaign_id, upload.fingerprint
                )
                if under_way is not None and not preview:
                    return under_way
                if preview and not reading.mapping:
                    headers = [column.name for column in layout.columns]
                    proposed = await fitting(conn, actor.tenant_id, headers)
                    if proposed:
                        reading = replace(reading, mapping=proposed[0].columns)
                job = await importstore.add_import(
                    conn,
                    actor.tenant_id,
                    list_id=list_id,
                    campaign_id=campaign_id,
                    filename=plain_filename(filename),
                    fingerprint=upload.fingerprint,
                    created_by=actor.user_id,
                    about_rows=upload.about_rows if layout.kind is Kind.CSV else layout.about_rows,
                    status=ImportStatus.PREVIEW if preview else ImportStatus.QUEUED,
                    reading=reading,
                    wins=wins,
                )
                if not preview:
                    await record_import(conn, actor, job)
                    if mapping_id is not None:
                        await mappingstore.touch(conn, actor.tenant_id, mapping_id)
                # Before the commit: a job that can be seen has its file.
                await asyncio.to_thread(path.rename, file_of(self._settings, actor.tenant_id, job.id))
        return job

    async def import_file(
        self,
        actor: Actor,
        list_id: int,
        path: Path,
        campaign_id: int | None = None,
        progress: Progress[ImportJob] | None = None,
        *,
        reading: Reading = AS_FOUND,
        wins: Wins = Wins.BASE,
    ) -> ImportJob:
        """Bring a file in and wait for it: for the command line, with and without a running server.

        `progress` is called with the import after each batch. Raises as `add_import`, and OSError.
        """
        job = await self.add_import(
            actor, list_id, path.name, pieces(path), campaign_id, reading=reading, wins=wins
        )
        look = partial(self.get_import, actor, job.id)
        return await LOADER.now(self._database, self._settings, actor.tenant_id, job.id, look, progress)

    async def get_import(self, actor: Actor, import_id: int) -> ImportJob:
        """An import. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await importstore.get_import(conn, actor.tenant_id, import_id)
        if found is None:
            raise NotFound(what="import", key=import_id)
        return found

    async def imports(
        self, actor: Actor, list_id: int, *, before: int | None = None, limit: int = 50
    ) -> list[ImportJob]:
        """Imports into a list, the newest first. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await get_list(conn, actor, list_id)
            return await importstore.page_of_imports(
                conn, actor.tenant_id, list_id, before=before, limit=limit
            )

    async def rejects(
        self, actor: Actor, import_id: int, *, after: int | None = None, limit: int = 50
    ) -> list[tuple[int, Reject]]:
        """What an import did not take, with ids, in the order of the file. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        await self.get_import(actor, import_id)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await importstore.page_of_rejects(
                conn, actor.tenant_id, import_id, after=after or 0, limit=limit
            )

    async def reject_codes(self, actor: Actor, import_id: int) -> dict[RejectCode, int]:
        """How many rejects of each kind an import has, the most frequent first."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await importstore.count_rejects(conn, actor.tenant_id, import_id)

    async def rejects_file(self, actor: Actor, import_id: int) -> AsyncIterator[bytes]:
        """The rejects of an import as CSV (RFC 4180, UTF-8 with its mark for Excel), in pieces.

        Cells that a spreadsheet would run as formulas have an apostrophe before them. `get_import` says
        whether there is such an import.
        """
        actor.require(Right.CONTACTS_READ)
        yield b"\xef\xbb\xbf" + write_rows([REJECT_HEADER])
        after = 0
        while True:
            async with self._database.tenant(actor.tenant_id) as conn:
                page = await importstore.page_of_rejects(
                    conn, actor.tenant_id, import_id, after=after, limit=_REJECT_PAGE
                )
            if not page:
                return
            after = page[-1][0]
            yield write_rows((one.row, one.column, one.code.value, one.value) for _, one in page)


async def record_import(conn: AsyncConnection, actor: Actor, job: ImportJob) -> None:
    """Note in the log of changes that a file is brought into a list."""
    await audit.record(
        conn, actor, "list.import", f"list:{job.list_id}", import_id=job.id, filename=job.filename
    )
