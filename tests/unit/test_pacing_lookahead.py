"""The rule of predictive dialling: what it dials, what it takes back, and why."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.pacing.answering import chance_of, log_odds
from dialer.pacing.budget import BudgetState
from dialer.pacing.laws import USUAL, Tempo
from dialer.pacing.learner import Learner
from dialer.pacing.model import AgentInPool, CallInAir, DialMode, Snapshot, plan
from dialer.pacing.tables import AGES, tables

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
#: Of so many dials that there is no doubt.
KNOWN = replace(Learner(answer_probability=0.3).knowledge(), dials=1e6)
#: Whatever its price would be.
SPENT = BudgetState(0.5, 0.027, spent="day")


def before(age_s: float) -> datetime:
    return NOW - timedelta(seconds=age_s)


def agents(
    *, ready: int = 0, talking: tuple[float, ...] = (), wrap_up: tuple[float, ...] = ()
) -> list[AgentInPool]:
    """Agents with the ages of their talks and wrap-ups."""
    states = [("ready", 30.0)] * ready
    states += [("talking", age) for age in talking] + [("wrap_up", age) for age in wrap_up]
    return [AgentInPool(UUID(int=n), state, before(age)) for n, (state, age) in enumerate(states)]


def ringing(*ages: float, chance: float | None = None) -> list[CallInAir]:
    """Calls dialled so long ago; the first sign of life came after a second and a half."""
    return [
        CallInAir(UUID(int=1000 + n), "ringing", before(age), chance, ringing_at=before(age - 1.5))
        for n, age in enumerate(ages)
    ]


def look(
    pool: list[AgentInPool], calls: list[CallInAir] | None = None, *, price: float = 0.05, lines: int = 100
) -> Snapshot:
    """A snapshot whose budget allows that price."""
    return Snapshot(
        mode=DialMode.PREDICTIVE,
        ratio=1.0,
        agents=pool,
        calls=calls or [],
        lines_left=lines,
        knowledge=KNOWN,
        budget=BudgetState(price, 0.03),
    )


def price_by_adding(pool: list[AgentInPool], calls: list[CallInAir], new: int, chance: float = 0.3) -> float:
    """The price of one more dial after `new` others, one term after another over the same tables."""
    table = tables(KNOWN.laws, 2.0)
    terms = []
    for agent in pool:
        rows = {"talking": table.talk[0], "wrap_up": table.wrap_up[0], "ready": table.talk[0] * 0}[
            agent.state
        ]
        age = (NOW - agent.since).total_seconds()
        terms.append(rows[max(n for n, low in enumerate(AGES) if low <= age)])
    for age in [(NOW - call.created_at).total_seconds() for call in calls] + [0.0] * new:
        b = int(age / table.step_s)
        still = chance * table.answer_left[b] + (1 - chance) * table.failure_left[b]
        terms.append(table.call[b] * chance / still)
    have = [np.ones_like(table.moments_s)] + [np.zeros_like(table.moments_s) for _ in terms]
    for term in terms:
        for k in range(len(terms), 0, -1):
            have[k] = have[k] * (1 - term) + have[k - 1] * term
        have[0] = have[0] * (1 - term)
    return float(table.weights[0] @ sum(have[len(pool) :], np.zeros_like(table.moments_s)))


def test_without_knowledge_or_budget_it_is_progressive() -> None:
    """What has learned nothing, or has no budget, dials one call for each ready agent."""
    whole = look(agents(ready=3, talking=(200.0,)), ringing(3.0), price=0.5)
    for part in (replace(whole, knowledge=None), replace(whole, budget=None)):
        assert plan(part, NOW) == plan(replace(part, mode=DialMode.PROGRESSIVE), NOW)
        assert plan(part, NOW).dial == 2


@pytest.mark.parametrize("price", [0.01, 0.05, 0.2, 0.6])
def test_it_dials_while_the_price_is_allowed(price: float) -> None:
    """Each call's price, with all before it, is allowed; that of one more is not."""
    pool = agents(ready=3, talking=(5.0, 40.0, 90.0, 200.0), wrap_up=(4.0, 12.0))
    calls = ringing(2.0, 6.5, 11.0, 14.0)
    decided = plan(look(pool, calls, price=price), NOW)
    prices = [price_by_adding(pool, calls, new) for new in range(decided.dial + 1)]
    assert prices[-1] == pytest.approx(decided.inputs["price"], abs=1e-9)
    assert prices[-1] > price
    assert decided.dial == 0 or prices[-2] <= price
    assert decided.why == ("within_budget" if decided.dial else "price_over")


