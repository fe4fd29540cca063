"""What the simulator assumes of lines, customers and agents; what it leaves out has a number too.

The defaults are the reference: an endless list, people only, who wait as long as the law's clock runs. All
that a real centre has besides stands here with a value that means "not there".
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property
from typing import Final, NamedTuple, Protocol

from dialer.pacing.answering import Traits
from dialer.pacing.simulator import lists

HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Times:
    """The law of a duration: lognormal, or a mixture of such."""

    #: (share, mean in s, coefficient of variation) of each part; the shares add up to 1
    parts: tuple[tuple[float, float, float], ...]

    @classmethod
    def of(cls, mean_s: float, cv: float) -> Times:
        """One lognormal law."""
        return cls(((1.0, mean_s, cv),))

    @property
    def mean_s(self) -> float:
        """The mean over all parts."""
        return sum(share * mean for share, mean, _ in self.parts)

    def draw(self, rng: random.Random) -> float:
        """One duration, s."""
        parts = self.parts
        which = 0
        if len(parts) > 1:
            left = rng.random()
            while which < len(parts) - 1 and left >= parts[which][0]:
                left -= parts[which][0]
                which += 1
        _, mean, cv = parts[which]
        if cv == 0:
            return mean
        variance = math.log1p(cv * cv)
        return math.exp(rng.gauss(math.log(mean) - variance / 2, math.sqrt(variance)))


class Absence(NamedTuple):
    """Agents who leave at once, unannounced, and come back together."""

    #: worked seconds from the first counted one
    at_s: float
    for_s: float
    #: of the agents, 0 to 1
    share: float


class Habit(NamedTuple):
    """An agent's talks and wrap-ups, as factors of the world's."""

    talk: float
    wrap: float


ALIKE: Final = Habit(1.0, 1.0)


class Stay(NamedTuple):
    """An agent on duty; seconds from the roster's beginning."""

    #: from 0 on
    agent: int
    from_s: float
    until_s: float


@dataclass(frozen=True)
class Roster:
    """Who is on duty when. Whoever has a call when a stay is over, ends it first."""

    #: second 0, UTC
    begins_at: datetime
    #: where the calendar day is counted
    zone: tzinfo
    #: of one agent they do not overlap
    stays: tuple[Stay, ...]

    #: Times without anybody that are shorter count as open, s.
    BRIDGED_S = 120.0

    @property
    def agents(self) -> int:
        """How many there are, each counted once."""
        return 1 + max(stay.agent for stay in self.stays)

    @cached_property
    def spans(self) -> list[tuple[float, float]]:
        """When anybody is on duty."""
        found = list[tuple[float, float]]()
        for _, from_s, until_s in sorted(self.stays, key=lambda stay: stay.from_s):
            if found and from_s <= found[-1][1] + self.BRIDGED_S:
                found[-1] = found[-1][0], max(found[-1][1], until_s)
            else:
                found.append((from_s, until_s))
        return found


class Leads(NamedTuple):
    """A kind of leads on the list."""

    #: of the list, 0 to 1
    share: float
    #: of the mean answer rate; the kinds' mean is 1
    factor: float


#: Ringing until the answer, talk and wrap-up of the reference.
RING: Final = Times.of(12.0, 0.5)
TALK: Final = Times.of(120.0, 1.0)
WRAP: Final = Times.of(15.0, 0.5)
MACHINE_TALK: Final = Times.of(8.0, 0.3)


