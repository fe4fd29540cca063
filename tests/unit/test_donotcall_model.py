"""Whom not to call: marks of numbers and prefixes, what covers what, and the locks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.compliance.filters import Unwanted
from dialer.db.tables import DNC_KINDS, DNC_SOURCES
from dialer.donotcall.model import (
    MOST_LOCKS,
    Kind,
    Source,
    in_force,
    lock_of,
    locks_of,
    longest,
    marks,
    one_by_one,
    shown,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
NUMBERS = st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z")


@given(NUMBERS)
def test_a_number_is_found_under_each_of_its_beginnings(number: str) -> None:
    """What is looked up for a number are itself and every prefix that it goes on from; not itself as one: an
    entry for longer numbers does not stop the number that they begin with."""
    beginnings = {f"{number[:length]}*" for length in range(3, len(number))}
    asked = marks(number)
    assert {*asked} == {number, *beginnings}
    assert len(asked) == len({*asked})


@given(NUMBERS)
def test_a_mark_shows_what_it_is_for(number: str) -> None:
    """The number, or the beginning of numbers."""
    assert shown(f"{number}*") == number == shown(number)


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "now"),
    [
        (None, None, True),
        (NOON, None, True),
        (NOON + timedelta(seconds=1), None, False),
        (None, NOON, False),
        (None, NOON + timedelta(seconds=1), True),
    ],
)
def test_an_entry_counts_from_its_beginning_to_before_its_end(
    valid_from: datetime | None, valid_until: datetime | None, now: bool
) -> None:
    """An entry without a beginning counts whatever the clock says."""
    assert in_force(valid_from, valid_until, NOON) is now


def test_what_lasts_longest_counts() -> None:
    """Of several that cover a number one for good, else the one with the latest end; of two the older."""
    short = Unwanted(3, "api", NOON)
    long = Unwanted(4, "import", NOON + timedelta(days=1))
    for_good = Unwanted(9, "registry", None)
    assert longest([short, long]) == long
    assert longest([short, for_good, long, Unwanted(12, "api", None)]) == for_good


@given(st.lists(NUMBERS, max_size=20), st.integers(1, 9))
def test_locks_are_taken_in_one_order(numbers: list[str], tenant: int) -> None:
    """Whoever takes several takes them in the same order, each once; another tenant's are others."""
    keys = locks_of(tenant, numbers)
    assert keys == sorted(set(keys))
    assert keys == locks_of(tenant, numbers[::-1])
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert not set(keys) & set(locks_of(tenant + 1, numbers))
    assert lock_of(tenant) not in keys


def test_many_numbers_and_prefixes_are_put_under_the_lock_of_all() -> None:
    """A database has room for some thousand locks, and a prefix names no numbers."""
    assert one_by_one(["+79160000000"])
    assert not one_by_one(["+79160000000", "+7495*"])
    assert not one_by_one([f"+7916{n:07}" for n in range(MOST_LOCKS + 1)])


def test_the_database_knows_the_words() -> None:
    """Kinds and sources are those of the columns."""
    assert [str(each) for each in Kind] == list(DNC_KINDS)
    assert [str(each) for each in Source] == list(DNC_SOURCES)
