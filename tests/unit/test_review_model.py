"""What scores come to, how far scorers are apart, which calls are drawn."""

from __future__ import annotations

from datetime import UTC, date, datetime
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from dialer.reviews.model import Criterion, Spread, draw, last_week, shipped, spread, total

SPEECH, LISTENING = Criterion("speech", "Speech", weight=1), Criterion("listening", "Listening", weight=3)
CALLS = [UUID(int=n) for n in range(1, 9)]


@pytest.mark.parametrize(
    ("scores", "worth"),
    [
        ({"speech": 5, "listening": 5}, 100),
        ({"speech": 5, "listening": 0}, 25),
        ({"speech": 0, "listening": 5}, 75),
        ({"speech": 2, "listening": None}, 40),  # it did not come up
        ({"listening": 4}, 80),
        ({"speech": None}, None),
        ({}, None),
    ],
)
def test_points_count_by_weight_of_what_came_up(scores: dict[str, int | None], worth: float | None) -> None:
    """The share of points, 0 to 100."""
    assert total((SPEECH, LISTENING), scores) == worth


def test_points_of_a_criterion_are_a_share_of_its_own_most() -> None:
    """3 of 3 is as good as 5 of 5."""
    assert total((SPEECH, Criterion("hello", "Hello", weight=1, most=3)), {"speech": 0, "hello": 3}) == 50


def test_the_shipped_form_has_four_criteria_in_both_languages() -> None:
    """By the same keys, with the same weights."""
    russian, english = shipped("ru"), shipped("en")
    assert [one.key for one in russian] == ["speech", "confidence", "listening", "conflict"]
    assert [(one.key, one.weight) for one in russian] == [(one.key, one.weight) for one in english]
    assert not {one.title for one in russian} & {one.title for one in english}


@pytest.mark.parametrize(
    ("values", "apart", "width"),
    [([80.0, 60.0, 70.0], Spread(60, 80, 70), 20), ([55.0], Spread(55, 55, 55), 0)],
)
def test_how_far_scorers_are_apart(values: list[float], apart: Spread, width: float) -> None:
    """From the strictest to the kindest."""
    found = spread(values)
    assert found == apart
    assert found.width == width


def test_nobody_is_apart_where_nobody_has_scored() -> None:
    """There is nothing to tell."""
    assert spread([]) is None


@pytest.mark.parametrize(
    ("now", "monday"),
    [
        ("2026-11-23T00:00:00+03:00", date(2026, 11, 16)),  # a Monday has begun
        ("2026-11-22T23:59:59+03:00", date(2026, 11, 9)),  # a Sunday is not over
        ("2026-11-22T21:00:00+00:00", date(2026, 11, 16)),  # it is Monday there
    ],
)
def test_the_last_week_that_is_over_by_the_clock_of_the_place(now: str, monday: date) -> None:
    """From Monday to Monday at midnight."""
    week, begun, ended = last_week(datetime.fromisoformat(now), ZoneInfo("Europe/Moscow"))
    assert week == monday
    assert begun.astimezone(UTC).isoformat() == f"{monday.replace(day=monday.day - 1)}T21:00:00+00:00"
    assert (ended - begun).days == 7


def test_each_call_is_drawn_as_often_as_any_other() -> None:
    """Over many weeks; of an agent with few calls, all."""
    dice, times = Random(7), dict.fromkeys(CALLS, 0)
    for _ in range(4000):
        found = draw({1: CALLS, 2: CALLS[:1]}, 2, dice)
        assert found[2] == CALLS[:1]
        assert len(set(found[1])) == 2
        for one in found[1]:
            times[one] += 1
    assert all(900 < one < 1100 for one in times.values())
