"""A letter that was asked for in a talk, and when it is tried again. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

#: Longest subject, in characters.
LONGEST_SUBJECT: Final = 200
#: The times between tries; after the last one it has failed.
AGAIN: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 600))
_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+")


class State(StrEnum):
    """What became of it; words of `letter.state`."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A letter as it is asked for in a talk."""

    contact_id: int
    campaign_id: int
    call_id: UUID
    agent_id: int | None
    #: an e-mail address; empty: the person's
    to: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One that is to be sent now."""

    id: int
    campaign_id: int
    agent_id: int | None
    to: str
    subject: str
    text: str
    #: this one included
    tries: int


def is_address(text: str) -> bool:
    """Whether a letter can be sent there."""
    return len(text) <= 254 and text.isascii() and _ADDRESS.fullmatch(text) is not None


def again(tries: int) -> timedelta | None:
    """When the next try is, after so many; None: there is none."""
    return AGAIN[tries - 1] if tries <= len(AGAIN) else None
