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
    Again,
    Outcome,
    Place,
    Stage,
    Why,
    called,
    closed,
    dropped,
    due,
    keep,
    settled,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CALLER = Waiting(UUID(int=1), 4, NOW - timedelta(minutes=3), priority=7)
PLACE = keep(CALLER)


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


def test_who_did_not_answer_is_called_once_more_and_becomes_a_task() -> None:
    """Twice not reached: a second call after a while, then a task."""
    assert due(PLACE, NOW)
    first = settled(called(PLACE), Outcome.NOT_REACHED, NOW)
    assert (first.stage, first.tries, first.since) == (Stage.KEPT, 1, PLACE.since)
    assert not due(first, NOW + timedelta(seconds=AGAIN_AFTER_S - 1))
    assert due(first, NOW + timedelta(seconds=AGAIN_AFTER_S))
    second = settled(called(first), Outcome.NOT_REACHED, NOW)
    assert second.stage is Stage.TASK
    assert not due(second, NOW + timedelta(days=1))


def test_a_queue_says_how_often_and_after_how_long() -> None:
    """Three tries, a minute apart."""
    again, place = Again(most_tries=3, after_s=60), PLACE
    for _ in range(2):
        place = settled(called(place), Outcome.NOT_REACHED, NOW, again)
        assert place.not_before == NOW + timedelta(seconds=60)
    assert settled(called(place), Outcome.NOT_REACHED, NOW, again).stage is Stage.TASK


def test_a_call_of_which_nothing_is_known_is_not_made_again() -> None:
    """Somebody may have answered it."""
    after = settled(called(PLACE), Outcome.UNKNOWN, NOW)
    assert (after.stage, after.why) == (Stage.DROPPED, Why.UNKNOWN)
    assert not due(after, NOW + timedelta(days=1))


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
    assert not due(back, NOW)


def test_a_place_that_is_being_called_is_not_called_again() -> None:
    """One call at a time; nothing is settled without one."""
    assert not due(called(PLACE), NOW)
    with pytest.raises(ValueError, match="no call"):
        settled(PLACE, Outcome.ANSWERED, NOW)


def test_whoever_is_left_at_the_end_of_the_day_is_a_task() -> None:
    """A kept place becomes a task when the queue closes; a call under way goes on."""
    assert closed(PLACE).stage is Stage.TASK
    assert closed(called(PLACE)).stage is Stage.CALLING
    assert (dropped(PLACE).stage, dropped(PLACE).why) == (Stage.DROPPED, Why.CAME_BACK)
    assert dropped(closed(PLACE)).stage is Stage.TASK


@given(outcomes=st.lists(st.sampled_from(Outcome), max_size=20))
def test_nobody_is_called_more_than_twice_without_an_answer(outcomes: list[Outcome]) -> None:
    """Whatever comes, a place ends after two tries at most, and never loses its turn."""
    place, tries, answered, unknown = Place(UUID(int=1), 4, CALLER.since), 0, False, False
    for outcome in outcomes:
        if place.stage is not Stage.KEPT:
            break
        place = settled(called(place), outcome, NOW)
        tries += outcome is not Outcome.NOT_PLACED
        answered, unknown = outcome is Outcome.ANSWERED, outcome is Outcome.UNKNOWN
        assert place.since == CALLER.since
    assert place.tries == tries <= MOST_TRIES
    assert (place.stage is Stage.BACK) == answered
    assert (place.stage is Stage.DROPPED) == unknown
    assert (place.stage is Stage.TASK) == (tries == MOST_TRIES and not answered and not unknown)
