"""Segments: which people are meant, as an expression. Pure.

An expression is a tree in JSON:

    {"all": [{"field": "custom.credit_end", "op": "next", "value": "P90D"},
             {"not": {"field": "list", "op": "in", "value": [7]}},
             {"any": [{"field": "attempts", "op": "eq", "value": 0},
                      {"field": "last_attempt_at", "op": "ago", "value": "P2Y"}]}]}

`all`, `any` and `not` hold expressions; the rest are tests of one field. A tenant's own fields are
`custom.<key>`. What is compared:

    texts      eq ne in not_in contains starts     in letters of any size
    words      eq ne in not_in                     one of those that there are
    numbers    eq ne lt le gt ge between
    days       on before after between [first, last], both meant
               next "P90D"   today to 90 days from now       ahead "P90D"   later than that
               last "P2Y"    two years ago to today          ago "P2Y"      earlier than that
    moments    as days, by the tenant's calendar
    yes or no  eq
    all        is_set not_set

A test of a field that has no value is false; `ne`, `not_in` and `not_set` are the opposites of `eq`, `in` and
`is_set`, so they are true of it. A field may have several values (lists, numbers' kinds): one that fits is
enough. Periods are ISO 8601 (`P90D`, `P2W`, `P6M`, `P2Y`); a month before the 31st of March is the last of
February.

`segments_meaning.matches` says what an expression means; the database answers by `segments_sql`, and a test
holds both against each other.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from dialer.contacts.fields import FIRST_YEAR, LAST_YEAR, MAX_COMPARED, MAX_NUMBER, Field, FieldType, folded
from dialer.said import Said

#: Most tests in an expression, and most levels.
MAX_TESTS = 60
MAX_DEPTH = 6
#: Most values of `in`.
MAX_VALUES = 200
CUSTOM = "custom."


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    WORD = "word"
    NUMBER = "number"
    DAY = "day"
    MOMENT = "moment"
    YES_NO = "yes_no"
    #: ids of lists or campaigns
    PLACE = "place"


class Op(StrEnum):
    """How a field is tested."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    STARTS = "starts"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    BETWEEN = "between"
    ON = "on"
    BEFORE = "before"
    AFTER = "after"
    NEXT = "next"
    LAST = "last"
    AGO = "ago"
    AHEAD = "ahead"
    IS_SET = "is_set"
    NOT_SET = "not_set"


