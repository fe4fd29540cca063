"""What is known of the person on a card besides, over HTTP."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from dialer.compliance.policy import Purpose
from dialer.httpkit.schema import Out
from dialer.visits.model import State as VisitState
from scheduler.callbacks import Stage


class AgreedOut(Out):
    """What the person has said of calls for a purpose."""

    purpose: Purpose
    given: bool = Field(description="they may be called for it now")
    until: datetime | None = Field(
        description="given: when that ends; else when it begins; null: no such time is known"
    )


class CameOut(Out):
    """A visit of the person."""

    at: datetime
    place: str
    state: VisitState


class PromisedOut(Out):
    """A call that the person is promised, and that was not made yet."""

    id: int = Field(description="the callback, as /callbacks has it")
    due_at: datetime
    agent: str | None = Field(description="who has promised it; null: any agent")
    campaign: str
    note: str
    stage: Stage


class AboutOut(Out):
    """What is known of the person besides the card."""

    attempts: int = Field(description="calls of ours to them, but for this one")
    campaign_attempts: int = Field(description="those of them for this campaign")
    talks: int = Field(description="calls in either direction in which an agent has talked with them")
    agreed: list[AgreedOut] = Field(description="the purposes of which they have ever said something")
    last_visit: CameOut | None
    next_visit: CameOut | None
    promised: list[PromisedOut] = Field(description="by when they are due, the first few")
