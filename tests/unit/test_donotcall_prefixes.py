"""Beginnings of numbers as people write them: which are meant, and which are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.numbers import PhoneNumber, read_number
from dialer.donotcall.model import marks
from dialer.donotcall.prefixes import other_meanings, read_prefix
from dialer.errors import Invalid


@pytest.mark.parametrize(
    ("written", "region", "mark"),
    [
        ("+7495", "RU", "+7495*"),
        ("7 (495)", "RU", "+7495*"),
        ("+7495*", "RU", "+7495*"),
        (" +44-20 ", "RU", "+4420*"),
        ("8495", "RU", "+7495*"),
        ("8 (812)", "RU", "+7812*"),
        ("8 916", "RU", "+7916*"),
        ("7916", "RU", "+7916*"),
        ("(812)", "RU", "+7812*"),
        ("495", "RU", "+7495*"),
        ("8800", "RU", "+7800*"),
        ("8-834", "RU", "+7834*"),  # the 8 stands by itself: it is that before the number
        ("8 10 44 20", "RU", "+4420*"),  # the way out of the country
        ("+8495", "RU", "+8495*"),  # Vietnam, as it is written
        ("030", "DE", "+4930*"),
        ("0044 20", "DE", "+4420*"),
        ("1 212", "US", "+1212*"),
        ("06", "IT", "+3906*"),
    ],
)
def test_a_prefix_is_read_as_numbers_are(written: str, region: str, mark: str) -> None:
    """With a plus as it is, else by the country of the installation."""
    assert read_prefix(written, region) == mark


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "no beginning"),
        ("*", "no beginning"),
        ("+7495x", "no beginning"),
        ("+7٤٩٥", "no beginning"),
        ("+0495", "code of the country"),
        ("4420", "code of the country"),  # no number of Russia begins so
        ("+123456789012345", "code of the country"),  # a whole number
        ("+7", "whole country"),
        ("7", "whole country"),
        ("8", "whole country"),
        ("+1", "whole country"),
        ("+44", "whole country"),
        ("+99", "whole country"),  # several of them
        ("+380", "whole country"),
        ("834", "+734 and +7834"),  # 8 (34...) or (834...)
    ],
)
def test_what_is_no_prefix_is_told(written: str, why: str) -> None:
    """In the one rule for all countries: a beginning goes on after the code of its country."""
    with pytest.raises(Invalid) as error:
        read_prefix(written, "RU")
    assert why in str(error.value)


@pytest.mark.parametrize(
    ("prefix", "others"),
    [
        ("+8495", ("+7495",)),  # once written 8495; of Vietnam
        ("+495", ("+7495",)),  # 495; of Germany
        ("+834", ("+734", "+7834")),
        ("+7495", ()),
        ("+4420", ()),  # no Russian number begins with 4420
    ],
)
def test_what_else_a_beginning_may_have_meant(prefix: str, others: tuple[str, ...]) -> None:
    """A plus that was put before what had none makes another country of it."""
    assert other_meanings(prefix, "RU") == others


@given(st.from_regex(r"\A[3489][0-9]{9}\Z"), st.integers(3, 7))
def test_a_beginning_that_is_taken_covers_the_number(digits: str, length: int) -> None:
    """However a Russian number is written, its beginning is one of it, where it can mean one thing only."""
    for written in (f"8{digits}", f"7{digits}", f"+7{digits}", digits):
        number = read_number(written, "RU")
        if not isinstance(number, PhoneNumber) or number.e164 != f"+7{digits}":
            continue
        try:
            mark = read_prefix(written[:length], "RU")
        except Invalid:
            continue
        assert mark in marks(number.e164)
