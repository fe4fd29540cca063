"""Files that wait to be started, over HTTP."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from typing import Annotated, Literal, Self

from aiohttp import web
from pydantic import Field

from dialer.compliance.policy import Purpose
from dialer.contacts.dryrun import Agreement, DryRun
from dialer.contacts.files import BadRecord, Kind
from dialer.contacts.imports_http import ImportErrorOut, ImportOut, RejectOut, import_out
from dialer.contacts.keys import CONTACTS
from dialer.contacts.mappings_http import Columns
from dialer.contacts.model import MAX_CUSTOM, Wins
from dialer.contacts.previews import Preview, PreviewService
from dialer.errors import NotFound, UnreadableFile, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.i18n import message
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out

PREVIEWS = web.AppKey("previews", PreviewService)

routes = Routes("contacts")

Encoding = Literal["utf-8-sig", "cp1251", "utf-16"]
Delimiter = Literal[";", "\t", ","]


class PreviewIn(In):
    """How a file is to be read; what is left out stays as it is, null is found out."""

    encoding: Encoding | None = None
    # not stripped, as other texts are: a tab is one
    delimiter: Annotated[Delimiter | None, Field(description="semicolon, tab or comma")] = None
    sheet: Line | None = Field(None, max_length=100, description="of a spreadsheet, by its name")
    mapping: Columns | None = Field(None, description="what the columns are, by their headers")
    mapping_id: int | None = Field(
        None, ge=1, le=MAX_ID, description="a saved mapping, in place of `mapping`"
    )
    wins: Wins | None = Field(None, description="whose value stays where the file and the base differ")
    campaign_id: int | None = Field(None, ge=1, le=MAX_ID, description="make leads for it; null: for none")


class ColumnOut(Out):
    """A column of a file."""

    header: str
    word: str = Field(description="what it is: `phone`, ..., `custom`, `custom:<key>`, `skip`")


class RowOut(Out):
    """A row as it is read."""

    row: int = Field(description="1 is the one after the header")
    cells: list[str]
    code: str | None = Field(description="why it cannot be taken apart; its text is the only cell then")


class SavedOut(Out):
    """A saved mapping, by name."""

    id: int
    name: str


class PersonOut(Out):
    """A row as a person."""

    row: int
    contact_id: int | None = Field(description="null: they would be new")
    name: str
    phones: list[str] = Field(description="in E.164")


class ChangeOut(Out):
    """What one row would do to one value of a person."""

    row: int
    contact_id: int | None = Field(description="null: they stand higher in the file")
    name: str = Field(description="who it is")
    column: str
    before: str = Field(description="what the base has; empty: nothing")
    after: str = Field(description="what the file has")


class AgreementOut(Out):
    """A consent that a row would have written down."""

    row: int
    contact_id: int | None = Field(description="null: they would be new")
    name: str = Field(description="who it is")
    purpose: Purpose
    source: str
    proof: str
    since: date | None = Field(description="its first day; null: the file does not say")
    until: date | None = Field(description="its last day; null: until it is withdrawn")

    @classmethod
    def of(cls, one: Agreement) -> Self:
        """The reply."""
        return cls(row=one.row, contact_id=one.contact_id, name=one.name, **asdict(one.agreed))


class TrialOut(Out):
    """What loading the first rows would do: rows = loaded + joined + duplicates + rejected + blank."""

    cut: bool = Field(description="the file has more rows than these")
    rows: int
    loaded: int = Field(description="new contacts")
    joined: int = Field(description="contacts of other lists, who would be in this one too")
    duplicates: int
    rejected: int
    blank: int
    filled: int = Field(description="rows that would change somebody who is known")
    consents: int = Field(description="consents that would be written down")
    codes: dict[str, int] = Field(description="rejects by their code: of rows and of cells")
    rejects: list[RejectOut] = Field(description="the first of them")
    new: list[PersonOut] = Field(description="the first of them")
    joining: list[PersonOut] = Field(description="the first of them")
    fillings: list[ChangeOut] = Field(description="what known people would get, the first of it")
    differing: list[ChangeOut] = Field(description="values that differ, the first of them")
    agreements: list[AgreementOut] = Field(description="the first of the consents")

    @classmethod
    def of(cls, trial: DryRun) -> Self:
        """The reply."""
        counts = trial.counts
        return cls(
            cut=trial.cut,
            rows=counts.rows,
            loaded=counts.loaded,
            joined=counts.joined,
            duplicates=counts.duplicates,
            rejected=counts.rejected,
            blank=counts.blank,
            filled=counts.filled,
            consents=counts.consents,
            codes=dict(trial.codes),
            rejects=[RejectOut.model_validate(one) for one in trial.rejects],
            new=[PersonOut.model_validate(one) for one in trial.new],
            joining=[PersonOut.model_validate(one) for one in trial.joining],
            fillings=[ChangeOut.model_validate(one) for one in trial.filled],
            differing=[ChangeOut.model_validate(one) for one in trial.differing],
            agreements=[AgreementOut.of(one) for one in trial.agreements],
        )


class PreviewOut(Out):
    """A file as it would be read."""

    job: ImportOut = Field(description="the import that waits")
    kind: Kind
    encoding: str = Field(description="of CSV")
    delimiter: str = Field(description="of CSV")
    sheet: str = Field(description="of a spreadsheet")
    sheets: list[str] = Field(description="of a spreadsheet")
    columns: list[ColumnOut]
    mapping: SavedOut | None = Field(description="the saved mapping that is in force")
    mappings: list[SavedOut] = Field(description="saved ones for files like this, the last used first")
    rows: list[RowOut] = Field(description="the first 20")
    trial: TrialOut | None = Field(description="of the first 10,000 rows; null where it cannot be loaded")
    fault: ImportErrorOut | None = Field(description="why it cannot be loaded")

    @classmethod
    def of(cls, preview: Preview, locale: str) -> Self:
        """The reply, in the reader's language."""
        layout, fault, chosen = preview.layout, preview.fault, preview.chosen
        columns = zip(layout.columns, preview.words, strict=True)
        return cls(
            job=import_out(preview.job, locale),
            kind=layout.kind,
            encoding=layout.encoding,
            delimiter=layout.delimiter,
            sheet=layout.sheet,
            sheets=list(layout.sheets),
            columns=[ColumnOut(header=column.name, word=word) for column, word in columns],
            mapping=SavedOut.model_validate(chosen) if chosen else None,
            mappings=[SavedOut.model_validate(one) for one in preview.saved],
            rows=[
                RowOut(row=one.number, cells=[one.value[:MAX_CUSTOM]], code=one.code.value)
                if isinstance(one, BadRecord)
                else RowOut(row=one.number, cells=[cell[:MAX_CUSTOM] for cell in one.cells], code=None)
                for one in preview.rows
            ],
            trial=TrialOut.of(preview.trial) if preview.trial else None,
            fault=ImportErrorOut(id=fault.id, message=message(fault, locale)) if fault else None,
        )


