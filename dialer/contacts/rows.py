"""One row of a file to one new contact, or the reasons why not. Pure."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence
from functools import cache, lru_cache
from operator import gt

from dialer.contacts import model
from dialer.contacts.agreed import MAX_PROOF, MAX_SOURCE, Agreed, read_agreed
from dialer.contacts.cleaning import Mark, clean_email, clean_name, split_full_name
from dialer.contacts.columns import CONSENT, KEPT, PRIORITY_CELL, Column, Field
from dialer.contacts.files.layout import MAX_RECORD, BadRecord, Record
from dialer.contacts.model import NewContact
from dialer.contacts.numbers import PhoneNumber, read_cell
from dialer.contacts.persons import custom_cleaner
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
    Field.PRIORITY: model.MAX_NAME,
    Field.CONSENT_PURPOSE: model.MAX_NAME,
    Field.CONSENT_SOURCE: MAX_SOURCE,
    Field.CONSENT_FROM: model.MAX_NAME,
    Field.CONSENT_UNTIL: model.MAX_NAME,
    Field.CONSENT_PROOF: MAX_PROOF,
    Field.CUSTOM: model.MAX_CUSTOM,
    Field.SKIP: MAX_RECORD,
}
# Fields that several columns may be.
_APART = frozenset({Field.PHONE, Field.CUSTOM, Field.SKIP})


class RowReader:
    """Reads rows of a file with these columns; what can be told of the columns is told once.

    `region` is the country of numbers that are written without one.
    """

    def __init__(self, columns: Sequence[Column], region: str) -> None:
        self._names = [column.name for column in columns]
        self._region = region
        self._limits = [_LIMITS[column.field] for column in columns]
        of = list(enumerate(column.field for column in columns))
        self._phones = [place for place, field in of if field is Field.PHONE]
        places = {field: place for place, field in of if field not in _APART}
        self._last, self._first = places.get(Field.LAST_NAME), places.get(Field.FIRST_NAME)
        self._middle, self._full = places.get(Field.MIDDLE_NAME), places.get(Field.FULL_NAME)
        self._email, self._timezone = places.get(Field.EMAIL), places.get(Field.TIMEZONE)
        self._external = places.get(Field.EXTERNAL_ID)
        self._consent = {field: place for field, place in places.items() if field in CONSENT}
        self._custom = [
            (place, column.kept_as, custom_cleaner(column.kept_as))
            for place, column in enumerate(columns)
            if column.field in KEPT
        ]
        self._priority = places.get(Field.PRIORITY)

    def read(self, record: Record | BadRecord) -> tuple[NewContact | None, list[Reject]]:
        """The contact of a row, and what of the row was not taken.

        (None, []) is a blank row; (None, rejects) a rejected one; (contact, rejects) has lost some cells that
        it can do without.
        """
        if isinstance(record, BadRecord):
            return None, [Reject.of(record.number, "", record.code, record.value)]
        row, cells = record.number, record.cells
        if any(map(gt, map(len, cells), self._limits)) and not record.blank:
            place = next(at for at, cell in enumerate(cells) if len(cell) > self._limits[at])
            return None, [Reject.of(row, self._names[place], RejectCode.TOO_LONG, cells[place])]
        phones, extensions, rejects = self._numbers(row, cells)
        if not phones:
            if record.blank:
                return None, []
            first = self._names[self._phones[0]]
            return None, rejects or [Reject.of(row, first, RejectCode.NO_PHONE, "")]

        cells = tidied(record.cells)
        custom: dict[str, str] = {}
        for place, key, cleaner in self._custom:
            value = cells[place]
            if place == self._priority and value and not PRIORITY_CELL.fullmatch(value):
                rejects.append(Reject.of(row, self._names[place], RejectCode.PRIORITY, value))
            elif value:
                custom.setdefault(key, cleaner(value) if cleaner else value)
        last, first, middle = ("", "", "") if self._full is None else split_name(cells[self._full])
        return (
            NewContact(
                row=row,
                phones=phones,
                last_name=_name_at(cells, self._last) or last,
                first_name=_name_at(cells, self._first) or first,
                middle_name=_name_at(cells, self._middle) or middle,
                email="" if self._email is None else self._address(row, cells[self._email], rejects),
                timezone=None if self._timezone is None else self._zone(row, cells[self._timezone], rejects),
                external_id=None if self._external is None else cells[self._external] or None,
                custom=custom | extensions if extensions else custom,
                agreed=self._agreed(row, cells, rejects) if self._consent else (),
            ),
            rejects,
        )

    def _numbers(
        self, row: int, cells: Sequence[str]
    ) -> tuple[tuple[PhoneNumber, ...], dict[str, str], list[Reject]]:
        """Every number of the phone columns in their order, extensions to be kept as text, and bad pieces."""
        found: dict[str, PhoneNumber] = {}
        extensions: dict[str, str] = {}
        rejects: list[Reject] = []
        for place in self._phones:
            cell = cells[place]
            if not cell:
                continue
            name = self._names[place]
            good, bad = read_cell(cell if cell.isascii() else _INVISIBLE.sub("", cell), self._region)
            if bad:
                rejects.extend(Reject.of(row, name, piece.code, piece.value) for piece in bad)
            for number in good:
                if number.e164 in found:
                    continue
                if len(found) == model.MAX_PHONES:
                    rejects.append(Reject.of(row, name, RejectCode.MANY_PHONES, number.e164))
                    break
                found[number.e164] = number
                if number.extension:
                    extensions[f"{name} ext."] = number.extension
        return tuple(found.values()), extensions, rejects

    def _address(self, row: int, email: str, rejects: list[Reject]) -> str:
        if not email:
            return ""
        cleaned = clean_email(email)
        if cleaned.mark is not Mark.EMAIL_FORM:
            return cleaned.value
        assert self._email is not None
        rejects.append(Reject.of(row, self._names[self._email], RejectCode.EMAIL, cleaned.value))
        return ""

    def _zone(self, row: int, zone: str, rejects: list[Reject]) -> str | None:
        if not zone:
            return None
        found = read_timezone(zone)
        if found is None:
            assert self._timezone is not None
            rejects.append(Reject.of(row, self._names[self._timezone], RejectCode.TIMEZONE, zone))
        return found

    def _agreed(self, row: int, cells: Sequence[str], rejects: list[Reject]) -> tuple[Agreed, ...]:
        values = {field: cells[place] for field, place in self._consent.items()}
        headers = {field: self._names[place] for field, place in self._consent.items()}
        agreed, wrong = read_agreed(row, values, headers)
        rejects.extend(wrong)
        return agreed


def tidied(cells: Sequence[str]) -> tuple[str, ...]:
    """Every cell as `clean` makes it."""
    whole = "|".join(cells)
    # As nearly every row is: all that can be wrong of it are blanks at the ends of cells.
    return tuple(map(str.strip if whole.isprintable() and "  " not in whole else clean, cells))


def clean(value: str) -> str:
    """A value without control characters and with single spaces."""
    if value.isprintable() and "  " not in value and value == value.strip():
        return value
    return " ".join(_CONTROL.sub(" ", _INVISIBLE.sub("", value)).split())


# A million people have a few thousand names.
_name = lru_cache(maxsize=50_000)(clean_name)


def _name_at(cells: Sequence[str], place: int | None) -> str:
    return "" if place is None else _name(cells[place])


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
