"""`dozvon bench import`: which cases are measured, what is kept of them, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dialer.bench.importing.measure import COLUMNS, MILLION, measure, summary
from dialer.bench.load import results
from dialer.bench.load.model import Measured, cell, newest, table
from dialer.clock import utc_now
from dialer.errors import Invalid

RESULTS: Final = Path("docs/bench/import.jsonl")
PAGE: Final = Path("docs/import.md")
BEGIN, END = "<!-- import -->", "<!-- /import -->"
SHORT_ROWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Import:
    """The options of the command."""

    #: kinds of files; none: all
    only: tuple[str, ...] = ()
    rows: int = MILLION
    short: bool = False
    json_line: bool = False
    #: None: docs/bench/import.jsonl; the short form is kept only where one is named
    results: Path | None = None
    #: write the table into docs/import.md, and measure nothing
    docs: bool = False


async def run_import(options: Import) -> int:
    """Measure; the exit status: 0 where every case held."""
    path = options.results or (None if options.short and not options.docs else RESULTS)
    if options.docs:
        assert path is not None
        write(path)
        return 0
    if path is not None:
        results.claim(path)
    console = Console(stderr=True)
    measured = []
    rows = min(options.rows, SHORT_ROWS) if options.short else options.rows

    def say(line: str) -> None:
        console.print(f"  {line}", style="dim", highlight=False)

    async for one in measure(rows, short=options.short, only=options.only, say=say):
        whole = replace(one, at=utc_now().isoformat(timespec="seconds"))
        if path is not None:
            results.append(path, whole)
        measured.append(whole)
        say(f"{one.case}: {one.figures['seconds']:.1f} s, {one.figures['peak_mb']:.0f} MB {one.broken}")
    console.print(shown(measured))
    if options.json_line:
        print(summary(measured))
    return 1 if any(one.broken for one in measured) else 0


def shown(measured: Sequence[Measured]) -> Table:
    """A line a figure, a column a case."""
    found = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    found.add_column("", no_wrap=True)
    for one in measured:
        found.add_column(one.case, justify="right")
    for name, head in COLUMNS:
        found.add_row(head, *(cell(one.figures.get(name)) for one in measured))
    return found


def write(path: Path) -> None:
    """Put the table between its marks in docs/import.md. Raises Invalid, UnreadableFile."""
    if not PAGE.is_file():
        raise Invalid(field="--docs", reason=f"there is no {PAGE} here: run it in a checkout")
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), results.read(path)), encoding="utf-8")


def render(page: str, measured: Sequence[Measured]) -> str:
    """The page with its table: the last measurement of each case in the long form stands."""
    kept = list(newest(one for one in measured if not one.short).values())
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(COLUMNS, kept) if kept else 'Not measured yet.'}\n{END}{after}"
