"""What of the present is shown in several places: the latest pacing decision, who waits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Pace:
    """Why so many calls were placed, and not more."""

    at: datetime
    #: calls to place
    dial: int
    #: the reason's stable name
    why: str
    #: the numbers behind it
    inputs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WaitingCallers:
    """Those who wait in a queue."""

    queue: str
    #: on the line
    many: int
    #: when the one of them came who waits longest; None: nobody is on the line
    since: datetime | None
    #: who have hung up and kept their place
    kept: int = 0
