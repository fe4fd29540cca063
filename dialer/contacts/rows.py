"""One row of a file to one new contact, or the reasons why not. Pure."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence
from functools import cache, lru_cache

from dialer.contacts import model
from dialer.contacts.cleaning import Mark, clean_email, clean_name, split_full_name
from dialer.contacts.columns import Column, Field
from dialer.contacts.files.layout import MAX_RECORD, BadRecord, Record
from dialer.contacts.model import NewContact
from dialer.contacts.numbers import PhoneNumber, read_cell
from dialer.contacts.persons import clean_custom
from dialer.contacts.rejects import Reject, RejectCode

_OFFSET = re.compile(
    r"(utc|gmt|мск|msk)?\s*(?:([+-])\s*(\d{1,2})(?::?00)?)?(?:\s*ч(?:ас(?:а|ов)?)?)?", re.IGNORECASE
)
# Control characters have no place in a value; new lines inside a cell become spaces with them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
# Marks of writing direction and of no width: phones put them around a number that is copied.
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")

_LIMITS = {
    Field.LAST_NAME: model.MAX_NAME,
    Field.FIRST_NAME: model.MAX_NAME,
    Field.MIDDLE_NAME: model.MAX_NAME,
    Field.FULL_NAME: model.MAX_NAME * 2,
    Field.EMAIL: model.MAX_EMAIL,
    Field.TIMEZONE: model.MAX_NAME,
    Field.EXTERNAL_ID: model.MAX_EXTERNAL_ID,
    Field.PHONE: model.MAX_PHONE_CELL,
    Field.CUSTOM: model.MAX_CUSTOM,
    Field.SKIP: MAX_RECORD,
}
# Columns that are no field of a contact.
_APART = frozenset({Field.CUSTOM, Field.SKIP})


def read_row(
    record: Record | BadRecord, columns: Sequence[Column], region: str
) -> tuple[NewContact | None, list[Reject]]:
    """The contact of a row, and what of the row was not taken.

    (None, []) is a blank row; (None, rejects) a rejected one; (contact, rejects) has lost some cells that it
    can do without. `region` is the country of numbers that are written without one.
    """
    if isinstance(record, BadRecord):
        return None, [Reject.of(record.number, "", record.code, record.value)]
    if record.blank:
        return None, []
    row = record.number
    cells = list(zip(columns, record.cells, strict=True))
    for column, cell in cells:
        if len(cell) > _LIMITS[column.field]:
            return None, [Reject.of(row, column.name, RejectCode.TOO_LONG, cell)]

    phones, extensions, rejects = _phones(row, cells, region)
    if not phones:
        first = next(column.name for column in columns if column.field is Field.PHONE)
        return None, rejects or [Reject.of(row, first, RejectCode.NO_PHONE, "")]

    plain = {column.field: clean(cell) for column, cell in cells if column.field not in _APART}
    custom: dict[str, str] = {}
    for column, cell in cells:
        if column.field is Field.CUSTOM and (value := clean_custom(column.kept_as, clean(cell))):
            custom.setdefault(column.kept_as, value)
    names = {column.field: column.name for column in columns}
    email, mark = plain.get(Field.EMAIL, ""), None
    if email:
        cleaned = clean_email(email)
        email, mark = cleaned.value, cleaned.mark
    if mark is Mark.EMAIL_FORM:
        rejects.append(Reject.of(row, names[Field.EMAIL], RejectCode.EMAIL, email))
        email = ""
    timezone = None
    if zone := plain.get(Field.TIMEZONE, ""):
        timezone = read_timezone(zone)
        if timezone is None:
            rejects.append(Reject.of(row, names[Field.TIMEZONE], RejectCode.TIMEZONE, zone))
    last, first_name, middle = split_name(plain.get(Field.FULL_NAME, ""))
    contact = NewContact(
        row=row,
        phones=tuple(phones),
        last_name=_name(plain.get(Field.LAST_NAME, "")) or last,
        first_name=_name(plain.get(Field.FIRST_NAME, "")) or first_name,
        middle_name=_name(plain.get(Field.MIDDLE_NAME, "")) or middle,
        email=email,
        timezone=timezone,
        external_id=plain.get(Field.EXTERNAL_ID) or None,
        custom={**custom, **extensions},
    )
    return contact, rejects


def _phones(
    row: int, cells: Sequence[tuple[Column, str]], region: str
) -> tuple[list[PhoneNumber], dict[str, str], list[Reject]]:
    """Every number of the phone columns in their order, extensions to be kept as text, and bad pieces."""
    found: dict[str, PhoneNumber] = {}
    extensions: dict[str, str] = {}
    rejects: list[Reject] = []
    for column, cell in cells:
        if column.field is not Field.PHONE:
            continue
        good, bad = read_cell(cell if cell.isascii() else _INVISIBLE.sub("", cell), region)
        rejects.extend(Reject.of(row, column.name, piece.code, piece.value) for piece in bad)
        for number in good:
            if number.e164 in found:
                continue
            if len(found) == model.MAX_PHONES:
                rejects.append(Reject.of(row, column.name, RejectCode.MANY_PHONES, number.e164))
                break
            found[number.e164] = number
            if number.extension:
                extensions[f"{column.name} ext."] = number.extension
    return list(found.values()), extensions, rejects


def clean(value: str) -> str:
    """A value without control characters and with single spaces."""
    if value.isprintable() and "  " not in value and value == value.strip():
        return value  # as nearly every value is
    return " ".join(_CONTROL.sub(" ", _INVISIBLE.sub("", value)).split())


# A million people have a few thousand names.
_name = lru_cache(maxsize=50_000)(clean_name)


@lru_cache(maxsize=10_000)
def split_name(full: str) -> tuple[str, str, str]:
    """(last, first, middle) of a full name in one cell, as `cleaning.split_full_name` tells them apart."""
    parts = split_full_name(clean_name(full))
    return parts.last, parts.first, parts.middle


@cache
def _zone_names() -> dict[str, str]:
    return {name.casefold(): name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC"}


@lru_cache(maxsize=1000)
def read_timezone(text: str) -> str | None:
    """The IANA name of a zone written as one, as `UTC+5`, `+5`, `МСК` or `МСК+2`; None for anything else.

    An offset becomes `Etc/GMT-5`, whose sign is the other way round by POSIX's custom.
    """
    if name := _zone_names().get(text.casefold().replace(" ", "_")):
        return name
    match = _OFFSET.fullmatch(text)
    if not match or not text:
        return None
    base, sign, hours = match.groups()
    moscow = (base or "").casefold() in {"мск", "msk"}
    if hours is None:
        return {True: "Europe/Moscow", False: "Etc/UTC"}[moscow] if base else None
    offset = (int(hours) if sign == "+" else -int(hours)) + (3 if moscow else 0)
    if moscow and offset == 3:
        return "Europe/Moscow"
    return f"Etc/GMT{-offset:+d}" if -12 <= offset <= 14 and offset else ("Etc/UTC" if offset == 0 else None)
