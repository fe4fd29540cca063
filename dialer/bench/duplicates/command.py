"""`dozvon bench duplicates`: the table on the terminal, as JSON, and in docs/duplicates.md."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from dialer.bench.duplicates.measure import Measured, measure_all
from dialer.contacts.duplicates import SUGGEST_FROM
from dialer.errors import Invalid

PAGE: Final = Path("docs/duplicates.md")
PEOPLE, SEEDS = 20_000, 5
SHORT_PEOPLE, SHORT_SEEDS = 1_500, 1


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What is asked for."""

    #: people of each base; None: as many as the form has
    people: int | None
    #: bases, of the seeds 1, 2, ...
    seeds: int | None
    short: bool
    json_line: bool
    #: write the table into the page
    docs: bool


def run(wish: Duplicates, console: Console) -> None:
    """Measure and tell. Raises Invalid where there is no page to write to."""
    if wish.docs and not PAGE.is_file():
        raise Invalid(field="--docs", reason=f"there is no {PAGE} here: run it in a checkout")
    people = wish.people or (SHORT_PEOPLE if wish.short else PEOPLE)
    seeds = wish.seeds or (SHORT_SEEDS if wish.short else SEEDS)
    found = measure_all(people, range(1, seeds + 1))
    if wish.json_line:
        rows = [
            {**asdict(row), "precision": round(row.precision, 4), "recall": round(row.recall, 4)}
            for row in found.rows
        ]
        line = {"people": people, "seeds": seeds, "records": found.records, "compared": found.compared}
        line["telling"] = found.telling
        console.print_json(json.dumps({**line, "met": found.met, "rows": rows}))
    else:
        console.print(_table(found))
    if wish.docs:
        PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), people, seeds, found), encoding="utf-8")


def _table(found: Measured) -> Table:
    table = Table(title=f"{found.records} records, {found.compared} pairs compared", box=None)
    for name in ("from score", "precision", "recall", "found", "wrong", "in a family"):
        table.add_column(name, justify="right")
    for row in found.rows:
        table.add_row(
            f"{row.least:.2f}",
            f"{100 * row.precision:.1f} %",
            f"{100 * row.recall:.1f} %",
            str(row.right + row.wrong),
            str(row.wrong),
            str(row.family),
        )
    return table


def render(page: str, people: int, seeds: int, found: Measured) -> str:
    """The page with the table between its marks. Raises Invalid."""
    begin, end = "<!-- duplicates:figures -->", "<!-- /duplicates:figures -->"
    before, mark, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not mark or not closed:
        raise Invalid(field=str(PAGE), reason=f"it has no {begin} ... {end}")
    there = found.rows[0].there
    lines = [
        f"{seeds} bases of {people:,} people each: {found.records:,} records, {there:,} pairs of one person;"
        f" {found.compared:,} pairs were compared, among them {100 * found.met / there:.1f} % of those."
        f" {100 * found.telling / there:.1f} % have a value other than the name in common, slips allowed;"
        " the others nobody could tell from namesakes: `recall` is of all, `of these` is of those.",
        "",
        "| from score | precision | recall | of these | found | wrong | within a family |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found.rows:
        least = f"**{row.least:.2f}**" if row.least == SUGGEST_FROM else f"{row.least:.2f}"
        lines.append(
            f"| {least} | {100 * row.precision:.1f} % | {100 * row.recall:.1f} % |"
            f" {100 * row.right / found.telling:.1f} % |"
            f" {row.right + row.wrong:,} | {row.wrong:,} | {row.family:,} |"
        )
    return f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}"
