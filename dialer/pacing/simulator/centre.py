"""A contact centre in simulated time: one heap of events, one rule that decides what is dialled.

No wall clock is read and nothing is random but the source's draws: a seed gives the same run on each machine.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dialer.pacing.simulator.figures import DAY_S, Ledger, Run
from dialer.pacing.simulator.pacer import Call, Pacer, Seat
from dialer.pacing.simulator.world import HOUR_S, Absence, Lead, Source, World, habits

#: The day of the first shift: a Monday.
FIRST_DAY: Final = datetime(2026, 3, 2, tzinfo=UTC)
_OPENS_H: Final = 9.0
_ENDLESS: Final = 1_000_000
#: Leads that a rule may look ahead to, an agent.
_AHEAD: Final = 4


def shifts(world: World, hours: float) -> list[tuple[float, float]]:
    """When the centre is open, real seconds from the start: so many counted hours after the warm-up, which
    lengthens the first day. With a roster: when anybody is on duty."""
    if world.roster is not None:
        return world.roster.spans
    left = hours * HOUR_S
    if world.day_h >= 24:
        return [(0.0, world.warm_up_s + left)]
    found, day = list[tuple[float, float]](), 0
    while left > 1e-6:
        length = min(left, world.day_h * HOUR_S)
        found.append((day * DAY_S, day * DAY_S + length + (0.0 if day else world.warm_up_s)))
        left, day = left - length, day + 1
    return found


class Centre:
    """One run: `Centre(world, source, pacer, hours, seed).run()`."""

    def __init__(self, world: World, source: Source, pacer: Pacer, hours: float, seed: int = 1) -> None:
        self.world, self._source, self._pacer, self._seed = world, source, pacer, seed
        self._shifts = shifts(world, hours)
        roster = world.roster
        self._opens_at = (
            roster.begins_at
            if roster is not None
            else FIRST_DAY + timedelta(hours=_OPENS_H if world.day_h <= 24 - _OPENS_H else 0)
        )
        self._clock_off_s = 0.0
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._serial = 0
        self._seats = [
            Seat(number, self._opens_at, habit) for number, habit in enumerate(habits(world, seed))
        ]
        self.seats: list[Seat] = []
        self.ready: dict[int, Seat] = {}
        self.calls: dict[int, Call] = {}
        self.waiting: dict[int, Call] = {}
        self._dialled = 0
        self._upcoming: deque[Lead] = deque()
        self._list_over = False
        self._list_ended_s: float | None = None
        self.ledger = Ledger()
        self._open = False
        self._changed = False
        self._look_due = False
        self._detects = world.detection

    # -- what a rule looks at ----------------------------------------------------------------------------

    @property
    def staffed(self) -> int:
        return self.ledger.on_duty

    @property
    def talking(self) -> int:
        return sum(seat.state in ("talking", "reserved") for seat in self.seats)

    @property
    def wall(self) -> datetime:
        return self._opens_at + timedelta(seconds=self.now + self._clock_off_s)

    @property
    def lines_left(self) -> int:
        return _ENDLESS if self.world.lines is None else max(0, self.world.lines - self.ledger.lines)

    @property
    def leads_left(self) -> int | None:
        if not self._upcoming:
            self._look_ahead()
        return len(self._upcoming) if self._list_over else None

    def next_leads(self) -> Iterable[Lead]:
        if len(self._upcoming) < 2 * self.world.agents:
            self._look_ahead()
        return self._upcoming

    def _look_ahead(self) -> None:
        while not self._list_over and len(self._upcoming) < _AHEAD * self.world.agents:
            lead = self._source.lead()
            if lead is None:
                self._list_over = True
            else:
                self._upcoming.append(lead)

    # -- time ----------------------------------------------------------------------------------------------

    def _at(self, when: float, handler: Callable[[Any], None], about: Any = None) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, handler, about))

    def _worked(self, now: float) -> float:
        """Worked seconds from the first counted one; negative in the warm-up."""
        worked = -self.world.warm_up_s
        for opens, closes in self._shifts:
            if now <= opens:
                break
            worked += min(now, closes) - opens
        return worked

    def _real(self, worked_s: float) -> float | None:
        """The real time of that worked one; None: after the end."""
        left = worked_s + self.world.warm_up_s
        for opens, closes in self._shifts:
            if left < closes - opens:
                return opens + left
            left -= closes - opens
        return None

    def _on(self, worked_s: float, handler: Callable[[Any], None], about: Any = None) -> None:
        when = self._real(worked_s)
        if when is not None:
            self._at(when, handler, about)

    def run(self) -> Run:
        """Work all shifts; what came of it."""
        world, pacer = self.world, self._pacer
        end = self._shifts[-1][1]
        self._at(world.warm_up_s, self._count)
        for opens, closes in self._shifts:
            self._at(opens, self._opening)
            self._at(closes, self._closing)
        for absence in world.absences:
            self._on(absence.at_s, self._leave, absence)
            self._on(absence.at_s + absence.for_s, self._come_back, absence)
        for stay in world.roster.stays if world.roster is not None else ():
            seat = self._seats[stay.agent]
            seat.away = True
            self._at(stay.from_s, self._come, seat)
            self._at(stay.until_s, self._go, seat)
        for at, by_s in world.clock_steps:
            self._on(at, self._set_clock, by_s)
        for at in world.resets:
            self._on(at, self._forget)
        heap, pop = self._heap, heapq.heappop
        while heap:
            now, _, handler, about = pop(heap)
            if now > end and not (self.calls or self.ledger.talking):
                break
            self.now = now
            handler(about)
            if self._changed and pacer.on_change and self._open:
                self._changed = False
                if not pacer.gather_s:
                    self._look(None)
                elif not self._look_due:
                    self._look_due = True
                    self._at(now + pacer.gather_s, self._look)
            if self._list_over and not self._upcoming and not self.calls and not self._busy():
                self._stop_counting()
                break
        return Run.of(self.ledger, self._seed, self._list_ended_s)

    def _busy(self) -> bool:
        return any(seat.state in ("reserved", "talking", "wrap_up") for seat in self.seats)

    def _stop_counting(self) -> None:
        self.ledger.advance(self.now)
        self.ledger.minute(self._worked(self.now))

    def _count(self, _: object) -> None:
        self.ledger.start_counting(self.now)
        if self._open:
            self._at(self.now + 60.0, self._minute)

    def _minute(self, _: object) -> None:
        if self._open:
            self.ledger.advance(self.now)
            self.ledger.minute(self._worked(self.now))
            self._at(self.now + 60.0, self._minute)

    def _opening(self, _: object) -> None:
        self.ledger.advance(self.now)
        self.ledger.open = self._open = True
        for seat in self._seats:
            if seat.state == "away" and not seat.away:
                self._seat_in(seat)
            elif seat.state == "ready":
                self._show(seat, "ready")
        if self.ledger.counted:
            self._minute(None)
        if self._pacer.tick_s is not None:
            self._tick(None)

    def _closing(self, _: object) -> None:
        self._stop_counting()
        self.ledger.open = self._open = False
        # Whoever has a call ends it; who answers now is served as long as somebody is there.

    def _tick(self, _: object) -> None:
        assert self._pacer.tick_s is not None
        if self._open:
            self._look(None)
            self._at(self.now + self._pacer.tick_s, self._tick)

    def _set_clock(self, by_s: float) -> None:
        self._clock_off_s += by_s

    def _forget(self, _: object) -> None:
        self._pacer.forget()

    # -- dialling ------------------------------------------------------------------------------------------

    def _look(self, _: object) -> None:
        self._look_due = False
        if not self._open:
            return
        decision = self._pacer.decide(self)
        for number in decision.cancel:
            call = self.calls[number]
            assert call.state in ("dialling", "ringing"), "an answered call was taken back"
            self._drop(call)
            self.ledger.cancelled += 1
            self._pacer.cancelled(self, call)
        for _each in range(min(decision.dial, self.lines_left)):
            if not self._upcoming:
                self._look_ahead()
            if not self._upcoming:
                break
            self._dial(self._upcoming.popleft())
        if self._list_over and not self._upcoming and self._list_ended_s is None:
            self._list_ended_s = self._worked(self.now)

    def _dial(self, lead: Lead) -> None:
        now, ledger = self.now, self.ledger
        fate = self._source.fate(lead, self._worked(now))
        self._dialled += 1
        call = self.calls[self._dialled] = Call(self._dialled, lead, fate, now, self.wall)
        ledger.advance(now)
        ledger.dials += 1
        ledger.lines += 1
        ledger.lines_peak = max(ledger.lines_peak, ledger.lines)
        late = self.world.events_late_s
        if fate.ringing_s is not None:
            self._at(now + fate.ringing_s + late, self._ringing, call)
        if fate.answered_s is not None:
            self._at(now + fate.answered_s, self._answered, call)
        else:
            self._at(now + fate.ended_s + late, self._unanswered, call)

    def _ringing(self, call: Call) -> None:
        if call.state == "dialling":
            call.state, call.ringing_wall, call.shown = "ringing", self.wall, None

    def _drop(self, call: Call) -> None:
        """A call without an agent is over."""
        del self.calls[call.number]
        self.waiting.pop(call.number, None)
        call.state = "over"
        self.ledger.advance(self.now)
        self.ledger.lines -= 1
        self._changed = True

    def _unanswered(self, call: Call) -> None:
        if call.state != "over":
            self._drop(call)
            self._pacer.unanswered(self, call)

    # -- an answer -----------------------------------------------------------------------------------------

    def _answered(self, call: Call) -> None:
        """Somebody answers in truth; it may be told later."""
        if call.state == "over":
            return
        fate = call.fate
        if not fate.machine:
            self.ledger.people += 1
        if fate.hang_up_s is not None:
            self._at(self.now + fate.hang_up_s, self._hung_up, call)
        if fate.late_s:
            self._at(self.now + fate.late_s, self._told, call)
        else:
            self._told(call)

    def _told(self, call: Call) -> None:
        if call.state == "over":
            return
        call.heard_s, call.answered_wall, call.shown = self.now, self.wall, None
        call.deadline_s = self.now + call.fate.greeting_s + self.world.slack_s
        self._changed = True
        self._pacer.answered(self, call)
        if self._detects:
            call.state = "screening"
            self._at(self.now + call.fate.detect_s, self._verdict, call)
        else:
            self._person(call)

    def _verdict(self, call: Call) -> None:
        if call.state == "over":
            return
        call.shown = None
        self._changed = True
        if not call.fate.taken_for_machine:
            self._person(call)
            return
        if not call.fate.machine:
            self.ledger.unserved += 1
        self._drop(call)
        self._pacer.machine(self, call)

    def _person(self, call: Call) -> None:
        """Taken for a person: the longest-idle agent, or a wait until the law's clock is over."""
        self._pacer.person(self, call)
        if self.ready:
            self._give(call, next(iter(self.ready.values())))
            return
        call.state = "waiting"
        self.waiting[call.number] = call
        # What the detection has used up of the time is gone.
        self._at(max(self.now, call.deadline_s), self._abandon, call)

    def _abandon(self, call: Call) -> None:
        if call.state == "waiting":
            self._drop(call)
            self.ledger.unserved += not call.fate.machine
            self._settle(abandoned=True)

    def _hung_up(self, call: Call) -> None:
        """The customer is gone before an agent was there."""
        if call.state != "over":
            self._drop(call)
            self._left()

    def _left(self) -> None:
        """The customer hung up before the law's clock was over: answered live, and not abandoned."""
        self.ledger.left_early += 1
        self._settle(abandoned=False)

    def _settle(self, *, abandoned: bool) -> None:
        self.ledger.live += 1
        self.ledger.abandoned += abandoned
        self.ledger.settled.append((self.now, abandoned))
        self._pacer.settled(self, abandoned)

    # -- agents --------------------------------------------------------------------------------------------

    def _show(self, seat: Seat, state: str) -> None:
        seat.state, seat.since_s, seat.since_wall, seat.shown = state, self.now, self.wall, None
        self._changed = True

    def _give(self, call: Call, seat: Seat) -> None:
        self.ledger.advance(self.now)
        self.ledger.idle_s.append(self.now - seat.since_s)
        del self.ready[seat.number]
        del self.calls[call.number]
        self.waiting.pop(call.number, None)
        call.state = "over"
        seat.called += 1
        if self.world.transfer_s:
            self._show(seat, "reserved")
            self._at(self.now + self.world.transfer_s, self._joined, (call, seat))
        else:
            self._joined((call, seat))

    def _joined(self, pair: tuple[Call, Seat]) -> None:
        call, seat = pair
        fate, ledger, now = call.fate, self.ledger, self.now
        heard_at = call.heard_s - fate.late_s
        ledger.advance(now)
        talk = self._source.talk_s(fate) * (1.0 if fate.machine else seat.talk_factor)
        if fate.hang_up_s is not None and fate.talk_s is None:
            talk = heard_at + fate.hang_up_s - now
            if talk <= 0:
                self._left()
                ledger.lines -= 1
                self._free(seat)
                return
        ledger.talking += 1
        if fate.machine:
            ledger.machines_joined += 1
        else:
            ledger.contacts += 1
            ledger.waits_s.append(now - call.heard_s)
            ledger.unserved += now - heard_at - fate.greeting_s > self.world.slack_s + 1e-9
            self._settle(abandoned=now > call.deadline_s + 1e-9)
        wrap = self._source.wrap_s(fate) * seat.wrap_factor
        seat.talk_ends = now + talk + wrap
        self._show(seat, "talking")
        self._at(now + talk, self._talked, (seat, talk, wrap))

    def _talked(self, about: tuple[Seat, float, float]) -> None:
        seat, talk, wrap = about
        ledger = self.ledger
        ledger.advance(self.now)
        ledger.talking -= 1
        ledger.wrapping += 1
        ledger.lines -= 1
        late = self.world.events_late_s
        if late:
            self._at(self.now + min(late, wrap), self._shown_wrapping, (seat, seat.called, talk))
        else:
            self._show(seat, "wrap_up")
            self._pacer.talk_ended(self, seat, talk)
        self._at(self.now + wrap, self._wrapped, (seat, wrap))

    def _shown_wrapping(self, about: tuple[Seat, int, float]) -> None:
        seat, called, talk = about
        if seat.called == called:
            if seat.state == "talking":
                self._show(seat, "wrap_up")
            self._pacer.talk_ended(self, seat, talk)

    def _wrapped(self, about: tuple[Seat, float]) -> None:
        seat, wrap = about
        self.ledger.advance(self.now)
        self.ledger.wrapping -= 1
        self._pacer.wrap_ended(self, seat, wrap)
        if seat.away:
            self._seat_out(seat)
        elif self.now >= seat.break_at:
            self._seat_out(seat)
            self._at(self.now + self.world.break_s, self._break_over, seat)
        else:
            self._free(seat)

    def _free(self, seat: Seat) -> None:
        self._show(seat, "ready")
        self.ready[seat.number] = seat
        if self.waiting:
            self._give(next(iter(self.waiting.values())), seat)

    def _seat_in(self, seat: Seat) -> None:
        """An agent begins, or comes back."""
        self.ledger.advance(self.now)
        self.ledger.on_duty += 1
        self.seats.append(seat)
        if self.world.break_after_s:
            seat.break_at = self.now + self._source.work_s()
        self._free(seat)

    def _seat_out(self, seat: Seat) -> None:
        self.ledger.advance(self.now)
        self.ledger.on_duty -= 1
        self.seats.remove(seat)
        self.ready.pop(seat.number, None)
        self._show(seat, "away")

    def _break_over(self, seat: Seat) -> None:
        if seat.state == "away" and not seat.away and self._open:
            self._seat_in(seat)

    def _leave(self, absence: Absence) -> None:
        for seat in self._seats[: round(absence.share * len(self._seats))]:
            self._go(seat)

    def _come_back(self, absence: Absence) -> None:
        for seat in self._seats[: round(absence.share * len(self._seats))]:
            self._come(seat)

    def _go(self, seat: Seat) -> None:
        seat.away = True
        if seat.state == "ready":
            self._seat_out(seat)

    def _come(self, seat: Seat) -> None:
        seat.away = False
        if seat.state == "away" and self._open:
            self._seat_in(seat)
