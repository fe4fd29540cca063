"""Grids of revenue and last visit: which there are, one with its cells."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dialer.contacts.fields import Field, FieldType
from dialer.contacts.fields_http import FIELDS
from dialer.contacts.segments_http import SEGMENTS
from dialer.errors import DozvonError
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()

_PARTS = ("name", "money_field", "day_field", "money_bands", "day_bands")


@routes.get("/grids")
async def list_(request: web.Request) -> web.StreamResponse:
    """All grids."""
    return await _list(request, {}, {})


async def _list(
    request: web.Request, values: dict[str, Any], faults: dict[str, str], status: int = 200
) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    fields = await _fields(request, actor)
    return await page(
        request,
        "grids.html",
        status=status,
        grids=await request.app[SEGMENTS].grids(actor),
        fields=fields,
        # What most probably is meant comes first, and is chosen.
        money=sorted(
            (one for one in fields.values() if one.spec.type.is_number and not one.archived),
            key=lambda one: (one.key != "revenue", one.spec.type is not FieldType.MONEY),
        ),
        days=sorted(
            (one for one in fields.values() if one.spec.type is FieldType.DATE and not one.archived),
            key=lambda one: one.key != "last_visit",
        ),
        values={"name": "", "money_field": "", "day_field": "", "money_bands": 3, "day_bands": 3} | values,
        faults=faults,
    )


@routes.post("/grids")
async def create(request: web.Request) -> web.StreamResponse:
    """Make one."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    sent = await forms.texts(request)
    values = {key: sent.get(key, "").strip() for key in _PARTS}
    try:
        name = forms.line(sent, "name", forms.LONGEST_NAME, needed=True)
        numbers = [forms.whole(values[key], key) for key in list(values)[1:]]
        grid = await request.app[SEGMENTS].add_grid(
            actor, name, (numbers[0], numbers[2]), (numbers[1], numbers[3])
        )
        await request.app[SEGMENTS].recount_grid(actor, grid.id)
    except DozvonError as error:
        return await _list(request, values, forms.faults(error, locale_of(request)), error.status)
    return see(f"/grids/{grid.id}")


@routes.get("/grids/{grid_id:[0-9]{1,18}}")
async def one(request: web.Request) -> web.StreamResponse:
    """One grid."""
    return await _one(request, {})


async def _one(request: web.Request, faults: dict[str, str], status: int = 200) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    grid = await request.app[SEGMENTS].grid(actor, _id(request))
    segments = await request.app[SEGMENTS].segments(actor)
    return await page(
        request,
        "grid.html",
        status=status,
        grid=grid,
        fields=await _fields(request, actor),
        cells={segment.cell: segment for segment in segments if segment.grid_id == grid.id},
        most=max((many for row in grid.counts for many in row), default=0),
        faults=faults,
    )


@routes.post("/grids/{grid_id:[0-9]{1,18}}/cells")
async def add_cell(request: web.Request) -> web.StreamResponse:
    """Make a cell a segment."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    sent = await forms.texts(request)
    try:
        place = forms.whole(sent.get("row", ""), "row"), forms.whole(sent.get("column", ""), "column")
        name = forms.line(sent, "name", forms.LONGEST_NAME, needed=True)
        segment = await request.app[SEGMENTS].add_cell(actor, _id(request), place, name)
    except DozvonError as error:
        return await _one(request, forms.faults(error, locale_of(request)), error.status)
    return see(f"/segments/{segment.id}")


@routes.post("/grids/{grid_id:[0-9]{1,18}}/{action:recount|delete}")
async def act(request: web.Request) -> web.StreamResponse:
    """Count it now, or remove it."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    if request.match_info["action"] == "delete":
        await request.app[SEGMENTS].remove_grid(actor, _id(request))
        return see("/grids")
    await request.app[SEGMENTS].recount_grid(actor, _id(request))
    return see(f"/grids/{_id(request)}")


async def _fields(request: web.Request, actor: Actor) -> dict[int, Field]:
    return {one.field.id: one.field for one in await request.app[FIELDS].fields(actor)}


def _id(request: web.Request) -> int:
    return int(request.match_info["grid_id"])
