"""Values as people read them."""

from __future__ import annotations

import pytest

from dialer.web import formats


@pytest.mark.parametrize(
    ("seconds", "english", "russian"),
    [(1500, "25 min", "25 мин"), (29_100, "8 h 5 min", "8 ч 5 мин"), (36_000, "10 h", "10 ч")],
)
def test_how_long_a_list_lasts_is_said_in_hours(seconds: float, english: str, russian: str) -> None:
    """Nobody divides 485 minutes by sixty at a glance."""
    said = [formats.lasting(seconds, locale).replace(formats.HARD, " ") for locale in ("en", "ru")]
    assert said == [english, russian]


@pytest.mark.parametrize(
    ("share", "said"), [(0.03, "3%"), (0.025, "2.5%"), (0.0075, "0.75%"), (0.07, "7%"), (None, "—")]
)
def test_a_limit_is_not_rounded_to_another(share: float | None, said: str) -> None:
    """2.5% is neither 2% nor 3%; a whole one has no point."""
    assert formats.limit(share, "en") == said
