"""A simulated contact centre that keeps a log of its calls: a past whose truth is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dialer.pacing.simulator.centre import FIRST_DAY, Centre
from dialer.pacing.simulator.figures import Run
from dialer.pacing.simulator.pacer import Call, Pacer, Seat
from dialer.pacing.simulator.replay import Became, Log, PastDial, Stretch
from dialer.pacing.simulator.rules import make
from dialer.pacing.simulator.runs import Job
from dialer.pacing.simulator.world import HOUR_S, Drawn


class Recorded(Centre):
    """A centre that writes down what a server's database would have."""

    def __init__(self, job: Job, pacer: Pacer | None = None) -> None:
        world = job.world
        source = Drawn(world, job.seed, job.hours * HOUR_S)
        rule = pacer or make(job.rule, world, job.terms)
        super().__init__(world, source, rule, job.hours, job.seed)
        #: the log begins at midnight
        self.since_s = (self._opens_at - FIRST_DAY).total_seconds()
        self.dials: dict[int, PastDial] = {}
        self.stretches: list[Stretch] = []
        self._joined_call: dict[int, Call] = {}

    @classmethod
    def past(cls, job: Job, pacer: Pacer | None = None) -> tuple[Run, Log]:
        """What the job gave, with a rule of the test's own where one is given, and the log that it left."""
        centre = cls(job, pacer)
        run = centre.run()
        return run, centre.log()

    def log(self) -> Log:
        """All that was recorded."""
        for seat in self._seats:
            self._ended(seat)
        world = self.world
        return Log(
            FIRST_DAY,
            UTC,
            tuple(sorted(self.dials.values())),
            tuple(sorted(self.stretches, key=lambda one: (one.agent, one.from_s))),
            ring_timeout_s=world.ring_cut_s,
            slack_s=world.slack_s,
            detection=world.detection,
            transfer_s=world.transfer_s,
        )

    @staticmethod
    def clock(at_s: float) -> datetime:
        """The wall clock of a moment of the log."""
        return FIRST_DAY + timedelta(seconds=at_s)

    def _note(self, call: Call, became: Became, after_s: float, **more: Any) -> None:
        fate = call.fate
        ringing_s = fate.ringing_s if fate.ringing_s is not None and fate.ringing_s <= after_s else None
        self.dials[call.number] = PastDial(
            self.since_s + call.dialled_s,
            became,
            after_s,
            ringing_s,
            fate.detect_s,
            fate.greeting_s,
            traits=call.lead.traits,
            **more,
        )

    def _answer_s(self, call: Call) -> float:
        return call.heard_s - call.dialled_s

    def _drop(self, call: Call) -> None:
        age_s = self.now - call.dialled_s
        if call.state in ("dialling", "ringing"):
            ended = call.fate.answered_s is None and age_s > call.fate.ended_s - 1e-6
            self._note(call, Became.UNANSWERED if ended else Became.TAKEN_BACK, age_s)
        elif call.state == "screening" and call.fate.taken_for_machine:
            self._note(call, Became.MACHINE, self._answer_s(call))
        else:
            self._note(call, Became.PERSON, self._answer_s(call), left_s=self.now - call.heard_s)
        super()._drop(call)

    def _abandon(self, call: Call) -> None:
        waited = call.state == "waiting"
        super()._abandon(call)
        if waited:
            self._note(call, Became.PERSON, self._answer_s(call), abandoned=True)

    def _joined(self, pair: tuple[Call, Seat]) -> None:
        self._joined_call[pair[1].number] = pair[0]
        joined_s = self.now - pair[0].heard_s
        self._note(pair[0], Became.PERSON, self._answer_s(pair[0]), joined_s=joined_s)
        super()._joined(pair)

    def _talked(self, about: tuple[Seat, float, float]) -> None:
        seat, talk_s, wrap_s = about
        number = self._joined_call[seat.number].number
        self.dials[number] = self.dials[number]._replace(talk_s=talk_s, wrap_s=wrap_s)
        super()._talked(about)

    def _show(self, seat: Seat, state: str) -> None:
        self._ended(seat)
        super()._show(seat, state)

    def _ended(self, seat: Seat) -> None:
        if seat.state != "away" and self.now > seat.since_s:
            since_s, until_s = self.since_s + seat.since_s, self.since_s + self.now
            self.stretches.append(Stretch(seat.number, seat.state, since_s, until_s))
