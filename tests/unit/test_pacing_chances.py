"""Chances that at least so many of many independent things happen."""

from __future__ import annotations

from itertools import product
from math import comb, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.pacing.chances import Floats, exact_tails, normal_tails

CHANCE = st.floats(0, 1)


def by_adding(chances: Floats, least: int) -> float:
    """P(at least `least`), one term after another: each either happens or does not."""
    have = np.zeros(len(chances) + 1)
    have[0] = 1.0
    for chance in chances:
        have[1:] = have[1:] * (1 - chance) + have[:-1] * chance
        have[0] *= 1 - chance
    return float(have[max(least, 0) :].sum())


@settings(deadline=None)
@given(st.lists(CHANCE, max_size=7), st.integers(-1, 9))
def test_exact_is_the_sum_over_all_outcomes(chances: list[float], least: int) -> None:
    """The tail is the total of every outcome's chance that has at least so many."""
    outcomes = (
        prod(p if happens else 1 - p for p, happens in zip(chances, outcome, strict=True))
        for outcome in product((False, True), repeat=len(chances))
        if sum(outcome) >= least
    )
    found = exact_tails(np.array(chances).reshape(-1, 1), np.zeros((0, 1)), least)
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(sum(outcomes), abs=1e-12)


@settings(deadline=None)
@given(st.lists(CHANCE, max_size=40), st.lists(CHANCE, max_size=12), st.integers(0, 45))
def test_exact_with_more_terms_one_after_another(have: list[float], more: list[float], least: int) -> None:
    """The further tails are those of the terms with the first 1, 2, ... of the new ones."""
    found = exact_tails(np.array(have).reshape(-1, 1), np.array(more).reshape(-1, 1), least)
    wanted = [by_adding(np.array(have + more[:count]), least) for count in range(len(more) + 1)]
    assert found[:, 0] == pytest.approx(wanted, abs=1e-10)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(50, 150), st.integers(0, 8))
def test_exact_of_many_terms(seed: int, count: int, more: int) -> None:
    """So many terms are put together in groups first: the tails are the same, at each moment."""
    rng = np.random.default_rng(seed)
    have, new = rng.beta(0.5, 0.5, (count, 3)), rng.beta(0.5, 0.5, (more, 3))
    least = round(float(have[:, 0].sum()))
    found = exact_tails(have, new, least)
    for moment in range(3):
        wanted = [by_adding(np.append(have[:, moment], new[:j, moment]), least) for j in range(more + 1)]
        assert found[:, moment] == pytest.approx(wanted, abs=1e-10)


def test_columns_share_nothing() -> None:
    """Each moment has its own chances: here binomials of 20 with chances of 0.1 and 0.6."""
    found = exact_tails(np.repeat([[0.1, 0.6]], 20, axis=0), np.zeros((0, 2)), 9)
    for column, p in enumerate((0.1, 0.6)):
        wanted = sum(comb(20, k) * p**k * (1 - p) ** (20 - k) for k in range(9, 21))
        assert found[0, column] == pytest.approx(wanted, abs=1e-12)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(30, 200), st.integers(150, 1000), st.floats(-2.5, 2.5))
def test_the_normal_law_is_near_the_exact_one(seed: int, agents: int, calls: int, off: float) -> None:
    """Among many terms, some of agents and more of calls, the refined normal law is within half a point."""
    rng = np.random.default_rng(seed)
    p = np.concatenate([rng.beta(4, 1, agents), rng.beta(1, rng.uniform(2, 10), calls)])
    variance = float((p * (1 - p)).sum())
    least = round(p.sum() + off * variance**0.5)
    third = float((p * (1 - p) * (1 - 2 * p)).sum())
    found = normal_tails(np.array([p.sum()]), np.array([variance]), np.array([third]), least)
    assert found[0] == pytest.approx(by_adding(p, least), abs=0.005)


def test_the_normal_law_of_what_is_certain() -> None:
    """Terms without any chance in them: what is certain is certain."""
    mean, nothing = np.array([30.0, 29.0]), np.zeros(2)
    assert normal_tails(mean, nothing, nothing, 30) == pytest.approx([1.0, 0.0], abs=1e-9)