_SETS = (Op.IS_SET, Op.NOT_SET)
_DAYS = (Op.ON, Op.BEFORE, Op.AFTER, Op.BETWEEN, Op.NEXT, Op.AHEAD, Op.LAST, Op.AGO, *_SETS)
#: The tests of each kind, in the order in which they are offered.
OPS: Mapping[Kind, tuple[Op, ...]] = {
    Kind.TEXT: (Op.EQ, Op.NE, Op.CONTAINS, Op.STARTS, Op.IN, Op.NOT_IN, *_SETS),
    Kind.WORD: (Op.IN, Op.NOT_IN, Op.EQ, Op.NE, *_SETS),
    Kind.NUMBER: (Op.GE, Op.LE, Op.EQ, Op.NE, Op.GT, Op.LT, Op.BETWEEN, *_SETS),
    Kind.DAY: _DAYS,
    Kind.MOMENT: _DAYS,
    Kind.YES_NO: (Op.EQ, *_SETS),
    Kind.PLACE: (Op.IN, Op.NOT_IN),
}
LISTED = frozenset({Op.IN, Op.NOT_IN})
PERIODS = frozenset({Op.NEXT, Op.LAST, Op.AGO, Op.AHEAD})
#: Tests that are the opposite of another one.
OPPOSITES: Mapping[Op, Op] = {Op.NE: Op.EQ, Op.NOT_IN: Op.IN, Op.NOT_SET: Op.IS_SET}
#: Ends of phone numbers' kinds, as phonenumbers says them.
PHONE_KINDS = (
    "mobile", "fixed_line", "fixed_line_or_mobile", "toll_free", "shared_cost", "voip", "personal_number",
    "pager", "uan", "voicemail", "unknown",
)  # fmt: skip
_RESULTS = (
    "answered", "busy", "no_answer", "invalid", "congestion", "declined", "machine", "abandoned",
    "caller_hung_up", "failed", "canceled", "unknown",
)  # fmt: skip
_DISPOSITIONS = (
    "sale", "interest", "callback", "refusal", "wrong_person", "no_contact", "do_not_call", "other",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A field that expressions may name."""

    name: str
    kind: Kind
    #: of a word: those that there are; empty: any
    words: tuple[str, ...] = ()
    #: the tests; empty: those of its kind
    only: tuple[Op, ...] = ()
    #: the field of the tenant that it is
    custom: Field | None = None

    @property
    def ops(self) -> tuple[Op, ...]:
        """The tests that it takes."""
        return self.only or OPS[self.kind]

    def compared(self, value: str) -> str:
        """A text as this field's texts are compared."""
        if self.custom is not None:
            return folded(value)
        return value.lower() if self.kind is Kind.TEXT else value


#: What every contact has. In the order in which they are offered.
STANDARD: tuple[Known, ...] = (
    Known("list", Kind.PLACE),
    Known("campaign", Kind.PLACE),
    Known("last_name", Kind.TEXT),
    Known("first_name", Kind.TEXT),
    Known("middle_name", Kind.TEXT),
    Known("email", Kind.TEXT),
    Known("external_id", Kind.TEXT),
    Known("added_at", Kind.MOMENT),
    Known("phone_kind", Kind.WORD, PHONE_KINDS, (Op.IN, Op.NOT_IN, Op.EQ, Op.NE)),
    Known("phone", Kind.TEXT, only=(Op.STARTS,)),
    Known("zone", Kind.WORD, only=(Op.IN, Op.NOT_IN, Op.EQ, Op.NE)),
    Known("attempts", Kind.NUMBER, only=OPS[Kind.NUMBER][:-2]),
    Known("talks", Kind.NUMBER, only=OPS[Kind.NUMBER][:-2]),
    Known("last_attempt_at", Kind.MOMENT),
    Known("last_talk_at", Kind.MOMENT),
    Known("last_result", Kind.WORD, _RESULTS),
    Known("last_kind", Kind.WORD, _DISPOSITIONS),
    Known("last_code", Kind.WORD),
    Known("consent", Kind.WORD, ("service", "advertising", "collection", "survey", "any")),
)
#: Of whom nothing is known yet they are this.
COUNTED = frozenset({"attempts", "talks"})
_KINDS: Mapping[FieldType, Kind] = {
    FieldType.TEXT: Kind.TEXT,
    FieldType.CHOICE: Kind.WORD,
    FieldType.NUMBER: Kind.NUMBER,
    FieldType.MONEY: Kind.NUMBER,
    FieldType.DATE: Kind.DAY,
    FieldType.YES_NO: Kind.YES_NO,
}

Catalog = Mapping[str, Known]


def catalog(fields: Iterable[Field]) -> dict[str, Known]:
    """Every field that expressions may name, in the order in which they are offered."""
    own = [
        Known(CUSTOM + one.key, _KINDS[one.spec.type], tuple(map(folded, one.spec.choices)), custom=one)
        for one in fields
        if not one.archived
    ]
    return {known.name: known for known in (*own, *STANDARD)}


# -- expressions -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Period:
    """A time on the calendar."""

    many: int
    #: D, W, M or Y
    unit: str

    def __str__(self) -> str:
        return f"P{self.many}{self.unit}"

    def before(self, day: date) -> date:
        """The day that long before; the first or the last that there is where that would be none."""
        return self._moved(day, -self.many)

    def after(self, day: date) -> date:
        """The day that long after."""
        return self._moved(day, self.many)

    def _moved(self, day: date, many: int) -> date:
        if self.unit in "DW":
            days = many * (7 if self.unit == "W" else 1)
            try:
                return day + timedelta(days=days)
            except OverflowError:
                return date.max if many > 0 else date.min
        months = day.year * 12 + day.month - 1 + many * (12 if self.unit == "Y" else 1)
        year, month = divmod(months, 12)
        if not date.min.year <= year <= date.max.year:
            return date.max if many > 0 else date.min
        return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


Value = str | float | date | Period | bool


@dataclass(frozen=True, slots=True)
class Test:
    """A test of one field."""

    field: str
    op: Op
    #: none for `is_set`, two for `between`, any number for `in`, else one
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class All:
    """True of whom all parts are true; of everybody without any part."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True of whom one part is true; of nobody without any part."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True of whom the part is not."""

    part: Expression


Expression = Test | All | AnyOf | Not


class ExpressionFault(ValueError):
    """Something that is no expression: where in it, and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


class UnknownField(ExpressionFault):
    """A test of a field that there is not."""

    def __init__(self, path: str, name: object) -> None:
        super().__init__(path, "is no field of contacts")
        self.name = name


def archived(fields: Iterable[Field]) -> frozenset[str]:
    """Names of fields that expressions could name before they were archived."""
    return frozenset(CUSTOM + one.key for one in fields if one.archived)


def parse(document: object, known: Catalog, gone: Collection[str] = ()) -> Expression:
    """The expression that a JSON document says; `gone` are the archived fields. Raises ExpressionFault."""
    budget = [MAX_TESTS]
    try:
        return _parse(document, known, "expression", 0, budget)
    except UnknownField as fault:
        if isinstance(fault.name, str) and fault.name in gone:
            raise ExpressionFault(
                fault.path, Said("the field {field} is archived", field=fault.name)
            ) from None
        raise


def _parse(said: object, known: Catalog, path: str, depth: int, budget: list[int]) -> Expression:
    if not isinstance(said, Mapping):
        raise ExpressionFault(path, "must be an object")
    if depth > MAX_DEPTH:
        raise ExpressionFault(path, "is too deep")
    names = set(said)
    if names == {"not"}:
        return Not(_parse(said["not"], known, f"{path}.not", depth + 1, budget))
    if names in ({"all"}, {"any"}):
        how = next(iter(names))
        if not isinstance(said[how], Sequence) or isinstance(said[how], str):
            raise ExpressionFault(f"{path}.{how}", "must be a list")
        parts = tuple(
            _parse(one, known, f"{path}.{how}.{n}", depth + 1, budget) for n, one in enumerate(said[how])
        )
        return All(parts) if how == "all" else AnyOf(parts)
    if "field" not in names or not names <= {"field", "op", "value"}:
        raise ExpressionFault(path, "must have all, any or not, or field, op and value")
    budget[0] -= 1
    if budget[0] < 0:
        raise ExpressionFault(path, "has too many conditions")
    return _test(said, known, path)


def _test(said: Mapping[str, object], known: Catalog, path: str) -> Test:
    name, op_name, value = said["field"], said.get("op"), said.get("value")
    field = known.get(name) if isinstance(name, str) else None
    if field is None:
        raise UnknownField(f"{path}.field", name)
    if op_name not in [op.value for op in field.ops]:
        raise ExpressionFault(f"{path}.op", "is no test of this field")
    op = Op(str(op_name))
    where = f"{path}.value"
    if op in _SETS:
        if value is not None:
            raise ExpressionFault(where, "is not known here")
        return Test(field.name, op)
    if op in LISTED or op is Op.BETWEEN:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ExpressionFault(where, "must be a list")
        if not 0 < len(value) <= MAX_VALUES or (op is Op.BETWEEN and len(value) != 2):
            raise ExpressionFault(where, "needs two values" if op is Op.BETWEEN else "needs 1 to 200 values")
        values = tuple(_value(one, field, op, f"{where}.{n}") for n, one in enumerate(value))
        if op is Op.BETWEEN and values[0] > values[1]:  # type: ignore[operator]
            raise ExpressionFault(where, "the first must not be more than the last")
        return Test(field.name, op, values)
    return Test(field.name, op, (_value(value, field, op, where),))


def _value(value: object, field: Known, op: Op, path: str) -> Value:
    if op in PERIODS:
        return _period(value, path)
    match field.kind:
        case Kind.TEXT | Kind.WORD:
            return _text(value, field, path)
        case Kind.NUMBER:
            if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
                raise ExpressionFault(path, "must be a number")
            if value > MAX_NUMBER:
                raise ExpressionFault(path, Said("must be {le} or less", le=f"{MAX_NUMBER:.0f}"))
            if value < -MAX_NUMBER:
                raise ExpressionFault(path, Said("must be {ge} or more", ge=f"-{MAX_NUMBER:.0f}"))
            return float(value)
        case Kind.PLACE:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
                raise ExpressionFault(path, "must be a whole number")
            return value
        case Kind.YES_NO:
            if not isinstance(value, bool):
                raise ExpressionFault(path, "must be true or false")
            return value
        case Kind.DAY | Kind.MOMENT:
            return _day(value, path)


def _text(value: object, field: Known, path: str) -> str:
    if not isinstance(value, str):
        raise ExpressionFault(path, "must be a text")
    if not value.strip() or len(value) > MAX_COMPARED or "\0" in value:
        raise ExpressionFault(path, Said("needs {least} to {most} characters", least=1, most=MAX_COMPARED))
    if field.name == "phone" and not re.fullmatch(r"\+\d{1,15}", value, re.ASCII):
        raise ExpressionFault(path, "must be + and digits")
    if field.words and field.compared(value) not in field.words:
        raise ExpressionFault(path, "is no value of this field")
    return value


def _day(value: object, path: str) -> date:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = date.min
        if FIRST_YEAR <= day.year <= LAST_YEAR:
            return day
    raise ExpressionFault(path, "must be a date like 2026-01-31")


def _period(value: object, path: str) -> Period:
    match = re.fullmatch(r"P(\d{1,5})([DWMY])", value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        raise ExpressionFault(path, "must be a period like P90D, P6M or P2Y")
    return Period(int(match[1]), match[2])


def document(expression: Expression) -> dict[str, object]:
    """The JSON document that says an expression: what `parse` reads."""
    match expression:
        case All(parts):
            return {"all": [document(one) for one in parts]}
        case AnyOf(parts):
            return {"any": [document(one) for one in parts]}
        case Not(part):
            return {"not": document(part)}
        case Test(field, op, values):
            said: dict[str, object] = {"field": field, "op": op.value}
            plain = [_plain(one) for one in values]
            if op in LISTED or op is Op.BETWEEN:
                return said | {"value": plain}
            return said | {"value": plain[0]} if plain else said


def _plain(value: Value) -> object:
    if isinstance(value, Period):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def tests_of(expression: Expression) -> list[Test]:
    """Every test in an expression."""
    match expression:
        case All(parts) | AnyOf(parts):
            return [test for one in parts for test in tests_of(one)]
        case Not(part):
            return tests_of(part)
        case Test():
            return [expression]


def places_of(expression: Expression, field: str) -> set[int]:
    """The ids of lists or campaigns that an expression names."""
    return {int(one) for test in tests_of(expression) if test.field == field for one in test.values}  # type: ignore[arg-type]
