"""Which offer a person is made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dialer.offers.model import Offer, Skipped, choose

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = Offer(1, "p", "a", "раз", "one", None, None, active=True, position=10)
SECOND = replace(FIRST, id=2, position=20)


def test_the_first_of_the_order_is_offered() -> None:
    """By position, then by age; whatever order they come in."""
    same = replace(FIRST, id=3)
    chosen = choose([SECOND, same, FIRST], (), (), NOW)
    assert (chosen.offer, chosen.skipped) == (FIRST, {})


def test_what_cannot_be_made_is_skipped_with_its_reason() -> None:
    """Until none is left."""
    late = replace(FIRST, active_from=NOW + HOUR)
    over = replace(FIRST, id=4, active_until=NOW)
    off = replace(FIRST, id=5, active=False)
    chosen = choose([late, over, off, replace(FIRST, id=6), replace(FIRST, id=7), SECOND], [6], [7], NOW)
    assert chosen.offer == SECOND
    assert chosen.skipped == {
        1: Skipped.NOT_YET, 4: Skipped.OVER, 5: Skipped.OFF, 6: Skipped.ACCEPTED, 7: Skipped.DECLINED,
    }  # fmt: skip
    assert choose([late], (), (), NOW).offer is None
    assert choose([late], (), (), NOW + HOUR).offer == late


def test_an_offer_is_said_in_the_language_that_it_has() -> None:
    """That of the caller, else the other."""
    assert [FIRST.text("ru"), FIRST.text("en"), replace(FIRST, text_en="").text("en")] == [
        "раз",
        "one",
        "раз",
    ]
