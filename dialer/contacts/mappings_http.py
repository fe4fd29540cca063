"""Saved mappings over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aiohttp import web
from pydantic import Field, StringConstraints

from dialer.contacts.columns import MAX_HEADER
from dialer.contacts.keys import only
from dialer.contacts.mappings import MappingService
from dialer.contacts.reading import CUSTOM_KEY, MAX_MAPPED
from dialer.errors import Conflict, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import LINE, In, Line, Out

MAPPINGS = web.AppKey("mappings", MappingService)

routes = Routes("contacts")

#: A header of a file, and what its column is.
Header = Annotated[str, StringConstraints(pattern=LINE, min_length=1, max_length=MAX_HEADER)]
Word = Annotated[str, StringConstraints(pattern=LINE, min_length=1, max_length=MAX_HEADER + len(CUSTOM_KEY))]
Columns = Annotated[
    dict[Header, Word],
    Field(
        max_length=MAX_MAPPED,
        description="header → `phone`, `last_name`, `first_name`, `middle_name`, `full_name`, `email`, "
        "`timezone`, `external_id`, `consent_purpose` (with `consent_source` at least; `consent_from`, "
        "`consent_until`, `consent_proof`), `custom:<key>`, `custom` (under its header) or `skip`",
    ),
]


class MappingIn(In):
    """A mapping to be saved."""

    name: Line = Field(min_length=1, max_length=100)
    columns: Columns


class MappingEdit(In):
    """What changes of a mapping."""

    name: Line | None = Field(None, min_length=1, max_length=100)
    columns: Columns | None = None


class MappingOut(Out):
    """A saved mapping."""

    id: int
    name: str
    columns: dict[str, str] = Field(description="header → what its column is")
    created_at: datetime
    used_at: datetime | None = Field(description="when a file was last brought in by it")


@routes.post("/import-mappings", right=Right.CONTACTS_EDIT, status=201, errors=(Conflict,))
async def create_mapping(call: Call, body: MappingIn) -> MappingOut:
    """Save what the columns of files of one kind are."""
    return MappingOut.model_validate(await call.app[MAPPINGS].add(call.actor, body.name, body.columns))


@routes.get("/import-mappings", right=Right.CONTACTS_READ)
async def mappings(call: Call, query: PageQuery) -> Page[MappingOut]:
    """Saved mappings, the newest first."""
    found = await call.app[MAPPINGS].mappings(
        call.actor, before=only(decode(query.cursor, int)), limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[MappingOut](items=[MappingOut.model_validate(one) for one in page], next=following)


@routes.get("/import-mappings/{mapping_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_mapping(call: Call, mapping_id: int) -> MappingOut:
    """One saved mapping."""
    return MappingOut.model_validate(await call.app[MAPPINGS].get(call.actor, mapping_id))


@routes.patch("/import-mappings/{mapping_id}", right=Right.CONTACTS_EDIT, errors=(NotFound, Conflict))
async def change_mapping(call: Call, mapping_id: int, body: MappingEdit) -> MappingOut:
    """Give a mapping another name, other columns or both."""
    changed = await call.app[MAPPINGS].change(call.actor, mapping_id, name=body.name, columns=body.columns)
    return MappingOut.model_validate(changed)


@routes.delete("/import-mappings/{mapping_id}", right=Right.CONTACTS_EDIT, errors=(NotFound,))
async def remove_mapping(call: Call, mapping_id: int) -> None:
    """Remove a mapping; imports that were read by it keep what it said."""
    await call.app[MAPPINGS].remove(call.actor, mapping_id)
