"""`dozvon bench pacing-live`: its customers, what it counts from rows, bands, lines, page and plot."""

from __future__ import annotations

import asyncio
import json
import random
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean

import pytest

from dialer.bench.lines import Lines
from dialer.bench.live import page, rows
from dialer.bench.live.command import Live, run_live
from dialer.bench.live.customers import Customers
from dialer.bench.live.model import (
    DELAYED,
    PLAIN,
    Band,
    Delays,
    Known,
    Real,
    Setting,
    Simulated,
    from_line,
    mean_delays,
    pools,
    summary,
    to_line,
)
from dialer.bench.live.plot import draw
from dialer.bench.live.rows import Attempt, Rows, Spent
from dialer.bench.live.simulated import simulate
from dialer.bench.site_robots import Robot
from dialer.demo.numbers import Behaviour, decode, encode
from dialer.errors import Invalid, UnreadableFile
from dialer.pacing.simulator.figures import Minute
from dialer.pacing.simulator.world import Drawn, World

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """So long after the run's start."""
    return START + timedelta(seconds=seconds)


# -- customers -----------------------------------------------------------------------------------------------


def test_customers_are_those_that_the_simulator_draws() -> None:
    """In the same order, each with the same fate, as exactly as a number can say it."""
    world = Setting().world
    numbers = [decode(number) for number in Customers(world, 7).take(2000)]
    source = Drawn(world, 7, 0.0)
    fates = [source.fate(lead, 0.0) for lead in (source.lead() for _ in numbers) if lead is not None]
    assert len({number.e164 for number in numbers}) == len(fates) == 2000
    for number, fate in zip(numbers, fates, strict=True):
        if fate.answered_s is None and fate.ringing_s is None:
            assert number.behaviour is Behaviour.BUSY
            assert number.ring_s == pytest.approx(fate.ended_s, abs=0.25)
        else:
            assert fate.ringing_s is not None
            assert number.behaviour is (Behaviour.STAYS if fate.answered_s else Behaviour.RINGS_OUT)
            until = fate.answered_s or fate.ended_s
            assert number.ring_s == pytest.approx(until - fate.ringing_s, abs=0.26)
    exact = [
        abs(number.setup_s - fate.ringing_s) <= 0.051
        for number, fate in zip(numbers, fates, strict=True)
        if fate.ringing_s is not None
    ]
    assert fmean(exact) > 0.99, "only where all numbers of a network's time are given out"


def test_customers_talk_by_the_law_of_the_world() -> None:
    """Their talks have its mean and spread, in whole steps, and nobody leaves before the policy's clock."""
    world = Setting().world
    talks = [
        number.stay_s
        for number in map(decode, Customers(world, 3).take(8000))
        if number.behaviour is Behaviour.STAYS
    ]
    mean = fmean(talks)
    assert mean == pytest.approx(120, rel=0.08)
    assert (fmean([talk**2 for talk in talks]) - mean**2) ** 0.5 / mean == pytest.approx(1.0, rel=0.15)
    assert min(talks) >= 2


def test_another_network_has_no_numbers() -> None:
    """A world whose calls take longer to ring cannot be played by this number plan."""
    with pytest.raises(AssertionError):
        Customers(World(setup_s=(2.0, 3.0)), 1)


@pytest.mark.parametrize("setting", [Setting(), Setting(short=True)])
def test_the_campaign_gives_up_after_the_carrier(setting: Setting) -> None:
    """Who does not answer is ended by the network, as in the simulator, and not by the campaign before."""
    longest = max(
        number.setup_s + number.ring_s
        for number in map(decode, Customers(setting.world, 2).take(400))
        if number.behaviour is Behaviour.RINGS_OUT
    )
    assert longest < setting.ring_timeout_s <= longest + 2


def test_a_wrap_up_is_drawn_once() -> None:
    """By the law that is given, and no other time is drawn when a refusal makes the agent wrap up again."""
    drawn = iter((11.0, 12.0))
    robot = Robot(
        "", "a", "", random.Random(1), 1.0, 1.0, asyncio.Semaphore(1), draw_wrap_up=lambda _: next(drawn)
    )
    assert [robot._wrap_up(attempt) for attempt in ("x", "x", "y")] == [11.0, 11.0, 12.0]
    assert robot.wrap_ups == {"x": 11.0, "y": 12.0}


# -- rows ----------------------------------------------------------------------------------------------------

