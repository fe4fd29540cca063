"""What a waiting caller is told, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dialer.queues.announcing import (
    LOOK_AGAIN,
    Announcement,
    Minutes,
    Told,
    after,
    after_silence,
    announcement,
    due_at,
    spoken,
)
from dialer.queues.model import Announce
from dialer.queues.waits import Expected, Untold

CAME = datetime(2026, 3, 2, 12, tzinfo=UTC)
USUAL = Announce(first_after_s=20, every_s=60)
WAIT = Expected(100.0, 70.0, 190.0, 12)


def at(seconds: float) -> datetime:
    """So many seconds after the caller came."""
    return CAME + timedelta(seconds=seconds)


def said(announce: Announce, told: Told, seconds: float, position: int = 3) -> Announcement | None:
    """What is said at that moment."""
    return announcement(announce, CAME, told, position=position, wait=WAIT, now=at(seconds))


def test_the_first_comes_after_its_time_and_the_next_after_theirs() -> None:
    """20 s after the beginning, then every 60 s after the last one."""
    assert due_at(USUAL, CAME, Told()) == at(20)
    assert said(USUAL, Told(), 19.9) is None
    first = said(USUAL, Told(), 21)
    assert first == Announcement(3, Minutes(1, 4), False)
    told = after(Told(), first, at(21))
    assert due_at(USUAL, CAME, told) == at(81)
    assert said(USUAL, told, 80) is None
    assert said(USUAL, told, 81) is not None


def test_a_queue_may_be_silent() -> None:
    """Without a first announcement there is none; without a pace it stays the only one."""
    assert due_at(Announce(first_after_s=None), CAME, Told()) is None
    assert said(Announce(first_after_s=None), Told(), 1_000) is None
    assert due_at(replace(USUAL, every_s=None), CAME, Told(at=at(20))) is None


@pytest.mark.parametrize(
    ("before", "now", "told"), [(None, 5, 5), (5, 4, 4), (5, 5, 5), (4, 5, None), (None, 11, None)]
)
def test_positions_never_grow(before: int | None, now: int, told: int | None) -> None:
    """One that is higher than the last one told is not told, nor one above the queue's highest."""
    found = said(USUAL, Told(at=CAME, position=before), 60, now)
    assert found is not None
    assert found.position == told
    kept = after(Told(at=CAME, position=before), found, at(60)).position
    assert kept == (before if told is None else told)


def test_a_wait_that_is_not_known_is_not_told() -> None:
    """Nothing known: the position alone. A queue that tells no waits: none, known or not."""
    found = announcement(USUAL, CAME, Told(), position=2, wait=Untold.FEW_TALKS, now=at(20))
    assert found == Announcement(2, None, False)
    assert said(replace(USUAL, wait=False, position=False), Told(), 20) == Announcement(None, None, False)


@pytest.mark.parametrize(
    ("low_s", "high_s", "minutes"),
    [
        (0, 0, (0, 1)),
        (5, 50, (0, 1)),
        (59, 61, (0, 2)),
        (60, 120, (1, 2)),
        (130, 299, (2, 5)),
        (130, 300.5, (2, 6)),
    ],
)
def test_minutes_hold_the_whole_interval(low_s: float, high_s: float, minutes: tuple[int, int]) -> None:
    """The beginning is rounded down, the end up; never less than up to one minute."""
    assert spoken(Expected(high_s / 2, low_s, high_s, 9)) == Minutes(*minutes)


def test_a_call_back_is_offered_once() -> None:
    """When its time has come, also between two announcements, and then no more."""
    offering = replace(USUAL, offer_callback_after_s=45)
    told = Told(at=at(20), position=3)
    assert due_at(offering, CAME, told) == at(45)
    found = said(offering, told, 45)
    assert found is not None
    assert found.offer_callback
    told = after(told, found, at(45))
    assert due_at(offering, CAME, told) == at(105)
    again = said(offering, told, 105)
    assert again is not None
    assert not again.offer_callback


def test_a_call_back_is_offered_from_an_expected_wait() -> None:
    """Not while it is shorter, which is looked at again after a while and without a word; where it is not
    known, it is offered."""
    offers = Announce(first_after_s=None, every_s=None, offer_callback_after_s=10, offer_callback_wait_s=101)
    assert said(offers, Told(), 9) is None
    assert said(offers, Told(), 10) is None
    looked = after_silence(Told(), offers, CAME, at(10))
    assert (looked.at, due_at(offers, CAME, looked)) == (None, at(10) + LOOK_AGAIN)
    longer = replace(WAIT, mean_s=101.0)
    for wait in (longer, Untold.FEW_TALKS):
        found = announcement(offers, CAME, looked, position=3, wait=wait, now=at(30))
        assert found is not None
        assert found.offer_callback
        assert due_at(offers, CAME, after(looked, found, at(30))) is None


def test_what_could_not_be_said_is_not_tried_at_once_again() -> None:
    """The next announcement comes after its usual time."""
    assert due_at(USUAL, CAME, after_silence(Told(), USUAL, CAME, at(21))) == at(81)
