"""From a browser's form to the same models that the API has, and back with what is wrong, field by field."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import Any, TypeVar, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from dialer.errors import BadRequest, DozvonError, Invalid, NotFound
from dialer.httpkit.forms import read_form
from dialer.httpkit.i18n import message, said
from dialer.httpkit.problems import invalid
from dialer.httpkit.schema import near
from dialer.said import Said

M = TypeVar("M", bound=BaseModel)

#: Characters of a name that a person gives to something.
LONGEST_NAME = 100
#: Bytes that are taken of a file at a time.
PIECE = 1 << 20


async def texts(request: web.Request) -> MultiMapping[str]:
    """The text fields of a form. Raises BadRequest for a NUL, which PostgreSQL keeps in no text."""
    form = await read_form(request)
    for value in form.values():
        if isinstance(value, str) and "\0" in value:
            raise BadRequest(reason="the body holds a NUL character")
    return form


async def field(request: web.Request, name: str, default: str = "") -> str:
    """One text field."""
    value = (await texts(request)).get(name, default)
    return value.strip() if isinstance(value, str) else default


async def uploaded(request: web.Request) -> tuple[str, AsyncIterator[bytes]]:
    """The name of the form's `file`, and its content piece by piece. Raises Invalid where none was chosen."""
    file = (await read_form(request)).get("file")
    if not isinstance(file, web.FileField):
        raise Invalid(field="file", reason="choose a file")
    return file.filename, _pieces(file)


async def _pieces(file: web.FileField) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.file.read, PIECE):
        yield piece


def whole(text: str, name: str) -> int:
    """A number of a row from a form. Raises Invalid."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Invalid(field=name, reason="must be a whole number")
    return int(text)


def key(text: str, what: str) -> UUID:
    """The id of a call, a listening. Raises NotFound of `what`."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(what=what, key=text) from None


def line(form: MultiMapping[str], name: str, most: int, *, needed: bool = False) -> str:
    """A field that is one line of text, of at most so many characters. Raises Invalid."""
    text = form.get(name, "").strip()
    if needed and not text:
        raise Invalid(field=name, reason="is missing")
    if len(text) > most or not text.isprintable():
        raise Invalid(field=name, reason="does not have the right form")
    return text


def moment(text: str, field: str, zone: ZoneInfo) -> datetime | None:
    """A moment of the tenant's place from `2026-01-31T09:00` or a date; None of nothing. Raises Invalid."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(field=field, reason="must be a date like 2026-01-31") from None
    try:
        near(found)
    except ValueError as error:
        raise Invalid(field=field, reason=str(error)) from None
    if found.tzinfo is None:
        found = datetime.combine(found.date(), found.time(), zone)
    return found


def share(text: str, field: str) -> float:
    """Hundredths, as people write shares, as a share of one. Raises Invalid."""
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        raise Invalid(field=field, reason="must be a number") from None
    if not 0 <= found <= 100:
        raise Invalid(field=field, reason=Said("must be 0 to {most}", most=100))
    return round(found / 100, 6)


def words_of(text: str) -> list[str]:
    """`продажи, vip` -> two words."""
    return [word for word in re.split(r"[,;\s]+", text) if word]


def given(
    form: MultiMapping[str],
    model: type[BaseModel],
    *,
    lists: Collection[str] = (),
    kept: Collection[str] = (),
) -> dict[str, Any]:
    """The fields of `model` that a form holds.

    An empty field is left out, so the model's own default stands, unless it is one of `kept` (an empty text
    is meant). A box that is not ticked sends nothing and means false. `lists` are boxes or words.
    """
    found: dict[str, Any] = {}
    for name, about in model.model_fields.items():
        if name in lists:
            found[name] = [word for text in form.getall(name, []) for word in words_of(text)]
        elif about.annotation is bool:
            found[name] = name in form
        elif (text := form.get(name)) is not None and (text.strip() or name in kept):
            is_float = float in (about.annotation, *get_args(about.annotation))
            found[name] = text.strip().replace(",", ".") if is_float else text
    return found


def read(model: type[M], values: Mapping[str, Any]) -> M:
    """The model of these values. Raises Invalid with every wrong field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(error) from None


def faults(error: DozvonError, locale: str) -> dict[str, str]:
    """What is wrong, by field; "" is the form as a whole."""
    found = error.details.get("errors")
    if isinstance(found, list):
        return {
            str(one["field"]).split(".", maxsplit=1)[0]: str(said(one["reason"], locale)) for one in found
        }
    if isinstance(error, Invalid):
        return {str(error.details["field"]): str(said(error.details["reason"], locale))}
    return {"": message(error, locale)}
