"""`dozvon bench load`: which rows are measured, what is kept of them, and how it is shown."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dialer import settings
from dialer.bench.load import docs, results, rows
from dialer.bench.load.model import Measured, NotMeasured, Row, Wish, cell, newest, summary
from dialer.clock import utc_now
from dialer.processes import until_signal

#: Where measurements accumulate in a checkout; elsewhere in the data folder.
IN_TREE: Final = Path("docs/bench/load.jsonl")
#: Characters of a figure: 1,234,567.
_FIGURE: Final = 9


@dataclass(frozen=True, slots=True)
class Load:
    """The options of the command."""

    #: rows by name; none: all
    only: tuple[str, ...]
    #: decides all that is random
    seed: int
    #: leave out what the results file has of the seed
    resume: bool
    short: bool
    #: end stdout with the summary as JSON
    json_line: bool
    #: None: docs/bench/load.jsonl of a checkout, else bench/load.jsonl of the data folder; the short form is
    #: kept only where one is named
    results: Path | None
    #: write the tables of the results file into docs/, and measure nothing
    docs: bool


def results_path(options: Load) -> Path | None:
    """Where the measurements are kept; None: nowhere."""
    if options.results is not None:
        return options.results
    if options.short and not options.docs:
        return None
    if IN_TREE.parent.is_dir():
        return IN_TREE
    return settings.load().writable_data_dir() / "bench/load.jsonl"


async def run_load(options: Load) -> int:
    """Measure; the exit status: 0 where every row held."""
    path = results_path(options)
    wanted = rows(options.only)
    if options.docs:
        assert path is not None  # of the tables it is always known
        docs.write(path)
        return 0
    if path is not None:
        results.claim(path)
    console = Console(stderr=True)
    measured: list[Measured] = []
    failed: dict[str, str] = {}
    stop = until_signal()
    working = asyncio.create_task(_measure_all(wanted, options, path, console, measured, failed))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stopped := not working.done():
        console.print("stopping: what was started is stopped; --resume goes on from here", highlight=False)
        working.cancel()
        await asyncio.wait({working})
    else:
        working.result()
    if options.json_line:
        names = {row.name for row in wanted}
        of_these = [one for one in _kept(path) if _same(one, options) and one.row in names]
        said = summary(newest(of_these).values() if options.resume else measured)
        how = {"short": options.short, "seed": options.seed, "failed": failed, "stopped": stopped}
        print(json.dumps(said | how, ensure_ascii=False))
    if stopped:
        return 130
    return 1 if failed or any(one.broken for one in measured if not one.searches) else 0


def _kept(path: Path | None) -> list[Measured]:
    return results.read(path) if path is not None else []


def _same(one: Measured, options: Load) -> bool:
    """Whether it was measured in the form and with the seed that are asked for."""
    return (one.short, one.seed) == (options.short, options.seed)


async def _measure_all(
    wanted: list[Row],
    options: Load,
    path: Path | None,
    console: Console,
    measured: list[Measured],
    failed: dict[str, str],
) -> None:
    """Measure all rows into `measured`; into `failed` why a row was not, by its name."""
    for row in wanted:
        kept = _kept(path)
        known = newest(one for one in kept if options.resume and _same(one, options))
        wish = Wish(options.short, options.seed, known, newest([*kept, *measured]))
        began, found = time.monotonic(), []

        def say(line: str) -> None:
            console.print(f"  {line}", style="dim", highlight=False)

        console.print(f"{row.name}: {row.title}", highlight=False)
        try:
            async for one in row.measure(wish, say):
                whole = replace(one, at=utc_now().isoformat(timespec="seconds"))
                if path is not None:
                    results.append(path, whole)
                found.append(whole)
                measured.append(whole)
        except NotMeasured as error:
            failed[row.name] = str(error.details["reason"])
            console.print(f"  {error}", style="bold red", highlight=False)
        if not found and row.name not in failed and not any(key[0] == row.name for key in wish.known):
            failed[row.name] = "nothing was measured"
        for table in tables(row, found, console.width) if found else ():
            console.print(table)
        for one in found:
            if one.broken:
                console.print(f"  {one.case}: {one.broken}", style="yellow", highlight=False)
        say(f"{len(found)} measurements in {time.monotonic() - began:.0f} s")


def tables(row: Row, found: Sequence[Measured], width: int) -> Iterator[Table]:
    """A line a figure and a column a case: a row has more figures than a terminal has room beside each other.

    Cases that find no room stand in a further table.
    """
    shown = [(name, head) for name, head in row.columns if any(name in one.figures for one in found)]
    heading = max(len(head) for _, head in shown)
    widest = max(max(len(one.case), _FIGURE) for one in found)
    beside = max(1, (width - heading - 2) // (widest + 3))
    for first in range(0, len(found), beside):
        part = found[first : first + beside]
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        table.add_column("", no_wrap=True)
        for one in part:
            table.add_column(one.case, justify="right", min_width=_FIGURE, no_wrap=True)
        for name, head in shown:
            if not any(name in one.figures for one in part):
                continue
            table.add_row(head, *(cell(one.figures.get(name)) for one in part))
        yield table
