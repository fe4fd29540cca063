"""Some rows of a file, read: what a worker process hands back.

A person is a *line*: their row of the staging table as COPY reads it. Where nobody is known the line goes to
the database as it is, and this process never looks into it; of a person who is known it is read back. Zones
are numbers into the batch's own table: a mobile has thirty of them, and there are few different sets.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dialer.contacts.agreed import Agreed
from dialer.contacts.columns import Column
from dialer.contacts.files.layout import BadRecord, Record
from dialer.contacts.model import NewContact
from dialer.contacts.numbers import PhoneNumber
from dialer.contacts.rejects import Reject
from dialer.contacts.rows import RowReader

#: Rows of a batch, which is a transaction: a kill costs one at most.
BATCH_ROWS = 5_000

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_PLAIN = {written: meant for meant, written in _ESCAPES.items()}
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPED = re.compile(r"\\[\\tnr]")
_NULL = r"\N"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file, read."""

    #: number of the last row
    last: int
    #: of each person the row, ...
    rows: tuple[int, ...]
    #: ... the numbers in E.164, ...
    numbers: tuple[tuple[str, ...], ...]
    #: ... and the line
    lines: tuple[bytes, ...]
    #: sets of zones, each with commas; the first is number 1
    zones: tuple[str, ...]
    rejects: tuple[Reject, ...]
    #: rows that are rejected whole
    rejected: int
    #: what people agreed to, by their place among these
    agreed: tuple[tuple[int, tuple[Agreed, ...]], ...] = ()

    def person(self, index: int) -> NewContact:
        """The person of a line, but for what they agreed to."""
        return person_of(self.lines[index], self.zones)


def read_batch(
    records: Iterator[Record | BadRecord], columns: Sequence[Column], region: str, size: int = BATCH_ROWS
) -> Batch | None:
    """The next `size` rows; None at the end of the file."""
    rows: list[int] = []
    numbers: list[tuple[str, ...]] = []
    lines: list[bytes] = []
    zones: dict[tuple[str, ...], int] = {}
    rejects: list[Reject] = []
    agreed: list[tuple[int, tuple[Agreed, ...]]] = []
    read = RowReader(columns, region).read
    last = rejected = 0
    for record in itertools.islice(records, size):
        last = record.number
        contact, found = read(record)
        rejects.extend(found)
        if contact is not None:
            if contact.agreed:
                agreed.append((len(rows), contact.agreed))
            rows.append(last)
            numbers.append(tuple([phone.e164 for phone in contact.phones]))
            lines.append(line_of(contact, zones))
        elif found:
            rejected += 1
    if not last:
        return None
    sets = tuple(",".join(one) for one in zones)
    return Batch(
        last, tuple(rows), tuple(numbers), tuple(lines), sets, tuple(rejects), rejected, tuple(agreed)
    )


def line_of(contact: NewContact, zones: dict[tuple[str, ...], int]) -> bytes:
    """A person as a line of COPY's text format; sets of zones not met before are added to `zones`."""
    phones = contact.phones
    places = [str(zones.setdefault(phone.timezones, len(zones) + 1)) for phone in phones]
    cells: Sequence[str] = (
        contact.last_name,
        contact.first_name,
        contact.middle_name,
        contact.email,
        contact.timezone or "",
        contact.external_id or "",
        _json(contact.custom),
    )
    if _SPECIAL.search("".join(cells)):
        cells = [_escaped(cell) for cell in cells]
    last, first, middle, email, timezone, external, custom = cells
    # Numbers and kinds have none of the characters that an array would have to escape.
    numbers, kinds = ",".join([phone.e164 for phone in phones]), ",".join([phone.kind for phone in phones])
    return (
        f"{contact.row}\t{last}\t{first}\t{middle}\t{email}"
        f"\t{_NULL if contact.timezone is None else timezone}"
        f"\t{_NULL if contact.external_id is None else external}"
        f"\t{custom}\t{{{numbers}}}\t{{{kinds}}}\t{{{','.join(places)}}}\n"
    ).encode("utf-8", "replace")


def _json(custom: Mapping[str, str]) -> str:
    """As `json.dumps` writes texts by their names, in a third of the time."""
    return f"{{{', '.join([f'{_key(name)}: {_text(value)}' for name, value in custom.items()])}}}"


_text: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode


@lru_cache(maxsize=1000)
def _key(name: str) -> str:
    return _text(name)


def person_of(line: bytes, zones: Sequence[str]) -> NewContact:
    """The person of a line, where `zones` are the sets of its batch."""
    cells = line.decode().removesuffix("\n").split("\t")
    row, last, first, middle, email, timezone, external, custom, e164, kind, places = cells
    listed = (cell[1:-1].split(",") for cell in (e164, kind, places))
    return NewContact(
        row=int(row),
        phones=tuple(
            PhoneNumber(number, sort, tuple(filter(None, zones[int(place) - 1].split(","))))
            for number, sort, place in zip(*listed, strict=True)
        ),
        last_name=_plain(last),
        first_name=_plain(first),
        middle_name=_plain(middle),
        email=_plain(email),
        timezone=None if timezone == _NULL else _plain(timezone),
        external_id=None if external == _NULL else _plain(external),
        custom=json.loads(_plain(custom)),
    )


def dialled_by(line: bytes) -> tuple[str, str]:
    """The first number of a line, and whose zone it is dialled by: the person's own, else the place of the
    number's among the sets of the batch."""
    _, _, _, _, _, timezone, _, _, e164, _, places = line.split(b"\t")
    number, _, _ = e164[1:-1].partition(b",")
    mark = places[1:-2].partition(b",")[0] if timezone == _NULL.encode() else timezone
    return number.decode(), mark.decode()


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text) if _SPECIAL.search(text) else text


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: _PLAIN[found[0]], text) if "\\" in text else text
