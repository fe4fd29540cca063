"""The load bench's rows and command: what is measured again, what is left out, what is said of nothing."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from dialer.bench.load import calls, command, docs, events, reports, results
from dialer.bench.load.command import Load, run_load
from dialer.bench.load.model import (
    SUSTAINED,
    Measured,
    NotMeasured,
    Row,
    Say,
    Wish,
    newest,
    not_in_the_air,
)
from dialer.bench.load.stage import Seen
from dialer.errors import Invalid

PLAIN = Load(only=(), seed=1, resume=False, short=False, json_line=True, results=None, docs=False)
LONG = Wish(False, 1, {}, {})
CARRIED = {
    "answered": 60.0,
    "without_agent": 0.0,
    "failed": 0.0,
    "not_ended": 0.0,
    "answer_to_agent_ms_p95": 120.0,
    "journal_behind_max": 0.0,
}


async def measured(row: Row, wish: Wish, said: list[str] | None = None) -> list[Measured]:
    """All that a row measures."""
    return [one async for one in row.measure(wish, (said if said is not None else []).append)]


# -- calls ---------------------------------------------------------------------------------------------


def steps(monkeypatch: pytest.MonkeyPatch, placed: Mapping[float, Sequence[float]]) -> list[float]:
    """Steps that place so many calls a second at a rate, in turn, and at other rates all; the rates asked."""
    asked: list[float] = []

    async def step(_stage: object, _load: object, rate: float) -> dict[str, float]:
        asked.append(rate)
        turn = asked.count(rate) - 1
        return CARRIED | {"asked_per_s": rate, "placed_per_s": placed[rate][turn] if rate in placed else rate}

    monkeypatch.setattr(calls, "step", step)
    monkeypatch.setattr(calls, "stage_for", lambda *_: contextlib.nullcontext())
    return asked


async def test_a_rate_that_fell_behind_once_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second window counts: a busy moment of the machine does not end the search."""
    asked = steps(monkeypatch, {5.0: (1.0, 5.0), 8.0: (1.0, 1.0), 6.0: (1.0, 1.0)})
    found = await measured(calls.CALLS, LONG)
    assert asked == [2, 5, 5, 8, 8, 6, 6]
    assert [(one.case, bool(one.broken)) for one in found] == [
        ("rate=2", False), ("rate=5", False), ("rate=8", True), ("rate=6", True), (SUSTAINED, False),
    ]  # fmt: skip
    assert found[-1].figures["asked_per_s"] == 5
    assert [one.figures["windows"] for one in found] == [1, 2, 2, 2, 2]


async def test_no_rate_being_carried_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no sustained rate then, and the row says so."""
    steps(monkeypatch, {2.0: (0.1, 0.1)})
    with pytest.raises(NotMeasured, match="calls was not measured: the lowest rate, 2/s, was not carried"):
        await measured(calls.CALLS, LONG)


async def test_the_short_form_judges_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow it was it went, and no more is said of it."""
    steps(monkeypatch, {2.0: (0.1,)})
    said: list[str] = []
    await measured(calls.CALLS, replace(LONG, short=True), said)
    assert said == ["calls: 2/s: made, not judged"]


async def test_answers_need_the_sustained_rate() -> None:
    """Without it the row is refused, and not empty; where all of it is known nothing is needed."""
    with pytest.raises(NotMeasured, match="needs calls"):
        await measured(calls.ANSWER, LONG)
    known = newest(Measured("answer", f"share={share}", 1) for share in (10, 50, 90))
    assert await measured(calls.ANSWER, replace(LONG, known=known)) == []


@dataclass
class OneStep:
    """A stage whose calls are counted while time passes."""

    at_work: int = 3
    watched: list[float] = field(default_factory=list)

    async def watch(self, seconds: float) -> Seen:
        """Only while it is measured are there seven calls."""
        self.watched.append(seconds)
        return Seen(0.0, 7.0 if len(self.watched) == 2 else 1.0)

    async def figures(self, _since: object, _until: object) -> dict[str, float]:
        """Two calls a second."""
        return {"calls": 8.0, "placed_per_s": 2.0}

    async def now(self) -> datetime:
        """A clock that goes on."""
        return datetime.fromtimestamp(len(self.watched), UTC)

    def cpu(self) -> Any:
        """Nothing costs anything."""
        return SimpleNamespace(
            since=lambda _before: dict.fromkeys(
                ("engine", "web", "jobs", "asterisk", "db", "carrier", "hands"), 0.0
            )
        )

    def memory_mb(self, _name: str) -> float:
        """Nor is anything kept."""
        return 0.0

    async def nothing(self, *_: object) -> None:
        """What the stage is told."""

    agents = rate = start = pause = nothing


