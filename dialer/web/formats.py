"""Values as people read them, in Russian and English."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

#: Space within a number, and between a number and its unit, that breaks no line.
THIN, HARD = "\u202f", "\u00a0"
DASH = "—"


def number(value: float | None, locale: str, places: int = 0) -> str:
    """12 345,6 in Russian, 12,345.6 in English."""
    if value is None:
        return DASH
    text = f"{value:,.{places}f}"
    return text.replace(",", THIN).replace(".", ",") if locale == "ru" else text


def percent(value: float | None, locale: str, places: int = 1) -> str:
    """A share of one as a percentage."""
    if value is None:
        return DASH
    return number(value * 100, locale, places) + (f"{HARD}%" if locale == "ru" else "%")


def duration(seconds: float | None) -> str:
    """1:05, 2:03:09."""
    if seconds is None:
        return DASH
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def span(seconds: float, locale: str) -> str:
    """A wait in words: 40 s, 15 min, 2 h, 3 d; 40 с, 15 мин, 2 ч, 3 дн."""
    units = (("d", "дн", 86400), ("h", "ч", 3600), ("min", "мин", 60), ("s", "с", 1))
    for english, russian, size in units:
        if (seconds >= size and (seconds % size == 0 or seconds > 10 * size)) or size == 1:
            many = seconds / size
            text = number(many, locale, 0 if many == int(many) else 1)
            return f"{text}{HARD}{russian if locale == 'ru' else english}"
    raise AssertionError  # the last unit fits whatever it is


def lasting(seconds: float, locale: str) -> str:
    """About how long something goes on: 25 min, 8 h 5 min, 63 h; 25 мин, 8 ч 5 мин, 63 ч."""
    hours, minutes = divmod(round(seconds / 60), 60)
    words = ((hours, "ч" if locale == "ru" else "h"), (minutes, "мин" if locale == "ru" else "min"))
    return " ".join(f"{number(many, locale)}{HARD}{unit}" for many, unit in words if many)


def limit(value: float | None, locale: str) -> str:
    """A share that must be kept to: 3%, 2.5%, 0.75%; never rounded to another one."""
    if value is None:
        return DASH
    exact = round(value * 100, 4)
    return percent(value, locale, next((places for places in (0, 1) if round(exact, places) == exact), 2))


def clock(value: datetime | None, zone: str) -> str:
    """The time of day with seconds."""
    return value.astimezone(ZoneInfo(zone)).strftime("%H:%M:%S") if value else DASH


def precise(value: datetime | None, zone: str) -> str:
    """The time of day with milliseconds."""
    return value.astimezone(ZoneInfo(zone)).strftime("%H:%M:%S.%f")[:-3] if value else DASH


def moment(value: datetime | None, zone: str, locale: str) -> str:
    """Day and time."""
    form = "%d.%m.%Y %H:%M" if locale == "ru" else "%Y-%m-%d %H:%M"
    return value.astimezone(ZoneInfo(zone)).strftime(form) if value else DASH


def day(value: date | None, locale: str) -> str:
    """A day."""
    return value.strftime("%d.%m.%Y" if locale == "ru" else "%Y-%m-%d") if value else DASH


def masked(e164: str | None) -> str:
    """A phone number that can be told from others and not dialled: +7 916 ••• •• 67; where the reader was
    given the end of it alone, that."""
    if not e164:
        return DASH
    digits = e164.removeprefix("+")
    if digits.startswith("*"):
        return f"•••{HARD}••{HARD}{digits[-2:]}"
    if len(digits) == 11 and digits.startswith("7"):
        return f"+7{HARD}{digits[1:4]}{HARD}•••{HARD}••{HARD}{digits[-2:]}"
    return f"{e164[:4]}{HARD}•••{HARD}{e164[-2:]}"


def spaced(e164: str) -> str:
    """A number in groups: whole, or as much of it as the reader was given."""
    if "*" in e164:
        return masked(e164)
    match = re.fullmatch(r"\+7(\d{3})(\d{3})(\d{2})(\d{2})", e164)
    return f"+7{HARD}{HARD.join(match.groups())}" if match else e164


def ours(number: str) -> str:
    """A number of ours, kept as digits, as people write it."""
    return spaced(f"+{number}") if re.fullmatch(r"7[0-9]{10}", number) else number


def epoch_ms(value: datetime | None) -> int:
    """For the browser's timers."""
    return int(value.timestamp() * 1000) if value else 0


def filters(locale: str) -> Mapping[str, Callable[..., Any]]:
    """The filters of a language."""
    return {
        "number": lambda value, places=0: number(value, locale, places),
        "percent": lambda value, places=1: percent(value, locale, places),
        "duration": duration,
        "span": lambda seconds: span(seconds, locale),
        "lasting": lambda seconds: lasting(seconds, locale),
        "limit": lambda value: limit(value, locale),
        "clock": clock,
        "precise": precise,
        "moment": lambda value, zone: moment(value, zone, locale),
        "day": lambda value: day(value, locale),
        "when": datetime.fromisoformat,
        "masked": masked,
        "spaced": spaced,
        "ours": ours,
        "epoch_ms": epoch_ms,
    }
