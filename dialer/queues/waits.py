"""How long a caller will wait: position and expected wait, with how sure that is. Pure.

What is counted is how soon agents become free: over the last stretch, `talks` ended (with their wrap-up) in
`busy_s` seconds that agents were busy. Agents without a caller count for nothing, so a quiet quarter of an
hour does not make the queue look slow, and talks that still go on count with what they have lasted. Were
talks over at random (an exponential law), each busy agent would become free at a rate r that these two
numbers tell: Gamma(talks, busy_s), by the usual prior 1/r. A caller with k - 1 before them waits for the k-th
agent of b who are busy, Gamma(k, b r). Both together: the wait is busy_s / b times a beta prime variable of k
and `talks`,

    mean                busy_s / b * k / (talks - 1)
    P(wait <= t)        P(at least k of k + talks - 1 tosses that come out with b t / (b t + busy_s))

so the fewer talks it is drawn from, the wider it is. Who leaves before their turn makes the wait shorter, who
comes with a higher priority longer; neither is foreseen. It errs towards too long: people wait more often
when the last talks happened to be long, so what is seen while they wait is a little slower than usual. From
fewer than `LEAST_TALKS` nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: From fewer talks no wait is told.
LEAST_TALKS: Final = 5
#: A stretch with so many is enough: a longer one would only be older.
ENOUGH_TALKS: Final = 200
#: How much of what may come the interval holds: the rest is halved between its sides.
COVERED: Final = 0.8
#: The stretches that are looked at: the shortest that has seen enough talks is taken, else the longest.
SPANS_S: Final = (15 * 60, 60 * 60, 4 * 60 * 60)
#: Talks of more than so many tell no more of the next one: the day is not the same any more.
_MOST_TALKS: Final = 2_000
#: The logarithm of what is left out as nothing.
_NO_NUMBER: Final = -650.0


class Untold(StrEnum):
    """Why no wait is told."""

    NOBODY = "nobody"  # no agent is at work who could serve, or all of them pause
    FEW_TALKS = "few_talks"  # too little was seen today


@dataclass(frozen=True, slots=True)
class Seen:
    """What the agents of a queue did over a stretch that ends now."""

    #: talks that ended, wrap-up included
    talks: int
    #: seconds in talks and wrap-up, summed over the agents, those that go on included
    busy_s: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """Who stands between a caller and an agent."""

    #: callers whose turn comes first
    before: int
    #: agents who could take the caller now
    free: int
    #: agents in a talk or its wrap-up who could take the caller then
    busy: int
    #: over the stretches of `SPANS_S`, the shortest first
    seen: Sequence[Seen]

    @property
    def turns(self) -> int:
        """Agents who have to become free until it is the caller's turn; 0: there is one now."""
        return max(0, self.before + 1 - self.free)


@dataclass(frozen=True, slots=True)
class Expected:
    """How long it may be."""

    mean_s: float
    #: the interval that holds `COVERED` of what may come
    low_s: float
    high_s: float
    #: how many talks it is drawn from
    talks: int


def expected(outlook: Outlook) -> Expected | Untold:
    """How long the caller will wait from now on."""
    if outlook.turns == 0:
        return Expected(0.0, 0.0, 0.0, 0)
    basis = _basis(outlook)
    if isinstance(basis, Untold):
        return basis
    turns, scale_s = outlook.turns, basis.busy_s / outlook.busy
    mean_s = scale_s * turns / (basis.talks - 1)
    tail = (1 - COVERED) / 2
    low, high = (_odds_of(share, turns, basis.talks) for share in (tail, 1 - tail))
    return Expected(mean_s, scale_s * low, scale_s * high, basis.talks)


def _basis(outlook: Outlook) -> Seen | Untold:
    if outlook.busy == 0:
        return Untold.NOBODY
    enough = (seen for seen in outlook.seen if seen.talks >= ENOUGH_TALKS)
    seen = next(enough, max(outlook.seen, key=lambda one: one.talks, default=None))
    if seen is None or seen.talks < LEAST_TALKS or seen.busy_s <= 0:
        return Untold.FEW_TALKS
    much = max(1.0, seen.talks / _MOST_TALKS)
    return Seen(round(seen.talks / much), seen.busy_s / much)


def _chance(odds: float, turns: int, talks: int) -> float:
    """P(beta prime of `turns` and `talks` <= odds): at least `turns` of so many tosses that come out so."""
    if odds <= 0:
        return 0.0
    tosses, n = turns + talks - 1, turns - 1
    log_term = (
        math.lgamma(tosses + 1)
        - math.lgamma(n + 1)
        - math.lgamma(tosses - n + 1)
        + n * math.log(odds)
        - tosses * math.log1p(odds)
    )
    # The terms of fewer than `turns`, from the last one down. One too small for a number lies far from most.
    if log_term < _NO_NUMBER:
        return 0.0 if n > tosses * odds / (1 + odds) else 1.0
    term = less = math.exp(log_term)
    while n > 0:
        term *= n / ((tosses - n + 1) * odds)
        less, n = less + term, n - 1
        if term < 1e-9 * less and n < (tosses - n + 1) * odds:
            break
    return min(1.0, max(0.0, 1.0 - less))


def _odds_of(share: float, turns: int, talks: int) -> float:
    """The odds at which `_chance` is `share`, to a thousandth: bisected, for the chance rises with the
    odds."""
    low, high = 0.0, max(1.0, turns / talks)
    while _chance(high, turns, talks) < share:
        low, high = high, high * 2
    while high - low > 1e-3 * high and high > 1e-9:
        middle = (low + high) / 2
        if _chance(middle, turns, talks) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
