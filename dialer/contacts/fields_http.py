"""A tenant's own fields of contacts over HTTP: one by one, and all as a JSON Schema."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field as About
from pydantic import StringConstraints

from dialer.contacts.fields import (
    KEY,
    MAX_CHOICES,
    MAX_KEY,
    MAX_LABEL,
    MAX_PATTERN,
    FieldSpec,
    FieldType,
    Misfits,
)
from dialer.contacts.fields_schema import SchemaFault, from_schema, to_schema
from dialer.contacts.fields_service import FieldService, FieldView
from dialer.errors import BadRequest, Conflict, Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import LINE, In, Line, Out, form

FIELDS = web.AppKey("fields", FieldService)
SCHEMA_TYPE = "application/schema+json"

routes = Routes("fields")

Label = Annotated[str, StringConstraints(pattern=LINE, min_length=1, max_length=MAX_LABEL)]


KEY_FORM = form(KEY, "must be small Latin letters, digits and _, a letter first")


class FieldIn(In):
    """A field to be made."""

    key: str = About(
        pattern=KEY_FORM,
        max_length=MAX_KEY,
        description="for programs; stays as it is",
    )
    label_ru: Label
    label_en: Label
    type: FieldType
    names: list[Label] = About(
        default=[], max_length=MAX_CHOICES, description="more headers of files that it goes by"
    )
    choices: list[Label] = About(default=[], max_length=MAX_CHOICES, description="of a choice")
    required: bool = False
    pattern: str | None = About(
        None, min_length=1, max_length=MAX_PATTERN,
        description="of a text, the whole of it: letters, classes like [A-Z0-9], counts like {17}; no groups",
    )  # fmt: skip
    minimum: float | None = About(None, allow_inf_nan=False, description="of a number")
    maximum: float | None = About(None, allow_inf_nan=False, description="of a number")

    def spec(self) -> FieldSpec:
        """As the rules have it."""
        said = self.model_dump()
        return FieldSpec(**said | {"names": tuple(self.names), "choices": tuple(self.choices)})


class FieldEdit(In):
    """What shall change of a field; what is not said stays."""

    label_ru: Label | None = None
    label_en: Label | None = None
    type: FieldType | None = None
    names: list[Label] | None = About(None, max_length=MAX_CHOICES)
    choices: list[Label] | None = About(None, max_length=MAX_CHOICES)
    required: bool | None = None
    pattern: str | None = About(None, min_length=1, max_length=MAX_PATTERN)
    minimum: float | None = About(None, allow_inf_nan=False)
    maximum: float | None = About(None, allow_inf_nan=False)
    archived: bool | None = About(None, description="true: contacts keep its texts, nothing asks for them")

    def onto(self, old: FieldSpec) -> FieldSpec:
        """The field with these changes: null takes a pattern or a bound away."""
        said = {name: getattr(self, name) for name in self.model_fields_set - {"archived"}}
        kept: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in said.items()
            if value is not None or name in {"pattern", "minimum", "maximum"}
        }
        return dataclasses.replace(old, **kept)


class FieldOut(Out):
    """A field of contacts."""

    id: int
    key: str
    label_ru: str
    label_en: str
    type: FieldType
    names: list[str]
    choices: list[str]
    required: bool
    pattern: str | None
    minimum: float | None
    maximum: float | None
    archived: bool
    done: float = About(description="how much of the contacts has been read since its last change, 0 to 1")
    misfits: int = About(description="contacts whose value does not fit")


class MisfitOut(Out):
    """A contact's value that does not fit."""

    contact_id: int
    code: Misfits
    value: str


class TemplateIn(In):
    """Which fields."""

    template: Line = About(description="`cars`: what a car dealer knows of a client")


def field_out(view: FieldView) -> FieldOut:
    """A field as the API shows it."""
    field = view.field
    return FieldOut.model_validate(
        dataclasses.asdict(field.spec)
        | {"id": field.id, "archived": field.archived, "done": field.done, "misfits": view.misfits}
    )


@routes.get("/contact-fields", right=Right.CONTACTS_READ)
async def fields(call: Call) -> list[FieldOut]:
    """All fields in their order, archived ones too."""
    return [field_out(one) for one in await call.app[FIELDS].fields(call.actor)]


@routes.post("/contact-fields", right=Right.CONTACTS_EDIT, status=201, errors=(Conflict,))
async def add_field(call: Call, body: FieldIn) -> FieldOut:
    """Make a field; what contacts have under its names is read as its type soon."""
    return field_out(await call.app[FIELDS].add(call.actor, body.spec()))


@routes.post("/contact-fields/template", right=Right.CONTACTS_EDIT, status=201, errors=(NotFound, Conflict))
async def add_template(call: Call, body: TemplateIn) -> list[FieldOut]:
    """Make the fields of a trade that are not there yet."""
    made = set(await call.app[FIELDS].add_template(call.actor, body.template))
    return [field_out(one) for one in await call.app[FIELDS].fields(call.actor) if one.field.id in made]


@routes.get("/contact-fields/schema", right=Right.CONTACTS_READ, raw=SCHEMA_TYPE)
async def get_schema(call: Call) -> web.StreamResponse:
    """The fields as a JSON Schema (2020-12) of a contact's values."""
    found = await call.app[FIELDS].fields(call.actor)
    schema = to_schema(one.field.spec for one in found if not one.field.archived)
    return web.Response(
        text=json.dumps(schema, ensure_ascii=False, indent=2), content_type=SCHEMA_TYPE, charset="utf-8"
    )


@routes.put(
    "/contact-fields/schema", right=Right.CONTACTS_EDIT, accepts=SCHEMA_TYPE, errors=(Invalid, Conflict)
)
async def put_schema(call: Call) -> list[FieldOut]:
    """Have exactly the fields that a JSON Schema says.

    Those that are not there are made, others are changed, those that it does not name are archived. Types:
    `string` (with `format: date`, with `enum`, or a text, with `pattern`), `number` (`x-unit: money`),
    `boolean`; `title`, `x-title-ru` and `x-names` are its labels and other headers.
    """
    payload = b"".join([piece async for piece in call.chunks()])
    try:
        said: Any = json.loads(payload)
    except (ValueError, RecursionError):
        raise BadRequest(reason="the body is not JSON, or has a field twice") from None
    try:
        specs = from_schema(said)
    except SchemaFault as fault:
        raise Invalid(field=fault.path, reason=fault.reason) from None
    await call.app[FIELDS].put_schema(call.actor, specs)
    return await fields(call)


@routes.get("/contact-fields/{field_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_field(call: Call, field_id: int) -> FieldOut:
    """One field."""
    return field_out(await call.app[FIELDS].field(call.actor, field_id))


@routes.patch("/contact-fields/{field_id}", right=Right.CONTACTS_EDIT, errors=(NotFound,))
async def change_field(call: Call, field_id: int, body: FieldEdit) -> FieldOut:
    """Change a field; after a change of its type all values are read anew, soon."""
    return field_out(await call.app[FIELDS].change(call.actor, field_id, body.onto, archived=body.archived))


@routes.get("/contact-fields/{field_id}/misfits", right=Right.CONTACTS_READ, errors=(NotFound,))
async def misfits(call: Call, field_id: int, query: PageQuery) -> Page[MisfitOut]:
    """Contacts whose value does not fit the field."""
    key = decode(query.cursor, int)
    found = await call.app[FIELDS].misfits(
        call.actor, field_id, after=key[0] if key else None, limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.contact_id,))
    return Page[MisfitOut](items=[MisfitOut.model_validate(one) for one in page], next=following)
