"""Which of a campaign's leads comes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dialer.db.tables import LEAD_ORDERS
from scheduler.order import Order, best_first, looked_at, sort_key

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def key(order: Order, **lead: Any) -> int:
    """The place of a lead that is like all others but for this."""
    plain: dict[str, Any] = {"priority": 0, "added_at": NOW, "attempts": 0, "contact_id": 5, "campaign_id": 1}
    return sort_key(order, **(plain | lead))


@pytest.mark.parametrize(
    ("order", "first", "second"),
    [
        (Order.PRIORITY, {"priority": 5}, {"priority": 4}),
        (Order.PRIORITY, {"priority": 0}, {"priority": -1}),
        (Order.NEWEST, {"added_at": NOW}, {"added_at": NOW - timedelta(microseconds=1)}),
        (Order.FEWEST_ATTEMPTS, {"attempts": 1}, {"attempts": 2}),
    ],
)
def test_what_comes_first(order: Order, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Of two leads that differ in what the order goes by."""
    assert key(order, **first) < key(order, **second)


@pytest.mark.parametrize("order", [Order.OLDEST, Order.BEST_HOUR])
def test_the_oldest_is_told_by_its_id_alone(order: Order) -> None:
    """All have one place, so the one that was made first comes first."""
    assert key(order, priority=3, attempts=2, added_at=NOW - timedelta(days=1), contact_id=9) == key(order)


def test_a_shuffle_is_another_one_in_each_campaign() -> None:
    """The places of people in two campaigns have nothing to do with each other, and do not change."""
    orders = [
        sorted(range(100), key=lambda who: key(Order.RANDOM, contact_id=who, campaign_id=campaign))
        for campaign in (1, 2, 1)
    ]
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])
    # A priority or an attempt moves nobody.
    assert key(Order.RANDOM, priority=7, attempts=3) == key(Order.RANDOM)


def test_the_words_are_those_of_the_table() -> None:
    """An order that the database does not know cannot be kept."""
    assert {each.value for each in Order} == set(LEAD_ORDERS)


def test_of_leads_looked_at_those_near_their_best_hour_are_taken() -> None:
    """The nearest first; of equal ones the list's own order; never more than are wanted."""
    leads = ["a", "b", "c", "d"]
    near = {"a": 0.5, "b": 0.9, "c": 0.5, "d": 1.0}
    assert best_first(leads, near.__getitem__, 3) == ["d", "b", "a"]
    assert best_first(leads, lambda _: 1.0, 2) == ["a", "b"]


@pytest.mark.parametrize(("wanted", "looked"), [(1, 10), (50, 500), (100, 1000), (300, 1000), (2000, 2000)])
def test_so_many_leads_are_looked_at(wanted: int, looked: int) -> None:
    """Ten times as many as are wanted, up to a limit, and never fewer than are wanted."""
    assert looked_at(wanted) == looked
