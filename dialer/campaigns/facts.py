"""What a call teaches pacing: facts with their times, from the call as it stands. Pure.

The same reading serves a call that is followed live and one that is read back from its row, so a campaign
whose server has changed knows what it knew before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dialer.calls import verdicts
from dialer.calls.model import LIVE, Call, Result
from dialer.pacing.answering import Traits
from dialer.pacing.learner import Observation, Seen

#: Results of a dial that nobody has answered and that says something of the lead. Not `unknown`, which says
#: nothing; what the carrier failed is left out apart.
UNANSWERED = frozenset(
    {Result.BUSY, Result.NO_ANSWER, Result.INVALID, Result.CONGESTION, Result.DECLINED, Result.FAILED}
)


class Kind(StrEnum):
    """Each comes once of a call at most."""

    DIAL = "dial"  # whether a person answered, and when
    SETTLED = "settled"  # an agent was in time for the person, or was not
    TALK = "talk"  # the talk is over
    WRAP_UP = "wrap_up"  # the agent owes nothing any more


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is known of a call."""

    kind: Kind
    #: when it came to be known, as far as the call's row tells
    at: datetime
    #: what the learner is told; None: `SETTLED`, which is the budget's
    seen: Observation | None = None
    #: `SETTLED`: by the policy's definition
    abandoned: bool = False


def facts(call: Call, traits: Traits = ()) -> Iterator[Fact]:
    """All that is known of the call now, in the order of its life; later there may be more, never less."""
    dial = _dial(call, traits)
    if dial is not None:
        yield dial
    if call.answered_at is not None and call.result in LIVE:
        # As reports count: the share of all who answered, at the time of their answer.
        yield Fact(Kind.SETTLED, call.answered_at, abandoned=call.result is Result.ABANDONED)
    if call.connected_at is not None and call.hung_up_at is not None:
        talked = _seen(Seen.TALKED, call.connected_at, call.hung_up_at, agent=call.talked_by)
        yield Fact(Kind.TALK, call.hung_up_at, talked)


def _dial(call: Call, traits: Traits) -> Fact | None:
    if call.answered_at is not None:
        # Who has picked up is known when the detector has decided, or nobody waits for it any more.
        known_at = call.screened_at or call.connected_at or call.hung_up_at
        if known_at is None:
            return None
        if call.result is Result.MACHINE:
            return Fact(Kind.DIAL, known_at, _seen(Seen.MACHINE, call.created_at, known_at, traits))
        return Fact(Kind.DIAL, known_at, _seen(Seen.ANSWERED, call.created_at, call.answered_at, traits))
    if call.hung_up_at is None:
        return None
    if call.result is Result.CANCELED and call.sent_at is not None:
        return Fact(
            Kind.DIAL, call.hung_up_at, _seen(Seen.TAKEN_BACK, call.created_at, call.hung_up_at, traits)
        )
    # A carrier that fails calls tells nothing of the people: once it is mended they answer as before, and
    # with a chance learned from its faults far too many would be dialled.
    if call.result in UNANSWERED and not verdicts.failed_by_trunk(call):
        return Fact(
            Kind.DIAL, call.hung_up_at, _seen(Seen.UNANSWERED, call.created_at, call.hung_up_at, traits)
        )
    return None


def wrapped_up(hung_up_at: datetime, ready_at: datetime, agent: int | None) -> Fact:
    """The agent of a talk that ended at `hung_up_at` is done with it."""
    return Fact(Kind.WRAP_UP, ready_at, _seen(Seen.WRAPPED_UP, hung_up_at, ready_at, agent=agent))


def _seen(
    what: Seen, since: datetime, until: datetime, traits: Traits = (), agent: int | None = None
) -> Observation:
    # A clock that was set back makes no duration negative.
    return Observation(what, max((until - since).total_seconds(), 0.0), traits, agent)
