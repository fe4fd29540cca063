"""Numbers that are called, flows and their versions, and calls that came in: values and rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from dialer.calls.model import Result
from ivr_flows.model import Action, Came, Dial, Event, RequestCallback, Transfer, Voicemail
from ivr_flows.writing import yaml_of

#: How a called number is kept: digits, without a plus.
NUMBER: Final = re.compile(r"[0-9]{2,20}")
#: How long a caller waits for an agent where neither flow nor queue says, seconds.
USUAL_WAIT_S: Final = 600.0

#: Which missed callers are called back, see `Number`.
MissedRule = Literal["usual", "off", "queue", "all"]


@dataclass(frozen=True, slots=True)
class Number:
    """A number of ours that people call."""

    id: int
    #: digits, as the trunk sends them
    number: str
    name: str
    flow_id: int
    flow: str
    #: whose dispositions, recording and wrap-up limit its talks have
    campaign_id: int
    campaign: str
    #: where callers wait if the flow names no queue
    queue: str
    #: who calls it goes through the version that is tried out
    test: bool
    active: bool
    #: which callers whom nobody served are called back: as for all numbers (see `missed_rule`), none, who
    #: waited in a queue, or who left the flow too
    missed_rule: MissedRule = "usual"
    #: after so long a wait at least, seconds; not with `usual`
    missed_after_s: int = 10


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A flow with its versions in use."""

    id: int
    name: str
    #: None: nothing has been published
    live_version: int | None
    test_version: int | None
    #: the latest
    last_version: int | None


@dataclass(frozen=True, slots=True)
class Version:
    """What a flow says in a version."""

    flow_id: int
    flow: str
    version: int
    state: str
    document: Mapping[str, Any]
    #: the YAML that was written, with its comments; "": it came as values
    source: str
    made_by: int | None
    made_at: datetime

    @property
    def text(self) -> str:
        """As YAML."""
        return self.source or yaml_of(self.document)


@dataclass(frozen=True, slots=True)
class Stepped:
    """A state that a caller was in."""

    n: int
    flow: str
    state: str
    #: by which it was left; None: the call is there, or ended there
    event: str | None
    at: datetime
    #: what the caller pressed in it, by name
    collected: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A call that came in."""

    id: UUID
    dialled: str
    #: E.164; empty: withheld
    e164: str
    flow: str
    flow_version: int
    campaign_id: int
    contact_id: int | None
    state: str
    result: str | None
    queue: str | None
    reason: str | None
    collected: Mapping[str, Any]
    agent: str | None
    detail: str | None
    created_at: datetime
    queued_at: datetime | None
    connected_at: datetime | None
    hung_up_at: datetime | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls; None: any."""

    #: ours that was called, digits
    dialled: str | None = None
    #: the caller's, E.164
    e164: str | None = None
    queue: str | None = None
    result: str | None = None
    since: datetime | None = None
    #: not itself
    until: datetime | None = None


def dialled_digits(sent: str) -> str:
    """The called number as it is kept, of what a trunk sends: `+7 495 ...`, `7495...`."""
    return re.sub(r"\D", "", sent)


def outcome(action: Action, event: Event) -> Result | None:
    """What the call comes to when this action was done with this event; None: nothing new."""
    if not isinstance(event, Came):
        return None
    match action, event.event:
        case Voicemail(), "done":
            return Result.VOICEMAIL
        case RequestCallback(), "done":
            return Result.CALLBACK
        case (Transfer(), "done") | (Dial(), "answered"):
            return Result.TRANSFERRED
    return None
