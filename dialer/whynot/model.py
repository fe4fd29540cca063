"""Why a number is not dialled: everything that is looked at, in one order, each with its answer. Pure.

What stands before each attempt is `dialer.compliance.filters`, and nothing of it stands here a second time.
Around it comes what else keeps a lead from being dialled now: a campaign that does not run, a lead that is
closed or waits, trunks that take no call, agents who are not there. A step that `stops` is a "no" of this
moment; the first of them is *the* reason. The same steps count the leads of a campaign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from dialer.compliance.calendar import place_of
from dialer.compliance.filters import Filter
from dialer.donotcall.model import Entry

#: The ids of the steps that are no filters.
CAMPAIGN: Final = "campaign"
POLICY: Final = "policy"
LEAD: Final = "lead"
CALL: Final = "call"
WAIT: Final = "wait"
WINDOW: Final = "window"
LINES: Final = "lines"
SERVER: Final = "server"
AGENTS: Final = "agents"
TURN: Final = "turn"

_EARLY: Final = ("number", "do_not_call", "consent", "mode")
#: All steps in their order. A filter that is none of the early ones comes after the lead's own wait: who
#: waits an hour for a retry need not hear first that it is night.
STEPS: Final[tuple[str, ...]] = (
    CAMPAIGN,
    POLICY,
    LEAD,
    CALL,
    *(one.value for one in Filter if one.value in _EARLY),
    WAIT,
    *(one.value for one in Filter if one.value not in _EARLY),
    WINDOW,
    LINES,
    SERVER,
    AGENTS,
    TURN,
)
#: The steps that are about the lead and its number; the others are about the whole campaign.
OF_LEAD: Final = frozenset(STEPS[STEPS.index(LEAD) : STEPS.index(WINDOW) + 1])
#: Words of `lead.hold` that are waits of the lead's own: no filter says them.
OWN_WAITS: Final = frozenset({"retry", "callback", "trunk"})
#: After everything that comes.
NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one step says."""

    #: one of STEPS
    step: str
    #: whether it keeps the number from being dialled now
    stops: bool = False
    #: the stable name of why, or of how it passes; empty: it passes, and there is nothing to say
    reason: str = ""
    #: where it stops: when it may pass; where it passes: until when it will. None: no time is known
    until: datetime | None = None
    #: the IANA zone by whose clock `until` is meant
    place: str = ""
    #: what exactly: names, numbers
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class CampaignRef:
    """A campaign that is asked about."""

    id: int
    name: str
    #: draft, running, paused, stopped
    status: str
    mode: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Why one campaign does not dial one number now, or that it would."""

    campaign: CampaignRef
    e164: str
    #: None: the campaign has no lead of it
    lead_id: int | None
    contact_id: int | None
    #: all zones where it may be
    zones: tuple[str, ...]
    #: in the order of STEPS
    answers: tuple[Answer, ...]
    #: the earliest moment at which all that is known lets it pass; None: now, or nobody knows
    not_before: datetime | None = None

    @property
    def stopped(self) -> Answer | None:
        """The first that says no; None: it is dialled when its turn comes."""
        return next((one for one in self.answers if one.stops), None)

    @property
    def admitted(self) -> bool:
        """Whether lead and number may be dialled now, whoever dials."""
        return not any(one.stops for one in self.answers if one.step in OF_LEAD)

    @property
    def place(self) -> str:
        """The zone by whose clock `not_before` is told."""
        return place_of(self.zones, self.not_before) if self.not_before else ""


@dataclass(frozen=True, slots=True)
class Known:
    """A contact that has the number."""

    contact_id: int
    name: str
    #: the number leads to nobody
    dead: bool
    #: names of the lists that the contact is on
    lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said of a number, or of a contact's numbers."""

    #: None: a contact was asked about
    e164: str | None
    contacts: tuple[Known, ...]
    #: whether no campaign at all may call the number
    unwanted: bool
    findings: tuple[Finding, ...]
    #: there are more leads than were looked at
    more: bool = False
    #: what is on the do-not-call list for the number now, the newest first
    entries: tuple[Entry, ...] = ()
    #: its owner was erased and had asked not to be called
    erased: bool = False

    @property
    def dialled(self) -> bool:
        """Whether some campaign dials it when its turn comes."""
        return any(one.stopped is None for one in self.findings)


@dataclass(frozen=True, slots=True)
class Count:
    """Leads that one step stops."""

    step: str
    reason: str
    leads: int
    #: when the first of them may pass; None: no time is known
    opens: datetime | None = None
    #: the zone by whose clock
    place: str = ""


@dataclass(frozen=True, slots=True)
class Funnel:
    """A campaign's leads by what stops them."""

    campaign: CampaignRef
    #: all leads, closed ones too
    leads: int
    #: what stops, in the order of STEPS; together with `ready` they are all leads
    counts: tuple[Count, ...]
    #: leads that nothing stops, as far as was asked
    ready: int
    #: of them the next ones, to whom every rule was put one by one
    asked: int
    #: what is about the whole campaign
    answers: tuple[Answer, ...]
    #: none of those that are ready was asked: the next ones are all stopped by something else
    unknown: bool = False
    #: what the policy and the purpose of the campaign are called
    policy: str = ""
    purpose: str = ""
    #: leads that a person starts themselves are not dialled by anybody else
    by_hand: bool = False

    @property
    def exact(self) -> bool:
        """Whether every rule was put to all that are ready."""
        return self.asked >= self.ready

    @property
    def dials(self) -> bool:
        """Whether there is somebody to be dialled now, or within seconds."""
        soon = any(one.step == WINDOW and one.reason == "being_written" for one in self.counts)
        return self.asked > 0 or soon or (self.unknown and self.ready > 0)

    @property
    def first(self) -> Count | None:
        """Which of the stopped may pass first."""
        timed = [one for one in self.counts if one.opens is not None]
        return min(timed, key=lambda one: one.opens or NEVER, default=None)


def in_order(counts: Iterable[Count]) -> tuple[Count, ...]:
    """By the order of the steps; of one step the most first."""
    known = [one for one in counts if one.leads]
    return tuple(sorted(known, key=lambda one: (STEPS.index(one.step), -one.leads, one.reason)))


def latest(answers: Sequence[Answer]) -> datetime | None:
    """When all that stops has passed by itself; None: something of it does not."""
    times = [one.until for one in answers if one.stops]
    return None if None in times else max(filter(None, times), default=None)
