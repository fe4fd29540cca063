"""XLSX and ODS as Excel, LibreOffice, exports of CRMs and attackers make them.

What a cell shows comes from the standards: ECMA-376 part 1 (18.3.1.4 cells, 18.8.30 number formats, 18.17.4.1
days since 1900 and 1904) and OpenDocument 1.2 part 1 (9.1 tables, 19.385 value types).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.workbooks import Xlsx, Xml, ods, ods_row

from dialer.contacts.files import (
    BadRecord,
    Kind,
    Record,
    archive,
    inspect,
    look,
    numbers,
    read_records,
    strings,
)
from dialer.contacts.reading import Reading
from dialer.contacts.rejects import RejectCode
from dialer.errors import NoPhoneColumn, UnreadableFile

HEADER = ("Телефон", "Имя", "Дата")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the test puts its workbook; no name says what it is."""
    return tmp_path / "list.bin"


def read(path: Path, sheet: str | None = None) -> list[Record | BadRecord]:
    """The rows as an import reads them."""
    return list(read_records(path, inspect(path, Reading(sheet=sheet))))


def cells(path: Path) -> list[tuple[str, ...]]:
    """The cells of the good rows."""
    return [one.cells for one in read(path) if isinstance(one, Record)]


# -- XLSX ----------------------------------------------------------------------------------------------------


def test_xlsx_is_read(file: Path) -> None:
    """Shared texts, numbers, gaps between cells and between rows; the kind is known by the content."""
    sheet = [HEADER, ("89161234567", "Анна", None), (), ("89161234568", None, "x"), (None, None, None)]
    Xlsx({"Лист1": sheet}).write(file)
    layout = inspect(file)
    assert (layout.kind, layout.sheet, layout.sheets) == (Kind.XLSX, "Лист1", ("Лист1",))
    assert layout.about_rows == 4
    assert read(file) == [
        Record(1, ("89161234567", "Анна", "")),
        Record(2, ("", "", "")),
        Record(3, ("89161234568", "", "x")),
    ]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (79161234567, "79161234567"),
        (79161234567.0, "79161234567"),
        (Xml("", "<v>7.9161234567E10</v>"), "79161234567"),
        (0.5, "0.5"),
        (-12, "-12"),
        (0.1 + 0.2, "0.3"),
        (1234567890123456789, "1.23456789012346E+18"),
        (Xml('t="b"', "<v>1</v>"), "TRUE"),
        (Xml('t="e"', "<v>#N/A</v>"), "#N/A"),
        (Xml('t="str"', "<f>A1&amp;1</f><v>a1</v>"), "a1"),
        (Xml('t="inlineStr"', "<is><t>встроено</t></is>"), "встроено"),
        (Xml('t="inlineStr"', "<is><r><t>а</t></r><rPh><t>no</t></rPh><r><t>б</t></r></is>"), "аб"),
        (Xml('t="d"', "<v>2026-03-05T14:30:00</v>"), "2026-03-05 14:30"),
        ("a_x000D_b", "a\rb"),
        ("<si><r><t>жир</t></r><r><t>но</t></r><rPh><t>x</t></rPh></si>", "жирно"),
        (Xml('s="1"', "<v>46086</v>"), "2026-03-05"),
        (Xml('s="1"', "<v>46086.604166666664</v>"), "2026-03-05 14:30"),
        (Xml('s="1"', "<v>59</v>"), "1900-02-28"),
        (Xml('s="1"', "<v>61</v>"), "1900-03-01"),
        (Xml('s="2"', "<v>0.5</v>"), "12:00"),
        (Xml('s="3"', "<v>46086</v>"), "2026-03-05"),
        (Xml('s="4"', "<v>46086</v>"), "46086"),
        (Xml('s="5"', "<v>123</v>"), "000123"),
    ],
)
def test_what_a_cell_shows(file: Path, cell: str | float | Xml, shown: str) -> None:
    """A phone kept as a number has its digits, a day is ISO, a formula is what it came to."""
    book = Xlsx(
        {"A": [HEADER, ("1", "x", cell)]},
        styles=(0, 14, 20, 164, 165, 166),
        codes={164: '[$-419]d mmmm yyyy "г.";@', 165: '0.00" руб. (day)"', 166: "000000"},
    )
    book.write(file)
    assert cells(file)[0][2] == shown


