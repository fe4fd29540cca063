"""What is remembered of numbers by their beginnings is what phonenumbers says of each."""

from __future__ import annotations

import random
import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts import numbers
from dialer.contacts.numberplan import Plan, ways
from dialer.contacts.numbers import read_cell, read_number, split_cell

# Regions with plans of their own kind: two regions of one code, trunk prefixes of none, one and two digits,
# area codes of two to five digits, numbers of many lengths, a prefix that is rewritten (AR).
REGIONS = ("RU", "KZ", "BY", "UZ", "DE", "GB", "US", "FR", "IT", "AR", "IL", "GE")


def by_hand(cell: str, region: str) -> list[numbers.PhoneNumber | numbers.BadNumber]:
    """What phonenumbers says of a cell, with nothing remembered."""
    return [read_number(piece, region) for piece in split_cell(cell)]


def remembered(cell: str, region: str) -> list[numbers.PhoneNumber | numbers.BadNumber]:
    """The same as an import reads it."""
    good, bad = read_cell(cell, region)
    return [*good, *bad]


def cells(dice: random.Random, region: str) -> str:
    """Digits as they stand in lists: with and without plus, country, trunk prefix and the sign of abroad."""
    if region == "RU" and dice.random() < 0.6:
        start = dice.choice(
            ("8", "7", "+7", "", "+8", "810", "8 10 7", "+77", "8(7", "98", "930", "9300", "+7930")
        )
        rest = dice.choice((10, 10, 10, 10, 9, 11, 7))
    else:
        code = str(phonenumbers.country_code_for_region(region))
        start = dice.choice(("", "0", "00", code, f"+{code}", f"+{code}0", "+", "1", "8", "09"))
        rest = dice.choice((7, 8, 9, 10, 11, 12, 6, 5))
    digits = "".join(dice.choice("0123456789") for _ in range(rest))
    if dice.random() < 0.3:
        digits = f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    return start + digits


@pytest.mark.parametrize("region", REGIONS)
def test_what_is_remembered_is_what_each_number_is(region: str) -> None:
    """Of thousands of numbers in any order each has its own E.164, kind and zones, or its own refusal."""
    dice = random.Random(region)
    for _ in range(4_000):
        cell = cells(dice, region)
        assert remembered(cell, region) == by_hand(cell, region), cell


@given(st.text(alphabet="+0123456789 ()-", max_size=24), st.sampled_from(REGIONS))
def test_any_digits_are_read_the_same(cell: str, region: str) -> None:
    """Whatever stands in the cell."""
    assert remembered(cell, region) == by_hand(cell, region)


@given(st.integers(0, 10**10 - 1), st.integers(0, 10**10 - 1), st.sampled_from(("+7", "8", "7", "")))
def test_digits_behind_the_depth_decide_nothing(first: int, second: int, start: str) -> None:
    """Two numbers that begin alike, as far as the plan looks, are of one kind, zones or refusal."""
    plan = Plan.of("RU")
    assert plan is not None
    one = f"{start}{first:010}"
    depth = plan.depth(one.lstrip("+")) + one.startswith("+")
    other = one[:depth] + f"{start}{second:010}"[depth:]
    a, b = read_number(one, "RU"), read_number(other, "RU")
    if isinstance(a, numbers.PhoneNumber):
        assert isinstance(b, numbers.PhoneNumber)
        assert (a.kind, a.timezones) == (b.kind, b.timezones)
    else:
        assert isinstance(b, numbers.BadNumber)
        assert a.code is b.code


def test_russian_mobiles_are_decided_early() -> None:
    """That is what makes it worth while: of most mobile numbers the first digits are enough."""
    plan = Plan.of("RU")
    assert plan is not None
    assert plan.depth("79161234567") <= 6
    assert plan.depth("89161234567") <= 6


@pytest.mark.parametrize(
    "pattern",
    [r"9\d{2}", r"(?:1[2-4]|5)\d", r"8(?:0[04]|108\d{3})", r"[1-9]\d{2,4}", r"1(?:2|3)?4", r"[\d]0"],
)
def test_ways_are_the_expression(pattern: str) -> None:
    """A number matches the expression if and only if it goes one of its ways."""
    found = ways(pattern)
    for number in (f"{n:0{length}}" for length in (1, 2, 3, 4, 5) for n in range(0, 10**length, 7)):
        goes = any(
            len(way) == len(number) and all(digit in taken for digit, taken in zip(number, way, strict=True))
            for way in found
        )
        assert goes == (re.fullmatch(pattern, number) is not None), number
