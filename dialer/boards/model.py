"""What a supervisor sees of the whole centre at one moment: who does what, calls, queues, lines. Pure.

`Now` changes with every call and is read anew for each change; `Counted` is sums of the day, which may be a
second old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from dialer.agents.model import AgentState
from dialer.reports.present import HOLD, OnShift, Pace, WaitingCallers

#: What agents do, as pages say it: first what costs the most attention.
SHOWN: Final = ("lost", "talking", HOLD, "wrap_up", "reserved", "ready", "paused", "calling")
#: Their states, in that order.
STATES: Final = tuple(AgentState(name) for name in SHOWN if name != HOLD)
#: Who takes calls, now or after the present one.
AT_WORK: Final = frozenset({AgentState.READY, AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP})
#: Calls under way by what a supervisor asks of them: not answered yet, ringing of these, answered and without
#: an agent, in a talk.
STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "in_air": ("dialling", "ringing"),
    "ringing": ("ringing",),
    "waiting": ("answered", "screening", "waiting"),
    "talking": ("connected",),
}


@dataclass(frozen=True, slots=True)
class AtWork(OnShift):
    """An agent who is logged in, as the board tells it."""

    #: whose call the agent has; None: none
    campaign_id: int | None = None
    campaign: str | None = None
    #: the caller's queue, of a call that has come in
    queue: str | None = None
    #: how long a pause of this code may last, seconds; None: as long as one likes, or no pause
    pause_limit_s: int | None = None

    def over_limit(self, now: datetime) -> bool:
        """Whether the pause has lasted for longer than its code allows."""
        limit = self.pause_limit_s
        return limit is not None and (now - self.shift.state_since).total_seconds() > limit


@dataclass(frozen=True, slots=True)
class CampaignNow:
    """A campaign that runs or is paused."""

    id: int
    name: str
    status: str
    mode: str
    #: calls that have not ended, by state
    calls: Mapping[str, int]
    #: agents who could take its calls and are logged in, by state
    agents: Mapping[AgentState, int]
    #: None: nothing was decided yet
    pace: Pace | None

    @property
    def ready(self) -> int:
        """Agents who could take a call now."""
        return self.agents.get(AgentState.READY, 0)

    @property
    def at_work(self) -> int:
        """Agents who take its calls: not those on a pause, or whose phone is called or lost."""
        return sum(many for state, many in self.agents.items() if state in AT_WORK)

    def stage(self, name: str) -> int:
        """Calls of a stage, see STAGES."""
        return sum(self.calls.get(state, 0) for state in STAGES[name])


@dataclass(frozen=True, slots=True)
class TrunkNow:
    """A trunk that is in use."""

    id: int
    name: str
    #: calls that hold a line, of so many
    channels: int
    most: int
    bad: bool
    #: since when it is as it is, and why; None: not known
    since: datetime | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """The centre at this moment."""

    at: datetime
    agents: Sequence[AtWork]
    campaigns: Sequence[CampaignNow]
    waiting: Sequence[WaitingCallers]
    trunks: Sequence[TrunkNow]

    @property
    def by_state(self) -> dict[AgentState, int]:
        """Agents by state, in the order of STATES; every state is there."""
        return {state: sum(one.shift.state is state for one in self.agents) for state in STATES}

    @property
    def by_shown(self) -> dict[str, int]:
        """As `by_state`, but those whose customer is on hold apart from those who talk."""
        return {name: sum(one.shown == name for one in self.agents) for name in SHOWN}

    def agents_in(self, state: str) -> int:
        """Agents in one state, by its name."""
        return sum(one.shift.state == state for one in self.agents)

    @property
    def waits_since(self) -> datetime | None:
        """When the caller came who waits longest in any queue; None: nobody is on the line."""
        return min((one.since for one in self.waiting if one.since), default=None)

    def in_queue(self, name: str) -> WaitingCallers:
        """Who waits in the queue of this name."""
        return next((one for one in self.waiting if one.queue == name), WaitingCallers(name, 0, None))

    def stage(self, name: str) -> int:
        """Calls of a stage in all campaigns, see STAGES."""
        return sum(one.stage(name) for one in self.campaigns)

    @property
    def callers(self) -> int:
        """Who wait in queues on the line."""
        return sum(one.many for one in self.waiting)

    @property
    def lines(self) -> tuple[int, int]:
        """Lines in use, of so many."""
        return sum(one.channels for one in self.trunks), sum(one.most for one in self.trunks)

    @property
    def over_limit(self) -> list[AtWork]:
        """Agents whose pause has lasted for too long."""
        return [one for one in self.agents if one.over_limit(self.at)]


@dataclass(frozen=True, slots=True)
class Talks:
    """Talks that agents have closed with a disposition."""

    closed: int = 0
    #: of them with one of the kind `sale`
    sales: int = 0

    @property
    def conversion(self) -> float | None:
        """Sales of the talks that were closed, 0 to 1; None: none was."""
        return self.sales / self.closed if self.closed else None

    def __add__(self, other: Talks) -> Talks:
        return Talks(self.closed + other.closed, self.sales + other.sales)


@dataclass(frozen=True, slots=True)
class CampaignCounted:
    """What a campaign's day has come to."""

    attempts: int
    #: of the attempts of today that a person answered, 0 to 1
    connect_rate: float | None
    #: abandoned of those who answered within the policy's time
    abandon_share: float | None
    abandoned: int
    answered_live: int
    #: what the policy allows, and of how long
    abandon_limit: float
    abandon_window_s: int
    talks: Talks
    #: leads that may still be dialled
    left: int
    #: how long the list lasts, of work at the pace of the last half hour; None: nothing was closed in it
    ends_in_s: float | None

    @property
    def over_limit(self) -> bool:
        """Whether more are abandoned than the policy allows."""
        return self.abandon_share is not None and self.abandon_share > self.abandon_limit

    @property
    def rounded_end_s(self) -> float:
        """How long the list lasts, as one says it: to five minutes, from ten hours on to the hour."""
        step = 3600 if (lasts := self.ends_in_s or 0.0) >= 36_000 else 300
        return max(step, round(lasts / step) * step)


