"""The words of `dozvon bench`: each command's options, and what it does with them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from dialer import telemetry

bench = typer.Typer(
    help="Benches: what is lost when parts fail, and how much is carried. Each sets up a centre of its own.",
    no_args_is_help=True,
)

_Only = Annotated[list[str] | None, typer.Option(help="this row only; may be given again")]
_Short = Annotated[bool, typer.Option("--short", help="the least that still means something: minutes")]
_Resume = Annotated[bool, typer.Option("--resume", help="leave out what the results file has already")]
_Json = Annotated[bool, typer.Option("--json", help="the last line of stdout is the summary as JSON")]
_Docs = Annotated[bool, typer.Option("--docs", help="write its tables into docs/, run nothing")]


@bench.callback()
def _begin() -> None:
    """Of the programs' own log only what fell is of use beside a bench's tables."""
    telemetry.configure("error", "console", "bench")


@bench.command()
def faults(
    only: _Only = None,
    seed: Annotated[int | None, typer.Option(min=1, help="this seed only")] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="so many seeds of each row, from 1")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="how long the soak lasts [120]")] = None,
    resume: _Resume = False,
    short: _Short = False,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="rows at work at the same time [1; the short form: 2]")
    ] = None,
    json_line: _Json = False,
    results: Annotated[Path | None, typer.Option(help="JSON lines, one a run; they accumulate")] = None,
    docs: _Docs = False,
) -> None:
    """Break the parts of a living contact centre again and again, and count what was lost."""
    from dialer.bench.command import Faults, run_faults

    _run(
        run_faults(
            Faults(
                only=tuple(only or ()),
                seed=seed,
                runs=runs,
                minutes=minutes,
                resume=resume,
                short=short,
                at_once=at_once,
                json_line=json_line,
                results=results,
                docs=docs,
            )
        )
    )


@bench.command()
def load(
    only: _Only = None,
    seed: Annotated[int, typer.Option(min=1, help="decides all that is random")] = 1,
    resume: _Resume = False,
    short: _Short = False,
    json_line: _Json = False,
    results: Annotated[Path | None, typer.Option(help="JSON lines, one a measurement")] = None,
    docs: _Docs = False,
) -> None:
    """Measure how much is carried, and what a call costs the server, Asterisk and the database."""
    from dialer.bench.load.command import Load, run_load

    _run(
        run_load(
            Load(
                only=tuple(only or ()),
                seed=seed,
                resume=resume,
                short=short,
                json_line=json_line,
                results=results,
                docs=docs,
            )
        )
    )


@bench.command(name="import")
def bench_import(
    only: Annotated[list[str] | None, typer.Option(help="csv, xlsx or ods; may be given again")] = None,
    rows: Annotated[int, typer.Option(min=100, max=1_048_000, help="of a file")] = 1_000_000,
    short: _Short = False,
    json_line: _Json = False,
    results: Annotated[Path | None, typer.Option(help="JSON lines, one a measurement")] = None,
    docs: _Docs = False,
) -> None:
    """Bring a million invented people in from CSV, XLSX and ODS, each beside plain COPY of the same rows."""
    from dialer.bench.importing.command import Import, run_import

    _run(
        run_import(
            Import(
                only=tuple(only or ()),
                rows=rows,
                short=short,
                json_line=json_line,
                results=results,
                docs=docs,
            )
        )
    )


@bench.command(name="pacing")
def bench_pacing(
    only: Annotated[list[str] | None, typer.Option(help="cases that begin so; may be given again")] = None,
    resume: _Resume = False,
    results: Annotated[Path | None, typer.Option(help="JSON lines, one a case")] = None,
    processes: Annotated[int, typer.Option(min=1, help="that share the cases")] = 1,
    docs: _Docs = False,
) -> None:
    """Simulate every rule, team and trouble, and make the tables and the plot of docs/pacing.md."""
    from dialer.bench.pacing import command, table
    from dialer.bench.pacing import results as kept

    path = results or kept.RESULTS
    if not docs:
        command.run_bench(path, only=only or (), resume=resume, processes=processes, say=_say)
    table.write(kept.read(path))


@bench.command(name="pacing-live")
def pacing_live(
    minutes: Annotated[float | None, typer.Option(min=0.25, max=480, help="length of a run [20]")] = None,
    agents: Annotated[int | None, typer.Option(min=1, max=60, help="who work [10]")] = None,
    runs: Annotated[int | None, typer.Option(min=1, max=100, help="real runs, a seed each [6]")] = None,
    at_once: Annotated[int, typer.Option(min=1, max=20, help="centres at work at the same time")] = 6,
    seed: Annotated[int, typer.Option(min=1, help="the first; decides customers and agents")] = 1,
    sim_runs: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="simulated runs beside them [300]")
    ] = None,
    resume: _Resume = False,
    short: _Short = False,
    json_line: _Json = False,
    results: Annotated[Path | None, typer.Option(help="JSON lines, one a run; they accumulate")] = None,
    docs: _Docs = False,
) -> None:
    """Predictive pacing on a real Asterisk, and whether it is where the simulator says."""
    from dialer.bench.live.command import Live, run_live

    _run(
        run_live(
            Live(
                minutes=minutes,
                agents=agents,
                runs=runs,
                at_once=at_once,
                seed=seed,
                sim_runs=sim_runs,
                resume=resume,
                short=short,
                json_line=json_line,
                results=results,
                docs=docs,
            )
        )
    )


@bench.command()
def calendar(
    cases: Annotated[int, typer.Option(min=1, help="random numbers, moments and rules")] = 1_000_000,
    seed: Annotated[int, typer.Option(min=1, help="decides them")] = 1,
) -> None:
    """Hold what the calendar allows against the clocks on the walls of the called people."""
    from dialer.bench.calendar import run

    tally = run(cases, seed, _say)
    _say(
        f"{tally.cases:,} cases in {len(tally.zones)} time zones, {tally.allowed:,} allowed, "
        f"{tally.moments:,} looks at clocks, {tally.took_s:.0f} s: {len(tally.wrong)} dialled out of hours, "
        f"{len(tally.too_strict)} kept back without need, {tally.turned:,} where clocks are turned"
    )
    for line in (*tally.wrong[:10], *tally.too_strict[:10]):
        _say(line)
    if tally.wrong or tally.too_strict:
        raise typer.Exit(1)


@bench.command()
def segments(
    people: Annotated[int, typer.Option(min=1000, max=10_000_000, help="in the base")] = 1_000_000,
    times: Annotated[int, typer.Option(min=2, max=100, help="each is counted")] = 10,
    docs: Annotated[bool, typer.Option("--docs", help="write the table and the plans into docs/")] = False,
) -> None:
    """Fill a base of its own and measure how long the count of each segment takes."""
    from dialer.bench.segments.command import run

    _run(run(people, times, docs=docs))


@bench.command()
def duplicates(
    people: Annotated[int | None, typer.Option(min=10, help="of each base [20000]")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="bases, of the seeds 1, 2, ... [5]")] = None,
    short: _Short = False,
    json_line: _Json = False,
    docs: Annotated[bool, typer.Option("--docs", help="write the table into docs/duplicates.md")] = False,
) -> None:
    """How well duplicates are told from relatives and namesakes, in dirty bases whose truth is known."""
    from rich.console import Console

    from dialer.bench.duplicates.command import Duplicates, run

    run(Duplicates(people, seeds, short, json_line, docs), Console())


def _run(work: Coroutine[Any, Any, int]) -> None:
    if code := asyncio.run(work):
        raise typer.Exit(code)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
