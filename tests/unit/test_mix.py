"""How a campaign's calls are shared out among its lists."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.mix import Share, deal


@pytest.mark.parametrize(
    ("wanted", "shares", "dealt"),
    [
        (10, [Share(1, 70), Share(2, 30)], {1: 7, 2: 3}),
        (1, [Share(1, 30), Share(2, 70)], {2: 1}),
        (3, [Share(1, 1), Share(2, 1), Share(3, 1)], {1: 1, 2: 1, 3: 1}),
        # The first is ahead of its share: the second makes up for it.
        (4, [Share(1, 50, 10), Share(2, 50, 6)], {2: 4}),
        (6, [Share(1, 50, 10), Share(2, 50, 6)], {1: 1, 2: 5}),
        (0, [Share(1, 1)], {}),
        (5, [], {}),
    ],
)
def test_who_is_furthest_behind_comes_next(wanted: int, shares: list[Share], dealt: dict[int, int]) -> None:
    """As many of each list as bring what was dialled today nearest to the shares."""
    assert deal(wanted, shares) == dealt


@given(
    shares=st.lists(st.integers(1, 100), min_size=1, max_size=6),
    batches=st.lists(st.integers(1, 20), min_size=1, max_size=30),
)
def test_every_list_keeps_near_its_share(shares: list[int], batches: list[int]) -> None:
    """However the calls come in batches, no list is ever further from its share than one lead a list."""
    dialled: Counter[int] = Counter()
    for wanted in batches:
        dealt = deal(wanted, [Share(n, share, dialled[n]) for n, share in enumerate(shares)])
        assert sum(dealt.values()) == wanted
        dialled.update(dealt)
        for n, share in enumerate(shares):
            due = dialled.total() * share / sum(shares)
            assert abs(dialled[n] - due) < len(shares)
