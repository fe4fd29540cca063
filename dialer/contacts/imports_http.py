"""Imports over HTTP."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from aiohttp import web
from pydantic import Field

from dialer import errors
from dialer.contacts.keys import CONTACTS, only
from dialer.contacts.model import ImportJob, ImportStatus, Wins
from dialer.contacts.rejects import RejectCode
from dialer.contacts.spool import MAX_FILE_BYTES
from dialer.errors import DozvonError, NoPhoneColumn, NotFound, UnreadableFile
from dialer.httpkit.access import Right
from dialer.httpkit.i18n import message
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out

routes = Routes("contacts")


#: Of CSV, XLSX and ODS.
FILE_TYPES = (
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.spreadsheet",
)


class ImportErrorOut(Out):
    """Why an import failed."""

    id: str = Field(description="stable: what programs look at")
    message: str


class ImportOut(Out):
    """A file on its way into a list: rows = loaded + joined + duplicates + rejected + blank."""

    id: int
    list_id: int
    campaign_id: int | None
    filename: str
    fingerprint: str = Field(description="SHA-256 of the file")
    status: ImportStatus = Field(description="`preview`: it waits to be started")
    about_rows: int | None = Field(description="about how many rows the file has; null: not known")
    reading: dict[str, Any] = Field(
        description="what was decided of how it is read: `encoding`, `mapping`..."
    )
    rows: int
    loaded: int = Field(description="new contacts")
    joined: int = Field(description="contacts of other lists, by a number: they are in this list too now")
    duplicates: int = Field(description="a number of the row is in the list, or stood higher in the file")
    rejected: int = Field(description="rows that cannot be used; the rejects file says why")
    blank: int
    filled: int = Field(description="rows that changed somebody who was known")
    consents: int = Field(description="consents that were written down")
    wins: Wins = Field(description="whose value stays where the file and the base differ")
    error: ImportErrorOut | None
    created_at: datetime
    finished_at: datetime | None


class RejectOut(Out):
    """A row or a cell that was not taken."""

    row: int = Field(description="1 is the one after the header")
    column: str = Field(description="header of the column; empty: the whole row")
    code: RejectCode
    value: str = Field(description="what stood there, cut to 200 characters")


class RejectsOut(Page[RejectOut]):
    """Rejects in the order of the file."""

    codes: dict[str, int] = Field(description="how many there are of each code, on all pages")


class ImportQuery(In):
    """Where a file goes besides its list, and how it is read."""

    campaign: int | None = Field(None, ge=1, le=MAX_ID, description="make leads for this campaign too")
    filename: Line = Field("contacts.csv", max_length=200, description="the name that people know it by")
    mapping: int | None = Field(None, ge=1, le=MAX_ID, description="read its columns by this saved mapping")
    wins: Wins = Field(Wins.BASE, description="whose value stays where the file and the base differ")
    preview: bool = Field(False, description="load nothing yet: see `GET /imports/{import_id}/preview`")


@routes.post(
    "/lists/{list_id}/imports",
    right=Right.CONTACTS_EDIT,
    status=202,
    accepts=FILE_TYPES,
    body_limit=MAX_FILE_BYTES,
    errors=(NotFound, UnreadableFile, NoPhoneColumn),
)
async def import_people(call: Call, list_id: int, query: ImportQuery) -> ImportOut:
    """Bring a file of contacts into a list: CSV, XLSX or ODS.

    The body is the file. What it is says its content, whichever of the types the request names (`text/csv`
    has no charset): encoding (UTF-8, Windows-1251, UTF-16) and delimiter (`;`, tab, `,`) of CSV are found
    out, columns go by their names in the first line. The reply comes when
    the file is taken; rows are loaded afterwards, see `GET /imports/{import_id}` or the event
    `import.progress`. A file brought again adds nothing.

    With `preview=true` the file waits, for a day at most: `GET /imports/{import_id}/preview` shows how it
    would be read and what loading it would do, `PATCH` changes that, `POST /imports/{import_id}/start` loads
    it.
    """
    job = await call.app[CONTACTS].add_import(
        call.actor,
        list_id,
        query.filename,
        call.chunks(),
        query.campaign,
        mapping_id=query.mapping,
        wins=query.wins,
        preview=query.preview,
    )
    return import_out(job, call.locale)


@routes.get("/lists/{list_id}/imports", right=Right.CONTACTS_READ, errors=(NotFound,))
async def imports(call: Call, list_id: int, query: PageQuery) -> Page[ImportOut]:
    """Imports into a list, the newest first."""
    found = await call.app[CONTACTS].imports(
        call.actor, list_id, before=only(decode(query.cursor, int)), limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[ImportOut](items=[import_out(one, call.locale) for one in page], next=following)


@routes.get("/imports/{import_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_import(call: Call, import_id: int) -> ImportOut:
    """How far an import is."""
    return import_out(await call.app[CONTACTS].get_import(call.actor, import_id), call.locale)


@routes.get("/imports/{import_id}/rejects", right=Right.CONTACTS_READ, errors=(NotFound,))
async def rejects(call: Call, import_id: int, query: PageQuery) -> RejectsOut:
    """Rows and cells that an import did not take, with how many there are of each kind."""
    after = only(decode(query.cursor, int))
    found = await call.app[CONTACTS].rejects(call.actor, import_id, after=after, limit=query.limit + 1)
    page, following = cut(found, query.limit, lambda one: (one[0],))
    codes = await call.app[CONTACTS].reject_codes(call.actor, import_id)
    return RejectsOut(
        items=[RejectOut.model_validate(one) for _, one in page],
        next=following,
        codes={code.value: many for code, many in codes.items()},
    )


@routes.get("/imports/{import_id}/rejects.csv", right=Right.CONTACTS_READ, raw="text/csv", errors=(NotFound,))
async def rejects_csv(call: Call, import_id: int) -> web.StreamResponse:
    """Rows and cells that an import did not take: row, column, code, value."""
    service = call.app[CONTACTS]
    job = await service.get_import(call.actor, import_id)
    reply = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="rejects-{job.id}.csv"',
            "Cache-Control": "no-store",
        }
    )
    await reply.prepare(call.request)
    async for piece in service.rejects_file(call.actor, job.id):
        await reply.write(piece)
    await reply.write_eof()
    return reply


def import_out(job: ImportJob, locale: str) -> ImportOut:
    """An import as the API shows it, its error in the reader's language."""
    return ImportOut(
        id=job.id,
        list_id=job.list_id,
        campaign_id=job.campaign_id,
        filename=job.filename,
        fingerprint=job.fingerprint,
        status=job.status,
        about_rows=job.about_rows,
        reading=job.reading.to_json(),
        rows=job.counts.rows,
        loaded=job.counts.loaded,
        joined=job.counts.joined,
        duplicates=job.counts.duplicates,
        rejected=job.counts.rejected,
        blank=job.counts.blank,
        filled=job.counts.filled,
        consents=job.counts.consents,
        wins=job.wins,
        error=error_out(job.error, locale),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def error_out(stored: str | None, locale: str) -> ImportErrorOut | None:
    """The error that ended an import, in the reader's language."""
    if stored is None:
        return None
    kept = json.loads(stored)
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, DozvonError) and kind.id == kept["id"]:
            return ImportErrorOut(id=kind.id, message=message(kind(**kept["details"]), locale))
    return ImportErrorOut(id=kept["id"], message=kept["id"])  # an error of an older version
