"""CSV files as spreadsheets, CRMs and accidents make them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialer.contacts import csvfile
from dialer.contacts.columns import Field, columns_of, field_of
from dialer.contacts.csvfile import (
    MAX_RECORD_LINES,
    detect_encoding,
    safe_cell,
    write_rows,
)
from dialer.contacts.files import BadRecord, Layout, Record, inspect, read_records
from dialer.contacts.files.layout import MAX_RECORD
from dialer.contacts.reading import DELIMITERS
from dialer.contacts.rejects import RejectCode
from dialer.contacts.rows import RowReader, clean, read_timezone, split_name
from dialer.errors import NoPhoneColumn, UnreadableFile

TABLE = "Фамилия;Имя;Телефон\nЁлкин;Пётр;89161234567\nЩукина;Анна;84951234567\n"
ROWS = [("Ёлкин", "Пётр", "89161234567"), ("Щукина", "Анна", "84951234567")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the test puts its file."""
    return tmp_path / "list.csv"


def read(path: Path, content: bytes, *, after: int = 0) -> tuple[Layout, list[Record | BadRecord]]:
    """Write the file, and read it as an import does."""
    path.write_bytes(content)
    layout = inspect(path)
    return layout, list(read_records(path, layout, after=after))


def codes(records: list[Record | BadRecord]) -> list[tuple[int, str]]:
    """Number and fate of each row."""
    return [(one.number, one.code.value if isinstance(one, BadRecord) else "good") for one in records]


# -- encodings and delimiters -----------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encoding_and_delimiter_are_found(file: Path, encoding: str, delimiter: str, line_end: str) -> None:
    """The same table is read from every encoding, delimiter and line end."""
    content = TABLE.replace(";", delimiter).replace("\n", line_end).encode(encoding)
    layout, records = read(file, content)
    assert layout.delimiter == delimiter
    assert records == [Record(number, cells) for number, cells in enumerate(ROWS, start=1)]


def test_letters_cut_by_a_piece_stay_whole() -> None:
    """A letter whose bytes fall into two pieces of the file does not make UTF-8 look like something else."""
    content = TABLE.encode()
    assert detect_encoding(content[at : at + 1] for at in range(len(content))) == "utf-8-sig"
    content = TABLE.encode("cp1251")
    assert detect_encoding(content[at : at + 1] for at in range(len(content))) == "cp1251"


def test_broken_bytes_cost_their_row_only(file: Path) -> None:
    """UTF-8 with one broken row stays UTF-8; that row is rejected."""
    content = TABLE.encode() + b"\xff\xfe\xfa;x;89161234568\n" + "Ёж;Я;89161234569\n".encode()
    _, records = read(file, content)
    assert codes(records) == [(1, "good"), (2, "good"), (3, "encoding"), (4, "good")]


def test_excels_own_line_is_no_header(file: Path) -> None:
    """The line `sep=;` that Excel writes and understands, and blank lines, stand before the header."""
    _, records = read(file, ("sep=;\n\n" + TABLE).encode())
    assert [one.number for one in records] == [1, 2]
    assert records[0] == Record(1, ROWS[0])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xef\xbb\xbf",
        b"\n\n\n",
        b"PK\x03\x04" + bytes(100),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"%PDF-1.7\n",
        bytes(1000),
        b"phone" + b",x" * 300 + b"\n",
    ],
)
def test_what_is_no_table_is_refused(file: Path, content: bytes) -> None:
    """An empty file, a workbook, a PDF, zeros, a table of 300 columns: refused as a whole."""
    file.write_bytes(content)
    with pytest.raises(UnreadableFile):
        inspect(file)


def test_table_without_phone_column_names_what_it_has(file: Path) -> None:
    """The refusal shows the columns that were found, so that the reader sees what to rename."""
    file.write_text("Фамилия;Город\nЁлкин;Тверь\n")
    with pytest.raises(NoPhoneColumn, match="Фамилия, Город"):
        inspect(file)


