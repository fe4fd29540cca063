"""How a file is laid out, and its rows one by one, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from dialer.contacts.columns import Column, mapped, with_phone
from dialer.contacts.rejects import RejectCode

#: Most columns of a file.
MAX_COLUMNS = 200
#: Longest row, in characters.
MAX_RECORD = 65_536


class Kind(StrEnum):
    """What a file is, by its content."""

    CSV = "csv"
    XLSX = "xlsx"
    ODS = "ods"


@dataclass(frozen=True, slots=True)
class Record:
    """One row of cells, as many as the header has; blank rows too."""

    #: 1 is the row after the header
    number: int
    cells: tuple[str, ...]

    @property
    def blank(self) -> bool:
        """Whether every cell is empty."""
        return not any(cell.strip() for cell in self.cells)


@dataclass(frozen=True, slots=True)
class BadRecord:
    """One row that cannot be taken apart."""

    #: as in Record
    number: int
    code: RejectCode
    #: the beginning of the row
    value: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written."""

    #: of CSV a codec of Python: utf-8-sig, cp1251, utf-16; of the others empty
    encoding: str
    #: of CSV; of the others empty
    delimiter: str
    #: what its columns are, from the header
    columns: tuple[Column, ...]
    kind: Kind = Kind.CSV
    #: which sheet of a workbook is read
    sheet: str = ""
    #: every sheet of a workbook that people see, in its order
    sheets: tuple[str, ...] = ()
    #: how many rows a workbook says that it has; only progress is told by it
    about_rows: int | None = None

    def mapped(self, mapping: Mapping[str, str]) -> Layout:
        """With columns as a person wants them read, see `columns.mapped`. Raises Invalid, NoPhoneColumn."""
        return replace(self, columns=tuple(mapped(self.columns, mapping)))

    def with_phone(self) -> Layout:
        """The same, if one of its columns is a phone. Raises NoPhoneColumn."""
        with_phone(self.columns)
        return self
