"""`dozvon bench load`: which rows are measured, what is kept of them, and how it is shown."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from dialer import settings, telemetry
from dialer.bench.load import docs, results, rows
from dialer.bench.load.model import Measured, Row, Wish, newest, rounded, summary
from dialer.clock import utc_now
from dialer.processes import until_signal

#: Where measurements accumulate in a checkout; elsewhere in the data folder.
IN_TREE: Final = Path("docs/bench/load.jsonl")
SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Load:
    """The options of the command."""

    #: rows by name; none: all
    only: tuple[str, ...]
    #: leave out what the results file has
    resume: bool
    short: bool
    #: end stdout with the summary as JSON
    json_line: bool
    #: None: docs/bench/load.jsonl of a checkout, else bench/load.jsonl of the data folder
    results: Path | None
    #: write the tables of the results file into docs/, and measure nothing
    docs: bool


def results_path(options: Load) -> Path:
    """Where the measurements are kept."""
    if options.results is not None:
        return options.results
    if IN_TREE.parent.is_dir():
        return IN_TREE
    return settings.load().writable_data_dir() / "bench/load.jsonl"


async def run_load(options: Load) -> int:
    """Measure; the exit status: 0 where every row held."""
    path = results_path(options)
    wanted = rows(options.only)
    if options.docs:
        docs.write(results.read(path))
        return 0
    console = Console(stderr=True)
    until_signal_task = until_signal()  # a Ctrl-C ends the row in order: what it has started is stopped
    measured: list[Measured] = []
    telemetry.configure("error", "console", "bench", sys.stderr)
    for row in wanted:
        if until_signal_task.is_set():
            return 130
        measured += await _measure(row, options, path, console)
    if options.json_line:
        names = {row.name for row in wanted}
        shown = newest([one for one in results.read(path) if one.short == options.short and one.row in names])
        every = list(shown.values()) if options.resume else measured
        print(json.dumps(summary(every), ensure_ascii=False))
    return 1 if any(one.broken for one in measured if one.row != "calls") else 0


async def _measure(row: Row, options: Load, path: Path, console: Console) -> list[Measured]:
    earlier = newest(results.read(path))
    wish = Wish(options.short, SEED, earlier if options.resume else {}, earlier)
    began, found = time.monotonic(), []

    def say(line: str) -> None:
        console.print(f"  {line}", style="dim", highlight=False)

    console.print(f"{row.name}: {row.title}", highlight=False)
    async for one in row.measure(wish, say):
        whole = replace(one, at=utc_now().isoformat(timespec="seconds"))
        results.append(path, whole)
        found.append(whole)
    if found:
        console.print(_table(row, found))
    console.print(f"  {len(found)} measurements in {time.monotonic() - began:.0f} s", style="dim")
    return found


def _table(row: Row, found: list[Measured]) -> Table:
    shown = [(name, head) for name, head in row.columns if any(name in one.figures for one in found)]
    table = Table()
    table.add_column("case")
    for _, head in shown:
        table.add_column(head, justify="right", overflow="fold")
    table.add_column("fell behind")
    for one in found:
        cells = [str(rounded(one.figures[name])) if name in one.figures else "" for name, _ in shown]
        table.add_row(one.case, *cells, one.broken)
    return table
