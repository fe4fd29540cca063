"""A tenant's own fields of contacts: the list, one with what does not fit."""

from __future__ import annotations

import dataclasses
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from dialer.contacts.fields import TEMPLATES, FieldSpec, FieldType, read_number
from dialer.contacts.fields_http import FIELDS, FieldIn
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()

MISFITS = 50


@routes.get("/fields")
async def list_(request: web.Request) -> web.StreamResponse:
    """All fields."""
    return await _list(request, {}, {})


async def _list(
    request: web.Request, values: dict[str, Any], faults: dict[str, str], status: int = 200
) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    found = await request.app[FIELDS].fields(actor)
    keys = {one.field.key for one in found}
    return await page(
        request,
        "fields.html",
        status=status,
        fields=found,
        values=_EMPTY | values,
        faults=faults,
        types=list(FieldType),
        templates=[name for name, specs in TEMPLATES.items() if not keys >= {spec.key for spec in specs}],
    )


_EMPTY: dict[str, Any] = {
    "key": "", "label_ru": "", "label_en": "", "type": "text", "names": "", "choices": "", "required": False,
    "pattern": "", "minimum": "", "maximum": "",
}  # fmt: skip


@routes.post("/fields")
async def create(request: web.Request) -> web.StreamResponse:
    """Make one."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    sent = await forms.texts(request)
    try:
        made = await request.app[FIELDS].add(actor, _spec(sent, sent.get("key", "").strip()))
    except DozvonError as error:
        return await _list(request, _kept(sent), forms.faults(error, locale_of(request)), error.status)
    return see(f"/fields#field-{made.field.id}")


@routes.post("/fields/template")
async def template(request: web.Request) -> web.StreamResponse:
    """Make those of a trade."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    await request.app[FIELDS].add_template(actor, await forms.field(request, "template"))
    return see("/fields")


@routes.get("/fields/{field_id:[0-9]{1,18}}")
async def one(request: web.Request) -> web.StreamResponse:
    """One field, with what does not fit."""
    return await _one(request, None, {})


async def _one(
    request: web.Request, values: dict[str, Any] | None, faults: dict[str, str], status: int = 200
) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    view = await request.app[FIELDS].field(actor, _id(request))
    misfits = await request.app[FIELDS].misfits(actor, view.field.id, limit=MISFITS)
    spec = view.field.spec
    shown = dataclasses.asdict(spec) | {
        "type": spec.type.value,
        "names": "\n".join(spec.names),
        "choices": "\n".join(spec.choices),
        "pattern": spec.pattern or "",
        "minimum": _plain(spec.minimum),
        "maximum": _plain(spec.maximum),
    }
    return await page(
        request,
        "field.html",
        status=status,
        view=view,
        values=shown | (values or {}),
        faults=faults,
        types=list(FieldType),
        misfits=misfits,
    )


@routes.post("/fields/{field_id:[0-9]{1,18}}")
async def edit(request: web.Request) -> web.StreamResponse:
    """Change one."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    sent = await forms.texts(request)
    try:
        await request.app[FIELDS].change(actor, _id(request), lambda old: _spec(sent, old.key))
    except DozvonError as error:
        if error.status == 404:
            raise
        return await _one(request, _kept(sent), forms.faults(error, locale_of(request)), error.status)
    return see("/fields")


@routes.post("/fields/{field_id:[0-9]{1,18}}/{action:archive|restore}")
async def archive(request: web.Request) -> web.StreamResponse:
    """Put one away, or bring it back."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    away = request.match_info["action"] == "archive"
    await request.app[FIELDS].change(actor, _id(request), lambda old: old, archived=away)
    return see("/fields")


def _kept(sent: MultiMapping[str]) -> dict[str, Any]:
    return {name: sent.get(name, "") for name in _EMPTY if name != "required"} | {
        "required": "required" in sent
    }


def _spec(sent: MultiMapping[str], key: str) -> FieldSpec:
    """The field that a form says. Raises Invalid."""
    said: dict[str, Any] = {
        "key": key,
        "label_ru": sent.get("label_ru", ""),
        "label_en": sent.get("label_en", "").strip() or sent.get("label_ru", ""),
        "type": sent.get("type", ""),
        "names": _lines(sent.get("names", "")),
        "choices": _lines(sent.get("choices", "")),
        "required": "required" in sent,
        "pattern": sent.get("pattern", "").strip() or None,
        "minimum": _bound(sent.get("minimum", ""), "minimum"),
        "maximum": _bound(sent.get("maximum", ""), "maximum"),
    }
    return forms.read(FieldIn, said).spec()


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _bound(text: str, name: str) -> float | None:
    number = read_number(text.strip()) if text.strip() else None
    if text.strip() and number is None:
        raise Invalid(field=name, reason="must be a number")
    return number


def _plain(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def _id(request: web.Request) -> int:
    return int(request.match_info["field_id"])
