"""What is heard on a call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording by its name."""

    name: str
    language: str


@dataclass(frozen=True, slots=True)
class Text:
    """Words, to be spoken."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Digits:
    """Digits one by one."""

    #: 0-9 * # only
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number."""

    value: int
    language: str
    #: m, f or n: of what is counted (Russian: один, одна, одно)
    gender: str = "m"
    #: nominative, genitive, dative, accusative, instrumental, prepositional
    case: str = "nominative"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money."""

    amount: Decimal
    #: RUB, USD or EUR
    currency: str
    language: str


@dataclass(frozen=True, slots=True)
class Date:
    """A date."""

    date: date
    language: str


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day."""

    time: time
    language: str


@dataclass(frozen=True, slots=True)
class DateTime:
    """A date with a time of day, local."""

    moment: datetime
    language: str


Prompt: TypeAlias = Sound | Text | Digits | Number | Money | Date | Time | DateTime