def test_days_since_1904(file: Path) -> None:
    """A workbook of an old Macintosh counts from another day."""
    Xlsx({"A": [HEADER, ("1", "x", Xml('s="1"', "<v>44624</v>"))]}, styles=(0, 14), from_1904=True).write(
        file
    )
    assert cells(file)[0][2] == "2026-03-05"


def test_first_sheet_with_anything_in_it(file: Path) -> None:
    """Empty and hidden sheets are passed over; any that people see can be named."""
    book = Xlsx(
        {"Пусто": [], "Скрыт": [HEADER, ("1",)], "Да": [HEADER, ("2",)], "Ещё": [("phone",), ("3",)]},
        states={"Скрыт": "hidden"},
    )
    book.write(file)
    layout = inspect(file)
    assert (layout.sheet, layout.sheets) == ("Да", ("Пусто", "Да", "Ещё"))
    assert read(file)[0] == Record(1, ("2", "", ""))
    assert read(file, "Ещё") == [Record(1, ("3",))]
    for missing in ("Нет", "Скрыт"):
        with pytest.raises(UnreadableFile, match=f"no sheet {missing}"):
            inspect(file, Reading(sheet=missing))


def test_texts_beyond_those_in_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that are kept in a file are read back whatever the order."""
    monkeypatch.setattr(strings, "KEPT", 3)
    names = [f"Имя {n} ёж" for n in range(200)]
    rows = [("8916", name, names[-1 - n]) for n, name in enumerate(names)]
    Xlsx({"A": [HEADER, *rows]}).write(file)
    assert cells(file) == rows


def test_rows_that_are_none(file: Path) -> None:
    """A cell too many, a row that is too long: rejected by number, the others are read."""
    rows = [("1", "a", "b", "ещё"), ("2", "x" * 40_000, "y" * 40_000), ("3", "c", "d")]
    Xlsx({"A": [HEADER, *rows]}).write(file)
    found = read(file)
    assert found[0] == BadRecord(1, RejectCode.COLUMNS, "ещё")
    assert isinstance(found[1], BadRecord)
    assert found[1].code is RejectCode.TOO_LONG
    assert found[2] == Record(3, ("3", "c", "d"))


def test_reading_goes_on_after_any_row(file: Path) -> None:
    """What is read after row n is what follows n in a whole reading."""
    for path in (
        Xlsx({"A": [HEADER, *((str(n), None, "x") for n in range(5)), (), ("9",)]}).write(file),
        ods(file.with_name("b"), {"A": "".join(ods_row(*row) for row in [HEADER, ("1",), ("",), ("3",)])}),
    ):
        layout = inspect(path)
        whole = list(read_records(path, layout))
        for after in range(len(whole) + 1):
            assert list(read_records(path, layout, after=after)) == whole[after:]


# -- ODS -----------------------------------------------------------------------------------------------------

NUMBER = (
    '<table:table-cell office:value-type="float" office:value="{}"><text:p>{}</text:p></table:table-cell>'
)


def test_ods_is_read(file: Path) -> None:
    """Texts, repeated cells and rows, and the million blank rows at the end that are none."""
    rows = (
        ods_row(*HEADER)
        + ods_row("89161234567", '<table:table-cell table:number-columns-repeated="2"/>')
        + ods_row("", "", "", times=2)
        + ods_row("8", NUMBER.format("5", "5"), "x", times=2)
        + '<table:table-row table:number-rows-repeated="1048570"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
    )
    ods(file, {"Лист1": rows})
    layout = inspect(file)
    assert (layout.kind, layout.sheet) == (Kind.ODS, "Лист1")
    blank, twice = ("", "", ""), ("8", "5", "x")
    assert [(one.number, one.cells) for one in read(file) if isinstance(one, Record)] == [
        (1, ("89161234567", "", "")),
        (2, blank),
        (3, blank),
        (4, twice),
        (5, twice),
    ]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (NUMBER.format("79161234567", "7,92E+10"), "79161234567"),
        (NUMBER.format("0.5", "1"), "0.5"),
        ('<table:table-cell office:value-type="date" office:date-value="2026-03-05"/>', "2026-03-05"),
        (
            '<table:table-cell office:value-type="date" office:date-value="2026-03-05T14:30:00"/>',
            "2026-03-05 14:30",
        ),
        (
            '<table:table-cell office:value-type="currency" office:value="5"><text:p>5,00 ₽</text:p>'
            "</table:table-cell>",
            "5,00 ₽",
        ),
        ("<table:table-cell><text:p>а</text:p><text:p>б</text:p></table:table-cell>", "а\nб"),
        (
            '<table:table-cell><text:p>а<text:s text:c="2"/>б<text:tab/>в<text:span>г</text:span></text:p>'
            "</table:table-cell>",
            "а  б\tвг",
        ),
        (
            "<table:table-cell><office:annotation><text:p>заметка</text:p></office:annotation>"
            "<text:p>значение</text:p></table:table-cell>",
            "значение",
        ),
        ('<table:covered-table-cell table:number-columns-repeated="1"/>', ""),
    ],
)
def test_what_a_cell_of_ods_shows(file: Path, cell: str, shown: str) -> None:
    """Numbers and days by their value, whatever a narrow column shows; notes are not read."""
    ods(file, {"A": ods_row(*HEADER) + ods_row("1", "x", cell)})
    assert cells(file)[0][2] == shown


def test_sheets_of_ods(file: Path) -> None:
    """The first with anything in it, or the one that is named; further names are in the view's settings."""
    settings_xml = (
        '<office:settings xmlns:office="o" xmlns:config="c">'
        '<config:config-item-map-named config:name="Tables">'
        '<config:config-item-map-entry config:name="Пусто"/><config:config-item-map-entry config:name="Да"/>'
        '<config:config-item-map-entry config:name="Ещё"/></config:config-item-map-named></office:settings>'
    )
    sheets = {
        "Пусто": ods_row(""),
        "Да": ods_row(*HEADER) + ods_row("2"),
        "Ещё": ods_row("phone") + ods_row("3"),
    }
    ods(file, sheets, more={"settings.xml": settings_xml})
    layout = inspect(file)
    assert (layout.sheet, layout.sheets) == ("Да", ("Пусто", "Да", "Ещё"))
    assert read(file, "Ещё") == [Record(1, ("3",))]
    with pytest.raises(UnreadableFile, match="no sheet Нет"):
        inspect(file, Reading(sheet="Нет"))


