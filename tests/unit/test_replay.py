"""A log of calls played again: what is taken from it, what is drawn, and that it tells the truth."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC
from functools import cache
from itertools import islice
from typing import Any

import pytest
from support.recorded import Recorded

from dialer.errors import Invalid
from dialer.pacing.model import DialMode
from dialer.pacing.simulator.centre import FIRST_DAY
from dialer.pacing.simulator.compare import (
    LEAST_DIALS,
    Setting,
    compare,
    enough,
    name_of,
    setting_of,
    settings_of,
)
from dialer.pacing.simulator.figures import Run, summary
from dialer.pacing.simulator.pacer import Decision, View
from dialer.pacing.simulator.past import past_run
from dialer.pacing.simulator.planned import Limits, Planned
from dialer.pacing.simulator.replay import (
    CELL_S,
    LEAST_DEALT,
    Became,
    Log,
    PastDial,
    Replayed,
    Stretch,
    roster_of,
    world_of,
)
from dialer.pacing.simulator.rules import Terms
from dialer.pacing.simulator.runs import Job, run
from dialer.pacing.simulator.world import HOUR_S, Fate, World

PLAIN = World(warm_up_s=0.0)
OWN = Setting("progressive", "progressive", Terms())


@cache
def recorded(rule: str, hours: float = 16.0, world: World = PLAIN) -> tuple[Run, Log]:
    """A past whose truth is known."""
    setting = setting_of(rule, 0.03, 15.0)
    return Recorded.past(Job(setting.rule, world, setting.terms, hours))


def replayed(log: Log, rule: str) -> Run:
    """What the setting would have given."""
    (found,) = compare(log, [setting_of(rule, 0.03, 15.0)]).each[rule]
    return found


def shares(one: Run) -> tuple[float, float]:
    """Occupancy and abandoned share."""
    return one.total.occupancy, one.total.abandon_rate


# -- the truth of it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["progressive", "power:ratio=2"])
def test_the_past_is_counted_as_the_run_that_wrote_it(rule: str) -> None:
    """Read back from the log, a run has the figures that it had."""
    truth, log = recorded(rule)
    was = past_run(log)
    assert shares(was) == pytest.approx(shares(truth), abs=0.001)
    for name in ("dials", "live", "abandoned", "contacts"):
        # Who answers after the day is over is in the log, and not in the run.
        assert getattr(was.total, name) == pytest.approx(getattr(truth.total, name), abs=3)
    assert was.total.duty_s == pytest.approx(truth.total.duty_s, rel=0.002)
    assert was.total.lines_s == pytest.approx(truth.total.lines_s, rel=0.005)
    assert was.worst_day() == pytest.approx(truth.worst_day())
    assert (was.worst_window() or 0) == pytest.approx(truth.worst_window() or 0)
    assert sorted(was.waits_s) == pytest.approx(sorted(truth.waits_s))


@pytest.mark.parametrize("rule", ["progressive", "power:ratio=2", "power:ratio=3"])
def test_the_same_rule_gives_the_past_again(rule: str) -> None:
    """Replayed with the rule that wrote it, a log gives about the occupancy and the abandoned share that it
    had."""
    truth, log = recorded(rule)
    occupancy, abandoned = shares(replayed(log, rule))
    assert occupancy == pytest.approx(truth.total.occupancy, abs=0.015)
    assert abandoned == pytest.approx(truth.total.abandon_rate, abs=0.01)


@pytest.mark.parametrize(
    ("wrote", "asked"),
    [
        ("progressive", "power:ratio=2"),
        # More answers than were recorded, and abandoned customers whose talks nobody knows.
        ("progressive", "power:ratio=3"),
        ("power:ratio=3", "progressive"),
    ],
)
def test_another_rule_gives_what_it_gives_in_that_world(wrote: str, asked: str) -> None:
    """What a rule would have given on another's log is what it gives in the world that the log is of."""
    setting = setting_of(asked, 0.03, 15.0)
    truth = run(Job(setting.rule, PLAIN, setting.terms, 24.0, seed=2))
    occupancy, abandoned = shares(replayed(recorded(wrote)[1], asked))
    assert occupancy == pytest.approx(truth.total.occupancy, abs=0.02)
    assert abandoned == pytest.approx(truth.total.abandon_rate, abs=0.015)


