"""Files with rows of people: CSV, XLSX, ODS. What a file is says its content, not its name.

`inspect` says how a file is laid out, `read_records` gives its rows; whatever the bytes are, they raise
nothing but UnreadableFile and hold a bounded piece of the file.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from dialer.contacts import csvfile
from dialer.contacts.files import archive, ods, xlsx
from dialer.contacts.files.layout import BadRecord, Kind, Layout, Record
from dialer.contacts.reading import AS_FOUND, Reading

__all__ = ["BadRecord", "Kind", "Layout", "Record", "inspect", "look", "read_records"]


def inspect(path: Path, reading: Reading = AS_FOUND) -> Layout:
    """How the file at `path` is laid out, where `reading` leaves it open; its columns as its mapping says.

    Raises UnreadableFile (NoPhoneColumn where no column is a phone), Invalid.
    """
    found = look(path, reading)
    return found.mapped(reading.mapping) if reading.mapping else found.with_phone()


def look(path: Path, reading: Reading = AS_FOUND) -> Layout:
    """As `inspect`, its columns by their names, of a file that may have no column of phones yet."""
    match archive.kind_of(path):
        case Kind.XLSX:
            return xlsx.look(path, reading.sheet)
        case Kind.ODS:
            return ods.look(path, reading.sheet)
        case _:
            return csvfile.look(path, reading)


def read_records(path: Path, layout: Layout, *, after: int = 0) -> Generator[Record | BadRecord]:
    """Every row after the header from number `after + 1` on, in order, one at a time."""
    if layout.kind is Kind.CSV:
        with csvfile.open_text(path, layout.encoding) as text:
            yield from csvfile.read_records(text, layout, after=after)
        return
    with closing((xlsx if layout.kind is Kind.XLSX else ods).rows(path, layout.sheet)) as rows:
        for record in archive.records(rows, len(layout.columns)):
            if record.number > after:
                yield record