async def test_calls_at_once_are_counted() -> None:
    """What was open in the measured window stands, not what would follow from rate and talk."""
    stage: Any = OneStep()
    assert (await calls.step(stage, calls.SHORT, 2))["concurrent"] == 7.0


# -- other rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("placed", "in_air", "words"),
    [
        (10.0, 100.0, ""),
        (9.6, 91.0, ""),
        (9.0, 100.0, "only 9.0 of 10 calls/s were placed"),
        (10.0, 60.0, "only 60.0 of 100 calls were in the air"),
    ],
)
def test_the_wished_calls_must_be_in_the_air(placed: float, in_air: float, words: str) -> None:
    """Else the cost of a call is that of fewer of them."""
    assert not_in_the_air(100, {"asked_per_s": 10, "placed_per_s": placed, "in_air": in_air}) == words


@pytest.mark.parametrize("way", ["link", "link_filtered"])
async def test_every_event_that_is_asked_for_must_come(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A way that loses one is broken, also that which drops most on purpose."""
    wish = replace(LONG, short=True)
    assert [one.broken for one in await measured(events.EVENTS, wish)] == [""] * 4
    whole = events.WAYS[way]
    monkeypatch.setitem(events.WAYS, way, lambda parts: whole(parts) - 1)
    broken = {one.case: one.broken for one in await measured(events.EVENTS, wish)}
    due = events.expected(way, 10_000)
    assert broken.pop(way) == f"{due - 1} of {due} events came"
    assert not any(broken.values())


@pytest.mark.parametrize("closing_known", [True, False])
async def test_only_the_questions_that_are_known_are_left_out(
    monkeypatch: pytest.MonkeyPatch, closing_known: bool
) -> None:
    """A break after some questions of a size costs the others nothing; all being known, no past is made."""

    class Conn:
        async def execute(self, _query: object) -> Any:
            return SimpleNamespace(scalar_one=lambda: 1e6)

    database = SimpleNamespace(system=lambda: contextlib.nullcontext(Conn()))
    books = SimpleNamespace(engine=SimpleNamespace(database=database))
    made: list[str] = []

    @contextlib.asynccontextmanager
    async def open_books() -> AsyncIterator[Any]:
        made.append("past")
        yield books

    async def with_past(*_: object) -> None: ...

    async def closed(*_: object) -> dict[str, float]:
        made.append("closed")
        return {"ms_p50": 1.0}

    async def timed(*_: object) -> dict[str, float]:
        return {"ms_p95": 1.0}

    for name, stands in (("open_books", open_books), ("_with_past", with_past), ("_closed", closed)):
        monkeypatch.setattr(reports, name, stands)
    monkeypatch.setattr(reports, "_timed", timed)
    had = ["wall board", "call log", *([reports.CLOSING] if closing_known else [])]
    known = newest(Measured("reports", f"attempts=5000 {name}", 1, short=True) for name in had)
    wish = replace(LONG, short=True, known=known)
    found = await measured(reports.REPORTS, wish)
    assert made == ["past", "closed"]
    every = {f"attempts=5000 {name}" for name in (reports.CLOSING, *reports.QUESTIONS)}
    assert {one.case for one in found} == every - {case for _, case, _ in known}
    assert await measured(reports.REPORTS, replace(wish, known=known | newest(found))) == []
    assert made == ["past", "closed"]


# -- the command ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A row of the test's own."""

    name: str = "events"
    title: str = "a question"
    columns: Sequence[tuple[str, str]] = (("n", "N"),)
    #: how many cases it has
    cases: int = 1
    #: why it cannot be measured
    refused: str = ""

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """Its cases."""
        if self.refused:
            raise NotMeasured(row=self.name, reason=self.refused)
        for n in range(self.cases):
            if (self.name, f"n={n}", wish.short) not in wish.known:
                figures = {"n": float(n), "seed": float(wish.seed)}
                yield Measured(self.name, f"n={n}", wish.seed, wish.short, figures)


async def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], made: Sequence[Row], options: Load
) -> tuple[int, dict[str, Any]]:
    """The command's exit status and its summary."""
    monkeypatch.setattr(command, "rows", lambda _only: list(made))
    status = await run_load(options)
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