# -- rows that are none -----------------------------------------------------------------------------------


def test_fields_with_quotes_delimiters_and_new_lines(file: Path) -> None:
    """RFC 4180: a quoted cell may hold delimiters, quotation marks and new lines; the row is one row."""
    _, records = read(file, b'name,phone\n"a ""b"", c\nd",89161234567\nx,89161234568\n')
    assert records == [Record(1, ('a "b", c\nd', "89161234567")), Record(2, ("x", "89161234568"))]


def test_quotes_inside_a_plain_cell_are_letters(file: Path) -> None:
    """ООО "Ромашка" without outer quotation marks is read as it stands."""
    _, records = read(file, 'name;phone\nООО "Ромашка";89161234567\n'.encode())
    assert records == [Record(1, ('ООО "Ромашка"', "89161234567"))]


@pytest.mark.parametrize("tail", ["", "c;89161234569\n", 'c;"89161234569"\n', "c;89161234569\n" * 200])
def test_open_quote_costs_its_line_only(file: Path, tail: str) -> None:
    """A quotation mark that is never closed, or closed rows later, does not swallow the rows after it."""
    _, records = read(file, f'name;phone\na;89161234567\n"b;89161234568\n{tail}'.encode())
    rows = 2 + tail.count("\n")
    assert codes(records) == [(n, "quote" if n == 2 else "good") for n in range(1, rows + 1)]


def test_open_quote_in_the_last_cell(file: Path) -> None:
    """Also where the swallowed rows would have made a row of the right width."""
    _, records = read(file, b'phone;note\n89161234567;"x\n89161234568;y\n')
    assert codes(records) == [(1, "quote"), (2, "good")]


def test_huge_field_costs_its_row_only(file: Path) -> None:
    """A cell of megabytes, on one line or in quotes over many, is rejected; the next rows are read."""
    line = "9" * (5 * MAX_RECORD)
    quoted = '"' + "x\n" * (MAX_RECORD_LINES + 1) + '"'
    _, records = read(file, f"phone;note\n89161234567;a\n{line};b\n89161234568;c\n".encode())
    assert codes(records) == [(1, "good"), (2, "too_long"), (3, "good")]
    assert len(records[1].value if isinstance(records[1], BadRecord) else "") <= 1000
    _, records = read(file, f"phone;note\n89161234567;{quoted}\n89161234568;c\n".encode())
    assert codes(records)[0] == (1, "quote")
    assert records[-1] == Record(records[-1].number, ("89161234568", "c"))


def test_row_at_the_limit_is_read(file: Path) -> None:
    """A row of exactly MAX_RECORD characters is a row; one more is too long."""
    note = "x" * (MAX_RECORD - len("89161234567;") - 1)
    _, records = read(file, f"phone;note\n89161234567;{note}\n89161234567;{note}x\n".encode())
    assert codes(records) == [(1, "good"), (2, "too_long")]


@given(
    st.lists(st.text(st.sampled_from('ab;,\t"\r\n\0\ufeff\ufffd 1'), max_size=12), max_size=12),
    st.sampled_from(DELIMITERS),
    st.integers(1, 4),
)
def test_a_plain_line_is_what_the_csv_module_makes_of_it(
    lines: list[str], delimiter: str, width: int
) -> None:
    """Lines without quotation marks are taken apart directly, and come to the same rows."""
    text = "\n".join(["h", *lines])
    layout = Layout("utf-8-sig", delimiter, tuple(columns_of([f"c{n}" for n in range(width)])))

    def rows() -> list[Record | BadRecord]:
        return list(csvfile.read_records(io.StringIO(text, newline=None), layout))

    found = rows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvfile._Lines, "plain", lambda _self: None)
        assert rows() == found


