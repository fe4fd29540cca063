"""`dozvon bench faults`: which seeds are run, what is kept, and how a row that breaks is told."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dialer.bench import faults
from dialer.bench.command import PAGE, Faults, run_faults
from dialer.bench.model import Row, Run, Say
from dialer.bench.results import Results
from dialer.bench.screen import Screen
from dialer.errors import Invalid

PLAIN = Faults(
    only=(), seed=None, runs=None, minutes=None, resume=False, short=False, at_once=None, json_line=True,
    results=None, docs=False,
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A row of the test's own: its runs are made up, what the command does with them is not."""

    name: str = "kill"
    title: str = "a fault"
    must_hold: str = "all"
    cases: tuple[str, ...] = ()
    long_runs: int = 4
    short_runs: int = 2
    #: the seed in which a number is dialled twice
    breaks_at: int = 0
    #: the seed at which the row falls over
    falls_at: int = 0
    lasts_s: float = 60.0

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """One run a seed."""
        for seed in seeds:
            say(f"seed {seed}")
            if seed == self.falls_at:
                raise OSError("the machine is out of something")
            doubles = 1 if seed == self.breaks_at else 0
            yield Run(self.name, seed, calls=1, double_dials=doubles, figures={"lasted_s": self.lasts_s})


@dataclass(frozen=True)
class MadeSized(Made):
    """One whose run can be longer or shorter."""

    def sized(self, *, short: bool, minutes: float | None) -> Row:
        """As the soak has it."""
        return replace(self, lasts_s=minutes * 60 if minutes is not None else 20.0 if short else 60.0)


async def command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: Sequence[Row],
    options: Faults,
) -> tuple[int, dict[str, Any], str]:
    """Its exit status, its last line on stdout, and what it said on stderr."""
    monkeypatch.setattr(faults, "rows", lambda _only: list(rows))
    status = await run_faults(options)
    said = capsys.readouterr()
    return status, json.loads(said.out.splitlines()[-1]), said.err


async def test_all_seeds_are_run_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The long form takes every seed of each row from 1; each run is in the file."""
    options = replace(PLAIN, results=tmp_path / "runs.jsonl")
    status, line, _ = await command(monkeypatch, capsys, [Made(), Made("ami", long_runs=2)], options)
    assert (status, line["faults"], line["runs"], line["calls"]) == (0, 2, 6, 6)
    kept = [(run.fault, run.seed) for run in Results(options.results).read()]
    assert kept == [("kill", 1), ("kill", 2), ("kill", 3), ("kill", 4), ("ami", 1), ("ami", 2)]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (replace(PLAIN, short=True), [1, 2]),
        (replace(PLAIN, runs=3), [1, 2, 3]),
        (replace(PLAIN, seed=99), [99]),
        (replace(PLAIN, resume=True), [1, 4]),
        (replace(PLAIN, resume=True, runs=3), [1]),
    ],
)
async def test_seeds_are_chosen_by_the_options(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    options: Faults,
    wanted: list[int],
) -> None:
    """Short, so many, one, or what the file does not have yet."""
    results = Results(tmp_path / "runs.jsonl")
    for seed in (2, 3):
        results.append(Run("kill", seed))
    await command(monkeypatch, capsys, [Made()], replace(options, results=results.path))
    assert [run.seed for run in results.read()[2:]] == wanted


@dataclass(frozen=True)
class Meeting(Made):
    """One that goes on only when all rows of its party are at work."""

    party: asyncio.Barrier | None = None

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """One run a seed, after the others have come."""
        assert self.party is not None
        await self.party.wait()
        async for run in Made.runs(self, seeds, say):
            yield run


@pytest.mark.parametrize("options", [replace(PLAIN, short=True), replace(PLAIN, at_once=2)])
async def test_rows_are_run_beside_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, options: Faults
) -> None:
    """In the short form, and where it is asked for: each of two rows waits here for the other."""
    party = asyncio.Barrier(2)
    rows = [Meeting(party=party), Meeting("ami", party=party)]
    options = replace(options, results=tmp_path / "runs.jsonl", runs=2)
    async with asyncio.timeout(10):
        status, line, _ = await command(monkeypatch, capsys, rows, options)
    assert (status, line["faults"], line["runs"]) == (0, 2, 4)


async def test_the_short_form_keeps_nothing_unless_told_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its runs may be smaller ones: among the long ones they would hide what is missing."""
    monkeypatch.chdir(tmp_path)
    await command(monkeypatch, capsys, [Made()], replace(PLAIN, short=True))
    assert names_in(tmp_path) == []
    await command(monkeypatch, capsys, [Made()], PLAIN)
    assert names_in(tmp_path) == ["bench-faults.jsonl"]


