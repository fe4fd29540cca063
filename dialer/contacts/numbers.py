"""Phone numbers as people write them, to E.164.

Cells of real lists hold `8 (916) 123-45-67`, `+7 495 1234567 доб. 12`, two numbers with a comma between
them, `моб. 9161234567`, and `7,91612E+10` where a spreadsheet thought that a phone is a quantity.
Lengths, prefixes, kinds and zones come from libphonenumber's metadata (package `phonenumbers`); this module
only takes cells apart and gives each refusal a name. What phonenumbers says takes 40 us a number, so it is
remembered by the beginning that decides it (`numberplan`). Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult
from phonenumbers.timezone import time_zones_for_number

from dialer.contacts.numberplan import Plan
from dialer.contacts.rejects import RejectCode
from dialer.errors import BadNumber as BadNumberError


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number that can be dialled."""

    #: "+79161234567"
    e164: str
    #: mobile, fixed_line, toll_free, ...: phonenumbers' own words in small letters
    kind: str
    #: every zone in which the phone may be, IANA names; a Russian mobile has many, an unknown place none
    timezones: tuple[str, ...]
    #: digits to be asked for after the answer ("доб. 12"); None in most numbers
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class BadNumber:
    """A piece of a cell that is no number."""

    code: RejectCode
    #: the piece as it was written
    value: str


#: Why a number that somebody has typed is none.
_WHY = {
    RejectCode.LETTERS: "it has letters in it",
    RejectCode.TOO_SHORT: "it has too few digits",
    RejectCode.TOO_LONG: "it has too many digits",
    RejectCode.NO_COUNTRY: "no country has this code",
    RejectCode.NOT_ASSIGNED: "there is no such area or operator",
    RejectCode.PREMIUM: "the call would be billed as a paid service",
    RejectCode.ROUNDED: "a spreadsheet has thrown its last digits away",
}
_UNKNOWN_ZONE = "Etc/Unknown"
#: By calling code, a zone that phonenumbers names after a neighbour's town, and the country's own:
#: Kaliningrad has the clock of Bucharest in winter only.
_OWN_ZONES = {7: {"Europe/Bucharest": "Europe/Kaliningrad"}}

# What people put before a number: "моб. 8916...", "тел.: 8495...".
_LABEL = re.compile(
    r"^\s*(?:контактный|мобильный|сотовый|рабочий|домашний|телефон|моб|сот|раб|дом|тел|т"
    r"|mobile|mob|cell|phone|home|work|tel)(?:[\s.:]+|(?=[+\d(]))",
    re.IGNORECASE,
)
_EXTENSION_WORD = r"доб|доп|вн|ext|x|#"
# A separator of numbers, unless an extension follows: "8 495 1234567, доб. 12" is one number.
_SEPARATOR = re.compile(rf"(?:[,;/|\n]+|\s+(?:или|or|и)\s+)(?!\s*(?:{_EXTENSION_WORD}))", re.IGNORECASE)
_EXTENSION = re.compile(
    r"[\s,;]*(?:\(\s*)?(?:доб(?:авочный)?|доп(?:олнительный)?|вн(?:утренний)?|ext(?:ension)?|x|#)"
    r"[\s.:№]*(\d{1,8})[\s)]*$",
    re.IGNORECASE,
)
_FLOAT = re.compile(r"^(\d{9,15})[.,]0+$")  # 79161234567.0: a whole number that was kept as a float
_SCIENTIFIC = re.compile(r"^\d([.,]\d+)?E\+?\d+$", re.IGNORECASE)
_GAP = re.compile(r"\s+(?=[+\d(])")

_LENGTH_CODES = {
    ValidationResult.TOO_SHORT: RejectCode.TOO_SHORT,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: RejectCode.TOO_SHORT,  # 123-45-67: the area is missing
    ValidationResult.TOO_LONG: RejectCode.TOO_LONG,
    ValidationResult.INVALID_LENGTH: RejectCode.TOO_LONG,  # between two lengths: over the usual one
    ValidationResult.INVALID_COUNTRY_CODE: RejectCode.NO_COUNTRY,
}
_PARSE_CODES = {
    NumberParseException.INVALID_COUNTRY_CODE: RejectCode.NO_COUNTRY,
    NumberParseException.TOO_LONG: RejectCode.TOO_LONG,
}


def read_cell(cell: str, region: str) -> tuple[list[PhoneNumber], list[BadNumber]]:
    """Every number of a cell in the order it is written, each once, and the pieces that are no number.

    `region` is the country (ISO 3166, "RU") of numbers written without one. An empty cell gives nothing.
    """
    if not cell or cell.isspace():
        return [], []
    # Most cells hold one number and nothing else: nothing is to be taken apart.
    if _PLAIN.fullmatch(cell) and 3 <= len(digits := cell.translate(_BETWEEN)) < 20:
        found = _remembered(cell.strip(), digits, region)
        return ([], [found]) if isinstance(found, BadNumber) else ([found], [])
    good: dict[str, PhoneNumber] = {}
    bad: list[BadNumber] = []
    for piece in split_cell(cell):
        found = read_number(piece, region)
        if isinstance(found, BadNumber):
            bad.append(found)
        else:
            good.setdefault(found.e164, found)
    return list(good.values()), bad


def split_cell(cell: str) -> list[str]:
    """The pieces of a cell, one a number: split at `, ; / |`, new lines and "или", not before "доб."."""
    cell = cell.strip()
    if _FLOAT.match(cell) or _SCIENTIFIC.match(cell):
        return [cell]  # the comma is a decimal one
    pieces = []
    for raw in _SEPARATOR.split(cell):
        piece = raw.strip()
        if not piece:
            continue
        pieces.extend(_spaced_apart(piece))
    return pieces


