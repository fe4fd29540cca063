"""A visit that somebody was booked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

#: So far ahead one can be booked.
WITHIN: Final = timedelta(days=366)


class State(StrEnum):
    """What became of a visit."""

    BOOKED = "booked"
    KEPT = "kept"
    MISSED = "missed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Booking:
    """A visit as it is agreed in a talk."""

    contact_id: int
    campaign_id: int
    call_id: UUID
    agent_id: int | None
    #: a reading without a zone is of the tenant's place: there they come
    at: datetime
    place: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that was booked."""

    id: int
    contact_id: int
    #: the person's, as on the card
    name: str
    campaign_id: int
    campaign: str
    call_id: UUID
    #: who has talked; "": the server does not know
    agent: str
    at: datetime
    place: str
    note: str
    state: State
    booked_at: datetime