@dataclass(frozen=True, slots=True)
class QueueCounted:
    """What a queue's day has come to."""

    offered: int
    answered: int
    abandoned: int
    service_level: float | None
    target_share: float
    target_s: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Sums of today by the clock of the tenant's place."""

    at: datetime
    campaigns: Mapping[int, CampaignCounted] = field(default_factory=dict)
    #: by the queue's name
    queues: Mapping[str, QueueCounted] = field(default_factory=dict)
    #: of all campaigns
    connect_rate: float | None = None
    abandon_rate: float | None = None
    #: of all queues
    service_level: float | None = None
    talks: Talks = field(default_factory=Talks)

    @property
    def worst_abandon(self) -> CampaignCounted | None:
        """The campaign that is nearest to its limit, or furthest over it; None: nobody has answered."""
        having = [one for one in self.campaigns.values() if one.abandon_share is not None]
        return max(
            having, key=lambda one: (one.abandon_share or 0.0) / (one.abandon_limit or 1.0), default=None
        )


#: Leads that calls have closed are counted over so long a time, to tell how long the list lasts.
PACE_OF_S: Final = 1800.0
#: A campaign that has called in such a part of it has worked then; else it was paused, or closed for the day.
STRETCH_S: Final = 300.0


def worked_s(stretches: int, since_first_s: float) -> float:
    """How long a campaign has worked that called in so many stretches, the first time so long ago."""
    return max(60.0, min(stretches * STRETCH_S, since_first_s))


def ends_in_s(left: int, closed: int, worked: float) -> float | None:
    """How long a list with so many leads lasts where so many were closed in so long a time of work, seconds;
    None: nothing was."""
    return left / closed * worked if closed else None
