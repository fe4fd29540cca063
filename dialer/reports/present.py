"""What of the present is shown in several places: agents, the latest pacing decision, who waits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dialer.agents.model import Agent, Shift

#: What pages say of a talk whose customer is on hold; the agent's state is `talking`.
HOLD: Final = "hold"


@dataclass(frozen=True, slots=True)
class OnShift:
    """An agent who is logged in."""

    agent: Agent
    shift: Shift
    #: the agent has put the customer on hold then; None: nobody is
    held_at: datetime | None = None

    @property
    def shown(self) -> str:
        """The name of the state, or HOLD."""
        return HOLD if self.held_at is not None else self.shift.state.value

    @property
    def shown_since(self) -> datetime:
        """Since when."""
        return self.held_at or self.shift.state_since


@dataclass(frozen=True, slots=True)
class Whose:
    """The call that an agent has."""

    campaign_id: int
    campaign: str
    #: of a caller
    queue: str | None
    #: the agent has put the customer on hold then
    held_at: datetime | None


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
