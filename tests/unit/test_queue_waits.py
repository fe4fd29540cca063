"""How long a caller will wait, held against queues whose waits are known."""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Callable
from statistics import mean

import pytest

from dialer.queues.waits import (
    COVERED,
    LEAST_TALKS,
    SPANS_S,
    Expected,
    Outlook,
    Seen,
    Untold,
    expected,
)

TALK_S = 120.0


def erlang_c_wait_s(agents: int, arrivals_per_s: float, talk_s: float) -> float:
    """The mean wait of all callers of an M/M/c queue (Erlang 1917)."""
    load = arrivals_per_s * talk_s
    last = load**agents / math.factorial(agents) * agents / (agents - load)
    waits = last / (math.fsum(load**n / math.factorial(n) for n in range(agents)) + last)
    return waits * talk_s / (agents - load)


def simulated(
    agents: int, arrivals_per_s: float, many: int, seed: int, talk: Callable[[random.Random], float]
) -> list[tuple[float, Outlook]]:
    """A queue of `agents` alike, served in turn: of each caller the true wait, and what was known when they
    came, from the stretches before. One caller in five is asked, the first tenth is left out."""
    drawn = random.Random(seed)
    now, known = 0.0, list[tuple[float, Outlook]]()
    free_at = [0.0] * agents  # a heap: when each agent is free for the next in turn
    begun: list[float] = []  # of talks, in order
    ends: list[float] = []  # of talks, sorted
    sum_begun, sum_ends = [0.0], [0.0]  # running sums of the two

    def busy_s(until: float) -> float:
        """Agent-seconds in talks up to a moment."""
        started, over = bisect_right(begun, until), bisect_right(ends, until)
        return (started * until - sum_begun[started]) - (over * until - sum_ends[over])

    running: list[float] = []  # a heap: ends of talks not yet in `ends`
    for n in range(many):
        now += drawn.expovariate(arrivals_per_s)
        start = max(now, free_at[0])
        while running and running[0] <= start:
            ends.append(heapq.heappop(running))
            sum_ends.append(sum_ends[-1] + ends[-1])
        if n % 5 == 0 and n > many // 10:
            before = len(begun) - bisect_right(begun, now)
            busy = agents if before else sum(at > now for at in free_at)
            over = bisect_right(ends, now)
            seen = [
                Seen(over - bisect_right(ends, now - span_s), busy_s(now) - busy_s(max(0.0, now - span_s)))
                for span_s in SPANS_S
            ]
            known.append((start - now, Outlook(before, agents - busy, busy, seen)))
        end = start + talk(drawn)
        heapq.heapreplace(free_at, end)
        heapq.heappush(running, end)
        begun.append(start)
        sum_begun.append(sum_begun[-1] + start)
    return known


def exponential(drawn: random.Random) -> float:
    """A talk that may end at any moment alike."""
    return drawn.expovariate(1 / TALK_S)


def told(known: list[tuple[float, Outlook]]) -> list[tuple[float, Outlook, Expected]]:
    """Those who had to wait and were told how long."""
    all_ = [(wait_s, outlook, expected(outlook)) for wait_s, outlook in known]
    return [
        (wait_s, outlook, one) for wait_s, outlook, one in all_ if isinstance(one, Expected) and one.talks
    ]


@pytest.mark.parametrize(("agents", "load"), [(3, 0.7), (10, 0.8), (30, 0.85)])
def test_expected_waits_are_those_of_erlang(agents: int, load: float) -> None:
    """Over all callers of an M/M/c queue the mean of what was told is Erlang C's mean wait."""
    rate = agents * load / TALK_S
    known = simulated(agents, rate, 120_000, 1, exponential)
    told_s = [one.mean_s for _, outlook in known if isinstance(one := expected(outlook), Expected)]
    assert len(told_s) == len(known)
    # Waits hang together for hours, hence the breadth.
    assert mean(told_s) == pytest.approx(erlang_c_wait_s(agents, rate, TALK_S), rel=0.15)
    assert mean(told_s) == pytest.approx(mean(wait_s for wait_s, _ in known), rel=0.06)


@pytest.mark.parametrize(("agents", "load"), [(2, 0.7), (3, 0.8), (10, 0.9), (30, 0.95)])
def test_intervals_hold_as_often_as_they_say(agents: int, load: float) -> None:
    """Of those who wait, as many as is said are served within the interval, with few agents too; hardly more
    than is said wait for longer."""
    waited = told(simulated(agents, agents * load / TALK_S, 40_000, 2, exponential))
    within = mean(one.low_s <= wait_s <= one.high_s for wait_s, _, one in waited)
    late = mean(wait_s > one.high_s for wait_s, _, one in waited)
    assert within == pytest.approx(COVERED, abs=0.04)
    assert late == pytest.approx((1 - COVERED) / 2, abs=0.04)


