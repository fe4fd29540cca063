"""`dozvon bench pacing-live`: predictive pacing on a real Asterisk, beside the simulator."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dialer.bench.lines import Lines
from dialer.bench.live import centre, page
from dialer.bench.live.model import (
    DELAYED,
    PLAIN,
    Delays,
    Known,
    Real,
    Setting,
    Simulated,
    from_line,
    mean_delays,
    summary,
    to_line,
)
from dialer.bench.live.simulated import simulate
from dialer.clock import utc_now
from dialer.demo.phones import Kind
from dialer.errors import DozvonError
from dialer.processes import until_signal

#: Where runs accumulate in a checkout; elsewhere the second.
IN_DOCS: Final = Path("docs/bench/pacing-live.jsonl")
ELSEWHERE: Final = Path("bench-pacing-live.jsonl")
#: What `--short` is: agents, minutes, real and simulated runs.
SHORT: Final = (4, 0.6, 1, 20)


@dataclass(frozen=True, slots=True)
class Live:
    """The options of the command."""

    minutes: float | None
    agents: int | None
    #: seeds from `seed` on
    runs: int | None
    #: centres at work at the same time
    at_once: int
    seed: int
    sim_runs: int | None
    #: leave out what the results file has
    resume: bool
    short: bool
    #: end stdout with the summary as JSON
    json_line: bool
    #: None: the folder's own; of the short form nothing is kept unless named
    results: Path | None
    #: write the tables of the results file into docs/, and run nothing
    docs: bool

    @property
    def setting(self) -> Setting:
        """What is run."""
        agents, minutes, _, _ = SHORT if self.short else (10, 20.0, 6, 300)
        return Setting(self.agents or agents, self.minutes or minutes, self.short)

    @property
    def seeds(self) -> range:
        """Of the real runs."""
        return range(self.seed, self.seed + (self.runs or (SHORT[2] if self.short else 6)))

    @property
    def path(self) -> Path | None:
        """Where lines are kept; None: nowhere."""
        if self.results is not None or (self.short and not self.docs):
            return self.results
        return IN_DOCS if IN_DOCS.parent.is_dir() else ELSEWHERE


async def run_live(options: Live) -> int:
    """Run and simulate; the exit status, which is 1 where a run could not be made or something was broken.

    Figures outside of the band are no failure: that is what is to be found out.
    """
    if options.docs:
        assert options.path is not None
        page.write(Lines(options.path).read(from_line))
        return 0
    work = Work(options, Console(stderr=True))
    if options.path is not None:
        Lines(options.path).claim("--results")
    stop = until_signal()
    working = asyncio.create_task(work.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        work.say("stopping: centres are taken down; runs that are whole are kept, --resume makes the others")
        working.cancel()
        await asyncio.wait({working})
        return 130
    return working.result()


@dataclass(slots=True)
class Work:
    """The runs of one command."""

    options: Live
    console: Console
    lines: list[Real | Simulated] = field(default_factory=list)
    #: why a seed has no run
    failed: dict[int, str] = field(default_factory=dict)

    def say(self, line: str) -> None:
        """A line for people."""
        self.console.print(f"{utc_now():%H:%M:%S}  {line}", style="dim", highlight=False, markup=False)

    async def run(self) -> int:
        """All of it; the exit status."""
        options, setting = self.options, self.options.setting
        if options.resume and options.path is not None:
            self.lines = Lines(options.path).read(from_line)
        known = Known.of(self.lines, setting)
        await self._really([seed for seed in options.seeds if seed not in known.real])
        known = Known.of(self.lines, setting)
        if known.real:
            await self._simulate(PLAIN, None)
            await self._simulate(DELAYED, mean_delays(list(known.real.values())))
        known = Known.of(self.lines, setting)
        found = summary(known) | {"failed": self.failed, "short": options.short}
        self._show(known)
        if options.json_line:
            print(json.dumps(found, ensure_ascii=False), flush=True)
        return 1 if self.failed or found.get("broken") or not known.real else 0

    async def _really(self, seeds: Sequence[int]) -> None:
        # A softphone has a process of its own with a fellow: too many where several centres are at work.
        phones: Kind | None = "carrier" if min(self.options.at_once, len(seeds)) > 1 else None
        opening, free = asyncio.Semaphore(1), asyncio.Semaphore(self.options.at_once)

        async def one(seed: int) -> None:
            async with free:
                try:
                    self._keep(await centre.run(self.options.setting, seed, opening, self.say, phones))
                except DozvonError as error:
                    self.failed[seed] = str(error)
                    self.say(f"seed {seed}: {error}")

        async with asyncio.TaskGroup() as group:
            for seed in seeds:
                group.create_task(one(seed), name=f"seed-{seed}")

    async def _simulate(self, world: str, delays: Delays | None) -> None:
        options = self.options
        count = options.sim_runs or (SHORT[3] if options.short else 300)
        had = Known.of(self.lines, options.setting).simulated.get(world)
        if had is not None and len(had.runs) == count and had.delays == (delays or Delays()):
            return
        processes = min(options.at_once, os.cpu_count() or 1)
        self._keep(await asyncio.to_thread(simulate, options.setting, count, processes, self.say, delays))

    def _keep(self, one: Real | Simulated) -> None:
        line = to_line(one)
        # As it is read back: figures are rounded there.
        self.lines.append(from_line(line))
        if self.options.path is not None:
            Lines(self.options.path).append(line | {"at": f"{utc_now():%Y-%m-%dT%H:%M:%SZ}"})
        if isinstance(one, Real):
            self.say(
                f"seed {one.seed}: {one.counted.occupancy:.1%} occupied, {one.counted.abandoned} of"
                f" {one.counted.live} abandoned{', ' + one.broken if one.broken else ''}"
            )

    def _show(self, known: Known) -> None:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("", "occupancy", "abandoned", "answers", "dials"):
            table.add_column(name, justify="right" if name else "left")
        for seed, one in known.real.items():
            run = one.counted
            rate = f"{run.abandon_rate:.2%}"
            table.add_row(f"seed {seed}", f"{run.occupancy:.1%}", rate, str(run.live), str(run.dials))
        found = summary(known)
        if known.real:
            words = (f"{found['occupancy']:.1%}", f"{found['abandon_rate']:.2%}")
            table.add_row("all", *words, str(found["answers"]), str(found["dials"]))
        for name, of in (("simulated", "sim"), ("with the real delays", "delayed")):
            if bands := found.get(of):
                spans = [
                    f"{bands[each]['p5']:.{places}%} to {bands[each]['p95']:.{places}%}"
                    for each, places in (("occupancy", 1), ("abandon_rate", 2))
                ]
                table.add_row(name, *spans)
        self.console.print(table)
        if found["inside"] is not None:
            self.say(
                "inside of the simulator's band" if found["inside"] else "OUTSIDE of the simulator's band"
            )