@pytest.mark.parametrize("dials", [8, 20, 40])
def test_doubt_about_the_level_is_priced(dials: int) -> None:
    """With few dials behind it the price is the mean over what the level may be, by the answers at each."""
    pool, calls = agents(ready=4, talking=(50.0, 90.0)), ringing(3.0, 9.0)
    doubtful = replace(look(pool, calls), knowledge=replace(KNOWN, dials=float(dials)))
    decided = plan(doubtful, NOW)
    away = math.sqrt(3 / (dials * 0.3 * 0.7))
    lost = answers = 0.0
    for shift, weight in ((-away, 1 / 6), (0.0, 2 / 3), (away, 1 / 6)):
        chance = chance_of(log_odds(0.3) + shift)
        lost += weight * chance * price_by_adding(pool, calls, decided.dial, chance)
        answers += weight * chance
    assert decided.inputs["price"] == pytest.approx(lost / answers, rel=1e-6)
    assert price_by_adding(pool, calls, decided.dial) < decided.inputs["price"]
    assert decided.dial <= plan(look(pool, calls), NOW).dial


def test_free_agents_have_a_call_each_whatever_the_price() -> None:
    """Where no risk is allowed at all it is progressive: else nothing would be learned any more."""
    decided = plan(look(agents(ready=3, talking=(10.0,)), ringing(4.0), price=0.0), NOW)
    assert (decided.dial, decided.why) == (2, "free_agents")
    waiting = [CallInAir(UUID(int=1), "waiting", before(9), answered_at=before(1))]
    assert plan(look(agents(ready=1), waiting, price=0.0), NOW).dial == 0


def test_a_spent_budget_is_progressive_and_says_so() -> None:
    """Never more than a call for each free agent, never nothing at all for a free one."""
    pool = agents(ready=2, talking=(300.0,) * 8)
    free = plan(replace(look(pool), budget=SPENT), NOW)
    assert (free.dial, free.why) == (2, "budget_spent")
    none = plan(replace(look(pool, ringing(1.0, 2.0)), budget=SPENT), NOW)
    assert (none.dial, none.why) == (0, "budget_spent")


def test_a_single_agent_is_called_for_near_the_end_of_the_work() -> None:
    """One agent: nothing is dialled while the talk is young; near the end of a wrap-up it is."""
    assert plan(look(agents(talking=(3.0,))), NOW).dial == 0
    # Wrap-ups last 15 s with a deviation of 7: after 39 s one is as good as over before a call is answered.
    assert plan(look(agents(wrap_up=(39.0,)), price=0.25), NOW).dial >= 1
    assert plan(look(agents(talking=(39.0,)), price=0.25), NOW).dial == 0


def test_nobody_is_called_when_all_have_left() -> None:
    """Without agents nothing is dialled at any price; what rings is taken back after 15 s, if it may be."""
    calls = [*ringing(3.0, 16.0, 17.0, 20.0), CallInAir(UUID(int=7), "dialling", before(30))]
    gone = look([], calls, price=0.7)
    assert plan(gone, NOW).cancel == ()
    decided = plan(replace(gone, drop_after_s=15.0), NOW)
    # 17 and 20 s after the dial are 15.5 and 18.5 s of ringing, the youngest first.
    assert decided.cancel == (calls[2].attempt_id, calls[3].attempt_id)
    assert (decided.dial, decided.why) == (0, "no_agents")


def test_no_more_is_taken_back_than_is_at_risk() -> None:
    """With agents for all that may be answered nothing is taken back; with one, the youngest are."""
    calls = ringing(17.0, 17.2, 17.4, 17.6, 17.8, 18.0)
    many = replace(look(agents(ready=6), calls), drop_after_s=15.0)
    assert plan(many, NOW).cancel == ()
    # What is kept counts as before.
    allowed, never = (plan(one, NOW).inputs["price"] for one in (many, replace(many, drop_after_s=None)))
    assert allowed == pytest.approx(never)
    few = replace(look(agents(ready=1, talking=(5.0,) * 5), calls, price=0.02), drop_after_s=15.0)
    decided = plan(few, NOW)
    youngest_first = tuple(call.attempt_id for call in calls)
    assert 0 < len(decided.cancel) < 6
    assert decided.cancel == youngest_first[: len(decided.cancel)]
    assert decided.inputs["taken_back"] == len(decided.cancel)


def test_returned_agents_are_called_for_at_once() -> None:
    """A plan remembers nothing: agents who are back have a call each in the same look, and more by price."""
    assert plan(look([]), NOW).dial == 0
    assert plan(look(agents(ready=10)), NOW).dial > 10


