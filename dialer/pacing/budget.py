"""How much may still be abandoned: the price of a risk, held by what really happened, in every window.

Pure but for its own memory: it takes settled answers with their times and reads no clock. No numpy here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

#: How much one answer moves the logarithm of the price; where several share their fate, all of them together.
GAIN: Final = 0.3
#: Answers within so many seconds share their fate: where all agents are taken they are so for some seconds,
#: and in a large team several answers come in them. Each moving the price by all of the gain, a single such
#: moment would cost minutes of pace.
FATE_S: Final = 5.0
#: How many come in them is told by the answers of so long: no shorter, since the minutes in which many answer
#: are those in which many are lost, and what is lost would count for less than what is served.
_PACE_S: Final = 600.0
#: The least time that a pace is told by, as after a break.
_LEAST_PACE_S: Final = 120.0
#: Bounds of the price. The lower one is where hardly more than one call an agent is dialled anyway, so that
#: the way back up is short.
LOWEST_PRICE: Final = 1e-3
HIGHEST_PRICE: Final = 0.7
#: The price at the start, for each unit of the target: a third of what teams of all sizes settle at. While
#: little is known more is lost than the price says; to begin low and rise costs less pace than to spend the
#: first hour's budget in its first minutes.
FIRST_PRICE: Final = 0.9
#: A window of fewer answers may have as many abandoned calls as one of so many.
ALLOWANCE_ANSWERS: Final = 300
#: A window that is not full yet may be over its limit by so many abandoned calls, as far as the answers that
#: are still to come are sure to make up for it: half a point of 300 answers.
ALLOWANCE: Final = 1.5
#: How many abandoned calls a window aims to end below its limit, so that chance carries one in a hundred over
#: it. The feedback moves the logarithm of the price by gain x (target - abandoned), so a window is over its
#: target by the price's fall within it, divided by the gain. Around its middle the logarithm varies by half
#: the gain (where abandoned calls rise as the price), the difference of two by the gain; 2.33 deviations.
#: Answers that share their fate count as one here, and as so many abandoned calls.
MARGIN: Final = 2.33 / math.sqrt(GAIN)
#: Answers over which the usual price is a mean, and how far from it the logarithm of the price may go: three
#: deviations. A misfortune that no price could have prevented (agents left, a list changed) costs so much
#: pace and no more; what it cost the windows their credit tells.
USUAL: Final = 200
BAND: Final = 1.2
#: Where fewer than so many abandoned calls are left in a window, and so many more for each answer that would
#: share the fate of one, the price falls towards 0: in a large team early enough that the window is seldom
#: spent, which costs most pace.
LEAST_CREDIT: Final = 1.5
FELLOW_CREDIT: Final = 4.0
#: Abandoned calls that may come of what is in the air when a budget is spent, for each answer that shares the
#: fate of one.
RESERVE: Final = 1.0
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which the share of abandoned calls has a limit."""

    name: str
    #: highest share of abandoned calls among calls answered live, 0 to 1
    limit: float
    #: its length up to now, seconds; None: the calendar day
    span_s: float | None


def windows_of(limit: float, span_s: float) -> tuple[Window, ...]:
    """The windows that a policy's limit is held in: its own, and every day, by the clock and by the date."""
    spans = {"day": None, "24h": float(_DAY_S), "policy": float(span_s)}
    if span_s == _DAY_S:
        del spans["policy"]
    return tuple(Window(name, limit, span) for name, span in spans.items())


