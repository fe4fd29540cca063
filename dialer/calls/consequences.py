"""What else must be written when a call changes: pure, from the call before and after.

The journal writes the call and these in one transaction, so the agent's state, the lead and the hold on the
number never disagree with the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from dialer.calls.model import Call, CallState, HungUpBy
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


Consequence = Talks | WrapsUp | IsFree | LineIsFree | WaitIsOver


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
        found.append(IsFree(before.agent.session_id))
    return tuple(found)


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
