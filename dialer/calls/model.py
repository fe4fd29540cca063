"""The life of one call, as values and one transition table.

An outbound call *begins* when its attempt is committed, before Asterisk knows of it; an inbound one when its
row is, before anything is played to the caller, in the state `flow`. It moves through these states:

    dialling    Asterisk has been, or is being, asked to call
    ringing     the far network has answered our INVITE with a sign of life
    answered    somebody picked up; nothing has been decided yet
    screening   a machine detector is listening
    flow        the person is with the IVR: a flow speaks and listens
    waiting     a person is on the line and no agent is, yet (or no longer)
    connected   the person and an agent are in one bridge
    wrap_up     the line is free; the agent still owes a disposition
    ended       nothing is owed any more

Events reach us duplicated, out of order, or not at all. Therefore:

- A signal that has no row in `TRANSITIONS` for the present state changes nothing. `ended` has no rows.
- A later fact implies the earlier ones: a customer whose dialplan asks for an agent *has* answered, even if
  we never heard the answer; a call seen in a bridge with an agent *is* connected.
- `result` is decided once and never changes.
- Times never run backwards along the states.
- A customer on hold hears music and is still `connected`: the talk is not over, its agent is nobody else's.
- Whom the agent asks besides (`third`) is there as long as the talk: whatever ends it, ends that too.
- An agent who has let go of a customer owes a disposition from then on, while the customer may stay on the
  line.

`advance` (steps.py) is the only way to change a call. It reads no clock and does no I/O;
tests/unit/test_call_model.py throws any sequence of signals at it, and docs/architecture.md shows the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID


class CallState(StrEnum):
    """Where a call is; see the module's text."""

    DIALLING = "dialling"
    RINGING = "ringing"
    ANSWERED = "answered"
    SCREENING = "screening"
    FLOW = "flow"
    WAITING = "waiting"
    CONNECTED = "connected"
    WRAP_UP = "wrap_up"
    ENDED = "ended"


class Result(StrEnum):
    """What a call came to. `OF_ATTEMPTS` has those of attempts, `OF_INBOUND` those of inbound calls."""

    ANSWERED = "answered"  # a person, connected with an agent, or served by a flow of ours
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    INVALID = "invalid"  # the number does not exist
    CONGESTION = "congestion"  # the network had no way through
    DECLINED = "declined"
    MACHINE = "machine"
    ABANDONED = "abandoned"  # a person, and no agent in the policy's time, or a flow that broke off
    CALLER_HUNG_UP = "caller_hung_up"  # a person who left before that time was over
    FAILED = "failed"  # ours: Asterisk or the trunk could not place it
    CANCELED = "canceled"  # we took it back before it was answered
    UNKNOWN = "unknown"  # it ended where we could not see it; never dialled again without a rule
    # Of inbound calls alone.
    CONTAINED = "contained"  # the flow has served the caller
    LEFT = "left"  # hung up in the flow, before it had served them and before they waited for an agent
    VOICEMAIL = "voicemail"  # left a message
    CALLBACK = "callback"  # asked to be called
    TRANSFERRED = "transferred"  # the flow has put them through to somewhere else


#: What only an inbound call can come to: its flow says so, or its leaving does.
OF_FLOWS = frozenset({Result.CONTAINED, Result.LEFT, Result.VOICEMAIL, Result.CALLBACK, Result.TRANSFERRED})
OF_ATTEMPTS = tuple(result for result in Result if result not in OF_FLOWS)
OF_INBOUND = (
    *(Result.ANSWERED, Result.ABANDONED, Result.CONTAINED, Result.LEFT, Result.VOICEMAIL, Result.CALLBACK),
    *(Result.TRANSFERRED, Result.FAILED, Result.UNKNOWN),
)

#: Why a call was canceled that had rung: no agent would have been in time for its answer.
TAKEN_BACK = "taken_back"
#: Or: somebody has said meanwhile that the number is not to be called.
DO_NOT_CALL = "do_not_call"

#: Results of a call that a living person answered.
LIVE = frozenset({Result.ANSWERED, Result.ABANDONED, Result.CALLER_HUNG_UP})


