"""What else must be written when a call changes: pure, from the call before and after.

The journal writes the call and these in one transaction, so the agent's state, the lead and the hold on the
number never disagree with the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.calls.model import Call, CallState, HungUpBy, Stage, Third
from dialer.queues.model import End


@dataclass(frozen=True, slots=True)
class Talks:
    """The agent is in the bridge with the customer."""

    session_id: UUID


@dataclass(frozen=True, slots=True)
class WrapsUp:
    """The agent's talk is over; a disposition is owed unless it is saved already."""

    session_id: UUID


@dataclass(frozen=True, slots=True)
class LetsGo:
    """The agent's talk is over, the customer stays on the line; as with `WrapsUp` a disposition is owed."""

    session_id: UUID


@dataclass(frozen=True, slots=True)
class Confers:
    """The agent whom another one asks besides the customer has met them."""

    session_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class IsFree:
    """The agent was chosen for the call and is no longer needed."""

    session_id: UUID


@dataclass(frozen=True, slots=True)
class LineIsFree:
    """The channel is gone: the number may be dialled again and the lead has its result."""

    result: str


@dataclass(frozen=True, slots=True)
class WaitIsOver:
    """Somebody whom a flow leads waits in no queue any more, if they did."""

    ended: End


Consequence = Talks | WrapsUp | LetsGo | Confers | IsFree | LineIsFree | WaitIsOver


def consequences(before: Call, after: Call) -> tuple[Consequence, ...]:
    """What follows from `before` becoming `after`, in the order to be written."""
    found: list[Consequence] = []
    if after.hung_up_at is not None and before.hung_up_at is None:
        assert after.result is not None
        found.append(LineIsFree(after.result))
    if (after.led or after.queued_at) and (end := _end_of_wait(before, after)) is not None:
        found.append(WaitIsOver(end))
    if after.agent is not None and after.state is CallState.CONNECTED != before.state:
        found.append(Talks(after.agent.session_id))
    if after.agent is not None and before.state is not after.state:
        if after.state is CallState.WRAP_UP:
            found.append(WrapsUp(after.agent.session_id))
        elif after.state is CallState.ENDED:
            found.append(IsFree(after.agent.session_id))
    if before.agent is not None and (
        after.agent is None or after.agent.session_id != before.agent.session_id
    ):
        let_go = after.let_go_at is not None and before.let_go_at is None
        found.append((LetsGo if let_go else IsFree)(before.agent.session_id))
    taken = before.let_go_at is not None and after.let_go_at is None
    if taken and before.talked is not None and before.talked != after.talked:
        found.append(IsFree(before.talked))  # the disposition is another agent's now
    return (*found, *_of_third(before.third, after))


def _of_third(before: Third | None, after: Call) -> list[Consequence]:
    """What follows for the agent who is asked besides."""
    was = before.agent if before is not None and before.there else None
    third = after.third if after.third is not None and after.third.there else None
    now = third.agent if third is not None else None
    found: list[Consequence] = []
    # Who has taken the customer over is no third party any more, and not free.
    if was is not None and was not in (now, after.agent):
        found.append(IsFree(was.session_id))
    met = third is not None and third.stage is not Stage.CALLING
    was_met = was is not None and before is not None and before.stage is not Stage.CALLING
    if now is not None and third is not None and met and not (was == now and was_met):
        found.append(Confers(now.session_id, third.since))
    return found


def _end_of_wait(before: Call, after: Call) -> End | None:
    """How a caller's wait has ended in this step; None: it has not, or long ago.

    Who takes callers out of queues says so by itself; this is what happens to them.
    """
    if before.result is not None and before.state is CallState.WAITING:  # handed over by an agent
        if after.state is CallState.CONNECTED:
            return End.ANSWERED
    elif before.result is not None or after.result is None:
        return None
    elif after.connected_at is not None:
        return End.ANSWERED
    if after.hung_up_at is not None and before.hung_up_at is None:
        # A call that ended where nobody saw it has neither; nobody knows how long the caller had waited.
        seen = after.hung_up_by is not None or after.cause is not None
        return End.ABANDONED if seen and after.hung_up_by is not HungUpBy.SERVER else End.LOST
    return None if before.result is not None else End.LOST
