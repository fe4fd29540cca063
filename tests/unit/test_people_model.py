"""What a change of a person's numbers or zone means for the leads that wait."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.people_model import Number, Refit, Waiting, refit

A, B, C = "+79161234567", "+74951234567", "+79160000001"
OMSK, MOSCOW = ("Asia/Omsk",), ("Europe/Moscow",)


def numbers(*order: str) -> list[Number]:
    """A person's numbers in this order, all in Moscow."""
    return [Number(n, n, e164, "mobile", "", MOSCOW, None) for n, e164 in enumerate(order, start=1)]


def lead(e164: str, *, campaign: int = 1, zones: tuple[str, ...] = MOSCOW, untouched: bool = True) -> Waiting:
    """A lead that waits; its id is its campaign's."""
    return Waiting(campaign, campaign, e164, zones, untouched)


@pytest.mark.parametrize(
    ("leads", "order", "zone", "renamed", "taken", "reordered", "said"),
    [
        # Nothing to do.
        ([lead(A)], [A, B], None, {}, (), False, []),
        # Another zone on the record, and the record's zone gone.
        ([lead(A)], [A], "Asia/Omsk", {}, (), False, [Refit(1, A, OMSK)]),
        ([lead(A, zones=OMSK)], [A], None, {}, (), False, [Refit(1, A, MOSCOW)]),
        # The number was corrected.
        ([lead(A)], [C], None, {A: C}, (), False, [Refit(1, C, MOSCOW)]),
        # It was taken off: the next one, or the end.
        ([lead(A)], [B], None, {}, (), False, [Refit(1, B, MOSCOW)]),
        ([lead(A)], [B, C], None, {}, [(1, B)], False, [Refit(1, C, MOSCOW)]),
        ([lead(A)], [B], None, {}, [(1, B)], False, [Refit(1, None)]),
        # What another campaign has is no hindrance.
        ([lead(A)], [B], None, {}, [(2, B)], False, [Refit(1, B, MOSCOW)]),
        # A new order is for those whom nobody has called yet.
        ([lead(A)], [B, A], None, {}, (), True, [Refit(1, B, MOSCOW)]),
        ([lead(A, untouched=False)], [B, A], None, {}, (), True, []),
        ([lead(A)], [B, A], None, {}, [(1, B)], True, []),
        ([lead(A)], [B, A], None, {}, (), False, []),
        # Corrected to a number that the campaign has by somebody else.
        ([lead(A)], [C], None, {A: C}, [(1, C)], False, [Refit(1, None)]),
    ],
)
def test_leads_follow_the_card(
    leads: list[Waiting],
    order: list[str],
    zone: str | None,
    renamed: Mapping[str, str],
    taken: list[tuple[int, str]],
    reordered: bool,
    said: list[Refit],
) -> None:
    """One change of a card a row, and what becomes of its leads."""
    found = refit(leads, numbers(*order), zone, renamed=renamed, taken=[(1, A), *taken], reordered=reordered)
    assert found == said


NUMBERS = st.sampled_from([f"+7916000000{n}" for n in range(5)])


@given(
    st.lists(st.tuples(st.integers(1, 2), NUMBERS), unique=True, max_size=6),
    st.lists(NUMBERS, unique=True, min_size=1, max_size=5),
    st.sets(st.tuples(st.integers(1, 2), NUMBERS), max_size=4),
    st.booleans(),
)
def test_no_campaign_gets_a_number_twice(
    own: list[tuple[int, str]], order: list[str], others: set[tuple[int, str]], reordered: bool
) -> None:
    """Written one after the other, leads never meet in a number, and each ends at a number of the card."""
    leads = [Waiting(n, campaign, e164, MOSCOW, True) for n, (campaign, e164) in enumerate(own)]
    held = dict.fromkeys(others - set(own), -1)
    held |= {pair: n for n, pair in enumerate(own)}
    places = dict(enumerate(own))
    for one in refit(leads, numbers(*order), None, renamed={}, taken=[*own, *others], reordered=reordered):
        if one.e164 is None:
            continue
        campaign, was = places[one.lead_id]
        del held[campaign, was]
        assert (campaign, one.e164) not in held
        held[campaign, one.e164] = one.lead_id
        places[one.lead_id] = campaign, one.e164
        assert one.e164 in order