class Direction(StrEnum):
    """Who has called whom."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


class HungUpBy(StrEnum):
    """Who ended the call."""

    CUSTOMER = "customer"
    AGENT = "agent"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Assignee:
    """The agent chosen for a call."""

    #: the agent's shift (`agent_session.id`)
    session_id: UUID
    agent_id: int
    #: channel id of the agent's waiting leg
    leg: UUID


class Stage(StrEnum):
    """Where the third party of a talk is."""

    CALLING = "calling"
    #: with the agent alone, the customer hears music
    TALKING = "talking"
    #: all three hear each other
    JOINED = "joined"
    #: the agent has gone and left the customer to them
    PASSED = "passed"
    #: not reached, or no longer there
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Third:
    """Whom an agent has called besides the customer: another agent, or a listed destination."""

    #: the phone's channel; of an agent the leg that waits
    channel: UUID
    #: the agent's, or the destination's
    name: str
    #: of `stage`
    since: datetime
    stage: Stage = Stage.CALLING
    agent: Assignee | None = None
    #: why they are gone: busy, no_answer, left, failed
    came: str | None = None

    @property
    def there(self) -> bool:
        """Whether the phone is in use for this call."""
        return self.stage is not Stage.GONE


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the engine knows it. Made from a committed row of `attempt`, or of `inbound_call`, and
    written back to it."""

    #: of the attempt, or of the inbound call: both are UUIDs of version 7, and never the same
    attempt_id: UUID
    tenant_id: int
    campaign_id: int
    #: a machine detector listens after the answer
    screens: bool
    #: seconds from the start of the policy's clock to "abandoned"
    abandon_after_s: float
    #: when the row was committed
    created_at: datetime
    direction: Direction = Direction.OUTBOUND
    #: Asterisk's Uniqueid of the customer's channel; empty: it is our id, by which we have called
    channel: str = ""
    state: CallState = CallState.DIALLING
    result: Result | None = None
    #: outbound: a flow speaks with who answers, and an agent only if it says so
    automatic: bool = False
    #: led: what the call comes to if it ends in the flow; None: the flow has served nothing yet
    outcome: Result | None = None
    #: led: when the flow let the caller wait for an agent, the last time; called back in turn: when the wait
    #: began
    queued_at: datetime | None = None
    sent_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    screened_at: datetime | None = None
    #: when the waiting person counts as abandoned, by the policy
    deadline: datetime | None = None
    assigned_at: datetime | None = None
    connected_at: datetime | None = None
    hung_up_at: datetime | None = None
    ended_at: datetime | None = None
    #: chosen and not yet lost; in manual and preview mode from the beginning
    agent: Assignee | None = None
    #: the shift whose agent has talked, the last where a phone was lost in the talk
    talked: UUID | None = None
    #: that agent
    talked_by: int | None = None
    #: the customer hears music since then; None: both hear each other
    held_at: datetime | None = None
    #: seconds of the holds that are over
    hold_s: float = 0.0
    #: the customer does not hear the agent
    muted: bool = False
    #: whom the agent has called besides
    third: Third | None = None
    #: when the agent let go of a customer who stays on the line: a message is played, or they are put through
    #: to outside
    let_go_at: datetime | None = None
    #: when the agent handed the customer over to a queue, where nobody has taken them yet
    handed_at: datetime | None = None
    machine_status: str | None = None
    machine_cause: str | None = None
    #: we asked for the end before the answer
    canceled: bool = False
    disposed: bool = False
    hung_up_by: HungUpBy | None = None
    cause: int | None = None
    sip_code: int | None = None
    #: why, where cause and code do not say
    detail: str | None = None

    @property
    def live(self) -> bool:
        """Whether the call can still hold a line."""
        return self.state not in (CallState.WRAP_UP, CallState.ENDED)

    @property
    def inbound(self) -> bool:
        """Whether the customer has called us."""
        return self.direction is Direction.INBOUND

    @property
    def led(self) -> bool:
        """Whether a flow speaks with the person."""
        return self.inbound or self.automatic

    @property
    def channel_id(self) -> str:
        """The customer's channel, as Asterisk's manager interface takes it."""
        return self.channel or str(self.attempt_id)


# -- what can happen to it -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that happened, with its time."""

    at: datetime


class Sent(Signal):
    """Asterisk has accepted the Originate."""


class Rang(Signal):
    """The far network gave a sign of life: 180, 183 or the like."""


class Answered(Signal):
    """The far end picked up."""


@dataclass(frozen=True, slots=True)
class Screened(Signal):
    """The machine detector has decided, or was not asked; the dialplan wants to know what to do."""

    #: AMDSTATUS: HUMAN, MACHINE, NOTSURE, HANGUP; empty: nobody listened
    status: str = ""
    cause: str = ""
    #: when the greeting ended by the detector; None: not known, the clock starts at the answer
    greeting_end: datetime | None = None


class Queued(Signal):
    """The flow lets the caller wait for an agent."""


class Dequeued(Signal):
    """No agent came in the queue's time: the caller is with the flow again."""


@dataclass(frozen=True, slots=True)
class Served(Signal):
    """The flow has done something for the caller, which is what the call comes to if it ends there."""

    outcome: Result  # one of OF_FLOWS


@dataclass(frozen=True, slots=True)
class Assigned(Signal):
    """An agent was chosen and reserved for the waiting person."""

    agent: Assignee


class Unassigned(Signal):
    """The chosen agent's phone was lost: before the two met, or in the talk."""


@dataclass(frozen=True, slots=True)
class Connected(Signal):
    """Both channels are in one bridge."""

    agent: Assignee