class TakesBack(Planned):
    """Two calls a free agent; every other call that has rung for 15 s is taken back."""

    tick_s = 1.0

    def decide(self, view: View) -> Decision:
        late = [
            call.number
            for call in view.calls.values()
            if call.state == "ringing" and call.number % 2 and view.now - call.dialled_s >= 15.0
        ]
        return super().decide(view)._replace(cancel=late)


def test_calls_that_were_taken_back_do_not_hide_answers() -> None:
    """Where half of the calls that ring long are taken back, those end that would have been answered late:
    the answer rate that a replay meets is that of the world all the same."""
    _, log = Recorded.past(Job("power", PLAIN, hours=10.0), TakesBack(DialMode.POWER, 2.0))
    back = sum(dial.became is Became.TAKEN_BACK for dial in log.dials)
    found = replayed(log, "progressive").total
    seen = sum(dial.became is Became.PERSON for dial in log.dials)
    # Neither the answered of all dials nor those of all whose end is known are the truth.
    assert seen / len(log.dials) < 0.275
    assert seen / (len(log.dials) - back) > 0.375
    assert found.live / found.dials == pytest.approx(0.3, abs=0.015)


def test_the_answer_rate_of_the_hour_is_kept() -> None:
    """Where half as many answered in the second half of the day, half as many answer in a replay, for a rule
    that dials twice as fast too."""
    world = replace(PLAIN, rate_changes=((4 * HOUR_S, 0.5),))
    _, log = recorded("progressive", 8.0, world)
    for rule in ("progressive", "power:ratio=2"):
        found = replayed(log, rule)
        early, late = found.between(0, 3.8 * HOUR_S), found.between(4.2 * HOUR_S, 8 * HOUR_S)
        assert early.live / early.dials == pytest.approx(0.3, abs=0.03)
        assert late.live / late.dials == pytest.approx(0.15, abs=0.03)


def test_agents_are_on_duty_when_they_were() -> None:
    """Breaks of a third of the time are in the replay too: the time on duty is that of the past."""
    world = replace(PLAIN, break_after_s=1200.0, break_s=600.0)
    truth, log = recorded("progressive", 8.0, world)
    assert truth.total.duty_s < 0.8 * 10 * 8 * HOUR_S
    found = replayed(log, "progressive")
    assert found.total.duty_s == pytest.approx(truth.total.duty_s, rel=0.03)
    assert found.total.occupancy == pytest.approx(truth.total.occupancy, abs=0.02)


def test_nobody_is_called_where_nobody_was() -> None:
    """An hour in which no agent was there has no answers in a replay, but for the first minutes of it."""
    _, log = recorded("progressive", 8.0)
    noon, one = 12.0 * HOUR_S, 13.0 * HOUR_S
    there = tuple(each for each in log.stretches if each.until_s < noon or each.from_s > one)
    found = replayed(replace(log, stretches=there), "power:ratio=2")
    assert found.total.duty_s == pytest.approx(10 * 7 * HOUR_S, rel=0.02)
    assert found.total.worked_s < 7.3 * HOUR_S
    assert not any(noon + 600 < at < one for at, _ in found.settled)


# -- by hand -------------------------------------------------------------------------------------------------


def unanswered(at_s: float, **more: Any) -> PastDial:
    """A dial that rang out."""
    return PastDial(at_s, Became.UNANSWERED, 25.0, 1.5)._replace(**more)


def person(at_s: float, **more: Any) -> PastDial:
    """A dial that somebody answered after 10 s, with an agent at once."""
    return PastDial(at_s, Became.PERSON, 10.0, 1.5, joined_s=0.1, talk_s=60.0, wrap_s=9.0)._replace(**more)


