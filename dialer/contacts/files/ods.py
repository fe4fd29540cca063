"""ODS (OASIS OpenDocument 1.2), row by row. A cell becomes the text that a person sees in it."""

from __future__ import annotations

import zipfile
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from xml.parsers import expat

from dialer.contacts.columns import columns_of
from dialer.contacts.files import archive, numbers
from dialer.contacts.files.archive import Row, local
from dialer.contacts.files.layout import MAX_COLUMNS, Kind, Layout
from dialer.errors import UnreadableFile
from dialer.said import Said

#: Blanks that one element may stand for.
_MOST_BLANKS = 1_000


def look(path: Path, sheet: str | None = None) -> Layout:
    """As `xlsx.look`. Names of sheets behind the one that is read are known where the settings have them."""
    with archive.opened(path) as parts:
        names = _names(parts)
        name = ""
        with closing(_contents(parts)) as contents:
            for found in contents:
                if isinstance(found, str):
                    name = found
                    names.setdefault(name)
                elif (sheet is None or name == sheet) and (header := archive.header(iter([found]))):
                    return Layout("", "", tuple(columns_of(header)), Kind.ODS, name, tuple(names))
    if sheet is not None and sheet not in names:
        raise UnreadableFile(reason=Said("it has no sheet {sheet}", sheet=sheet))
    raise UnreadableFile(reason="it is empty")


def rows(path: Path, sheet: str) -> Generator[Row]:
    """As `xlsx.rows`."""
    reading = False
    with archive.opened(path) as parts, closing(_contents(parts)) as contents:
        for found in contents:
            if not isinstance(found, str):
                if reading:
                    yield found
            elif reading:
                return
            else:
                reading = found == sheet
    if not reading:
        raise UnreadableFile(reason=Said("it has no sheet {sheet}", sheet=sheet))


def _names(parts: zipfile.ZipFile) -> dict[str, None]:
    """The names of the sheets in their order, as the view's settings have them; empty where they do not."""
    names: dict[str, None] = {}
    if "settings.xml" not in parts.namelist():
        return names
    inside = False

    def start(tag: str, given: dict[str, str]) -> None:
        nonlocal inside
        name = next((value for key, value in given.items() if local(key) == "name"), "")
        if local(tag) == "config-item-map-named":
            inside = name == "Tables"
        elif inside and local(tag) == "config-item-map-entry":
            names[name] = None

    def end(tag: str) -> None:
        nonlocal inside
        inside = inside and local(tag) != "config-item-map-named"

    archive.parser(start, end, lambda _: None).Parse(archive.read(parts, "settings.xml"), True)
    return names


def _contents(parts: zipfile.ZipFile) -> Generator[str | Row]:
    """The name of each sheet, and after it its rows that are not blank."""
    with parts.open("content.xml") as part:
        book = _Book()
        for _ in archive.fed(part, book.parser()):
            if book.done:
                yield from book.done
                book.done.clear()


class _Book:
    """The handlers of the XML: names of sheets and rows gather in `done`."""

    def __init__(self) -> None:
        self.done: list[str | Row] = []
        self._place = 0
        self._cells: list[str] = []
        self._rows = 1

    def parser(self) -> expat.XMLParserType:
        """A parser that fills `done`."""
        said: list[str] = []
        given_cell: dict[str, str] = {}
        column = paragraphs = deep = notes = 0
        short: dict[str, str] = {}

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal given_cell, column, paragraphs, deep, notes
            tag = short.get(tag) or short.setdefault(tag, local(tag))
            if tag in {"table-cell", "covered-table-cell"}:
                given_cell = given
                said.clear()
                paragraphs = 0
            elif tag == "p" and not notes:
                deep += 1
                paragraphs += 1
                if paragraphs > 1:
                    said.append("\n")
            elif tag == "table-row":
                column = 0
                self._begin(given)
            elif tag == "table":
                self._place = 0
                self.done.append(_attribute(given, "name"))
            elif tag == "annotation":
                notes += 1
            elif deep and not notes:
                if tag == "s":
                    said.append(" " * min(_number(given, "c"), _MOST_BLANKS))
                elif tag in {"tab", "line-break"}:
                    said.append("\t" if tag == "tab" else "\n")

        def end(tag: str) -> None:
            nonlocal column, deep, notes
            tag = short[tag]
            if tag in {"table-cell", "covered-table-cell"}:
                times = _number(given_cell, "number-columns-repeated")
                if said or len(given_cell) > 1:
                    self._put(column, times, _value(given_cell, said))
                column += times
            elif tag == "p" and not notes:
                deep -= 1
            elif tag == "table-row":
                self._end()
            elif tag == "annotation":
                notes -= 1

        def text(data: str) -> None:
            if deep and not notes:
                said.append(data)

        return archive.parser(start, end, text)

    def _begin(self, given: dict[str, str]) -> None:
        self._cells = []
        self._rows = _number(given, "number-rows-repeated")
        self._place += 1

    def _put(self, column: int, times: int, value: str) -> None:
        if value and column <= MAX_COLUMNS:
            self._cells.extend([""] * (column - len(self._cells)))
            self._cells.extend([value] * min(times, MAX_COLUMNS + 1 - column))

    def _end(self) -> None:
        if self._cells:
            archive.check_row(self._place + self._rows - 1)
            cells = tuple(self._cells)
            self.done.extend((self._place + after, cells) for after in range(self._rows))
        self._place += self._rows - 1


def _attribute(given: dict[str, str], name: str) -> str:
    return next((value for key, value in given.items() if local(key) == name), "")


def _number(given: dict[str, str], name: str) -> int:
    """How many times, at least one."""
    return max(1, int(_attribute(given, name) or 1))


def _value(given: dict[str, str], said: list[str]) -> str:
    """The text of a cell: a number and a day by their value, which a narrow column does not round."""
    kind = _attribute(given, "value-type")
    if kind == "float":
        return numbers.plain(_attribute(given, "value"))
    if kind == "date":
        return numbers.iso(_attribute(given, "date-value"))
    return "".join(said)