class HandedOver(Signal):
    """The agent has let go of the customer, who is on the way to a queue."""


class LetGo(Signal):
    """The agent has let go of the customer, who stays on the line without an agent of ours: put through to
    somewhere else, or to hear a message."""


class CameBack(Signal):
    """Nobody has answered where the customer was put through to: they wait for an agent again."""


@dataclass(frozen=True, slots=True)
class ThirdCalled(Signal):
    """The agent has somebody called besides the customer."""

    third: Third


@dataclass(frozen=True, slots=True)
class ThirdMet(Signal):
    """The agent and the third party are in one bridge, alone or with the customer."""

    stage: Stage  # talking or joined


@dataclass(frozen=True, slots=True)
class ThirdGone(Signal):
    """The third party was not reached, or is no longer there."""

    came: str = "left"


class PassedOn(Signal):
    """The agent has left the customer to the agent who was the third party."""


class Held(Signal):
    """The agent has put the customer on hold."""


class Resumed(Signal):
    """The customer is back with the agent."""


@dataclass(frozen=True, slots=True)
class Muted(Signal):
    """The agent's voice is kept from the customer, or no longer."""

    on: bool


class GaveUp(Signal):
    """The policy's time is over, or no server answers the dialplan: the person hears the message."""


@dataclass(frozen=True, slots=True)
class CancelAsked(Signal):
    """We ask Asterisk to end the call before its answer."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class HungUp(Signal):
    """The customer's channel has ended."""

    result: Result  # what an *unanswered* call came to, by SIP code and cause (see causes.py)
    cause: int | None = None
    sip_code: int | None = None
    by: HungUpBy | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class NotPlaced(Signal):
    """No channel was ever made: refused, not sent in time, unknown endpoint."""

    result: Result  # failed, canceled or, when it may have been placed after all, unknown
    detail: str


@dataclass(frozen=True, slots=True)
class Vanished(Signal):
    """Asterisk no longer has the channel and nobody saw it end."""

    detail: str
    #: Asterisk itself was restarted: an unanswered call has certainly failed
    asterisk_died: bool = False


class Disposed(Signal):
    """The agent has saved a disposition."""


class WrapUpOver(Signal):
    """The wrap-up limit has passed; the disposition is still owed by the agent, no longer by the call."""


_S = CallState
_UNANSWERED = (_S.DIALLING, _S.RINGING)
_ON_LINE = (_S.ANSWERED, _S.SCREENING, _S.FLOW, _S.WAITING, _S.CONNECTED)
_UNDECIDED = (*_UNANSWERED, _S.ANSWERED, _S.SCREENING)

#: (state, signal) -> the next state. Not in the table: nothing happens.
TRANSITIONS: Final[dict[tuple[CallState, type[Signal]], CallState]] = {
    (_S.DIALLING, Sent): _S.DIALLING,
    (_S.RINGING, Sent): _S.RINGING,
    (_S.DIALLING, Rang): _S.RINGING,
    **{(state, Answered): _S.ANSWERED for state in _UNANSWERED},
    **{(state, Screened): _S.WAITING for state in _UNDECIDED},
    (_S.FLOW, Served): _S.FLOW,
    (_S.FLOW, Queued): _S.WAITING,
    (_S.WAITING, Dequeued): _S.FLOW,
    (_S.WAITING, Assigned): _S.WAITING,
    **{(state, Unassigned): state for state in (*_UNDECIDED, _S.WAITING)},
    (_S.CONNECTED, Unassigned): _S.WAITING,
    **{(state, Connected): _S.CONNECTED for state in (*_UNDECIDED, _S.FLOW, _S.WAITING)},
    **{(_S.CONNECTED, kind): _S.CONNECTED for kind in (Held, Resumed, Muted)},
    (_S.CONNECTED, HandedOver): _S.FLOW,
    (_S.CONNECTED, LetGo): _S.FLOW,
    (_S.FLOW, CameBack): _S.WAITING,
    **{(_S.CONNECTED, kind): _S.CONNECTED for kind in (ThirdCalled, ThirdMet, PassedOn)},
    **{(state, ThirdGone): state for state in (_S.CONNECTED, _S.FLOW)},
    **{(state, GaveUp): _S.WAITING for state in (_S.ANSWERED, _S.SCREENING, _S.WAITING)},
    (_S.FLOW, GaveUp): _S.FLOW,
    **{(state, CancelAsked): state for state in _UNANSWERED},
    **{(state, NotPlaced): _S.ENDED for state in _UNANSWERED},
    **{(state, HungUp): _S.ENDED for state in (*_UNANSWERED, *_ON_LINE)},
    **{(state, Vanished): _S.ENDED for state in (*_UNANSWERED, *_ON_LINE)},
    **{(state, Disposed): state for state in _ON_LINE},
    (_S.WRAP_UP, Disposed): _S.ENDED,
    (_S.WRAP_UP, WrapUpOver): _S.ENDED,
}
