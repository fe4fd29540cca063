"""Hostile texts in CSV files that we write, and hostile files that we read.

Written: the call log and the rejects of an import. A file is read as three programs would read it: one
that divides at commas (as it is written), one that divides at `;` (a spreadsheet set to Russian), one that
knows no quotation marks at all. None of them may find a cell that begins as a formula, and the first must
find every text as it was typed, but for the apostrophes.

Read: bytes of any kind as a contact list. Whatever they are, the reader raises UnreadableFile or gives
rows, and each row is loaded or rejected with its number; nothing else comes of it, and it holds a bounded
piece of a file.
"""

from __future__ import annotations

import csv
import io
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from dialer.bench.faults.hostile import texts
from dialer.bench.faults.hostile.block import Block
from dialer.calls.call_log import COLUMNS, CallRow, csv_header, csv_rows
from dialer.clock import utc_now
from dialer.contacts.batches import read_batch
from dialer.contacts.csvfile import write_rows
from dialer.contacts.files import inspect, read_records
from dialer.contacts.files.layout import MAX_RECORD
from dialer.errors import UnreadableFile
from dialer.ids import new_id

#: What a spreadsheet takes for the beginning of a formula, whatever unseen marks stand before it.
FORMULA: Final = re.compile(
    r"[\s\"\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]"
)
#: Numbers of telephones: a plus and digits is no formula.
NUMBER: Final = re.compile(r"\+\d{3,15}")
#: Texts of the call log that people, carriers or files have written.
TYPED: Final = (
    "campaign", "list_name", "last_name", "first_name", "middle_name", "trunk", "agent", "detail",
    "machine_status",
    "disposition_ru", "disposition_en", "disposition_note", "caller_id", "e164", "hung_up_by",
)  # fmt: skip
#: The longest that a hostile file may keep the reader, seconds a megabyte (a loaded machine).
SLOWEST_S_PER_MB: Final = 10.0


def run(block: Block) -> None:
    """A block of both kinds."""
    for _ in range(block.size(40, 12)):
        _log(block)
        _rejects(block)
    with tempfile.TemporaryDirectory(prefix="dozvon-hostile-") as folder:
        path = Path(folder, "list.csv")
        for _ in range(block.size(250, 60)):
            _read(block, path, _file(block.dice), "csv_read")
        _read(block, path, _huge(block.dice), "csv_huge")


# -- written -----------------------------------------------------------------------------------------------


def _row(dice: random.Random) -> CallRow:
    """An attempt with a hostile text in each field that holds one."""
    values: dict[str, Any] = dict.fromkeys(CallRow.__slots__)
    values |= {"id": new_id(), "created_at": utc_now(), "mode": "power", "state": "ended", "result": "busy"}
    for name in TYPED:
        families = (texts.FORMULAS, texts.FORMULAS, texts.BREAKS, texts.UNICODE, texts.TURNS)
        values[name] = texts.sendable(texts.hostile(dice, "", *families))
    return CallRow(**values)


def _log(block: Block) -> None:
    rows = [_row(block.dice) for _ in range(10)]
    locale = block.dice.choice(("ru", "en"))
    data = csv_header(locale) + csv_rows(rows, locale)
    meant = [
        [_meant(row, column, locale) for column in COLUMNS if column in TYPED or column == "disposition"]
        for row in rows
    ]
    block.took("csv_written", sum(map(len, meant)))
    _check(
        block, data, meant, [at for at, name in enumerate(COLUMNS) if name in TYPED or name == "disposition"]
    )


def _meant(row: CallRow, column: str, locale: str) -> str:
    name = f"disposition_{locale}" if column == "disposition" else column
    return str(getattr(row, name))


def _rejects(block: Block) -> None:
    dice = block.dice
    meant = [
        [texts.sendable(texts.hostile(dice, "", texts.FORMULAS, texts.BREAKS)) for _ in range(2)]
        for _ in range(8)
    ]
    data = write_rows((number, column, "quote", value) for number, (column, value) in enumerate(meant))
    block.took("csv_written", 16)
    _check(block, data, meant, [1, 3], header=False)