# -- what is no workbook -------------------------------------------------------------------------------------


def packed(**parts: str) -> bytes:
    """A ZIP with these parts, `__` for a slash."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive_:
        for name, content in parts.items():
            archive_.writestr(name.replace("__", "/"), content)
    return out.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (packed(a="x"), "an archive and no spreadsheet"),
        (packed(xl__workbook_bin="x").replace(b"workbook_bin", b"workbook.bin"), "XLSB"),
        (OLE + bytes(600), "XLS"),
        (OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
        (b"PK\x03\x04" + bytes(50), "damaged"),
        (packed(**{"xl/workbook.xml": "<workbook><sheets>"}), "XML is broken"),
        (packed(**{"xl/workbook.xml": "<workbook/>"}), "empty"),
        (
            packed(mimetype="application/vnd.oasis.opendocument.spreadsheet", META__x="y"),
            "damaged",
        ),
        (
            packed(
                **{
                    "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
                    "META-INF/manifest.xml": "<manifest><encryption-data/></manifest>",
                }
            ),
            "password",
        ),
    ],
)
def test_what_is_no_workbook_is_refused(file: Path, content: bytes, said: str) -> None:
    """With words that say what it is and what to do."""
    file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=said):
        inspect(file)


def test_entities_are_refused(file: Path) -> None:
    """A document type is where a small file declares a text of gigabytes."""
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    book = Xlsx({"A": [HEADER, ("1",)]}).write(file)
    with zipfile.ZipFile(book) as parts:
        content = {name: parts.read(name).decode() for name in parts.namelist()}
    content["xl/worksheets/sheet1.xml"] = f"{bomb}<worksheet><sheetData/></worksheet>"
    file.write_bytes(packed(**content))
    with pytest.raises(UnreadableFile, match="document type"):
        inspect(file)


def test_a_part_without_end_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is unpacked is counted as it comes, not as the file says."""
    Xlsx({"A": [HEADER, *(("1", "x" * 1000) for _ in range(2_000))]}).write(file)
    monkeypatch.setattr(archive, "MAX_UNPACKED", 100_000)
    with pytest.raises(UnreadableFile, match="unpacks to more"):
        read(file)