def log_of(*dials: PastDial, stretches: tuple[Stretch, ...] = ()) -> Log:
    """A log of these."""
    ready = (Stretch(7, "ready", 0.0, 40_000.0),)
    return Log(FIRST_DAY, UTC, tuple(sorted(dials)), stretches or ready)


def dealt(log: Log, count: int, *, at_s: float = 0.0, seed: int = 1) -> list[Fate]:
    """The first fates that are dealt at that moment."""
    source = Replayed(log, world_of(log), seed)
    source._worked_s = at_s
    found = []
    for _ in range(count):
        lead = source.lead()
        assert lead is not None
        found.append(source.fate(lead, at_s))
    return found


def test_each_recorded_dial_is_dealt_once_before_any_is_again() -> None:
    """A quarter of an hour's dials come in their order, from a place that the seed decides, then again."""
    log = log_of(*(person(2.0 * n, talk_s=float(n)) for n in range(300)))
    first = [one.talk_s for one in dealt(log, 600)]
    assert sorted(talk or 0.0 for talk in first[:300]) == [float(n) for n in range(300)]
    assert first[300:] == first[:300]
    at = first.index(0.0)
    assert first[at : at + 50] == [float(n) for n in range(50)]
    assert dealt(log, 600) == dealt(log, 600)
    assert [one.talk_s for one in dealt(log, 600, seed=2)] != first


def test_where_dials_are_few_the_nearest_of_the_day_are_dealt() -> None:
    """A quarter of an hour with ten dials takes in the nearest others until there are enough."""
    log = log_of(*(person(90.0 * n, talk_s=float(n)) for n in range(400)))
    cell = 20
    talks = {one.talk_s for one in dealt(log, 500, at_s=(cell + 0.5) * CELL_S)}
    middle = (cell + 0.5) * 10
    assert len(talks) == LEAST_DEALT
    assert max(abs(float(talk or 0) - middle) for talk in talks) <= LEAST_DEALT / 2 + 1


def test_a_day_of_few_dials_takes_them_from_the_same_hour_of_others() -> None:
    """Thirty dials on the second day: the others come from around the same hour of the first, not from its
    evening, which is nearer in time."""
    day = 86_400.0
    first = [person(60.0 * n, talk_s=float(n)) for n in range(1000)]
    second = [person(day + 6 * HOUR_S + 60.0 * n, talk_s=5000.0 + n) for n in range(30)]
    log = log_of(*first, *second, stretches=(Stretch(1, "ready", 0.0, 2 * day),))
    # The campaign worked for 16 h 40 min on the first day, until the last dial was over.
    worked_s = 999 * 60.0 + 10.0 + 60.0
    talks = {one.talk_s or 0.0 for one in dealt(log, 500, at_s=worked_s)}
    assert {talk for talk in talks if talk >= 5000} == {5000.0 + n for n in range(30)}
    others = [talk for talk in talks if talk < 5000]
    assert len(others) == LEAST_DEALT - 30
    assert min(others) > 300
    assert max(others) < 440


def test_a_call_that_was_taken_back_goes_on_as_those_did_that_rang_as_long() -> None:
    """Of those that had not ended after 15 s two in three were answered, after 20 s; so are two in three of
    those that were taken back then. What ended earlier, and how, does not count."""
    early = [person(1.0 * n, after_s=5.0) for n in range(200)]
    late = [person(200.0 + n, after_s=20.0) for n in range(100)]
    late += [unanswered(300.0 + n) for n in range(50)]
    back = [PastDial(350.0 + n, Became.TAKEN_BACK, 15.0, 1.5) for n in range(300)]
    fates = dealt(log_of(*early, *late, *back), 650)
    answered = [one.answered_s for one in fates if one.answered_s is not None]
    assert answered.count(5.0) == 200
    assert answered.count(20.0) == pytest.approx(300, abs=35)
    assert len(fates) - len(answered) == pytest.approx(150, abs=35)