async def test_a_row_that_was_not_measured_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit status 1 with the reason; the rows after it are measured."""
    options = replace(PLAIN, results=tmp_path / "load.jsonl")
    rows = [Made("answer", refused="needs calls"), Made(), Made("day", cases=0)]
    status, said = await told(monkeypatch, capsys, rows, options)
    assert (status, list(said["rows"])) == (1, ["events"])
    assert said["failed"] == {"answer": "needs calls", "day": "nothing was measured"}


async def test_what_is_known_already_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Resumed with nothing left to measure it ends well."""
    options = replace(PLAIN, results=tmp_path / "load.jsonl", resume=True)
    for _ in range(2):
        status, said = await told(monkeypatch, capsys, [Made()], options)
        assert (status, said["failed"]) == (0, {})


async def test_another_seed_is_measured_beside_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Resumed, the command leaves out what the file has of just that seed; its summary is of that seed."""
    path = tmp_path / "load.jsonl"
    for seed in (1, 2, 1):
        options = replace(PLAIN, seed=seed, results=path, resume=True)
        _, said = await told(monkeypatch, capsys, [Made()], options)
        assert (said["seed"], said["rows"]["events"]["n=0"]["seed"]) == (seed, seed)
    assert [one.seed for one in results.read(path)] == [1, 2]


async def test_the_summary_says_whether_it_was_the_short_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its figures say that the bench works, not what the machine can do."""
    for short in (True, False):
        options = replace(PLAIN, short=short, results=tmp_path / "load.jsonl")
        assert (await told(monkeypatch, capsys, [Made()], options))[1]["short"] is short


async def test_a_path_that_cannot_be_written_is_told_before_the_first_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is set up for measurements that cannot be kept."""
    monkeypatch.setattr(command, "rows", lambda _only: [Made(refused="too late")])
    with pytest.raises(Invalid, match=r"--results: .* cannot be written"):
        await run_load(replace(PLAIN, results=tmp_path))


async def test_the_page_is_not_made_of_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of no file, or one of the short form only, it is refused; of a long one all rows have a line."""
    monkeypatch.chdir(tmp_path)
    path, page = tmp_path / "load.jsonl", tmp_path / docs.PAGE
    options = replace(PLAIN, docs=True, results=path)
    with pytest.raises(Invalid, match="run it in a checkout"):
        await run_load(options)
    page.parent.mkdir()
    page.write_text("<!-- load:air --><!-- /load:air -->\n<!-- load:leads -->x<!-- /load:leads -->\n")
    before = page.read_text()
    for _ in range(2):
        with pytest.raises(Invalid, match="no measurement of the long form"):
            await run_load(options)
        assert page.read_text() == before
        results.append(path, Measured("leads", "leads=10", 1, short=True))
    results.append(path, Measured("leads", "leads=20", 1, figures={"leads": 20.0}))
    assert await run_load(options) == 0
    text = page.read_text()
    assert "Not measured yet.\n<!-- /load:air -->" in text
    assert "| leads=20 | 20 | yes |" in text


async def test_numbers_of_a_dim_line_are_dim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """They have no colour of their own."""
    shown = Console(color_system="standard", force_terminal=True, record=True, file=io.StringIO())
    monkeypatch.setattr(command, "Console", lambda **_: shown)
    await told(monkeypatch, capsys, [Made()], replace(PLAIN, results=tmp_path / "load.jsonl"))
    assert "\x1b[2m  1 measurements in 0 s\x1b[0m" in shown.export_text(styles=True)


# -- the folder ----------------------------------------------------------------------------------------

#: The bench up to the first thing that it starts in its folder: there stands a process in a session of its
#: own, as PostgreSQL and Asterisk are.
BENCH = """
import asyncio, subprocess, sys, time
from dialer.bench.load import day, stage

def halt(path):
    folder = path if path.is_dir() else path.parent
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=folder,
                            start_new_session=True)
    print(folder, left.pid, flush=True)
    time.sleep(600)

day.EmbeddedPostgres = stage.own_settings = halt

async def run():
    async with {open}:
        pass

asyncio.run(run())
"""


@pytest.mark.parametrize("opened", ["day.open_books()", "stage.open_stage(print, agents=1, leads=1)"])
def test_nothing_is_left_of_a_load_bench_that_was_killed(opened: str) -> None:
    """kill -9 of it: what runs in its folder ends, whatever its session, and the folder goes."""
    argv = [sys.executable, "-c", BENCH.replace("{open}", opened)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        folder, pid = bench.stdout.readline().split()
        assert Path(folder).is_dir()
        bench.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while Path(folder).exists() or Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "something is left"
        time.sleep(0.1)  # they are nobody's children any more: nothing tells of their end
