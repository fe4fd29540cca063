"""What the tests of segments mean, of days and zones of one moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dialer.contacts.segments import (
    OPPOSITES,
    All,
    AnyOf,
    Catalog,
    Expression,
    Kind,
    Known,
    Not,
    Op,
    Period,
    Test,
    Value,
)


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to `high`; None: no end. Numbers, days or moments."""

    low: float | date | datetime | None = None
    high: float | date | datetime | None = None
    #: whether the ends themselves are left out
    above: bool = False
    below: bool = False

    def has(self, value: object) -> bool:
        """Whether a value lies in it."""
        if self.low is not None and (value < self.low or (self.above and value == self.low)):  # type: ignore[operator]
            return False
        return self.high is None or value < self.high or (not self.below and value == self.high)  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these texts or ids."""

    values: frozenset[str] | frozenset[int]


@dataclass(frozen=True, slots=True)
class Part:
    """A text that holds this one; or begins with it."""

    text: str
    first: bool


@dataclass(frozen=True, slots=True)
class Present:
    """Anything."""


Want = Span | OneOf | Part | Present


def wanted(test: Test, known: Known, today: date, zone: ZoneInfo) -> tuple[Want, bool]:
    """What a value must be, and whether the test is the opposite of that."""
    op = OPPOSITES.get(test.op, test.op)
    return _want(test, op, known, today, zone), op is not test.op


def _want(test: Test, op: Op, known: Known, today: date, zone: ZoneInfo) -> Want:
    values = test.values
    if op is Op.IS_SET:
        return Present()
    if known.kind is Kind.PLACE:
        return OneOf(frozenset(int(one) for one in values))  # type: ignore[arg-type]
    if known.kind in {Kind.TEXT, Kind.WORD}:
        texts = [known.compared(str(one)) for one in values]
        if op in {Op.CONTAINS, Op.STARTS}:
            return Part(texts[0], op is Op.STARTS)
        return OneOf(frozenset(texts))
    if known.kind is Kind.YES_NO:
        return Span(float(values[0] is True), float(values[0] is True))
    if known.kind is Kind.NUMBER:
        return _span(op, values)
    span = _day_span(op, values, today)
    return _moments(span, zone) if known.kind is Kind.MOMENT else span


def _span(op: Op, values: tuple[Value, ...]) -> Span:
    first: float | date = values[0]  # type: ignore[assignment]
    match op:
        case Op.BETWEEN:
            return Span(first, values[1])  # type: ignore[arg-type]
        case Op.LT | Op.BEFORE:
            return Span(high=first, below=True)
        case Op.LE:
            return Span(high=first)
        case Op.GT | Op.AFTER:
            return Span(low=first, above=True)
        case Op.GE:
            return Span(low=first)
    return Span(first, first)


def _day_span(op: Op, values: tuple[Value, ...], today: date) -> Span:
    period = values[0]
    if not isinstance(period, Period):
        return _span(op, values)
    match op:
        case Op.NEXT:
            return Span(today, period.after(today))
        case Op.AHEAD:
            return Span(low=period.after(today), above=True)
        case Op.LAST:
            return Span(period.before(today), today)
    return Span(high=period.before(today), below=True)


def _moments(span: Span, zone: ZoneInfo) -> Span:
    """The moments of these days on a calendar."""
    low, high = span.low, span.high
    return Span(
        None if low is None else _midnight(low, zone, next_day=span.above),  # type: ignore[arg-type]
        None if high is None else _midnight(high, zone, next_day=not span.below),  # type: ignore[arg-type]
        below=True,
    )


def _midnight(day: date, zone: ZoneInfo, *, next_day: bool) -> datetime:
    # Days beyond all records: in UTC, since the ends of the calendar cannot be told in every zone.
    if not 2 <= day.year <= 9998:
        return datetime(max(2, min(day.year, 9998)), 1, 1, tzinfo=UTC)
    return datetime.combine(day + timedelta(days=int(next_day)), time(), zone).astimezone(UTC)


# -- what it means -------------------------------------------------------------------------------------------

#: What is known of a person: a value, several in a frozenset, or None.
Person = Mapping[str, object]


def matches(expression: Expression, person: Person, known: Catalog, today: date, zone: ZoneInfo) -> bool:
    """Whether the expression is true of a person: the meaning that the database's answer is held against."""
    match expression:
        case All(parts):
            return all(matches(one, person, known, today, zone) for one in parts)
        case AnyOf(parts):
            return any(matches(one, person, known, today, zone) for one in parts)
        case Not(part):
            return not matches(part, person, known, today, zone)
        case Test():
            field = known[expression.field]
            want, opposite = wanted(expression, field, today, zone)
            value = person.get(field.name)
            some = value if isinstance(value, frozenset) else {value}
            return any(_fits(want, one, field) for one in some) is not opposite


def _fits(want: Want, value: object, field: Known) -> bool:
    if value is None or value == "":
        return False
    if isinstance(value, str):
        value = field.compared(value)
    match want:
        case Present():
            return True
        case OneOf(values):
            return value in values
        case Part(text, first):
            return str(value).startswith(text) if first else text in str(value)
        case Span():
            return want.has(value)