@dataclass(frozen=True, slots=True)
class World:
    """All assumptions of a run. Times of changes count worked seconds from the first counted one."""

    agents: int = 10
    #: dials that a person answers before the ringing is given up, 0 to 1
    answer_rate: float = 0.3
    #: from the dial to the ringing, s, uniform
    setup_s: tuple[float, float] = (1.0, 2.0)
    #: from the ringing to the answer, for those who answer
    ring: Times = RING
    #: ringing is given up after so long
    ring_cut_s: float = 25.0
    #: of the calls that nobody answers: busy or invalid at once
    busy_share: float = 0.2
    #: after how long that is known, s, uniform
    busy_s: tuple[float, float] = (1.0, 3.0)
    talk: Times = TALK
    wrap: Times = WRAP
    #: the agents' own means of talks, and of wrap-ups: coefficient of variation between agents
    agents_cv: float = 0.0
    #: a customer who has no agent so long after the clock's start is abandoned
    slack_s: float = 2.0
    #: hours worked a day; the next day begins 24 h after the last; 24: without a night
    day_h: float = 8.0
    #: worked before the first counted second
    warm_up_s: float = 1800.0
    #: calls that the trunks carry at once, talks included; None: enough
    lines: int | None = None
    #: leads on the list; None: endless
    leads: int | None = None
    #: kinds of leads; none: all alike
    kinds: tuple[Leads, ...] = ()
    #: leads differ by what is known of them, so many times as much as `lists` says; 0: not at all
    traits: float = 0.0
    #: whether the rule is told the answer probability of each lead, or its traits, to learn from
    kinds_known: bool = False
    traits_known: bool = False
    #: dials that a machine answers, 0 to 1, besides those that a person answers
    machine_rate: float = 0.0
    #: whether answers are listened to before an agent is sought
    detection: bool = False
    #: how long that takes for a person and for a machine, s, uniform
    detect_person_s: tuple[float, float] = (0.6, 1.4)
    detect_machine_s: tuple[float, float] = (1.5, 3.5)
    #: persons that are taken for machines, machines that are taken for persons
    detect_wrong_person: float = 0.02
    detect_wrong_machine: float = 0.1
    #: what an agent loses with a machine
    machine_talk: Times = MACHINE_TALK
    #: the clock starts at the end of the customer's greeting, s (uniform); None: at the answer
    greeting_s: tuple[float, float] | None = None
    #: persons who hang up within the first seconds, and when, s after the answer, uniform
    hang_up_share: float = 0.0
    hang_up_s: tuple[float, float] = (0.0, 3.0)
    #: the answer is told later than it happens: mean, exponential, s
    answer_late_s: float = 0.0
    #: the ends of calls and talks are told so much later; the answer comes another way
    events_late_s: float = 0.0
    #: from the choice of an agent until both hear each other, s
    transfer_s: float = 0.0
    #: each agent: mean time of work between breaks (exponential) and length of a break; 0: no breaks
    break_after_s: float = 0.0
    break_s: float = 0.0
    absences: tuple[Absence, ...] = ()
    #: (from when, factor of the answer rate)
    rate_changes: tuple[tuple[float, float], ...] = ()
    #: answers in bursts: the rate goes up and down by this share of itself, for so long on average
    burst: float = 0.0
    burst_s: float = 60.0
    #: (when, by how many seconds) the server's clock is set
    clock_steps: tuple[tuple[float, float], ...] = ()
    #: when all that was learned is lost
    resets: tuple[float, ...] = ()
    #: who is on duty when; None: all `agents`, `day_h` a day
    roster: Roster | None = None

    @property
    def hold_s(self) -> float:
        """Mean time that a contact takes an agent: talk and wrap-up."""
        return self.talk.mean_s + self.wrap.mean_s


def habits(world: World, seed: int) -> list[Habit]:
    """Of each agent. Lognormal, talks and wrap-ups apart; over all agents the mean of each is 1."""
    count = world.agents if world.roster is None else world.roster.agents
    if not world.agents_cv:
        return [ALIKE] * count
    rng, law = random.Random(f"{seed} agents"), Times.of(1.0, world.agents_cv)  # noqa: S311
    drawn = [Habit(law.draw(rng), law.draw(rng)) for _ in range(count)]
    talk, wrap = (sum(each) / len(drawn) for each in zip(*drawn, strict=True))
    return [Habit(one.talk / talk, one.wrap / wrap) for one in drawn]


class Lead(NamedTuple):
    """Whom to dial next."""

    #: factor of the mean answer rate
    factor: float
    #: the answer probability that the rule is told; None: it is told nothing
    told: float | None
    #: what the rule is told of it besides
    traits: Traits = ()


class Fate(NamedTuple):
    """What a dial will come to; seconds from the dial, but where another start is named."""

    #: ringing begins; None: it never rings
    ringing_s: float | None
    #: a person or a machine answers, or neither does
    answered_s: float | None
    #: it ends by itself if nobody answers
    ended_s: float
    machine: bool = False
    #: the answer is told so much after it
    late_s: float = 0.0
    #: the detection's time from the told answer on, and what it takes the answer for
    detect_s: float = 0.0
    taken_for_machine: bool = False
    #: from the told answer until the law's clock starts
    greeting_s: float = 0.0
    #: the customer hangs up so long after the answer; None: never by himself
    hang_up_s: float | None = None
    #: read from a log: how long the talk and the wrap-up last. Who is served in time hangs up no earlier
    talk_s: float | None = None
    wrap_s: float | None = None


