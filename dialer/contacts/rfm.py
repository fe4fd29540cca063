"""Grids of people by what they have brought and when they last came (RFM without the F). Pure.

Each of the two is cut into bands of equally many people. Bands are counted from 1: of money the first is the
lowest, of days the first is the longest ago. So the cell (1, 1) has whom little is lost with, and the last
one the best. A cell is an expression over the two fields like any other, with the bounds of its bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

from dialer.contacts.segments import CUSTOM, All, Expression, Op, Test, Value

T = TypeVar("T", float, date)

#: Fewest and most bands.
MIN_BANDS, MAX_BANDS = 2, 10


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid as it was last counted."""

    id: int
    name: str
    money_field_id: int
    day_field_id: int
    money_bands: int
    day_bands: int
    #: the lowest value of each band but the first; fewer where many people have the same value
    money_bounds: tuple[float, ...]
    day_bounds: tuple[date, ...]
    #: people: a row a band of money, a column a band of days
    counts: tuple[tuple[int, ...], ...]
    #: people who lack one of the two values
    without: int
    counted_at: datetime | None

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Every cell, (band of money, band of days)."""
        return [
            (row, column)
            for row in range(1, len(self.money_bounds) + 2)
            for column in range(1, len(self.day_bounds) + 2)
        ]


def shares(bands: int, people: int) -> list[float]:
    """Where, of so many people in order, the first one of each band but the first stands, from 0 to 1.

    Half a place before the end of their own share, so that no rounding gives the neighbour.
    """
    return [(band * people // bands + 0.5) / people for band in range(1, bands)]


def bounds(quantiles: Sequence[T | None], lowest: T | None) -> tuple[T, ...]:
    """The lowest value of each band but the first, rising: bands without anybody are left out."""
    found: list[T] = []
    for one in quantiles:
        if one is not None and one != lowest and (not found or one > found[-1]):
            found.append(one)
    return tuple(found)


def cell(grid: Grid, money_key: str, day_key: str, row: int, column: int) -> Expression:
    """Who is in a cell, by the fields of these keys."""
    return All(
        (
            _band(CUSTOM + money_key, grid.money_bounds, row),
            _band(CUSTOM + day_key, grid.day_bounds, column),
        )
    )


def _band(field: str, lows: Sequence[float] | Sequence[date], band: int) -> Expression:
    tests: list[Expression] = []
    if band > 1:
        low = lows[band - 2]
        # A day is "from", which is "after the day before".
        tests.append(
            Test(field, Op.AFTER, (low - timedelta(days=1),))
            if isinstance(low, date)
            else _test(field, Op.GE, low)
        )
    if band <= len(lows):
        high = lows[band - 1]
        tests.append(_test(field, Op.BEFORE if isinstance(high, date) else Op.LT, high))
    return All(tuple(tests)) if tests else Test(field, Op.IS_SET)


def _test(field: str, op: Op, value: Value) -> Test:
    return Test(field, op, (value,))