@routes.get(
    "/imports/{import_id}/preview",
    right=Right.CONTACTS_EDIT,
    errors=(NotFound, WrongState, UnreadableFile),
)
async def preview(call: Call, import_id: int) -> PreviewOut:
    """How a file would be read, and what loading it would do. Nothing is changed."""
    return PreviewOut.of(await call.app[PREVIEWS].preview(call.actor, import_id), call.locale)


@routes.patch(
    "/imports/{import_id}/preview",
    right=Right.CONTACTS_EDIT,
    errors=(NotFound, WrongState, UnreadableFile),
)
async def change_preview(call: Call, import_id: int, body: PreviewIn) -> PreviewOut:
    """Have a file read in another way, or for another campaign."""
    service = call.app[PREVIEWS]
    job = await call.app[CONTACTS].get_import(call.actor, import_id)
    given = {name: getattr(body, name) for name in body.model_fields_set}
    wins = given.pop("wins", job.wins) or Wins.BASE
    campaign_id = given.pop("campaign_id", job.campaign_id)
    mapping_id = given.pop("mapping_id", None)
    if "mapping" in given:
        given["mapping"] = given["mapping"] or {}
    reading = replace(job.reading, **given)
    await service.change(call.actor, import_id, reading, campaign_id, mapping_id=mapping_id, wins=wins)
    return PreviewOut.of(await service.preview(call.actor, import_id), call.locale)


@routes.post(
    "/imports/{import_id}/start",
    right=Right.CONTACTS_EDIT,
    status=202,
    errors=(NotFound, WrongState, UnreadableFile),
)
async def start_import(call: Call, import_id: int) -> ImportOut:
    """Have a file loaded as it is read now."""
    return import_out(await call.app[PREVIEWS].start(call.actor, import_id), call.locale)


@routes.delete("/imports/{import_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, WrongState))
async def discard_import(call: Call, import_id: int) -> None:
    """Throw a file away that was not started."""
    await call.app[PREVIEWS].discard(call.actor, import_id)
