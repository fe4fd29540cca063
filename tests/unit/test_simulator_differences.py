"""Simulated agents and leads who differ from each other, and what predictive learns of them."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

import pytest

from dialer.pacing.budget import ALLOWANCE_ANSWERS, FIRST_PRICE, GAIN
from dialer.pacing.simulator import lists
from dialer.pacing.simulator.centre import Centre
from dialer.pacing.simulator.pacer import Seat, View
from dialer.pacing.simulator.planned import Limits, Predictive
from dialer.pacing.simulator.world import HOUR_S, Drawn, World, habits
from dialer.pacing.stretches import AS_ALL, HALF_LIFE, STEP

#: The deviation of the logarithm of the reference's talks and wrap-ups, by their coefficients of variation.
SIGMA_TALK, SIGMA_WRAP = (math.sqrt(math.log1p(cv * cv)) for cv in (1.0, 0.5))


class Watched(Predictive):
    """Predictive that counts the talks of each agent."""

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)
        self.talks = Counter[int]()

    def talk_ended(self, view: View, seat: Seat, talk_s: float) -> None:
        self.talks[seat.number] += 1
        super().talk_ended(view, seat, talk_s)


def centre(world: World, rule: Predictive, hours: float, seed: int = 1) -> Centre:
    """It with that rule."""
    return Centre(world, Drawn(world, seed, hours * HOUR_S), rule, hours, seed)


# -- agents ------------------------------------------------------------------------------------------------


def test_agents_differ_around_the_worlds_means() -> None:
    """Each has factors of its own, whose mean over all is 1; a world of alike agents has none."""
    drawn = habits(World(agents=400, agents_cv=0.5), 1)
    for each in ([one.talk for one in drawn], [one.wrap for one in drawn]):
        assert sum(each) / 400 == pytest.approx(1.0)
        assert (sum((x - 1) ** 2 for x in each) / 400) ** 0.5 == pytest.approx(0.5, abs=0.08)
    assert habits(World(agents=400, agents_cv=0.5), 1) == drawn
    assert set(habits(World(agents=3), 1)) == {(1.0, 1.0)}


@pytest.fixture(scope="module")
def differing() -> Watched:
    """Two and a half hours of eight agents who differ strongly, with what was learned of them."""
    world = World(agents=8, agents_cv=0.8, warm_up_s=600.0)
    rule = Watched(world, Limits())
    found = centre(world, rule, 2.5)
    found.run()
    live, lost = found.ledger.live, found.ledger.abandoned
    assert live >= ALLOWANCE_ANSWERS
    assert lost <= (0.03 + 0.005) * live
    return rule


def test_what_is_learned_of_agents_is_what_they_are(differing: Watched) -> None:
    """The tempo of each comes out as it was drawn, as near as so many talks tell."""
    known, truth = differing.learner.knowledge(), habits(World(agents=8, agents_cv=0.8), 1)
    # So many talks that are not forgotten.
    counts = {n: sum(0.5 ** (i / HALF_LIFE) for i in range(count)) for n, count in differing.talks.items()}
    assert len(counts) == 8
    for kind, sigma in ((0, SIGMA_TALK), (1, SIGMA_WRAP)):
        logs = {n: math.log(truth[n][kind]) for n in counts}
        mean = sum(counts[n] * logs[n] for n in counts) / sum(counts.values())
        learned = []
        for n, count in counts.items():
            steps = known.laws.tempos[known.agents[n]][kind]
            expected = (logs[n] - mean) * count / (count + AS_ALL)
            # Laws are renewed after some more talks, and steps are rounded.
            chance = 3.5 * sigma / math.sqrt(count) + 0.05
            assert steps * math.log(STEP) == pytest.approx(expected, abs=chance + math.log(STEP) / 2)
            learned.append((steps, logs[n]))
        assert max(learned)[1] > min(learned)[1] + 0.5


def test_all_agents_can_be_taken_for_alike() -> None:
    """Without the laws of each there is nothing to tell them apart by, and one law of all."""
    world = World(agents=3, agents_cv=0.8, warm_up_s=0.0)
    rule = Predictive(world, Limits(each_agent=False))
    centre(world, rule, 0.3).run()
    known = rule.learner.knowledge()
    assert not known.agents
    assert known.laws.tempos == ((0, 0),)
    assert known.laws.talk.prior < 1


# -- leads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "strength"), [(0.3, 1.0), (0.2, 2.0), (0.8, 0.5)])
def test_a_list_of_leads_that_differ_has_the_answer_rate(rate: float, strength: float) -> None:
    """The mean over the list is the world's; the same traits have the same chance."""
    rng, chances = random.Random(1), list[float]()
    by_traits = dict[object, float]()
    for _ in range(20_000):
        known, chance = lists.draw(rng, rate, strength)
        assert by_traits.setdefault(known, chance) == chance
        chances.append(chance)
    assert sum(chances) / len(chances) == pytest.approx(rate, abs=0.01)
    assert len(by_traits) == math.prod(map(len, lists.TRAITS.values()))


def test_what_a_trait_does_is_learned_from_dials() -> None:
    """Told the kind, the attempts and the hour and nothing more: after two hours most of what leads differ
    by is known."""
    world = World(traits=1.5, traits_known=True, warm_up_s=0.0)
    rule, rng = Predictive(world, Limits(long_run=True)), random.Random(2)
    centre(world, rule, 2.0).run()
    drawn = [lists.draw(rng, world.answer_rate, world.traits) for _ in range(2000)]
    wrong = sum((rule.learner.answer_probability(known) - chance) ** 2 for known, chance in drawn)
    differ = sum((world.answer_rate - chance) ** 2 for _, chance in drawn)
    assert wrong < 0.25 * differ


def test_only_who_may_know_is_told() -> None:
    """The same leads, whether the rule is told nothing, the traits or the chance."""
    plain = World(traits=1.0)
    worlds = (plain, replace(plain, traits_known=True), replace(plain, kinds_known=True))
    lists_of = [[Drawn(world, 1, 0.0).lead() for _ in range(5)] for world in worlds]
    told = []
    for leads in zip(*lists_of, strict=True):
        nothing, traits, chance = (lead for lead in leads if lead is not None)
        assert nothing.factor == traits.factor == chance.factor
        told += [(bool(one.traits), one.told is not None) for one in (nothing, traits, chance)]
    assert told == [(False, False), (True, False), (False, True)] * 5


def test_lines_that_are_full_are_no_reason_to_risk_more() -> None:
    """Two lines for five agents: nobody is abandoned, and yet the price of a risk stays where it began, as in
    the engine; else it had risen by half and more."""
    world = World(agents=5, warm_up_s=0.0, lines=2)
    rule = Predictive(world, Limits(long_run=True))
    found = centre(world, rule, 2.0)
    found.run()
    ledger, state = found.ledger, rule.snapshot(found).budget
    assert ledger.abandoned == 0
    assert math.exp(GAIN * 0.03 * ledger.live) > 1.5
    assert state is not None
    assert state.price < 1.1 * 0.03 * FIRST_PRICE
