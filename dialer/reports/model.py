"""How the figures of a long past are put together: spans of time, and durations in buckets.

Hours that are over are counted once (see `dialer.reports.closing`), hours and days by the clock of UTC. A
report takes what it can from them and counts the rest anew, so it has to know which is which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
#: Nothing was dialled before.
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Durations are counted in buckets, each so much wider than the one before it, from LEAST_MS on: what is read
#: from the middle of a bucket is wrong by half a hundredth at most.
STEPS: Final = 100
LEAST_MS: Final = 0.1


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour."""
    return at - (at - BEGINNING) % HOUR


def day_of(at: datetime) -> datetime:
    """The beginning of the day."""
    return at - (at - BEGINNING) % DAY


def hour_number(at: datetime) -> int:
    """Hours since 1970."""
    return (at - BEGINNING) // HOUR


@dataclass(frozen=True, slots=True)
class Parts:
    """A span of time and what of it is closed: [since, first) and [last, until) have to be counted."""

    since: datetime
    until: datetime
    #: from here ...
    first: datetime
    #: ... to here whole closed hours; the same moment: none
    last: datetime
    #: from here ...
    first_day: datetime
    #: ... to here whole closed days among them
    last_day: datetime

    @property
    def closed(self) -> bool:
        """Whether anything of it is."""
        return self.first < self.last


def parts(since: datetime | None, until: datetime, closed_until: datetime | None) -> Parts:
    """How to read a span; `since` None: from the beginning, `closed_until` None: nothing is closed."""
    begin = max(since or BEGINNING, BEGINNING)
    first = -((BEGINNING - begin) // HOUR) * HOUR + BEGINNING  # rounded up
    last = hour_of(min(until, closed_until)) if closed_until is not None else first
    if last <= first:
        return Parts(begin, until, begin, begin, begin, begin)
    first_day = -((BEGINNING - first) // DAY) * DAY + BEGINNING
    last_day = day_of(last)
    if last_day <= first_day:
        first_day = last_day = last
    return Parts(begin, until, first, last, first_day, last_day)


def middle_ms(bucket: int) -> float:
    """The duration that stands for all in the bucket, milliseconds; SQL puts them there by
    ceil(STEPS * ln(ms / LEAST_MS))."""
    return LEAST_MS * math.exp((bucket - 0.5) / STEPS)


def percentile_ms(share: float, many: int, low: int, high: int) -> float:
    """The percentile of so many durations, between the two of the ranks around it (as percentile_cont of SQL
    has it), given by their buckets."""
    rank = share * (many - 1)
    part = rank - math.floor(rank)
    return middle_ms(low) * (1 - part) + middle_ms(high) * part
