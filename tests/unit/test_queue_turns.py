"""Calls back in turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.queues.choosing import order
from dialer.queues.model import Waiting
from dialer.queues.turns import (
    AGAIN_AFTER_S,
    MOST_TRIES,
    Outcome,
    Place,
    Stage,
    called,
    closed,
    dropped,
    due,
    keep,
    settled,
)
from dialer.queues.waits import Outlook, Seen

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CALLER = Waiting(UUID(int=1), 4, NOW - timedelta(minutes=3), priority=7)
PLACE = keep(CALLER)
#: Ten agents in talks of two minutes: one is free every twelve seconds.
BUSY = [Seen(100, 12_000.0)]


def test_the_place_is_kept() -> None:
    """Queue, beginning of the wait and priority stay; who came later stands behind it."""
    assert (PLACE.queue_id, PLACE.since, PLACE.priority, PLACE.stage) == (4, CALLER.since, 7, Stage.KEPT)
    back = Waiting(PLACE.call_id, PLACE.queue_id, PLACE.since, PLACE.priority)
    later = Waiting(UUID(int=2), 4, CALLER.since + timedelta(seconds=1), priority=7)
    assert order(back) < order(later)


def test_outside_a_queue_there_is_no_place() -> None:
    """Whom we have called themselves has none."""
    with pytest.raises(ValueError, match="no queue"):
        keep(Waiting(UUID(int=1), None, NOW))


@pytest.mark.parametrize(
    ("outlook", "is_due"),
    [
        (Outlook(0, 1, 3, []), True),  # an agent is free, it is their turn
        (Outlook(1, 1, 3, []), False),  # free for whoever comes before
        (Outlook(0, 0, 0, BUSY), False),  # nobody is at work
        (Outlook(0, 0, 10, []), False),  # nothing is known of the queue
        (Outlook(0, 0, 10, BUSY), False),  # one in 12 s: within 15 s with a chance of 0.71
        (Outlook(0, 0, 20, BUSY), True),  # one in 6 s: within 15 s with a chance of 0.92
        (Outlook(3, 0, 20, BUSY), False),  # the fourth in 24 s
    ],
)
def test_the_caller_is_called_when_an_agent_will_be_free(outlook: Outlook, is_due: bool) -> None:
    """When it is likely that an agent is free by the time they answer, and not before."""
    assert due(PLACE, outlook, NOW) is is_due


def test_who_did_not_answer_is_called_once_more_and_becomes_a_task() -> None:
    """Twice not reached: a second call after a while, then a task."""
    free = Outlook(0, 1, 3, [])
    first = settled(called(PLACE), Outcome.NOT_REACHED, NOW)
    assert (first.stage, first.tries, first.since) == (Stage.KEPT, 1, PLACE.since)
    assert not due(first, free, NOW + timedelta(seconds=AGAIN_AFTER_S - 1))
    assert due(first, free, NOW + timedelta(seconds=AGAIN_AFTER_S))
    second = settled(called(first), Outcome.REFUSED, NOW)
    assert second.stage is Stage.TASK
    assert not due(second, free, NOW + timedelta(days=1))


def test_what_our_side_failed_uses_no_try_up() -> None:
    """A call that could not be placed is tried again, as often as it takes."""
    place = PLACE
    for _ in range(5):
        place = settled(called(place), Outcome.NOT_PLACED, NOW)
    assert (place.stage, place.tries) == (Stage.KEPT, 0)


def test_who_answers_is_back() -> None:
    """The place is theirs again, and is not called a second time."""
    back = settled(called(PLACE), Outcome.ANSWERED, NOW)
    assert (back.stage, back.since) == (Stage.BACK, PLACE.since)
    assert not due(back, Outlook(0, 1, 3, []), NOW)


def test_a_place_that_is_being_called_is_not_called_again() -> None:
    """One call at a time; nothing is settled without one."""
    assert not due(called(PLACE), Outlook(0, 1, 3, []), NOW)
    with pytest.raises(ValueError, match="no call"):
        settled(PLACE, Outcome.ANSWERED, NOW)


def test_whoever_is_left_at_the_end_of_the_day_is_a_task() -> None:
    """A kept place becomes a task when the queue closes; a call under way goes on."""
    assert closed(PLACE).stage is Stage.TASK
    assert closed(called(PLACE)).stage is Stage.CALLING
    assert dropped(PLACE).stage is Stage.DROPPED
    assert dropped(closed(PLACE)).stage is Stage.TASK


@given(outcomes=st.lists(st.sampled_from(Outcome), max_size=20))
def test_nobody_is_called_more_than_twice_without_an_answer(outcomes: list[Outcome]) -> None:
    """Whatever comes, a place ends as a task or back, after two tries at most, and never loses its turn."""
    place, tries, answered = Place(UUID(int=1), 4, CALLER.since), 0, False
    for outcome in outcomes:
        if place.stage is not Stage.KEPT:
            break
        place = settled(called(place), outcome, NOW)
        tries += outcome is not Outcome.NOT_PLACED
        answered = outcome is Outcome.ANSWERED
        assert place.since == CALLER.since
    assert place.tries == tries <= MOST_TRIES
    assert (place.stage is Stage.BACK) == answered
    assert (place.stage is Stage.TASK) == (tries == MOST_TRIES and not answered)
