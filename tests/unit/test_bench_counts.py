"""The bench of faults counts rightly, keeps its runs, and its page says what they say."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dialer.bench import faults
from dialer.bench.ami_proxy import Cut, Way
from dialer.bench.faults.soak import Sample, drift, leaks
from dialer.bench.model import (
    NAMES,
    Run,
    case_of,
    from_line,
    newest,
    percentile,
    summary,
    to_line,
    totals,
)
from dialer.bench.results import Results, default_path
from dialer.bench.screen import PARTS, part, tables, told
from dialer.bench.site import busy, patience
from dialer.bench.site_numbers import Numbers
from dialer.demo.numbers import decode
from dialer.errors import Invalid, UnreadableFile

ROOT = Path(__file__).parents[2]

RUNS = (
    Run("kill", 1, "random", calls=10, unknown=1, recover_s=1.0),
    Run("kill", 2, "before", calls=20, double_dials=1, recover_s=3.0),
    Run("kill", 3, "random", calls=5, recover_s=2.0, figures={"inputs": 7, "detect_s": 4.0}),
    Run("ami", 1, "cut", calls=1, lost_dispositions=2, figures={"inputs": 3, "detect_s": 6.5}),
)


# -- model ---------------------------------------------------------------------------------------------


def test_totals_add_up_and_take_the_greatest_time() -> None:
    """Counts and figures are sums, times are maxima, the median is one of the values."""
    total = totals(RUNS)
    assert (total.runs, total.calls, total.unknown) == (4, 36, 1)
    assert (total.double_dials, total.unfinished_attempts, total.lost_dispositions) == (1, 0, 2)
    assert total.broken == 2
    assert (total.recover_p50_s, total.recover_max_s) == (2.0, 3.0)
    assert total.figures == {"inputs": 10, "detect_s": 6.5}


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [
        ([], 0.5, None),
        ([4], 0.5, 4),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.5, 2),
        ([1, 2, 3], 1.0, 3),
        ([5], 0.0, 5),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: Sequence[float], share: float, wanted: float | None
) -> None:
    """Nearest rank: at least `share` of the values are at or below it."""
    assert percentile(values, share) == wanted


@pytest.mark.parametrize(
    ("run", "held"),
    [
        (Run("kill", 1, calls=3, unknown=2), True),
        (Run("kill", 1, broken="no"), False),
        (Run("kill", 1, double_dials=1), False),
        (Run("kill", 1, unfinished_attempts=1), False),
        (Run("kill", 1, lost_dispositions=1), False),
    ],
)
def test_a_run_holds_only_if_nothing_was_lost(run: Run, held: bool) -> None:
    """An attempt that is said to be unknown is no loss; everything else is."""
    assert run.held is held


def test_a_summary_has_all_that_programs_ask_for() -> None:
    """The last line of stdout: sums of all, and the same of each row in the order of the table."""
    line = json.loads(json.dumps(summary(RUNS)))
    wanted = {"runs", "calls", "double_dials", "unfinished_attempts", "lost_dispositions", "unknown"}
    assert line["faults"] == 2
    assert line.keys() >= wanted
    assert line["recover_s"] == {"p50": 2.0, "max": 3.0}
    assert list(line["rows"]) == ["kill", "ami"]
    assert line["rows"]["kill"]["calls"] == 35
    assert line["rows"]["ami"]["recover_s"] == {"p50": None, "max": None}


def test_a_seed_that_was_run_again_counts_once() -> None:
    """The last run of a row's seed stands; that of another row, or of the short form, is another run."""
    again, small = Run("kill", 2, "before", calls=4), Run("kill", 2, "before", short=True)
    assert newest((*RUNS, again, small)) == [RUNS[0], again, RUNS[2], RUNS[3], small]


def test_cases_come_in_turn() -> None:
    """So many seeds as there are cases have each of them once."""
    cases = ("a", "b", "c")
    assert sorted(case_of(cases, seed) for seed in range(7, 10)) == ["a", "b", "c"]
    assert case_of((), 5) == ""


# -- results -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS)
def test_a_run_survives_its_line(run: Run) -> None:
    """What is written is what is read; fields of a later version do no harm."""
    assert from_line(json.loads(json.dumps(to_line(run))) | {"later": 1}) == run