def test_leads_that_will_answer_are_dialled_more_sparingly() -> None:
    """The chances of the very leads that come next decide, not the campaign's mean."""
    pool = look(agents(ready=8))
    likely = plan(replace(pool, next_leads=[0.9] * 40), NOW).dial
    mean = plan(pool, NOW).dial
    unlikely = plan(replace(pool, next_leads=[0.05] * 90), NOW).dial
    assert likely < mean < unlikely
    # Chances that are all the mean are no news.
    assert plan(replace(pool, next_leads=[0.3] * 3), NOW).dial == mean


def test_a_call_is_counted_by_its_own_chance_and_age() -> None:
    """What is likely to be answered soon leaves less room; what has rung out leaves all of it."""
    pool = agents(ready=6)
    unlikely = plan(look(pool, ringing(*[8.0] * 6, chance=0.05)), NOW).dial
    likely = plan(look(pool, ringing(*[8.0] * 6, chance=0.8)), NOW).dial
    assert likely < unlikely
    # Answers lie before 1.5 + 25 s, ends at 27.5: these will hardly be answered.
    old = plan(look(pool, ringing(*[38.0] * 6)), NOW)
    assert old.inputs["expected_answers"] < 0.2
    assert old.dial == plan(look(pool), NOW).dial


def test_the_age_of_talks_counts_only_if_it_may() -> None:
    """Behind its switch the age of a talk changes the price; without it does not."""
    young, old = agents(ready=1, talking=(1.0,) * 6), agents(ready=1, talking=(400.0,) * 6)

    def price(pool: list[AgentInPool], *, talk_age: bool) -> float:
        return plan(replace(look(pool, price=0.0), talk_age=talk_age), NOW).inputs["price"]

    assert price(young, talk_age=True) != price(old, talk_age=True)
    assert price(young, talk_age=False) == price(old, talk_age=False)


def test_who_is_slow_is_not_waited_for() -> None:
    """Agents known to wrap up longer than others leave less room, quick ones more; who is not known, and a
    knowledge of nobody, is as usual."""
    laws = replace(KNOWN.laws, tempos=(USUAL, Tempo(0, 6), Tempo(0, -4)))
    knows = replace(KNOWN, laws=laws, agents={1: 1, 2: 2})
    # After ten seconds of a wrap-up that usually lasts fifteen.
    pool = agents(ready=1, wrap_up=(10.0,) * 6)

    def price(agent_id: int | None) -> float:
        whose = [replace(agent, agent_id=agent_id) for agent in pool]
        return plan(replace(look(whose, price=0.0), knowledge=knows), NOW).inputs["price"]

    assert price(2) < price(None) < price(1)
    assert price(None) == price(3) == plan(look(pool, price=0.0), NOW).inputs["price"]
    reserved = [replace(agent, state="reserved") for agent in pool]
    pool = reserved
    assert price(2) < price(1)


def test_a_reserved_agent_is_about_to_talk() -> None:
    """An agent who was just given a call is as one whose talk begins now."""
    pool = agents(ready=2, talking=(60.0,) * 3)
    reserved, talking = ([*pool, AgentInPool(UUID(int=99), state, NOW)] for state in ("reserved", "talking"))
    price = plan(look(reserved, price=0.0), NOW).inputs["price"]
    assert price == plan(look(talking, price=0.0), NOW).inputs["price"]
    assert price > plan(look(agents(ready=3, talking=(60.0,) * 3), price=0.0), NOW).inputs["price"]


