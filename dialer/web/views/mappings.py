"""Saved mappings: what the columns of files of one kind are."""

from __future__ import annotations

from aiohttp import web

from dialer.contacts.mappings_http import MAPPINGS, MappingEdit
from dialer.errors import DozvonError
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()
PAGE = 50


@routes.get("/lists/mappings")
async def list_(request: web.Request) -> web.StreamResponse:
    """All of them, newest first."""
    return await _page(request, {})


async def _page(
    request: web.Request, faults: dict[str, str], status: int = 200, wrong: int | None = None
) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    key = decode(request.query.get("cursor"), int)
    found = await request.app[MAPPINGS].mappings(actor, before=key[0] if key else None, limit=PAGE + 1)
    rows, following = cut(found, PAGE, lambda row: (row.id,))
    return await page(
        request,
        "mappings.html",
        status=status,
        mappings=rows,
        following=f"/lists/mappings?cursor={following}" if following else None,
        faults=faults,
        wrong=wrong,
    )


@routes.post("/lists/mappings/{mapping_id:[0-9]{1,18}}/rename")
async def rename(request: web.Request) -> web.StreamResponse:
    """Give one another name."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    try:
        named = forms.read(MappingEdit, {"name": await forms.field(request, "name")})
        await request.app[MAPPINGS].change(actor, _id(request), name=named.name)
    except DozvonError as error:
        return await _page(request, forms.faults(error, locale_of(request)), error.status, _id(request))
    return see("/lists/mappings")


@routes.post("/lists/mappings/{mapping_id:[0-9]{1,18}}/delete")
async def delete(request: web.Request) -> web.StreamResponse:
    """Remove one; imports keep what it said."""
    await request.app[MAPPINGS].remove(page_actor(request, Right.CONTACTS_EDIT), _id(request))
    return see("/lists/mappings")


def _id(request: web.Request) -> int:
    return int(request.match_info["mapping_id"])
