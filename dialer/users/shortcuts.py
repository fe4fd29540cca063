"""The keys of an agent's desk: what they do, and which a user has chosen instead. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dialer.errors import Invalid
from dialer.said import Said

#: What is done, with the key that does it where nobody has chosen another; in the order of the help sheet.
#: The digits are the dispositions'.
USUAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hold": "h",
        "mute": "m",
        "record": "r",
        "keys": "k",
        "transfer": "t",
        "ask": "a",
        "put_through": "p",
        "confer": "j",
        "hand_over": "o",
        "back": "b",
        "message": "l",
        "hang_up": "e",
        "note": "n",
        "card": "c",
        "dial": "d",
        "skip": "s",
        "ready": "g",
        "pause": "z",
    }
)
_KEY: Final = re.compile(r"[a-z]")
#: Russian letters stand on these keys.
_PLACES: Final = str.maketrans("йцукенгшщзфывапролдячсмить", "qwertyuiopasdfghjklzxcvbnm")


def place(key: str) -> str:
    """The key on which a letter stands, whatever the keyboard's language."""
    return key.strip().lower().translate(_PLACES)


def keys_of(chosen: Mapping[str, str]) -> dict[str, str]:
    """The key of each action."""
    return {action: chosen.get(action, usual) for action, usual in USUAL.items()}


def choose(wanted: Mapping[str, str]) -> dict[str, str]:
    """What is kept of the wanted keys, by action: those that are not the usual ones. Raises Invalid of the
    action whose key is none, or another action's too."""
    for action in wanted:
        if action not in USUAL:
            raise Invalid(field=action, reason="there is no such action")
    keys = keys_of({action: place(key) for action, key in wanted.items()})
    used: dict[str, str] = {}
    for action, key in keys.items():
        if not _KEY.fullmatch(key):
            raise Invalid(field=action, reason="must be one letter")
        if key in used:
            raise Invalid(field=action, reason=Said("the key {key} has another use", key=key.upper()))
        used[key] = action
    return {action: key for action, key in keys.items() if key != USUAL[action]}
