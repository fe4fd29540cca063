"""`dozvon bench faults`: which seeds are run, what is kept, and how a row that breaks is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dialer.bench import faults
from dialer.bench.command import Faults, run_faults
from dialer.bench.model import Row, Run, Say
from dialer.bench.results import Results

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
        return replace(self, lasts_s=minutes * 60 if minutes is not None else 20.0)


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
    status, line, _ = await command(monkeypatch, capsys, rows, options)
    assert status == 1
    assert line["failed"] == {
        "kill": "could not go on after 2 of 4 runs: OSError: the machine is out of something"
    }
    assert line["rows"]["ami"]["runs"] == 4
    assert len(Results(options.results).read()) == 6


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
