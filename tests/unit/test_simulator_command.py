"""`dozvon simulate` and the page that its figures make: options, output, tables."""

from __future__ import annotations

import json
import operator
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dialer.bench.pacing import cases, command, results, table
from dialer.errors import Invalid
from dialer.pacing.simulator import switches
from dialer.pacing.simulator.command import Simulate, job_of, line, show, simulate
from dialer.pacing.simulator.figures import Minute, Run, quantile, summary
from dialer.pacing.simulator.plot import chart
from dialer.pacing.simulator.runs import Job, run_seeds
from dialer.pacing.simulator.world import World

PLAIN = Simulate(
    rule="progressive",
    agents=4,
    answer_rate=0.3,
    talk_s=120.0,
    talk_cv=1.0,
    wrap_s=15.0,
    ring_s=12.0,
    slack_s=2.0,
    hours=0.5,
    day_h=8.0,
    warm_up_min=5.0,
    seed=1,
    runs=1,
    processes=1,
    target=0.03,
    long_run=False,
    drop_after_s=None,
    ratio=None,
    lines=None,
    with_=(),
    json_line=True,
)


def test_json_is_one_line_with_rates_from_0_to_1(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` ends stdout with one line that has every figure."""
    simulate(PLAIN)
    (text,) = capsys.readouterr().out.splitlines()
    found = json.loads(text)
    assert set(found) >= {
        "occupancy", "abandon_rate", "talk_min_per_hour", "contacts_per_agent_hour", "worst_day_abandon_rate",
        "worst_24h_abandon_rate", "wait_s", "agent_idle_s", "lines", "dials", "live_answers", "abandoned",
    }  # fmt: skip
    assert set(found["wait_s"]) == {"p50", "p95"}
    assert 0 < found["occupancy"] < 1
    assert found["abandon_rate"] == found["worst_day_abandon_rate"] == 0
    # Half an hour of four agents has no window of 300 answers.
    assert found["worst_24h_abandon_rate"] is None
    assert found["live_answers"] == found["contacts"] + found["abandoned"]
    assert found["talk_min_per_hour"] < 60 * found["occupancy"]


def test_the_command_line_takes_its_options() -> None:
    """The command as it is typed: its options reach the run, an error is one line and exit status 1."""
    words = "simulate --rule power --ratio 2 --agents 3 --hours 0.2 --warm-up 0 --with hang-ups=0.1 --json"
    done = dozvon(*words.split())
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["rule"], found["agents"], found["with"]) == ("power", 3, ["hang-ups=0.1"])
    wrong = dozvon("simulate", "--rule", "magic")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("dozvon: --rule: there is no 'magic'; there are predictive,")
    assert wrong.stderr.count("\n") == 1


def dozvon(*words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "dialer", *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"answer_rate": 1.5}, "--answer-rate"),
        ({"answer_rate": 0.0}, "--answer-rate"),
        ({"target": 3.0}, "--target"),
        ({"hours": 0.0}, "--hours"),
        ({"hours": float("nan")}, "--hours"),
        ({"talk_s": -1.0}, "--talk"),
        ({"ring_s": 30.0}, "--ring"),
        ({"slack_s": -0.5}, "--slack"),
        ({"day_h": 23.0}, "--day"),
        ({"drop_after_s": 10.0}, "--drop-after"),
        ({"ratio": 2.0}, "--ratio"),
        ({"rule": "none"}, "--rule"),
        ({"with_": ("rain",)}, "--with"),
        ({"with_": ("hang-ups=much",)}, "--with"),
        ({"with_": ("hang-ups=2",)}, "--with"),
        ({"with_": ("scored-leads=0.5",)}, "--with"),
    ],
)
def test_a_wrong_option_is_named(change: dict[str, Any], field: str) -> None:
    """What makes no sense is refused before anything runs, with the option's name."""
    with pytest.raises(Invalid) as error:
        job_of(replace(PLAIN, **change))
    assert error.value.details["field"] == field


def test_people_get_a_small_table() -> None:
    """Without `--json` a table says the same, with what was put into the world and the band of the seeds."""
    options = replace(PLAIN, with_=("hang-ups=0.1",), runs=3)
    job = job_of(options)
    console = Console(width=80)
    with console.capture() as shown:
        show(console, job, line(job, run_seeds(job, 3), options.with_), options.with_)
    text = shown.get()
    assert "progressive: 4 agents, 30% answer" in text
    assert "seeds 1 to 3" in text
    assert "0.1 of the people who answer hang up within three seconds" in text
    assert "5 to 95 % of runs" in text
    assert max(map(len, text.splitlines())) <= 80


def test_seeds_may_be_shared_by_processes() -> None:
    """Several processes give what one gives."""
    job = Job("progressive", World(agents=3, warm_up_s=0.0), hours=0.2)
    assert run_seeds(job, 3, processes=2) == run_seeds(job, 3)


# -- figures -------------------------------------------------------------------------------------------------


def run_of(settled: Sequence[tuple[float, bool]], seed: int = 1) -> Run:
    """A run in which these live answers were settled."""
    lost = sum(abandoned for _, abandoned in settled)
    nothing = Minute(0, 0, 0, 0, 0, 0, 0, 0, 0)
    end = nothing._replace(live=len(settled), abandoned=lost, worked_s=3600, duty_s=3600)
    return Run(seed, end, 0, 0, 0, 0, 0, 0, [], [], settled, [nothing, end])


def test_the_worst_day_and_the_worst_window_differ() -> None:
    """300 answers a day; six are lost at the end of the first day, six at the start of the second: 2 % of
    each day, 12 of the 300 answers that lie around midnight."""
    times = [at * 288.0 for at in range(600)]
    found = run_of([(at, index in range(294, 306)) for index, at in enumerate(times)])
    assert found.worst_day() == pytest.approx(6 / 300)
    assert found.worst_window() == pytest.approx(12 / 300)
    assert found.worst_window(least=301) is None


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([3.0], 0.95, 3.0), ([1, 2, 3, 4], 0.5, 2), ([4, 3, 2, 1], 0.95, 4), ([1, 2], 0, 1)],
)
def test_quantiles_are_values_that_occurred(
    values: Sequence[float], share: float, expected: float | None
) -> None:
    """Nearest rank: the smallest value that this share of all is at or under."""
    assert quantile(values, share) == expected


def test_several_runs_are_pooled() -> None:
    """The share of all together, the worst day of any, and how many runs had a day over the limit."""
    found = summary([run_of([(0, True), (1, False)]), run_of([(0, False)] * 8, seed=2)], 0.03)
    assert found["abandon_rate"] == 0.1
    assert found["worst_day_abandon_rate"] == 0.5
    assert found["days_over_limit"] == 1
    assert found["seeds"] == [1, 2]


@pytest.mark.parametrize("name", switches.SWITCHES)
def test_every_switch_changes_the_world(name: str) -> None:
    """Each by its own value, and by one that is given."""
    plain = World()
    assert switches.apply(plain, [name], 8) != plain
    value = switches.SWITCHES[name].value / 2
    if name != "leads":
        assert switches.apply(plain, [f"{name}={value}"], 8) != switches.apply(plain, [name], 8)


@pytest.mark.parametrize("name", ["mixed-leads", "scored-leads"])
def test_leads_that_differ_keep_the_mean(name: str) -> None:
    """A quarter answers with 0.9, so the others with 0.1: 0.3 on average; told only where it is known."""
    world = switches.apply(World(), [name], 8)
    assert [kind.factor * 0.3 for kind in world.kinds] == pytest.approx([0.9, 0.1])
    assert world.kinds_known == (name == "scored-leads")


def test_short_and_long_talks_keep_the_mean() -> None:
    """Two shapes of talks, one mean."""
    assert switches.apply(World(), ["bimodal"], 8).talk.mean_s == pytest.approx(120)


# -- the page ------------------------------------------------------------------------------------------------


def test_no_two_cases_of_the_bench_are_the_same() -> None:
    """Each line of the results has a place of its own, and every team, rate and trouble has its case."""
    keys = [case.key for case in cases.cases()]
    assert len(keys) == len(set(keys))
    robust = {row for part, row in keys if part == "robust"}
    used = {wish.partition("=")[0] for case in cases.cases() for wish in case.with_}
    assert used == set(switches.SWITCHES)
    assert all(f"{row} (progressive)" in robust for row in robust if not row.endswith(")"))


def test_the_page_has_a_place_for_every_case_that_it_names() -> None:
    """What the tables ask for is measured: no cell stays empty by a misspelt name."""
    asked = set()

    class Asked(dict[tuple[str, str], Any]):
        def get(self, key: tuple[str, str], default: Any = None) -> Any:
            asked.add(key)
            return None

    table.held(Asked())
    table.passed(Asked())
    table.one_percent(Asked())
    known = {case.key for case in cases.cases()}
    # The bound of known answers does not depend on the answer rate: it is measured at one.
    assert {key for key in asked - known if not key[1].startswith("answers-known")} == set()


def test_a_bench_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case is kept at once; what the file has is left out; the newest line of a case stands."""
    job = Job("power", World(agents=2, warm_up_s=0.0), hours=0.05)
    two = [cases.Case("reference", "one", job), cases.Case("reference", "two", job, tuned=True)]
    monkeypatch.setattr(cases, "cases", lambda: two)
    path, said = tmp_path / "results.jsonl", list[str]()

    def go(*only: str, resume: bool) -> None:
        command.run_bench(path, only=only, resume=resume, processes=1, say=said.append)

    go("one", resume=False)
    go(resume=True)
    assert [text.split(":")[1].strip() for text in said] == ["one", "two"]
    go("one", resume=False)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert [one["row"] for one in lines] == ["one", "two"]
    assert lines[1]["figures"]["abandon_rate"] <= 0.03
    with pytest.raises(Invalid):
        go("three", resume=False)


def test_a_start_is_told_by_its_stretches() -> None:
    """Stretches of a case are told apart and sum up to all of it; the page has them by the team."""
    case = next(cases.start())
    case = replace(case, runs=2, stretches_s=((0.0, 600.0), (600.0, 1800.0)))
    figures = cases.measure(case)["figures"]
    first, second = figures["stretches"]
    runs = run_seeds(case.job, 2)
    assert first["live"] + second["live"] == sum(run.total.live for run in runs)
    assert first["abandoned"] + second["abandoned"] == sum(run.total.abandoned for run in runs)
    duty = [run.between(0.0, 600.0).duty_s for run in runs]
    busy = [run.between(0.0, 600.0).occupancy for run in runs]
    assert first["occupancy"] == pytest.approx(sum(map(operator.mul, duty, busy)) / sum(duty))
    told = [{"live": 50, "abandoned": 2, "occupancy": 0.61}] * 3
    lines = {("start", f"5 {rate}"): {"figures": {"stretches": told}} for rate in cases.START_RATES}
    assert "| 5 | 4.0 at 61 / 4.0 at 61 / 4.0 at 61 | 4.0" in table.start(lines)
    assert "4.0" not in table.start(dict(list(lines.items())[:2])), "a cell that is not whole says nothing"


def test_a_line_that_is_no_measurement_is_named(tmp_path: Path) -> None:
    """A torn results file says which line."""
    path = tmp_path / "results.jsonl"
    path.write_text('{"part": "reference", "row": "x"}\n{"part"\n')
    with pytest.raises(Invalid, match="line 2"):
        results.read(path)


def test_the_page_is_what_the_results_make_of_it() -> None:
    """The tables of docs/pacing.md and its plot are those of the results file."""
    kept = results.read(results.RESULTS)
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.render(page, kept) == page, "run: make bench-pacing ARGS=--docs"
    assert table.PLOT.read_text(encoding="utf-8") == table.plot(kept)


def test_of_no_results_no_page_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A results file that is not there leaves the page as it was."""
    page = tmp_path / "page.md"
    page.write_text(table.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(table, "PAGE", page)
    with pytest.raises(Invalid, match="no measurement"):
        table.write(results.read(tmp_path / "none.jsonl"))
    assert page.read_text(encoding="utf-8") == Path("docs/pacing.md").read_text(encoding="utf-8")


def test_a_chart_is_svg_with_a_line_for_each_name() -> None:
    """Well-formed, a line and a label for each, names escaped, larger values higher."""
    lines = {"a < b": [(5.0, 60.0), (10.0, 80.0)], "c": [(5.0, 70.0), (10.0, 80.0)]}
    root = ET.fromstring(chart("t", "x", "y", lines, (60, 100)))
    name = "{http://www.w3.org/2000/svg}"
    drawn = [one.attrib["points"].split() for one in root.iter(f"{name}polyline")]
    assert [len(points) for points in drawn] == [2, 2]
    ups = [[float(point.split(",")[1]) for point in points] for points in drawn]
    assert ups[0][1] < ups[0][0]
    assert ups[0][1] == ups[1][1]
    labels = {one.text: float(one.attrib["y"]) for one in root.iter(f"{name}text")}
    assert abs(labels["a < b"] - labels["c"]) >= 15
    assert "polyline" not in chart("nothing measured yet", "x", "y", {"a": []}, (60, 100))