def test_what_nobody_outlasted_rings_out() -> None:
    """Taken back later than any known call ended: it is taken to ring until the time-out."""
    log = log_of(*(person(1.0 * n) for n in range(100)), PastDial(100.0, Became.TAKEN_BACK, 20.0, 1.0))
    (rang,) = [one for one in dealt(log, 101) if one.answered_s is None]
    assert rang.ended_s == 25.0


def test_an_abandoned_customer_would_have_talked_as_others_did() -> None:
    """The talk of who had no agent is one of those around then; who left early stays if served in time."""
    talks = [person(1.0 * n, talk_s=30.0 + n) for n in range(100)]
    lost = [PastDial(100.0 + n, Became.PERSON, 10.0, 1.5, abandoned=True) for n in range(50)]
    gone = [PastDial(150.0 + n, Became.PERSON, 10.0, 1.5, left_s=1.2) for n in range(50)]
    fates = dealt(log_of(*talks, *lost, *gone), 200)
    assert all(one.talk_s is not None and 30 <= one.talk_s < 130 and one.wrap_s == 9.0 for one in fates)
    assert sum(one.hang_up_s == 1.2 for one in fates) == 50


def test_machines_are_dealt_as_machines() -> None:
    """Who was taken for a machine is that again, after the time that it took."""
    log = log_of(
        *(person(1.0 * n) for n in range(100)),
        *(PastDial(100.0 + n, Became.MACHINE, 8.0, 1.0, detect_s=2.5) for n in range(20)),
    )
    machines = [one for one in dealt(log, 120) if one.machine]
    assert len(machines) == 20
    assert {(one.answered_s, one.detect_s, one.taken_for_machine) for one in machines} == {(8.0, 2.5, True)}


def test_who_left_after_a_call_had_wished_to_in_its_middle() -> None:
    """A stay that ends with a wrap-up ends in the middle of its call; one that ends out of readiness ends
    there. Agents' numbers begin at 0, gaps part stays."""
    stretches = (
        Stretch(4, "ready", 0.0, 100.0),
        Stretch(4, "reserved", 100.0, 101.0),
        Stretch(4, "talking", 101.0, 160.0),
        Stretch(4, "wrap_up", 160.0, 180.0),
        Stretch(4, "ready", 300.0, 400.0),
        Stretch(9, "ready", 0.0, 350.0),
    )
    dials = [person(10.0 * n) for n in range(60)]
    stays = roster_of(log_of(*dials, stretches=stretches)).stays
    assert stays == ((0, 0.0, 140.0), (0, 300.0, 400.0), (1, 0.0, 350.0))


def test_time_in_which_the_campaign_did_not_dial_is_nobodys_duty() -> None:
    """An hour without any call is cut out of the agents' time, as is what came before and after; a long talk
    is not such a time."""
    dials = [*(unanswered(100.0 + 30 * n) for n in range(10)), person(400.0, talk_s=900.0)]
    dials += [unanswered(1400.0), *(unanswered(5000.0 + 30 * n) for n in range(10))]
    duty = log_of(*dials).on_duty()
    assert [(one.from_s, one.until_s) for one in duty] == [(100.0, 1425.0), (5000.0, 5295.0)]


