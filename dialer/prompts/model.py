"""From what is to be heard to sounds: which words a prompt has, and whether they are all recorded.

The rule: what one prompt says is said by one voice. Its words are played one by one if each of them is
recorded, by the tenant (`words/двести`) or in Asterisk's own sounds; else all of them are spoken together as
one text. So a sentence never changes its voice in the middle.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import cast

from dialer.prompts import readings_en, readings_ru
from dialer.prompts.numbers_ru import Case, Gender
from ivr_flows.prompts import Date, DateTime, Digits, Money, Number, Prompt, Sound, Text, Time

__all__ = ["LANGUAGES", "NAME", "WORDS", "OwnPrompt", "Problem", "Prompt", "sounds_of", "text_of"]

LANGUAGES = ("ru", "en")
#: Names that people give: parts of letters, digits and - _ . with slashes between them, as Asterisk's own.
NAME = re.compile(r"[^\W_][\w.-]*(?:/[^\W_][\w.-]*)*")
LONGEST_NAME = 100
#: A recording under this name is that of a word: `words/двести`.
WORDS = "words/"

#: Asterisk's name of each word, by language.
SET_SOUNDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"ru": readings_ru.SOUNDS, "en": readings_en.SOUNDS}
)


@dataclass(frozen=True, slots=True)
class OwnPrompt:
    """A prompt of the tenant's own in one language."""

    id: int
    name: str
    language: str
    #: below the prompts folder, without an ending
    path: str
    #: seconds
    length_s: float
    #: of the 8 kHz file, bytes
    size_bytes: int
    #: SHA-256 of the file that was uploaded, hex; of a spoken one, of its text
    checksum: str
    #: its name where it came from; "": it was spoken
    filename: str
    #: the words, where they are known
    text: str
    #: who made it; None: the server, or somebody who is gone
    made_by: str | None
    made_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Problem:
    """A prompt that a call could not play."""

    #: what was to be heard: a name, or the words
    what: str
    language: str
    #: unknown-sound, not-spoken
    code: str
    #: for people
    reason: str


#: Where a name is found: the playable name, or None.
Find = Callable[[str], str | None]


def words_of(prompt: Prompt) -> tuple[str, ...]:
    """What a number, date or amount is in words; nothing for a sound or a text.

    Raises ValueError for what cannot be said: a number beyond 10^15, digits without a digit.
    """
    say = readings_ru if prompt.language == "ru" else readings_en
    words: tuple[str, ...] = ()
    match prompt:
        case Digits(text=text):
            words = say.digits(text)
        case Number(value=value, gender=gender, case=case):
            words = say.number(value, cast("Gender", gender), cast("Case", case))
        case Money(amount=amount, currency=currency):
            words = say.money(amount, currency)
        case Date(date=date):
            words = say.date(date)
        case Time(time=time):
            words = say.time(time)
        case DateTime(moment=moment):
            words = say.day_and_time(moment)
        case Sound() | Text():
            return ()
    if not words:
        raise ValueError("there is nothing to say")
    return words


def text_of(prompt: Prompt) -> str:
    """What is heard, as a text: of a recording its name in brackets."""
    match prompt:
        case Sound(name=name):
            return f"[{name}]"
        case Text(text=text):
            return text
        case Digits():
            # A comma is a short rest: digits that run together are not understood.
            return ", ".join(words_of(prompt))
        case _:
            return " ".join(words_of(prompt))


def sounds_of(words: Sequence[str], language: str, own: Find, builtin: Find) -> tuple[str, ...] | None:
    """The recordings of all the words, the tenant's before Asterisk's; None when one is missing."""
    found = []
    for word in words:
        name = SET_SOUNDS[language].get(word)
        sound = own(WORDS + word) or (builtin(name) if name else None)
        if sound is None:
            return None
        found.append(sound)
    return tuple(found)


@cache
def vocabulary(language: str) -> tuple[str, ...]:
    """All words that numbers to 10^15, dates of this century and the one before, times and money need.

    Numbers are in the nominative, as amounts are.
    """
    below = (*range(21), *range(30, 100, 10), *range(100, 1000, 100))
    scaled = (n * 1000**power for power in (1, 2, 3, 4) for n in (1, 2, 5))
    prompts: list[Prompt] = [Digits("0123456789*#+", language), Number(-1, language)]
    prompts += [Number(n, language, gender) for n in (*below, *scaled) for gender in ("m", "f", "n")]
    prompts += [
        Money(Decimal(amount), currency, language)
        for currency in ("RUB", "USD", "EUR")
        for amount in ("1.01", "2.02", "5.05")
    ]
    prompts += [Date(dt.date(year, 1 + year % 12, 1 + year % 28), language) for year in range(1901, 2101)]
    prompts += [Date(dt.date(2000, 1, day), language) for day in (29, 30, 31)]
    prompts += [DateTime(dt.datetime(2000, 1, 1, n, n), language) for n in range(24)]  # noqa: DTZ001
    return tuple(sorted({word for one in prompts for word in words_of(one)}))


def wrong_name(name: str) -> bool:
    """Whether a prompt must not be called so."""
    return len(name) > LONGEST_NAME or not NAME.fullmatch(name)
