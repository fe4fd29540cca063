"""The load bench's rules: what falls behind, what stands, how it is shown."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from dialer.bench.load import docs, results
from dialer.bench.load.calls import CALLS
from dialer.bench.load.command import tables
from dialer.bench.load.cpu import spent
from dialer.bench.load.model import (
    Measured,
    fell_behind,
    from_line,
    newest,
    percentile,
    rounded,
    spread,
    summary,
    table,
    to_line,
)
from dialer.errors import UnreadableFile

CARRIED = {
    "asked_per_s": 20.0,
    "placed_per_s": 19.5,
    "answered": 600.0,
    "without_agent": 0.0,
    "failed": 0.0,
    "not_ended": 0.0,
    "answer_to_agent_ms_p95": 120.0,
    "journal_behind_max": 40.0,
}


def test_a_rate_is_carried_when_nothing_falls_behind() -> None:
    """A step with all calls placed, joined, ended and written in time has nothing to say against it."""
    assert fell_behind(CARRIED) == ""


@pytest.mark.parametrize(
    ("figure", "value", "word", "of_sums"),
    [
        ("placed_per_s", 18.0, "placed", False),
        ("answered", 0.0, "nobody", True),
        ("without_agent", 1.0, "no agent", True),
        ("failed", 1.0, "failed", True),
        ("not_ended", 2.0, "no end", True),
        ("answer_to_agent_ms_p95", 251.0, "250 ms", False),
        ("journal_behind_max", 161.0, "journal", False),
    ],
)
def test_each_way_of_falling_behind_is_told(figure: str, value: float, word: str, of_sums: bool) -> None:
    """One figure out of its bounds is enough; slowness does not count where only the sums are asked for."""
    figures = CARRIED | {figure: value}
    assert word in fell_behind(figures)
    assert (fell_behind(figures, sums_only=True) != "") is of_sums


def test_what_is_shown_in_a_terminal_fits_it() -> None:
    """A figure is a line and a case a column; cases without room come in a further table."""
    every = [Measured("calls", f"rate={rate}", 1, figures=CARRIED) for rate in range(2, 12)]
    shown = Console(width=80, record=True, file=io.StringIO())
    for each in tables(CALLS, every, 80):
        shown.print(each)
    text = shown.export_text()
    assert all(one.case in text for one in every)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_percentiles_are_by_nearest_rank() -> None:
    """Of ten values the median is the fifth, the 95th percentile the last; of none there is none."""
    values = [float(n) for n in range(1, 11)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile([], 0.5)) == (5.0, 10.0, None)
    assert spread(reversed(values), "x_ms", 50, 90) == {"x_ms_p50": 5.0, "x_ms_p90": 9.0}
    assert spread([], "x_ms") == {}


def test_figures_keep_four_digits() -> None:
    """Small and large figures are rounded alike; whole ones lose their point."""
    assert [rounded(value) for value in (0.0123456, 12.3456, 123456.7, 2.0, 0.0)] == [
        0.01235, 12.35, 123457, 2, 0.0,
    ]  # fmt: skip


def test_a_measurement_survives_its_line() -> None:
    """What is written is read again, and a field of a later version is passed over."""
    one = Measured(
        "calls", "rate=8", 3, figures={"placed_per_s": 7.9}, note="paper", at="2026-01-01T00:00:00"
    )
    assert from_line({**to_line(one), "later": 1}) == one


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    """A results file with a line that is none is refused with the line's number."""
    path = tmp_path / "load.jsonl"
    results.append(path, Measured("calls", "rate=8", 1))
    with path.open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    with pytest.raises(UnreadableFile, match="line 2"):
        results.read(path)


def test_a_line_that_a_break_has_cut_stops_nothing(tmp_path: Path) -> None:
    """It is passed over, and gone when the next is written."""
    path = tmp_path / "load.jsonl"
    one, next_one = Measured("calls", "rate=8", 1), Measured("calls", "rate=11", 1)
    results.append(path, one)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"row": "calls", "ca')
    assert results.read(path) == [one]
    results.append(path, next_one)
    assert results.read(path) == [one, next_one]


