"""What is said in English, word by word, and which of the words Asterisk's English sounds have.

The set is `asterisk-core-sounds-en` 1.6.1 (core-sounds-en.txt tells what each file says). It says every
number, date and time; of money it has dollars, but neither cents nor euros.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from dialer.prompts import numbers_en
from dialer.prompts.amounts import one_by_one, units
from dialer.prompts.numbers_en import cardinal, ordinal

__all__ = ["SOUNDS", "date", "day_and_time", "digits", "money", "number", "time"]

#: One and several of the whole, one and several of its hundredth.
CURRENCIES: Mapping[str, tuple[str, str, str, str]] = MappingProxyType(
    {
        "RUB": ("rouble", "roubles", "kopeck", "kopecks"),
        "USD": ("dollar", "dollars", "cent", "cents"),
        "EUR": ("euro", "euros", "cent", "cents"),
    }
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_SIGNS = {"+": "plus", "*": "star", "#": "pound"}

#: Files of the set by the word that they say.
SOUNDS: Mapping[str, str] = MappingProxyType(
    {
        **{cardinal(n)[0]: f"digits/{n}" for n in (*range(21), 30, 40, 50, 60, 70, 80, 90)},
        **{ordinal(n)[0]: f"digits/h-{n}" for n in (*range(1, 21), 30, 40, 50, 60, 70, 80, 90)},
        **{month: f"digits/mon-{n}" for n, month in enumerate(_MONTHS)},
        **{scale: f"digits/{scale}" for scale in ("hundred", "thousand", "million", "billion")},
        **{f"{scale}th": f"digits/h-{scale}" for scale in ("hundred", "thousand", "million", "billion")},
        "oh": "digits/oh",
        "minus": "digits/minus",
        "star": "digits/star",
        "pound": "digits/pound",
        "plus": "letters/plus",
        "dollar": "letters/dollar",
        "dollars": "digits/dollars",
        "and": "vm-and",
        "at": "digits/at",
        "a.m.": "digits/a-m",
        "p.m.": "digits/p-m",
    }
)


def number(value: int, gender: str = "m", case: str = "nominative") -> tuple[str, ...]:
    """A number: 1021 -> one thousand twenty one."""
    return cardinal(value)


def digits(text: str) -> tuple[str, ...]:
    """Digits one by one, with + * # among them; what else separates them is not said."""
    return one_by_one(text, cardinal, _SIGNS)


def money(amount: Decimal, currency: str, case: str = "nominative") -> tuple[str, ...]:
    """An amount: 21.50 USD -> twenty one dollars and fifty cents."""
    sign, whole, parts = units(amount)
    one, many, one_part, many_parts = CURRENCIES[currency]
    said: list[str] = ["minus"] if sign else []
    if whole or not parts:
        said += (*cardinal(whole), one if whole == 1 else many)
    if parts:
        said += (*(("and",) if whole else ()), *cardinal(parts), one_part if parts == 1 else many_parts)
    return tuple(said)


def date(value: dt.date, *, year: bool = True, case: str = "nominative") -> tuple[str, ...]:
    """A day: November twenty first twenty twenty six."""
    words = (_MONTHS[value.month - 1], *ordinal(value.day))
    return (*words, *numbers_en.year(value.year)) if year else words


def time(value: dt.time) -> tuple[str, ...]:
    """A time of day by twelve hours: two oh five p.m.; the full hour without minutes."""
    hour = cardinal(value.hour % 12 or 12)
    minutes = (*(("oh",) if value.minute < 10 else ()), *cardinal(value.minute)) if value.minute else ()
    return (*hour, *minutes, "a.m." if value.hour < 12 else "p.m.")


def day_and_time(value: dt.datetime, *, year: bool = False) -> tuple[str, ...]:
    """Both: November twenty first at nine thirty a.m."""
    return (*date(value.date(), year=year), "at", *time(value.time()))
