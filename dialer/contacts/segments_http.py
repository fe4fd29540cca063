"""Segments and grids over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, StringConstraints

from dialer.contacts.http import ContactOut
from dialer.contacts.segments import Kind, Op
from dialer.contacts.segments_service import SegmentService
from dialer.contacts.segments_store import Segment
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import LINE, In, Out

SEGMENTS = web.AppKey("segments", SegmentService)

routes = Routes("segments")

Name = Annotated[str, StringConstraints(pattern=LINE, min_length=1, max_length=100)]
Document = Annotated[
    dict[str, Any],
    Field(description="all, any, not, or field, op and value; see docs/segments.md", examples=[{"all": []}]),
]


class SegmentIn(In):
    """A segment to be kept."""

    name: Name
    expression: Document


class SegmentEdit(In):
    """What shall change of a segment; what is not said stays."""

    name: Name | None = None
    expression: Document | None = None


class ExpressionIn(In):
    """An expression that is not kept."""

    expression: Document


class CellOut(Out):
    """Which cell of which grid a segment is."""

    grid_id: int
    money_band: int = Field(description="1 is the lowest")
    day_band: int = Field(description="1 is the longest ago")


class SegmentOut(Out):
    """A segment."""

    id: int
    name: str
    expression: dict[str, Any]
    cell: CellOut | None
    created_at: datetime
    campaigns: int = Field(description="how many call it")


class CountOut(Out):
    """How many people are in a segment."""

    people: int | None = Field(description="null: it took too long to tell")
    exact: bool = Field(description="false: told from a sample")


class FieldOut(Out):
    """A field that expressions may name."""

    field: str
    kind: Kind
    ops: list[Op]
    words: list[str] = Field(description="of a word: those that there are; empty: any")
    label_ru: str | None
    label_en: str | None


class UseIn(In):
    """The segment that a campaign shall call."""

    segment_id: int = Field(ge=1, le=MAX_ID)
    frozen: bool = Field(
        False,
        description="true: who is in it at the start; false: who enters it later too",
    )


class UseOut(Out):
    """A segment that a campaign calls."""

    segment_id: int
    name: str
    frozen: bool
    added_at: datetime
    led_at: datetime | None = Field(description="when leads were last made of it; null: they are being made")
    leads: int


class GridIn(In):
    """A grid to be made."""

    name: Name
    money_field: int = Field(ge=1, le=MAX_ID, description="id of a field of money or numbers")
    day_field: int = Field(ge=1, le=MAX_ID, description="id of a field of days")
    money_bands: int = Field(3, ge=2, le=10)
    day_bands: int = Field(3, ge=2, le=10)


class GridOut(Out):
    """People by what they have brought and when they last came."""

    id: int
    name: str
    money_field_id: int
    day_field_id: int
    money_bands: int
    day_bands: int
    money_bounds: list[float] = Field(description="the lowest value of each band but the first")
    day_bounds: list[date]
    counts: list[list[int]] = Field(description="a row a band of money, the lowest first; in it days")
    without: int = Field(description="people who lack one of the two values")
    counted_at: datetime | None


class CellIn(In):
    """The cell that shall be a segment."""

    name: Name
    money_band: int = Field(ge=1, le=10)
    day_band: int = Field(ge=1, le=10)


def segment_out(one: Segment) -> SegmentOut:
    """A segment as the API shows it."""
    cell = None
    if one.cell is not None and one.grid_id is not None:
        cell = CellOut(grid_id=one.grid_id, money_band=one.cell[0], day_band=one.cell[1])
    return SegmentOut(
        id=one.id,
        name=one.name,
        expression=one.expression,
        cell=cell,
        created_at=one.created_at,
        campaigns=one.campaigns,
    )


@routes.get("/segment-fields", right=Right.CONTACTS_READ)
async def fields(call: Call) -> list[FieldOut]:
    """The fields that expressions may name, with their tests."""
    known, _ = await call.app[SEGMENTS].catalog(call.actor)
    return [
        FieldOut(
            field=one.name,
            kind=one.kind,
            ops=list(one.ops),
            words=list(one.words),
            label_ru=one.custom.spec.label_ru if one.custom else None,
            label_en=one.custom.spec.label_en if one.custom else None,
        )
        for one in known.values()
    ]


@routes.post("/segments/count", right=Right.CONTACTS_READ, errors=(Invalid,), idempotent=False)
async def count(call: Call, body: ExpressionIn) -> CountOut:
    """How many people an expression is true of.

    Counted if that takes a fifth of a second at most, else told from a sample.
    """
    return CountOut.model_validate(await call.app[SEGMENTS].count(call.actor, body.expression))


@routes.post("/segments", right=Right.CONTACTS_EDIT, status=201, errors=(Invalid, Conflict))
async def add(call: Call, body: SegmentIn) -> SegmentOut:
    """Keep an expression under a name."""
    return segment_out(await call.app[SEGMENTS].add(call.actor, body.name, body.expression))


@routes.get("/segments", right=Right.CONTACTS_READ)
async def segments(call: Call) -> list[SegmentOut]:
    """All segments by their names."""
    return [segment_out(one) for one in await call.app[SEGMENTS].segments(call.actor)]


@routes.get("/segments/{segment_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get(call: Call, segment_id: int) -> SegmentOut:
    """One segment."""
    return segment_out(await call.app[SEGMENTS].get(call.actor, segment_id))


@routes.patch("/segments/{segment_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, Invalid, Conflict))
async def change(call: Call, segment_id: int, body: SegmentEdit) -> SegmentOut:
    """Give a segment another name or expression; campaigns that follow it do so soon."""
    found = await call.app[SEGMENTS].change(call.actor, segment_id, body.name, body.expression)
    return segment_out(found)


@routes.delete("/segments/{segment_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, Conflict))
async def remove(call: Call, segment_id: int) -> None:
    """Remove a segment that no campaign has leads of."""
    await call.app[SEGMENTS].remove(call.actor, segment_id)


@routes.get("/segments/{segment_id}/count", right=Right.CONTACTS_READ, errors=(NotFound, Invalid))
async def count_of(call: Call, segment_id: int) -> CountOut:
    """How many people are in a segment now."""
    service = call.app[SEGMENTS]
    segment = await service.get(call.actor, segment_id)
    return CountOut.model_validate(await service.count(call.actor, segment.expression))


@routes.get("/segments/{segment_id}/contacts", right=Right.CONTACTS_READ, errors=(NotFound, Invalid))
async def people(call: Call, segment_id: int, query: PageQuery) -> Page[ContactOut]:
    """Who is in a segment now, in the order they came."""
    service = call.app[SEGMENTS]
    segment = await service.get(call.actor, segment_id)
    key = decode(query.cursor, int)
    found = await service.people(
        call.actor, segment.expression, after=key[0] if key else None, limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[ContactOut](items=[ContactOut.model_validate(one) for one in page], next=following)


@routes.get("/campaigns/{campaign_id}/segments", right=Right.CAMPAIGNS_READ, errors=(NotFound,))
async def uses(call: Call, campaign_id: int) -> list[UseOut]:
    """The segments that a campaign calls."""
    return [UseOut.model_validate(one) for one in await call.app[SEGMENTS].uses(call.actor, campaign_id)]


@routes.post(
    "/campaigns/{campaign_id}/segments", right=Right.CAMPAIGNS_EDIT, status=201, errors=(NotFound, Conflict)
)
async def use(call: Call, campaign_id: int, body: UseIn) -> list[UseOut]:
    """Have a campaign call a segment; its leads are made soon, see `led_at`.

    One that is frozen has whoever is in the segment when the campaign is first started. Else the campaign
    follows it: every five minutes it gets leads of who has entered, and leads of who has left and was not
    called yet are closed (reason `segment`).
    """
    found = await call.app[SEGMENTS].use(call.actor, campaign_id, body.segment_id, frozen=body.frozen)
    return [UseOut.model_validate(one) for one in found]


@routes.delete(
    "/campaigns/{campaign_id}/segments/{segment_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound,)
)
async def let_go(call: Call, campaign_id: int, segment_id: int) -> None:
    """Have a campaign follow a segment no more; the leads that it has stay."""
    await call.app[SEGMENTS].let_go(call.actor, campaign_id, segment_id)


@routes.get("/rfm-grids", right=Right.CONTACTS_READ)
async def grids(call: Call) -> list[GridOut]:
    """All grids by their names."""
    return [GridOut.model_validate(one) for one in await call.app[SEGMENTS].grids(call.actor)]


@routes.post("/rfm-grids", right=Right.CONTACTS_EDIT, status=201, errors=(Invalid, Conflict))
async def add_grid(call: Call, body: GridIn) -> GridOut:
    """Make a grid of a field of money and a field of days; it is counted soon."""
    made = await call.app[SEGMENTS].add_grid(
        call.actor, body.name, (body.money_field, body.money_bands), (body.day_field, body.day_bands)
    )
    return GridOut.model_validate(made)


@routes.get("/rfm-grids/{grid_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def grid(call: Call, grid_id: int) -> GridOut:
    """One grid."""
    return GridOut.model_validate(await call.app[SEGMENTS].grid(call.actor, grid_id))


@routes.post("/rfm-grids/{grid_id}/recount", right=Right.CONTACTS_EDIT, errors=(NotFound,))
async def recount(call: Call, grid_id: int) -> GridOut:
    """Count a grid now; else it is every six hours."""
    return GridOut.model_validate(await call.app[SEGMENTS].recount_grid(call.actor, grid_id))


@routes.post(
    "/rfm-grids/{grid_id}/segments", right=Right.CONTACTS_EDIT, status=201, errors=(NotFound, Conflict)
)
async def add_cell(call: Call, grid_id: int, body: CellIn) -> SegmentOut:
    """Make a cell a segment; it moves with the bands of the grid."""
    place = body.money_band, body.day_band
    return segment_out(await call.app[SEGMENTS].add_cell(call.actor, grid_id, place, body.name))


@routes.delete("/rfm-grids/{grid_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, Conflict))
async def remove_grid(call: Call, grid_id: int) -> None:
    """Remove a grid whose cells are no segments."""
    await call.app[SEGMENTS].remove_grid(call.actor, grid_id)