PERSON = encode(Behaviour.STAYS, ring_s=10.0, detail=20, prefix=10)  # 1.05 s, rings 10 s, stays 40 s
BUSY = encode(Behaviour.BUSY, ring_s=2.0)
NOBODY = encode(Behaviour.RINGS_OUT, ring_s=25.0)


def talk(at: float, answered: float, connected: float | None, hung_up: float | None, result: str) -> Attempt:
    """A call that a person answered; seconds after the run's start."""
    return Attempt(
        PERSON.e164,
        after(at),
        after(at + 0.1),
        after(at + 1.25),
        after(answered),
        after(connected) if connected is not None else None,
        after(hung_up) if hung_up is not None else None,
        result,
        1000 * (connected - answered) if connected is not None else None,
    )


def run_of(attempts: Sequence[Attempt], times: Sequence[Spent] = (), **more: object) -> Rows:
    """A run of a hundred seconds."""
    return Rows(START, after(100), attempts, times, **{"wrap_ups": {}, **more})  # type: ignore[arg-type]


def test_a_run_is_counted_as_the_simulator_counts() -> None:
    """Dials when they are made, answers when they are settled, times as far as they lie in the run."""
    attempts = [
        Attempt(BUSY.e164, after(-5), after(-4.9), hung_up_at=after(-3), result="busy"),
        talk(1, 12.3, 12.4, 52.3, "answered"),
        talk(2, 13.3, None, 20.0, "abandoned"),
        # settled in the run, and after it
        talk(80, 97.9, None, 105.0, "abandoned"),
        talk(85, 98.5, None, 105.0, "abandoned"),
        talk(85, 99.5, 100.5, None, "answered"),
        # never sent
        Attempt(BUSY.e164, after(30), hung_up_at=after(31), result="canceled"),
        Attempt(NOBODY.e164, after(90), after(90.1), after(91.5)),
    ]
    times = [
        Spent("ready", after(-10), after(12)),
        Spent("reserved", after(12), after(12.4)),
        Spent("talking", after(12.4), after(52.3)),
        Spent("wrap_up", after(52.3), after(67.3)),
        Spent("ready", after(67.3), None),
        Spent("ready", after(-10), after(95)),
        Spent("talking", after(95), after(130)),
        Spent("offline", after(-60), after(-10)),
        Spent("offline", after(95), after(100)),
    ]
    found = rows.counted(run_of(attempts, times))
    assert (found.dials, found.live, found.abandoned, found.contacts) == (6, 3, 2, 1)
    assert found.duty_s == pytest.approx(200)
    assert [found.talk_s, found.wrap_s] == pytest.approx([39.9 + 5, 15])
    assert found.occupancy == pytest.approx(59.9 / 200)
    lines = 51.3 + 18 + 20 + 15 + 15 + 1 + 10
    assert [found.worked_s, found.lines_s] == pytest.approx([100, lines])


def test_who_leaves_before_the_clock_is_live_and_not_abandoned() -> None:
    """The policy's share counts those whom nobody took in time."""
    found = rows.counted(run_of([talk(1, 12, None, 12.5, "caller_hung_up")]))
    assert (found.live, found.abandoned, found.contacts) == (1, 0, 0)


def test_delays_are_what_passed_beyond_the_plan() -> None:
    """Before it rang, until both were joined, of talks and of wrap-ups; the median of joins, else means."""
    attempts = [
        talk(0, 11.5, 11.51, 51.6, "answered"),
        talk(10, 21.5, 21.53, 61.9, "answered"),
        talk(20, 31.5, 33.2, 71.2, "answered"),
    ]
    times = [
        Spent("wrap_up", after(51.6), after(66.9), "one"),
        Spent("wrap_up", after(61.9), after(71.9), "two"),
        Spent("wrap_up", after(90), None, "three"),
        Spent("talking", after(0), after(50), "one"),
    ]
    found = rows.delays(run_of(attempts, times, wrap_ups={"one": 15.0, "two": 9.9, "three": 3.0}))
    assert found.setup_s == pytest.approx(0.2)  # 1.25 s, of which 1.05 the network's
    assert found.join_s == pytest.approx(0.03)
    assert found.talk_s == pytest.approx((0.09 + 0.37 - 2.0) / 3)
    assert found.wrap_s == pytest.approx(0.2)
    decided = [(after(0), "within_budget"), (after(60), "budget_spent"), (after(70), "price_over")]
    figures = rows.figures(run_of(attempts, times, decisions=[*decided, (after(95), "budget_spent")]))
    assert figures["budget_spent_s"] == pytest.approx(15)
    assert [figures["wait_max_s"], figures["joined_late"]] == pytest.approx([1.7, 0])
    assert figures["answer_late_s"] == pytest.approx(0.25)
    assert (figures["answers_planned"], figures["decisions"], figures["away_s"]) == (1.0, 4.0, 0.0)


