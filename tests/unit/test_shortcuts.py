"""The keys of the desk: which are taken, and which are no two actions'."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dialer.errors import Invalid
from dialer.users.shortcuts import USUAL, choose, keys_of


def test_no_two_usual_keys_are_the_same() -> None:
    """Each action has a letter of its own."""
    assert len(set(USUAL.values())) == len(USUAL)
    assert choose(USUAL) == {}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({"hold": "x"}, {"hold": "x"}),
        ({"hold": " X "}, {"hold": "x"}),
        ({"hold": "ч"}, {"hold": "x"}),  # the Russian letter of that key
        ({"hold": "m", "mute": "h"}, {"hold": "m", "mute": "h"}),  # one takes the other's
        ({"hold": "h"}, {}),
    ],
)
def test_other_keys_are_kept(wanted: Mapping[str, str], kept: Mapping[str, str]) -> None:
    """By their place on the keyboard, and only where they are not the usual ones."""
    assert choose(wanted) == kept
    assert keys_of(kept) == {**USUAL, **kept}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"mute": "h"}, "mute"),  # holds, as nobody has said otherwise
        ({"hold": "1"}, "hold"),  # digits are the dispositions'
        ({"hold": ""}, "hold"),
        ({"hold": "xy"}, "hold"),
        ({"hold": "é"}, "hold"),
        ({"dance": "d"}, "dance"),
    ],
)
def test_wrong_keys_name_their_action(wanted: Mapping[str, str], field: str) -> None:
    """Two actions of one key, what is no letter, and what is not done at a desk."""
    with pytest.raises(Invalid) as caught:
        choose(wanted)
    assert caught.value.details["field"] == field