def test_results_accumulate_and_a_cut_line_is_no_run(tmp_path: Path) -> None:
    """Runs are read in their order; a line that a break has cut is gone when the next is written."""
    results = Results(tmp_path / "deep" / "runs.jsonl")
    assert results.read() == []
    assert results.path is not None
    for run in RUNS[:2]:
        results.append(run)
    with results.path.open("a") as file:
        file.write('{"fault": "kill", "se')
    assert results.read() == list(RUNS[:2])
    results.append(RUNS[3])
    assert results.read() == [RUNS[0], RUNS[1], RUNS[3]]
    assert results.seeds("kill") == {1, 2}


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    """A line that is no run is an error with its number, not a run less."""
    path = tmp_path / "runs.jsonl"
    path.write_text('{"fault": "kill", "seed": 1}\nsomething\n')
    with pytest.raises(UnreadableFile, match="line 2"):
        Results(path).read()


def test_results_stand_in_the_docs_of_the_repository_only(tmp_path: Path) -> None:
    """In the repository's folder its own file is meant, elsewhere one beside the reader."""
    assert default_path(ROOT) == ROOT / "docs/bench/faults.jsonl"
    assert default_path(tmp_path) == tmp_path / "bench-faults.jsonl"


# -- rows ----------------------------------------------------------------------------------------------


def test_each_row_is_the_one_it_is_named_after() -> None:
    """Every row that is there has its name, cases and runs of both forms, the short ones no more."""
    for row in faults.rows():
        assert row.name in NAMES
        assert row.title
        assert row.must_hold
        assert 0 <= row.short_runs <= row.long_runs
        assert len(set(row.cases)) == len(row.cases)


def test_rows_come_in_the_order_of_the_table_and_wrong_names_are_told() -> None:
    """`--only` names rows in any order; a name that is none is refused with those that are."""
    assert [row.name for row in faults.rows(("ami", "kill"))] == ["kill", "ami"]
    with pytest.raises(Invalid, match="nothing-like-it"):
        faults.rows(("kill", "nothing-like-it"))


# -- numbers -------------------------------------------------------------------------------------------


def test_no_number_is_given_out_twice() -> None:
    """Not in thousands; and a seed decides which."""
    numbers = Numbers(7).take(20_000)
    assert len(set(numbers)) == 20_000
    assert Numbers(7).take(50) == numbers[:50]
    assert Numbers(8).take(50) != numbers[:50]
    for number in numbers[:100]:
        decode(number)


# -- the wire ------------------------------------------------------------------------------------------

ONE, OTHER = object(), object()


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("after", [0, 3, 8])
def test_a_cut_is_made_at_its_byte_however_the_stream_is_torn(size: int, after: int) -> None:
    """Exactly `after` bytes of the thing are let through, or so many more as tell what it is."""
    said = b"Response: Success\r\n\r\nEvent: Hangup\r\n\r\n"
    cut = Cut(Way.FROM_ASTERISK, b"Event: ", after)
    let = 0
    for at in range(0, len(said), size):
        piece = said[at : at + size]
        keep = cut.feed(ONE, Way.FROM_ASTERISK, piece)
        let += len(piece) if keep is None else keep
        if keep is not None:
            break
    begins_at, its_name = 21, len(b"Event: ")
    assert begins_at + after <= let < begins_at + max(after + 1, its_name)


def test_a_cut_waits_for_what_was_asked_on_the_same_wire() -> None:
    """A reply counts only after its question, and a question of an earlier connection is none."""
    cut = Cut(Way.FROM_ASTERISK, b"Response: ", 4, once_asked=b"Action: Originate")
    assert cut.feed(ONE, Way.FROM_ASTERISK, b"Response: Success\r\n\r\n") is None
    assert cut.feed(ONE, Way.TO_ASTERISK, b"Action: Originate\r\n\r\n") is None
    assert cut.feed(OTHER, Way.FROM_ASTERISK, b"Response: Success\r\n\r\n") is None
    assert cut.feed(OTHER, Way.TO_ASTERISK, b"Action: Originate\r\n\r\n") is None
    assert cut.feed(OTHER, Way.TO_ASTERISK, b"Response: of ours\r\n\r\n") is None
    assert cut.feed(OTHER, Way.FROM_ASTERISK, b"Response: Success\r\n\r\n") == 4


# -- the soak ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([(at, 100.0) for at in range(0, 1000, 10)], 0.0),
        # Caches that fill in the warm-up are no drift.
        ([(at, 10.0 if at < 100 else 100.0) for at in range(0, 1000, 10)], 0.0),
        # From 100 after the warm-up to 118 at the end; and what is lost.
        ([(at, 100.0 + 0.02 * (at - 100)) for at in range(0, 1000, 10)], 0.18),
        ([(at, 100.0 - 0.02 * (at - 100)) for at in range(0, 1000, 10)], -0.18),
        ([(5.0, 1.0), (900.0, 2.0)], 0.0),
    ],
)
def test_drift_is_the_rise_of_the_line_through_all_samples(
    values: list[tuple[float, float]], wanted: float
) -> None:
    """From the end of the warm-up, which is a tenth, to the end of the run."""
    assert drift(values, 1000) == pytest.approx(wanted)