def test_nothing_seen_is_no_delay() -> None:
    """A run without a call has figures, all of them 0."""
    empty = run_of([])
    assert rows.delays(empty) == Delays()
    assert set(rows.figures(empty).values()) == {0.0}
    assert (rows.counted(empty).occupancy, rows.counted(empty).abandon_rate) == (0.0, 0.0)


def test_time_in_no_state_of_the_simulator_is_told() -> None:
    """An agent whose phone was lost is on duty and at no work."""
    lost = run_of([], [Spent("lost", after(10), after(14)), Spent("paused", after(99), None)])
    assert rows.figures(lost)["away_s"] == pytest.approx(5)
    assert rows.counted(lost).duty_s == pytest.approx(5)


@pytest.mark.parametrize(
    ("number", "right", "wrong"),
    [(PERSON, "answered", "no_answer"), (NOBODY, "no_answer", "busy"), (BUSY, "busy", "failed")],
)
def test_a_call_that_came_to_something_else_is_told(number: object, right: str, wrong: str) -> None:
    """The carrier did not do what the number says, or the server took it for something else."""
    assert isinstance(number, type(PERSON))
    good = Attempt(number.e164, START, result=right)
    bad = replace(good, result=wrong)
    said = rows.wrong(run_of([good, bad, replace(good, result=None)]))
    assert said == [f"{number.e164} ({number.behaviour.name.lower()}) came to {wrong}"]


# -- bands ---------------------------------------------------------------------------------------------------


def minute(busy: float, live: int, abandoned: int, dials: int = 0) -> Minute:
    """A run of a hundred agent-seconds."""
    return Minute(10.0, 100.0, busy, 0.0, 0.0, dials, live, abandoned, live - abandoned)


def test_a_band_is_the_middle_nine_tenths() -> None:
    """Of twenty values the second to the nineteenth, bounds included."""
    found = Band.of([value / 100 for value in range(20, 0, -1)])
    assert (found.p5, found.p50, found.p95) == (0.01, 0.10, 0.19)
    assert found.holds(0.01)
    assert found.holds(0.19)
    assert not found.holds(0.2)
    assert not found.holds(0.009)


def test_pools_are_weighed_by_what_was_counted() -> None:
    """Two runs together have the share of all their answers; one that is left over is left out."""
    first, second, third = minute(50, 10, 1), minute(70, 30, 0), minute(90, 1, 1)
    (both,) = pools([first, second, third], 2)
    assert (both.occupancy, both.abandon_rate) == (0.6, 0.025)
    assert pools([first], 2) == []


def real(seed: int, busy: float, live: int, abandoned: int, **more: object) -> Real:
    """A real run of that seed."""
    figures = {"wait_p50_s": 0.1, "wait_p95_s": 1.0, "wait_max_s": 1.9}
    return Real(Setting(), seed, minute(busy, live, abandoned, 200), Delays(), figures, **more)  # type: ignore[arg-type]


def simulated(world: str = PLAIN) -> Simulated:
    """Twenty runs, occupied from 61 to 80 %, every fourth with an abandoned call of fifty."""
    runs = [minute(61 + at, 50, at % 4 == 0, 190) for at in range(20)]
    return Simulated(Setting(), world, runs, Delays(), {"wait_p50_s": 0.0, "wait_p95_s": 1.5})


def test_the_summary_compares_pools_with_pools() -> None:
    """Two real runs together lie in the band of simulated pairs, or do not; single runs in that of runs."""
    known = Known.of([real(1, 60, 40, 1), real(2, 79, 60, 1), simulated()], Setting())
    found = summary(known)
    assert (found["occupancy"], found["abandon_rate"]) == (0.695, 0.02)
    assert (found["answers"], found["abandoned"], found["dials"], found["runs"]) == (100, 2, 400, 2)
    assert set(found["sim"]["occupancy"]) == {"p5", "p50", "p95"}
    assert (found["sim"]["runs"], found["sim"]["pools"]) == (20, 10)
    # Of ten pairs the first is the lowest twentieth.
    assert found["sim"]["occupancy"]["p5"] == pytest.approx(0.615)
    assert found["sim"]["abandon_rate"]["p95"] == pytest.approx(0.01)
    assert found["inside"] is False, "2 % abandoned, and pairs have 1 % at most"
    assert found["single"]["inside"] == 1, "0.60 lies under the band of single runs"
    served = summary(Known.of([real(1, 60, 40, 0), real(2, 79, 60, 1), simulated()], Setting()))
    assert served["inside"] is True