# -- what is asked for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rule", "limits", "ratio"),
    [
        ("progressive", "progressive", Limits(0.03), None),
        ("predictive", "predictive", Limits(0.03), None),
        (" predictive:target=0.01 ", "predictive", Limits(0.01), None),
        ("predictive:drop-after=15,target=0.02", "predictive", Limits(0.02, drop_after_s=15.0), None),
        ("predictive:long-run", "predictive", Limits(0.03, long_run=True), None),
        ("power:ratio=1.5", "power", Limits(0.03), 1.5),
    ],
)
def test_a_setting_is_a_rule_with_what_it_is_set_to(
    text: str, rule: str, limits: Limits, ratio: float | None
) -> None:
    """RULE, or RULE:NAME=VALUE,...; the limit is the policy's where none is named."""
    found = setting_of(text, 0.03, 15.0)
    assert (found.name, found.rule, found.terms) == (text.strip(), rule, Terms(limits, ratio))
    assert setting_of(name_of(rule, found.terms), 0.03, 15.0).terms == found.terms


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("magic", "there is no rule 'magic'; there are predictive,"),
        ("answers-known", "a log cannot"),
        ("predictive:target=3", "target is above 0 and at most 1, not 3"),
        ("predictive:target=much", "target needs a number"),
        ("predictive:target", "target needs a number"),
        ("predictive:drop-after=5", "the policy asks for 15 s of ringing"),
        ("progressive:drop-after=20", "takes no ringing call back"),
        ("progressive:target=0.01", "is told no target"),
        ("predictive:ratio=2", "takes no ratio; power, ratio, boost do"),
        ("predictive:speed=9", "there is no 'speed=9'; there are target, drop-after, ratio and long-run"),
    ],
)
def test_a_wrong_setting_is_named(text: str, said: str) -> None:
    """The option, what was written, and what would do."""
    with pytest.raises(Invalid) as error:
        setting_of(text, 0.03, 15.0)
    assert str(error.value).startswith(f"--compare {text}: ")
    assert said in str(error.value)


def test_without_wishes_the_usual_settings_are_compared() -> None:
    """What the campaign has, one call an agent, predictive at the limit and at one per cent; each once."""
    own = Setting("predictive:target=0.03", "predictive", Terms(Limits(0.03)), own=True)
    assert [(one.name, one.own) for one in settings_of((), own, 0.03, 15.0)] == [
        ("predictive:target=0.03", True),
        ("progressive", False),
        ("predictive:target=0.01", False),
    ]
    assert settings_of((), None, 0.03, 15.0)[0].name == "progressive"
    (only,) = settings_of(("progressive",), OWN, 0.03, 15.0)
    assert only.own


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dials": 150}, f"has 150 dials whose end is known; {LEAST_DIALS} are needed: choose a longer span"),
        ({"talks": 12}, "has 12 talks; 30 are needed"),
        ({"agents": 0}, "has no times of agents who were ready for it while it dialled"),
    ],
)
def test_too_little_to_replay_is_said(change: dict[str, int], said: str) -> None:
    """How much there is, how much is needed, and how to mend it."""
    has = {"dials": 250, "talks": 100, "agents": 1} | change
    dials = [person(1.0 * n) if n < has["talks"] else unanswered(1.0 * n) for n in range(has["dials"])]
    dials += [PastDial(1.0 * n, Became.TAKEN_BACK, 15.0) for n in range(60)]
    log = log_of(*dials)
    log = log if has["agents"] else replace(log, stretches=())
    with pytest.raises(Invalid, match="campaign 3") as error:
        enough(log, "campaign 3")
    assert said in str(error.value)


def test_what_was_and_what_would_have_been_stand_side_by_side() -> None:
    """Each setting has its figures with the same names as the past, and a line in the plot."""
    _, log = recorded("progressive", 8.0)
    said = list[str]()
    texts = ("progressive", "power:ratio=2")
    found = compare(log, settings_of(texts, OWN, 0.03, 15.0), runs=2, say=said.append)
    first, second = found.figures()
    assert (first["name"], first["own"], second["own"]) == ("progressive", True, False)
    assert second["occupancy"] > first["occupancy"] > 0.5
    assert set(found.past_figures()) <= set(first)
    assert found.past_figures()["dials"] == len(log.dials)
    assert said == ["replayed: progressive", "replayed: power:ratio=2"]
    assert second["seeds"] == [1, 2]
    assert summary([found.each["power:ratio=2"][0]])["occupancy"] != second["occupancy"]
    root = ET.fromstring(found.plot("a <title>"))
    name = "{http://www.w3.org/2000/svg}"
    lines = list(root.iter(f"{name}polyline"))
    # Hours of the day: the eight from nine on, and the one in which the last calls end.
    assert [len(line.attrib["points"].split()) for line in lines] == [9, 9, 9]
    assert any((one.text or "").startswith("what was: 6") for one in root.iter(f"{name}text"))
    assert list(islice((one.text for one in root.iter(f"{name}title")), 1)) == ["a <title>"]