def test_who_has_picked_up_needs_an_agent_if_it_is_a_person() -> None:
    """A waiting customer is as good as a talk; one who is still listened to only as likely as people are."""
    pool = agents(ready=3, talking=(60.0,) * 3)
    call = CallInAir(UUID(int=1), "waiting", before(8), answered_at=before(1))
    machines = replace(KNOWN, person_probability=0.1)
    free = {
        state: plan(replace(look(pool, [replace(call, state=state)] * 3), knowledge=machines), NOW).dial
        for state in ("waiting", "screening")
    }
    assert free["waiting"] < free["screening"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_was_set_is_no_reason_to_dial(hours: int) -> None:
    """An hour forth or back makes calls as old as none: they still count as calls, and none is taken back."""
    pool, calls = agents(ready=1, talking=(60.0,) * 9), ringing(1.0, 4.0, 8.0, 12.0, 16.0, 20.0)
    seen = replace(look(pool, calls), drop_after_s=15.0)
    decided = plan(seen, NOW + timedelta(hours=hours))
    assert decided.cancel == ()
    # Six calls just dialled, answered with 0.3 each.
    assert decided.inputs["expected_answers"] == pytest.approx(6 * 0.3, abs=0.01)
    assert decided.dial == 0


@pytest.mark.parametrize(
    ("lines", "leads", "dial", "why"),
    [
        (100, 0, 0, "no_leads"),
        (0, None, 0, "no_lines"),
        (3, None, 3, "within_budget"),
        (100, 2, 2, "within_budget"),
    ],
)
def test_lines_and_leads_bound_it(lines: int, leads: int | None, dial: int, why: str) -> None:
    """No more is dialled than there are lines and leads, and it says which were missing."""
    decided = plan(replace(look(agents(ready=10), lines=lines), leads_left=leads), NOW)
    assert (decided.dial, decided.why) == (dial, why)


def test_many_terms_are_reckoned_nearly_as_exactly() -> None:
    """The price of a large team by the normal law is that by the exact sum, within a tenth of it."""
    pool = agents(ready=3, talking=tuple(float(age) for age in range(0, 280, 2)), wrap_up=(5.0,) * 20)
    near = plan(look(pool, ringing(*np.linspace(0, 26, 90).tolist()), price=0.0), NOW)
    with patch("dialer.pacing.lookahead.EXACT_TERMS", 10_000):
        exact = plan(look(pool, ringing(*np.linspace(0, 26, 90).tolist()), price=0.0), NOW)
    assert near.inputs["price"] == pytest.approx(exact.inputs["price"], rel=0.1)
    assert 0.02 < exact.inputs["price"] < 0.5


AGE = st.floats(0, 60)


@settings(deadline=None)
@given(
    ready=st.integers(0, 12),
    talking=st.lists(AGE, max_size=12),
    ages=st.lists(AGE, max_size=20),
    lines=st.integers(0, 30),
    price=st.floats(0, 0.7),
    spent=st.booleans(),
    drops=st.booleans(),
)
def test_no_plan_goes_over_its_bounds(
    ready: int, talking: list[float], ages: list[float], lines: int, price: float, spent: bool, drops: bool
) -> None:
    """Whatever it sees: within the lines, at least progressive, and only what has rung 15 s is taken back."""
    calls = ringing(*ages)
    seen = look(agents(ready=ready, talking=tuple(talking)), calls, price=price, lines=lines)
    if spent:
        seen = replace(seen, budget=SPENT)
    decided = plan(replace(seen, drop_after_s=15.0 if drops else None), NOW)
    floor = min(max(0, ready - len(calls)), lines)
    assert floor <= decided.dial <= lines
    if spent:
        assert decided.dial <= max(0, ready - len(calls) + len(decided.cancel))
    old = {call.attempt_id for call in calls if call.ringing_at is not None and call.ringing_at <= before(15)}
    assert set(decided.cancel) <= (old if drops else set())
    assert len(set(decided.cancel)) == len(decided.cancel)
    assert decided.why
    assert all(np.isfinite(list(decided.inputs.values())))


# -- agents whom other campaigns may use too ---------------------------------------------------------------


def test_calls_of_others_count_as_far_as_they_may_take_these_agents() -> None:
    """Others' calls that may take just these agents count as the campaign's own; those that take half of them
    elsewhere for less, those that never do for nothing."""
    pool, calls = agents(ready=2, talking=(30.0,) * 6), ringing(*[6.0] * 5)
    waiting = [CallInAir(UUID(int=1), "waiting", before(8), answered_at=before(1))]

    def price(mine: list[CallInAir], others: list[CallInAir], share: float = 1.0) -> float:
        others = [replace(call, takes=share) for call in others]
        return plan(replace(look(pool, mine, price=0.0), others=others), NOW).inputs["price"]

    for theirs in (calls, waiting):
        own, none = price(theirs, []), price([], [])
        assert price([], theirs) == pytest.approx(own)
        assert none < price([], theirs, 0.5) < own
        assert price([], theirs, 0.0) == pytest.approx(none)
    assert price(calls[:2], calls[2:]) == pytest.approx(price(calls, []))


def test_no_free_agent_is_dialled_for_twice() -> None:
    """Whatever the price, an agent for whom another campaign's call is in the air is not free any more; two
    that take half of theirs elsewhere stand for one."""
    theirs = ringing(2.0, 5.0)
    seen = replace(look(agents(ready=3), price=0.0), others=theirs)
    assert (plan(seen, NOW).dial, plan(seen, NOW).why) == (1, "free_agents")
    assert plan(replace(seen, budget=SPENT), NOW).dial == 1
    halves = replace(seen, others=[replace(call, takes=0.5) for call in theirs])
    assert plan(halves, NOW).dial == 2


def test_calls_of_others_are_never_taken_back() -> None:
    """Only its own calls are a campaign's to end."""
    mine, theirs = ringing(17.0, 18.0), [replace(call, attempt_id=UUID(int=9)) for call in ringing(19.0)]
    seen = replace(look([], mine), others=theirs, drop_after_s=15.0)
    assert plan(seen, NOW).cancel == tuple(call.attempt_id for call in mine)