def test_a_side_that_is_missing_is_said() -> None:
    """Without simulated runs, or too few of them, nothing lies inside of anything."""
    assert summary(Known.of([], Setting()))["inside"] is None
    assert summary(Known.of([real(1, 60, 40, 0)], Setting()))["inside"] is None
    few = replace(simulated(), runs=[minute(70, 1, 0)])
    assert summary(Known.of([real(1, 60, 40, 0), real(2, 60, 40, 0), few], Setting()))["sim"] is None


def test_what_is_broken_is_in_the_summary() -> None:
    """With its seed."""
    found = summary(Known.of([real(4, 60, 40, 0, broken="a number was dialled twice")], Setting()))
    assert found["broken"] == ["seed 4: a number was dialled twice"]


def test_delays_go_into_the_world() -> None:
    """Longer ringing, a transfer, longer means of talks and wrap-ups with the same deviation."""
    world = Delays(0.1, 0.02, -1.0, 0.5).into(Setting().world)
    assert world.setup_s == pytest.approx((1.1, 2.1))
    assert world.transfer_s == 0.02
    assert (world.talk.mean_s, world.wrap.mean_s) == (119.0, 15.5)
    assert world.talk.parts[0][2] * 119 == pytest.approx(120)
    assert mean_delays([real(1, 1, 1, 0), replace(real(2, 1, 1, 0), delays=Delays(0.2))]) == Delays(0.1)


# -- lines ---------------------------------------------------------------------------------------------------


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    """Real and simulated runs of every setting; the newest of a seed and of a world stands."""
    lines = Lines(tmp_path / "runs.jsonl")
    older, newer = real(1, 50, 40, 0), real(1, 60, 40, 0, broken="something")
    other = replace(older, setting=Setting(3, 0.5, True))
    delayed = replace(simulated(DELAYED), delays=Delays(0.5))
    kept: list[Real | Simulated] = [older, simulated(), delayed, other, newer]
    for one in kept:
        lines.append(to_line(one) | {"at": "2026-03-02T09:00:00Z"})
    read = lines.read(from_line)
    assert read == kept
    known = Known.of(read, Setting())
    assert known.real == {1: newer}
    assert set(known.simulated) == {PLAIN, DELAYED}
    assert known.simulated[DELAYED].delays == Delays(0.5)


@pytest.mark.parametrize("text", ['{"what": "real"}', '{"what": "real", "agents": 1, "minutes": 1}', "[]"])
def test_a_line_that_is_no_run_is_named(tmp_path: Path, text: str) -> None:
    """By its number."""
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(to_line(real(1, 60, 40, 0))) + f"\n{text}\n")
    with pytest.raises(UnreadableFile, match="line 2"):
        Lines(path).read(from_line)


def test_the_simulator_runs_the_same_length_from_the_same_start() -> None:
    """Each seed from the opening on, for as long as the real run; in the plain world, or with delays."""
    setting = Setting(3, 2.0, short=True)
    said = list[str]()
    found = simulate(setting, 3, 1, said.append)
    assert (found.world, found.delays, len(found.runs)) == (PLAIN, Delays(), 3)
    for run in found.runs:
        assert (run.worked_s, run.duty_s) == (120.0, 360.0)
        assert run.dials >= run.live == run.contacts + run.abandoned > 0
    delayed = simulate(setting, 2, 1, said.append, Delays(setup_s=4.0))
    assert delayed.world == DELAYED
    assert delayed.runs[0].live < found.runs[0].live, "what rings later is answered later"


# -- the page ------------------------------------------------------------------------------------------------

KNOWN = Known.of([real(1, 60, 40, 1), real(2, 79, 60, 1), simulated(), simulated(DELAYED)], Setting())