@pytest.mark.parametrize("row", [0, 1_048_577, 10**12])
def test_rows_that_cannot_be(file: Path, row: int) -> None:
    """A row beyond the last that a sheet has, and a repeated one that would go on for ever."""
    book = Xlsx({"A": [HEADER, ("1",)]}).write(file)
    with zipfile.ZipFile(book) as parts:
        content = {name: parts.read(name).decode() for name in parts.namelist()}
    sheet = content["xl/worksheets/sheet1.xml"]
    content["xl/worksheets/sheet1.xml"] = sheet.replace('<row r="2">', f'<row r="{row}">')
    file.write_bytes(packed(**content))
    with pytest.raises(UnreadableFile):
        read(file)
    if row:
        ods(file, {"A": ods_row(*HEADER) + ods_row("1", times=row)})
        with pytest.raises(UnreadableFile, match="rows"):
            read(file)


def test_a_workbook_without_phones_shows_its_columns(file: Path) -> None:
    """As of a CSV: the refusal names them, and who maps columns sees them."""
    Xlsx({"A": [("Имя", "Город"), ("x", "y")]}).write(file)
    with pytest.raises(NoPhoneColumn, match="Имя, Город"):
        inspect(file)
    assert [one.name for one in look(file).columns] == ["Имя", "Город"]
    assert inspect(file, Reading(mapping={"Город": "phone"})).columns[1].field.value == "phone"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 4000), put=st.binary(min_size=1, max_size=8), kind=st.sampled_from(("xlsx", "ods")))
def test_any_harm_is_an_unreadable_file(file: Path, at: int, put: bytes, kind: str) -> None:
    """Whatever stands in the file: rows, or UnreadableFile; nothing else is raised."""
    if kind == "xlsx":
        Xlsx({"A": [HEADER, ("89161234567", "Анна", 5)] * 3}).write(file)
    else:
        ods(file, {"A": ods_row(*HEADER) + ods_row("89161234567", "Анна", NUMBER.format("5", "5"), times=3)})
    content = bytearray(file.read_bytes())
    at %= len(content)
    content[at : at + len(put)] = put
    file.write_bytes(content)
    try:
        for one in read(file):
            assert isinstance(one, (Record, BadRecord))
    except UnreadableFile:
        pass


@given(st.floats(-1e300, 1e300) | st.integers(-(10**14), 10**14).map(float))
def test_a_number_is_what_it_was(number: float) -> None:
    """The text of a number says the number, to the fifteen digits that a spreadsheet keeps."""
    text = numbers.plain(repr(number))
    assert float(text) == pytest.approx(number, rel=1e-14)
    if number == int(number) and abs(number) < 1e15:
        assert text == str(int(number))
