"""A log of calls played again: dials, talks and duty as they were recorded, for whatever rule.

A dial takes its fate from one that was recorded around the same time: the recorded ones of that quarter of an
hour (of more of the day where they are few) are dealt like a deck of cards, in their order, from a place that
the seed decides, and again from the front when all are dealt. So the answer rate and the ringing change with
the hour as they did, however many calls a rule makes, and all rules are dealt the same. A recorded talk goes
with its dial, and so does what was known of the lead.

What the log cannot know is drawn from what it knows (it is *censored*): how a call that was taken back would
have ended, from the calls that had rung as long and went on; how long an abandoned customer would have
talked, from the talks of that time.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final, NamedTuple

from dialer.pacing.answering import Traits
from dialer.pacing.simulator.world import HOUR_S, Fate, Lead, Roster, Stay, Times, World

#: A deck is of a quarter of an hour, or of so much more that it has so many dials.
CELL_S: Final = 900.0
LEAST_DEALT: Final = 100
#: Talks are drawn from those of the deck where it has so many, else from all.
LEAST_TALKS: Final = 20
#: Where nothing was under way for so long, the campaign did not dial: nobody was on duty for it.
QUIET_S: Final = 300.0
#: Of an agent's time: shorter gaps are none.
_GAP_S: Final = 1.0
_DAY_S: Final = 86_400.0


class Became(StrEnum):
    """What a recorded dial came to."""

    PERSON = "person"
    MACHINE = "machine"
    UNANSWERED = "unanswered"
    TAKEN_BACK = "taken_back"  # before it was answered; what it would have come to is not known


class PastDial(NamedTuple):
    """A recorded dial; seconds from it, but where another start is named."""

    #: when, from the log's beginning
    at_s: float
    became: Became
    #: the answer, or the end without one
    after_s: float
    #: ringing began; None: it never rang
    ringing_s: float | None = None
    #: after the answer: it was known what had picked up
    detect_s: float = 0.0
    #: after the answer: the law's clock began
    greeting_s: float = 0.0
    #: after the answer: an agent was there; None: none was
    joined_s: float | None = None
    #: the talk and the wrap-up, as far as they are known
    talk_s: float | None = None
    wrap_s: float | None = None
    #: after the answer: the customer had hung up, before there was an agent or the law's clock was over
    left_s: float | None = None
    #: by the policy's definition
    abandoned: bool = False
    #: what was known of the lead
    traits: Traits = ()

    @property
    def over_s(self) -> float:
        """When nothing of it was under way any more, from the log's beginning; as far as is known."""
        joined = (self.joined_s or 0.0) + (self.talk_s or 0.0) + (self.wrap_s or 0.0)
        return self.at_s + self.after_s + joined


class Stretch(NamedTuple):
    """An agent's time in one state; seconds from the log's beginning."""

    agent: int
    #: `ready`, or of a call of this campaign `reserved`, `talking` or `wrap_up`
    state: str
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Log:
    """What is read of a campaign's past."""

    #: midnight of the first day at the tenant's place
    begins_at: datetime
    zone: tzinfo
    #: in order of time; a person answered one at least, and talked
    dials: tuple[PastDial, ...]
    #: by agent, in order of time
    stretches: tuple[Stretch, ...]
    #: how the campaign is set
    ring_timeout_s: float = 25.0
    slack_s: float = 2.0
    #: calls that its trunks carry at once; None: enough
    lines: int | None = None
    #: whether answers are listened to
    detection: bool = False
    #: shortest greeting before the law's clock; 0: it begins at the answer
    least_greeting_s: float = 0.0
    #: from the choice of an agent until both hear each other, on average
    transfer_s: float = 0.0

    def at_work(self) -> list[tuple[float, float]]:
        """When the campaign dialled: until the last call in the air ended before a time in which nothing was
        under way, no talk either."""
        found = list[tuple[float, float]]()
        over_s = 0.0
        for dial in self.dials:
            in_air_until = dial.at_s + max(dial.after_s, _GAP_S)
            if found and dial.at_s <= over_s + QUIET_S:
                found[-1] = found[-1][0], max(found[-1][1], in_air_until)
            else:
                found.append((dial.at_s, in_air_until))
            over_s = max(over_s, dial.over_s)
        return found

    def on_duty(self) -> list[Stretch]:
        """The agents' time while the campaign dialled."""
        spans = self.at_work()
        ends = [until for _, until in spans]
        found = []
        for stretch in self.stretches:
            for from_s, until_s in spans[bisect_right(ends, stretch.from_s) :]:
                if from_s >= stretch.until_s:
                    break
                cut = stretch._replace(
                    from_s=max(stretch.from_s, from_s), until_s=min(stretch.until_s, until_s)
                )
                if cut.until_s > cut.from_s:
                    found.append(cut)
        return found

    def local(self, at_s: float) -> datetime:
        """The clock at the tenant's place."""
        return (self.begins_at + timedelta(seconds=at_s)).astimezone(self.zone)


