"""Do-not-call over HTTP."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.contacts.imports_http import ImportErrorOut, error_out
from dialer.contacts.keys import only
from dialer.contacts.spool import MAX_FILE_BYTES
from dialer.donotcall.model import Entry, ImportStatus, Kind, NumbersImport, Refusal, Source
from dialer.donotcall.service import MOST, MOST_PREFIXES, DoNotCallService
from dialer.errors import BadNumber, Invalid, NotFound, UnreadableFile, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Moment, Out

DO_NOT_CALL = web.AppKey("do_not_call", DoNotCallService)

routes = Routes("do_not_call")


class EntryIn(In):
    """Numbers that are not to be called, and why."""

    numbers: list[str] = Field([], max_length=MOST, description="written in any way")
    prefixes: list[str] = Field(
        [],
        max_length=MOST_PREFIXES,
        description="all numbers that begin so: `+7495`, or as numbers are written in the country of the "
        "installation (`8495`); more than the code of a country",
    )
    campaign_id: int | None = Field(None, ge=1, le=MAX_ID, description="null: by no campaign")
    reason: Line = Field("", max_length=500)
    valid_from: Moment | None = Field(None, description="null: at once")
    valid_until: Moment | None = Field(None, description="null: until it is removed")


class AddedOut(Out):
    """What was added."""

    ids: list[int] = Field(description="of the new entries")
    known: int = Field(description="numbers and prefixes that had an entry which says the same")


class EntryOut(Out):
    """Somebody is not to be called."""

    id: int
    kind: Kind
    number: str = Field(description="in E.164; of a prefix, how the numbers begin")
    campaign_id: int | None = Field(description="null: by no campaign")
    source: Source
    registry: str | None = Field(description="the registry that it came from")
    reason: str
    valid_from: datetime | None = Field(description="null: from the commit on")
    valid_until: datetime | None = Field(description="null: until it is removed")
    attempt_id: UUID | None = Field(description="the call in which it was asked for")
    added_at: datetime
    added_by: str | None = Field(description="null: the server itself")
    removed_at: datetime | None
    removed_by: str | None
    removed_reason: str | None


class EntriesQuery(PageQuery):
    """Which entries."""

    source: Source | None = None
    removed: bool = Field(False, description="with those that were removed")


class CheckQuery(In):
    """Which number."""

    number: str = Field(max_length=50, description="written in any way")


class CheckOut(Out):
    """What is said of a number."""

    e164: str
    forbidden: bool = Field(description="no campaign may call it now")
    erased: bool = Field(
        description="its owner was erased and had asked not to be called: nothing else is kept"
    )
    entries: list[EntryOut] = Field(description="that are or were for it, the newest first")


class RemovalIn(In):
    """Why an entry is removed."""

    reason: Line = Field(min_length=1, max_length=500)


class NumbersQuery(In):
    """Whose file it is, and what it says."""

    filename: Line = Field("numbers.csv", max_length=200, description="the name that people know it by")
    registry: Line | None = Field(
        None, min_length=1, max_length=100, description="a registry, whose numbers the file replaces"
    )
    renew_by: Moment | None = Field(None, description="until when a new file of the registry is wanted")
    fewer: bool = Field(False, description="the registry may lose more than half of its numbers")
    campaign: int | None = Field(None, ge=1, le=MAX_ID, description="for this campaign only")
    reason: Line = Field("", max_length=500)
    valid_until: Moment | None = Field(None, description="until when its numbers count; none: for good")


class RejectOut(Out):
    """A cell that is no number."""

    row: int
    code: str
    value: str | None = Field(description="what stood there, cut; null: nobody has kept it")


class NumbersOut(Out):
    """A file of numbers on its way."""

    id: int
    registry: str | None
    campaign_id: int | None
    filename: str
    fingerprint: str = Field(description="SHA-256 of the file")
    reason: str
    valid_until: datetime | None
    status: ImportStatus
    rows: int
    added: int = Field(description="numbers that had no entry")
    known: int
    removed: int = Field(description="of a registry: numbers that the file has no longer")
    rejected: int = Field(description="cells that are no number")
    rejects: list[RejectOut] = Field(description="the first of them")
    error: ImportErrorOut | None
    added_by: str | None
    created_at: datetime
    finished_at: datetime | None


class RegistryOut(Out):
    """A register of numbers that others keep."""

    id: int
    name: str
    numbers: int = Field(description="that count")
    imported_at: datetime | None
    renew_by: datetime | None


@routes.post("/do-not-call", right=Right.COMPLIANCE_EDIT, status=201, errors=(Invalid, NotFound))
async def add(call: Call, body: EntryIn) -> AddedOut:
    """Have numbers called no more.

    With the reply no attempt at them is made any more: leads are closed (put off, where there is an end), and
    calls that nobody has answered yet are taken back. A number that has an entry which says the same gets no
    second one.
    """
    said = Refusal(Source.API, **body.model_dump(exclude={"numbers", "prefixes"}))
    added = await call.app[DO_NOT_CALL].add(call.actor, body.numbers, body.prefixes, said)
    return AddedOut.model_validate(added)


@routes.get("/do-not-call", right=Right.CONTACTS_READ)
async def entries(call: Call, query: EntriesQuery) -> Page[EntryOut]:
    """Who is not to be called, the newest first."""
    found = await call.app[DO_NOT_CALL].entries(
        call.actor,
        source=query.source,
        removed=query.removed,
        before=only(decode(query.cursor, int)),
        limit=query.limit + 1,
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[EntryOut](items=[entry_out(one) for one in page], next=following)


@routes.get("/do-not-call/check", right=Right.CONTACTS_READ, errors=(BadNumber,))
async def check(call: Call, query: CheckQuery) -> CheckOut:
    """Whether a number may be called, and everything that is or was said of it."""
    found = await call.app[DO_NOT_CALL].check(call.actor, query.number)
    return CheckOut(
        e164=found.e164,
        forbidden=found.forbidden,
        erased=found.erased,
        entries=[entry_out(one) for one in found.entries],
    )


@routes.post("/do-not-call/{entry_id}/remove", right=Right.COMPLIANCE_EDIT, errors=(NotFound, WrongState))
async def remove(call: Call, entry_id: int, body: RemovalIn) -> EntryOut:
    """Let an entry count no more. It stays, with who removed it and why; leads that it closed come back."""
    return entry_out(await call.app[DO_NOT_CALL].remove(call.actor, entry_id, body.reason))


@routes.post(
    "/do-not-call/imports",
    right=Right.COMPLIANCE_EDIT,
    status=202,
    accepts="text/csv",
    body_limit=MAX_FILE_BYTES,
    errors=(Invalid, NotFound, UnreadableFile),
)
async def import_numbers(call: Call, query: NumbersQuery) -> NumbersOut:
    """Bring in a file of numbers, or a new file of a registry.

    The body is the file, its type `text/csv` whatever it is: CSV, XLSX or ODS with a column of phones, or a
    plain list of numbers, one a line. The reply comes when the file is taken; how far it is says
    `GET /do-not-call/imports/{import_id}` or the event `do_not_call.import`. A file of a registry replaces
    what the registry held, unless more than half of that would go (see `fewer`).
    """
    said = Refusal(
        Source.IMPORT, campaign_id=query.campaign, reason=query.reason, valid_until=query.valid_until
    )
    job = await call.app[DO_NOT_CALL].add_import(
        call.actor,
        query.filename,
        call.chunks(),
        said,
        registry=query.registry,
        renew_by=query.renew_by,
        fewer=query.fewer,
    )
    return numbers_out(job, call.locale)


@routes.get("/do-not-call/imports", right=Right.CONTACTS_READ)
async def imports(call: Call, query: PageQuery) -> Page[NumbersOut]:
    """Files of numbers that were brought in, the newest first."""
    found = await call.app[DO_NOT_CALL].imports(
        call.actor, before=only(decode(query.cursor, int)), limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[NumbersOut](items=[numbers_out(one, call.locale) for one in page], next=following)


@routes.get("/do-not-call/imports/{import_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_import(call: Call, import_id: int) -> NumbersOut:
    """How far a file is."""
    return numbers_out(await call.app[DO_NOT_CALL].get_import(call.actor, import_id), call.locale)


@routes.get("/do-not-call/registries", right=Right.CONTACTS_READ)
async def registries(call: Call) -> list[RegistryOut]:
    """All registries, by name."""
    return [RegistryOut.model_validate(one) for one in await call.app[DO_NOT_CALL].registries(call.actor)]


def entry_out(entry: Entry) -> EntryOut:
    """An entry as the API shows it."""
    return EntryOut.model_validate(entry)


def numbers_out(job: NumbersImport, locale: str) -> NumbersOut:
    """A file as the API shows it, its error in the reader's language."""
    return NumbersOut(
        id=job.id,
        registry=job.registry,
        campaign_id=job.campaign_id,
        filename=job.filename,
        fingerprint=job.fingerprint,
        reason=job.reason,
        valid_until=job.valid_until,
        status=job.status,
        rows=job.counts.rows,
        added=job.counts.added,
        known=job.counts.known,
        removed=job.counts.removed,
        rejected=job.counts.rejected,
        rejects=[RejectOut(row=row, code=code, value=value) for row, code, value in job.rejects],
        error=error_out(job.error, locale),
        added_by=job.added_by,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )
