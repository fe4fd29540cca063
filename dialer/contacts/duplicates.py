"""Whether two contacts are one person: a score, and its reasons. Pure.

It adds up what speaks for and against, as logarithms of odds (Fellegi and Sunter, "A theory for record
linkage", 1969, with weights that were set by hand and held against a base whose truth is known: see
docs/duplicates.md), and turns the sum into 0 ... 1. Some things cap it, however much else agrees, since
families share telephones, addresses, cars and e-mail: two different first names, patronymics or days of
birth, a man's name and a woman's; and one whose first name is not known is never told for certain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA, JaroWinkler

from dialer.contacts.first_names import NAMES
from dialer.contacts.persons import OFFICE_MAIL, Person, sound

#: From here on a pair is put before a person.
SUGGEST_FROM = 0.75


class Kind(StrEnum):
    """What a value says of a pair."""

    SAME = "same"
    NEAR = "near"  # a slip of the hand, another spelling
    SHORT = "short"  # an initial, or a short form of the name
    DIFFERS = "differs"
    SWAPPED = "swapped"  # last and first name stand in each other's place


@dataclass(frozen=True, slots=True)
class Reason:
    """What speaks for a pair or against it."""

    #: phone, email, vin, plate, address, birth, last_name, first_name, middle_name, name, sex
    field: str
    kind: Kind
    #: what it adds to the logarithm of the odds
    weight: float


@dataclass(frozen=True, slots=True)
class Score:
    """How likely two contacts are one person."""

    #: 0 ... 1
    value: float
    #: the heaviest first
    reasons: tuple[Reason, ...]


# -- the score ----------------------------------------------------------------------------------------------

#: The odds of two who share a block, before they are compared.
PRIOR = -6.0
WEIGHTS: Mapping[tuple[str, Kind], float] = {
    ("phone", Kind.SAME): 7.5,
    ("phone", Kind.NEAR): 4.0,
    ("email", Kind.SAME): 7.5,
    ("email", Kind.NEAR): 4.0,
    ("vin", Kind.SAME): 7.5,
    ("vin", Kind.NEAR): 5.0,
    ("plate", Kind.SAME): 5.5,
    ("plate", Kind.NEAR): 2.5,
    ("address", Kind.SAME): 4.0,
    ("address", Kind.NEAR): 2.5,
    ("address", Kind.DIFFERS): -0.5,
    ("birth", Kind.SAME): 5.0,
    ("birth", Kind.NEAR): 2.0,
    ("birth", Kind.DIFFERS): -5.0,
    ("last_name", Kind.SAME): 2.5,
    ("last_name", Kind.NEAR): 1.8,
    ("last_name", Kind.DIFFERS): -3.5,
    ("first_name", Kind.SAME): 1.5,
    ("first_name", Kind.NEAR): 1.0,
    ("first_name", Kind.SHORT): 0.7,
    ("first_name", Kind.DIFFERS): -9.0,
    ("middle_name", Kind.SAME): 2.0,
    ("middle_name", Kind.NEAR): 1.5,
    ("middle_name", Kind.SHORT): 0.7,
    ("middle_name", Kind.DIFFERS): -5.0,
    ("name", Kind.SWAPPED): -0.5,
    ("sex", Kind.DIFFERS): -4.0,
}
#: However much else agrees, no more than this.
CAPS: Mapping[str, float] = {"first_name": 0.25, "sex": 0.3, "middle_name": 0.45, "birth": 0.45}
#: No more than this where a last name is all that is known of somebody's name.
NAME_INCOMPLETE = 0.85


def compare(one: Person, other: Person) -> Score:
    """How likely two contacts are one person, and why. The same in either order."""
    found = _names(one, other)
    for field, kind in (
        ("phone", _phones(one.phones, other.phones)),
        ("email", _emails(one.email, other.email)),
        ("vin", _codes(one.vins, other.vins)),
        ("plate", _codes(one.plates, other.plates)),
        ("address", _addresses(one.addresses, other.addresses)),
        ("birth", _births(one.born, other.born)),
    ):
        if kind is not None and (field, kind) in WEIGHTS:
            found[field] = kind
    reasons = sorted(
        (Reason(field, kind, WEIGHTS[field, kind]) for field, kind in found.items()),
        key=lambda reason: (-abs(reason.weight), reason.field),
    )
    value = 1 / (1 + math.exp(-(PRIOR + sum(reason.weight for reason in reasons))))
    for field, cap in CAPS.items():
        if found.get(field) is Kind.DIFFERS:
            value = min(value, cap)
    if "last_name" in found and "first_name" not in found:
        value = min(value, NAME_INCOMPLETE)
    return Score(round(value, 4), tuple(reasons))


def _names(one: Person, other: Person) -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    if one.last_name and other.last_name:
        found["last_name"] = _last(one.last_name, other.last_name)
    if one.first_name and other.first_name:
        found["first_name"] = _first(one.first_name, other.first_name)
    if found.get("first_name") is Kind.DIFFERS and (kind := _swapped(one, other)):
        found = {"last_name": kind, "first_name": kind, "name": Kind.SWAPPED}
    if one.middle_name and other.middle_name:
        found["middle_name"] = _middle(one.middle_name, other.middle_name)
    # Two first names say it better.
    if "first_name" not in found and {_sex(one), _sex(other)} == {"m", "f"}:
        found["sex"] = Kind.DIFFERS
    return found


def _sex(person: Person) -> str:
    """Whose name it is, by its ending: m, f; empty: that cannot be told."""
    for name, mens, womens in (
        (person.middle_name, ("vich", "vi4", "li4", "mi4"), ("vna", "i4na")),
        (person.last_name, ("ov", "ev", "in", "ski", "skii"), ("ova", "eva", "ina", "skaa", "ska")),
    ):
        heard = sound(name)
        if heard.endswith(womens):
            return "f"
        if heard.endswith(mens):
            return "m"
    return ""


def _swapped(one: Person, other: Person) -> Kind | None:
    """How the names agree when those of one stand in each other's place; None: they do not."""
    pairs = [
        (sound(a), sound(b))
        for a, b in ((one.last_name, other.first_name), (one.first_name, other.last_name))
    ]
    if all(a and a == b for a, b in pairs):
        return Kind.SAME
    alike = all(min(len(a), len(b)) > 2 and OSA.distance(a, b, score_cutoff=1) <= 1 for a, b in pairs)
    return Kind.NEAR if alike else None