def names_in(folder: Path) -> list[str]:
    """The files of a folder."""
    return sorted(file.name for file in folder.iterdir())


async def test_what_was_lost_is_told_with_its_seed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit status 1, the run's command on stderr and in the summary; the other runs go on."""
    options = replace(PLAIN, results=tmp_path / "runs.jsonl")
    status, line, told = await command(monkeypatch, capsys, [Made(breaks_at=2)], options)
    assert (status, line["runs"], line["double_dials"], line["broken"]) == (1, 4, 1, 1)
    (broken,) = line["what_broke"]
    assert "1 numbers dialled twice" in broken
    assert broken.endswith("dozvon bench faults --only kill --seed 2")
    assert broken in told


async def test_a_row_that_falls_over_is_told_and_the_next_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit status 1 with the reason; the runs before the fall are kept, the other rows are run."""
    options = replace(PLAIN, results=tmp_path / "runs.jsonl")
    rows = [Made(falls_at=3), Made("ami")]
    status, line, told = await command(monkeypatch, capsys, rows, options)
    assert status == 1
    assert line["failed"] == {
        "kill": "could not go on after 2 of 4 runs: OSError: the machine is out of something"
    }
    assert line["rows"]["ami"]["runs"] == 4
    assert len(Results(options.results).read()) == 6
    assert (
        told.count("OSError: the machine is out of something\n") == 3
    )  # at once, with its place, at the end
    assert "in runs\n    raise OSError" in told


@pytest.mark.parametrize(
    ("options", "lasts_s"),
    [(PLAIN, 60.0), (replace(PLAIN, short=True), 20.0), (replace(PLAIN, minutes=5), 300.0)],
)
async def test_a_row_of_one_long_run_is_sized(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    options: Faults,
    lasts_s: float,
) -> None:
    """By `--short` and `--minutes`; else it is as long as it is."""
    options = replace(options, seed=1, results=tmp_path / "runs.jsonl")
    _, line, _ = await command(monkeypatch, capsys, [MadeSized()], options)
    assert line["figures"]["lasted_s"] == lasts_s


@pytest.mark.parametrize(
    ("options", "row"),
    [
        (replace(PLAIN, short=True), Made()),
        (replace(PLAIN, minutes=5, runs=2), MadeSized()),
    ],
)
async def test_a_smaller_run_never_stands_for_the_long_form(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    options: Faults,
    row: Made,
) -> None:
    """Kept in the same file it is resumed by its own form only, and the page has nothing of it."""
    page, results = a_checkout(monkeypatch, tmp_path), tmp_path / "runs.jsonl"
    options = replace(options, results=results, resume=True)
    assert (await command(monkeypatch, capsys, [row], options))[1]["runs"] == 2
    with pytest.raises(Invalid, match="no runs of the long form"):
        await run_faults(replace(PLAIN, docs=True, results=results))
    status, line, said = await command(monkeypatch, capsys, [row], options)
    assert (status, line["runs"], len(Results(results).read())) == (0, 2, 2)
    assert f"nothing is left to run: {results} has every seed that is asked for\n" in said
    assert (await command(monkeypatch, capsys, [row], replace(PLAIN, results=results, resume=True)))[1][
        "runs"
    ] == 4
    assert await run_faults(replace(PLAIN, docs=True, results=results)) == 0
    assert "| **kill**: a fault | all | 4 | 4 |" in page.read_text(encoding="utf-8")


async def test_minutes_that_make_no_odds_to_a_row_leave_its_run_a_long_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Be it that the row has no length, or that it has just that one."""
    options = replace(PLAIN, results=tmp_path / "runs.jsonl", minutes=1, seed=1)
    await command(monkeypatch, capsys, [Made(), MadeSized("soak")], options)
    assert {run.fault: run.short for run in Results(options.results).read()} == {
        "kill": False, "soak": False,
    }  # fmt: skip


