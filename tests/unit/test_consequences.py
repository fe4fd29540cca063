"""What is written with a change of a call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dialer.calls.consequences import Consequence, IsFree, LineIsFree, Talks, WrapsUp, consequences
from dialer.calls.model import (
    Answered,
    Assigned,
    Assignee,
    Call,
    Connected,
    Disposed,
    GaveUp,
    HungUp,
    Rang,
    Result,
    Screened,
    Signal,
    Unassigned,
    Vanished,
)
from dialer.calls.steps import advance

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ANN, BOB = (Assignee(UUID(int=n), n, UUID(int=n + 100)) for n in (1, 2))
BUSY = HungUp(START + timedelta(seconds=9), result=Result.BUSY)


def at(seconds: float) -> datetime:
    """So many seconds after the call was made."""
    return START + timedelta(seconds=seconds)


def call(agent: Assignee | None = None) -> Call:
    """A call that has just been committed."""
    return Call(UUID(int=7), 1, 1, screens=False, abandon_after_s=2.0, created_at=START, agent=agent)


@pytest.mark.parametrize(
    ("first", "earlier", "last", "written"),
    [
        (call(), [], Rang(at(1)), ()),
        (call(), [], BUSY, (LineIsFree("busy"),)),
        (call(ANN), [], BUSY, (LineIsFree("busy"), IsFree(ANN.session_id))),
        (call(), [Answered(at(1)), Screened(at(1))], Assigned(at(2), agent=ANN), ()),
        (call(), [Screened(at(1)), Assigned(at(2), agent=ANN)], Connected(at(2), agent=ANN),
         (Talks(ANN.session_id),)),
        (call(), [Screened(at(1)), Assigned(at(2), agent=ANN)], Connected(at(2), agent=BOB),
         (Talks(BOB.session_id), IsFree(ANN.session_id))),
        (call(), [Screened(at(1)), Assigned(at(2), agent=ANN)], Unassigned(at(3)), (IsFree(ANN.session_id),)),
        (call(), [Screened(at(1)), Assigned(at(2), agent=ANN)], GaveUp(at(3)), (IsFree(ANN.session_id),)),
        (call(), [Screened(at(8)), Assigned(at(8.5), agent=ANN)], BUSY,
         (LineIsFree("caller_hung_up"), IsFree(ANN.session_id))),
        (call(), [Connected(at(1), agent=ANN)], BUSY, (LineIsFree("answered"), WrapsUp(ANN.session_id))),
        (call(), [Connected(at(1), agent=ANN)], Vanished(at(4), detail="x"),
         (LineIsFree("answered"), WrapsUp(ANN.session_id))),
        (call(), [Connected(at(1), agent=ANN), Disposed(at(2))], BUSY,
         (LineIsFree("answered"), IsFree(ANN.session_id))),
        (call(), [Connected(at(1), agent=ANN), BUSY], Disposed(at(12)), (IsFree(ANN.session_id),)),
        (call(), [Connected(at(1), agent=ANN), Unassigned(at(2))], BUSY, (LineIsFree("answered"),)),
    ],
)  # fmt: skip
def test_what_is_written(
    first: Call, earlier: list[Signal], last: Signal, written: tuple[Consequence, ...]
) -> None:
    """The number, the lead and the agents follow the call; nobody stays reserved for a call that is not
    theirs."""
    before = first
    for signal in earlier:
        before = advance(before, signal)
    assert consequences(before, advance(before, last)) == written
