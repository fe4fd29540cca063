"""`dozvon bench faults`: which rows and seeds are run, what is kept of them and shown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console

from dialer import processes, telemetry
from dialer.bench import faults
from dialer.bench.model import Row, Run, Sized, newest, summary
from dialer.bench.results import Results, default_path
from dialer.bench.screen import Screen, told, write_docs
from dialer.errors import Invalid

PAGE = Path("docs/faults.md")
#: A row waits for most of its time: two beside each other take little more than one.
SHORT_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Faults:
    """The options of the command."""

    #: rows by name; none: all
    only: tuple[str, ...]
    #: this seed of each row only
    seed: int | None
    #: so many seeds of each row
    runs: int | None
    #: how long one run of a row lasts that can be sized (the soak)
    minutes: float | None
    #: leave out the seeds that the results file has
    resume: bool
    short: bool
    #: rows at work at the same time; None: one, and in the short form SHORT_AT_ONCE
    at_once: int | None
    #: end stdout with the summary as JSON
    json_line: bool
    #: None: the folder's own (see `results.default_path`); of the short form nothing is kept unless named
    results: Path | None
    #: write the tables of the results file into docs/, and run nothing
    docs: bool


async def run_faults(options: Faults) -> int:
    """Run the rows; the exit status, which is 1 when anything did not hold."""
    rows = [_sized(row, options) for row in faults.rows(options.only)]
    if not rows:
        raise Invalid(field="--only", reason="no row is part of this installation")
    keeps = options.results or (None if options.short else default_path())
    if options.docs:
        return _docs(rows, Results(options.results or default_path()))
    telemetry.configure("error", "console", "bench")
    stop = processes.until_signal()
    working = asyncio.create_task(_run(options, rows, Results(keeps)))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        print("stopping: what is known is kept, go on with --resume", file=sys.stderr)
        working.cancel()
        await asyncio.wait({working})
        return 130
    return working.result()


def _sized(row: Row, options: Faults) -> Row:
    if isinstance(row, Sized) and (options.short or options.minutes is not None):
        return row.sized(short=options.short, minutes=options.minutes)
    return row


def _seeds(row: Row, options: Faults, results: Results) -> list[int]:
    if options.seed is not None:
        return [options.seed]
    count = options.runs or (row.short_runs if options.short else row.long_runs)
    had = results.seeds(row.name) if options.resume else set()
    return [seed for seed in range(1, count + 1) if seed not in had]


async def _run(options: Faults, rows: list[Row], results: Results) -> int:
    began = time.monotonic()
    # The terminal's table goes where the summary does not.
    console = Console(stderr=options.json_line)
    wanted = {row.name: _seeds(row, options, results) for row in rows}
    failed: dict[str, str] = {}
    waiting = [row for row in rows if wanted[row.name]]
    with Screen(console, rows, {name: len(seeds) for name, seeds in wanted.items()}) as screen:

        async def one_after_another() -> None:
            while waiting:
                row = waiting.pop(0)
                failure = await _row(row, wanted[row.name], screen, results)
                if failure:
                    failed[row.name] = failure
                    console.print(f"{row.name}: {failure}", style="bold red", highlight=False)

        async with asyncio.TaskGroup() as rows_at_work:
            for _ in range(options.at_once or (SHORT_AT_ONCE if options.short else 1)):
                rows_at_work.create_task(one_after_another())
    broken = [told(run) for run in screen.runs if not run.held]
    for line in (*broken, *(f"{name}: {reason}" for name, reason in failed.items())):
        print(line, file=sys.stderr)
    if options.json_line:
        said = summary(screen.runs) | {
            "what_broke": broken,
            "failed": failed,
            "seconds": round(time.monotonic() - began, 1),
        }
        print(json.dumps(said, ensure_ascii=False), flush=True)
    return 1 if broken or failed else 0


async def _row(row: Row, seeds: list[int], screen: Screen, results: Results) -> str:
    """Run one row; why it could not be run to its end, or nothing."""

    def say(line: str) -> None:
        screen.say(f"{row.name}: {line}")

    made = 0
    try:
        runs = cast("AsyncGenerator[Run]", row.runs(seeds, say))
        async with contextlib.aclosing(runs):
            async for run in runs:
                made += 1
                results.append(run)
                screen.add(run)
                say(f"{made} of {len(seeds)} runs")
    except Exception as error:
        return f"could not go on after {made} of {len(seeds)} runs: {type(error).__name__}: {error}"
    if made != len(seeds):
        return f"made {made} runs of {len(seeds)}"
    return ""


def _docs(rows: list[Row], results: Results) -> int:
    write_docs(PAGE, rows, newest(results.read()))
    return 0
