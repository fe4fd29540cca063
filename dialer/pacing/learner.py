"""Learns a campaign's laws from what happened, and forgets what is long ago.

Pure but for its own memory: it takes facts with their ages, reads no clock and writes nothing. No numpy here.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from dialer.pacing.answering import LEAST, Answering, Traits, chance_of, log_odds
from dialer.pacing.dials import Dials
from dialer.pacing.laws import OVERDUE, USUAL, Knowledge, Law, Laws, Tempo, law_of, lognormal_cdf
from dialer.pacing.stretches import Stretches

#: Bins of the times from the dial to the answer or the end, seconds.
STEP_S: Final = 0.5
#: How far after the ring time-out a call may end: setup and the far network's own delay.
BEYOND_RING_S: Final = 15
#: Dials until half of what was learned of the answer probability is forgotten: a shorter memory takes the
#: noise for news, and then too many are dialled. Changes that matter are noticed sooner (`CHANGE_IS_REAL`).
HALF_LIFE_DIALS: Final = 200
#: The same for each agent, where there are many.
HALF_LIFE_DIALS_AN_AGENT: Final = 3
#: A change of the answer probability is taken for real when what was seen since is so many times likelier (as
#: a logarithm) by odds twice or half as good than by what was known: then only that counts. Found within some
#: 60 to 80 dials; by chance once in some thousands.
CHANGE_IS_REAL: Final = 8.0
CHANGE_OF_ODDS: Final = 2.0
#: What is then assumed, odds so changed, weighs as many dials: the few that showed the change are extreme.
CHANGE_DIALS: Final = 10.0
#: Durations until half of what was learned of a law is forgotten.
HALF_LIFE_DURATIONS: Final = 346
#: A new set of laws is made after so many durations, or one an agent, where there are more of them.
RENEW_AFTER: Final = 25
#: How many dials and durations the assumptions weigh. Few dials: the doubt is priced, and a campaign that
#: begins with half a minute of caution loses less than one whose people answer more often than was assumed.
PRIOR_DIALS: Final = 8.0
PRIOR_RINGS: Final = 10.0
PRIOR_TALKS: Final = 20.0


class Seen(StrEnum):
    """What can be learned from."""

    ANSWERED = "answered"  # a person answered; age: since the dial
    MACHINE = "machine"  # a machine answered; age: from the dial until it was known
    UNANSWERED = "unanswered"  # busy, invalid, rang out, failed; age: since the dial
    TAKEN_BACK = "taken_back"  # we ended it before it was answered; age: since the dial
    TALKED = "talked"  # a talk has ended; age: since the connection
    WRAPPED_UP = "wrapped_up"  # an agent is ready again; age: since the end of the talk


@dataclass(frozen=True, slots=True)
class Observation:
    """Something that has come to its end."""

    what: Seen
    #: how long it took, seconds
    age_s: float
    #: of the lead, where the call had one
    traits: Traits = ()
    #: whose talk or wrap-up it was; None: not known, or all are taken for alike
    agent: int | None = None


class _Histogram:
    """Counts that fade: each new one makes all earlier ones weigh a little less."""

    def __init__(self, edges: Sequence[float], cdf: Callable[[float], float], weight: float) -> None:
        self.edges = tuple(edges)
        shares = [cdf(high) - cdf(low) for low, high in pairwise(edges)]
        total = sum(shares)
        self._counts = [share * weight / total for share in shares]
        self._prior = self._total = weight
        # Instead of fading all counts by d, each new one weighs 1/d more than the last.
        self._unit = 1.0
        self._growth = 2 ** (1 / HALF_LIFE_DURATIONS)

    def add(self, age_s: float, part: float = 1.0) -> None:
        """One duration, or a part of one."""
        i = bisect_right(self.edges, age_s) - 1
        self._counts[min(max(i, 0), len(self._counts) - 1)] += self._grow() * part
        self._total += self._unit * part
        if self._unit > 1e9:
            self._counts = [count / self._unit for count in self._counts]
            self._prior, self._total, self._unit = self._prior / self._unit, self._total / self._unit, 1.0

    def add_after(self, age_s: float, part: float) -> None:
        """A part of a duration of which only this is known: it would have been longer than `age_s`."""
        i = min(bisect_left(self.edges, age_s), len(self._counts) - 1)
        left = sum(self._counts[i:])
        weight = self._grow() * part
        for j in range(i, len(self._counts)):
            self._counts[j] += weight * (self._counts[j] / left if left else 1 / (len(self._counts) - i))
        self._total += weight

    def _grow(self) -> float:
        self._unit *= self._growth
        return self._unit

    def law(self) -> Law:
        return law_of(self.edges, self._counts, self._prior / self._total)


class _Change:
    """Watches for one change of the odds of an answer (Page's cumulative sum)."""

    def __init__(self, log_ratio: float) -> None:
        self.log_ratio = log_ratio
        self.begin()

    def begin(self) -> None:
        self._score = self.dials = self.answered = 0.0

    def see(self, expected: float, answered: float) -> bool:
        """Take one dial in; whether the change is real."""
        changed = chance_of(log_odds(expected) + self.log_ratio)
        self._score += answered * math.log(changed / expected)
        self._score += (1.0 - answered) * math.log((1.0 - changed) / (1.0 - expected))
        if self._score <= 0:
            self.begin()
            return False
        self.dials += 1.0
        self.answered += answered
        return self._score > CHANGE_IS_REAL


def _steps(*spans: tuple[float, float, int]) -> tuple[float, ...]:
    """Edges: of each (from, to, how many) evenly many, or rising by a constant factor where it spans much."""
    edges: list[float] = []
    for low, high, count in spans:
        factor = (high / low) ** (1 / count) if low else 0.0
        even = (high - low) / count
        rising = low and high / low > 4
        edges += [low * factor**i if rising else low + even * i for i in range(count)]
    return (*edges, spans[-1][1])


TALK_EDGES: Final = _steps((0, 30, 15), (30, 3600, 50))
WRAP_UP_EDGES: Final = _steps((0, 40, 40), (40, 600, 15))


class Learner:
    """What one campaign has taught so far; begins with assumptions, which it tells apart (`Law.prior`)."""

    def __init__(
        self,
        *,
        answer_probability: float = 0.3,
        ring_timeout_s: float = 25.0,
        talk_s: float = 120.0,
        wrap_up_s: float = 15.0,
        agents: int = 1,
    ) -> None:
        """The keywords are the first assumptions; `agents`: how many work, may be set anew at any time."""
        self.agents = agents
        bins = int((ring_timeout_s + BEYOND_RING_S) / STEP_S)
        edges = [i * STEP_S for i in range(bins + 1)]

        def failure(x: float) -> float:
            early = min(max((x - 1.0) / 2.0, 0.0), 1.0)
            rang_out = min(max((x - ring_timeout_s - 0.5) / 1.5, 0.0), 1.0)
            return 0.2 * early + 0.8 * rang_out

        def answer(x: float) -> float:
            return lognormal_cdf(min(x, ring_timeout_s + 2.0) - 1.5, 12.0, 0.5)

        self._answer = _Histogram(edges, answer, PRIOR_RINGS)
        self._failure = _Histogram(edges, failure, PRIOR_RINGS)
        self._talk = _Histogram(TALK_EDGES, lambda x: lognormal_cdf(x, talk_s, 1.0), PRIOR_TALKS)
        self._wrap_up = _Histogram(WRAP_UP_EDGES, lambda x: lognormal_cdf(x, wrap_up_s, 0.5), PRIOR_TALKS)
        self._talks, self._wrap_ups = Stretches(), Stretches()
        self._answered = answer_probability * PRIOR_DIALS
        self._ended = self._prior = PRIOR_DIALS
        self._machines = 0.0
        self._answering = Answering(answer_probability)
        self._changes = (_Change(math.log(CHANGE_OF_ODDS)), _Change(-math.log(CHANGE_OF_ODDS)))
        self._dials: Dials[Observation] = Dials()
        self._new = 0
        self._agents: Mapping[int, int] = MappingProxyType({})
        self._laws = self._make_laws()

    def dialled(self, call: Hashable, at: datetime, chance: float | None = None) -> None:
        """A call was dialled; `chance`: that a person answers it, None: the campaign's mean.

        It is learned from when all that were dialled before it are over."""
        differs = 0.0 if chance is None else log_odds(chance) - log_odds(self._mean)
        self._dials.made(call, at.timestamp(), differs)

    def gone(self, call: Hashable) -> None:
        """A call is over; if nothing was seen of it, it tells nothing."""
        self._dials.gone(call)
        self._count()

    def see(self, seen: Observation, call: Hashable = None) -> None:
        """Learn from one thing that has ended; of a call that was told as dialled, in the order of dials."""
        if call is None or not self._dials.over(call, seen, self._answered_part(seen)):
            self._learn(seen)
        self._count()

    def _count(self) -> None:
        for seen in self._dials.counted():
            self._learn(seen)

    def _answered_part(self, seen: Observation) -> float:
        if seen.what is Seen.TAKEN_BACK:
            return self._would_answer(seen.traits, seen.age_s)
        return float(seen.what is Seen.ANSWERED)

    def _learn(self, seen: Observation) -> None:
        match seen.what:
            case Seen.ANSWERED:
                self._answer.add(seen.age_s)
                self._dialled(seen.traits, 1.0)
            case Seen.UNANSWERED | Seen.MACHINE:
                self._failure.add(seen.age_s)
                self._dialled(seen.traits, 0.0, machine=seen.what is Seen.MACHINE)
            case Seen.TAKEN_BACK:
                would = self._would_answer(seen.traits, seen.age_s)
                self._answer.add_after(seen.age_s, would)
                self._failure.add_after(seen.age_s, 1.0 - would)
                self._dialled(seen.traits, would)
            case Seen.TALKED:
                self._talk.add(self._talks.see(seen.agent, seen.age_s))
            case Seen.WRAPPED_UP:
                self._wrap_up.add(self._wrap_ups.see(seen.agent, seen.age_s))
        self._new += 1

    def renew(self) -> None:
        """Make new laws, if enough is new."""
        if self._new >= max(RENEW_AFTER, self.agents):
            self._laws, self._new = self._make_laws(), 0

    def knowledge(self) -> Knowledge:
        """What is known now. Its laws stay the same object until enough is new."""
        self.renew()
        return Knowledge(
            laws=self._laws,
            answer_probability=self._mean,
            person_probability=(self._answered + 1e-9) / (self._answered + self._machines + 1e-9),
            prior=self._prior / self._ended,
            dials=self._ended,
            recent=self._dials.recent(),
            agents=self._agents,
        )

    def answer_probability(self, of: Traits = ()) -> float:
        """That a person answers a lead with these traits; without traits, the campaign's mean of late."""
        return self._answering.probability(of) if of else self._mean

    def _dialled(self, of: Traits, answered: float, *, machine: bool = False) -> None:
        half_life = max(HALF_LIFE_DIALS, HALF_LIFE_DIALS_AN_AGENT * self.agents)
        keep = 0.5 ** (1 / half_life)
        expected = self.answer_probability(of)
        self._answered = self._answered * keep + answered
        self._machines = self._machines * keep + machine
        self._ended = self._ended * keep + 1.0
        self._prior *= keep
        self._answering.see(of, answered, half_life / math.log(2))
        for change in self._changes:
            if change.see(expected, answered):
                self._begin_anew(change)

    @property
    def _mean(self) -> float:
        """That a person answers, by the dials of late; never certain."""
        return min(max(self._answered / self._ended, LEAST), 1.0 - LEAST)

    def _begin_anew(self, change: _Change) -> None:
        """Keep what was seen since the change, and a few dials of what it was taken for."""
        dials = change.dials + CHANGE_DIALS
        part = dials / self._ended
        if part < 1.0:
            likely = chance_of(log_odds(self._mean) + change.log_ratio)
            self._answered = change.answered + CHANGE_DIALS * likely
            self._ended = dials
            self._machines, self._prior = self._machines * part, self._prior * part
        self._answering.forget_level()
        for each in self._changes:
            each.begin()

    def _would_answer(self, of: Traits, age_s: float) -> float:
        """That a call which has rung so long would still have been answered."""
        p = self.answer_probability(of)
        yes = p * self._laws.answer.survival(age_s)
        return yes / (yes + (1 - p) * max(self._laws.failure.survival(age_s), OVERDUE))

    def _make_laws(self) -> Laws:
        which = {USUAL: 0}
        self._agents = MappingProxyType(
            {
                agent: which.setdefault(
                    Tempo(self._talks.steps(agent), self._wrap_ups.steps(agent)), len(which)
                )
                for agent in sorted({*self._talks.agents, *self._wrap_ups.agents})
            }
        )
        laws = (self._answer.law(), self._failure.law(), self._talk.law(), self._wrap_up.law())
        return Laws(*laws, tempos=tuple(which))