def test_widths(file: Path) -> None:
    """A short row is filled up, empty cells too many are left out, filled ones are refused with the first."""
    _, records = read(file, b"name;phone;note\na;1\nb;2;c;;\nd;3;e;;f\n")
    assert records == [
        Record(1, ("a", "1", "")),
        Record(2, ("b", "2", "c")),
        BadRecord(3, RejectCode.COLUMNS, "f"),
    ]


def test_nul_is_refused(file: Path) -> None:
    """PostgreSQL cannot keep a NUL: its row is rejected."""
    _, records = read(file, b"phone\n8916\x001234567\n89161234567\n")
    assert codes(records) == [(1, "nul"), (2, "good")]


def test_reading_goes_on_after_any_row(file: Path) -> None:
    """What is read after row n is what follows n in a whole reading: resumption loses and repeats nothing."""
    content = ('phone;note\n1;a\n"2;b\n3;c\n\n' + "9" * 3 * MAX_RECORD + '\n6;"d\ne"\n7;;;x\n8;f\n').encode()
    _, whole = read(file, content)
    assert [one.number for one in whole] == list(range(1, 9))
    for after in range(9):
        assert read(file, content, after=after)[1] == whole[after:]


# -- nothing but its own errors ---------------------------------------------------------------------------

MARKS = (";", ",", "\t", '"', '""', "\n", "\r\n", "\r", "\0", "\ufeff", "\u2028", " ", "sep=;")
PIECES = st.sampled_from((*MARKS, "телефон", "phone", "имя", "89161234567", "=1+1", "x" * 70_000, "ё"))
CONTENT = st.binary(max_size=300) | st.lists(PIECES, max_size=40).flatmap(
    lambda pieces: st.sampled_from(["utf-8", "utf-8-sig", "cp1251", "utf-16"]).map(
        lambda encoding: ("phone;имя\n" + "".join(pieces)).encode(encoding, "replace")
    )
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT)
def test_any_bytes_are_read(file: Path, content: bytes) -> None:
    """Whatever the bytes: numbered rows of the header's width, or UnreadableFile; and each row becomes a
    contact, a reject or nothing."""
    try:
        layout, records = read(file, content)
    except UnreadableFile:
        return
    assert [one.number for one in records] == list(range(1, len(records) + 1))
    for one in records:
        if isinstance(one, Record):
            assert len(one.cells) == len(layout.columns)
        contact, rejects = RowReader(layout.columns, "RU").read(one)
        assert contact is None or contact.phones
        assert contact or rejects or (isinstance(one, Record) and one.blank)
        assert "\0" not in "".join(reject.value for reject in rejects)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.from_regex(r"[0-9+() -]{1,20}", fullmatch=True),
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r\ufffd"), max_size=40).filter(
                lambda cell: cell.count("\n") < MAX_RECORD_LINES
            ),
        ),
        max_size=20,
    ),
    delimiter=st.sampled_from(DELIMITERS),
)
def test_what_a_spreadsheet_writes_is_read_back(
    file: Path, rows: list[tuple[str, str]], delimiter: str
) -> None:
    """Any table that the csv module writes is read as it was, cell by cell."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(("phone", "note"))
    writer.writerows(rows)
    _, records = read(file, out.getvalue().encode())
    assert records == [Record(number, row) for number, row in enumerate(rows, start=1)]


# -- headers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("phone", Field.PHONE),
        ("Phone Number", Field.PHONE),
        ("PHONE_2", Field.PHONE),
        ("mobile", Field.PHONE),
        ("Телефон", Field.PHONE),
        ("Тел.", Field.PHONE),
        ("телефон1", Field.PHONE),
        ("Телефон №2", Field.PHONE),
        ("Номер телефона", Field.PHONE),
        ("Мобильный телефон", Field.PHONE),
        ("Доп. телефон", Field.PHONE),
        ("Моб.", Field.PHONE),
        ("Фамилия", Field.LAST_NAME),
        ("last_name", Field.LAST_NAME),
        ("ИМЯ", Field.FIRST_NAME),
        ("First Name", Field.FIRST_NAME),
        ("отчество", Field.MIDDLE_NAME),
        ("ФИО", Field.FULL_NAME),
        ("Ф.И.О.", Field.FULL_NAME),
        ("E-mail", Field.EMAIL),
        ("Электронная почта", Field.EMAIL),
        ("Часовой пояс", Field.TIMEZONE),
        ("time zone", Field.TIMEZONE),
        ("external_id", Field.EXTERNAL_ID),
        ("Марка телефона", Field.CUSTOM),
        ("Номер договора", Field.CUSTOM),
        ("Автомобиль", Field.CUSTOM),
        ("Имя питомца", Field.CUSTOM),
        ("", Field.CUSTOM),
    ],
)
def test_header_says_what_its_column_is(header: str, field: Field) -> None:
    """Russian and English headers as spreadsheets have them; a word about something else is a custom one."""
    assert field_of(header) is field


def test_columns_have_names_of_their_own() -> None:
    """Of two columns alike the second is custom, unless they are phones; no name is empty or twice."""
    columns = columns_of(["Телефон", "Имя", "Имя", "", "Телефон", "Авто", "Авто"])
    assert [column.field.value for column in columns] == [
        "phone",
        "first_name",
        "custom",
        "custom",
        "phone",
        "custom",
        "custom",
    ]
    assert [column.name for column in columns] == [
        "Телефон",
        "Имя",
        "Имя (2)",
        "#4",
        "Телефон (2)",
        "Авто",
        "Авто (2)",
    ]


# -- rows to contacts -------------------------------------------------------------------------------------


def test_row_becomes_a_contact() -> None:
    """Each cell goes to its field, unknown columns and an extension to `custom`; phones keep their order."""
    columns = columns_of(["ФИО", "Телефон", "Раб. телефон", "Почта", "Часовой пояс", "Авто", "Пусто"])
    cells = (" Иванов  Пётр Ильич", "8 916 123-45-67", "84951234567 доб. 12", "p@x.ru", "МСК+2", "Лада", " ")
    contact, rejects = RowReader(columns, "RU").read(Record(7, cells))
    assert rejects == []
    assert contact is not None
    assert (contact.row, contact.last_name, contact.first_name, contact.middle_name) == (
        7,
        "Иванов",
        "Пётр",
        "Ильич",
    )
    assert [phone.e164 for phone in contact.phones] == ["+79161234567", "+74951234567"]
    assert (contact.email, contact.timezone) == ("p@x.ru", "Etc/GMT-5")
    assert contact.custom == {"Авто": "Лада", "Раб. телефон ext.": "12"}


def test_cells_that_can_be_missed_do_not_cost_the_person() -> None:
    """A wrong e-mail, zone or second number is named in the rejects, and the contact loads without it."""
    columns = columns_of(["phone", "phone2", "email", "timezone"])
    contact, rejects = RowReader(columns, "RU").read(Record(3, ("89161234567", "123", "нет", "Марс")))
    assert contact is not None
    assert (len(contact.phones), contact.email, contact.timezone) == (1, "", None)
    assert [(one.row, one.column, one.code.value, one.value) for one in rejects] == [
        (3, "phone2", "too_short", "123"),
        (3, "email", "email", "нет"),
        (3, "timezone", "timezone", "Марс"),
    ]


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        (("", "Анна"), "phone", "no_phone"),
        (("12345", "Анна"), "phone", "too_short"),
        (("89161234567", "А" * 101), "first_name", "too_long"),
        (("8" * 301, "Анна"), "phone", "too_long"),
    ],
)
def test_row_that_cannot_be_used(cells: tuple[str, str], column: str, code: str) -> None:
    """Without a number, or with a value over its limit, a row is rejected, with the column to blame."""
    contact, rejects = RowReader(columns_of(["phone", "first_name"]), "RU").read(Record(1, cells))
    assert contact is None
    assert [(one.column, one.code.value) for one in rejects] == [(column, code)]


def test_more_numbers_than_kept() -> None:
    """Of eleven numbers ten are kept in order, the eleventh is named."""
    numbers = [f"+7916123450{n}" for n in range(9)] + ["+79161234510", "+79161234511"]
    contact, rejects = RowReader(columns_of(["phone"]), "RU").read(Record(1, (", ".join(numbers),)))
    assert contact is not None
    assert [phone.e164 for phone in contact.phones] == numbers[:10]
    assert [(one.code.value, one.value) for one in rejects] == [("many_phones", numbers[10])]


@pytest.mark.parametrize(
    ("full", "parts"),
    [
        ("", ("", "", "")),
        ("Иванов", ("Иванов", "", "")),
        ("Иванов Пётр", ("Иванов", "Пётр", "")),
        ("Иванов Пётр Ильич", ("Иванов", "Пётр", "Ильич")),
        ("Пётр Ильич Чайковский", ("Чайковский", "Пётр", "Ильич")),
        ("Анна Сергеевна", ("", "Анна", "Сергеевна")),
        ("Алиев Али Вели оглы", ("Алиев", "Али", "Вели оглы")),
        ("John Smith", ("Smith", "John", "")),
        ("Mary Ann Smith", ("Smith", "Mary", "Ann")),
    ],
)
def test_full_name_is_taken_apart(full: str, parts: tuple[str, str, str]) -> None:
    """Russian order, patronymic in second place, and Latin order."""
    assert split_name(full) == parts


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Asia/Yekaterinburg", "Asia/Yekaterinburg"),
        ("europe/moscow", "Europe/Moscow"),
        ("МСК", "Europe/Moscow"),
        ("МСК+0", "Europe/Moscow"),
        ("МСК+2", "Etc/GMT-5"),  # Yekaterinburg is UTC+5; POSIX turns the sign
        ("MSK-1", "Etc/GMT-2"),  # Kaliningrad is UTC+2
        ("UTC+7", "Etc/GMT-7"),
        ("GMT-3", "Etc/GMT+3"),
        ("+5", "Etc/GMT-5"),
        ("+05:00", "Etc/GMT-5"),
        ("UTC", "UTC"),
        ("UTC+0", "Etc/UTC"),
        ("UTC+15", None),
        ("Москва", None),
        ("5", None),
        ("+5:30", None),
        ("", None),
        ("../../etc/passwd", None),
    ],
)
def test_time_zone_of_the_record(text: str, zone: str | None) -> None:
    """IANA names, offsets from UTC and from Moscow; nothing else, and never a path."""
    assert read_timezone(text) == zone


def test_clean_value() -> None:
    """Control characters, marks of direction and double spaces go, letters stay."""
    assert clean(" a\x07b\n c\u202a\u200bd\u00a0 e ") == "a b cd e"


# -- writing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    """A cell that a spreadsheet would run gets an apostrophe before it, others are left alone."""
    assert safe_cell(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"
    assert safe_cell(f"a{start}b") == f"a{start}b"


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("x\n=1+1", "x\n'=1+1"),
        ('x;"=1+1"', 'x;\'"=1+1"'),
        (" =1+1", "' =1+1"),
        ("\u200b=1+1", "'\u200b=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("call at 5; then +7", "call at 5; then +7"),
        ("a; -5", "a;' -5"),
        ("2 - 1 = 1", "2 - 1 = 1"),
    ],
)
def test_no_part_of_a_cell_is_a_formula(typed: str, written: str) -> None:
    """Nor what a program that divides at `;` or at line ends takes for a cell; other text is left alone."""
    assert safe_cell(typed) == written


def test_written_rows() -> None:
    """RFC 4180: commas, CRLF, quotation marks doubled."""
    assert write_rows([(1, 'a"b', "=1+1"), (2, "x,y", "ё")]) == '1,"a""b",\'=1+1\r\n2,"x,y",ё\r\n'.encode()
