"""Lists, contacts and imports over HTTP."""

from __future__ import annotations

import json
from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer import errors
from dialer.contacts.model import ImportJob, ImportStatus
from dialer.contacts.service import MAX_FILE_BYTES, ContactService
from dialer.errors import (
    BadNumber,
    Conflict,
    DozvonError,
    NoPhoneColumn,
    NotFound,
    UnreadableFile,
)
from dialer.httpkit.access import Right
from dialer.httpkit.i18n import message
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out

CONTACTS = web.AppKey("contacts", ContactService)

routes = Routes("contacts")


class ListIn(In):
    """A list to be made, or its new name."""

    name: Line = Field(min_length=1, max_length=100)


class ListOut(Out):
    """A list of contacts."""

    id: int
    name: str
    created_at: datetime
    contacts: int = Field(description="how many it holds")


class PhoneOut(Out):
    """A number of a contact."""

    position: int = Field(description="1 is dialled first")
    e164: str
    kind: str = Field(description="mobile, fixed_line, toll_free, ...")
    timezones: list[str] = Field(description="every zone in which the phone may be")


class ContactOut(Out):
    """A person that can be called."""

    id: int
    list_ids: list[int] = Field(description="the lists that have them, oldest first")
    external_id: str | None
    last_name: str
    first_name: str
    middle_name: str
    email: str
    timezone: str | None = Field(description="from the record; wins over the zones of the number")
    custom: dict[str, str] = Field(description="other columns of the file, by their header")
    created_at: datetime
    phones: list[PhoneOut]


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
    status: ImportStatus
    rows: int
    loaded: int = Field(description="new contacts")
    joined: int = Field(description="contacts of other lists, by a number: they are in this list too now")
    duplicates: int = Field(description="a number of the row is in the list, or stood higher in the file")
    rejected: int = Field(description="rows that cannot be used; the rejects file says why")
    blank: int
    error: ImportErrorOut | None
    created_at: datetime
    finished_at: datetime | None


class LeadsIn(In):
    """The campaign that shall call a list."""

    campaign_id: int = Field(ge=1, le=MAX_ID)


class LeadsOut(Out):
    """What was added to a campaign."""

    added: int = Field(description="numbers that the campaign did not have")


class ContactQuery(PageQuery):
    """Which contacts."""

    list_id: int | None = Field(None, alias="list", ge=1, le=MAX_ID, description="of this list only")
    number: str | None = Field(None, max_length=50, description="with this number, written in any way")


class ImportQuery(In):
    """Where a file goes besides its list."""

    campaign: int | None = Field(None, ge=1, le=MAX_ID, description="make leads for this campaign too")
    filename: Line = Field("contacts.csv", max_length=200, description="the name that people know it by")


@routes.post("/lists", right=Right.CONTACTS_EDIT, status=201, errors=(Conflict,))
async def create_list(call: Call, body: ListIn) -> ListOut:
    """Make an empty list."""
    return ListOut.model_validate(await call.app[CONTACTS].add_list(call.actor, body.name))