@dataclass(frozen=True, slots=True)
class WindowState:
    """How a window stands."""

    name: str
    #: calls answered live that have been settled
    answered: int
    abandoned: int
    limit: float
    #: abandoned calls that it may still take; 0 or less: spent
    credit: float


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What a risk may cost now."""

    #: highest chance that one more answered call is abandoned, 0 to 1; 0 where the budget is spent
    price: float
    #: the share aimed at, 0 to 1
    target: float
    windows: tuple[WindowState, ...] = ()
    #: the window that is spent; empty: none
    spent: str = ""


class Budget:
    """The abandoned calls of one campaign, and what they allow."""

    def __init__(
        self,
        windows: Sequence[Window] = (),
        *,
        target: float | None = None,
        zone: tzinfo = UTC,
        answers_a_day: float = 1000.0,
        gain: float = GAIN,
    ) -> None:
        """`target`: the share to hold in the long run, 0 to 1; None: as near below the windows' limits as
        their size allows. `answers_a_day`: a first guess. `zone`: where the calendar day is counted.
        """
        assert windows or target is not None
        self._ledgers = [_Ledger(window, zone) for window in windows]
        self._fixed = target
        self._answers_a_day = answers_a_day
        self._gain = gain
        #: when the answers of the last minutes were settled
        self._latest: deque[datetime] = deque()
        self._zone = zone
        self._today: date | None = None
        self._of_today = 0
        self._settled = 0
        self._log_price = self._usual = math.log(FIRST_PRICE * self._aim())

    def settle(self, at: datetime, *, abandoned: bool, by_price: bool = True) -> None:
        """A live answer was settled: an agent was in time, or was not (`abandoned`). In order of time.

        `by_price`: whether the price is what held the dialling back. Where lines or leads did, a served
        answer is no reason to raise it: it would be paid for when they are back.
        """
        self._count_day(at)
        for ledger in self._ledgers:
            ledger.settle(at, abandoned)
        self._settled += 1
        if self._latest and at < self._latest[-1]:
            self._latest.clear()  # the clock was set back
        self._latest.append(at)
        while self._latest[0] < at - timedelta(seconds=_PACE_S):
            self._latest.popleft()
        target = self._target()
        up = self._aim() * self._freedom(self._states(at, target)) if by_price else 0.0
        moved = self._log_price + self._gain / self._fellows() * (up - abandoned)
        if self._settled > USUAL / 2:
            moved = min(max(moved, self._usual - BAND), self._usual + BAND)
        self._log_price = min(max(moved, math.log(LOWEST_PRICE)), math.log(HIGHEST_PRICE))
        self._usual += (self._log_price - self._usual) / min(USUAL, self._settled + 1)

    def recall(self, at: datetime, answered: int, abandoned: int) -> None:
        """Count answers that were settled around `at`, so long ago that they tell nothing of the price. In
        order of time, before those that do."""
        self._count_day(at, answered)
        for ledger in self._ledgers:
            ledger.settle(at, abandoned, answered)
        self._settled += answered

    def state(self, now: datetime) -> BudgetState:
        """What may be risked at `now`."""
        target = self._target()
        states = self._states(now, target)
        spent = next((state.name for state in states if state.credit <= 0), "")
        return BudgetState(math.exp(self._log_price) * self._freedom(states), self._aim(), states, spent)

    def _states(self, now: datetime, target: float) -> tuple[WindowState, ...]:
        reserve = RESERVE * self._fellows()
        return tuple([ledger.state(now, self._answers_a_day, target, reserve) for ledger in self._ledgers])

    def _fellows(self) -> float:
        """How many answers share their fate, itself among them, at the pace of the last minutes."""
        if not self._latest:
            return 1.0
        span_s = max(_LEAST_PACE_S, (self._latest[-1] - self._latest[0]).total_seconds())
        return max(1.0, len(self._latest) / span_s * FATE_S)

    def _freedom(self, states: Sequence[WindowState]) -> float:
        """The part of the price that the windows leave: below 1 it is not the feedback's to raise it."""
        enough = LEAST_CREDIT + FELLOW_CREDIT * (self._fellows() - 1.0)
        least = min((state.credit for state in states), default=enough)
        return min(max(least / enough, 0.0), 1.0)

    def _target(self) -> float:
        """The share that whole windows are to have."""
        if self._fixed is not None:
            return self._fixed
        margin = MARGIN * self._fellows()
        return min([ledger.target(self._answers_a_day, margin) for ledger in self._ledgers])

    def _aim(self) -> float:
        """The share that the next answers are to have: less than the target where a window has few yet."""
        if self._fixed is not None:
            return self._fixed
        margin = MARGIN * self._fellows()
        return min(self._target(), *[ledger.early_target(margin) for ledger in self._ledgers])

    def _count_day(self, at: datetime, answers: int = 1) -> None:
        """Learn how many answers a day has, from the days that are over."""
        today = at.astimezone(self._zone).date()
        if self._today is None or today > self._today:
            if self._of_today:
                self._answers_a_day += (self._of_today - self._answers_a_day) / 2
            self._today, self._of_today = today, 0
        self._of_today += answers


