"""The transition table of a call: what it does signal by signal, and what no sequence of signals can break.

Hypothesis makes the sequences, 100,000 different ones in every run; CALL_SEQUENCES=1000000 in the environment
asks for more.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.calls.model import (
    LIVE,
    OF_FLOWS,
    OF_INBOUND,
    TRANSITIONS,
    Answered,
    Assigned,
    Assignee,
    Call,
    CallState,
    CameBack,
    CancelAsked,
    Connected,
    Dequeued,
    Direction,
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
    Third,
    ThirdCalled,
    ThirdGone,
    ThirdMet,
    Unassigned,
    Vanished,
    WrapUpOver,
)
from dialer.calls.steps import advance

SEQUENCES = int(os.environ.get("CALL_SEQUENCES", "100000"))
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ANN, BOB = (Assignee(UUID(int=n), n, UUID(int=n + 100)) for n in (1, 2))
#: A destination, and an agent who is asked besides.
SHOP = Third(UUID(int=9), "Shop", START)
TIMES = (
    "created_at", "sent_at", "ringing_at", "answered_at", "screened_at", "assigned_at", "connected_at",
    "hung_up_at", "ended_at",
)  # fmt: skip
#: What a call that nobody answered may come to.
UNANSWERED = (
    Result.BUSY, Result.NO_ANSWER, Result.INVALID, Result.CONGESTION, Result.DECLINED, Result.FAILED,
)  # fmt: skip
#: What a flow may say that a call came to.
OUTCOMES = sorted(OF_FLOWS - {Result.LEFT})
STATUSES = ("", "HUMAN", "MACHINE", "NOTSURE", "HANGUP")


def at(seconds: float) -> datetime:
    """So many seconds after the call was made."""
    return START + timedelta(seconds=seconds)


def call(*, screens: bool = False, agent: Assignee | None = None) -> Call:
    """A call that has just been committed."""
    return Call(UUID(int=7), 1, 1, screens=screens, abandon_after_s=2.0, created_at=START, agent=agent)


def came() -> Call:
    """A call that has just come in."""
    return Call(
        UUID(int=8), 1, 1, screens=False, abandon_after_s=0.0, created_at=START, direction=Direction.INBOUND,
        channel="1772442000.1", state=CallState.FLOW, answered_at=START,
    )  # fmt: skip


def automatic(*, screens: bool = False) -> Call:
    """A call that has just been committed, of a campaign without agents."""
    return replace(call(screens=screens), automatic=True)


def asked(agent: Assignee) -> Third:
    """The agent as the third party of a talk."""
    return Third(agent.leg, "Agent", START, agent=agent)


def run(first: Call, *signals: Signal) -> Call:
    """The call after the signals."""
    for signal in signals:
        first = advance(first, signal)
    return first


# -- one by one ----------------------------------------------------------------------------------------------


def test_a_talk_from_dial_to_disposition() -> None:
    """A talk passes every state, with the time of each step, and ends when its disposition is saved."""
    steps: list[tuple[Signal, CallState]] = [
        (Sent(at(0.1)), CallState.DIALLING),
        (Rang(at(1)), CallState.RINGING),
        (Answered(at(5)), CallState.SCREENING),
        (Screened(at(7), status="HUMAN", cause="HUMAN-700-700"), CallState.WAITING),
        (Assigned(at(7.1), agent=ANN), CallState.WAITING),
        (Connected(at(7.2), agent=ANN), CallState.CONNECTED),
        (HungUp(at(60), result=Result.FAILED, cause=16, by=HungUpBy.CUSTOMER), CallState.WRAP_UP),
        (Disposed(at(70)), CallState.ENDED),
    ]
    now = call(screens=True)
    for signal, state in steps:
        now = advance(now, signal)
        assert now.state is state, signal
    assert now.result is Result.ANSWERED
    assert [getattr(now, name) for name in TIMES] == [at(s) for s in (0, 0.1, 1, 5, 7, 7.1, 7.2, 60, 70)]
    assert (now.hung_up_by, now.cause, now.machine_cause) == (HungUpBy.CUSTOMER, 16, "HUMAN-700-700")


@pytest.mark.parametrize(
    ("signals", "result", "why"),
    [
        (
            [Served(at(9), outcome=Result.CONTAINED), HungUp(at(10), result=Result.BUSY)],
            Result.ANSWERED,
            "the flow has served them",
        ),
        (
            [HungUp(at(10), result=Result.BUSY, by=HungUpBy.CUSTOMER)],
            Result.CALLER_HUNG_UP,
            "left in the flow, long after an agent would have been late",
        ),
        (
            [HungUp(at(10), result=Result.BUSY, by=HungUpBy.SERVER)],
            Result.ABANDONED,
            "nothing had sent the dialplan to its end",
        ),
        (
            [Queued(at(9)), HungUp(at(99), result=Result.BUSY, by=HungUpBy.CUSTOMER)],
            Result.CALLER_HUNG_UP,
            "left a queue that they had asked for",
        ),
        (
            [
                Queued(at(9)),
                Dequeued(at(19)),
                Served(at(20), outcome=Result.CONTAINED),
                Vanished(at(21), "x"),
            ],
            Result.ANSWERED,
            "served after a wait in vain",
        ),
        ([Vanished(at(10), "x")], Result.ABANDONED, "nobody saw the end"),
        ([GaveUp(at(10)), HungUp(at(11), result=Result.BUSY)], Result.ABANDONED, "the server was away"),
    ],
)
def test_what_a_call_without_an_agent_comes_to(signals: list[Signal], result: Result, why: str) -> None:
    """After the answer it is with the flow, which serves the person or does not."""
    led = run(automatic(), Answered(at(1)), Screened(at(1)))
    assert led.state is CallState.FLOW
    ended = run(led, *signals)
    assert (ended.state, ended.result) == (CallState.ENDED, result), why


def test_an_unseen_step_is_implied() -> None:
    """A customer seen in a bridge with an agent has been answered and is connected, whatever was missed."""
    now = advance(call(), Connected(at(9), agent=ANN))
    assert (now.state, now.answered_at, now.connected_at) == (CallState.CONNECTED, at(9), at(9))


@pytest.mark.parametrize(
    ("signals", "result", "by_clock"),
    [
        ([HungUp(at(3), result=Result.BUSY)], Result.BUSY, "never answered"),
        ([CancelAsked(at(2)), HungUp(at(3), result=Result.FAILED)], Result.CANCELED, "we took it back"),
        ([Answered(at(1)), HungUp(at(2), result=Result.BUSY)], Result.CALLER_HUNG_UP, "left in time"),
        (
            [Answered(at(1)), Screened(at(1)), HungUp(at(2.9), result=Result.BUSY)],
            Result.CALLER_HUNG_UP,
            "left 0.1 s before the clock's end",
        ),
        (
            [Answered(at(1)), Screened(at(1)), HungUp(at(3), result=Result.BUSY)],
            Result.ABANDONED,
            "left at the clock's end",
        ),
        (
            [Answered(at(1)), Screened(at(4), greeting_end=at(3)), HungUp(at(4.9), result=Result.BUSY)],
            Result.CALLER_HUNG_UP,
            "the clock began at the greeting's end",
        ),
        ([Answered(at(1)), Screened(at(1)), GaveUp(at(3))], Result.ABANDONED, "hears the message"),
        ([CancelAsked(at(1)), Answered(at(1.1)), HungUp(at(2), result=Result.BUSY)], Result.ABANDONED,
         "picked up as we took it back: it was us who left"),
        ([Answered(at(1)), HungUp(at(2), result=Result.BUSY, by=HungUpBy.CUSTOMER)], Result.CALLER_HUNG_UP,
         "left by themselves"),
        ([Answered(at(1)), HungUp(at(2), result=Result.BUSY, by=HungUpBy.SERVER)], Result.ABANDONED,
         "the server was not there: the dialplan played the message and hung up"),
        ([NotPlaced(at(1), result=Result.FAILED, detail="x")], Result.FAILED, "no channel"),
        ([Vanished(at(1), detail="x")], Result.UNKNOWN, "nobody saw it end"),
        ([Vanished(at(1), detail="x", asterisk_died=True)], Result.FAILED, "Asterisk died"),
        ([Answered(at(1)), Vanished(at(9), detail="x")], Result.ABANDONED, "a person, and nobody came"),
        ([Connected(at(1), agent=ANN), Vanished(at(9), detail="x")], Result.ANSWERED, "a talk"),
    ],
)  # fmt: skip
def test_what_a_call_comes_to(signals: list[Signal], result: Result, by_clock: str) -> None:
    """The result follows from what was answered, when, and who left."""
    assert run(call(), *signals).result is result, by_clock


LEAVES = HungUp(at(9), result=Result.FAILED, cause=16, by=HungUpBy.CUSTOMER)
LET_GO = HungUp(at(9), result=Result.FAILED, cause=16, by=HungUpBy.SERVER)


@pytest.mark.parametrize(
    ("signals", "result", "why"),
    [
        ([LEAVES], Result.LEFT, "left in the flow, before anything was done"),
        ([Served(at(1), outcome=Result.CONTAINED), LEAVES], Result.CONTAINED, "the flow has served them"),
        ([Served(at(1), outcome=Result.CONTAINED), Served(at(2), outcome=Result.CALLBACK), LEAVES],
         Result.CALLBACK, "asked to be called after that"),
        ([LET_GO], Result.FAILED, "our dialplan came to its end without a flow that said so"),
        ([Queued(at(1)), LEAVES], Result.ABANDONED, "nobody came"),
        ([Queued(at(1)), LET_GO], Result.ABANDONED, "nobody came, and the server went"),
        ([Queued(at(1)), Dequeued(at(5)), LEAVES], Result.ABANDONED, "waited, and was served by nothing"),
        ([Queued(at(1)), Dequeued(at(5)), Served(at(6), outcome=Result.VOICEMAIL), LEAVES],
         Result.VOICEMAIL, "nobody came: left a message"),
        ([Queued(at(1)), Assigned(at(2), agent=ANN), Connected(at(3), agent=ANN), LEAVES], Result.ANSWERED,
         "a talk"),
        ([Connected(at(3), agent=ANN), LEAVES], Result.ANSWERED, "a talk whose beginning was not seen"),
        ([GaveUp(at(2)), LEAVES], Result.FAILED, "the server went: the caller hears so"),
        ([Queued(at(1)), GaveUp(at(2)), LEAVES], Result.ABANDONED, "the server went while they waited"),
        ([Vanished(at(9), detail="x")], Result.UNKNOWN, "nobody saw it end"),
        ([Vanished(at(9), detail="x", asterisk_died=True)], Result.FAILED, "Asterisk died"),
        ([Queued(at(1)), Vanished(at(9), detail="x")], Result.ABANDONED, "waited when it was seen last"),
    ],
)  # fmt: skip
def test_what_a_call_that_came_in_comes_to(signals: list[Signal], result: Result, why: str) -> None:
    """The result follows from what the flow has done, and whether the caller waited for an agent."""
    assert run(came(), *signals).result is result, why


def test_a_caller_waits_talks_and_is_disposed() -> None:
    """From the queue on a call that came in lives as one that we made."""
    now = came()
    steps: list[tuple[Signal, CallState]] = [
        (Queued(at(1)), CallState.WAITING),
        (Dequeued(at(2)), CallState.FLOW),
        (Queued(at(3)), CallState.WAITING),
        (Assigned(at(4), agent=ANN), CallState.WAITING),
        (Connected(at(4.1), agent=ANN), CallState.CONNECTED),
        (Unassigned(at(5)), CallState.WAITING),
        (Dequeued(at(5.1)), CallState.WAITING),
        (Assigned(at(6), agent=BOB), CallState.WAITING),
        (Connected(at(6.1), agent=BOB), CallState.CONNECTED),
        (LEAVES, CallState.WRAP_UP),
        (Disposed(at(20)), CallState.ENDED),
    ]
    for signal, state in steps:
        now = advance(now, signal)
        assert now.state is state, signal
    assert (now.result, now.queued_at, now.connected_at) == (Result.ANSWERED, at(3), at(4.1))


def test_not_sure_goes_to_an_agent() -> None:
    """A detector that is not sure leaves the call open: a person hung up on costs more."""
    now = run(call(screens=True), Answered(at(1)), Screened(at(3), status="NOTSURE"))
    assert (now.state, now.result) == (CallState.WAITING, None)


def test_a_late_event_sets_no_earlier_time() -> None:
    """An event that tells of an earlier moment than is known counts from the known one."""
    now = run(call(), Rang(at(5)), Answered(at(4)))
    assert now.answered_at == at(5)


def test_the_table_speaks_only_of_what_exists() -> None:
    """Every signal has a rule, and nothing leaves `ended`."""
    # By name: a dataclass with slots leaves the class that it was made from behind.
    assert {signal.__name__ for _, signal in TRANSITIONS} == {one.__name__ for one in Signal.__subclasses__()}
    assert not [state for state, _ in TRANSITIONS if state is CallState.ENDED]


# -- any sequence --------------------------------------------------------------------------------------------


#: A sequence as hypothesis draws it, in a tenth of the time of drawing its signals one by one: a byte for the
#: call, three for a signal. Zeros are no signal, so that what fails shrinks to the few signals that matter.
MOST_SIGNALS = 12
LENGTH = 1 + 3 * MOST_SIGNALS
#: Sequences an example. They are one draw: of many draws of one kind hypothesis makes most alike, to find
#: what only equal values break, and of 100,000 sequences no more than 15,000 would differ.
BATCH = 50
EXAMPLES = -(-SEQUENCES // BATCH) + 50


def seconds(drawn: int) -> float:
    """A time of the call: also before the signal that came last, and before the call was made."""
    return drawn * 0.3 if drawn < 208 else (207 - drawn) * 0.1


def signal_of(what: int, when: int, how: int) -> Signal | None:
    """Any signal with any values, at any time; none for a zero."""
    moment = at(seconds(when))
    agent = (ANN, BOB)[how % 2]
    match what % 28:
        case 1:
            return Sent(moment)
        case 2:
            return Rang(moment)
        case 3:
            return Answered(moment)
        case 4:
            greeting_end = at(seconds((how - 128) * 2)) if how >= 128 else None
            return Screened(moment, status=STATUSES[how % len(STATUSES)], greeting_end=greeting_end)
        case 5:
            return Assigned(moment, agent=agent)
        case 6:
            return Unassigned(moment)
        case 7:
            return Connected(moment, agent=agent)
        case 8:
            return GaveUp(moment)
        case 9:
            return CancelAsked(moment)
        case 10:
            ends = (None, *HungUpBy)
            by = ends[how // len(UNANSWERED) % len(ends)]
            return HungUp(moment, result=UNANSWERED[how % len(UNANSWERED)], by=by)
        case 11:
            result = (Result.FAILED, Result.CANCELED, Result.UNKNOWN)[how % 3]
            return NotPlaced(moment, result=result, detail="x")
        case 12:
            return Vanished(moment, detail="x", asterisk_died=how % 2 == 1)
        case 13:
            return Disposed(moment)
        case 14:
            return WrapUpOver(moment)
        case 15:
            return Queued(moment)
        case 16:
            return Dequeued(moment)
        case 17:
            return Served(moment, outcome=OUTCOMES[how % len(OUTCOMES)])
        case 18:
            return Held(moment)
        case 19:
            return Resumed(moment)
        case 20:
            return Muted(moment, on=how % 2 == 1)
        case 21:
            return HandedOver(moment)
        case 22:
            return LetGo(moment)
        case 23:
            return CameBack(moment)
        case 24:
            return ThirdCalled(moment, third=(SHOP, asked(BOB))[how % 2])
        case 25:
            return ThirdMet(moment, stage=(Stage.TALKING, Stage.JOINED)[how % 2])
        case 26:
            return ThirdGone(moment)
        case 27:
            return PassedOn(moment)
        case _:
            return None


def sequence_of(drawn: bytes) -> tuple[Call, list[Signal]]:
    """A call and its signals. Ends come late more often than chance has it, so that most is seen."""
    kind = drawn[0]
    first = call(screens=kind % 2 == 1, agent=ANN if kind % 8 >= 6 else None)
    if kind % 3 == 2:
        first = came()
    elif kind % 3 == 1:
        first = replace(first, automatic=True)
    made = (signal_of(*drawn[n : n + 3]) for n in range(1, len(drawn), 3))
    signals = [signal for signal in made if signal is not None]
    if kind >= 80:
        signals.sort(key=lambda one: isinstance(one, (HungUp, NotPlaced, Vanished)))
    return first, signals


def check(before: Call, signal: Signal, after: Call) -> None:
    """What holds for every step of every call."""
    if before.state is CallState.ENDED:
        assert after is before, "ended is final"
    if before.result is not None:
        assert after.result is before.result, "a result never changes"
    known = max(getattr(before, name) for name in TIMES if getattr(before, name) is not None)
    for name in TIMES:
        was, now = getattr(before, name), getattr(after, name)
        if now != was:
            assert now is not None, "a time is never unset"
            assert now >= known, f"{name} runs backwards"
            assert was is None or name == "assigned_at", f"{name} is set once"
    served = after.automatic and after.outcome is not None and after.result is Result.ANSWERED
    talked = after.connected_at is not None
    assert served or talked == (after.result is Result.ANSWERED), "answered means talked, or served by a flow"
    assert (after.state is CallState.ENDED) == (after.ended_at is not None)
    assert after.live == (after.hung_up_at is None)
    if after.inbound:
        assert after.result is None or after.result in OF_INBOUND, "what an attempt comes to"
    else:
        assert after.result not in OF_FLOWS, "what a flow has done"
    if after.result in LIVE or after.result is Result.MACHINE:
        assert after.answered_at is not None, "nobody is live who did not answer"
    if after.state is not CallState.CONNECTED:
        assert (after.held_at, after.muted) == (None, False), "only a talk has them"
    if after.state not in (CallState.CONNECTED, CallState.FLOW):
        assert after.third is None, "who is asked besides is there with a talk, or has the customer"
    assert after.hold_s >= before.hold_s
    match after.state:
        case CallState.CONNECTED:
            assert after.agent is not None, "a talk has an agent"
            assert after.connected_at is not None
        case CallState.WRAP_UP:
            assert after.agent is not None
            assert after.connected_at is not None
            assert not after.disposed, "nothing is owed that was given"
        case CallState.ENDED:
            assert after.result is not None, "an ended call has come to something"
        case CallState.WAITING:
            assert after.answered_at is not None
    if isinstance(signal, (HungUp, Vanished)) or (
        isinstance(signal, NotPlaced) and before.answered_at is None
    ):
        assert not after.live, "the line is free"
    assert advance(after, signal) == after, "a repeated event changes nothing"


def walk(first: Call, signals: Sequence[Signal]) -> Call:
    """Put the signals to the call and check every step."""
    now = first
    for signal in signals:
        after = advance(now, signal)
        check(now, signal, after)
        now = after
    return now


def test_no_sequence_breaks_a_call() -> None:
    """100,000 different sequences, out of order and repeated, keep every invariant; every state and every
    result is seen. A sequence that fails is made small and stands under the error."""
    tried: set[bytes] = set()
    states: set[CallState] = set()
    results: set[Result | None] = set()

    @given(st.binary(min_size=LENGTH * BATCH, max_size=LENGTH * BATCH))
    @settings(max_examples=EXAMPLES, deadline=None)
    def keep_every_invariant(batch: bytes) -> None:
        for start in range(0, len(batch), LENGTH):
            drawn = batch[start : start + LENGTH]
            first, signals = sequence_of(drawn)
            try:
                now = walk(first, signals)
            except Exception as error:
                error.add_note(f"{first}\n" + "\n".join(map(repr, signals)))
                raise
            if signals:
                tried.add(drawn)
            states.add(now.state)
            results.add(now.result)

    keep_every_invariant()
    assert len(tried) >= SEQUENCES
    assert states == set(CallState)
    assert results == {None, *Result}


@given(st.binary(min_size=LENGTH, max_size=LENGTH), st.integers(0, MOST_SIGNALS - 1))
@settings(max_examples=300, deadline=None)
def test_a_repeated_event_anywhere_changes_nothing(drawn: bytes, place: int) -> None:
    """An event that is heard twice in a row leaves the call as hearing it once."""
    first, signals = sequence_of(drawn)
    doubled = [*signals[: place + 1], *signals[place:]]
    assert run(first, *doubled) == run(first, *signals)