@routes.get("/lists", right=Right.CONTACTS_READ)
async def lists(call: Call, query: PageQuery) -> Page[ListOut]:
    """All lists, the newest first."""
    found = await call.app[CONTACTS].lists(
        call.actor, before=_only(decode(query.cursor, int)), limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[ListOut](items=[ListOut.model_validate(one) for one in page], next=following)


@routes.get("/lists/{list_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_list(call: Call, list_id: int) -> ListOut:
    """One list."""
    return ListOut.model_validate(await call.app[CONTACTS].get_list(call.actor, list_id))


@routes.patch("/lists/{list_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, Conflict))
async def rename_list(call: Call, list_id: int, body: ListIn) -> ListOut:
    """Give a list another name."""
    return ListOut.model_validate(await call.app[CONTACTS].rename_list(call.actor, list_id, body.name))


@routes.delete("/lists/{list_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, Conflict))
async def remove_list(call: Call, list_id: int) -> None:
    """Remove an empty list."""
    await call.app[CONTACTS].remove_list(call.actor, list_id)


@routes.post("/lists/{list_id}/leads", right=Right.CAMPAIGNS_EDIT, errors=(NotFound,))
async def add_leads(call: Call, list_id: int, body: LeadsIn) -> LeadsOut:
    """Have a campaign call a list: a lead of each contact's first number that it does not have."""
    added = await call.app[CONTACTS].add_list_to_campaign(call.actor, list_id, body.campaign_id)
    return LeadsOut(added=added)


@routes.post(
    "/lists/{list_id}/imports",
    right=Right.CONTACTS_EDIT,
    status=202,
    accepts="text/csv",
    body_limit=MAX_FILE_BYTES,
    errors=(NotFound, UnreadableFile, NoPhoneColumn),
)
async def import_csv(call: Call, list_id: int, query: ImportQuery) -> ImportOut:
    """Bring a CSV file into a list.

    The body is the file, its type `text/csv` without a charset: encoding (UTF-8, Windows-1251, UTF-16) and
    delimiter (`;`, tab, `,`) are found out, columns go by their names in the first line. The reply comes when
    the file is taken; rows are loaded afterwards, see `GET /imports/{import_id}` or the event
    `import.progress`. A file brought again adds nothing.
    """
    job = await call.app[CONTACTS].add_import(
        call.actor, list_id, query.filename, call.chunks(), query.campaign
    )
    return import_out(job, call.locale)


@routes.get("/lists/{list_id}/imports", right=Right.CONTACTS_READ, errors=(NotFound,))
async def imports(call: Call, list_id: int, query: PageQuery) -> Page[ImportOut]:
    """Imports into a list, the newest first."""
    found = await call.app[CONTACTS].imports(
        call.actor, list_id, before=_only(decode(query.cursor, int)), limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[ImportOut](items=[import_out(one, call.locale) for one in page], next=following)


@routes.get("/imports/{import_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_import(call: Call, import_id: int) -> ImportOut:
    """How far an import is."""
    return import_out(await call.app[CONTACTS].get_import(call.actor, import_id), call.locale)


@routes.get("/imports/{import_id}/rejects.csv", right=Right.CONTACTS_READ, raw="text/csv", errors=(NotFound,))
async def rejects(call: Call, import_id: int) -> web.StreamResponse:
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


@routes.get("/contacts", right=Right.CONTACTS_READ, errors=(BadNumber,))
async def contacts(call: Call, query: ContactQuery) -> Page[ContactOut]:
    """Contacts in the order they came, of a list or with a number."""
    found = await call.app[CONTACTS].contacts(
        call.actor,
        list_id=query.list_id,
        number=query.number,
        after=_only(decode(query.cursor, int)),
        limit=query.limit + 1,
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[ContactOut](items=[ContactOut.model_validate(one) for one in page], next=following)


@routes.get("/contacts/{contact_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_contact(call: Call, contact_id: int) -> ContactOut:
    """One contact."""
    return ContactOut.model_validate(await call.app[CONTACTS].get_contact(call.actor, contact_id))


def import_out(job: ImportJob, locale: str) -> ImportOut:
    """An import as the API shows it, its error in the reader's language."""
    return ImportOut(
        id=job.id,
        list_id=job.list_id,
        campaign_id=job.campaign_id,
        filename=job.filename,
        fingerprint=job.fingerprint,
        status=job.status,
        rows=job.counts.rows,
        loaded=job.counts.loaded,
        joined=job.counts.joined,
        duplicates=job.counts.duplicates,
        rejected=job.counts.rejected,
        blank=job.counts.blank,
        error=_error_out(job.error, locale),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def _error_out(stored: str | None, locale: str) -> ImportErrorOut | None:
    if stored is None:
        return None
    kept = json.loads(stored)
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, DozvonError) and kind.id == kept["id"]:
            return ImportErrorOut(id=kind.id, message=message(kind(**kept["details"]), locale))
    return ImportErrorOut(id=kept["id"], message=kept["id"])  # an error of an older version


def _only(key: tuple[int, ...] | None) -> int | None:
    return key[0] if key else None
