"""Talks step by step: who loses the customer, who takes part besides, who lets go of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dialer.calls.consequences import Confers, IsFree, LetsGo, WrapsUp, consequences
from dialer.calls.model import (
    Answered,
    Assigned,
    Assignee,
    Call,
    CallState,
    CameBack,
    Connected,
    Disposed,
    HandedOver,
    Held,
    HungUp,
    HungUpBy,
    LetGo,
    PassedOn,
    Result,
    Screened,
    Signal,
    Stage,
    Third,
    ThirdCalled,
    ThirdGone,
    ThirdMet,
    Unassigned,
    Vanished,
)
from dialer.calls.steps import advance

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ANN, BOB = (Assignee(UUID(int=n), n, UUID(int=n + 100)) for n in (1, 2))
SHOP = Third(UUID(int=9), "Shop", START)


def at(seconds: float) -> datetime:
    """So many seconds after the call was made."""
    return START + timedelta(seconds=seconds)


def asked(agent: Assignee) -> Third:
    """The agent as the third party of a talk."""
    return Third(agent.leg, "Agent", START, agent=agent)


def call() -> Call:
    """A call that has just been committed."""
    return Call(UUID(int=7), 1, 1, screens=False, abandon_after_s=2.0, created_at=START)


def run(first: Call, *signals: Signal) -> Call:
    """The call after the signals."""
    for signal in signals:
        first = advance(first, signal)
    return first


LEAVES = HungUp(at(9), result=Result.FAILED, cause=16, by=HungUpBy.CUSTOMER)


def test_a_machine_is_never_talked_with() -> None:
    """A call that was found to be a machine takes no agent and does not become a talk."""
    now = run(
        replace(call(), screens=True),
        Answered(at(1)),
        Screened(at(3), status="MACHINE"),
        Assigned(at(4), agent=ANN),
        Connected(at(5), agent=ANN),
    )
    assert (now.result, now.agent, now.connected_at) == (Result.MACHINE, None, None)


def test_a_lost_agent_leaves_a_talk_to_be_taken_up() -> None:
    """The customer whose agent was lost waits again, and the next agent has the same talk."""
    lost = run(call(), Connected(at(5), agent=ANN), Unassigned(at(9)))
    assert (lost.state, lost.agent, lost.result) == (CallState.WAITING, None, Result.ANSWERED)
    again = run(lost, Assigned(at(10), agent=BOB), Connected(at(11), agent=BOB))
    assert (again.state, again.agent, again.connected_at) == (CallState.CONNECTED, BOB, at(5))


def test_a_disposition_before_the_hang_up_leaves_no_wrap_up() -> None:
    """A talk whose disposition was saved while it went on ends with the line."""
    now = run(call(), Connected(at(5), agent=ANN), Disposed(at(8)), HungUp(at(9), result=Result.FAILED))
    assert (now.state, now.ended_at) == (CallState.ENDED, at(9))


TALK = (Connected(at(5), agent=ANN), Held(at(6)))


def test_a_customer_is_left_to_the_agent_who_was_asked() -> None:
    """The second agent has the talk and owes the disposition; the first owes nothing."""
    asking = run(call(), *TALK, ThirdCalled(at(7), third=asked(BOB)))
    assert run(asking, PassedOn(at(8))) is asking, "not before they talk"
    talking = run(asking, ThirdMet(at(8), stage=Stage.TALKING))
    assert talking.third is not None and talking.third.stage is Stage.TALKING
    assert consequences(asking, talking) == (Confers(BOB.session_id, at(8)),)
    passed = run(talking, PassedOn(at(9)))
    assert (passed.agent, passed.talked, passed.third, passed.hold_s) == (BOB, BOB.session_id, None, 3)
    assert consequences(talking, passed) == (IsFree(ANN.session_id),)
    over = run(passed, LEAVES)
    assert WrapsUp(BOB.session_id) in consequences(passed, over)


def test_who_is_asked_besides_goes_with_the_customer() -> None:
    """Whatever ends the talk; an agent who was asked is free then."""
    asking = run(call(), *TALK, ThirdCalled(at(7), third=asked(BOB)), ThirdMet(at(8), stage=Stage.JOINED))
    for end in (LEAVES, Unassigned(at(9)), Vanished(at(9), detail="x"), HandedOver(at(9))):
        over = advance(asking, end)
        assert over.third is None
        assert IsFree(BOB.session_id) in consequences(asking, over)
    gone = run(asking, ThirdGone(at(9), came="left"))
    assert gone.third is not None and (gone.third.there, gone.third.came) == (False, "left")
    assert (gone.state, consequences(asking, gone)) == (CallState.CONNECTED, (IsFree(BOB.session_id),))


def test_an_agent_lets_go_of_a_customer_who_stays_on_the_line() -> None:
    """The agent wraps up at once; the call ends with its line, and is answered. A customer who comes back is
    another agent's, who owes the disposition then."""
    talk = run(call(), *TALK, ThirdCalled(at(7), third=SHOP), ThirdMet(at(8), stage=Stage.TALKING))
    left = run(talk, LetGo(at(9)))
    assert (left.state, left.agent, left.let_go_at) == (CallState.FLOW, None, at(9))
    assert left.third is not None and left.third.stage is Stage.PASSED
    assert consequences(talk, left) == (LetsGo(ANN.session_id),)
    assert run(left, LEAVES).state is CallState.ENDED
    back = run(left, CameBack(at(10)))
    assert (back.state, back.let_go_at) == (CallState.WAITING, at(9))
    again = run(back, Assigned(at(11), agent=BOB), Connected(at(12), agent=BOB))
    assert (again.state, again.let_go_at) == (CallState.CONNECTED, None)
    assert IsFree(ANN.session_id) in consequences(run(back, Assigned(at(11), agent=BOB)), again)
    assert run(call(), *TALK, HandedOver(at(9)), CameBack(at(10))).state is CallState.FLOW