def _last(one: str, other: str) -> Kind:
    a, b = sound(one), sound(other)
    if a == b:
        return Kind.SAME
    if OSA.distance(a, b, score_cutoff=2) <= (1 if min(len(a), len(b)) < 7 else 2):
        return Kind.NEAR
    # "Петрова-Водкина" is "Петрова" too.
    if {sound(part) for part in re.split(r"[- ]", one)} & {sound(part) for part in re.split(r"[- ]", other)}:
        return Kind.NEAR
    return Kind.NEAR if JaroWinkler.similarity(a, b) >= 0.93 else Kind.DIFFERS


def _initial(one: str, other: str) -> bool | None:
    """Whether the one is the other's initial; None where neither is an initial."""
    a, b = one.rstrip("."), other.rstrip(".")
    if len(a) > 1 and len(b) > 1:
        return None
    return sound(a)[:1] == sound(b)[:1]


def _first(one: str, other: str) -> Kind:
    a, b = sound(one), sound(other)
    if a == b:
        return Kind.SAME
    if (initial := _initial(one, other)) is not None:
        return Kind.SHORT if initial else Kind.DIFFERS
    names = _SOUNDING.get(a), _SOUNDING.get(b)
    if names[0] and names[1]:  # Мария and Марина are one letter apart, and two people
        return Kind.SHORT if names[0] & names[1] else Kind.DIFFERS
    slips = OSA.distance(a, b, score_cutoff=2)
    return (
        Kind.NEAR if slips <= (1 if min(len(a), len(b)) < 6 else 2) and len(min(a, b)) > 2 else Kind.DIFFERS
    )


def _middle(one: str, other: str) -> Kind:
    a, b = sound(one), sound(other)
    if a == b:
        return Kind.SAME
    if (initial := _initial(one, other)) is not None:
        return Kind.SHORT if initial else Kind.DIFFERS
    if a.endswith("na") != b.endswith("na"):  # a brother and his sister
        return Kind.DIFFERS
    return (
        Kind.NEAR
        if OSA.distance(a, b, score_cutoff=2) <= (1 if min(len(a), len(b)) < 9 else 2)
        else Kind.DIFFERS
    )


_SOUNDING: dict[str, frozenset[str]] = {}
for _form, _meant in NAMES.items():
    _SOUNDING[sound(_form)] = _SOUNDING.get(sound(_form), frozenset()) | _meant


def _phones(one: Sequence[str], other: Sequence[str]) -> Kind | None:
    """Two numbers of one person are no contradiction: everybody has several."""
    if set(one) & set(other):
        return Kind.SAME
    near = any(OSA.distance(a, b, score_cutoff=1) <= 1 for a in one for b in other)
    return Kind.NEAR if near else None


def _emails(one: str, other: str) -> Kind | None:
    if not one or not other:
        return None
    if one == other:
        return Kind.SAME
    (a, _, there), (b, _, here) = one.partition("@"), other.partition("@")
    a, b = a.replace(".", ""), b.replace(".", "")
    if a == b and len(a) > 5 and a not in OFFICE_MAIL:
        return Kind.NEAR
    return Kind.NEAR if there == here and len(a) > 5 and OSA.distance(a, b, score_cutoff=1) <= 1 else None


def _codes(one: Sequence[str], other: Sequence[str]) -> Kind | None:
    """VINs and plates: a person may have two cars."""
    if set(one) & set(other):
        return Kind.SAME
    return Kind.NEAR if any(OSA.distance(a, b, score_cutoff=1) <= 1 for a in one for b in other) else None


def _addresses(one: Sequence[str], other: Sequence[str]) -> Kind | None:
    if not one or not other:
        return None
    best = Kind.DIFFERS
    for a in one:
        for b in other:
            numbers = [sorted(re.findall(r"\d+", text)) for text in (a, b)]
            if sorted(a.split()) == sorted(b.split()):
                return Kind.SAME if numbers[0] else Kind.NEAR
            if numbers[0] == numbers[1] and fuzz.token_sort_ratio(a, b) >= 85:
                best = Kind.NEAR
    return best


def _births(one: date | None, other: date | None) -> Kind | None:
    if one is None or other is None:
        return None
    if one == other:
        return Kind.SAME
    a, b = f"{one:%Y%m%d}", f"{other:%Y%m%d}"
    if (one.year, one.month, one.day) == (other.year, other.day, other.month):
        return Kind.NEAR
    return Kind.NEAR if OSA.distance(a, b, score_cutoff=1) <= 1 else Kind.DIFFERS
