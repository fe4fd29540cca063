"""The tables of docs/load.md, made from the results file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dialer.bench.load import results, rows
from dialer.bench.load.model import Measured, newest, table
from dialer.errors import Invalid

PAGE: Final = Path("docs/load.md")


def write(path: Path) -> None:
    """Put each row's table between its marks in docs/load.md.

    Raises Invalid where there is no such page, or nothing in the file to be shown in it; UnreadableFile.
    """
    if not PAGE.is_file():
        raise Invalid(field="--docs", reason=f"there is no {PAGE} here: run it in a checkout")
    measured = results.read(path)
    if all(one.short for one in measured):
        raise Invalid(field="--results", reason=f"{path} has no measurement of the long form to be shown")
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")


def render(page: str, measured: Sequence[Measured]) -> str:
    """The page with its tables: the last measurement of each case in the long form stands.

    Cases that are a number stand in its order, whichever was measured again; others as they were measured.
    """
    kept = newest(one for one in measured if not one.short)
    for row in rows(()):
        of_row = sorted((one for one in kept.values() if one.row == row.name), key=_number)
        begin, end = f"<!-- load:{row.name} -->", f"<!-- /load:{row.name} -->"
        shown = table(row.columns, of_row) if of_row else "Not measured yet."
        text = f"{begin}\n{row.title}.\n\n{shown}\n{end}"
        before, found, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        if found:
            page = f"{before}{text}{after}"
    return page


def _number(one: Measured) -> float:
    """The number of a case (`rate=20`, `leads=10000, by shares`); one that has none comes after those."""
    found = re.search(r"=(\d+)", one.case)
    return float(found[1]) if found else math.inf