def roster_of(log: Log) -> Roster:
    """Who is on duty when.

    Who left at the end of a call wished to at some time of it: in its middle, for all that is known. In a
    replay the agent is asked to leave then, and ends the call that there is, if any.
    """
    stays = list[Stay]()
    numbers = dict[int, int]()
    for run in _runs(log.on_duty()):
        until = run[-1].until_s
        busy_from = until
        for stretch in reversed(run):
            if stretch.state == "ready":
                break
            busy_from = stretch.from_s
        until = max((busy_from + until) / 2, run[0].from_s + _GAP_S)
        stays.append(Stay(numbers.setdefault(run[0].agent, len(numbers)), run[0].from_s, until))
    return Roster(log.begins_at, log.zone, tuple(stays))


def _runs(stretches: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Stretches of one agent that follow each other without a gap."""
    run = list[Stretch]()
    for stretch in stretches:
        if run and (stretch.agent != run[-1].agent or stretch.from_s > run[-1].until_s + _GAP_S):
            yield run
            run = []
        run.append(stretch)
    if run:
        yield run


def world_of(log: Log) -> World:
    """The log's means as a world, with its roster: what rules are told to begin with."""
    roster = roster_of(log)
    people = [dial for dial in log.dials if dial.became is Became.PERSON]
    talks = [dial.talk_s for dial in people if dial.talk_s is not None]
    wraps = [dial.wrap_s for dial in people if dial.wrap_s is not None]
    duty_s = sum(stay.until_s - stay.from_s for stay in roster.stays)
    days = len({log.local(stay.from_s).date() for stay in roster.stays})
    agents = most_at_once([(stay.from_s, stay.until_s) for stay in roster.stays])
    greeting = log.least_greeting_s
    return replace(
        World(),
        agents=agents,
        # A little too low where calls were taken back; the rules that learn it see for themselves.
        answer_rate=len(people) / len(log.dials),
        ring_cut_s=log.ring_timeout_s,
        talk=Times.of(max(sum(talks) / len(talks), 1.0), 1.0),
        wrap=Times.of(max(sum(wraps) / len(wraps), 0.1) if wraps else 0.1, 0.5),
        slack_s=log.slack_s,
        day_h=min(24.0, duty_s / days / agents / HOUR_S),
        warm_up_s=0.0,
        lines=log.lines,
        detection=log.detection,
        greeting_s=(greeting, greeting) if greeting else None,
        transfer_s=log.transfer_s,
        traits_known=any(dial.traits for dial in log.dials),
        roster=roster,
    )


def most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """How many of these go on at the same time, at most."""
    steps = sorted([(from_s, 1) for from_s, _ in spans] + [(until_s, -1) for _, until_s in spans])
    most = at_once = 0
    for _, step in steps:
        at_once += step
        most = max(most, at_once)
    return most


class Replayed:
    """A source that deals what was recorded."""

    def __init__(self, log: Log, world: World, seed: int) -> None:
        """`world`: with the log's roster."""
        assert world.roster is not None
        self._log, self._seed = log, seed
        self._times = [dial.at_s for dial in log.dials]
        self._talks = [dial for dial in log.dials if dial.talk_s is not None]
        self._spans = world.roster.spans
        #: worked seconds before each span
        self._before = [0.0]
        for from_s, until_s in self._spans:
            self._before.append(self._before[-1] + until_s - from_s)
        self._decks = dict[int, Iterator[tuple[PastDial, Fate]]]()
        #: when the last call was dialled
        self._worked_s = 0.0
        #: of the leads that were given out and not dialled yet
        self._dealt = deque[Fate]()

    def lead(self) -> Lead | None:
        # A rule looks some minutes ahead: so much later comes what is dealt now.
        span = min(max(bisect_right(self._before, self._worked_s) - 1, 0), len(self._spans) - 1)
        cell = int((self._spans[span][0] + self._worked_s - self._before[span]) // CELL_S)
        deck = self._decks.get(cell)
        if deck is None:
            deck = self._decks[cell] = self._deal(cell)
        dial, fate = next(deck)
        self._dealt.append(fate)
        return Lead(1.0, None, dial.traits)

    def fate(self, lead: Lead, worked_s: float) -> Fate:
        self._worked_s = worked_s
        return self._dealt.popleft()

    def talk_s(self, fate: Fate) -> float:
        assert fate.talk_s is not None
        return fate.talk_s

    def wrap_s(self, fate: Fate) -> float:
        assert fate.wrap_s is not None
        return fate.wrap_s

    def work_s(self) -> float:
        return float("inf")

    def _deal(self, cell: int) -> Iterator[tuple[PastDial, Fate]]:
        rng = random.Random(f"{self._seed} {cell}")  # noqa: S311 - chance of the simulator
        dials = self._near(cell)
        talks = [dial for dial in dials if dial.talk_s is not None]
        if len(talks) < LEAST_TALKS:
            talks = self._talks
        first = rng.randrange(len(dials))
        while True:
            for dial in (*dials[first:], *dials[:first]):
                yield dial, self._fate(dial, dials, talks, rng)

    def _near(self, cell: int) -> list[PastDial]:
        """The dials of a cell, in their order; where they are few the nearest of the day, and where the day
        has too few, those of other days around the same hour."""
        times = self._times
        day = int(cell * CELL_S // _DAY_S) * _DAY_S
        first, last = bisect_left(times, day), bisect_left(times, day + _DAY_S)
        low, high = bisect_left(times, cell * CELL_S), bisect_left(times, (cell + 1) * CELL_S)
        middle = (cell + 0.5) * CELL_S
        while high - low < LEAST_DEALT and (low > first or high < last):
            if high == last or (low > first and middle - times[low - 1] <= times[high] - middle):
                low -= 1
            else:
                high += 1
        if high - low >= LEAST_DEALT:
            return list(self._log.dials[low:high])

        def far(number: int) -> float:
            days = round((times[number] - middle) / _DAY_S)
            return abs(times[number] - middle - days * _DAY_S) + HOUR_S * abs(days)

        others = sorted((n for n in range(len(times)) if not low <= n < high), key=far)
        chosen = sorted([*range(low, high), *others[: LEAST_DEALT - (high - low)]])
        return [self._log.dials[number] for number in chosen]

    def _fate(
        self, dial: PastDial, dials: Sequence[PastDial], talks: Sequence[PastDial], rng: random.Random
    ) -> Fate:
        # Each card takes as many draws as any other, so that a rule which deals more of them changes none.
        going_on, talk = rng.random(), talks[rng.randrange(len(talks))]
        ringing_s = dial.ringing_s
        if dial.became is Became.TAKEN_BACK:
            dial = self._went_on(dial, dials, going_on)
        if dial.became is Became.UNANSWERED:
            return Fate(ringing_s, None, dial.after_s)
        if dial.became is Became.MACHINE:
            return Fate(
                ringing_s, dial.after_s, dial.after_s, True, detect_s=dial.detect_s, taken_for_machine=True
            )
        return Fate(
            ringing_s,
            dial.after_s,
            dial.after_s,
            detect_s=dial.detect_s,
            greeting_s=dial.greeting_s,
            hang_up_s=dial.left_s,
            talk_s=talk.talk_s if dial.talk_s is None else dial.talk_s,
            wrap_s=(talk.wrap_s or 0.0) if dial.wrap_s is None else dial.wrap_s,
        )

    def _went_on(self, dial: PastDial, dials: Sequence[PastDial], draw: float) -> PastDial:
        """Another one that had rung as long and went on; who was taken back later hands it on. By this each
        censored call counts for those at risk after it (Efron's redistribution to the right)."""
        while dial.became is Became.TAKEN_BACK:
            later = [other for other in dials if other.after_s > dial.after_s]
            if not later:
                rang_out = max(dial.after_s, self._log.ring_timeout_s)
                return dial._replace(became=Became.UNANSWERED, after_s=rang_out)
            draw *= len(later)
            number = min(int(draw), len(later) - 1)
            dial, draw = later[number], draw - number
        return dial