def test_the_last_measurement_of_a_case_stands() -> None:
    """A case that was measured again has its new figures; its short form is another thing."""
    old, new = Measured("calls", "rate=8", 1), Measured("calls", "rate=8", 2)
    short = Measured("calls", "rate=8", 1, short=True)
    assert list(newest([old, short, new]).values()) == [new, short]


def test_the_summary_names_what_programs_read() -> None:
    """The sustained rate, the wait at 90 % of it, CPU by part and events a second; null where nothing is."""
    figures = {"placed_per_s": 20.0, "concurrent": 210.0, "server_cpu_per_call": 0.01}
    told = summary(
        [
            Measured("calls", "sustained", 1, figures=figures),
            Measured("calls", "rate=24", 1, broken="too fast"),
            Measured("answer", "share=90", 1, figures={"answer_to_agent_ms_p50": 40.0}),
            Measured("events", "link_filtered", 1, figures={"events_per_s": 100_000.0}),
            Measured("day", "attempts=300", 1, broken="sums"),
        ]
    )
    assert (told["calls_per_s"], told["concurrent"], told["events_per_s"]) == (20, 210, 100_000)
    assert (told["server_cpu_per_call"], told["asterisk_cpu_per_call"]) == (0.01, None)
    assert told["answer_to_agent_ms"] == {"p50": 40, "p95": None, "p99": None}
    assert told["broken"] == ["day attempts=300: sums"]


def test_a_table_shows_the_cases_and_what_did_not_hold() -> None:
    """A line a case; a column that no case has is left out."""
    cases = [Measured("x", "a", 1, figures={"n": 1234.0}), Measured("x", "b", 1, broken="slow")]
    assert table((("n", "N"), ("m", "M")), cases).splitlines() == [
        "| case | N | held |",
        "| --- | --- | --- |",
        "| a | 1,234 | yes |",
        "| b |  | slow |",
    ]


def test_a_table_of_several_seeds_says_whose_each_line_is() -> None:
    """The last measurement of a case stands, whichever its seed."""
    cases = [Measured("x", "a", 1, figures={"n": 1.0}), Measured("x", "b", 2, figures={"n": 2.0})]
    assert table((("n", "N"),), cases).splitlines() == [
        "| case | seed | N | held |",
        "| --- | --- | --- | --- |",
        "| a | 1 | 1 | yes |",
        "| b | 2 | 2 | yes |",
    ]


def test_a_rows_table_is_put_between_its_marks() -> None:
    """The page keeps what stands around the marks; a row without measurements says so in its place."""
    page = "head\n<!-- load:leads -->\nold\n<!-- /load:leads -->\n<!-- load:air --><!-- /load:air -->\nend\n"
    made = docs.render(page, [Measured("leads", "leads=10", 1, figures={"leads": 10.0})])
    assert made.startswith("head\n<!-- load:leads -->\n")
    assert "| leads=10 | 10 | yes |" in made
    assert "old" not in made
    assert "<!-- /load:leads -->\n<!-- load:air -->\nCost of a call by the calls in the air" in made
    assert made.endswith("\n\nNot measured yet.\n<!-- /load:air -->\nend\n")


def test_a_table_has_its_cases_in_the_order_of_their_numbers() -> None:
    """Whichever of them was measured again, last; a case without a number stands below them."""
    page = "<!-- load:air -->\n<!-- /load:air -->\n"
    cases = ("in_air=1", "sustained", "in_air=1000", "in_air=100", "in_air=100, again")
    made = docs.render(page, [Measured("air", case, 1, figures={"in_air": 1.0}) for case in cases])
    assert [line.split("|")[1].strip() for line in made.splitlines() if " yes |" in line] == [
        "in_air=1", "in_air=100", "in_air=100, again", "in_air=1000", "sustained",
    ]  # fmt: skip


def test_cpu_of_a_process_has_that_of_its_children() -> None:
    """What a process and its children have spent is one sum; one that is not there has spent nothing."""
    before = spent({"us": [os.getpid()], "nobody": [2**22 + 1]})
    work = "n = 0\nfor i in range(3_000_000): n += i"
    subprocess.run([sys.executable, "-c", work], check=True)
    grown = spent({"us": [os.getpid()], "nobody": [2**22 + 1]}).since(before)
    assert grown["us"] >= 0.05
    assert grown["nobody"] == 0