# -- nothing run, nothing lost -------------------------------------------------------------------------


async def test_a_row_without_a_short_form_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked for by name it is exit status 1 and its reason; among all rows the others are enough."""
    rows = [Made("nodes", short_runs=0), Made()]
    short = replace(PLAIN, short=True)
    status, line, told = await command(monkeypatch, capsys, rows, replace(short, only=("nodes", "kill")))
    assert (status, line["runs"], line["failed"]) == (1, 2, {"nodes": "has no short form"})
    assert "nodes: has no short form" in told
    status, _, told = await command(monkeypatch, capsys, rows, short)
    assert status == 0
    assert "nodes" not in told, "the table has rows that are run"
    assert (await command(monkeypatch, capsys, rows[:1], short))[0] == 1


async def test_all_seeds_being_in_the_file_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What is resumed and has nothing left ends well."""
    options = replace(PLAIN, results=tmp_path / "runs.jsonl", resume=True, only=("kill",))
    assert (await command(monkeypatch, capsys, [Made()], options))[0] == 0
    status, line, _ = await command(monkeypatch, capsys, [Made()], options)
    assert (status, line["runs"], len(Results(tmp_path / "runs.jsonl").read())) == (0, 4, 4)


async def test_what_is_resumed_is_summed_with_what_was_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The summary is of all runs that the file has of the rows that are asked for, the last of each seed; so
    is the exit status. Not resumed it is of what was run just now."""
    results = Results(tmp_path / "runs.jsonl")
    for run in (Run("kill", 1, calls=100, double_dials=1), Run("kill", 1, calls=10), Run("ami", 1, calls=70)):
        results.append(run)
    results.append(Run("kill", 2, double_dials=1))
    options = replace(PLAIN, results=results.path, resume=True)
    status, line, told = await command(monkeypatch, capsys, [Made()], options)
    assert (line["faults"], line["runs"], line["calls"], line["double_dials"]) == (1, 4, 12, 1)
    assert (status, line["rows"]["kill"]["broken"], len(results.read())) == (1, 1, 6)
    assert "kill, seed 2: 1 numbers dialled twice" in told
    again = replace(options, resume=False, seed=2)
    status, line, _ = await command(monkeypatch, capsys, [Made()], again)
    assert (status, line["runs"], line["calls"]) == (0, 1, 1)
    status, line, _ = await command(monkeypatch, capsys, [Made()], options)
    assert (status, line["runs"], line["calls"], line["double_dials"]) == (0, 4, 13, 0)


async def test_the_longest_rows_of_the_short_form_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """So that none of them is waited for alone at the end; the long form keeps the order of the table."""
    rows = [Made(name, long_runs=1, short_runs=1) for name in ("kill", "hostile", "ami", "soak")]
    for short, order in ((True, "hostile soak kill ami"), (False, "kill hostile ami soak")):
        options = replace(PLAIN, short=short, at_once=1, results=tmp_path / f"{short}.jsonl")
        await command(monkeypatch, capsys, rows, options)
        assert [run.fault for run in Results(options.results).read()] == order.split()


async def test_a_path_that_cannot_be_written_is_told_before_the_first_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No row is set up for runs that cannot be kept."""
    monkeypatch.setattr(faults, "rows", lambda _only: [Made(falls_at=1)])
    with pytest.raises(Invalid, match=r"--results: .* cannot be written"):
        await run_faults(replace(PLAIN, results=tmp_path))


# -- the page ------------------------------------------------------------------------------------------

PARTS = "head\n" + "".join(
    f"<!-- {n}: made -->\nbefore\n<!-- /{n} -->\n" for n in ("faults", "cases", "figures")
)


