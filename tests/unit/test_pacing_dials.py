"""Dials are learned from in the order in which they were made; the latest tell what they can before that."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing import dials
from dialer.pacing.answering import chance_of, log_odds
from dialer.pacing.dials import Dials, Recent
from dialer.pacing.laws import Knowledge
from dialer.pacing.learner import PRIOR_DIALS, Learner, Observation, Seen
from dialer.pacing.level import level
from dialer.pacing.tables import tables

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@given(st.lists(st.sampled_from(["over", "gone", "stays"]), max_size=12), st.randoms(use_true_random=False))
def test_they_are_counted_in_their_order_each_once(ends: list[str], rng: random.Random) -> None:
    """Whatever ends when: counted are the dials before the first that is in the air, in their order."""
    latest: Dials[int] = Dials()
    for n in sorted(range(len(ends)), key=lambda _: rng.random()):  # told in any order
        latest.made(n, float(n), 0.1 * n)
    counted: list[int] = []
    for n in sorted(range(len(ends)), key=lambda _: rng.random()):
        if ends[n] == "over":
            assert latest.over(n, n, 1.0)
        elif ends[n] == "gone":
            latest.gone(n)
        counted += latest.counted()
    first = ends.index("stays") if "stays" in ends else len(ends)
    assert counted == [n for n in range(first) if ends[n] == "over"]
    rest = [n for n in range(first, len(ends)) if ends[n] == "over"]
    recent = latest.recent()
    assert recent.answered == len(rest)
    assert sorted(recent.over) == [0.1 * n for n in rest]
    assert recent.in_air == {n: (float(n), 0.1 * n) for n in range(len(ends)) if ends[n] == "stays"}


def test_a_call_without_an_end_holds_nobody_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose end is never told is passed over when too many wait behind it."""
    monkeypatch.setattr(dials, "MOST", 10)
    latest: Dials[int] = Dials()
    latest.made("lost", 0.0)
    counted: list[int] = []
    for n in range(20):
        latest.made(n, 1.0 + n)
        latest.over(n, n, 0.0)
        counted += latest.counted()
    assert counted == list(range(20))
    assert latest.recent() == Recent({}, [], 0.0)


def test_who_is_not_known_is_not_held_back() -> None:
    """An end of a call that nobody told as dialled is learned from at once."""
    learner = Learner()
    learner.see(Observation(Seen.ANSWERED, 8.0), "stranger")
    assert learner.knowledge().answer_probability > 0.3


def burst(
    learner: Learner, chance: float, count: int, looks_s: Sequence[float], rng: random.Random
) -> list[Knowledge]:
    """So many calls dialled at once, which end as the learner assumes: a fifth of those that nobody answers
    in 3 s, the others after the ring time. What is known after each of these times."""
    ends, laws = [], learner.knowledge().laws
    for n in range(count):
        learner.dialled(n, START)
        answered = rng.random() < chance
        after_s = (laws.answer if answered else laws.failure).quantile_s(rng.random())
        ends.append((after_s, Seen.ANSWERED if answered else Seen.UNANSWERED, n))
    ends.sort()
    found = []
    for at in looks_s:
        while ends and ends[0][0] <= at:
            after_s, what, n = ends.pop(0)
            learner.see(Observation(what, after_s), n)
        found.append(learner.knowledge())
    return found


def estimate(known: Knowledge, at_s: float) -> tuple[float, float]:
    """The chance of an answer by all that is told, and the doubt of its log-odds."""
    found = level(known, tables(known.laws, 2.0), (START + timedelta(seconds=at_s)).timestamp())
    return chance_of(log_odds(known.answer_probability) + found.shift), found.doubt


@pytest.mark.parametrize("chance", [0.15, 0.3, 0.6])
def test_the_first_ends_of_a_burst_are_not_taken_for_all_of_it(chance: float) -> None:
    """150 calls at once of a campaign that nothing is known of: at each moment the mean over runs lies, to a
    tenth, between what was assumed and the truth, and it comes to the truth; the doubt falls."""
    looks = (1.0, 2.0, 3.5, 6.0, 9.0, 13.0, 18.0, 22.0, 26.0, 40.0)
    runs = []
    for seed in range(20):
        known = burst(Learner(), chance, 150, looks, random.Random(seed))
        runs.append([estimate(each, at) for each, at in zip(known, looks, strict=True)])
    means = [sum(run[n][0] for run in runs) / len(runs) for n in range(len(looks))]
    doubts = [sum(run[n][1] for run in runs) / len(runs) for n in range(len(looks))]
    # Counted as they end, 0.15 would be taken for 0.05 after 3.5 s, and for 0.3 after 22.
    low, high = min(0.3, chance), max(0.3, chance)
    for at, mean in zip(looks, means, strict=True):
        assert low * 0.9 < mean < high * 1.1, at
    # What was assumed weighed few dials, and fades as new ones come.
    assert means[-1] == pytest.approx(chance, abs=0.035)
    assert doubts[0] == pytest.approx((PRIOR_DIALS * 0.3 * 0.7) ** -0.5, rel=0.15)
    assert doubts[-1] < 0.6 * doubts[0]


def test_a_burst_is_no_change() -> None:
    """400 calls at once of a campaign that is known: nothing of what was learned is thrown away."""
    learner, rng = Learner(agents=100), random.Random(1)
    for _ in range(900):
        learner.see(Observation(Seen.ANSWERED if rng.random() < 0.3 else Seen.UNANSWERED, 12.0))
    before = learner.knowledge().dials
    looks = [0.5 * n for n in range(1, 60)]
    assert min(known.dials for known in burst(learner, 0.3, 400, looks, rng)) > 0.95 * before