def _check(block: Block, data: bytes, meant: list[list[str]], at: list[int], *, header: bool = True) -> None:
    """Harm where a program would run a cell, or a text was changed by more than apostrophes."""
    text = data.decode("utf-8-sig")
    for cell in _cells(text):
        if FORMULA.match(cell) and not NUMBER.fullmatch(cell):
            block.harm(f"csv: {cell[:80]!r} is a formula")
            return
    rows = list(csv.reader(io.StringIO(text, newline="")))[header:]
    for row, typed in zip(rows, meant, strict=True):
        for place, value in zip(at, typed, strict=True):
            if row[place].replace("'", "") != value.replace("'", ""):
                block.harm(f"csv: {value[:80]!r} is read as {row[place][:80]!r}")
                return


def _cells(text: str) -> Iterator[str]:
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            yield from row
    # One that knows no quotation marks; those that stand at a cell's ends are its own.
    for line in text.split("\n"):
        yield from (cell for cell in line.split(";"))


# -- read --------------------------------------------------------------------------------------------------

_HEADERS: Final = (
    "phone;name", "Телефон;Фамилия;Имя;Отчество", "phone,e-mail,timezone,comment", "phone\tname",
    "sep=;\r\nphone;name",
)  # fmt: skip
_ENCODINGS: Final = (
    "utf-8",
    "utf-8-sig",
    "cp1251",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-7",
    "koi8-r",
)


def _file(dice: random.Random) -> bytes:
    """A file that was a contact list once, or never."""
    if dice.random() < 0.1:
        return dice.choice((b"", b"\xef\xbb\xbf", b"\xff\xfe", b"PK\x03\x04", b"\0")) + texts.noise(
            dice, 2_000
        )
    header = dice.choice(_HEADERS)
    if dice.random() < 0.15:
        header = texts.hostile(dice, header)
    delimiter = next((mark for mark in ";\t," if mark in header), ";")
    lines = [header]
    for _ in range(dice.randint(1, 20)):
        cells = [f"+7916{dice.randrange(10**7):07}", "Иванов", "x"]
        cells[dice.randrange(3)] = texts.hostile(dice, dice.choice(cells))
        if dice.random() < 0.3:
            cells = [f'"{cell}"' for cell in cells]
        lines.append(delimiter.join(cells[: 1 + header.count(delimiter)]))
    text = dice.choice(("\n", "\r\n", "\r")).join(lines)
    data = text.encode(dice.choice(_ENCODINGS), dice.choice(("replace", "ignore")))
    return texts.mutated(dice, data) if dice.random() < 0.5 else data


def _huge(dice: random.Random) -> bytes:
    """A field of 10 MB, an endless quotation, a width or a number of rows that wants memory."""
    head = b"phone;name\r\n+79161234567;"
    match dice.randrange(6):
        case 0:
            return head + b"A" * 10_000_000 + b"\r\n+79161234568;B\r\n"
        case 1:
            return head + b'"' + b"A\r\n" * 60_000
        case 2:
            return b"phone" + b";x" * 1_000_000 + b"\r\n" + b";" * 1_000_000
        case 3:
            return b"phone;name" + b"\r\n" * 100_000
        case 4:
            return head + b'"' * 4_000_000
        case _:
            return head + b"\xff" * 5_000_000 + b"\r\n"


def _read(block: Block, path: Path, data: bytes, kind: str) -> None:
    path.write_bytes(data)
    began = time.thread_time()
    block.took(kind)
    try:
        layout = inspect(path)
        records = read_records(path, layout)
        last = 0
        while batch := read_batch(records, layout.columns, "RU"):
            if batch.last <= last:
                block.harm(f"csv: row {batch.last} after row {last}")
                break
            last = batch.last
            longest = max((len(one.value) for one in batch.rejects), default=0)
            if longest > MAX_RECORD:
                block.harm(f"csv: a reject keeps {longest} characters")
    except UnreadableFile:
        pass
    except Exception as error:
        block.harm(f"csv: {type(error).__name__}: {error} by {data[:100]!r}")
    took_s = time.thread_time() - began
    block.figures["csv_read_s"] = max(block.figures.get("csv_read_s", 0.0), took_s)
    if took_s > SLOWEST_S_PER_MB * (0.2 + len(data) / 1e6):
        block.harm(f"csv: {len(data)} bytes took {took_s:.1f} s")
