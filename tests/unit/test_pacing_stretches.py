"""How much longer one agent's durations are than another's."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest

from dialer.pacing.stretches import AS_ALL, HALF_LIFE, LEAST_S, MOST_STEPS, STEP, Stretches

#: Lognormal talks with a coefficient of variation of 1: the deviation of their logarithm.
SIGMA = math.sqrt(math.log(2))


def teach(stretches: Stretches, factors: Mapping[int, float], rounds: int, seed: int = 1) -> None:
    """So many talks of each agent in turn, so many times the usual."""
    rng = random.Random(seed)
    for _ in range(rounds):
        for agent, factor in factors.items():
            stretches.see(agent, factor * 100 * math.exp(rng.gauss(0, SIGMA)))


def test_nobody_differs_from_nobody() -> None:
    """Of an agent without talks nothing is known; a talk of nobody in particular is taken as it is."""
    stretches = Stretches()
    assert stretches.stretch(1) == 1.0
    assert stretches.see(None, 42.0) == 42.0
    assert not stretches.agents


def test_agents_are_told_apart() -> None:
    """Half, once and twice as long: after many talks it is known, whatever single talks were like."""
    stretches, factors = Stretches(), {1: 0.5, 2: 1.0, 3: 2.0}
    teach(stretches, factors, 600)
    # An exponential memory of half-life 100 has the noise of 289 that count alike, the mean of three agents
    # a third of its variance; the pull towards 1 is 10 in 154.
    for agent, factor in factors.items():
        pull = abs(math.log(factor)) * AS_ALL / (HALF_LIFE / math.log(2))
        assert math.log(stretches.stretch(agent)) == pytest.approx(
            math.log(factor), abs=pull + 3 * SIGMA * (4 / 3 / 289) ** 0.5
        )
    assert [stretches.steps(agent) for agent in factors] == [-3, 0, 3]


def test_few_talks_prove_little() -> None:
    """One talk that is ten times as long as all before makes its agent a tenth different at most."""
    stretches = Stretches()
    for _ in range(200):
        stretches.see(1, 100.0)
    stretches.see(2, 1000.0)
    assert 0 < math.log(stretches.stretch(2)) < math.log(10) / (1 + AS_ALL)
    assert abs(stretches.steps(2)) <= 1


def test_a_single_agent_is_the_campaign() -> None:
    """Where one agent works alone the campaign's law is that agent's."""
    stretches = Stretches()
    teach(stretches, {7: 3.0}, 50)
    assert stretches.stretch(7) == pytest.approx(1.0)


def test_an_agent_may_change() -> None:
    """An agent who has become twice as slow is known so after some half-lives."""
    stretches = Stretches()
    for factor, rounds in ((1.0, 300), (2.0, 500)):
        for _ in range(rounds):
            stretches.see(1, 100.0 * factor)
            stretches.see(2, 100.0)
    assert stretches.stretch(1) / stretches.stretch(2) == pytest.approx(2.0, rel=0.1)


def test_a_change_of_all_makes_nobody_differ() -> None:
    """All talks become three times as long from one to the next: that is the law's to learn."""
    stretches = Stretches()
    for usual in (100.0, 300.0):
        for _ in range(60):
            for agent in (1, 2):
                stretches.see(agent, usual * agent)
        ratio = stretches.stretch(2) / stretches.stretch(1)
        assert ratio == pytest.approx(2.0, rel=0.15)


def test_a_duration_is_given_as_it_had_been_in_usual_hands() -> None:
    """The campaign's law learns the shape: who takes twice as long counts for half of it."""
    stretches = Stretches()
    for _ in range(400):
        fast, slow = stretches.see(1, 50.0), stretches.see(2, 200.0)
    # The middle of the two; the pull leaves the rest.
    assert fast == pytest.approx(100.0, rel=0.06)
    assert slow == pytest.approx(100.0, rel=0.06)


def test_no_duration_outweighs_all_others() -> None:
    """Talks of no length at all, or of days, leave the steps within their bounds."""
    stretches = Stretches()
    for _ in range(300):
        stretches.see(1, 0.0)
        stretches.see(2, 1e6)
    assert (stretches.steps(1), stretches.steps(2)) == (-MOST_STEPS, MOST_STEPS)
    assert stretches.stretch(2) / stretches.stretch(1) <= 1e6 / LEAST_S
    assert STEP > 1
