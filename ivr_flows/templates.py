"""Texts with variables: `Hello, {contact.name|default:friend}`. A closed list of filters, no code.

A variable that is not there is an empty text: a call is never lost to one. `{{` and `}}` are braces. Filters
that speak (`{sum|money:RUB}`) cut a spoken text into prompts; elsewhere they are not allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from dialer.said import told
from ivr_flows.model import Date, DateTime, Digits, Money, Number, Prompt, Text, Time, Value

NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
CURRENCIES: Final = ("RUB", "USD", "EUR")
#: What can be said as a number.
MOST_NUMBER: Final = 10**12

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_TRAILING_ZERO = re.compile(r"\.0+$")


def _plural(value: str, forms: str, language: str) -> str:
    """The form of a word that goes with a number: one, few, many (two forms: one, many)."""
    words = forms.split(",")
    try:
        n = abs(int(float(value)))
    except (ValueError, OverflowError):
        return words[-1]
    if language != "ru":
        return words[0] if n == 1 else words[-1]
    if n % 10 == 1 and n % 100 != 11:
        return words[0]
    return words[len(words) // 2] if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else words[-1]


def _last(value: str, count: str, _language: str) -> str:
    return value[-int(count) :]


#: name -> what it makes of (value, argument, language)
_CHANGES: Final[Mapping[str, Callable[[str, str, str], str]]] = {
    "default": lambda value, argument, _: value or argument,
    "upper": lambda value, _, __: value.upper(),
    "lower": lambda value, _, __: value.lower(),
    "capital": lambda value, _, __: value[:1].upper() + value[1:],
    "last": _last,
    "only_digits": lambda value, _, __: "".join(c for c in value if c in "0123456789"),
    "plural": _plural,
}
#: name -> what its argument may be; "" is what stands without one
_ARGUMENTS: Final[Mapping[str, re.Pattern[str]]] = {
    "default": re.compile(r".+"),
    "last": re.compile(r"[1-9]\d?"),
    "plural": re.compile(r"[^,]+(,[^,]+){1,2}"),
    "number": re.compile(r"[mfn]?"),
    "money": re.compile("|".join(("", *CURRENCIES))),
}
SPEAKING: Final = ("digits", "number", "money", "date", "time", "datetime")
FILTERS: Final = (*_CHANGES, *SPEAKING)


@dataclass(frozen=True, slots=True)
class Place:
    """A variable in a text."""

    name: str
    #: (filter, argument), in order
    filters: tuple[tuple[str, str], ...]


@lru_cache(maxsize=4096)
def parse(text: str, *, spoken: bool = False) -> tuple[str | Place, ...]:
    """The text's plain pieces and its variables. Raises ValueError that says what is wrong."""
    pieces: list[str | Place] = []
    plain, at = "", 0
    for match in _PIECE.finditer(text):
        plain += text[at : match.start()]
        at = match.end()
        if match[0] in ("{{", "}}"):
            plain += match[0][0]
        elif match[1] is None:
            raise ValueError(
                told(
                    "a brace has no partner in “{text}”: write {braces} for a brace itself",
                    text=text,
                    braces=match[0] * 2,
                )
            )
        else:
            if plain:
                pieces.append(plain)
            plain = ""
            pieces.append(_place(match[1], spoken=spoken))
    plain += text[at:]
    return (*pieces, plain) if plain else tuple(pieces)


def _place(inside: str, *, spoken: bool) -> Place:
    name, *rest = (part.strip() for part in inside.split("|"))
    if not NAME.fullmatch(name):
        raise ValueError(
            told("{inside} names no variable: write a name like {{contact.name}}", inside=f"{{{inside}}}")
        )
    filters = []
    for part in rest:
        kind, _, argument = (word.strip() for word in part.partition(":"))
        if kind not in FILTERS:
            raise ValueError(
                told(
                    "there is no filter “{filter}” in {inside}: {names}",
                    filter=kind,
                    inside=f"{{{inside}}}",
                    names=", ".join(FILTERS),
                )
            )
        if kind in SPEAKING and not spoken:
            raise ValueError(
                told(
                    "the filter {filter} in {inside} is for what is spoken, not for a value",
                    filter=kind,
                    inside=f"{{{inside}}}",
                )
            )
        if kind in SPEAKING and part is not rest[-1]:
            raise ValueError(
                told("the filter {filter} in {inside} must be the last", filter=kind, inside=f"{{{inside}}}")
            )
        allowed = _ARGUMENTS.get(kind)
        if (allowed is None and argument) or (allowed is not None and not allowed.fullmatch(argument)):
            raise ValueError(
                told(
                    "the filter {filter} in {inside} cannot have “{argument}” after its colon",
                    filter=kind,
                    inside=f"{{{inside}}}",
                    argument=argument,
                )
            )
        filters.append((kind, argument))
    return Place(name, tuple(filters))


