"""Fields that a tenant gives to its contacts, and how what people write becomes a value. Pure.

`contact.custom` keeps what a file or a person has written, under the header that it came with. A field is
found in it by its key, its labels and its other names, whatever the letters' size ("Год выпуска" is "год
выпуска"); what is found is *read* as the field's type. What cannot be read is a misfit: it stays where it is,
is in no segment, and is shown.

How cells are read:

- numbers: `1 234,50`, `1234.5`, `1.234.567`, `250 000 руб.`; a single comma or point is the decimal one;
- days: `31.12.2026`, `31.12.26`, `31/12/2026`, `2026-12-31`, also with a time of day, `5 мая 2026`;
- yes and no: `да`, `нет`, `yes`, `no`, `1`, `0`, `+`, `-`, `true`, `false`, `есть`;
- choices: in letters of any size.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

#: Most fields of a tenant, and most choices of one.
MAX_FIELDS = 100
MAX_CHOICES = 200
MAX_KEY = 40
MAX_LABEL = 100
MAX_PATTERN = 200
#: How much of a text is compared, in characters.
MAX_COMPARED = 200
#: Numbers up to here are exact to the hundredth in a double.
MAX_NUMBER = 1e13
FIRST_YEAR, LAST_YEAR = 1900, 2199
KEY = r"^[a-z][a-z0-9_]*$"


class FieldType(StrEnum):
    """What a field holds; the words of `custom_field.type`."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    CHOICE = "choice"
    YES_NO = "yes_no"

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self in {FieldType.NUMBER, FieldType.MONEY}


class Misfits(StrEnum):
    """Why a value does not fit its field; the words are part of the API."""

    NUMBER = "number"  # not a number
    DATE = "date"  # not a day
    CHOICE = "choice"  # none of the choices
    YES_NO = "yes_no"  # neither yes nor no
    RANGE = "range"  # less than the least, more than the most
    PATTERN = "pattern"  # not of the form asked for
    REQUIRED = "required"  # there is none


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What a field is, before and after it is kept."""

    #: stable name for programs: small Latin letters, digits, `_`
    key: str
    label_ru: str
    label_en: str
    type: FieldType
    #: more headers of files that it goes by
    names: tuple[str, ...] = ()
    #: of a choice, as they are shown
    choices: tuple[str, ...] = ()
    required: bool = False
    #: of a text: the whole of it, see `pattern_fault`
    pattern: str | None = None
    #: of a number
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a tenant."""

    id: int
    spec: FieldSpec
    position: int
    archived: bool
    #: contacts that are still to be read after its last change, by their ids: from ... until
    typed_upto: int
    type_until: int

    @property
    def key(self) -> str:
        """Its name for programs."""
        return self.spec.key

    @property
    def ready(self) -> bool:
        """Whether every contact's value has been read as the field is now."""
        return self.typed_upto >= self.type_until

    @property
    def done(self) -> float:
        """How much of that is done, 0 to 1, by the contacts' ids."""
        return 1.0 if self.ready else self.typed_upto / self.type_until