def test_the_page_tells_each_run_and_the_bands() -> None:
    """A line a run, one for all, two bands of each world; what passed beyond the plan."""
    text = page.render(f"# Pacing\n\n{page.BEGIN}\nold\n{page.END}\n\nend\n", KNOWN)
    assert text.startswith(f"# Pacing\n\n{page.BEGIN}\n|")
    assert text.endswith(f"{page.END}\n\nend\n")
    assert "old" not in text
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    told = {row[0]: row[1:] for row in cells if len(row) > 2}
    assert told["real, seed 1"] == ["60.0", "2.50", "1 / 40", "200", "0.10 / 1.00 / 1.90"]
    assert told["**real, all 2**"][:3] == ["69.5", "2.00", "2 / 100"]
    assert told["**simulated, 10 times 2 together**"][0].startswith("61.5 to 79.5 (")
    assert sum(name.startswith(("simulated", "**simulated")) for name in told) == 4


def test_a_page_without_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is a file that has nothing to compare."""
    with pytest.raises(Invalid, match="pacing:live"):
        page.render("# Pacing\n", KNOWN)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid, match="no real runs"):
        page.write([simulated()])
    with pytest.raises(Invalid, match="checkout"):
        page.write([real(1, 60, 40, 1), simulated()])


def test_the_plot_shows_every_run_where_it_lies() -> None:
    """Two strips: a ring for each real run, a point for all of them, in the order of their figures."""
    space = "{http://www.w3.org/2000/svg}"
    drawn = ET.fromstring(draw(KNOWN))
    circles = list(drawn.iter(f"{space}circle"))
    rings = [float(one.attrib["cx"]) for one in circles if one.attrib["fill"] == "none"]
    points = [float(one.attrib["cx"]) for one in circles if one.attrib["fill"] != "none"]
    # One of each is the legend's.
    assert (len(rings), len(points)) == (1 + 2 * 2, 1 + 2)
    first, second, *_ = rings[1:]
    assert first < points[1] < second, "60 %, 69.5 % together, 79 %"
    assert all(0 < x < 760 for x in rings + points)
    words = " ".join(text.text or "" for text in drawn.iter(f"{space}text"))
    assert "10 agents for 20 minutes" in words
    assert "all 2 together" in words


# -- the command ---------------------------------------------------------------------------------------------

LIVE = Live(
    minutes=None, agents=None, runs=None, at_once=6, seed=1, sim_runs=None, resume=False, short=False,
    json_line=False, results=None, docs=False,
)  # fmt: skip


def test_options_choose_what_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six runs of twenty minutes by ten agents if nothing is said; the short form is small and not kept."""
    assert (LIVE.setting, list(LIVE.seeds)) == (Setting(10, 20.0, False), [1, 2, 3, 4, 5, 6])
    short = replace(LIVE, short=True)
    assert (short.setting.short, list(short.seeds), short.path) == (True, [1], None)
    assert short.setting.agents <= 4
    assert short.setting.minutes <= 1
    chosen = replace(LIVE, agents=4, minutes=2.0, runs=2, seed=5)
    assert (chosen.setting, list(chosen.seeds)) == (Setting(4, 2.0, False), [5, 6])
    monkeypatch.chdir(tmp_path)
    assert LIVE.path == Path("bench-pacing-live.jsonl")
    (tmp_path / "docs/bench").mkdir(parents=True)
    assert LIVE.path == Path("docs/bench/pacing-live.jsonl")
    assert replace(LIVE, results=tmp_path / "x").path == tmp_path / "x"


async def test_what_the_file_has_is_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--resume`: no centre is set up, nothing simulated where all of it is there; the summary is whole."""
    lines = Lines(tmp_path / "runs.jsonl")
    for one in KNOWN.real.values():
        lines.append(to_line(one))
    for simulated_ones in KNOWN.simulated.values():
        lines.append(to_line(simulated_ones))
    before = lines.path.read_bytes()
    resumed = replace(LIVE, results=lines.path, resume=True, runs=2, sim_runs=20, json_line=True)
    assert await run_live(resumed) == 0
    assert lines.path.read_bytes() == before
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["runs"], found["answers"], found["failed"]) == (2, 100, {})
    assert set(found["sim"]) == {"occupancy", "abandon_rate", "runs", "pools"}


def test_the_page_says_what_the_results_file_says() -> None:
    """docs/pacing.md and its plot are made from docs/bench/pacing-live.jsonl; after new runs, made anew."""
    known = Known.of(Lines(ROOT / "docs/bench/pacing-live.jsonl").read(from_line), Setting())
    assert len(known.real) == 6
    text = (ROOT / page.PAGE).read_text(encoding="utf-8")
    assert page.render(text, known) == text, "run: dozvon bench pacing-live --docs"
    assert draw(known) == (ROOT / page.PLOT).read_text(encoding="utf-8")
