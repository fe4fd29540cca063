"""What one predictive campaign has learned and may still risk, fed by what happens to its calls and agents.

Pure but for its own memory. Nothing of it is saved: it is told the past again (`recall`) when a server takes
the campaign up, from the rows of its attempts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Final
from uuid import UUID

from dialer.agents.model import AgentState, Shift
from dialer.calls.model import Call
from dialer.calls.terms import CallTerms
from dialer.campaigns.facts import Fact, Kind, facts, wrapped_up
from dialer.compliance.model import Hours, zone_of
from dialer.pacing.answering import Traits, traits
from dialer.pacing.budget import Budget, windows_of
from dialer.pacing.learner import Learner
from dialer.pacing.model import BY_PRICE, Plan, Snapshot
from scheduler.hopper import ClaimedLead

#: Where the machine detector listens the policy's clock begins at the greeting's end: so long lasts the
#: shortest greeting that there surely is, seconds.
SHORTEST_GREETING_S: Final = 0.5
#: Live answers a day and agent, as a first guess: a shift of eight hours, four fifths of it in talks.
ANSWERS_AN_AGENT: Final = 170.0
#: More attempts at a number than these are all alike.
MANY_ATTEMPTS: Final = 5
#: States of an agent whose phone is being brought back: the wrap-up goes on.
_AWAY: Final = (AgentState.CALLING, AgentState.LOST)


@dataclass(frozen=True, slots=True)
class Basis:
    """What of a campaign's terms decides how it learns and spends; with another one it begins anew."""

    ring_timeout_s: int
    #: highest share of abandoned calls, 0 to 1
    limit: float
    #: over which that is taken, seconds
    window_s: int

    @classmethod
    def of(cls, terms: CallTerms) -> Basis:
        """Of a campaign's terms."""
        policy = terms.policy
        limit = policy.abandon_cap
        if terms.abandon_target is not None:
            limit = min(limit, terms.abandon_target)
        return cls(terms.ring_timeout_s, limit, policy.abandon_window_s)


@dataclass(frozen=True, slots=True)
class PastCall:
    """An attempt as its row tells it."""

    call: Call
    traits: Traits
    #: the shift of who talked
    session_id: UUID | None
    #: why pacing did what it did when the call was settled; None: not known
    why: str | None


@dataclass(frozen=True, slots=True)
class Past:
    """What the database knows of a campaign."""

    #: the latest attempts, oldest first
    calls: Sequence[PastCall]
    #: of the windows before those: (when, live answers, abandoned), oldest first
    settled: Sequence[tuple[datetime, int, int]]
    #: where the calendar day is counted
    zone: tzinfo
    #: agents who can take its calls and are logged in
    agents: int


@dataclass(slots=True)
class _WrapUp:
    """An agent who has talked and is not ready yet."""

    attempt_id: UUID
    hung_up_at: datetime
    agent_id: int | None


