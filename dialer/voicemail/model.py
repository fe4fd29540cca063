"""A message that somebody has left, and whether there is anything in it. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

#: Samples a second of what Asterisk records.
RATE: Final = 8000
#: The piece of sound that is called loud or not: 20 ms.
WINDOW: Final = RATE // 50
#: Half the swing of a loud piece, of 32767: a low voice far from the phone is above it, a line's hiss below.
LOUD: Final = 500
#: Seconds of loud pieces under which a message is empty: a breath, a click, the phone put down.
LEAST_S: Final = 0.4


@dataclass(frozen=True, slots=True)
class Message:
    """A message."""

    id: int
    #: in which it was left
    call_id: UUID
    #: who has left it has called us; else we have called them
    inbound: bool
    #: our number that was called, or that we have called from
    dialled: str
    #: E.164; empty: withheld
    e164: str
    contact_id: int | None
    #: of the contact; empty: not known
    name: str
    #: whose promised calls and lists it belongs to
    campaign_id: int
    box: str
    began_at: datetime
    #: seconds
    length_s: float
    #: None: nobody has heard it
    heard_at: datetime | None
    #: the name of who has
    heard_by: str | None


@dataclass(frozen=True, slots=True)
class Boxes:
    """Which boxes somebody may listen to."""

    #: None: all
    names: Collection[str] | None = None

    def has(self, box: str) -> bool:
        """Whether this one is among them."""
        return self.names is None or box in self.names


def heard_s(samples: array[int]) -> float:
    """How many seconds of 16-bit samples somebody can be heard in."""
    loud = 0
    for at in range(0, len(samples), WINDOW):
        piece = samples[at : at + WINDOW]
        loud += max(piece) - min(piece) > 2 * LOUD
    return loud * WINDOW / RATE


def is_empty(samples: array[int]) -> bool:
    """Whether nobody has said anything."""
    return heard_s(samples) < LEAST_S
