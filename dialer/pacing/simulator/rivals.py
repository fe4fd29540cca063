"""Other dialers' rules, written from their published descriptions: what they count, and how often.

They meet the same customers, agents and law as ours: whoever has no agent in time is abandoned. Only the
pacing is theirs. The numbers below are their defaults.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from dialer.pacing.simulator.figures import DAY_S
from dialer.pacing.simulator.pacer import Call, Decision, Pacer, Seat, View

_MINUTE_S: Final = 60.0


class _Timed(Pacer):
    """A rule that looks by the clock, not at changes."""

    on_change = False

    def _up_to(self, wanted: float, lines: int) -> Decision:
        return Decision(max(0, math.floor(wanted + 1e-9) - lines))


class FixedRatio(_Timed):
    """So many lines for each agent who is logged in; talks are lines too."""

    tick_s = 1.0

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio

    def decide(self, view: View) -> Decision:
        return self._up_to(self._ratio * view.staffed + 0.5, len(view.calls) + view.talking)


class Boost(_Timed):
    """Free agents times a number that is set by hand, less the calls that are under way."""

    tick_s = 1.0

    def __init__(self, boost: float) -> None:
        self._boost = boost

    def decide(self, view: View) -> Decision:
        return self._up_to(self._boost * len(view.ready), len(view.calls))


class Adaptive(_Timed):
    """A dial level that drifts with free agents and waiting customers; while the day's drops are over the
    limit it does not drift, and is cut each minute.

    `hard`: it is cut to 1, else to its half. `ready_only`: the level counts free agents, none in a call.
    """

    tick_s = 2.5
    _LEVELS: Final = (1.0, 3.0)

    def __init__(self, limit: float, *, hard: bool, ready_only: bool = False) -> None:
        self._limit, self._hard, self._ready_only = limit, hard, ready_only
        self._level = 1.0
        self._next_drift_s = self._next_check_s = 0.0
        self._day = -1
        self._answers = self._drops = 0
        self._last_minute: deque[tuple[float, bool]] = deque()

    def settled(self, view: View, abandoned: bool) -> None:
        if (day := int(view.now // DAY_S)) != self._day:
            self._day, self._answers, self._drops = day, 0, 0
        self._answers += 1
        self._drops += abandoned
        self._last_minute.append((view.now, abandoned))

    def decide(self, view: View) -> Decision:
        low, high = self._LEVELS
        if view.now >= self._next_drift_s:
            self._next_drift_s = view.now + 15.0
            if not self._over():
                spare = (len(view.ready) - len(view.waiting)) / max(1, view.staffed)
                self._level = min(max(self._level * (1 + spare), low), high)
        if view.now >= self._next_check_s:
            self._next_check_s = view.now + _MINUTE_S
            self._check(view.now, low)
        if self._ready_only:
            return self._up_to(self._level * len(view.ready) + 0.5, len(view.calls))
        busy = view.talking
        return self._up_to(self._level * (len(view.ready) + busy) + 0.5, len(view.calls) + busy)

    def _over(self) -> bool:
        return self._drops > self._limit * self._answers

    def _check(self, now: float, low: float) -> None:
        while self._last_minute and self._last_minute[0][0] <= now - _MINUTE_S:
            self._last_minute.popleft()
        lost = sum(abandoned for _, abandoned in self._last_minute)
        if self._over():
            self._level = low if self._hard else max(low, self._level / 2)
        elif len(self._last_minute) > 20 and lost > 0.5 * len(self._last_minute):
            self._level = max(low, self._level / 2)


class NearlyDone(_Timed):
    """Free agents and those whose talk is 97 % likely to end before a new call is answered.

    `overcommit`: divided by the answer rate of the last half hour, at least 0.2.
    """

    tick_s = 5.0
    _LIKELY: Final = 0.97
    _LEAST_RATE: Final = 0.2
    _MEMORY_S: Final = 1800.0

    def __init__(self, *, overcommit: bool = False) -> None:
        self._overcommit = overcommit
        self._talks = self._answers = 0
        self._talk_s = self._answer_s = 0.0
        self._ended: deque[tuple[float, bool]] = deque()
        self._lately = 0

    def answered(self, view: View, call: Call) -> None:
        self._answers += 1
        self._answer_s += view.now - call.dialled_s
        self._note(view.now, True)

    def unanswered(self, view: View, call: Call) -> None:
        self._note(view.now, False)

    def talk_ended(self, view: View, seat: Seat, talk_s: float) -> None:
        self._talks += 1
        self._talk_s += talk_s

    def _note(self, now: float, answered: bool) -> None:
        self._ended.append((now, answered))
        self._lately += answered
        while self._ended[0][0] <= now - self._MEMORY_S:
            self._lately -= self._ended.popleft()[1]

    def decide(self, view: View) -> Decision:
        agents = float(len(view.ready))
        if self._talks and self._answers:
            mean, ahead = self._talk_s / self._talks, self._answer_s / self._answers
            enough = -mean * math.log(1 - self._LIKELY) - ahead
            agents += sum(
                seat.state == "talking" and view.now - seat.since_s >= enough for seat in view.seats
            )
        if self._overcommit:
            rate = self._lately / len(self._ended) if self._ended else 1.0
            agents /= max(rate, self._LEAST_RATE)
        return self._up_to(agents, len(view.calls))


class _Smoothed:
    """A share, exponentially weighted: a look moves it a tenth of the way to what came since the last one."""

    _WEIGHT: Final = 0.1

    def __init__(self, share: float) -> None:
        self.share = share
        self._hits = self._of = 0

    def count(self, hit: bool) -> None:
        self._hits += hit
        self._of += 1

    def look(self) -> None:
        if self._of:
            self.share += self._WEIGHT * (self._hits / self._of - self.share)
        self._hits = self._of = 0


class Gamma(_Timed):
    """Expected free agents less expected answers, over the answer rate, times a gamma that drops pull down.

    Both rates are exponentially weighted by looks: by calls, as its description may be read too, it abandons
    more, in a large team twice as many. Five looks above the limit hold it at one call an agent until the
    drop rate is back under 2.4 of 3 %.
    """

    tick_s = 1.0
    _FIRST_ANSWERS: Final = 50
    _LOWEST: Final = 0.2
    _LEAST_RATE: Final = 0.05

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._answered, self._dropped = _Smoothed(0.3), _Smoothed(0.0)
        self._answers = self._talks = self._over = 0
        self._talk_s = self._answer_s = 0.0
        self._held = False

    def answered(self, view: View, call: Call) -> None:
        self._answers += 1
        self._answer_s += view.now - call.dialled_s
        self._answered.count(True)

    def unanswered(self, view: View, call: Call) -> None:
        self._answered.count(False)

    def settled(self, view: View, abandoned: bool) -> None:
        self._dropped.count(abandoned)

    def talk_ended(self, view: View, seat: Seat, talk_s: float) -> None:
        self._talks += 1
        self._talk_s += talk_s

    def gamma(self) -> float:
        """1 up to half of the limit, then down to 0.2 at the limit."""
        part = (self._dropped.share / self._limit - 0.5) / 0.5
        return 1.0 - (1.0 - self._LOWEST) * min(max(part, 0.0), 1.0)

    def decide(self, view: View) -> Decision:
        self._answered.look()
        self._dropped.look()
        self._over = self._over + 1 if self._dropped.share > self._limit else 0
        if self._over >= 5:
            self._held = True
        elif self._dropped.share < 0.8 * self._limit:
            self._held = False
        free, in_air = len(view.ready), len(view.calls)
        if self._held or self._answers < self._FIRST_ANSWERS or not self._talks:
            return self._up_to(free, in_air)
        mean, ring = self._talk_s / self._talks, self._answer_s / self._answers
        soon = sum(
            1 - math.exp(-ring / max(1.0, mean - (view.now - seat.since_s)))
            for seat in view.seats
            if seat.state == "talking"
        )
        rate = max(self._answered.share, self._LEAST_RATE)
        return self._up_to((free + soon - in_air * rate) / rate * self.gamma(), 0)
