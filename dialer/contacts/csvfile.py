"""CSV files as they come from spreadsheets and CRMs: reading without trust, writing without formulas.

Reading knows neither the encoding (UTF-8 with and without its mark, Windows-1251, the UTF-16 of "Unicode
text") nor the delimiter (`;`, tab, `,`), and promises two things whatever the bytes are: it never holds more
than MAX_RECORD characters of a row, and they make it raise nothing but UnreadableFile. What cannot be a row
becomes a BadRecord under its number, and the next row is read as if nothing had been: a quotation mark that
is never closed costs its own line only, not all that follow.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from dialer.contacts.columns import Field, columns_of, field_of
from dialer.contacts.files.layout import MAX_COLUMNS, MAX_RECORD, BadRecord, Layout, Record
from dialer.contacts.reading import AS_FOUND, DELIMITERS, Reading
from dialer.contacts.rejects import RejectCode
from dialer.errors import Invalid, UnreadableFile
from dialer.said import Said

assert csv.field_size_limit() > MAX_RECORD  # so that the csv module never meets its own limit
#: Most lines of a row (new lines inside quotation marks).
MAX_RECORD_LINES = 50

_CHUNK = 1 << 20
# First bytes of files that people upload in place of a CSV.
_NOT_TEXT = (
    (b"%PDF", "this is a PDF; save the table as CSV"),
    (b"\x1f\x8b", "this is a compressed file; unpack it first"),
    (b"\x89PNG", "this is a picture; save the table as CSV"),
    (b"\xff\xd8\xff", "this is a picture; save the table as CSV"),
    (b"GIF8", "this is a picture; save the table as CSV"),
)
_UTF_16 = "utf-16"
# What a decoder puts in place of bytes that mean nothing.
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


# -- reading ----------------------------------------------------------------------------------------------


def detect_encoding(chunks: Iterable[bytes]) -> str:
    """The encoding of a file given in pieces: all of it is looked at, none of it is kept.

    Text that is UTF-8 but for a few bytes stays UTF-8 (those rows are rejected); text in which most letters
    are no UTF-8 is Windows-1251. Raises UnreadableFile for a file that is empty or no text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = bad = 0
    first = True
    for chunk in chunks:
        if not chunk:
            continue
        if first:
            first = False
            for magic, reason in _NOT_TEXT:
                if chunk.startswith(magic):
                    raise UnreadableFile(reason=reason)
            if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return _UTF_16
        text = decoder.decode(chunk)
        if not text.isascii():
            wrong = text.count(_REPLACEMENT)
            bad += wrong
            good += len(text) - wrong - len(text.encode("ascii", "ignore"))
    if first:
        raise UnreadableFile(reason="it is empty")
    return "utf-8-sig" if good >= bad else "cp1251"


def look(path: Path, reading: Reading = AS_FOUND) -> Layout:
    """How the CSV file at `path` is written, as far as `reading` leaves it open.

    It may have no column of phones. Raises UnreadableFile, Invalid (of `reading`).
    """
    with path.open("rb") as file:
        # Looked at in any case: a file that is no text is none in any encoding.
        found = detect_encoding(iter(lambda: file.read(_CHUNK), b""))
    if reading.sheet is not None:
        raise Invalid(field="sheet", reason="the file has no sheets")
    if reading.encoding == _UTF_16 != found:
        raise Invalid(field="encoding", reason="the file is not UTF-16")
    encoding = reading.encoding or found
    with open_text(path, encoding) as text:
        sample = text.read(MAX_RECORD)
    best: tuple[tuple[bool, int, int, int], Layout] | None = None
    for delimiter in (reading.delimiter,) if reading.delimiter else DELIMITERS:
        records = _records(io.StringIO(sample), delimiter, width=None)
        header = _header(records)
        if header is None:
            continue
        known = [field for cell in header if (field := field_of(cell)) is not Field.CUSTOM]
        # A delimiter that is not the file's own gives rows of one width too, but fewer columns.
        alike = sum(len(cells) == len(header) for cells in _first_rows(records, 20))
        score = (Field.PHONE in known, len(known), len(header), alike)
        if best is None or score > best[0]:
            best = (score, Layout(encoding, delimiter, tuple(columns_of(header))))
    if best is None:
        raise UnreadableFile(reason=_no_header(sample))
    if len(best[1].columns) > MAX_COLUMNS:
        raise UnreadableFile(reason=Said("it has more than {limit} columns", limit=MAX_COLUMNS))
    return best[1]


def _no_header(sample: str) -> str:
    """Why a file that begins so has no header."""
    if not sample.strip():
        return "it is empty"
    if sample.count("\0") * 10 > len(sample) > sample.count("\0"):
        return "it looks like UTF-16 without its mark; save it as UTF-8"
    return "its first line is no header"


def open_text(path: Path, encoding: str) -> TextIO:
    """The text of a file; bytes that mean nothing in its encoding become U+FFFD, any line end becomes \\n."""
    return path.open("r", encoding=encoding, errors="replace", newline=None)


def read_records(text: TextIO, layout: Layout, *, after: int = 0) -> Iterator[Record | BadRecord]:
    """Every row after the header from number `after + 1` on, in order, one at a time."""
    rows = _records(text, layout.delimiter, width=len(layout.columns))
    _header(rows)
    rows.restart_numbers()
    for row in rows:
        if row.number > after:
            yield row


def _header(records: _Records) -> tuple[str, ...] | None:
    """The first row that is neither blank nor Excel's `sep=;`; None where it cannot be read."""
    for record in records:
        if isinstance(record, BadRecord):
            return None
        if record.blank or (record.number == 1 and record.cells[0].strip().lower().startswith("sep=")):
            continue
        return record.cells
    return None