def a_checkout(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A folder with the page, and ours."""
    monkeypatch.chdir(folder)
    PAGE.parent.mkdir()
    PAGE.write_text(PARTS, encoding="utf-8")
    return folder / PAGE


async def test_the_page_has_all_rows_whichever_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The table is not made smaller by `--only`; a row without runs says so."""
    page = a_checkout(monkeypatch, tmp_path)
    every = [Made("kill"), Made("ami")]
    monkeypatch.setattr(faults, "rows", lambda only: [row for row in every if not only or row.name in only])
    results = Results(tmp_path / "runs.jsonl")
    results.append(Run("ami", 1, calls=77))
    assert await run_faults(replace(PLAIN, docs=True, only=("kill",), results=results.path)) == 0
    text = page.read_text(encoding="utf-8")
    assert "| **kill**: a fault | all | not run yet, 0 of 4 |" in text
    assert "| **ami**: a fault | all | 1 | 77 |" in text
    assert "before" not in text


@pytest.mark.parametrize("written", [None, ""])
async def test_the_page_is_not_made_of_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str | None
) -> None:
    """A file that is not there, or has no run, leaves the page as it is."""
    page = a_checkout(monkeypatch, tmp_path)
    results = tmp_path / "runs.jsonl"
    if written is not None:
        results.write_text(written, encoding="utf-8")
    with pytest.raises(Invalid, match=r"runs\.jsonl has no runs"):
        await run_faults(replace(PLAIN, docs=True, results=results))
    assert page.read_text(encoding="utf-8") == PARTS


async def test_the_page_is_written_in_a_checkout_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Elsewhere there is none, and that is said in a line."""
    monkeypatch.chdir(tmp_path)
    Results(tmp_path / "runs.jsonl").append(Run("kill", 1))
    with pytest.raises(Invalid, match=r"--docs: there is no docs/faults\.md here"):
        await run_faults(replace(PLAIN, docs=True, results=tmp_path / "runs.jsonl"))


# -- the terminal --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Endless(Made):
    """One whose second run does not end, and whose centre is taken down in many steps."""

    taken_down: list[str] = field(default_factory=list)

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """The first run, and a signal to us as of a Ctrl-C."""
        yield Run(self.name, seeds[0], calls=5)
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(100):
                await asyncio.sleep(0)
            self.taken_down.append(self.name)


async def test_what_is_known_is_told_when_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whose centre is waited for, and the summary of the runs so far; they are kept."""
    options = replace(PLAIN, results=tmp_path / "runs.jsonl")
    async with asyncio.timeout(30):
        endless = Endless()
        status, line, told = await command(monkeypatch, capsys, [endless, Made("ami")], options)
    assert endless.taken_down == ["kill"]
    assert (status, line["stopped"], line["runs"], line["calls"]) == (130, True, 1, 5)
    assert "waiting until the centre of kill is taken down" in told
    assert len(Results(options.results).read()) == 1


def a_terminal(width: int = 80) -> Console:
    """One that keeps what is said on it."""
    return Console(width=width, force_terminal=True, color_system="standard", record=True, file=io.StringIO())


def test_the_table_fits_a_terminal() -> None:
    """Names are whole at 80 columns, and the runs that did not hold have a column."""
    console = a_terminal()
    rows = [Made("sequences"), Made("standby")]
    screen = Screen(console, rows, {"sequences": 1000, "standby": 200})
    screen.runs.append(Run("sequences", 1, calls=2_000_000, unknown=12_345, recover_s=100.5, broken="late"))
    console.print(screen.table())
    text = console.export_text()
    assert "sequences" in text
    assert "…" not in text
    (head, _, line) = [line for line in text.splitlines() if line.strip()][1:4]
    assert head.split()[-1] == "broken"
    assert line.split() == [
        "sequences", "1/1000", "2000000", "0", "0", "0", "12345", "100.5", "s", "100.5", "s", "1",
    ]  # fmt: skip


def test_the_clock_goes_on_while_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is made anew at each look at it, not only when a row says something."""
    console = a_terminal()
    with Screen(console, [Made()], {"kill": 1}) as screen:
        assert screen._live is not None
        monkeypatch.setattr(screen, "_began", screen._began - 1000)
        screen._live.refresh()
    assert "faults, 100" in console.export_text()
