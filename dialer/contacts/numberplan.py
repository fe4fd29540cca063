"""How many digits of a number decide what it is: a million numbers are looked up a few hundred times.

Whether a number is possible, of which kind and in which zones it is, phonenumbers tells by matching regular
expressions of digits against the whole number, and tables of prefixes against its beginning. An expression
that takes any digit in a place does not look at that place. So for each number there is a shortest beginning
that decides all: every number of the same length that begins so is of the same kind, zones or refusal.
`Plan.depth` finds it from the metadata itself; nothing here knows a numbering plan by heart.

Expressions that are more than digits, classes, groups and counts make `Plan.of` give None: then nothing is
remembered by beginnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import phonenumbers
from phonenumbers import PhoneMetadata
from phonenumbers.tzdata import TIMEZONE_DATA

_ANY = frozenset("0123456789")
_TOKEN = re.compile(r"\\d|\[[^\]]*\]|\d|\(\?:|\(|\)|\||\{\d+(?:,\d*)?\}|\?")
#: Ways of matching that one country code may have.
_MOST_WAYS = 20_000
#: National and country prefix: digits that parsing may take off the front.
_FRONT = 4

#: One way of matching: the digits that each place takes.
Way = tuple[frozenset[str], ...]


class _Unknown(Exception):
    """An expression of another kind than those of numbering plans."""


def ways(pattern: str) -> list[Way]:
    """Every way in which an expression matches, as the digits of each place. Raises _Unknown."""
    tokens = _TOKEN.findall(pattern)
    if "".join(tokens) != pattern:
        raise _Unknown
    found, at = _branch(tokens, 0)
    if at != len(tokens):
        raise _Unknown
    return found


def _branch(tokens: Sequence[str], at: int) -> tuple[list[Way], int]:
    found: list[Way] = []
    while True:
        more, at = _sequence(tokens, at)
        found += more
        if at == len(tokens) or tokens[at] != "|":
            return found, at
        at += 1


def _sequence(tokens: Sequence[str], at: int) -> tuple[list[Way], int]:
    found: list[Way] = [()]
    while at < len(tokens) and tokens[at] not in {"|", ")"}:
        piece = tokens[at]
        at += 1
        if piece in {"(?:", "("}:
            item, at = _branch(tokens, at)
            if at == len(tokens):
                raise _Unknown
            at += 1
        elif piece == r"\d":
            item = [(_ANY,)]
        elif piece.isdigit():
            item = [(frozenset(piece),)]
        elif piece.startswith("["):
            item = [(_digits(piece),)]
        else:
            raise _Unknown
        if at < len(tokens) and tokens[at][0] in "{?":
            item = _repeated(item, tokens[at])
            at += 1
        if len(found) * len(item) > _MOST_WAYS:
            raise _Unknown
        found = [before + after for before, after in product(found, item)]
    return found, at


def _digits(piece: str) -> frozenset[str]:
    found: set[str] = set()
    body = piece[1:-1].replace(r"\d", "0-9")
    for first, last in re.findall(r"(\d)(?:-(\d))?", body):
        found |= {str(digit) for digit in range(int(first), int(last or first) + 1)}
    if re.sub(r"\d-\d|\d", "", body):
        raise _Unknown
    return frozenset(found)


def _repeated(item: list[Way], count: str) -> list[Way]:
    if count == "?":
        least, most = 0, 1
    else:
        first, comma, last = count[1:-1].partition(",")
        if comma and not last:
            raise _Unknown
        least, most = int(first), int(last or first)
    found: list[Way] = []
    for times in range(least, most + 1):
        if len(item) ** times > _MOST_WAYS:
            raise _Unknown
        found += [sum(parts, ()) for parts in product(item, repeat=times)]
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What the numbers of one country code are matched against."""

    #: the region of numbers written without a country
    region: str
    #: "7"
    code: str
    #: expressions of whole numbers, by their length
    whole: dict[int, tuple[Way, ...]]
    #: expressions of beginnings: national and international prefixes, a region's first digits
    starts: tuple[Way, ...]
    #: how a number begins that is dialled abroad
    abroad: re.Pattern[str]
    #: beginnings of E.164 numbers that are not the end of a table's line
    zones: frozenset[str]

    @classmethod
    def of(cls, region: str) -> Plan | None:
        """The plan of a region's country code; None where its numbers cannot be told by their beginnings."""
        code = phonenumbers.country_code_for_region(region)
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
        known = [PhoneMetadata.metadata_for_region(one, None) for one in regions]
        own = PhoneMetadata.metadata_for_region(region, None)
        if own is None or not own.international_prefix or None in known or not known:
            return None
        whole: dict[int, set[Way]] = {}
        starts: set[Way] = {tuple(frozenset(digit) for digit in str(code))}
        try:
            for one in known:
                if one is None or one.national_prefix_transform_rule:
                    return None
                for pattern in _whole(one):
                    for way in ways(pattern):
                        whole.setdefault(len(way), set()).add(way)
                prefixes = (one.leading_digits, one.national_prefix_for_parsing, one.international_prefix)
                for prefix in filter(None, prefixes):
                    starts.update(ways(prefix))
        except _Unknown:
            return None
        text = str(code)
        keys = [key for key in TIMEZONE_DATA if key.startswith(text)]
        return cls(
            region,
            text,
            {length: tuple(found) for length, found in whole.items()},
            tuple(starts),
            re.compile(own.international_prefix),
            frozenset(key[:end] for key in keys for end in range(1, len(key))),
        )

    def depth(self, digits: str) -> int:
        """How many of these digits decide what the whole number is; `digits` as written, without a plus.

        Parsing looks at them as they are and with prefixes taken off the front, therefore at each of their
        ends.
        """
        return max(
            (front + self._looked_at(digits[front:]) for front in range(min(_FRONT, len(digits)) + 1)),
            default=0,
        )

    def _looked_at(self, digits: str) -> int:
        most = max((_seen(way, digits) for way in self.whole.get(len(digits), ())), default=0)
        most = max([most, *(_seen(way, digits) for way in self.starts)])
        # The country code is there, or has been left out.
        for front in ("", self.code):
            number = front + digits
            length = 1
            while length <= len(number) and number[:length] in self.zones:
                length += 1
            most = max(most, length - len(front))
        return min(most, len(digits))


def _whole(metadata: PhoneMetadata) -> Iterator[str]:
    kinds: tuple[Any, ...] = (
        metadata.general_desc, metadata.fixed_line, metadata.mobile, metadata.toll_free,
        metadata.premium_rate, metadata.shared_cost, metadata.personal_number, metadata.voip, metadata.pager,
        metadata.uan, metadata.voicemail, metadata.no_international_dialling,
    )  # fmt: skip
    for kind in kinds:
        if kind is not None and kind.national_number_pattern:
            yield kind.national_number_pattern


def _seen(way: Way, digits: str) -> int:
    """How many digits decide whether this way matches."""
    last = 0
    for place, (digit, taken) in enumerate(zip(digits, way, strict=False), start=1):
        if digit not in taken:
            return place
        if taken != _ANY:
            last = place
    return last