def names(text: str) -> Iterator[str]:
    """The variables of a text that `parse` has seen."""
    yield from (piece.name for piece in parse(text, spoken=True) if isinstance(piece, Place))


def plain(value: Value) -> str:
    """A value as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _TRAILING_ZERO.sub("", repr(value)) if isinstance(value, float) else str(value)


def value_of(name: str, variables: Mapping[str, Value], now: datetime) -> Value:
    """A variable's value; `now` is the local time."""
    return now.isoformat(timespec="seconds") if name == "now" else variables.get(name)


def _changed(place: Place, variables: Mapping[str, Value], now: datetime, language: str) -> str:
    value = plain(value_of(place.name, variables, now))
    for kind, argument in place.filters:
        if kind in _CHANGES:
            value = _CHANGES[kind](value, argument, language)
    return value


def render(
    text: str,
    variables: Mapping[str, Value],
    now: datetime,
    language: str,
    escape: Callable[[str], str] = lambda value: value,
) -> str:
    """The text with its variables filled in, each through `escape`. `now` is local."""
    return "".join(
        escape(_changed(piece, variables, now, language)) if isinstance(piece, Place) else piece
        for piece in parse(text)
    )


def speak(text: str, variables: Mapping[str, Value], now: datetime, language: str) -> tuple[Prompt, ...]:
    """What is to be heard of the text."""
    said: list[Prompt] = []
    words = ""

    def flush() -> None:
        if any(c.isalnum() for c in words):
            said.append(Text(" ".join(words.split()), language))

    for piece in parse(text, spoken=True):
        if isinstance(piece, str):
            words += piece
            continue
        value = _changed(piece, variables, now, language)
        kind, argument = piece.filters[-1] if piece.filters else ("", "")
        prompt = prompt_of(kind, value, now, language, argument) if kind in SPEAKING else None
        if prompt is None:
            words += value
            continue
        flush()
        words = ""
        said.append(prompt)
    flush()
    return tuple(said)


def prompt_of(
    kind: str, value: str, now: datetime, language: str, argument: str = "", case: str = "nominative"
) -> Prompt | None:
    """A value as a prompt of a kind of `SPEAKING`; None for what cannot be said so."""
    value = value.strip()
    try:
        match kind:
            case "digits":
                digits = "".join(c for c in value if c in "0123456789*#")
                return Digits(digits, language) if digits else None
            case "number":
                number = int(_decimal(value))
                return Number(number, language, argument or "m", case)
            case "money":
                amount = _decimal(value).quantize(Decimal("0.01"))
                return Money(amount, argument or ("RUB" if language == "ru" else "USD"), language)
            case "date":
                return Date(_moment(value, now).date(), language)
            case "time":
                return Time(_time(value, now), language)
            case "datetime":
                return DateTime(_moment(value, now), language)
    except (ValueError, ArithmeticError):
        return None
    return None


def _decimal(value: str) -> Decimal:
    try:
        number = Decimal(value.replace(" ", "").replace(",", "."))
    except InvalidOperation as error:
        raise ValueError from error
    if not number.is_finite() or abs(number) >= MOST_NUMBER:
        raise ValueError
    return number


def _moment(value: str, now: datetime) -> datetime:
    """A moment by the clock of `now`, without a zone."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = datetime.combine(date.fromisoformat(value[:10]), time())
    return moment.astimezone(now.tzinfo).replace(tzinfo=None) if moment.tzinfo else moment


def _time(value: str, now: datetime) -> time:
    try:
        return time.fromisoformat(value).replace(tzinfo=None)
    except ValueError:
        return _moment(value, now).time()
