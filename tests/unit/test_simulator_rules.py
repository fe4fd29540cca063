"""The rules that can be simulated: what other dialers' do by their descriptions, and what bounds ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dialer.errors import Invalid
from dialer.pacing.simulator.figures import Minute
from dialer.pacing.simulator.pacer import Call, Seat
from dialer.pacing.simulator.planned import Limits
from dialer.pacing.simulator.rivals import Adaptive, Boost, FixedRatio, Gamma, NearlyDone
from dialer.pacing.simulator.rules import RULES, Terms, make
from dialer.pacing.simulator.runs import Job, run
from dialer.pacing.simulator.world import Fate, Lead, World

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Floor:
    """A moment that is set by hand."""

    def __init__(self, *, ready: int = 0, talking: int = 0, ringing: int = 0, waiting: int = 0) -> None:
        self.now = 0.0
        self.world = World()
        seats = [Seat(number, START) for number in range(ready + talking)]
        for seat in seats:
            seat.state = "ready" if seat.number < ready else "talking"
        self.seats: Sequence[Seat] = seats
        self.ready: Mapping[int, Seat] = {seat.number: seat for seat in seats if seat.state == "ready"}
        calls = [
            call(number, "ringing" if number < ringing else "waiting") for number in range(ringing + waiting)
        ]
        self.calls: Mapping[int, Call] = {one.number: one for one in calls}
        self.waiting: Mapping[int, Call] = {one.number: one for one in calls if one.state == "waiting"}
        self.talking = talking
        self.staffed = len(seats)
        self.lines_left = 1000
        self.leads_left = None

    @property
    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def next_leads(self) -> Iterable[Lead]:
        return ()


def call(number: int = 0, state: str = "ringing", dialled_s: float = 0.0) -> Call:
    """A call under way."""
    made = Call(number, Lead(1.0, None), Fate(1.0, None, 26.0), dialled_s, START)
    made.state = state
    return made


def test_a_fixed_ratio_counts_talks_as_lines() -> None:
    """Ten agents at 1.5 lines: fifteen lines, of which six talk and four ring."""
    assert FixedRatio(1.5).decide(Floor(ready=4, talking=6, ringing=4)).dial == 5


@pytest.mark.parametrize(("ready", "ringing", "dial"), [(3, 0, 7), (3, 5, 2), (3, 9, 0), (0, 0, 0)])
def test_boost_multiplies_free_agents(ready: int, ringing: int, dial: int) -> None:
    """Free agents times 2.5, rounded down, less what is under way."""
    assert Boost(2.5).decide(Floor(ready=ready, talking=3, ringing=ringing)).dial == dial


def test_an_adaptive_level_rises_with_free_agents() -> None:
    """Four of ten free: the level is 1.4 after one look and 1.96 after the next, 15 s later."""
    rule, floor = Adaptive(0.03, hard=False), Floor(ready=4, talking=6)
    assert rule.decide(floor).dial == 14 - 6
    floor.now = 14.0
    assert rule.decide(floor).dial == 14 - 6
    floor.now = 15.0
    assert rule.decide(floor).dial == 20 - 6
    # Three is the most.
    for floor.now in (30.0, 45.0, 60.0, 75.0):
        dial = rule.decide(floor).dial
    assert dial == 30 - 6


@pytest.mark.parametrize(("hard", "dial"), [(True, 10 - 6), (False, 15 - 6)])
def test_an_adaptive_level_is_cut_when_the_day_is_over_its_limit(hard: bool, dial: int) -> None:
    """At the level 3, one drop in ten answers: the hard limit goes to 1, the average to its half."""
    rule, floor = Adaptive(0.03, hard=hard), Floor(ready=4, talking=6)
    for floor.now in (0.0, 15.0, 30.0, 45.0):
        rule.decide(floor)
    for abandoned in [True] + [False] * 9:
        rule.settled(floor, abandoned)
    floor.now = 60.0
    assert rule.decide(floor).dial == dial


def test_an_adaptive_level_counts_free_agents_only_where_it_is_told() -> None:
    """Four free agents at the level 1.4: 6 calls, whatever the others do."""
    assert Adaptive(0.03, hard=False, ready_only=True).decide(Floor(ready=4, talking=6)).dial == 6


def taught(rule: NearlyDone | Gamma, *, talk_s: float, answer_s: float, answers: int, failures: int) -> None:
    """It has seen so many talks and calls."""
    floor = Floor()
    floor.now = answer_s
    for _ in range(answers):
        rule.answered(floor, call())
        rule.talk_ended(floor, Seat(0, START), talk_s)
    for _ in range(failures):
        rule.unanswered(floor, call())


def test_nearly_done_counts_talks_that_are_most_likely_over() -> None:
    """Mean talk 100 s, mean answer 15 s: 1 - exp(-(age + 15) / 100) is 0.97 at 335.7 s."""
    rule = NearlyDone()
    taught(rule, talk_s=100.0, answer_s=15.0, answers=10, failures=10)
    floor = Floor(ready=1, talking=2)
    floor.now = 335.0
    assert rule.decide(floor).dial == 1
    floor.now = 336.0
    assert rule.decide(floor).dial == 3


@pytest.mark.parametrize(("answers", "failures", "dial"), [(10, 10, 8), (10, 90, 20)])
def test_overcommit_divides_by_the_answer_rate(answers: int, failures: int, dial: int) -> None:
    """Four free agents, half of the calls answered: eight calls; a rate under 0.2 counts as 0.2."""
    rule = NearlyDone(overcommit=True)
    taught(rule, talk_s=100.0, answer_s=15.0, answers=answers, failures=failures)
    assert rule.decide(Floor(ready=4)).dial == dial


@pytest.mark.parametrize(
    ("drops", "gamma"),
    [
        ([[0]] * 20, 1.0),
        ([[1]], 0.2),
        # 0.1 x 0.9 ** 14 = 2.288 %: 1 - 0.8 x (2.288 - 1.5) / 1.5
        ([[1]] + [[0]] * 14, 0.58),
        # One of four within a look: 0.1 x 0.25 = 2.5 %; a look without an answer leaves it.
        ([[0, 1, 0, 0], []], 0.467),
    ],
)
def test_gamma_falls_with_the_drop_rate(drops: list[list[int]], gamma: float) -> None:
    """1 up to 1.5 %, 0.2 at 3 % and above, a line between; what came since the last look weighs 0.1."""
    rule = Gamma(0.03)
    for look in drops:
        for drop in look:
            rule.settled(Floor(), bool(drop))
        rule.decide(Floor())
    assert rule.gamma() == pytest.approx(gamma, abs=0.001)


def test_gamma_begins_with_one_call_an_agent() -> None:
    """Before its first fifty answers it dials for free agents alone."""
    rule = Gamma(0.03)
    taught(rule, talk_s=100.0, answer_s=15.0, answers=49, failures=100)
    assert rule.decide(Floor(ready=3, talking=5, ringing=1)).dial == 2


# -- all of them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(RULES) - {"predictive", "release-known", "answers-known"}))
def test_every_rule_keeps_agents_busier_than_nothing(name: str) -> None:
    """A short run of each: calls are answered, agents talk, no figure leaves its bounds."""
    found = run(Job(name, World(agents=6), hours=0.5))
    assert 0.3 < found.total.occupancy <= 1
    assert 0 <= found.total.abandon_rate < 0.5


#: Occupancy in percent at 3 %, ten agents, as measured elsewhere.
MEASURED = {
    ("adaptive", 0.2): 57, ("adaptive", 0.4): 74, ("adaptive", 0.8): 87,
    ("adaptive-idle", 0.2): 74, ("adaptive-idle", 0.4): 76, ("adaptive-idle", 0.8): 88,
}  # fmt: skip


@pytest.mark.parametrize(("name", "rate"), MEASURED)
def test_adaptive_levels_come_to_what_was_measured_elsewhere(name: str, rate: float) -> None:
    """The adaptive level, with all agents and with free ones only: within two points, near its limit."""
    found = run(Job(name, World(answer_rate=rate), hours=16)).total
    assert 100 * found.occupancy == pytest.approx(MEASURED[name, rate], abs=2.5)
    assert found.abandon_rate == pytest.approx(0.03, abs=0.01)


#: Ten minutes of warm-up are enough to see that a rule works.
SHORT = World(warm_up_s=600.0)
LONG_RUN = Terms(Limits(0.03, long_run=True))


@pytest.fixture(scope="module")
def predictive() -> Minute:
    """Half an hour of it."""
    return run(Job("predictive", SHORT, LONG_RUN, hours=0.5)).total


def test_predictive_is_far_busier_than_one_call_an_agent(predictive: Minute) -> None:
    """Ten agents: 75 % and more where one call an agent gives 68, with few abandoned."""
    assert predictive.occupancy > 0.75
    assert predictive.abandon_rate < 0.06


def test_who_knows_more_is_busier(predictive: Minute) -> None:
    """Predictive that is told who will answer is busier, with fewer dials, at the same limit."""
    told = run(Job("answers-known", SHORT, LONG_RUN, hours=0.5)).total
    assert told.occupancy > predictive.occupancy + 0.02
    assert told.dials < predictive.dials / 2


def test_release_times_can_be_known() -> None:
    """The bound of known ends of talks is busier than progressive too."""
    assert run(Job("release-known", SHORT, LONG_RUN, hours=0.3)).total.occupancy > 0.72


@pytest.mark.parametrize(
    ("name", "terms", "field"),
    [("none", Terms(), "--rule"), ("progressive", Terms(ratio=2.0), "--ratio")],
)
def test_a_wrong_rule_says_what_there_is(name: str, terms: Terms, field: str) -> None:
    """An unknown rule, or a ratio for a rule that takes none, names the option."""
    with pytest.raises(Invalid) as error:
        make(name, World(), terms)
    assert error.value.details["field"] == field


def test_all_that_was_learned_can_be_lost() -> None:
    """Predictive goes on after its estimates are reset, within bounds."""
    world = World(agents=5, warm_up_s=0.0)
    job = Job("predictive", replace(world, resets=(300.0,)), hours=0.25)
    found = run(job)
    assert found.total.occupancy > 0.4
    assert found != run(replace(job, world=world))
