"""What a trunk or a tenant may carry, and what a call costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.trunks.caps import IDLE, RESERVED_S, Caps, Load, Rate, prefixes, rate_of

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
TODAY = date(2026, 5, 4)
FREE = [Decimal(0)]
CAPS = Caps(max_channels=10, max_cps=4.0, max_spend=Decimal(100))


@pytest.mark.parametrize(
    ("rate", "seconds", "price"),
    [
        (Rate(Decimal("1.2")), 0, "0"),
        (Rate(Decimal("1.2")), 60, "1.2"),
        (Rate(Decimal("1.2")), 60.001, "1.22"),
        (Rate(Decimal("1.2")), 0.01, "0.02"),
        (Rate(Decimal("1.2"), Decimal("0.5")), 90, "2.3"),
        # A third of a hundredth is not lost: what is counted is never less than what is owed.
        (Rate(Decimal("0.02")), 1, "0.0004"),
        (Rate(Decimal(1)), 1, "0.0167"),
    ],
)
def test_a_call_costs_its_answered_seconds(rate: Rate, seconds: float, price: str) -> None:
    """A begun second counts whole, a rest of the smallest amount too."""
    assert rate.price(seconds) == Decimal(price)


def test_two_minutes_are_reserved() -> None:
    """What a call reserves is the price of its first two minutes."""
    rate = Rate(Decimal(3), Decimal(1))
    assert RESERVED_S == 120
    assert rate.reserve == 7


def test_the_longest_prefix_decides_the_tariff() -> None:
    """A number with no prefix of the list has no tariff."""
    rates = {"+7": Rate(Decimal(1)), "+7916": Rate(Decimal(2)), "+78": Rate(Decimal(30))}
    assert rate_of(rates, "+79161234567") == rates["+7916"]
    assert rate_of(rates, "+79991234567") == rates["+7"]
    assert rate_of(rates, "+78091234567") == rates["+78"]
    assert rate_of(rates, "+12025550123") is None
    assert prefixes("+7916") == ["+7916", "+791", "+79", "+7"]


@pytest.mark.parametrize(
    ("load", "sums", "granted"),
    [
        (IDLE, [0], 1),
        (IDLE, [0, 0, 0], 2),  # the burst of 4 a second is two
        (Load(channels=10), [0], 0),
        (Load(channels=12), [0], 0),
        (Load(tokens=0.99, filled_at=NOW), [0], 0),
        (Load(tokens=0.0, filled_at=NOW - timedelta(milliseconds=250)), [0], 1),
        (Load(spent=Decimal(99), spend_day=TODAY), [1], 1),
        (Load(spent=Decimal(99), spend_day=TODAY), [Decimal("1.0001")], 0),
        (Load(spent=Decimal(99), spend_day=TODAY - timedelta(days=1)), [50], 1),
        # A clock that goes back a day gives no second day's money.
        (Load(spent=Decimal(99), spend_day=TODAY + timedelta(days=1)), [50], 0),
        (Load(bad=True, probe_at=NOW + timedelta(seconds=1)), [0], 0),
        (Load(bad=True, probe_at=NOW), [0], 1),
    ],
)
def test_what_is_granted_is_within_every_cap(load: Load, sums: list[Decimal], granted: int) -> None:
    """Channels, calls a second, money of the day, and the probe of a bad trunk."""
    assert load.granted(CAPS, NOW, TODAY, [Decimal(each) for each in sums]) == granted


def test_of_many_calls_those_are_granted_that_the_caps_have_room_for() -> None:
    """The first ones, up to the nearest cap."""
    wide = Caps(max_channels=10, max_cps=400, max_spend=Decimal(100))
    sums = [Decimal(30 * n) for n in range(1, 8)]
    assert IDLE.granted(wide, NOW, TODAY, sums) == 3
    assert Load(channels=8).granted(wide, NOW, TODAY, sums) == 2
    assert Load(bad=True, probe_at=NOW).granted(wide, NOW, TODAY, sums) == 1
    assert IDLE.granted(Caps(), NOW, TODAY, sums) == 7


def test_what_is_taken_is_counted() -> None:
    """Lines, tokens and the money that is reserved."""
    caps = Caps(max_channels=10, max_cps=8.0, max_spend=Decimal(100))
    n, load = IDLE.taken(caps, NOW, TODAY, [Decimal(2), Decimal(4), Decimal(6)])
    assert n == 3
    assert load == Load(3, 0.0, NOW, Decimal(6), TODAY)
    tomorrow = TODAY + timedelta(days=1)
    n, load = load.taken(caps, NOW + timedelta(days=1), tomorrow, [Decimal(5)])
    assert (load.channels, load.spent, load.spend_day) == (4, Decimal(5), tomorrow)


@given(cps=st.floats(0.2, 50), gaps_ms=st.lists(st.integers(1, 250), min_size=1, max_size=100))
def test_who_looks_four_times_a_second_gets_the_whole_rate(cps: float, gaps_ms: list[int]) -> None:
    """Nothing that gathers between two looks is lost, however slow the trunk and uneven the looks."""
    caps, at = Caps(max_cps=cps), NOW
    placed, load = IDLE.taken(caps, at, TODAY, FREE * 100)
    for gap in gaps_ms:
        at += timedelta(milliseconds=gap)
        n, load = load.taken(caps, at, TODAY, FREE * 100)
        placed += n
    assert placed > caps.burst + cps * (at - NOW).total_seconds() - 1 - 1e-6


def test_each_probe_makes_the_next_one_later() -> None:
    """Twice as late, up to five minutes; it does not matter what the probe comes to."""
    load, at, waits = Load(bad=True, probe_at=NOW, probe_every_s=10), NOW, []
    for _ in range(8):
        assert load.granted(Caps(), at, TODAY, FREE * 3) == 1
        _, load = load.taken(Caps(), at, TODAY, FREE)
        assert load.probe_at is not None
        waits.append((load.probe_at - at).total_seconds())
        assert load.granted(Caps(), load.probe_at - timedelta(milliseconds=1), TODAY, FREE) == 0
        at = load.probe_at
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_clock_that_was_set_back_lets_one_call_through() -> None:
    """It neither fills the bucket nor stops the calls until the old time comes again."""
    load = Load(tokens=0.5, filled_at=NOW)
    hour_ago = NOW - timedelta(hours=1)
    n, after = load.taken(CAPS, hour_ago, TODAY, FREE * 5)
    assert (n, after.tokens, after.filled_at) == (1, 0.0, hour_ago)
    assert after.taken(CAPS, hour_ago, TODAY, FREE * 5)[0] == 0


def test_requests_that_overtake_each_other_count_no_time_twice() -> None:
    """A time a little earlier than the last one adds nothing and is not written down."""
    load = Load(tokens=0.5, filled_at=NOW)
    n, after = load.taken(CAPS, NOW - timedelta(milliseconds=20), TODAY, FREE)
    assert (n, after.tokens, after.filled_at) == (0, 0.5, NOW)
    assert replace(after, tokens=0.0).tokens_at(CAPS, NOW + timedelta(seconds=0.25)) == 1.0