def test_drift_sees_what_grows_between_two_ends() -> None:
    """A late rise counts although the middle is as the begin, and one sample that is out of line does not."""
    late = [(at, 100.0 if at < 800 else 140.0) for at in range(0, 1000, 10)]
    assert drift(late, 1000) > 0.2
    spike = [(at, 130.0 if at == 990 else 100.0) for at in range(0, 1000, 10)]
    assert abs(drift(spike, 1000)) < 0.02


def test_what_is_held_at_rest_and_was_not_at_rest_before_is_a_leak() -> None:
    """However much was held at work; connections of a pool stay, channels must be as before, exactly."""
    before = Sample(0, 1, 1, engine_files=30, web_files=20, tasks=20, channels=8, connections=12)
    assert leaks(before, before, pool=10) == []
    kept = replace(before, tasks=23, connections=35, engine_files=43, web_files=33)
    assert leaks(before, kept, pool=10) == []
    for leaked in (
        replace(before, channels=9),
        replace(before, channels=7),
        replace(before, tasks=24),
        replace(before, connections=36),
        replace(before, engine_files=44),
        replace(before, web_files=34),
    ):
        assert len(leaks(before, leaked, pool=10)) == 1


# -- the page ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    name: str
    title: str = "a fault"
    must_hold: str = "all"
    cases: tuple[str, ...] = ("random", "before", "cut")
    long_runs: int = 3
    short_runs: int = 1


def test_tables_of_the_docs_have_rows_and_cases_that_were_run() -> None:
    """A row without a run says so; cases have those of their runs."""
    rows: list[object] = [_Row("kill"), _Row("ami"), _Row("soak")]
    made = tables(rows, RUNS)  # type: ignore[arg-type]
    assert "| **soak**: a fault | all | not run yet, 0 of 3 |  |" in made["faults"]
    assert len({line.count("|") for line in made["faults"].splitlines()}) == 1
    assert "| 3 | 35 | 1 | 0 | 0 | 1 | 2.0 s / 3.0 s |  | 1 |" in made["faults"]
    assert [line.split("|")[2].strip() for line in made["cases"].splitlines()[2:]] == [
        "`random`",
        "`before`",
        "`cut`",
    ]


@dataclass(frozen=True)
class _Limited(_Row):
    limit_s: float = 2.0


def test_runs_over_the_limit_at_rest_are_counted() -> None:
    """By what they took, so that old lines count, or by what they say themselves; else the cell is empty."""
    rows: list[object] = [_Limited("kill"), _Row("ami"), _Row("soak")]
    said = Run("soak", 1, figures={"over_limit": 1.0, "tasks_max": 3})
    made = tables(rows, (*RUNS, said))  # type: ignore[arg-type]
    assert [line.split("|")[-3].strip() for line in made["faults"].splitlines()] == [
        "over the limit at rest", "---", "1", "", "1",
    ]  # fmt: skip
    cells = {line.split("|")[2].strip(): line.split("|")[-3].strip() for line in made["cases"].splitlines()}
    assert (cells["`random`"], cells["`before`"], cells["`cut`"]) == ("0", "1", "")
    assert "over_limit" not in made["figures"]


@pytest.mark.parametrize(("load", "wanted"), [(0.0, 1.0), (6.0, 3.0), (8.0, 4.0), (50.0, 4.0)])
def test_a_limit_is_stretched_four_times_at_most(
    monkeypatch: pytest.MonkeyPatch, load: float, wanted: float
) -> None:
    """By the load average over the cores: a limit that gives way to everything is none."""
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert (busy(), patience(5)) == (wanted, 5 * wanted)


def test_a_broken_run_says_how_to_make_it_again() -> None:
    """Row, seed, case, what was lost, and the command."""
    line = told(Run("kill", 7, "random", double_dials=2, broken="late"))
    assert line.startswith("kill, seed 7 (random): 2 numbers dialled twice; late.")
    assert line.endswith("dozvon bench faults --only kill --seed 7")
    assert told(Run("kill", 7, broken="late", short=True)).endswith("--seed 7 --short")


def test_the_page_says_what_the_results_file_says() -> None:
    """docs/faults.md is made from docs/bench/faults.jsonl; after new runs it is made anew."""
    page = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    runs = newest(Results(ROOT / "docs/bench/faults.jsonl").read())
    for name, table in tables(faults.rows(), runs).items():
        assert name in PARTS
        found = part(name).search(page)
        assert found is not None
        assert found[2].strip() == table.strip(), "run: dozvon bench faults --docs"