class _Ledger:
    """The settled answers of one window, in stretches of time."""

    def __init__(self, window: Window, zone: tzinfo) -> None:
        self.window = window
        self._zone = zone
        self._day: date | None = None
        #: start, answered, abandoned
        self._stretches: deque[tuple[datetime, int, int]] = deque()
        self._stretch = timedelta(seconds=max(60.0, (window.span_s or 0.0) / 1440))
        self._days = max(1.0, (window.span_s or _DAY_S) / _DAY_S)
        self._answered = self._abandoned = 0

    def settle(self, at: datetime, abandoned: int, answers: int = 1) -> None:
        self._forget(at)
        self._answered += answers
        self._abandoned += abandoned
        if self.window.span_s is None:
            return
        if self._stretches and at < self._stretches[-1][0] + self._stretch:
            # Also where the clock was set back: it is counted, and stays so long enough.
            start, answered, lost = self._stretches.pop()
            self._stretches.append((start, answered + answers, lost + abandoned))
        else:
            self._stretches.append((at, answers, int(abandoned)))

    def state(self, now: datetime, answers_a_day: float, target: float, reserve: float) -> WindowState:
        """How it stands, where a day is to have so many answers, the share is held at `target`, and `reserve`
        abandoned calls may come of what is in the air."""
        self._forget(now)
        answered, limit = self._answered, self.window.limit
        full = max(answered, ALLOWANCE_ANSWERS, answers_a_day * self._days)
        # What the whole window may have, less what is to come; yet never much more than its share until now.
        until_now = limit * full - target * (full - answered)
        most = limit * max(answered, ALLOWANCE_ANSWERS) + ALLOWANCE * (1.0 - answered / full)
        credit = min(until_now, most) - self._abandoned - reserve
        return WindowState(self.window.name, answered, self._abandoned, limit, credit)

    def target(self, answers_a_day: float, margin: float) -> float:
        """The share to hold, where a day is to have so many answers and `margin` fewer abandoned calls than
        its limit allows."""
        answers = max(self._answered, answers_a_day * self._days)
        return max(self.window.limit - margin / answers, self.window.limit / 2)

    def early_target(self, margin: float) -> float:
        """The share to hold while a window of the last hours has so few answers that half a point of them is
        less than chance: `margin` fewer abandoned calls than `ALLOWANCE_ANSWERS` may have."""
        if self.window.span_s is None or self._answered >= ALLOWANCE_ANSWERS:
            return self.window.limit
        return max(self.window.limit - (margin - ALLOWANCE) / ALLOWANCE_ANSWERS, self.window.limit / 2)

    def _forget(self, now: datetime) -> None:
        if self.window.span_s is None:
            today = now.astimezone(self._zone).date()
            if self._day is None or today > self._day:
                self._day, self._answered, self._abandoned = today, 0, 0
            return
        until = now - timedelta(seconds=self.window.span_s)
        while self._stretches and self._stretches[0][0] + self._stretch <= until:
            _, answered, abandoned = self._stretches.popleft()
            self._answered -= answered
            self._abandoned -= abandoned
