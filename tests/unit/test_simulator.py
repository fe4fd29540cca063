"""The simulated contact centre against what can be reckoned by hand or by a formula."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dialer.pacing.model import DialMode
from dialer.pacing.simulator.centre import Centre
from dialer.pacing.simulator.figures import Run
from dialer.pacing.simulator.pacer import Call, Decision, Pacer, View
from dialer.pacing.simulator.planned import Planned
from dialer.pacing.simulator.runs import Job, run
from dialer.pacing.simulator.world import HOUR_S, RING, Absence, Drawn, Fate, Lead, Times, World

# -- against formulae ----------------------------------------------------------------------------------------


def normal_cdf(x: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def mean_ring_s(world: World) -> float:
    """The mean of a lognormal law that is cut off."""
    ((_, mean, cv),) = world.ring.parts
    sigma = math.sqrt(math.log(1 + cv * cv))
    cut = (math.log(world.ring_cut_s) - math.log(mean) + sigma**2 / 2) / sigma
    return mean * normal_cdf(cut - sigma) / normal_cdf(cut)


def renewal_occupancy(world: World) -> float:
    """One call an agent at a time: an agent's cycle is failed dials, the answered one, talk and wrap-up."""
    setup = sum(world.setup_s) / 2
    failed = world.busy_share * sum(world.busy_s) / 2
    failed += (1 - world.busy_share) * (setup + world.ring_cut_s)
    p = world.answer_rate
    idle = (1 - p) / p * failed + setup + mean_ring_s(world)
    return world.hold_s / (world.hold_s + idle)


@pytest.mark.parametrize(("rate", "reference"), [(0.2, 0.57), (0.3, 0.678), (0.4, 0.75), (0.8, 0.88)])
def test_progressive_is_as_busy_as_renewal_theory_says(rate: float, reference: float) -> None:
    """One call an agent: occupancy by the renewal reward theorem, and as was measured elsewhere; nobody is
    abandoned."""
    world = World(agents=40, answer_rate=rate)
    found = run(Job("progressive", world, hours=5))
    assert found.total.occupancy == pytest.approx(renewal_occupancy(world), abs=0.01)
    assert found.total.occupancy == pytest.approx(reference, abs=0.012)
    assert found.total.abandoned == 0
    assert found.lines_peak <= world.agents


class Poisson(Pacer):
    """Dials one at a time, at random, whatever happens."""

    on_change = False

    def __init__(self, a_second: float) -> None:
        self._rate, self._rng = a_second, random.Random(1)
        self.tick_s = 1.0

    def decide(self, view: View) -> Decision:
        self.tick_s = self._rng.expovariate(self._rate)
        return Decision(1)


def answered_at_a_rate(world: World, load: float, hours: float) -> Run:
    """All answer; the agents are offered so much work (mean number busy if there were enough)."""
    world = replace(world, answer_rate=1.0, day_h=24)
    pacer = Poisson(load / world.hold_s)
    return Centre(world, Drawn(world, 1, hours * HOUR_S), pacer, hours).run()


def erlang_b(load: float, agents: int) -> float:
    """Share of customers lost, by Erlang's recursion."""
    lost = 1.0
    for n in range(1, agents + 1):
        lost = load * lost / (n + load * lost)
    return lost


@pytest.mark.parametrize(("agents", "load"), [(2, 1.5), (6, 5.0)])
def test_customers_who_cannot_wait_are_lost_as_erlang_says(agents: int, load: float) -> None:
    """Answers at random, no waiting: Erlang's loss formula, whatever the talks; occupancy by Little."""
    found = answered_at_a_rate(World(agents=agents, slack_s=0.0), load, 300)
    lost = erlang_b(load, agents)
    assert found.total.abandon_rate == pytest.approx(lost, rel=0.05)
    assert found.total.occupancy == pytest.approx(load * (1 - lost) / agents, rel=0.03)


