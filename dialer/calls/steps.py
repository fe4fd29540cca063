"""The step of a call: the rules of the transition table in `model.py`. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from dialer.calls.model import (
    TRANSITIONS,
    Answered,
    Assigned,
    Call,
    CallState,
    CameBack,
    CancelAsked,
    Connected,
    Dequeued,
    Disposed,
    GaveUp,
    HandedOver,
    Held,
    HungUp,
    HungUpBy,
    LetGo,
    Muted,
    NotPlaced,
    PassedOn,
    Queued,
    Rang,
    Result,
    Resumed,
    Screened,
    Sent,
    Served,
    Signal,
    Stage,
    ThirdCalled,
    ThirdGone,
    ThirdMet,
    Unassigned,
    Vanished,
    WrapUpOver,
)


def advance(call: Call, signal: Signal) -> Call:  # noqa: PLR0912 one branch a signal
    """The call after `signal`; the same object when the signal has no place in its state."""
    state = TRANSITIONS.get((call.state, type(signal)))
    if state is None:
        return call
    at = max(signal.at, _latest(call))  # a late event never sets an earlier time
    match signal:
        case Sent():
            return call if call.sent_at else replace(call, sent_at=at)
        case Rang():
            return replace(call, state=state, ringing_at=at)
        case Answered():
            return _answered(call, at)
        case Screened():
            return _screened(_answered(call, at), signal, at)
        case Served():
            return replace(call, outcome=signal.outcome)
        case Queued():
            if call.result not in (None, Result.ANSWERED):
                return call
            return replace(call, state=state, queued_at=at, third=None)
        case Dequeued():
            # Who was talking, or is about to, waits for no flow; and most outbound calls have none.
            if call.queued_at is None or call.agent is not None or call.talked is not None:
                return call
            return call if call.result not in (None, Result.ANSWERED) else replace(call, state=state)
        case Assigned():
            # A result is there when the agent of the talk was lost: the customer is kept for this one.
            if call.agent is not None or call.result not in (None, Result.ANSWERED):
                return call
            return replace(call, agent=signal.agent, assigned_at=at)
        case Unassigned():
            if call.agent is None:
                return call
            return replace(_together(call, at), state=state, agent=None, third=None)
        case HandedOver():
            alone = replace(_together(call, at), third=None, talked=None, talked_by=None)
            return replace(alone, state=state, agent=None, handed_at=at)
        case LetGo():
            return replace(_let_go(_together(call, at), at), state=state)
        case CameBack():
            if call.let_go_at is None:
                return call
            return replace(call, state=state, third=None)
        case ThirdCalled() | ThirdMet() | ThirdGone() | PassedOn():
            return _third(call, signal, at)
        case Held():
            return call if call.held_at else replace(call, held_at=at)
        case Resumed():
            if call.held_at is None:
                return call
            there = call.third if call.third is not None and call.third.there else None
            return replace(_together(call, at), muted=call.muted, third=there)
        case Muted():
            return call if call.muted is signal.on else replace(call, muted=signal.on)
        case Connected():
            if call.result is not None and call.result is not Result.ANSWERED:
                return call  # the message is already playing, or it is a machine: not a talk
            call = _answered(call, at)
            return replace(
                call,
                state=state,
                agent=signal.agent,
                talked=signal.agent.session_id,
                talked_by=signal.agent.agent_id,
                assigned_at=call.assigned_at or at,
                connected_at=call.connected_at or at,
                result=Result.ANSWERED,
                third=call.third if call.state is state else None,
                let_go_at=None,
                handed_at=None,
            )
        case GaveUp():
            if call.result is not None:
                return call
            if state is CallState.FLOW:
                let_down = Result.FAILED if call.inbound else Result.ABANDONED
                return replace(call, result=_in_flow(call) or let_down)
            return replace(call, state=state, result=Result.ABANDONED, agent=None)
        case CancelAsked():
            return replace(call, canceled=True, detail=call.detail or signal.detail or None)
        case NotPlaced():
            return _end(replace(call, result=signal.result, detail=call.detail or signal.detail), at)
        case HungUp():
            return _hung_up(call, signal, at)
        case Vanished():
            return _vanished(call, signal, at)
        case Disposed():
            call = replace(call, disposed=True)
            return _end(call, at) if state is CallState.ENDED else call
        case WrapUpOver():
            return _end(call, at)
    raise AssertionError(f"{type(signal).__name__} is in the table and has no rule")  # pragma: no cover


def _let_go(call: Call, at: datetime) -> Call:
    """Without an agent. Who was with the agent alone is left to the customer."""
    third = call.third if call.third is not None and call.third.there else None
    if third is not None:
        third = replace(third, stage=Stage.PASSED, since=at)
    return replace(call, agent=None, third=third, let_go_at=at)


def _third(call: Call, signal: Signal, at: datetime) -> Call:
    """What happens to whom the agent has called besides."""
    third = call.third if call.third is not None and call.third.there else None
    match signal:
        case ThirdCalled():
            return call if third is not None else replace(call, third=signal.third)
        case ThirdMet() if third is not None and third.stage not in (signal.stage, Stage.PASSED):
            return replace(call, third=replace(third, stage=signal.stage, since=at))
        case ThirdGone() if third is not None:
            return replace(call, third=replace(third, stage=Stage.GONE, since=at, came=signal.came))
        case PassedOn() if third is not None and third.agent is not None and third.stage is Stage.TALKING:
            agent = third.agent
            met = replace(_together(call, at), third=None, assigned_at=at)
            return replace(met, agent=agent, talked=agent.session_id, talked_by=agent.agent_id)
    return call


def _together(call: Call, at: datetime) -> Call:
    """Nobody is on hold or muted any more."""
    held_s = (at - call.held_at).total_seconds() if call.held_at else 0.0
    return replace(call, held_at=None, hold_s=call.hold_s + held_s, muted=False)


def _latest(call: Call) -> datetime:
    times = (
        call.created_at, call.sent_at, call.ringing_at, call.answered_at, call.screened_at,
        call.queued_at, call.assigned_at, call.connected_at, call.held_at, call.let_go_at, call.handed_at,
        call.hung_up_at,
    )  # fmt: skip
    return max(time for time in times if time is not None)


def _answered(call: Call, at: datetime) -> Call:
    if call.answered_at is not None:
        return call
    state = CallState.SCREENING if call.screens else CallState.ANSWERED
    return replace(call, state=state, answered_at=at)


def _screened(call: Call, signal: Screened, at: datetime) -> Call:
    assert call.answered_at is not None
    call = replace(
        call,
        state=CallState.FLOW if call.automatic and call.agent is None else CallState.WAITING,
        screened_at=at,
        machine_status=signal.status or None,
        machine_cause=signal.cause or None,
        deadline=_after(max(signal.greeting_end or call.answered_at, call.answered_at), call.abandon_after_s),
    )
    if signal.status == "MACHINE" and call.agent is None:
        # Not sure goes to an agent: a person hung up on costs more than a machine listened to.
        return replace(call, result=Result.MACHINE)
    return call


def _after(at: datetime, seconds: float) -> datetime:
    return at + timedelta(seconds=seconds)


def _in_flow(call: Call) -> Result | None:
    """What a led call without a talk comes to where it is; None: nothing was done for the person, who has not
    waited for an agent either."""
    if call.automatic:  # served or not: a wait for an agent that they asked for is no abandoned call
        return Result.ANSWERED if call.outcome and call.state is not CallState.WAITING else None
    if call.state is CallState.WAITING:
        return Result.ABANDONED
    return call.outcome or (Result.ABANDONED if call.queued_at else None)


def _hung_up(call: Call, signal: HungUp, at: datetime) -> Call:
    result = call.result
    if result is None and call.automatic:
        result = _in_flow(call)
    if result is None and call.inbound:
        away = signal.by is HungUpBy.SERVER  # our dialplan came to its end, and no flow had sent it there
        result = _in_flow(call) or (Result.FAILED if away else Result.LEFT)
    elif result is None and call.answered_at is not None:
        # Not the caller who left: picked up as we took the call back, or our dialplan had no answer from us.
        ours = call.canceled or signal.by in (HungUpBy.AGENT, HungUpBy.SERVER)
        late = call.deadline is not None and at >= call.deadline and not call.automatic
        result = Result.ABANDONED if ours or late else Result.CALLER_HUNG_UP
    elif result is None:
        result = Result.CANCELED if call.canceled else signal.result
    call = replace(
        call,
        result=result,
        cause=signal.cause,
        sip_code=signal.sip_code,
        hung_up_by=call.hung_up_by or signal.by,
        detail=call.detail or signal.detail,
    )
    return _line_free(call, at)


def _vanished(call: Call, signal: Vanished, at: datetime) -> Call:
    result = call.result
    if result is None and call.inbound:
        result = _in_flow(call) or (Result.FAILED if signal.asterisk_died else Result.UNKNOWN)
    elif result is None and call.answered_at is not None:
        # A person was on the line and no agent of ours reached them: the law counts that against us.
        result = (_in_flow(call) if call.automatic else None) or Result.ABANDONED
    elif result is None:
        result = Result.FAILED if signal.asterisk_died else Result.UNKNOWN
    return _line_free(replace(call, result=result, detail=call.detail or signal.detail), at)


def _line_free(call: Call, at: datetime) -> Call:
    """The channel is gone. Who has talked owes a disposition; everyone else is done, also an agent who was
    only on the way to a customer whom another's lost phone had left waiting."""
    call = replace(_together(call, at), hung_up_at=at, third=None)
    if call.agent is not None and call.agent.session_id == call.talked and not call.disposed:
        return replace(call, state=CallState.WRAP_UP)
    return _end(call, at)


def _end(call: Call, at: datetime) -> Call:
    return replace(call, state=CallState.ENDED, hung_up_at=call.hung_up_at or at, ended_at=at)