@dataclass(frozen=True, slots=True)
class Typed:
    """A value as what it is: one of the three is set."""

    field_id: int
    #: number or money; 1.0 is yes, 0.0 is no
    number: float | None = None
    day: date | None = None
    #: text or choice, as `folded` makes it
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that does not fit its field."""

    field_id: int
    #: the header under which it stands; the field's key where there is none
    name: str
    code: Misfits
    value: str


def folded(value: str) -> str:
    """A text as texts are compared: small letters, ё as е, single spaces, cut to MAX_COMPARED."""
    return " ".join(value.casefold().replace("ё", "е").split())[:MAX_COMPARED]


def header_key(header: str) -> str:
    """A header as headers are compared: letters and digits in small, one space between."""
    return re.sub(r"[\W_]+", " ", header.casefold().replace("ё", "е")).strip()


def headers_of(spec: FieldSpec) -> frozenset[str]:
    """Every header that the field goes by, as `header_key` makes them."""
    return frozenset(filter(None, map(header_key, (spec.key, spec.label_ru, spec.label_en, *spec.names))))


class Reader:
    """Finds and reads the values of some fields; made once for many contacts."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._by_header: dict[str, Field] = {}
        self._required: list[Field] = []
        for field in fields:
            if field.archived:
                continue
            for header in headers_of(field.spec):
                self._by_header.setdefault(header, field)
            if field.spec.required:
                self._required.append(field)
        # Headers of a file are the same in a million rows.
        self._known: dict[str, Field | None] = {}

    def __bool__(self) -> bool:
        return bool(self._by_header)

    def field_of(self, header: str) -> Field | None:
        """The field that goes by this header."""
        if header not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[header] = self._by_header.get(header_key(header))
        return self._known[header]

    def read(self, custom: Mapping[str, str]) -> tuple[list[Typed], list[Misfit]]:
        """The values of a contact, one a field, and what does not fit.

        Of several headers of one field the first with a value that fits counts.
        """
        found: dict[int, Typed] = {}
        misfits: dict[int, Misfit] = {}
        for header, value in custom.items():
            field = self.field_of(header)
            if field is None or field.id in found or not value.strip():
                continue
            read = read_value(field, value)
            if isinstance(read, Typed):
                found[field.id] = read
                misfits.pop(field.id, None)
            else:
                misfits.setdefault(field.id, Misfit(field.id, header, read, value))
        for field in self._required:
            if field.id not in found and field.id not in misfits:
                misfits[field.id] = Misfit(field.id, field.key, Misfits.REQUIRED, "")
        return list(found.values()), list(misfits.values())


def read_value(field: Field, value: str) -> Typed | Misfits:
    """A written value as the field's type, or why it is not one."""
    spec, text = field.spec, value.strip()
    match spec.type:
        case FieldType.NUMBER | FieldType.MONEY:
            number = read_number(text)
            if number is None:
                return Misfits.NUMBER
            if (spec.minimum is not None and number < spec.minimum) or (
                spec.maximum is not None and number > spec.maximum
            ):
                return Misfits.RANGE
            return Typed(field.id, number=number)
        case FieldType.DATE:
            day = read_day(text)
            return Misfits.DATE if day is None else Typed(field.id, day=day)
        case FieldType.YES_NO:
            answer = read_yes_no(text)
            return Misfits.YES_NO if answer is None else Typed(field.id, number=float(answer))
        case FieldType.CHOICE:
            small = folded(text)
            return Typed(field.id, text=small) if small in map(folded, spec.choices) else Misfits.CHOICE
        case FieldType.TEXT:
            if spec.pattern is not None and not re.fullmatch(
                spec.pattern, text[:MAX_COMPARED], re.IGNORECASE
            ):
                return Misfits.PATTERN
            return Typed(field.id, text=folded(text))


# -- reading cells -----------------------------------------------------------------------------------------

_CURRENCY = re.compile(r"\s*(?:руб(?:\.|лей|ля|ль)?|р\.|₽|rub|rur|\$|usd|€|eur)\s*", re.IGNORECASE)
_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u202f'’](?=\d{3}(?!\d))")
_PLAIN = re.compile(r"[+-]?\d{1,18}(?:\.\d{1,18})?")


