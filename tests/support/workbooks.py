"""Workbooks as Excel and LibreOffice write them, made by hand: XML in a ZIP, nothing hidden by a library."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

#: A cell of XLSX as its XML: what stands inside <c r=".." ...>; plain text becomes a shared string.
Cell = str | int | float | None


@dataclass(frozen=True)
class Xml:
    """A cell that is written as it stands: attributes and content of <c>."""

    attributes: str
    content: str


@dataclass
class Xlsx:
    """A workbook in the making."""

    sheets: dict[str, Sequence[Sequence[Cell | Xml]]] = field(default_factory=dict)
    #: state of a sheet: hidden, veryHidden
    states: Mapping[str, str] = field(default_factory=dict)
    #: numbers of formats by style, and the codes of those that are not built in
    styles: Sequence[int] = (0,)
    codes: Mapping[int, str] = field(default_factory=dict)
    from_1904: bool = False
    _strings: dict[str, int] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        """Write the file."""
        bodies = [self._sheet(rows) for rows in self.sheets.values()]
        names = list(self.sheets)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
            parts.writestr("[Content_Types].xml", _HEAD + "<Types/>")
            parts.writestr("_rels/.rels", self._relations([("rId1", "officeDocument", "xl/workbook.xml")]))
            sheets = "".join(
                f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"'
                + (f' state="{self.states[name]}"' if name in self.states else "")
                + "/>"
                for n, name in enumerate(names, start=1)
            )
            since = ' date1904="1"' if self.from_1904 else ""
            parts.writestr(
                "xl/workbook.xml",
                f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><workbookPr{since}/>'
                f"<sheets>{sheets}</sheets></workbook>",
            )
            relations = [
                (f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(names) + 1)
            ]
            relations += [("rIdS", "sharedStrings", "sharedStrings.xml"), ("rIdF", "styles", "styles.xml")]
            parts.writestr("xl/_rels/workbook.xml.rels", self._relations(relations))
            formats = "".join(
                f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>'
                for number, code in self.codes.items()
            )
            cells = "".join(f'<xf numFmtId="{number}"/>' for number in self.styles)
            parts.writestr(
                "xl/styles.xml",
                f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts>{formats}</numFmts>'
                f'<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs>{cells}</cellXfs></styleSheet>',
            )
            strings = "".join(
                text if text.startswith("<si>") else f'<si><t xml:space="preserve">{escape(text)}</t></si>'
                for text in self._strings
            )
            parts.writestr("xl/sharedStrings.xml", f'{_HEAD}<sst xmlns="{_MAIN}">{strings}</sst>')
            for n, body in enumerate(bodies, start=1):
                parts.writestr(f"xl/worksheets/sheet{n}.xml", body)
        return path

    def _relations(self, found: Sequence[tuple[str, str, str]]) -> str:
        inside = "".join(
            f'<Relationship Id="{name}" Type="{_REL}/{kind}" Target="{target}"/>'
            for name, kind, target in found
        )
        return f"{_HEAD}<Relationships>{inside}</Relationships>"

    def _sheet(self, rows: Sequence[Sequence[Cell | Xml]]) -> str:
        body = "".join(
            f'<row r="{n}">{"".join(self._cell(n, place, cell) for place, cell in enumerate(row))}</row>'
            for n, row in enumerate(rows, start=1)
            if row
        )
        return (
            f'{_HEAD}<worksheet xmlns="{_MAIN}"><dimension ref="A1:C{len(rows)}"/>'
            f"<sheetData>{body}</sheetData></worksheet>"
        )

    def _cell(self, row: int, place: int, cell: Cell | Xml) -> str:
        at = f'r="{chr(65 + place)}{row}"'
        if cell is None:
            return ""
        if isinstance(cell, Xml):
            return f"<c {at} {cell.attributes}>{cell.content}</c>"
        if isinstance(cell, str):
            number = self._strings.setdefault(cell, len(self._strings))
            return f'<c {at} t="s"><v>{number}</v></c>'
        return f"<c {at}><v>{cell!r}</v></c>"


_ODF = "urn:oasis:names:tc:opendocument:xmlns"


def ods(path: Path, sheets: Mapping[str, str], *, more: Mapping[str, str] | None = None) -> Path:
    """A workbook whose sheets are given as the XML of their rows, with further parts."""
    tables = "".join(
        f"<table:table table:name={quoteattr(name)}>{rows}</table:table>" for name, rows in sheets.items()
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        parts.writestr(
            "content.xml",
            f'{_HEAD}<office:document-content xmlns:office="{_ODF}:office:1.0" '
            f'xmlns:table="{_ODF}:table:1.0" '
            f'xmlns:text="{_ODF}:text:1.0"><office:body><office:spreadsheet>{tables}</office:spreadsheet>'
            "</office:body></office:document-content>",
        )
        for name, content in (more or {}).items():
            parts.writestr(name, content)
    return path


def ods_row(*cells: str, times: int = 1) -> str:
    """A row of text cells, or of cells given as XML."""
    repeated = f' table:number-rows-repeated="{times}"' if times > 1 else ""
    tag = "table:table-cell"
    inside = "".join(
        cell
        if cell.startswith("<")
        else f'<{tag} office:value-type="string"><text:p>{escape(cell)}</text:p></{tag}>'
        if cell
        else f"<{tag}/>"
        for cell in cells
    )
    return f"<table:table-row{repeated}>{inside}</table:table-row>"