def _spaced_apart(piece: str) -> list[str]:
    """Two whole numbers with only a space between them, else the piece as it is."""
    for gap in _GAP.finditer(piece):
        ends = piece[: gap.start()], piece[gap.end() :]
        if all(10 <= _digits(end) <= 11 for end in ends):
            return list(ends)
    return [piece]


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


# Digits, and what people put between them that means nothing. A plus is the first of all or is none.
_PLAIN = re.compile(r" *\+?[0-9() -]+")
_BETWEEN = str.maketrans("", "", "() -+")
#: Beginnings that are remembered, of each region.
MAX_REMEMBERED = 100_000


class _Memory:
    """What phonenumbers has said of numbers of one region, by the beginnings that decide it."""

    def __init__(self, region: str) -> None:
        self._plan = Plan.of(region)
        self._said: dict[str, PhoneNumber | RejectCode] = {}
        #: lengths of the beginnings that are remembered
        self._depths: tuple[int, ...] = ()

    def find(self, text: str, plus: bool, digits: str) -> PhoneNumber | BadNumber | None:
        """What is known of a number that begins like this one."""
        mark = f"{len(digits)}{'+' if plus else ' '}"
        for depth in self._depths:
            found = self._said.get(mark + digits[:depth])
            if isinstance(found, PhoneNumber):
                # The front may have changed (8 is +7), the last digits are the number's own.
                front = found.e164[: len(found.e164) - len(digits) + depth]
                return PhoneNumber(front + digits[depth:], found.kind, found.timezones)
            if found is not None:
                return BadNumber(found, text)
        return None

    def keep(self, plus: bool, digits: str, said: PhoneNumber | BadNumber) -> None:
        """Remember what was said of a number, where its beginning decides it."""
        plan = self._plan
        if plan is None or (not digits.startswith(plan.code) if plus else plan.abroad.match(digits)):
            return
        depth = plan.depth(digits)
        if isinstance(said, PhoneNumber) and not said.e164.endswith(digits[depth:]):
            return
        if len(self._said) >= MAX_REMEMBERED:
            self._said.clear()
        mark = f"{len(digits)}{'+' if plus else ' '}"
        self._said[mark + digits[:depth]] = said.code if isinstance(said, BadNumber) else said
        if depth not in self._depths:
            self._depths = tuple(sorted((*self._depths, depth)))


_memory = cache(_Memory)


def _remembered(text: str, digits: str, region: str) -> PhoneNumber | BadNumber:
    """As `read_number`, of `digits` with nothing but brackets, blanks and dashes between them in `text`."""
    memory, plus = _memory(region), text[0] == "+"
    found = memory.find(text, plus, digits)
    if found is None:
        found = read_number(text, region)
        memory.keep(plus, digits, found)
    return found


def read_number(text: str, region: str) -> PhoneNumber | BadNumber:
    """One number. `region` as for `read_cell`."""
    if _SCIENTIFIC.match(text.strip()):
        return BadNumber(RejectCode.ROUNDED, text)
    body = _FLOAT.sub(r"\1", _LABEL.sub("", text.strip()))
    extension = None
    if match := _EXTENSION.search(body):
        extension, body = match[1], body[: match.start()]
    # phonenumbers reads letters as the keys of a phone (8-800-FLOWERS); in a list they are slips.
    if any(map(str.isalpha, body)):
        return BadNumber(RejectCode.LETTERS, text)
    digits = _digits(body)
    if digits < 3:
        return BadNumber(RejectCode.TOO_SHORT, text)
    if digits > 20:
        return BadNumber(RejectCode.TOO_LONG, text)
    try:
        number = _parse(body, region)
    except NumberParseException as error:
        return BadNumber(_PARSE_CODES.get(error.error_type, RejectCode.TOO_SHORT), text)
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:  # the metadata knows no such number: say in which way
        length = phonenumbers.is_possible_number_with_reason(number)
        return BadNumber(_LENGTH_CODES.get(length, RejectCode.NOT_ASSIGNED), text)
    if kind == PhoneNumberType.PREMIUM_RATE:
        return BadNumber(RejectCode.PREMIUM, text)
    return PhoneNumber(
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        kind=PhoneNumberType.to_string(kind).lower(),
        timezones=_zones(number),
        extension=extension,
    )


def number_of(text: str, region: str) -> PhoneNumber:
    """The number that somebody has typed. Raises dialer.errors.BadNumber, which says why it is none."""
    read = read_number(text, region)
    if isinstance(read, BadNumber):
        raise BadNumberError(reason=_WHY.get(read.code, "it is no phone number"), code=read.code.value)
    return read


def _zones(number: phonenumbers.PhoneNumber) -> tuple[str, ...]:
    own = _OWN_ZONES.get(number.country_code or 0, {})
    return tuple(
        sorted({own.get(zone, zone) for zone in time_zones_for_number(number) if zone != _UNKNOWN_ZONE})
    )


def _parse(body: str, region: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(body, region)
    except NumberParseException as error:
        # "+8 916 ...": a plus put before the trunk prefix. Only when no country has such a code.
        trunk = phonenumbers.ndd_prefix_for_region(region, True)
        if (
            error.error_type != NumberParseException.INVALID_COUNTRY_CODE
            or not trunk
            or not body.startswith(f"+{trunk}")
        ):
            raise
        return phonenumbers.parse(body.removeprefix("+"), region)
