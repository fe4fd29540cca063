"""What a person sees in a cell that holds a number: a whole number without a point, a day as ISO has it."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

#: Formats that every workbook has without naming them, and that show a day or a time (ECMA-376, 18.8.30).
_BUILT_IN_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
# What a format says without meaning a part of a day: "text", \x, _x, *x, [colour], but not [h], [m], [s].
_SAID = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
_ZEROS = re.compile(r"0{2,20}")
#: Numbers of days that are dates: up to 31 December 9999.
_MOST_DAYS = 2_958_466


def shows_date(number: int, code: str) -> bool:
    """Whether a format (by its number, or by its code where the workbook has one) shows a day or a time."""
    if not code:
        return number in _BUILT_IN_DATES
    first = _SAID.sub("", code.split(";", maxsplit=1)[0]).lower()
    return any(letter in first for letter in "dmyhs") and "general" not in first


def leading_zeros(code: str) -> int:
    """How many digits at least a format of zeros alone shows ("000000"); else 0."""
    return len(code) if _ZEROS.fullmatch(code) else 0


def plain(value: str, digits: int = 0) -> str:
    """The text of a number: "7.9161234567E10" and "79161234567.0" are 79161234567.

    Of 16 digits and more a spreadsheet has lost some: those stay in scientific form, as it shows them.
    """
    try:
        number = float(value)
    except ValueError:
        return value
    if not math.isfinite(number):
        return value
    if abs(number) >= 1e15:
        return f"{number:.14E}"
    if number == int(number):
        return str(int(number)).zfill(digits)
    return f"{number:.15g}"


def day(value: str, *, from_1904: bool) -> str:
    """The text of a number of days: "2026-03-05", "2026-03-05 14:30", "14:30"; a number that is no day, as
    `plain`."""
    try:
        days = float(value)
    except ValueError:
        return value
    if not 0 <= days < _MOST_DAYS:
        return plain(value)
    seconds = round((days - int(days)) * 86_400)
    if days < 1 and not from_1904:
        return _clock(seconds)
    if from_1904:
        start = datetime(1904, 1, 1)  # noqa: DTZ001 - a day on paper has no zone
    elif days < 60:  # day 60 is 29 February 1900, which never was
        start = datetime(1899, 12, 31)  # noqa: DTZ001
    else:
        start = datetime(1899, 12, 30)  # noqa: DTZ001
    moment = start + timedelta(days=int(days), seconds=seconds)
    text = moment.date().isoformat()
    return f"{text} {_clock(moment.hour * 3600 + moment.minute * 60 + moment.second)}" if seconds else text


def iso(value: str) -> str:
    """A day or moment in ISO 8601 as `day` writes it: "2026-03-05T14:30:00" is "2026-03-05 14:30"."""
    date, _, clock = value.strip().partition("T")
    clock = clock.split(".")[0].removesuffix("Z").removesuffix(":00")
    return f"{date} {clock}" if clock not in {"", "00", "00:00"} else date


def _clock(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours:02}:{minutes:02}:{left:02}" if left else f"{hours:02}:{minutes:02}"