def _first_rows(records: _Records, limit: int) -> Iterator[tuple[str, ...]]:
    for record, _ in zip(records, range(limit), strict=False):
        if isinstance(record, Record) and not record.blank:
            yield record.cells


class _TooLong(Exception):
    """The line that was asked for is too long; `start` is how it begins."""

    def __init__(self, start: str) -> None:
        self.start = start


class _Endless(Exception):
    """A row goes on for longer than any row may: a quotation mark is not closed."""


class _Lines:
    """The lines of a file for csv.reader, with those of the present row kept to be read again."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._again: deque[str | _TooLong] = deque()
        #: lines of the present row
        self.taken: list[str] = []
        self._size = 0
        #: whether the file has ended while the present row asked for more
        self.ended = False

    def begin(self) -> None:
        """A new row begins."""
        self.taken.clear()
        self._size = 0
        self.ended = False

    def give_back(self) -> str:
        """Keep the first line of the present row only, the others are read again; return the first."""
        self._again.extendleft(reversed(self.taken[1:]))
        return self.taken[0]

    def plain(self) -> str | None:
        """The next line, where it is a row by itself: nothing in it is quoted or broken. None: it is not, and
        is still the next line."""
        if self._again:
            return None
        line = self._read()
        if isinstance(line, str) and line and not ('"' in line or "\0" in line or _REPLACEMENT in line):
            return line
        self._again.append(line)
        return None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if (
            isinstance(line, _TooLong)
            or self._size + len(line) > MAX_RECORD
            or len(self.taken) >= MAX_RECORD_LINES
        ):
            if not self.taken:
                assert isinstance(line, _TooLong)
                raise line
            self._again.appendleft(line)
            raise _Endless
        if not line:
            self.ended = True
            raise StopIteration
        self.taken.append(line)
        self._size += len(line)
        return line

    def _read(self) -> str | _TooLong:
        line = self._text.readline(MAX_RECORD)
        if len(line) < MAX_RECORD or line.endswith("\n"):
            return line
        start = line[:1000]
        while line and not line.endswith("\n"):
            line = self._text.readline(MAX_RECORD)
        return _TooLong(start)


class _Records(Iterator["Record | BadRecord"]):
    """Rows out of lines; see the module's docstring for what it promises."""

    def __init__(self, text: TextIO, delimiter: str, width: int | None) -> None:
        self._lines = _Lines(text)
        self._delimiter = delimiter
        self._reader = csv.reader(self._lines, delimiter=delimiter)
        self._width = width
        self._number = 0

    def restart_numbers(self) -> None:
        """The next row is number 1."""
        self._number = 0

    def __next__(self) -> Record | BadRecord:
        lines = self._lines
        number = self._number + 1
        if (line := lines.plain()) is not None:
            # What csv.reader makes of such a line, in a third of the time.
            self._number = number
            return self._fitted(number, line.removesuffix("\n").split(self._delimiter))
        lines.begin()
        try:
            cells = next(self._reader)  # StopIteration at the end of the file
        except _TooLong as signal:
            self._number = number
            return BadRecord(number, RejectCode.TOO_LONG, signal.start)
        except (_Endless, csv.Error):
            self._number = number
            return BadRecord(number, RejectCode.QUOTE, lines.give_back())
        self._number = number
        several = len(lines.taken) > 1
        # A quotation mark closed by one of a later row leaves a row of the wrong width; one that nothing
        # closes runs to the end of the file.
        if lines.ended or (several and self._width is not None and len(cells) != self._width):
            return BadRecord(number, RejectCode.QUOTE, lines.give_back())
        return self._checked(number, cells)

    def _checked(self, number: int, cells: list[str]) -> Record | BadRecord:
        taken = self._lines.taken
        for mark, code in (("\0", RejectCode.NUL), (_REPLACEMENT, RejectCode.ENCODING)):
            if any(mark in line for line in taken):
                return BadRecord(number, code, "".join(taken))
        return self._fitted(number, cells)

    def _fitted(self, number: int, cells: list[str]) -> Record | BadRecord:
        """The row with as many cells as the header has."""
        width = self._width
        if width is not None and len(cells) != width:
            extra = cells[width:]
            if any(cell.strip() for cell in extra):
                return BadRecord(number, RejectCode.COLUMNS, next(cell for cell in extra if cell.strip()))
            cells = cells[:width] + [""] * (width - len(cells))
        return Record(number, tuple(cells or [""]))


def _records(text: TextIO, delimiter: str, *, width: int | None) -> _Records:
    return _Records(text, delimiter, width)


# -- writing ----------------------------------------------------------------------------------------------


#: Before a formula's first character: where a cell begins, or may be taken to begin by a program that divides
#: the file at another character than ours (a spreadsheet set to Russian divides at `;`) or at each line end.
#: Marks that are not seen, blanks and quotation marks may stand between. The wide forms count in East Asia.
_FORMULA = re.compile(
    r"(?:^|(?<=[;\t\r\n\x0b\x0c\x85\u2028\u2029]))"
    r"(?=[\s\"\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20])"
)


def safe_cell(value: str) -> str:
    """`value` so that no spreadsheet takes it for a formula: an apostrophe before = + - @ at the beginning of
    the cell or of what another program may take for one, and before a tab or CR at the beginning.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    safe = _FORMULA.sub("'", value)
    return f"'{safe}" if safe.startswith(("\t", "\r", "\n")) else safe


def write_rows(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV of RFC 4180 in UTF-8, each cell safe."""
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([safe_cell(str(cell)) for cell in row])
    return out.getvalue().encode("utf-8", "replace")
