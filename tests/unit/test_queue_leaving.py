"""Who may enter a queue, how long they may stay, and where they go then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dialer.queues.leaving import Cause, Goes, end_of, entry, over, stays_until
from dialer.queues.model import End, Overflow, Queue

CAME = datetime(2026, 3, 2, 12, tzinfo=UTC)
SALES = Queue(1, "sales", max_wait_s=120, max_waiting=3, overflow=Overflow.QUEUE, overflow_queue_id=2)
QUEUES = {1: SALES, 2: Queue(2, "anybody", max_wait_s=60, overflow=Overflow.QUEUE, overflow_queue_id=1)}


@pytest.mark.parametrize(("waiting", "enters"), [(0, True), (2, True), (3, False), (9, False)])
def test_a_full_queue_takes_nobody(waiting: int, enters: bool) -> None:
    """As many as are allowed at once are let in, whoever comes then goes on."""
    goes = entry(SALES, waiting=waiting, at_work=5, queues=QUEUES)
    assert goes == (None if enters else Goes(Overflow.QUEUE, Cause.FULL, 2))


def test_a_queue_may_ask_for_agents() -> None:
    """Without anybody at work a queue that asks for agents takes nobody; another one does."""
    goes = entry(replace(SALES, needs_agents=True), waiting=0, at_work=0, queues=QUEUES)
    assert goes == Goes(Overflow.QUEUE, Cause.EMPTY, 2)
    assert entry(replace(SALES, needs_agents=True), waiting=0, at_work=1, queues=QUEUES) is None
    assert entry(SALES, waiting=0, at_work=0, queues=QUEUES) is None


@pytest.mark.parametrize(("waited_s", "stays"), [(0, True), (119.9, True), (120, False), (500, False)])
def test_the_longest_wait_ends(waited_s: float, stays: bool) -> None:
    """At the end of the maximum wait the caller goes on."""
    goes = over(SALES, CAME, CAME + timedelta(seconds=waited_s), queues=QUEUES)
    assert goes == (None if stays else Goes(Overflow.QUEUE, Cause.TIMEOUT, 2))


def test_a_queue_without_a_limit_is_never_left() -> None:
    """No maximum wait: nobody is sent on."""
    plain = Queue(3, "patient")
    assert stays_until(plain, CAME) is None
    assert over(plain, CAME, CAME + timedelta(days=1), queues=QUEUES) is None


@pytest.mark.parametrize("to", [Overflow.FLOW, Overflow.VOICEMAIL])
def test_a_queue_may_send_callers_elsewhere(to: Overflow) -> None:
    """To the flow or to voicemail, as it is set."""
    goes = over(replace(SALES, overflow=to), CAME, CAME + timedelta(hours=1), queues=QUEUES)
    assert goes == Goes(to, Cause.TIMEOUT)


def test_nobody_goes_round_in_circles() -> None:
    """Two queues that overflow into each other: the second sends whoever comes from the first to the flow."""
    goes = over(QUEUES[2], CAME, CAME + timedelta(hours=1), queues=QUEUES, been_in={1})
    assert goes == Goes(Overflow.FLOW, Cause.TIMEOUT)


@pytest.mark.parametrize("wanted", [None, 1, 99])
def test_a_queue_that_is_not_there_is_not_gone_to(wanted: int | None) -> None:
    """No queue named, itself, or one that was deleted: the caller goes back to the flow."""
    goes = entry(replace(SALES, overflow_queue_id=wanted), waiting=3, at_work=1, queues=QUEUES)
    assert goes == Goes(Overflow.FLOW, Cause.FULL)


@pytest.mark.parametrize(
    ("goes", "end"),
    [
        (Goes(Overflow.QUEUE, Cause.FULL, 2), End.OVERFLOW),
        (Goes(Overflow.VOICEMAIL, Cause.TIMEOUT), End.VOICEMAIL),
        (Goes(Overflow.FLOW, Cause.FULL), End.FULL),
        (Goes(Overflow.FLOW, Cause.EMPTY), End.EMPTY),
        (Goes(Overflow.FLOW, Cause.TIMEOUT), End.TIMEOUT),
    ],
)
def test_a_stay_ends_by_where_the_caller_goes(goes: Goes, end: End) -> None:
    """To the flow: by its cause."""
    assert end_of(goes) == end
