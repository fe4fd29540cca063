"""The transition table of a call: what it does signal by signal, and what no sequence of signals can break.

CALL_SEQUENCES=1000000 in the environment asks for more random sequences than the 100,000 of every run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.calls.model import (
    LIVE,
    TRANSITIONS,
    Answered,
    Assigned,
    Assignee,
    Call,
    CallState,
    CancelAsked,
    Connected,
    Disposed,
    GaveUp,
    HungUp,
    HungUpBy,
    NotPlaced,
    Rang,
    Result,
    Screened,
    Sent,
    Signal,
    Unassigned,
    Vanished,
    WrapUpOver,
    advance,
)

SEQUENCES = int(os.environ.get("CALL_SEQUENCES", "100000"))
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ANN, BOB = (Assignee(UUID(int=n), n, UUID(int=n + 100)) for n in (1, 2))
TIMES = (
    "created_at", "sent_at", "ringing_at", "answered_at", "screened_at", "assigned_at", "connected_at",
    "hung_up_at", "ended_at",
)  # fmt: skip
#: What a call that nobody answered may come to.
UNANSWERED = (
    Result.BUSY, Result.NO_ANSWER, Result.INVALID, Result.CONGESTION, Result.DECLINED, Result.FAILED,
)  # fmt: skip
STATUSES = ("", "HUMAN", "MACHINE", "NOTSURE", "HANGUP")


def at(seconds: float) -> datetime:
    """So many seconds after the call was made."""
    return START + timedelta(seconds=seconds)


def call(*, screens: bool = False, agent: Assignee | None = None) -> Call:
    """A call that has just been committed."""
    return Call(UUID(int=7), 1, 1, screens=screens, abandon_after_s=2.0, created_at=START, agent=agent)


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


def test_a_machine_is_never_talked_with() -> None:
    """A call that was found to be a machine takes no agent and does not become a talk."""
    now = run(
        call(screens=True), Answered(at(1)), Screened(at(3), status="MACHINE"), Assigned(at(4), agent=ANN),
        Connected(at(5), agent=ANN),
    )  # fmt: skip
    assert (now.result, now.agent, now.connected_at) == (Result.MACHINE, None, None)


def test_not_sure_goes_to_an_agent() -> None:
    """A detector that is not sure leaves the call open: a person hung up on costs more."""
    now = run(call(screens=True), Answered(at(1)), Screened(at(3), status="NOTSURE"))
    assert (now.state, now.result) == (CallState.WAITING, None)


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


def random_signal(rng: random.Random) -> Signal:
    """Any signal with any values, at any time: also before the one that came last."""
    when = at(rng.uniform(-5, 60))
    agent = rng.choice((ANN, BOB))
    match rng.randrange(13):
        case 0:
            return Sent(when)
        case 1:
            return Rang(when)
        case 2:
            return Answered(when)
        case 3:
            greeting_end = at(rng.uniform(-5, 60)) if rng.random() < 0.5 else None
            return Screened(when, status=rng.choice(STATUSES), greeting_end=greeting_end)
        case 4:
            return Assigned(when, agent=agent)
        case 5:
            return Unassigned(when)
        case 6:
            return Connected(when, agent=agent)
        case 7:
            return GaveUp(when)
        case 8:
            return CancelAsked(when)
        case 9:
            return HungUp(when, result=rng.choice(UNANSWERED), by=rng.choice((None, *HungUpBy)))
        case 10:
            result = rng.choice((Result.FAILED, Result.CANCELED, Result.UNKNOWN))
            return NotPlaced(when, result=result, detail="x")
        case 11:
            return Vanished(when, detail="x", asterisk_died=rng.random() < 0.5)
        case _:
            return Disposed(when) if rng.random() < 0.5 else WrapUpOver(when)


def random_sequence(seed: int) -> tuple[Call, list[Signal]]:
    """A call and up to 14 signals. Ends come late more often than chance has it, so that most is seen."""
    rng = random.Random(seed)
    first = call(screens=rng.random() < 0.5, agent=ANN if rng.random() < 0.2 else None)
    signals = [random_signal(rng) for _ in range(rng.randint(1, 14))]
    if rng.random() < 0.7:
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
    assert (after.connected_at is not None) == (after.result is Result.ANSWERED), "answered means talked"
    assert (after.state is CallState.ENDED) == (after.ended_at is not None)
    assert after.live == (after.hung_up_at is None)
    if after.result in LIVE or after.result is Result.MACHINE:
        assert after.answered_at is not None, "nobody is live who did not answer"
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


def test_no_random_sequence_breaks_a_call() -> None:
    """100,000 random sequences, out of order and repeated, keep every invariant, and every state is seen."""
    seen: set[CallState] = set()
    results: set[Result | None] = set()
    for seed in range(SEQUENCES):
        now = walk(*random_sequence(seed))
        seen.add(now.state)
        results.add(now.result)
    assert seen == set(CallState)
    assert results == {None, *Result}


@given(
    st.lists(st.integers(0, 2**32).map(lambda seed: random_signal(random.Random(seed))), max_size=30),
    st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_no_sequence_found_by_search_breaks_a_call(signals: list[Signal], screens: bool) -> None:
    """The same invariants over sequences that hypothesis makes, and makes small when one fails."""
    walk(call(screens=screens), signals)


@given(st.integers(0, 2**32), st.integers(0, 13))
@settings(max_examples=300, deadline=None)
def test_a_repeated_event_anywhere_changes_nothing(seed: int, place: int) -> None:
    """An event that is heard twice in a row leaves the call as hearing it once."""
    first, signals = random_sequence(seed)
    place %= len(signals)
    doubled = [*signals[: place + 1], *signals[place:]]
    assert run(first, *doubled) == run(first, *signals)
