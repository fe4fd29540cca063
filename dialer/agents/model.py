"""The states of an agent's shift and what may follow what.

    offline -> calling -> paused <-> ready -> reserved -> talking -> wrap_up -> ready (or paused, offline)
                  any state with a phone -> lost -> calling

`calling`: the phone is being rung for the log-in. `reserved`: chosen for one call (or shown one lead), not
yet talking. `lost`: the phone is gone, the person is not. The row `agent_session` in PostgreSQL is the only
truth; each change is one conditional UPDATE (see store.py), so two servers or two tabs cannot both win.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID


class AgentState(StrEnum):
    """Where an agent is; see the module's text."""

    CALLING = "calling"
    PAUSED = "paused"
    READY = "ready"
    RESERVED = "reserved"
    TALKING = "talking"
    WRAP_UP = "wrap_up"
    LOST = "lost"
    OFFLINE = "offline"


_A = AgentState

#: state -> the states that may follow it.
NEXT: Final[Mapping[AgentState, frozenset[AgentState]]] = MappingProxyType(
    {
        _A.CALLING: frozenset({_A.PAUSED, _A.READY, _A.LOST, _A.OFFLINE}),
        _A.PAUSED: frozenset({_A.READY, _A.RESERVED, _A.LOST, _A.OFFLINE}),
        _A.READY: frozenset({_A.PAUSED, _A.RESERVED, _A.LOST, _A.OFFLINE}),
        _A.RESERVED: frozenset({_A.READY, _A.PAUSED, _A.TALKING, _A.WRAP_UP, _A.LOST, _A.OFFLINE}),
        _A.TALKING: frozenset({_A.WRAP_UP, _A.READY, _A.PAUSED, _A.LOST, _A.OFFLINE}),
        _A.WRAP_UP: frozenset({_A.READY, _A.PAUSED, _A.LOST, _A.OFFLINE}),
        _A.LOST: frozenset(
            {_A.CALLING, _A.PAUSED, _A.READY, _A.RESERVED, _A.TALKING, _A.WRAP_UP, _A.OFFLINE}
        ),
        _A.OFFLINE: frozenset(),
    }
)

#: Pause codes that the server sets itself; the others are the tenant's.
PAUSE_AFTER_LOGIN: Final = "login"
PAUSE_WRAP_UP_OVER: Final = "wrap_up_over"
PAUSE_PHONE_RETURNED: Final = "phone_returned"
SYSTEM_PAUSE_CODES: Final = frozenset({PAUSE_AFTER_LOGIN, PAUSE_WRAP_UP_OVER, PAUSE_PHONE_RETURNED})


def before(state: AgentState) -> tuple[AgentState, ...]:
    """The states from which `state` can be reached."""
    return tuple(earlier for earlier, later in NEXT.items() if state in later)


#: Ranks of agents: the lowest, that of whoever is given none, the highest. The highest is taken first.
LOWEST_RANK: Final = 1
USUAL_RANK: Final = 5
HIGHEST_RANK: Final = 9
#: Levels of skills have the same scale; that of a skill of which nothing is said.
USUAL_LEVEL: Final = USUAL_RANK


def levels_of(skills: Iterable[str], said: Mapping[str, int]) -> dict[str, int]:
    """The level of each skill; the usual one where nothing is said of it."""
    return {skill: said.get(skill, USUAL_LEVEL) for skill in skills}


class Takes(StrEnum):
    """Which calls an agent is given."""

    BOTH = "both"
    #: of who calls us
    INBOUND = "inbound"
    #: that we make
    OUTBOUND = "outbound"


class Phone(StrEnum):
    """What an agent talks with, in one shift."""

    #: a phone of its own, hardware or a program
    SIP = "sip"
    BROWSER = "browser"


@dataclass(frozen=True, slots=True)
class Agent:
    """A person at a phone."""

    id: int
    tenant_id: int
    user_id: int
    name: str
    #: the PJSIP endpoint's name in Asterisk
    endpoint: str
    skills: frozenset[str]
    #: skill -> level, 1 to 9, of each skill
    levels: Mapping[str, int]
    #: 1 to 9: of the agents who are free for a call the highest takes it
    rank: int
    takes: Takes
    #: was not switched off, and the user can log in
    enabled: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A user who talks with customers and has no phone yet."""

    #: of the user
    id: int
    name: str
    login: str


@dataclass(frozen=True, slots=True)
class Shift:
    """An agent's shift as its row stands (`agent_session` joined with `agent`)."""

    id: UUID
    tenant_id: int
    agent_id: int
    name: str
    endpoint: str
    skills: frozenset[str]
    state: AgentState
    state_since: datetime
    idle_since: datetime
    #: channel id of the phone's leg, while one is up or being called
    leg: UUID | None
    #: the Asterisk server that has the leg, or had it last
    node: str | None
    attempt_id: UUID | None
    lead_id: int | None
    pause_code: str | None
    #: asked for during a talk, done after the wrap-up
    next_state: AgentState | None
    next_pause_code: str | None
    #: of the agent: skill -> level, of each skill
    levels: Mapping[str, int] = field(default_factory=dict)
    rank: int = USUAL_RANK
    takes: Takes = Takes.BOTH
    #: the phone of this shift, whose endpoint is `endpoint`, is the agent's browser
    browser: bool = False

    @property
    def phone_up(self) -> bool:
        """Whether the phone is connected and waits for customers."""
        return self.leg is not None and self.state not in (_A.CALLING, _A.LOST, _A.OFFLINE)
