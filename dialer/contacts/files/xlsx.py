"""XLSX (ECMA-376), row by row.

Ours because what reads it quickly in Python holds the whole sheet, and an import of a million rows may have
half a gigabyte. A cell becomes the text that a person sees in it: phones kept as numbers get their digits
back, days become ISO.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.parsers import expat

from dialer.contacts.columns import columns_of
from dialer.contacts.files import archive, numbers
from dialer.contacts.files.archive import Row, local
from dialer.contacts.files.layout import MAX_COLUMNS, Kind, Layout
from dialer.contacts.files.strings import Strings, unescaped
from dialer.errors import UnreadableFile
from dialer.said import Said

_LAST_ROW = re.compile(r"\d{1,7}$", re.ASCII)


@dataclass(slots=True)
class _Book:
    """What a workbook says of itself."""

    #: (name, part) of each sheet that people see
    sheets: list[tuple[str, str]] = field(default_factory=list)
    strings: str | None = None
    from_1904: bool = False
    #: of each style of cells: whether it shows a day
    dates: list[bool] = field(default_factory=list)
    #: and how many digits at least
    digits: list[int] = field(default_factory=list)


def look(path: Path, sheet: str | None = None) -> Layout:
    """How the workbook is laid out; `sheet` names one, else it is the first with anything in it.

    Raises UnreadableFile.
    """
    with archive.opened(path) as parts:
        book = _book(parts)
        names = tuple(name for name, _ in book.sheets)
        if sheet is not None and sheet not in names:
            raise UnreadableFile(reason=Said("it has no sheet {sheet}", sheet=sheet))
        for name, part in book.sheets:
            if sheet is not None and name != sheet:
                continue
            with closing(Strings(parts, book.strings)) as strings:
                read = _Sheet(book, strings)
                with closing(_rows(parts, part, read)) as found:
                    header = archive.header(found)
            if header is not None:
                return Layout("", "", tuple(columns_of(header)), Kind.XLSX, name, names, read.about_rows)
    raise UnreadableFile(reason="it is empty")


def rows(path: Path, sheet: str) -> Generator[Row]:
    """The rows of a sheet that have any cell, in order. Raises UnreadableFile."""
    with archive.opened(path) as parts:
        book = _book(parts)
        part = dict(book.sheets).get(sheet)
        if part is None:
            raise UnreadableFile(reason=Said("it has no sheet {sheet}", sheet=sheet))
        with closing(Strings(parts, book.strings)) as strings:
            yield from _rows(parts, part, _Sheet(book, strings))


# -- the small parts --------------------------------------------------------------------------------------


def _elements(parts: zipfile.ZipFile, name: str) -> list[tuple[str, dict[str, str]]]:
    """The elements of a small part in their order, with names that have no prefix."""
    found: list[tuple[str, dict[str, str]]] = []

    def start(tag: str, given: dict[str, str]) -> None:
        found.append((local(tag), {local(key): value for key, value in given.items()}))

    made = archive.parser(start, lambda _: None, lambda _: None)
    made.Parse(archive.read(parts, name), True)
    return found


def _targets(parts: zipfile.ZipFile, of: str) -> dict[str, tuple[str, str]]:
    """(type, part) by id of what a part refers to."""
    at = PurePosixPath(of)
    name = str(at.parent / "_rels" / f"{at.name}.rels")
    if name not in parts.namelist():
        return {}
    found = {}
    for tag, given in _elements(parts, name):
        if tag == "Relationship" and given.get("TargetMode") != "External":
            target = given.get("Target", "")
            whole = target.lstrip("/") if target.startswith("/") else str(at.parent / target)
            found[given.get("Id", "")] = given.get("Type", "").rpartition("/")[2], _folded(whole)
    return found


def _folded(path: str) -> str:
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            del steps[-1:]
        elif step not in {"", "."}:
            steps.append(step)
    return "/".join(steps)


def _book(parts: zipfile.ZipFile) -> _Book:
    main = next((part for kind, part in _targets(parts, "").values() if kind == "officeDocument"), "")
    main = main or "xl/workbook.xml"
    targets = _targets(parts, main)
    by_kind = {kind: part for kind, part in targets.values() if part in parts.namelist()}
    book = _Book(strings=by_kind.get("sharedStrings"))
    for tag, given in _elements(parts, main):
        if tag == "workbookPr":
            book.from_1904 = given.get("date1904", "") in {"1", "true", "on"}
        elif tag == "sheet" and given.get("state", "visible") == "visible":
            kind, part = targets.get(given.get("id", ""), ("", ""))
            if kind == "worksheet":  # a sheet of charts has no cells
                book.sheets.append((given.get("name", ""), part))
    if "styles" in by_kind:
        _read_styles(parts, by_kind["styles"], book)
    return book


def _read_styles(parts: zipfile.ZipFile, name: str, book: _Book) -> None:
    codes: dict[int, str] = {}
    of_cells = False
    for tag, given in _elements(parts, name):
        if tag == "numFmt":
            codes[int(given.get("numFmtId", "0"))] = given.get("formatCode", "")
        elif tag in {"cellXfs", "cellStyleXfs", "cellStyles", "dxfs"}:
            of_cells = tag == "cellXfs"
        elif tag == "xf" and of_cells:
            number = int(given.get("numFmtId", "0"))
            book.dates.append(numbers.shows_date(number, codes.get(number, "")))
            book.digits.append(numbers.leading_zeros(codes.get(number, "")))


# -- the sheet --------------------------------------------------------------------------------------------


def column_of(reference: str) -> int:
    """The column of a cell, counted from 0: "B7" is 1."""
    column = 0
    for letter in reference:
        if not "A" <= letter <= "Z":
            break
        column = column * 26 + ord(letter) - 64
    return column - 1


def _rows(parts: zipfile.ZipFile, name: str, sheet: _Sheet) -> Generator[Row]:
    with parts.open(name) as part:
        for _ in archive.fed(part, sheet.parser()):
            if sheet.done:
                yield from sheet.done
                sheet.done.clear()


class _Sheet:
    """The handlers of a sheet's XML: rows gather in `done`."""

    def __init__(self, book: _Book, strings: Strings) -> None:
        self._book = book
        self._strings = strings
        self.done: list[Row] = []
        #: as the sheet says, the header not counted
        self.about_rows: int | None = None
        self._place = 0

    def parser(self) -> expat.XMLParserType:
        """A parser that fills `done`."""
        # Closures over plain names: there are five calls a cell, and a sheet has millions of cells.
        cells: list[str] = []
        said: list[str] = []
        column = -1
        kind = style = ""
        takes = phonetic = False
        short: dict[str, str] = {}

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal column, kind, style, takes, phonetic
            tag = short.get(tag) or short.setdefault(tag, local(tag))
            if tag == "v":
                takes = True
            elif tag == "c":
                reference = given.get("r")
                column = column_of(reference) if reference else column + 1
                kind, style = given.get("t", "n"), given.get("s", "")
                said.clear()
            elif tag == "t":
                takes = not phonetic
            elif tag == "rPh":
                phonetic = True
            elif tag == "row":
                self._begin(given.get("r"))
                cells.clear()
                column = -1
            elif tag == "dimension" and (last := _LAST_ROW.search(given.get("ref", ""))):
                self.about_rows = max(1, int(last[0]) - 1)

        def end(tag: str) -> None:
            nonlocal takes, phonetic
            tag = short[tag]
            if tag in {"v", "t"}:
                takes = False
            elif tag == "c":
                if said and 0 <= column <= MAX_COLUMNS:
                    gap = column - len(cells)
                    if gap > 0:
                        cells.extend([""] * gap)
                    value = self._text(kind, style, said[0] if len(said) == 1 else "".join(said))
                    if gap >= 0:
                        cells.append(value)
                    else:
                        cells[column] = value
            elif tag == "rPh":
                phonetic = False
            elif tag == "row" and cells:
                self.done.append((self._place, tuple(cells)))

        def text(data: str) -> None:
            if takes:
                said.append(data)

        return archive.parser(start, end, text)

    def _begin(self, place: str | None) -> None:
        number = int(place) if place else self._place + 1
        archive.check_row(number)
        if number <= self._place:
            raise UnreadableFile(reason="its rows are out of order")
        self._place = number

    def _text(self, kind: str, style: str, value: str) -> str:
        if kind == "s":
            return self._strings[int(value)]
        if kind == "n":
            at = int(style) if style else -1
            if 0 <= at < len(self._book.dates):
                if self._book.dates[at]:
                    return numbers.day(value, from_1904=self._book.from_1904)
                return numbers.plain(value, self._book.digits[at])
            return numbers.plain(value)
        if kind in {"str", "inlineStr"}:
            return unescaped(value)
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        return numbers.iso(value) if kind == "d" else value