@pytest.mark.parametrize(
    ("talk", "least"),
    [
        (lambda drawn: TALK_S, 0.85),
        (lambda drawn: drawn.lognormvariate(math.log(TALK_S) - 0.32, 0.8), 0.72),
    ],
    ids=["all alike", "a long tail"],
)
def test_intervals_bear_other_talks(talk: Callable[[random.Random], float], least: float) -> None:
    """Talks that are all alike are foreseen better than is said, those with a long tail hardly worse."""
    waited = told(simulated(10, 9 / TALK_S, 40_000, 3, talk))
    assert mean(one.low_s <= wait_s <= one.high_s for wait_s, _, one in waited) >= least


# -- what is not known ---------------------------------------------------------------------------------------


def test_who_finds_an_agent_free_does_not_wait() -> None:
    """More agents are free than callers wait: no wait, whatever is known; the caller after them waits."""
    assert expected(Outlook(1, 2, 0, [])) == Expected(0.0, 0.0, 0.0, 0)
    assert Outlook(2, 2, 5, []).turns == 1


def test_nobody_at_work_is_not_a_long_wait_but_none_known() -> None:
    """Without an agent in a talk nobody will become free: nothing is told."""
    assert expected(Outlook(0, 0, 0, [Seen(50, 5_000)])) is Untold.NOBODY


def test_an_empty_history_tells_nothing() -> None:
    """No talk seen, or too few of them, is not known; one more is told."""
    for seen in ([], [Seen(0, 0.0)], [Seen(LEAST_TALKS - 1, 900.0)]):
        assert expected(Outlook(0, 0, 2, seen)) is Untold.FEW_TALKS
    assert isinstance(expected(Outlook(0, 0, 2, [Seen(LEAST_TALKS, 900.0)])), Expected)


def test_a_quiet_quarter_of_an_hour_gives_way_to_the_hour() -> None:
    """The shortest stretch with enough talks is taken; where none has enough, the one with most."""
    found = expected(Outlook(0, 0, 2, [Seen(2, 300.0), Seen(201, 24_000.0), Seen(900, 300_000.0)]))
    assert isinstance(found, Expected)
    assert found.talks == 201
    assert found.mean_s == pytest.approx(60.0)
    found = expected(Outlook(0, 0, 2, [Seen(2, 300.0), Seen(7, 900.0), Seen(11, 1_200.0)]))
    assert isinstance(found, Expected)
    assert found.talks == 11
    assert found.mean_s == pytest.approx(60.0)


def test_fewer_talks_make_it_less_sure() -> None:
    """The same pace seen in five talks gives a wider interval than seen in fifty."""
    few, many = (expected(Outlook(4, 0, 3, [Seen(n, n * TALK_S)])) for n in (5, 50))
    assert isinstance(few, Expected)
    assert isinstance(many, Expected)
    assert few.high_s - few.low_s > 1.5 * (many.high_s - many.low_s)


@pytest.mark.parametrize(("before", "busy", "mean_s"), [(0, 1, 120), (0, 4, 30), (3, 4, 120), (9, 2, 600)])
def test_the_mean_grows_with_the_place_and_falls_with_agents(before: int, busy: int, mean_s: float) -> None:
    """A hundred talks of 120 s: the k-th of b agents is free after k/b of a talk."""
    found = expected(Outlook(before, 0, busy, [Seen(101, 100 * TALK_S)]))
    assert isinstance(found, Expected)
    assert found.mean_s == pytest.approx(mean_s)
    assert found.low_s < found.mean_s < found.high_s


def test_many_talks_and_callers_are_borne() -> None:
    """Thousands of talks seen and hundreds before the caller give a number, nearly sure of itself."""
    found = expected(Outlook(499, 0, 100, [Seen(20_000, 20_000 * TALK_S)]))
    assert isinstance(found, Expected)
    assert found.mean_s == pytest.approx(600, rel=0.01)
    assert 500 < found.low_s < 600 < found.high_s < 700


def test_the_interval_of_the_next_agent_is_known_in_closed_form() -> None:
    """For the next in turn P(wait <= t) is 1 - (1 + b t / busy_s)^-talks (Lomax's law)."""
    found = expected(Outlook(0, 0, 3, [Seen(10, 1_000.0)]))
    assert isinstance(found, Expected)
    for wait_s, likely in ((found.low_s, 0.1), (found.high_s, 0.9)):
        assert 1 - (1 + 3 * wait_s / 1_000) ** -10 == pytest.approx(likely, abs=1e-3)