class Source(Protocol):
    """Where leads, fates and durations come from: drawn from laws, or read from a log of calls."""

    def lead(self) -> Lead | None:
        """The next one of the list; None: there is none left."""
        ...

    def fate(self, lead: Lead, worked_s: float) -> Fate:
        """What a dial of it comes to at that time."""
        ...

    def talk_s(self, fate: Fate) -> float:
        """How long the talk lasts that begins now."""
        ...

    def wrap_s(self, fate: Fate) -> float:
        """How long the wrap-up after it lasts."""
        ...

    def work_s(self) -> float:
        """How long an agent works until the next break."""
        ...


class Drawn:
    """A source that draws from the world's laws.

    Each purpose has numbers of its own, so that two rules with one seed meet the same customers in one order.
    """

    def __init__(self, world: World, seed: int, until_s: float) -> None:
        """`until_s`: worked seconds for which bursts are made up."""
        self._world = world
        self._list, self._dials, self._talks, self._wraps, self._breaks = (
            random.Random(f"{seed} {purpose}")  # noqa: S311 - chance of the simulator
            for purpose in ("list", "dials", "talks", "wraps", "breaks")
        )
        self._left = world.leads
        self._changes = sorted(world.rate_changes)
        self._burst_ends = self._bursts(random.Random(f"{seed} bursts"), until_s)  # noqa: S311

    def _bursts(self, rng: random.Random, until_s: float) -> list[float]:
        ends = list[float]()
        if self._world.burst:
            at = 0.0
            while at < until_s + HOUR_S:
                at += rng.expovariate(1 / self._world.burst_s)
                ends.append(at)
        return ends

    def rate_factor(self, worked_s: float) -> float:
        """By how much more than usual is answered at that time."""
        factor = 1.0
        for at, value in self._changes:
            if worked_s >= at:
                factor = value
        if self._burst_ends:
            high = bisect_right(self._burst_ends, worked_s) % 2 == 0
            factor *= 1 + self._world.burst if high else 1 - self._world.burst
        return factor

    def lead(self) -> Lead | None:
        if self._left is not None:
            if self._left <= 0:
                return None
            self._left -= 1
        world = self._world
        if world.traits:
            known, chance = lists.draw(self._list, world.answer_rate, world.traits)
            told = chance if world.kinds_known else None
            return Lead(chance / world.answer_rate, told, known if world.traits_known else ())
        if not world.kinds:
            return Lead(1.0, None)
        left = self._list.random()
        factor = world.kinds[-1].factor
        for kind in world.kinds:
            if left < kind.share:
                factor = kind.factor
                break
            left -= kind.share
        return Lead(factor, min(1.0, world.answer_rate * factor) if world.kinds_known else None)

    def fate(self, lead: Lead, worked_s: float) -> Fate:
        world, rng = self._world, self._dials
        draw, setup = rng.random(), rng.uniform(*world.setup_s)
        rate = world.answer_rate * lead.factor
        if self._changes or self._burst_ends:
            rate *= self.rate_factor(worked_s)
        rate = min(rate, 1.0)
        if draw >= min(1.0, rate + world.machine_rate):
            if rng.random() < world.busy_share:
                return Fate(None, None, rng.uniform(*world.busy_s))
            return Fate(setup, None, setup + world.ring_cut_s)
        ring = world.ring.draw(rng)
        while ring >= world.ring_cut_s:
            ring = world.ring.draw(rng)
        machine = draw >= rate
        late = rng.expovariate(1 / world.answer_late_s) if world.answer_late_s else 0.0
        detect, taken = 0.0, False
        if world.detection:
            detect = rng.uniform(*(world.detect_machine_s if machine else world.detect_person_s))
            right = rng.random() >= (world.detect_wrong_machine if machine else world.detect_wrong_person)
            taken = machine == right
        greeting = rng.uniform(*world.greeting_s) if world.greeting_s else 0.0
        hang_up = None
        if world.hang_up_share and not machine and rng.random() < world.hang_up_share:
            hang_up = rng.uniform(*world.hang_up_s)
        return Fate(
            setup, setup + ring, setup + world.ring_cut_s, machine, late, detect, taken, greeting, hang_up
        )

    def talk_s(self, fate: Fate) -> float:
        return (self._world.machine_talk if fate.machine else self._world.talk).draw(self._talks)

    def wrap_s(self, fate: Fate) -> float:
        return self._world.wrap.draw(self._wraps)

    def work_s(self) -> float:
        return self._breaks.expovariate(1 / self._world.break_after_s)
