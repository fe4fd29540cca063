"""What is said in Russian, word by word, and which of the words Asterisk's Russian sounds have.

The set is `asterisk-core-sounds-ru` 1.6.1; what its files say is told by its own list (core-sounds-ru.txt).
It has numbers to 199 without gender, months in the genitive, days, and ordinals in the masculine only. So
it says a telephone number or "сто двадцать пять"; it cannot say одна, двести, тысяч, рублей or первое. There
is no "две": its `digits/2n` is the neuter, as `digits/1n` is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from dialer.prompts.amounts import one_by_one, units
from dialer.prompts.numbers_ru import Case, Gender, Noun, cardinal, counted, noun, ordinal

__all__ = ["SOUNDS", "date", "day_and_time", "digits", "money", "number", "time"]


_CENT = noun("m", "цент цента центу цент центом центе", "центы центов центам центы центами центах")
#: What an amount is counted in: the whole and its hundredth.
CURRENCIES: Mapping[str, tuple[Noun, Noun]] = MappingProxyType(
    {
        "RUB": (
            noun("m", "рубль рубля рублю рубль рублём рубле", "рубли рублей рублям рубли рублями рублях"),
            noun(
                "f",
                "копейка копейки копейке копейку копейкой копейке",
                "копейки копеек копейкам копейки копейками копейках",
            ),
        ),
        "USD": (
            noun(
                "m",
                "доллар доллара доллару доллар долларом долларе",
                "доллары долларов долларам доллары долларами долларах",
            ),
            _CENT,
        ),
        "EUR": (Noun("m", ("евро",) * 6, ("евро",) * 6), _CENT),
    }
)
_HOUR = noun("m", "час часа часу час часом часе", "часы часов часам часы часами часах")
_MINUTE = noun(
    "f",
    "минута минуты минуте минуту минутой минуте",
    "минуты минут минутам минуты минутами минутах",
)
_MONTHS = (
    "января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября",
    "ноября", "декабря",
)  # fmt: skip
_SIGNS = {"+": "плюс", "*": "звёздочка", "#": "решётка"}

#: Files of the set by the word that they say.
SOUNDS: Mapping[str, str] = MappingProxyType(
    {
        **{cardinal(n)[0]: f"digits/{n}" for n in (*range(21), 30, 40, 50, 60, 70, 80, 90)},
        **{ordinal(n)[0]: f"digits/h-{n}" for n in (*range(1, 21), 30, 40, 50, 60, 70, 80, 90)},
        **{month: f"digits/mon-{n}" for n, month in enumerate(_MONTHS)},
        "одно": "digits/1n",
        "сто": "digits/hundred",
        "тысяча": "digits/thousand",
        "тысячи": "digits/h-thousand",
        "миллион": "digits/million",
        "миллиона": "digits/h-million",
        "миллиард": "digits/billion",
        "миллиардов": "digits/h-billion",
        "минус": "digits/minus",
        "звёздочка": "digits/star",
        "плюс": "letters/plus",
        "долларов": "digits/dollars",
        "и": "vm-and",
        "в": "digits/at",
        "часов": "hours",
        "минута": "queue-minute",
        "минут": "minutes",
    }
)


def number(value: int, gender: Gender = "m", case: Case = "nominative") -> tuple[str, ...]:
    """A number: 21, f -> двадцать одна."""
    return cardinal(value, gender, case)


def digits(text: str) -> tuple[str, ...]:
    """Digits one by one, with + * # among them; what else separates them is not said."""
    return one_by_one(text, cardinal, _SIGNS)


def money(amount: Decimal, currency: str, case: Case = "nominative") -> tuple[str, ...]:
    """An amount: 1234.50 RUB -> одна тысяча двести тридцать четыре рубля пятьдесят копеек."""
    sign, whole, parts = units(amount)
    unit, part = CURRENCIES[currency]
    said = counted(whole, unit, case) if whole or not parts else ()
    return (*(("минус",) if sign else ()), *said, *(counted(parts, part, case) if parts else ()))


def date(value: dt.date, *, year: bool = True, case: Case = "nominative") -> tuple[str, ...]:
    """A day: двадцать первое ноября две тысячи двадцать шестого года; in the genitive двадцать первого."""
    words = (*ordinal(value.day, "n", case), _MONTHS[value.month - 1])
    return (*words, *ordinal(value.year, "m", "genitive"), "года") if year else words


def time(value: dt.time) -> tuple[str, ...]:
    """A time of day: четырнадцать часов пять минут; the full hour without minutes."""
    hours = counted(value.hour, _HOUR)
    return (*hours, *counted(value.minute, _MINUTE)) if value.minute else hours


def day_and_time(value: dt.datetime, *, year: bool = False) -> tuple[str, ...]:
    """Both: двадцать первое ноября, в девять часов тридцать минут."""
    return (*date(value.date(), year=year), "в", *time(value.time()))
