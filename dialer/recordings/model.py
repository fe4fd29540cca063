"""A recording as people look for it, and what they note of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Direction = Literal["inbound", "outbound"]


@dataclass(frozen=True, slots=True)
class Which:
    """Which recordings; None: any."""

    agent_id: int | None = None
    campaign_id: int | None = None
    #: exactly this number
    e164: str | None = None
    direction: Direction | None = None
    #: begun at this moment or later
    since: datetime | None = None
    #: begun before this moment
    until: datetime | None = None
    #: seconds
    least_s: float | None = None
    most_s: float | None = None
    #: the code of what the talk came to
    disposition: str | None = None
    #: with a mark, or without one
    marked: bool | None = None
    #: kept past its term, or not
    held: bool | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """The whole recording of a talk, with the names of what it belongs to."""

    id: int
    #: of the attempt, or of the inbound call
    call_id: UUID
    direction: Direction
    campaign_id: int
    campaign: str
    #: None: nobody of ours was in the call any more, or ever
    agent_id: int | None
    agent: str | None
    #: the user that the agent is
    agent_user_id: int | None
    contact_id: int | None
    #: of the person; empty: not known
    name: str
    #: E.164; empty: withheld
    e164: str
    started_at: datetime
    #: seconds
    duration_s: float
    size_bytes: int
    disposition_code: str | None
    disposition_ru: str | None
    disposition_en: str | None
    #: [{"from_s": 12.5, "until_s": 20.1}]: silence that was asked for; until_s None: to the end
    pauses: Sequence[Mapping[str, float | None]]
    #: how many
    marks: int
    #: of the file when the talk ended, hex; None: of a recording older than this
    sha256: str | None
    held_at: datetime | None
    #: the user's name
    held_by: str | None
    hold_reason: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that somebody has marked."""

    id: int
    #: from the beginning
    at_s: float
    text: str
    made_at: datetime
    #: the user's name
    made_by: str | None


@dataclass(frozen=True, slots=True)
class Listening:
    """Somebody has listened, or has taken the file away."""

    at: datetime
    user_id: int | None
    #: the user's present name; None: the server
    name: str | None
    downloaded: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a file is what it was when the talk ended."""

    #: None: of a recording older than this
    kept: str | None
    #: None: the file is not there
    found: str | None

    @property
    def intact(self) -> bool | None:
        """None: it cannot be told."""
        return None if self.kept is None else self.kept == self.found