def read_number(text: str) -> float | None:
    """The number that is written so; None for anything else.

    A comma or a point that stands alone is the decimal one; of both the last is; several of one kind stand
    between thousands.
    """
    plain = _CURRENCY.sub("", text.replace("−", "-"))
    while (closer := _SPACES.sub("", plain)) != plain:
        plain = closer
    commas, points = plain.count(","), plain.count(".")
    if commas and points:
        decimal = "," if plain.rfind(",") > plain.rfind(".") else "."
        thousands = "." if decimal == "," else ","
        if plain.count(decimal) > 1 or not _grouped(plain.split(decimal)[0], thousands):
            return None
        plain = plain.replace(thousands, "").replace(decimal, ".")
    elif commas > 1 or points > 1:
        mark = "," if commas else "."
        if not _grouped(plain, mark):
            return None
        plain = plain.replace(mark, "")
    else:
        plain = plain.replace(",", ".")
    if not _PLAIN.fullmatch(plain) or not plain.isascii():
        return None
    number = float(plain) + 0.0  # -0 is 0
    return number if abs(number) <= MAX_NUMBER else None


def _grouped(text: str, mark: str) -> bool:
    first, *rest = text.lstrip("+-").split(mark)
    return 1 <= len(first) <= 3 and all(len(part) == 3 for part in rest)


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "января jan january", "февраля feb february", "марта mar march", "апреля apr april", "мая may",
            "июня jun june", "июля jul july", "августа aug august", "сентября sep september",
            "октября oct october", "ноября nov november", "декабря dec december",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_TIME = r"(?:[T\s]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_DAY_FIRST = re.compile(rf"(\d{{1,2}})([./-])(\d{{1,2}})\2(\d{{4}}|\d{{2}})(?:\s*г\.?)?{_TIME}", re.ASCII)
_YEAR_FIRST = re.compile(rf"(\d{{4}})([./-])(\d{{1,2}})\2(\d{{1,2}}){_TIME}", re.ASCII)
_NAMED = re.compile(r"(\d{1,2})\s+([A-Za-zА-Яа-я]+)\.?,?\s+(\d{4})(?:\s*(?:г\.?|года))?")


def read_day(text: str) -> date | None:
    """The day that is written so; None for anything else. Years of two digits are 1970 to 2069."""
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year = int(match[1]), int(match[3]), int(match[4])
        if len(match[4]) == 2:
            year += 1900 if year >= 70 else 2000
    elif match := _YEAR_FIRST.fullmatch(text):
        year, month, day = int(match[1]), int(match[3]), int(match[4])
    elif match := _NAMED.fullmatch(text):
        day, month, year = int(match[1]), _MONTHS.get(match[2].casefold(), 0), int(match[3])
    else:
        return None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


_YES = frozenset({"да", "yes", "y", "д", "1", "true", "истина", "+", "есть", "on"})
_NO = frozenset({"нет", "no", "n", "н", "0", "false", "ложь", "-", "off"})


def read_yes_no(text: str) -> bool | None:
    """Whether it says yes or no; None for anything else."""
    small = text.strip().casefold()
    return True if small in _YES else False if small in _NO else None


# -- what a field may be -----------------------------------------------------------------------------------

# Literals, escapes and classes, each at most once with a count: no groups, so that no value takes long.
_PIECE = re.compile(
    r"(?:\\[dwsDWS.\-+?*()\[\]{}|/^$\\]|\[\^?(?:\\.|[^\]\\])+\]|[^\\\[\](){}*+?|^$])"
    r"(?P<count>\{\d{1,3}\}|\{\d{1,3},\d{1,3}\}|[?*+])?"
)
_MOST_VARIABLE = 3


def pattern_fault(pattern: str) -> str | None:
    """Why a pattern is not taken; None when it is.

    Letters, classes (`[A-Z0-9]`, `\\d`) and counts (`{17}`, `{2,3}`, `+`, `?`), no groups and no
    alternatives; at most three counts that vary. So a value is held against it in bounded time.
    """
    place, variable = 0, 0
    while place < len(pattern):
        match = _PIECE.match(pattern, place)
        if match is None:
            return "a pattern has letters, classes like [A-Z0-9] or \\d, and counts like {17}; no groups"
        count = match["count"] or ""
        variable += bool(count) and not re.fullmatch(r"\{\d+\}", count)
        place = match.end()
    if variable > _MOST_VARIABLE:
        return "a pattern may have three counts that vary"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python may read otherwise one day
            re.compile(pattern)
    except (re.error, FutureWarning, DeprecationWarning):
        return "does not have the right form"
    return None