def test_one_agent_and_patient_customers_wait_as_pollaczek_and_khinchine_say() -> None:
    """M/G/1: the mean wait by the mean and the variance of the time that a customer takes."""
    world = World(agents=1, slack_s=1e9, talk=Times.of(10, 0.5), wrap=Times.of(5, 0.5))
    found = answered_at_a_rate(world, 0.6, 200)
    second_moment = 15**2 + 5**2 + 2.5**2
    expected = (0.6 / 15) * second_moment / (2 * (1 - 0.6))
    assert sum(found.waits_s) / len(found.waits_s) == pytest.approx(expected, rel=0.06)
    assert found.total.abandoned == 0


def test_lines_in_use_are_what_little_says() -> None:
    """Mean lines = dials a second x mean time in the air + agents who talk."""
    world = World(agents=40)
    found = run(Job("progressive", world, hours=4)).total
    setup = sum(world.setup_s) / 2
    p = world.answer_rate
    in_air = p * (setup + mean_ring_s(world))
    in_air += (1 - p) * (0.2 * 2.0 + 0.8 * (setup + world.ring_cut_s))
    expected = found.dials / found.worked_s * in_air + found.talk_s / found.worked_s
    assert found.lines_s / found.worked_s == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("law", [RING, Times(((0.8, 30, 0.5), (0.2, 480, 0.3)))])
