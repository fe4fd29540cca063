"""A campaign's attempts as the simulator replays them: what of each row is known, and what it leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dialer.calls import verdicts
from dialer.calls.model import LIVE, Call, Result
from dialer.calls.terms import CallTerms
from dialer.campaigns.facts import UNANSWERED
from dialer.campaigns.pace import SHORTEST_GREETING_S, Basis
from dialer.compliance.model import greeting_end_at
from dialer.pacing.answering import Traits
from dialer.pacing.model import DialMode
from dialer.pacing.simulator.compare import Setting, name_of
from dialer.pacing.simulator.planned import Limits
from dialer.pacing.simulator.replay import Became, PastDial
from dialer.pacing.simulator.rules import Terms

#: Why an attempt is left out.
UNDER_WAY: Final = "under_way"  # it had not ended when it was read
NOT_SENT: Final = "not_sent"  # it was never asked of Asterisk
BY_CARRIER: Final = "failed_by_carrier"  # nobody's phone rang
END_UNKNOWN: Final = "end_unknown"  # nobody saw how it ended


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """An attempt as its row tells it."""

    call: Call
    #: AMDCAUSE
    machine_cause: str
    #: what was known of the lead
    traits: Traits = ()


def dial_of(one: PastAttempt, begins_at: datetime, terms: CallTerms) -> PastDial | str:
    """The attempt as the simulator takes it; a word that says why it is left out, if it is."""
    call = one.call
    at_s = (call.created_at - begins_at).total_seconds()
    if call.answered_at is not None:
        return _answered(one, at_s, terms)
    if call.result is None or call.hung_up_at is None:
        return UNDER_WAY
    if call.result is Result.CANCELED:
        became = Became.TAKEN_BACK
        if call.sent_at is None and call.ringing_at is None:
            return NOT_SENT
    elif verdicts.failed_by_trunk(call):
        return BY_CARRIER
    elif call.result in UNANSWERED:
        became = Became.UNANSWERED
    else:
        return END_UNKNOWN
    after_s = _since(call.created_at, call.hung_up_at)
    return PastDial(at_s, became, after_s, _ringing_s(call), traits=one.traits)


def _answered(one: PastAttempt, at_s: float, terms: CallTerms) -> PastDial | str:
    call = one.call
    assert call.answered_at is not None
    known_at = call.screened_at or call.connected_at or call.hung_up_at
    if known_at is None or call.result is None:
        return UNDER_WAY
    after_s, detect_s = _since(call.created_at, call.answered_at), _since(call.answered_at, known_at)
    if call.result is Result.MACHINE:
        return PastDial(at_s, Became.MACHINE, after_s, _ringing_s(call), detect_s, traits=one.traits)
    if call.result not in LIVE:
        return END_UNKNOWN
    joined, left = call.connected_at, call.hung_up_at
    gone_early = call.result is Result.CALLER_HUNG_UP and left is not None
    return PastDial(
        at_s,
        Became.PERSON,
        after_s,
        _ringing_s(call),
        detect_s,
        greeting_s=_greeting_s(one, terms),
        joined_s=_since(call.answered_at, joined) if joined else None,
        talk_s=_since(joined, left) if joined and left else None,
        wrap_s=_since(left, call.ended_at) if joined and left and call.ended_at else None,
        left_s=_since(call.answered_at, left) if gone_early and left else None,
        abandoned=call.result is Result.ABANDONED,
        traits=one.traits,
    )


def _greeting_s(one: PastAttempt, terms: CallTerms) -> float:
    """From the answer until the policy's clock began, s."""
    call = one.call
    if not (terms.screens and terms.clock_at_greeting_end and call.screened_at and call.answered_at):
        return 0.0
    silence_ms = terms.amd_settings["after_greeting_silence"]
    return _since(call.answered_at, greeting_end_at(call.screened_at, one.machine_cause, silence_ms))


def _ringing_s(call: Call) -> float | None:
    return _since(call.created_at, call.ringing_at) if call.ringing_at else None


def _since(before: datetime, after: datetime) -> float:
    # A clock that was set back makes no duration negative.
    return max((after - before).total_seconds(), 0.0)


def least_greeting_s(terms: CallTerms) -> float:
    """The shortest greeting before the policy's clock begins; 0: it begins at the answer."""
    return SHORTEST_GREETING_S if terms.screens and terms.clock_at_greeting_end else 0.0


def own_setting(terms: CallTerms) -> Setting | None:
    """What the campaign has, as a setting of the simulator; None: a person starts each call."""
    if terms.mode.by_hand:
        return None
    limits, ratio = Limits(terms.policy.abandon_cap), None
    if terms.mode is DialMode.POWER:
        ratio = terms.ratio
    if terms.mode is DialMode.PREDICTIVE:
        after_s = float(terms.policy.min_ring_s) if terms.take_back_ringing else None
        limits = Limits(Basis.of(terms).limit, drop_after_s=after_s)
    asked = Terms(limits, ratio)
    return Setting(name_of(str(terms.mode), asked), str(terms.mode), asked, own=True)