def spec_faults(spec: FieldSpec, others: Sequence[FieldSpec]) -> list[tuple[str, str]]:
    """What is wrong with a field beside these others: (which part of it, why)."""
    found = []
    if not re.fullmatch(KEY, spec.key) or len(spec.key) > MAX_KEY:
        found.append(("key", "must be small Latin letters, digits and _, a letter first"))
    if any(other.key == spec.key for other in others):
        found.append(("key", "is taken by another field"))
    elif any(headers_of(other) & headers_of(spec) for other in others):
        found.append(("names", "another field goes by one of these names"))
    small = [folded(choice) for choice in spec.choices]
    if spec.type is FieldType.CHOICE and not spec.choices:
        found.append(("choices", "is missing"))
    elif spec.type is not FieldType.CHOICE and spec.choices:
        found.append(("choices", "only a choice has them"))
    elif len(set(small)) < len(small) or not all(small):
        found.append(("choices", "each choice stands once, and none is empty"))
    if spec.pattern is not None:
        fault = pattern_fault(spec.pattern) if spec.type is FieldType.TEXT else "only a text has a pattern"
        if fault:
            found.append(("pattern", fault))
    bounds = [one for one in (spec.minimum, spec.maximum) if one is not None]
    if bounds and not spec.type.is_number:
        found.append(("minimum", "only a number has bounds"))
    elif any(abs(one) > MAX_NUMBER for one in bounds):
        found.append(("minimum", "is too large"))
    elif len(bounds) == 2 and bounds[0] > bounds[1]:
        found.append(("maximum", "must not be less than the least"))
    return found


def changes_typing(old: FieldSpec, new: FieldSpec) -> bool:
    """Whether the values of contacts must be read anew."""

    def what(spec: FieldSpec) -> tuple[object, ...]:
        words = headers_of(spec), frozenset(map(folded, spec.choices))
        return (spec.type, *words, spec.required, spec.pattern, spec.minimum, spec.maximum)

    return what(old) != what(new)


# -- the car trade -----------------------------------------------------------------------------------------

_T = FieldType
#: What a car dealer knows of a client.
CARS: tuple[FieldSpec, ...] = (
    FieldSpec("car_make", "Марка", "Car make", _T.TEXT, ("марка автомобиля", "марка авто", "make")),
    FieldSpec("car_model", "Модель", "Car model", _T.TEXT, ("модель автомобиля", "модель авто", "model")),
    FieldSpec("car_year", "Год выпуска", "Year made", _T.NUMBER, ("год", "year"), minimum=1950, maximum=2100),
    FieldSpec("vin", "VIN", "VIN", _T.TEXT, ("вин", "vin код", "vin номер"), pattern="[A-HJ-NPR-Z0-9]{17}"),
    FieldSpec("plate", "Госномер", "Plate", _T.TEXT, ("гос номер", "регистрационный номер", "number plate")),
    FieldSpec("bought_on", "Дата покупки", "Bought on", _T.DATE, ("дата продажи", "purchase date")),
    FieldSpec("credit_end", "Конец кредита", "Credit ends", _T.DATE,
              ("дата окончания кредита", "окончание кредита", "credit end", "loan end")),
    FieldSpec("monthly_payment", "Ежемесячный платёж", "Monthly payment", _T.MONEY, ("платеж",), minimum=0),
    FieldSpec("last_visit", "Последний визит", "Last visit", _T.DATE, ("дата последнего визита",)),
    FieldSpec("revenue", "Выручка", "Revenue", _T.MONEY, ("сумма заказов", "оборот", "total revenue")),
)  # fmt: skip
TEMPLATES: Mapping[str, tuple[FieldSpec, ...]] = {"cars": CARS}
