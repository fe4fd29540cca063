"""How a report is put together: closed days, closed hours, and what is counted anew."""

from __future__ import annotations

import math
import random
import statistics
from datetime import UTC, datetime, timedelta

import pytest

from dialer.reports.model import (
    BEGINNING,
    DAY,
    HOUR,
    LEAST_MS,
    STEPS,
    hour_number,
    middle_ms,
    parts,
    percentile_ms,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HALF = timedelta(minutes=30)


def test_a_span_is_days_hours_and_two_edges() -> None:
    """From half past noon over two midnights until half past three, all of it closed but the last hour."""
    span = parts(NOON + HALF, NOON + 2 * DAY + 3 * HOUR + HALF, NOON + 2 * DAY + 2 * HOUR)
    assert span.closed
    assert (span.since, span.first) == (NOON + HALF, NOON + HOUR)
    assert (span.first_day, span.last_day) == (NOON + 12 * HOUR, NOON + 36 * HOUR)
    assert (span.last, span.until) == (NOON + 2 * DAY + 2 * HOUR, NOON + 2 * DAY + 3 * HOUR + HALF)


@pytest.mark.parametrize(
    ("since", "until", "closed_until"),
    [
        (NOON, NOON + DAY, None),
        (NOON, NOON + DAY, NOON),
        (NOON + HALF, NOON + HOUR, NOON + DAY),
        (NOON + HALF, NOON + HOUR + HALF, NOON + DAY),
    ],
)
def test_a_span_without_a_closed_hour_is_counted_whole(
    since: datetime, until: datetime, closed_until: datetime | None
) -> None:
    """Nothing is closed, nothing of it is, or no whole hour is in it."""
    span = parts(since, until, closed_until)
    assert not span.closed
    assert (span.last - span.since, span.first - span.since) == (timedelta(0), timedelta(0))


def test_without_a_beginning_all_that_is_closed_is_taken() -> None:
    """The left edge is empty; days until the last midnight, then hours."""
    span = parts(None, NOON, NOON - HOUR)
    assert (span.since, span.first, span.first_day) == (BEGINNING,) * 3
    assert (span.last_day, span.last, span.until) == (NOON - 12 * HOUR, NOON - HOUR, NOON)


def test_an_hour_has_a_number() -> None:
    """Hours since 1970: 24 a day."""
    assert hour_number(BEGINNING + 3 * DAY + 2 * HOUR) == 74


def test_a_percentile_of_buckets_is_right_to_half_a_hundredth() -> None:
    """Beside the percentile of the durations themselves, from 0.1 ms to some minutes."""
    dice = random.Random(1)
    for many in (2, 3, 10, 99, 1000):
        durations = sorted(LEAST_MS * math.exp(dice.uniform(0, 14)) for _ in range(many))
        buckets = [math.ceil(STEPS * math.log(one / LEAST_MS)) for one in durations]
        for one, number in zip(durations, buckets, strict=True):
            assert middle_ms(number) == pytest.approx(one, rel=0.00502)
        for share in (0.5, 0.95):
            exact = statistics.quantiles(durations, n=20, method="inclusive")[round(share * 20) - 1]
            rank = share * (many - 1)
            low, high = buckets[math.floor(rank)], buckets[math.ceil(rank)]
            assert percentile_ms(share, many, low, high) == pytest.approx(exact, rel=0.00502)
