"""Which of a campaign's leads is dialled next: the orders, and a lead's place in each. Pure.

A lead's place is a number that is written on it (`lead.sort_key`), lowest first, and of equal ones the lead
that was made first. So the claim reads one index whatever the order is. What the number is made of stands on
the lead as well, so it can be written anew at any time; `dialer.db.sort_key` is the same rule as SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

T = TypeVar("T")


class Order(StrEnum):
    """Which lead comes first."""

    #: the one that was made first: in the order of the file
    OLDEST = "oldest"
    #: the one that was made last; of those that were made together, in the order of the file
    NEWEST = "newest"
    #: the one with the highest priority
    PRIORITY = "priority"
    #: shuffled once, by person and campaign
    RANDOM = "random"
    #: the one with the fewest attempts: everybody once before anybody twice
    FEWEST_ATTEMPTS = "fewest_attempts"
    #: of the oldest, those whose chance of an answer is nearest to that of their best hour
    BEST_HOUR = "best_hour"


#: Bounds of a lead's priority.
PRIORITIES: Final = (-1000, 1000)
#: By best hour so many times as many leads are looked at as are wanted ...
LOOKED_AT: Final = 10
#: ... and no more than these.
MOST_LOOKED_AT: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def sort_key(
    order: Order, *, priority: int, added_at: datetime, attempts: int, contact_id: int, campaign_id: int
) -> int:
    """A lead's place: lowest first."""
    match order:
        case Order.PRIORITY:
            return -priority
        case Order.NEWEST:
            return -((added_at - _EPOCH) // timedelta(microseconds=1))
        case Order.RANDOM:
            seed = hashlib.sha256(f"{campaign_id}:{contact_id}".encode())
            return int(seed.hexdigest()[:8], 16)
        case Order.FEWEST_ATTEMPTS:
            return attempts
        case Order.OLDEST | Order.BEST_HOUR:
            return 0


def looked_at(wanted: int) -> int:
    """How many leads are claimed to choose so many of them by their hour."""
    return max(wanted, min(LOOKED_AT * wanted, MOST_LOOKED_AT))


def best_first(leads: Sequence[T], nearness: Callable[[T], float], wanted: int) -> list[T]:
    """Those with the highest `nearness` (chance now to chance at the best hour, 0 to 1); of equal ones those
    that come first."""
    return sorted(leads, key=nearness, reverse=True)[:wanted]
