"""What XLSX and ODS have in common: a ZIP of XML, read in pieces and without trust.

A file may be a bomb (a megabyte that unpacks to terabytes, a cell that says that it stands a billion times),
broken, or locked by a password. So nothing is unpacked whole or to the disk, what is read is counted as it
comes, a document type (where XML entities are declared) is refused, and every error of the libraries becomes
UnreadableFile.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from xml.parsers import expat

from dialer.contacts.files.layout import MAX_COLUMNS, MAX_RECORD, BadRecord, Kind, Record
from dialer.contacts.rejects import RejectCode
from dialer.errors import UnreadableFile
from dialer.said import Said

#: Rows of a sheet at most: as many as a spreadsheet has.
MAX_ROWS = 1_048_576
#: Bytes that one part of a workbook may unpack to.
MAX_UNPACKED = 4 << 30
#: Parts of a workbook at most.
MAX_PARTS = 10_000
#: Rows looked at for one that is not blank, which is the header.
MAX_BLANK = 1_000

_PIECE = 1 << 16
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_LOCKED = "it is locked by a password; save it without one"
_DAMAGED = "it is damaged"
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"

#: A row as a sheet has it: its place, counted from 1, and its cells.
Row = tuple[int, Sequence[str]]


def kind_of(path: Path) -> Kind:
    """What the file is, by its content. Raises UnreadableFile for what is none of the three, and says so."""
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
    if start == _OLE:
        raise UnreadableFile(
            reason=_LOCKED if _holds(path, _ENCRYPTED) else "this is an old Excel file (XLS); save it as XLSX"
        )
    if start != _ZIP:
        return Kind.CSV
    with opened(path) as parts:
        names = set(parts.namelist())
        if "xl/workbook.xml" in names or ("[Content_Types].xml" in names and "xl/styles.xml" in names):
            return Kind.XLSX
        if "xl/workbook.bin" in names:
            raise UnreadableFile(reason="this is a binary Excel file (XLSB); save it as XLSX")
        if "mimetype" in names and parts.read("mimetype").startswith(_ODS):
            if "META-INF/manifest.xml" in names and b"encryption-data" in read(
                parts, "META-INF/manifest.xml"
            ):
                raise UnreadableFile(reason=_LOCKED)
            return Kind.ODS
    raise UnreadableFile(reason="this is an archive and no spreadsheet; unpack it first")


def _holds(path: Path, mark: bytes) -> bool:
    before = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            if mark in before + piece:
                return True
            before = piece[-len(mark) :]
    return False


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The parts of a workbook. Raises UnreadableFile, also for what goes wrong while it is open."""
    try:
        with zipfile.ZipFile(path) as parts:
            if len(parts.filelist) > MAX_PARTS or any(one.header_offset < 0 for one in parts.filelist):
                raise UnreadableFile(reason=_DAMAGED)
            if any(one.flag_bits & 1 for one in parts.filelist):
                raise UnreadableFile(reason=_LOCKED)
            yield parts
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, ValueError) as error:
        raise UnreadableFile(reason=_DAMAGED) from error
    except expat.ExpatError as error:
        raise UnreadableFile(reason=Said("its XML is broken: {error}", error=str(error))) from error


def read(parts: zipfile.ZipFile, name: str, limit: int = 16 << 20) -> bytes:
    """A small part of a workbook. Raises UnreadableFile when it is not small, KeyError."""
    with parts.open(name) as part:
        content = part.read(limit + 1)
    if len(content) > limit:
        raise UnreadableFile(reason=_DAMAGED)
    return content


Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Text = Callable[[str], None]


def parser(start: Start, end: End, text: Text) -> expat.XMLParserType:
    """A parser that calls these with the names as they are written, prefixes and all."""
    made = expat.ParserCreate()
    made.buffer_text = True
    made.StartElementHandler = start
    made.EndElementHandler = end
    made.CharacterDataHandler = text
    made.StartDoctypeDeclHandler = _refuse
    return made


def _refuse(*_: object) -> None:
    raise UnreadableFile(reason="its XML declares a document type, as no spreadsheet does")


def fed(part: IO[bytes], into: expat.XMLParserType) -> Iterator[None]:
    """Feed a part of a workbook to its parser, a piece a step. Raises UnreadableFile where it is endless."""
    size = 0
    while piece := part.read(_PIECE):
        size += len(piece)
        if size > MAX_UNPACKED:
            raise UnreadableFile(reason=Said("it unpacks to more than {limit} bytes", limit=MAX_UNPACKED))
        into.Parse(piece, False)
        yield
    into.Parse(b"", True)
    yield


def local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]


def header(rows: Iterator[Row]) -> tuple[str, ...] | None:
    """The first row that is not blank, without the empty cells at its end; None where there is none."""
    first = None
    for place, cells in rows:
        first = first or place
        if place - first > MAX_BLANK:
            return None
        if any(cell.strip() for cell in cells):
            found = [cell.strip() for cell in cells]
            while not found[-1]:
                found.pop()
            if len(found) > MAX_COLUMNS:
                raise UnreadableFile(reason=Said("it has more than {limit} columns", limit=MAX_COLUMNS))
            return tuple(found)
    return None


def records(rows: Iterator[Row], width: int) -> Iterator[Record | BadRecord]:
    """The rows under the header, blank ones between them too, those at the end left out."""
    begun, last = 0, 0
    for place, cells in rows:
        if not any(cell and not cell.isspace() for cell in cells):
            continue
        if not begun:
            begun = last = place
            continue
        for blank in range(last + 1, place):
            yield Record(blank - begun, ("",) * width)
        last = place
        yield _record(place - begun, cells, width)


def _record(number: int, cells: Sequence[str], width: int) -> Record | BadRecord:
    if sum(map(len, cells)) > MAX_RECORD:
        longest = max(cells, key=len)
        return BadRecord(number, RejectCode.TOO_LONG, longest[:1000])
    if any("\0" in cell for cell in cells):
        return BadRecord(number, RejectCode.NUL, ";".join(cells))
    if len(cells) == width:
        return Record(number, tuple(cells))
    if extra := next((cell for cell in cells[width:] if cell.strip()), None):
        return BadRecord(number, RejectCode.COLUMNS, extra)
    return Record(number, (*cells[:width], *[""] * (width - len(cells))))


def check_row(place: int) -> None:
    """Raises UnreadableFile for a row beyond what a sheet can have."""
    if not 0 < place <= MAX_ROWS:
        raise UnreadableFile(reason=Said("it has more than {limit} rows", limit=MAX_ROWS))
