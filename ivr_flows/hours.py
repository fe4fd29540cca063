"""Whether it is open: hours by weekday, dates with other hours, public holidays. By the local clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

from dialer.said import told

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT: Final = 24 * 60

#: Minutes from midnight of opening and closing; more than 24 hours: into the next day.
Span: TypeAlias = tuple[int, int]

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")


@cache
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of an IANA name; None where there is none."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _minute(text: str) -> int:
    match = _CLOCK.fullmatch(text.strip())
    minute = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else MIDNIGHT + 1
    if minute > MIDNIGHT:
        raise ValueError(told("“{text}” is no time: write it as 09:30", text=text.strip()))
    return minute


@lru_cache(maxsize=1024)
def spans(text: str) -> tuple[Span, ...]:
    """`09:00-13:00, 14:00-18:00`, `22:00-06:00`, `closed`, `24h`. Raises ValueError."""
    if text == "closed":
        return ()
    if text == "24h":
        return ((0, MIDNIGHT),)
    found = []
    for part in text.split(","):
        opens, dash, closes = part.partition("-")
        if not dash:
            raise ValueError(
                told(
                    "“{text}” are no hours: write 09:00-18:00, closed or 24h, several with a comma", text=text
                )
            )
        first, last = _minute(opens), _minute(closes)
        if first in (last, MIDNIGHT):
            raise ValueError(
                told("“{text}” has no length: write 24h for the whole day, or closed", text=part.strip())
            )
        found.append((first, last if last > first else last + MIDNIGHT))
    return tuple(found)


def weekdays(key: str) -> tuple[int, ...]:
    """The weekdays of `mon`, `mon-fri` or `sat, sun`; Monday is 0. Raises ValueError."""
    days: list[int] = []
    for part in key.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(
                told(
                    "“{text}” is no weekday: write mon-fri or sat, sun ({days})",
                    text=key,
                    days=", ".join(DAYS),
                )
            )
        start, end = DAYS.index(first), DAYS.index(last or first)
        days += [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]
    return tuple(days)


def week_of(week: Mapping[str, str]) -> tuple[tuple[Span, ...], ...]:
    """The hours of each weekday; one that is not named is closed. Raises ValueError, also for a day twice."""
    found: dict[int, tuple[Span, ...]] = {}
    for key, text in week.items():
        for day in weekdays(key):
            if day in found:
                raise ValueError(told("{day} stands in it twice", day=DAYS[day]))
            found[day] = spans(text)
    return tuple(found.get(day, ()) for day in range(7))


def day_of(text: str) -> date:
    """A date. Raises ValueError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(told("“{text}” is no date: write it as 2026-12-31", text=text)) from None


@lru_cache(maxsize=256)
def free_days(region: str, year: int) -> frozenset[date]:
    """The public holidays of `RU` or `DE-BY` in a year. Raises ValueError for a region that is not known."""
    country, _, part = region.partition("-")
    try:
        return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))
    except NotImplementedError:
        raise ValueError(
            told("the holidays of “{region}” are not known: write RU, or DE-BY with a part", region=region)
        ) from None


def opening(week: Mapping[str, str], exceptions: Mapping[str, str], region: str, now: datetime) -> str:
    """open, closed or holiday at a local time. A date with hours of its own is no holiday."""
    today, minute = now.date(), now.hour * 60 + now.minute
    by_weekday = week_of(week)
    dates = {day_of(text): spans(found) for text, found in exceptions.items()}

    def holiday(day: date) -> bool:
        return bool(region) and day not in dates and day in free_days(region, day.year)

    def hours(day: date) -> tuple[Span, ...]:
        return () if holiday(day) else dates.get(day, by_weekday[day.weekday()])

    yesterday = today - timedelta(days=1)
    if any(opens <= minute < closes for opens, closes in hours(today)) or any(
        minute + MIDNIGHT < closes for _, closes in hours(yesterday)
    ):
        return "open"
    return "holiday" if holiday(today) else "closed"
