"""The product's own rules in the simulator: the `plan` that the engine asks, and what it learns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final
from uuid import UUID

from dialer.pacing.budget import Budget, windows_of
from dialer.pacing.learner import Learner, Observation, Seen
from dialer.pacing.model import BY_PRICE, AgentInPool, CallInAir, DialMode, Plan, Snapshot, plan
from dialer.pacing.simulator.figures import DAY_S
from dialer.pacing.simulator.pacer import CALL_IDS, Call, Decision, Pacer, Seat, View
from dialer.pacing.simulator.world import HOUR_S, Lead, World

#: Teams of more agents are looked at less often, to be simulated in time.
_LARGE: Final = 20
_GATHER_LARGE_S: Final = 0.25
#: How far below the share the long run aims: of 9,000 answers the price's way down from the first, and what
#: its bounds cut off, bring some four abandoned calls more than the share.
_LONG_RUN_BELOW: Final = 0.0005


class Planned(Pacer):
    """Progressive and power: they look at what is there and learn nothing."""

    #: as the engine looks at changes of a moment
    gather_s = 0.05

    def __init__(self, mode: DialMode, ratio: float = 1.0) -> None:
        self._mode, self._ratio = mode, ratio
        #: why it decided as it did
        self._why = ""

    def snapshot(self, view: View) -> Snapshot:
        """What `plan` is told."""
        return Snapshot(
            mode=self._mode,
            ratio=self._ratio,
            agents=[_agent(seat) for seat in view.seats],
            calls=[self._call(call) for call in view.calls.values()],
            lines_left=view.lines_left,
            leads_left=view.leads_left,
        )

    def chance(self, lead: Lead) -> float | None:
        """That a person answers, as far as that is known."""
        return lead.told

    def _call(self, call: Call) -> CallInAir:
        shown = call.shown
        if not isinstance(shown, CallInAir):
            if call.chance is None:
                call.chance = self.chance(call.lead)
            shown = call.shown = CallInAir(
                call.id,
                call.state,
                call.created_wall,
                call.chance,
                call.ringing_wall,
                call.answered_wall,
            )
        return shown

    def plan(self, view: View, snapshot: Snapshot, now: datetime) -> Plan:
        """What it decides."""
        return plan(snapshot, now)

    def decide(self, view: View) -> Decision:
        decided = self.plan(view, self.snapshot(view), view.wall)
        self._why = decided.why
        return Decision(decided.dial, [one.int - CALL_IDS for one in decided.cancel])


@dataclass(frozen=True, slots=True)
class Limits:
    """What predictive is held to."""

    #: highest share of abandoned calls, 0 to 1
    share: float = 0.03
    #: held in the long run alone, not in every day and 24 hours
    long_run: bool = False
    #: ringing calls may be taken back after so long, s; None: never
    drop_after_s: float | None = None
    #: whether it learns how long the talks of each agent last, or of all together
    each_agent: bool = True


class Predictive(Planned):
    """Predictive, learning and spending as the engine does: from what is told, when it is told."""

    #: at least so often; the engine looks twice as often, which changes no figure
    tick_s = 0.5

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(DialMode.PREDICTIVE)
        self._world, self._limits = world, limits
        #: the last call that the learner was told of
        self._told = -1
        if world.agents > _LARGE:
            self.gather_s = _GATHER_LARGE_S
        self.learner = self._new_learner()
        # Of a full day, as a supervisor would guess it: four fifths of the agents' time is taken.
        answers = 0.8 * world.agents * world.day_h * HOUR_S / world.hold_s
        self._budget = (
            Budget(target=max(limits.share - _LONG_RUN_BELOW, limits.share / 2))
            if limits.long_run
            else Budget(
                windows_of(limits.share, 30 * DAY_S),
                zone=UTC if world.roster is None else world.roster.zone,
                answers_a_day=answers,
            )
        )
        # The greeting's shortest is the time that there surely is.
        greeting = world.greeting_s[0] if world.greeting_s else 0.0
        self._slack_s = max(0.0, world.slack_s + greeting - world.transfer_s)

    def _new_learner(self) -> Learner:
        return Learner(agents=self._world.agents, ring_timeout_s=self._world.ring_cut_s)

    def snapshot(self, view: View) -> Snapshot:
        self.learner.agents = view.staffed
        differ = self._world.kinds_known or self._world.traits_known
        leads = islice(view.next_leads(), 2 * view.staffed) if differ else ()
        seen = super().snapshot(view)
        for call in view.calls.values():
            if call.number > self._told:
                self.learner.dialled(call.id, call.created_wall, call.chance)
                self._told = call.number
        return replace(
            seen,
            next_leads=[chance for lead in leads if (chance := self.chance(lead)) is not None],
            knowledge=self.learner.knowledge(),
            budget=self._budget.state(view.wall),
            slack_s=self._slack_s,
            drop_after_s=self._limits.drop_after_s,
        )

    def chance(self, lead: Lead) -> float | None:
        return self.learner.answer_probability(lead.traits) if lead.traits else lead.told

    def person(self, view: View, call: Call) -> None:
        self._dialled(Seen.ANSWERED, call, call.heard_s)

    def machine(self, view: View, call: Call) -> None:
        self._dialled(Seen.MACHINE, call, view.now)

    def unanswered(self, view: View, call: Call) -> None:
        self._dialled(Seen.UNANSWERED, call, view.now)

    def cancelled(self, view: View, call: Call) -> None:
        self._dialled(Seen.TAKEN_BACK, call, view.now)

    def _dialled(self, what: Seen, call: Call, ended_s: float) -> None:
        seen = Observation(what, ended_s - call.dialled_s, call.lead.traits)
        self.learner.see(seen, call.id)

    def talk_ended(self, view: View, seat: Seat, talk_s: float) -> None:
        self._worked(Seen.TALKED, seat, talk_s)

    def wrap_ended(self, view: View, seat: Seat, wrap_s: float) -> None:
        self._worked(Seen.WRAPPED_UP, seat, wrap_s)

    def _worked(self, what: Seen, seat: Seat, lasted_s: float) -> None:
        agent = seat.number if self._limits.each_agent else None
        self.learner.see(Observation(what, lasted_s, agent=agent))

    def settled(self, view: View, abandoned: bool) -> None:
        self._budget.settle(view.wall, abandoned=abandoned, by_price=not self._why or self._why in BY_PRICE)

    def forget(self) -> None:
        self.learner = self._new_learner()


def _agent(seat: Seat) -> AgentInPool:
    shown = seat.shown
    if not isinstance(shown, AgentInPool):
        shown = seat.shown = AgentInPool(UUID(int=seat.number), seat.state, seat.since_wall, seat.number)
    return shown
