"""Files of invented people, as large as wanted: the same rows as CSV, XLSX and ODS.

Nobody is real: a number is made of its row's own number, a name is drawn from a dozen. One person in five has
a second number, one in fifty a bad one, one in a hundred stands twice. Workbooks are written as Excel and
LibreOffice write them: shared texts, phones as numbers, days as days.
"""

from __future__ import annotations

import csv
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final
from xml.sax.saxutils import escape

HEADER: Final = (
    "Фамилия",
    "Имя",
    "Отчество",
    "Телефон",
    "Доп. телефон",
    "E-mail",
    "Город",
    "Автомобиль",
    "Визит",
)
_LAST: Final = ("Иванов", "Смирнов", "Кузнецов", "Попов", "Васильев", "Петров", "Соколов", "Михайлов")
_FIRST: Final = ("Александр", "Дмитрий", "Максим", "Сергей", "Андрей", "Алексей")
_MIDDLE: Final = ("Александрович", "Дмитриевич", "Сергеевич", "Андреевич")
_CITIES: Final = ("Тверь", "Омск", "Казань", "Пермь", "Самара")
_CARS: Final = ("Lada Vesta", "Kia Rio", "Hyundai Solaris", "Skoda Octavia")
#: Codes of mobile networks; a million numbers are spread over all of them.
_CODES: Final = (
    tuple(range(900, 906)) + tuple(range(908, 940)) + tuple(range(950, 954)) + tuple(range(960, 989))
)
#: 1 January 2020 as a workbook counts days.
_FIRST_DAY: Final = 43_831
_DAYS: Final = 2_000

Person = tuple[str, str, str, str, str, str, str, str, int]


def people(rows: int, seed: int) -> Iterator[Person]:
    """So many rows; the last cell is a day as a workbook counts."""
    dice = random.Random(seed)  # noqa: S311 - no secrets
    for n in range(rows):
        person = n - 1 if n % 100 == 99 else n  # stands twice
        code = _CODES[person % len(_CODES)]
        phone = "нет" if n % 50 == 7 else f"7{code}{(person * 7_919) % 10_000_000:07}"
        yield (
            dice.choice(_LAST),
            dice.choice(_FIRST),
            dice.choice(_MIDDLE),
            phone,
            f"+7495{person % 10_000_000:07}" if n % 5 == 1 else "",
            f"u{person}@example.com",
            dice.choice(_CITIES),
            dice.choice(_CARS),
            _FIRST_DAY + dice.randrange(_DAYS),
        )


def write(path: Path, kind: str, rows: int, seed: int) -> None:
    """Write the file; `kind`: csv, xlsx or ods."""
    {"csv": _csv, "xlsx": _xlsx, "ods": _ods}[kind](path, people(rows, seed))


def _day(number: int) -> str:
    year, rest = divmod(number - _FIRST_DAY, 360)
    month, day = divmod(rest, 30)
    return f"{min(day + 1, 28):02}.{month + 1:02}.{2020 + year}"


def _csv(path: Path, rows: Iterator[Person]) -> None:
    """As a spreadsheet set to Russian saves it: Windows-1251, semicolons, numbers as people write them."""
    with path.open("w", encoding="cp1251", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADER)
        for *cells, day in rows:
            phone = cells[3]
            if phone.isdigit():
                cells[3] = f"8 ({phone[1:4]}) {phone[4:7]}-{phone[7:9]}-{phone[9:]}"
            writer.writerow([*cells, _day(day)])


_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_LETTERS: Final = "ABCDEFGHI"


def _xlsx(path: Path, rows: Iterator[Person]) -> None:
    numbers: dict[str, int] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parts:
        relation = f'<Relationship Id="{{}}" Type="{_REL}/{{}}" Target="{{}}"/>'
        parts.writestr("[Content_Types].xml", "<Types/>")
        parts.writestr(
            "_rels/.rels",
            f"<Relationships>{relation.format('a', 'officeDocument', 'xl/workbook.xml')}</Relationships>",
        )
        targets = (
            ("s", "worksheet", "sheet.xml"),
            ("t", "sharedStrings", "sharedStrings.xml"),
            ("f", "styles", "styles.xml"),
        )
        parts.writestr(
            "xl/_rels/workbook.xml.rels",
            f"<Relationships>{''.join(relation.format(*one) for one in targets)}</Relationships>",
        )
        parts.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><sheets><sheet name="Клиенты" r:id="s"/></sheets>'
            "</workbook>",
        )
        parts.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
            "</styleSheet>",
        )
        with parts.open("xl/sheet.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            _row(sheet, 1, HEADER, numbers)
            for n, row in enumerate(rows, start=2):
                _row(sheet, n, row, numbers)
            sheet.write(b"</sheetData></worksheet>")
        with parts.open("xl/sharedStrings.xml", "w", force_zip64=True) as shared:
            shared.write(f'<sst xmlns="{_MAIN}">'.encode())
            for text in numbers:
                shared.write(f"<si><t>{escape(text)}</t></si>".encode())
            shared.write(b"</sst>")


def _row(sheet: IO[bytes], n: int, row: tuple[str | int, ...], numbers: dict[str, int]) -> None:
    cells = []
    for letter, cell in zip(_LETTERS, row, strict=True):
        if isinstance(cell, int):
            cells.append(f'<c r="{letter}{n}" s="1"><v>{cell}</v></c>')
        elif cell.isdigit():
            cells.append(f'<c r="{letter}{n}"><v>{cell}</v></c>')
        elif cell:
            cells.append(f'<c r="{letter}{n}" t="s"><v>{numbers.setdefault(cell, len(numbers))}</v></c>')
    sheet.write(f'<row r="{n}">{"".join(cells)}</row>'.encode())


_ODF: Final = "urn:oasis:names:tc:opendocument:xmlns"


def _ods(path: Path, rows: Iterator[Person]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parts:
        kind = "application/vnd.oasis.opendocument.spreadsheet"
        parts.writestr("mimetype", kind, zipfile.ZIP_STORED)
        with parts.open("content.xml", "w", force_zip64=True) as content:
            content.write(
                f'<office:document-content xmlns:office="{_ODF}:office:1.0" xmlns:table="{_ODF}:table:1.0" '
                f'xmlns:text="{_ODF}:text:1.0"><office:body><office:spreadsheet>'
                '<table:table table:name="Клиенты">'.encode()
            )
            content.write(_ods_row(HEADER))
            for row in rows:
                content.write(_ods_row(row))
            content.write(b"</table:table></office:spreadsheet></office:body></office:document-content>")


def _ods_row(row: tuple[str | int, ...]) -> bytes:
    cells = []
    for cell in row:
        if isinstance(cell, int):
            day, month, year = _day(cell).split(".")
            cells.append(
                f'<table:table-cell office:value-type="date" office:date-value="{year}-{month}-{day}">'
                f"<text:p>{day}.{month}.{year}</text:p></table:table-cell>"
            )
        elif cell.isdigit():
            cells.append(
                f'<table:table-cell office:value-type="float" office:value="{cell}">'
                f"<text:p>{cell}</text:p></table:table-cell>"
            )
        elif cell:
            cells.append(
                f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p>'
                "</table:table-cell>"
            )
        else:
            cells.append("<table:table-cell/>")
    return f"<table:table-row>{''.join(cells)}</table:table-row>".encode()
