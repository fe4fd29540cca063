"""When calls make a number dead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.dead_numbers import SAYS_NOTHING, is_dead
from dialer.db.tables import RESULTS


@pytest.mark.parametrize(
    ("results", "dead"),
    [
        ([], False),
        (["invalid"], False),
        (["invalid", "invalid"], True),
        (["invalid", "busy", "invalid"], False),
        (["invalid", "congestion", "failed", "invalid"], True),
        (["canceled", "invalid", "unknown", "invalid", "answered"], True),
        (["no_answer", "invalid", "invalid"], False),
        (["congestion", "congestion"], False),
    ],
)
def test_two_invalid_in_a_row_make_a_number_dead(results: list[str], dead: bool) -> None:
    """The latest calls count, those that say nothing of the number are passed over."""
    assert is_dead(results, 2) is dead


@given(st.lists(st.sampled_from(RESULTS), max_size=8), st.integers(1, 4))
def test_what_says_nothing_changes_nothing(results: list[str], in_a_row: int) -> None:
    """With the results that say nothing of a number left out, the answer is the same."""
    telling = [result for result in results if result not in SAYS_NOTHING]
    assert is_dead(results, in_a_row) is is_dead(telling, in_a_row)
    assert is_dead(results, in_a_row) is (telling[:in_a_row] == ["invalid"] * in_a_row)
