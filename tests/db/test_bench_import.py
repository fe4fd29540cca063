"""`dozvon bench import`: a short run of every kind, from the files to the line of figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dialer.bench.importing.command import BEGIN, END, render
from dialer.bench.importing.measure import CASES, ROW
from dialer.bench.importing.people import HEADER, write
from dialer.bench.load.model import Measured
from dialer.contacts.files import Kind, Record, inspect, read_records


@pytest.mark.parametrize("kind", ["csv", "xlsx", "ods"])
def test_files_of_every_kind_have_the_same_people(tmp_path: Path, kind: str) -> None:
    """The same names in the same order, each in the words of its kind of file."""
    path = tmp_path / "people"
    write(path, kind, 200, 1)
    layout = inspect(path)
    assert layout.kind is Kind(kind)
    assert [column.name for column in layout.columns] == list(HEADER)
    rows = list(read_records(path, layout))
    assert len(rows) == 200
    write(tmp_path / "csv", "csv", 200, 1)
    plain = list(read_records(tmp_path / "csv", inspect(tmp_path / "csv")))
    for row, same in zip(rows, plain, strict=True):
        assert isinstance(row, Record)
        assert isinstance(same, Record)
        assert row.cells[:3] == same.cells[:3]
        assert row.cells[4:8] == same.cells[4:8]


@pytest.mark.timeout(300)
def test_short_form(tmp_path: Path) -> None:
    """Every case is measured, holds, and is kept; the same file again adds nothing."""
    kept = tmp_path / "import.jsonl"
    argv = [sys.executable, "-m", "dialer", "bench", "import", "--short", "--rows", "400", "--json"]
    done = subprocess.run(
        [*argv, "--results", str(kept)], stdout=subprocess.PIPE, text=True, check=False, timeout=280
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, said
    assert list(said["cases"]) == [case.name for case in CASES]
    first, again = said["cases"]["csv"], said["cases"]["csv, the same file again"]
    assert first["loaded"] + first["duplicates"] + first["rejected"] == 400
    assert (again["loaded"], again["rejected"]) == (0, first["rejected"])
    assert len(kept.read_text().splitlines()) == len(CASES)


def test_table_of_the_page() -> None:
    """The last measurement of each case in the long form stands between the marks; nothing else changes."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter"
    measured = [
        Measured(ROW, "csv", 1, figures={"rows": 5, "seconds": 7}),
        Measured(ROW, "csv", 1, figures={"rows": 5, "seconds": 8}),
        Measured(ROW, "csv", 1, short=True, figures={"rows": 5, "seconds": 9}),
    ]
    made = render(page, measured)
    assert made.startswith(f"before\n{BEGIN}\n| case | rows | seconds | held |")
    assert "| csv | 5 | 8 | yes |" in made
    assert made.endswith(f"{END}\nafter")
    assert render(made, measured) == made