def test_a_law_has_its_mean(law: Times) -> None:
    """What is drawn has the mean that the law names; a mixture's is that of its parts."""
    rng = random.Random(1)
    drawn = [law.draw(rng) for _ in range(40_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(law.mean_s, rel=0.03)


# -- by hand -------------------------------------------------------------------------------------------------


class Script:
    """A source that is written down: fates in the order of the dials, talks of 5 s, wrap-ups of 1 s."""

    def __init__(self, *fates: Fate, wrap_s: float = 1.0) -> None:
        self._fates, self._wrap_s = list(fates), wrap_s
        self._left = len(fates)

    def lead(self) -> Lead | None:
        self._left -= 1
        return Lead(1.0, None) if self._left >= 0 else None

    def fate(self, lead: Lead, worked_s: float) -> Fate:
        return self._fates.pop(0)

    def talk_s(self, fate: Fate) -> float:
        return 5.0

    def wrap_s(self, fate: Fate) -> float:
        return self._wrap_s

    def work_s(self) -> float:
        return 1e9


class AllAtOnce(Pacer):
    """Dials so many at the start, takes back what it is told to."""

    on_change = False

    def __init__(self, count: int, take_back: Sequence[tuple[float, int]] = ()) -> None:
        self.tick_s = 0.5
        self._count, self._take_back = count, list(take_back)
        self.talks: list[float] = []
        self.told: list[tuple[str, float]] = []

    def decide(self, view: View) -> Decision:
        dial, self._count = self._count, 0
        due = [number for at, number in self._take_back if at <= view.now and number in view.calls]
        return Decision(dial, due)

    def unanswered(self, view: View, call: Call) -> None:
        self.told.append(("unanswered", view.now))

    def machine(self, view: View, call: Call) -> None:
        self.told.append(("machine", view.now))

    def person(self, view: View, call: Call) -> None:
        self.told.append(("person", view.now))


def answer(at_s: float, **more: object) -> Fate:
    """Somebody answers then."""
    return replace_fate(Fate(1.0, at_s, 26.0), **more)


def replace_fate(fate: Fate, **more: object) -> Fate:
    """The same with other fields."""
    return fate._replace(**more)  # type: ignore[arg-type]


def played(world: World, *fates: Fate, wrap_s: float = 1.0, pacer: AllAtOnce | None = None) -> Run:
    """All fates dialled at once, to one agent but where the world says otherwise."""
    script = Script(*fates, wrap_s=wrap_s)
    return Centre(replace(world, warm_up_s=0.0, day_h=24), script, pacer or AllAtOnce(len(fates)), 0.1).run()


ONE = World(agents=1)


@pytest.mark.parametrize(
    ("world", "second", "live", "abandoned", "waits"),
    [
        # The first is answered at 10 s, the agent free again at 16 s.
        (ONE, answer(16.5), 2, 0, [0, 0]),
        (ONE, answer(14.5), 2, 0, [0, 1.5]),
        (ONE, answer(13.9), 2, 1, [0]),
        (replace(ONE, agents=2), answer(13.9), 2, 0, [0, 0]),
        # The transfer takes its part of the two seconds.
        (replace(ONE, transfer_s=0.2), answer(14.5), 2, 0, [0.2, 1.9]),
        (replace(ONE, transfer_s=0.3), answer(14.5), 2, 1, [0.3, 2.1]),
        # The clock starts when the greeting is over.
        (ONE, answer(12.0, greeting_s=2.1), 2, 0, [0, 4.0]),
        (ONE, answer(12.0, greeting_s=1.9), 2, 1, [0]),
        # Told late: the server's clock starts then.
        (ONE, answer(13.0, late_s=1.5), 2, 0, [0, 1.5]),
        # Whoever hangs up before the time is over was not abandoned, and had answered.
        (ONE, answer(13.0, hang_up_s=1.0), 2, 0, [0]),
        (ONE, answer(15.5, hang_up_s=1.0), 2, 0, [0, 0.5]),
    ],
)
def test_a_customer_is_served_or_abandoned_by_the_clock(
    world: World, second: Fate, live: int, abandoned: int, waits: list[float]
) -> None:
    """Two answers and one agent: who waits how long, and who is lost."""
    found = played(world, answer(10.0), second)
    assert (found.total.live, found.total.abandoned) == (live, abandoned)
    assert found.waits_s == pytest.approx(waits)


@pytest.mark.parametrize(
    ("fate", "unserved"),
    [
        (answer(16.5), 0),
        (answer(13.9), 1),
        # Served in time by the server's clock, after 3 s by the customer's.
        (answer(13.0, late_s=1.5), 1),
    ],
)
def test_the_customers_own_ear_is_counted_apart(fate: Fate, unserved: int) -> None:
    """A late answer signal hides silence from the server, not from the figures."""
    assert played(ONE, answer(10.0), fate).unserved == unserved


@pytest.mark.parametrize(
    ("fate", "told", "live", "unserved", "machines"),
    [
        (answer(10.0, detect_s=1.0), ("person", 11.0), 1, 0, 0),
        (answer(10.0, detect_s=1.0, taken_for_machine=True), ("machine", 11.0), 0, 1, 0),
        (answer(10.0, machine=True, detect_s=3.0, taken_for_machine=True), ("machine", 13.0), 0, 0, 0),
        (answer(10.0, machine=True, detect_s=3.0), ("person", 13.0), 0, 0, 1),
    ],
)
def test_answers_are_listened_to(
    fate: Fate, told: tuple[str, float], live: int, unserved: int, machines: int
) -> None:
    """A verdict comes after its time; a person taken for a machine is lost, a machine taken for a person
    costs an agent's time."""
    pacer = AllAtOnce(1)
    found = played(replace(ONE, detection=True), fate, pacer=pacer)
    assert pacer.told == [told]
    assert (found.total.live, found.unserved, found.machines_joined) == (live, unserved, machines)


def test_ends_of_calls_can_be_told_late() -> None:
    """Events late by 2 s: a call that was busy after 2 s is known to be so after 4."""
    pacer = AllAtOnce(1)
    played(replace(ONE, events_late_s=2.0), Fate(None, None, 2.0), pacer=pacer)
    assert pacer.told == [("unanswered", 4.0)]


def test_a_ringing_call_can_be_taken_back() -> None:
    """Taken back before its answer, it is none."""
    found = played(ONE, answer(20.0), pacer=AllAtOnce(1, take_back=[(15.0, 1)]))
    assert (found.total.live, found.cancelled, found.people) == (0, 1, 0)


def test_a_run_ends_with_its_list() -> None:
    """Three leads, all dialled: the list was used up at the start, the run ends with the last wrap-up."""
    found = played(replace(ONE, agents=3), answer(10.0), answer(12.0), Fate(1.0, None, 26.0))
    assert found.list_ended_s == 0.0
    assert found.total.worked_s == pytest.approx(26.0)
    assert found.total.talk_s == pytest.approx(10.0)
    assert found.total.wrap_s == pytest.approx(2.0)


# -- the rest of the world -----------------------------------------------------------------------------------


def test_a_seed_decides_all() -> None:
    """The same seed gives the same run, another one another."""
    job = Job("power", World(agents=5), hours=1)
    assert run(job) == run(job)
    assert run(job) != run(replace(job, seed=2))


def test_nights_are_not_worked() -> None:
    """Two days of four hours: eight hours on duty for each agent, on two days of the calendar."""
    found = run(Job("power", World(agents=5, day_h=4), hours=8))
    assert found.total.duty_s == pytest.approx(5 * 8 * HOUR_S)
    assert {int(at // 86_400) for at, _ in found.settled} == {0, 1}


def test_agents_who_leave_are_not_called_upon() -> None:
    """All are away from minute 30 to 40: nothing is dialled and no talk begins; afterwards all are back."""
    world = World(agents=10, absences=(Absence(1800.0, 600.0, 1.0),))
    found = run(Job("progressive", world, hours=2))
    away = found.between(2100.0, 2340.0)
    assert (away.contacts, away.dials) == (0, 0)
    assert found.total.duty_s < 10 * (2 * HOUR_S - 500)
    assert found.between(3000.0, 7200.0).occupancy == pytest.approx(renewal_occupancy(world), abs=0.04)


def test_breaks_take_agents_out_of_the_pool() -> None:
    """An hour of work, then ten minutes of break: on duty six sevenths of the time, nearly."""
    world = World(agents=20, break_after_s=HOUR_S, break_s=600.0, day_h=24)
    found = run(Job("progressive", world, hours=20))
    # A break begins after the call that goes on when it is due.
    assert found.total.duty_s / (20 * 20 * HOUR_S) == pytest.approx(6 / 7, abs=0.02)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_answer_rate_changes_when_it_is_said(factor: float) -> None:
    """From the second hour on, so many times as many answer."""
    world = World(agents=40, rate_changes=((HOUR_S, factor),))
    found = run(Job("progressive", world, hours=2))
    before, after = found.between(0, HOUR_S), found.between(HOUR_S + 60, 2 * HOUR_S)
    assert before.live / before.dials == pytest.approx(0.3, abs=0.03)
    assert after.live / after.dials == pytest.approx(0.3 * factor, abs=0.03)


def test_bursts_keep_the_mean() -> None:
    """Answers in bursts: the rate goes up and down, its mean over time stays."""
    source = Drawn(World(burst=0.5), 1, 400 * HOUR_S)
    rates = [source.rate_factor(at * 10.0) for at in range(144_000)]
    assert set(rates) == {0.5, 1.5}
    assert sum(rates) / len(rates) == pytest.approx(1.0, abs=0.03)


def test_the_clock_that_a_rule_sees_is_set() -> None:
    """A step of the server's clock changes what `plan` is told, nothing else: progressive goes on alike."""
    plain = World(agents=5)
    stepped = replace(plain, clock_steps=((600.0, 3600.0), (1200.0, -7200.0)))
    assert run(Job("progressive", stepped, hours=1)) == run(Job("progressive", plain, hours=1))

    seen: list[float] = []

    class Watch(Planned):
        def decide(self, view: View) -> Decision:
            seen.append(view.wall.timestamp() - view.now)
            return super().decide(view)

    Centre(stepped, Drawn(stepped, 1, HOUR_S), Watch(DialMode.PROGRESSIVE), 1).run()
    assert {round(off - seen[0]) for off in seen} == {0, 3600, -3600}


def test_lines_bound_the_dials() -> None:
    """With four lines no more than four calls and talks are there at once."""
    assert run(Job("power", World(agents=10, lines=4), hours=1)).lines_peak == 4
