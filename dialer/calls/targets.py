"""Whom a call goes to, who wants it, and the row that it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from dialer.agents.model import Shift
from dialer.calls.model import Assignee, Call
from dialer.calls.store import NewAttempt
from dialer.calls.table import Line
from dialer.calls.terms import CallTerms
from dialer.db.session import encode_json
from dialer.pacing.answering import Traits, words_of
from dialer.pacing.model import DialMode
from dialer.queues.places import Owed
from dialer.trunks.model import Choice, Trunk
from scheduler.hopper import ClaimedLead


@dataclass(frozen=True, slots=True)
class Target:
    """A number to be dialled, of a lead or typed by hand."""

    e164: str
    timezones: tuple[str, ...]
    lead: ClaimedLead | None = None
    #: whom it is known as, where there is no lead
    contact_id: int | None = None
    #: predictive: what its chance of an answer is told from, and that chance, 0 to 1
    traits: Traits = ()
    answer_probability: float | None = None
    #: what showed that it may be dialled, see `compliance.evidence`
    evidence: Mapping[str, Any] | None = None

    @property
    def person(self) -> int | None:
        """The contact, as far as that is known."""
        return self.lead.contact_id if self.lead is not None else self.contact_id


@dataclass(frozen=True, slots=True)
class ByHand:
    """Who started the call, and the agent's shift it is for."""

    user_id: int | None
    shift: Shift
    #: the agent has promised the call, and the server dials it
    promised: bool = False
    #: the place in a queue whose turn it is: the server has chosen the agent for it
    place: Owed | None = None


def new_attempt(
    terms: CallTerms,
    target: Target,
    choice: Choice,
    node: str,
    attempt_id: UUID,
    today: date,
    by_hand: ByHand | None,
) -> NewAttempt:
    """The row that stands before the call."""
    shift, lead, rate = by_hand.shift if by_hand else None, target.lead, choice.rate
    place = by_hand.place if by_hand else None
    return NewAttempt(
        id=attempt_id,
        campaign_id=terms.campaign_id,
        e164=target.e164,
        trunk_id=choice.trunk.id,
        node=node,
        caller_id=choice.trunk.caller_id,
        mode=terms.mode,
        policy=terms.policy.stamp,
        list_id=lead.list_id if lead else None,
        lead_id=lead.id if lead else None,
        contact_id=target.person,
        clicked_by=by_hand.user_id if by_hand else None,
        session_id=shift.id if shift else None,
        agent_id=shift.agent_id if shift else None,
        holds_line=True,
        probe=choice.probe,
        rate_per_minute=rate.per_minute if rate else None,
        rate_per_call=rate.per_call if rate else None,
        reserved=choice.reserve,
        reserved_on=today,
        traits=words_of(target.traits) or None,
        evidence=encode_json(dict(target.evidence)) if target.evidence is not None else None,
        queue=place.queue if place else None,
        reason=place.reason or None if place else None,
        queued_at=place.since if place else None,
    )


def new_line(
    terms: CallTerms,
    target: Target,
    trunk: Trunk,
    node: str,
    attempt_id: UUID,
    now: datetime,
    by_hand: ByHand | None,
) -> Line:
    """The call as it stands with its row."""
    shift = by_hand.shift if by_hand else None
    call = Call(
        attempt_id=attempt_id,
        tenant_id=terms.tenant_id,
        campaign_id=terms.campaign_id,
        # A person who started the call listens already: no detector stands between.
        screens=terms.screens and by_hand is None,
        abandon_after_s=terms.policy.abandon_after_s,
        created_at=now,
        agent=Assignee(shift.id, shift.agent_id, shift.leg) if shift and shift.leg else None,
        queued_at=by_hand.place.since if by_hand and by_hand.place else None,
        automatic=terms.mode is DialMode.FLOW and by_hand is None,
    )
    line = Line(call=call, terms=terms, e164=target.e164, trunk_id=trunk.id, node=node)
    line.traits, line.answer_probability = target.traits, target.answer_probability
    if target.person is not None:
        line.told = {"contact_id": target.person}
    return line
