"""`dozvon bench faults`: which rows and seeds are run, what is kept of them and shown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import traceback
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from rich.console import Console

from dialer import processes
from dialer.bench import faults
from dialer.bench.model import Row, Run, Sized, newest, summary
from dialer.bench.results import Results, default_path
from dialer.bench.screen import Screen, told, write_docs
from dialer.errors import DozvonError, Invalid

PAGE = Path("docs/faults.md")
#: A row waits for most of its time: two beside each other take little more than one.
SHORT_AT_ONCE = 2
#: Rows whose short form takes longest: begun first, that none is waited for alone at the end.
LONGEST = ("hostile", "soak")


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
    """Run the rows; the exit status, which is 1 when anything did not hold or nothing was run."""
    if options.docs:
        return _docs(options.results or default_path())
    rows = [_sized(row, options) for row in faults.rows(options.only)]
    if not rows:
        raise Invalid(field="--only", reason="no row is part of this installation")
    results = Results(options.results or (None if options.short else default_path()))
    results.claim()
    # The terminal's table goes where the summary does not.
    console = Console(stderr=options.json_line)
    wanted = {row.name: _seeds(row, options, results) for row in rows}
    screen = Screen(console, rows, {name: len(seeds) for name, seeds in wanted.items()})
    if options.resume and not any(wanted.values()):
        screen.print(f"nothing is left to run: {results.path} has every seed that is asked for")
    work = Work(options, rows, wanted, results, screen)
    stop = processes.until_signal()
    working = asyncio.create_task(work.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    screen.print("stopping: what is known is kept, go on with --resume")
    names = ", ".join(sorted(work.at_work))
    screen.say(f"waiting until the centre of {names} is taken down, mostly under half a minute")
    working.cancel()
    await asyncio.wait({working})
    work.tell(stopped=True)
    return 130


def _sized(row: Row, options: Faults) -> Row:
    if isinstance(row, Sized) and (options.short or options.minutes is not None):
        return row.sized(short=options.short, minutes=options.minutes)
    return row


def _small(row: Row, options: Faults) -> bool:
    """Whether the row's runs are smaller than those of the long form, or of a size of their own."""
    return options.short or (isinstance(row, Sized) and row.sized(short=False, minutes=None) != row)


def _seeds(row: Row, options: Faults, results: Results) -> list[int]:
    if options.seed is not None:
        return [options.seed]
    count = options.runs or (row.short_runs if options.short else row.long_runs)
    had = results.seeds(row.name, short=_small(row, options)) if options.resume else set()
    return [seed for seed in range(1, count + 1) if seed not in had]


@dataclass(slots=True)
class Work:
    """The rows at work, and what came of them so far."""

    options: Faults
    rows: Sequence[Row]
    #: the seeds of each row
    wanted: Mapping[str, list[int]]
    results: Results
    screen: Screen
    #: names of those that have a centre now
    at_work: set[str] = field(default_factory=set)
    #: why a row could not be run to its end
    failed: dict[str, str] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    async def run(self) -> int:
        """Run all; the exit status."""
        waiting = [row for row in self.rows if self.wanted[row.name]]
        if self.options.short:
            waiting.sort(key=lambda row: row.name not in LONGEST)
        self.failed |= _not_run(self.rows, self.wanted, self.options)

        async def one_after_another() -> None:
            while waiting:
                await self._row(waiting.pop(0))

        with self.screen:
            async with asyncio.TaskGroup() as rows_at_work:
                for _ in range(self.options.at_once or (SHORT_AT_ONCE if self.options.short else 1)):
                    rows_at_work.create_task(one_after_another())
        return 1 if self.tell() or self.failed else 0

    async def _row(self, row: Row) -> None:
        self.at_work.add(row.name)
        try:
            failure = await self._runs(row, self.wanted[row.name])
        finally:
            self.at_work.discard(row.name)
        if failure:
            self.failed[row.name] = failure
            self.screen.print(f"{row.name}: {failure}", style="bold red")

    async def _runs(self, row: Row, seeds: list[int]) -> str:
        """Run one row; why it could not be run to its end, or nothing."""

        def say(line: str) -> None:
            self.screen.say(f"{row.name}: {line}")

        made = 0
        try:
            runs = cast("AsyncGenerator[Run]", row.runs(seeds, say))
            async with contextlib.aclosing(runs):
                async for one in runs:
                    made += 1
                    run = replace(one, short=_small(row, self.options))
                    self.results.append(run)
                    self.screen.add(run)
                    say(f"{made} of {len(seeds)} runs")
        except Exception as error:
            if not isinstance(error, DozvonError):
                # Nobody has foreseen it: its place is worth more than its words, which may be many lines.
                self.screen.print("".join(traceback.format_exception(error)).rstrip(), style="dim")
            why = (str(error).splitlines() or [""])[0]
            return f"could not go on after {made} of {len(seeds)} runs: {type(error).__name__}: {why}"
        if made != len(seeds):
            return f"made {made} runs of {len(seeds)}"
        return ""

    def tell(self, *, stopped: bool = False) -> list[str]:
        """Say what did not hold, and the summary where it is asked for; the former."""
        runs = self._summed()
        broken = [told(run) for run in runs if not run.held]
        for line in (*broken, *(f"{name}: {reason}" for name, reason in self.failed.items())):
            print(line, file=sys.stderr)
        if self.options.json_line:
            said = summary(runs) | {
                "what_broke": broken,
                "failed": self.failed,
                "stopped": stopped,
                "seconds": round(time.monotonic() - self._began, 1),
            }
            print(json.dumps(said, ensure_ascii=False), flush=True)
        return broken

    def _summed(self) -> list[Run]:
        """The runs that were made; resumed, with them those that the file has of the same rows and form."""
        form = {row.name: _small(row, self.options) for row in self.rows}
        kept = self.results.read() if self.options.resume else []
        return newest([*(run for run in kept if form.get(run.fault) is run.short), *self.screen.runs])


def _not_run(rows: Sequence[Row], wanted: Mapping[str, list[int]], options: Faults) -> dict[str, str]:
    """Why rows that were asked for have no seeds; one whose seeds the file has all needs no reason."""
    without = [row for row in rows if not wanted[row.name]]
    if options.only or len(without) == len(rows):
        return {row.name: "has no short form" for row in without if options.short and not row.short_runs}
    return {}


def _docs(path: Path) -> int:
    """Write the tables of all rows, whichever are asked for: the page has all of them. Raises Invalid."""
    if not PAGE.is_file():
        raise Invalid(field="--docs", reason=f"there is no {PAGE} here: run it in a checkout")
    runs = [run for run in newest(Results(path).read()) if not run.short]
    if not runs:
        raise Invalid(field="--results", reason=f"{path} has no runs of the long form to be shown")
    write_docs(PAGE, faults.rows(()), runs)
    return 0