@dataclass(slots=True)
class Pace:
    """One campaign's learning and spending."""

    basis: Basis
    learner: Learner = field(init=False)
    budget: Budget = field(init=False)
    #: why the last decision was made
    why: str = ""
    #: the next leads with their chances, as far as looked at
    next_leads: list[float] = field(default_factory=list)
    #: monotonic time at which they were looked at
    looked_s: float = float("-inf")
    #: the trunks that they would have tried then, in their order
    looked_over: Sequence[int] = ()
    #: what was told of each call that may tell more
    _told: dict[UUID, set[Kind]] = field(default_factory=dict)
    #: by shift
    _wrap_ups: dict[UUID, _WrapUp] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.learner = Learner(ring_timeout_s=float(self.basis.ring_timeout_s))
        self.budget = Budget(windows_of(self.basis.limit, self.basis.window_s))

    # -- the past ------------------------------------------------------------------------------------------

    def recall(self, past: Past) -> None:
        """Be told the past, in its order. Takes some 50 us a call; to be run beside the event loop."""
        self.learner = Learner(ring_timeout_s=float(self.basis.ring_timeout_s), agents=max(1, past.agents))
        guess = {"answers_a_day": past.agents * ANSWERS_AN_AGENT} if past.agents else {}
        self.budget = Budget(windows_of(self.basis.limit, self.basis.window_s), zone=past.zone, **guess)
        for at, answered, abandoned in past.settled:
            self.budget.recall(at, answered, abandoned)
        timed: list[tuple[datetime, int, Fact | None, PastCall]] = []
        for one in past.calls:
            call, known = one.call, list(facts(one.call, one.traits))
            if call.connected_at is not None and call.hung_up_at is not None:
                if call.ended_at is not None:
                    known.append(wrapped_up(call.hung_up_at, call.ended_at, call.talked_by))
                elif one.session_id is not None:
                    owes = _WrapUp(call.attempt_id, call.hung_up_at, call.talked_by)
                    self._wrap_ups[one.session_id] = owes
            self._told[call.attempt_id] = {fact.kind for fact in known}
            timed.append((call.created_at, 0, None, one))
            timed += [(fact.at, 1, fact, one) for fact in known]
            if call.hung_up_at is not None:
                timed.append((call.hung_up_at, 2, None, one))
        timed.sort(key=lambda each: each[:2])
        for _, what, fact, one in timed:
            if fact is not None:
                self._take(fact, one.call.attempt_id, by_price=one.why is None or one.why in BY_PRICE)
            elif what == 0:
                self.learner.dialled(one.call.attempt_id, one.call.created_at, self.chance(one.traits))
            else:
                self.learner.gone(one.call.attempt_id)
            self.learner.renew()

    def catch_up(self, changes: Iterable[tuple[Call, Traits]], on_lines: Collection[UUID]) -> None:
        """Be told what happened while the past was read; some of it stands there already."""
        for call, of in changes:
            self.changed(call, of)
        # Only a call on the lines tells more.
        self._told = {id_: kinds for id_, kinds in self._told.items() if id_ in on_lines}

    # -- what happens --------------------------------------------------------------------------------------

    def changed(self, call: Call, of: Traits) -> None:
        """A call of the campaign has changed."""
        told = self._told.get(call.attempt_id)
        if told is None:
            told = self._told[call.attempt_id] = set()
            self.learner.dialled(call.attempt_id, call.created_at, self.chance(of))
        for fact in facts(call, of):
            if fact.kind not in told:
                told.add(fact.kind)
                self._take(fact, call.attempt_id, by_price=not self.why or self.why in BY_PRICE)
                if fact.kind is Kind.TALK and call.talked is not None:
                    self._wrap_ups[call.talked] = _WrapUp(call.attempt_id, fact.at, call.talked_by)
        if call.hung_up_at is not None:
            del self._told[call.attempt_id]
            self.learner.gone(call.attempt_id)

    def shifts_read(self, shifts: Mapping[UUID, Shift]) -> None:
        """The shifts of the tenant as their rows stand: who has wrapped up is done."""
        for session_id, wrap_up in list(self._wrap_ups.items()):
            shift = shifts.get(session_id)
            if shift is None:  # logged out: nobody is ready
                del self._wrap_ups[session_id]
            elif shift.attempt_id != wrap_up.attempt_id and shift.state not in _AWAY:
                del self._wrap_ups[session_id]
                self._take(wrapped_up(wrap_up.hung_up_at, shift.state_since, wrap_up.agent_id))

    def _take(self, fact: Fact, call: UUID | None = None, *, by_price: bool = True) -> None:
        if fact.seen is not None:
            self.learner.see(fact.seen, call)
        else:
            self.budget.settle(fact.at, abandoned=fact.abandoned, by_price=by_price)

    # -- what is asked -------------------------------------------------------------------------------------

    def chance(self, of: Traits) -> float:
        """That a person answers a lead with these traits, 0 to 1."""
        return self.learner.answer_probability(of)

    def nearness(self, window: Hours) -> Nearness:
        """Says of a lead how near its chance now is to that of its best hour within these local hours. What
        is known of one lead is known of all that are like it: ask one `Nearness` of many leads."""
        return Nearness(self.learner, window)

    def told(self, snapshot: Snapshot, terms: CallTerms, agents: int, now: datetime) -> Snapshot:
        """The snapshot with what predictive needs; `agents`: on all nodes."""
        self.learner.agents = max(1, agents)
        return replace(
            snapshot,
            next_leads=self.next_leads,
            knowledge=self.learner.knowledge(),
            budget=self.budget.state(now),
            slack_s=slack_s(terms),
            drop_after_s=float(terms.policy.min_ring_s) if terms.take_back_ringing else None,
        )

    def decided(self, decision: Plan, snapshot: Snapshot) -> Plan:
        """The decision as it is kept: with the share of abandoned calls, figures of four digits."""
        self.why = decision.why
        inputs = dict(decision.inputs)
        if snapshot.budget is not None and snapshot.budget.windows:
            tightest = min(snapshot.budget.windows, key=lambda window: window.credit)
            inputs["limit"], inputs["live"] = tightest.limit, tightest.answered
            inputs["abandoned"] = tightest.abandoned
        if snapshot.knowledge is not None:
            inputs["assumed"] = snapshot.knowledge.prior
        return replace(decision, inputs={name: float(f"{value:.4g}") for name, value in inputs.items()})


@dataclass(slots=True)
class Nearness:
    """How near leads' chances are to those of their best hours, as learned by now."""

    learner: Learner
    window: Hours
    _known: dict[Traits, float] = field(default_factory=dict)

    def __call__(self, lead: ClaimedLead, now: datetime) -> float:
        """Chance now to chance at the best hour, 0 to 1; 1 where the lead's place is not known."""
        of = traits_of_lead(lead, now)
        known = self._known.get(of)
        if known is None:
            rest = [one for one in of if one[0] != "hour"]
            if len(rest) == len(of):
                return 1.0
            hours = range(self.window.opens // 60, (self.window.closes + 59) // 60)
            best = max(
                self.learner.answer_probability(tuple(sorted([*rest, ("hour", str(hour))]))) for hour in hours
            )
            known = self._known[of] = min(1.0, self.learner.answer_probability(of) / best)
        return known


def slack_s(terms: CallTerms) -> float:
    """How long after the answer an agent is surely in time, seconds."""
    greeting = SHORTEST_GREETING_S if terms.screens and terms.clock_at_greeting_end else 0.0
    return terms.policy.abandon_after_s + greeting


def traits_of_lead(lead: ClaimedLead, now: datetime, trunk_id: int | None = None) -> Traits:
    """What the chance of an answer is told from: the hour and the day at the lead's place, what was tried
    before, the kind of the number, its list, the trunk of the call (None: the campaign has but one)."""
    zone = zone_of(lead.timezones[0]) if lead.timezones else None
    here = now.astimezone(zone) if zone is not None else None
    return traits(
        hour=here.hour if here else None,
        weekday=here.weekday() if here else None,
        attempts=min(lead.attempts, MANY_ATTEMPTS),
        last_result=lead.last_result,
        kind=lead.kind,
        list=lead.list_id,
        trunk=trunk_id,
    )
