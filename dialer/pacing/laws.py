"""What is known of durations and of answers: distributions that were learned, as values.

No numpy here: the engine's start imports this.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final, NamedTuple

from dialer.pacing.dials import Recent


def lognormal_cdf(x: float, mean: float, cv: float) -> float:
    """Share of a lognormal duration of that mean and coefficient of variation that is over by `x`."""
    if x <= 0:
        return 0.0
    variance = math.log1p(cv * cv)
    return 0.5 * math.erfc((math.log(mean) - variance / 2 - math.log(x)) / math.sqrt(2 * variance))


@dataclass(frozen=True, eq=False)
class Law:
    """The distribution of a duration: a histogram, even inside each bin.

    Compared by identity: tables are made of a law once and kept by it.
    """

    #: bounds of the bins, seconds, rising from 0; one more than `shares`
    edges: tuple[float, ...]
    #: share of each bin; together 1
    shares: tuple[float, ...]
    #: part of it that nobody has seen yet, 0 to 1: the assumption that it began with
    prior: float = 1.0

    def __post_init__(self) -> None:
        assert len(self.edges) == len(self.shares) + 1
        assert math.isclose(sum(self.shares), 1.0, abs_tol=1e-9)

    @cached_property
    def cumulative(self) -> tuple[float, ...]:
        """Share that is over by each edge: begins with 0, ends with 1."""
        total, found = 0.0, [0.0]
        for share in self.shares:
            total += share
            found.append(total)
        return tuple(value / total for value in found)

    def survival(self, age_s: float) -> float:
        """Share that lasts longer than `age_s` seconds."""
        if age_s <= self.edges[0]:
            return 1.0
        if age_s >= self.edges[-1]:
            return 0.0
        i = bisect_right(self.edges, age_s) - 1
        low, high = self.edges[i], self.edges[i + 1]
        part = (age_s - low) / (high - low)
        return 1.0 - (self.cumulative[i] * (1 - part) + self.cumulative[i + 1] * part)

    @property
    def mean_s(self) -> float:
        """The mean, seconds."""
        return math.fsum(
            share * (low + high) / 2
            for share, low, high in zip(self.shares, self.edges, self.edges[1:], strict=False)
        )

    def quantile_s(self, part: float) -> float:
        """The duration that `part` of all stay at or below, seconds; 0 <= part <= 1."""
        for i, reached in enumerate(self.cumulative):
            if reached >= part and i:
                before = self.cumulative[i - 1]
                inside = (part - before) / (reached - before) if reached > before else 0.0
                return self.edges[i - 1] + inside * (self.edges[i] - self.edges[i - 1])
        return self.edges[0] if part <= 0 else self.edges[-1]


def law_of(edges: Sequence[float], weights: Sequence[float], prior: float = 1.0) -> Law:
    """The law of a histogram with any positive total."""
    total = math.fsum(weights)
    return Law(tuple(edges), tuple(weight / total for weight in weights), prior)


#: Part of the unanswered calls whose end is taken to come later than any that was seen: else a call that is
#: overdue, or whose end nobody reported, would be held for one that will be answered.
OVERDUE = 0.01


class Tempo(NamedTuple):
    """How an agent differs from the campaign's laws, in steps of `stretches.STEP`; more is longer."""

    talk: int = 0
    wrap_up: int = 0


#: As the campaign's laws say.
USUAL: Final = Tempo()


@dataclass(frozen=True, eq=False)
class Laws:
    """The laws of one campaign. Compared by identity, as they are."""

    #: from the dial to the answer, of calls that a person answers
    answer: Law
    #: from the dial to the end, of calls that no person answers; same edges as `answer`
    failure: Law
    #: from the connection to the end of the talk
    talk: Law
    #: from the end of the talk until the agent is ready
    wrap_up: Law
    #: all that agents have, the usual one first
    tempos: tuple[Tempo, ...] = (USUAL,)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that the rule knows beside what it sees."""

    laws: Laws
    #: that a person answers a call, the campaign's mean of late, 0 to 1
    answer_probability: float
    #: that what has picked up is a person and no machine, 0 to 1
    person_probability: float = 1.0
    #: part of the answer probability that is still assumed, 0 to 1
    prior: float = 1.0
    #: how many dials what is known of the answer probability weighs
    dials: float = 8.0
    #: what the latest dials tell that is not in it yet
    recent: Recent = field(default_factory=Recent)
    #: agent -> which of the laws' tempos; who is not in it has the usual one
    agents: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
