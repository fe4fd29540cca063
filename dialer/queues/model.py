"""What a queue is, who waits in it and who is free. Values; the rules over them stand beside this module.

A queue is where callers wait for an agent who can help them: one with the queue's skill, at its level or
above. The same values hold for an outbound call that was answered and waits, so that one rule gives out an
agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from dialer.agents.model import HIGHEST_RANK, LOWEST_RANK, USUAL_RANK

#: Levels of a skill have the scale of ranks.
LOWEST_LEVEL: Final = LOWEST_RANK
HIGHEST_LEVEL: Final = HIGHEST_RANK
#: Priorities of callers: the lowest, that of a queue that names none, the highest. The highest is served
#: first.
LOWEST_PRIORITY: Final = 1
USUAL_PRIORITY: Final = 5
HIGHEST_PRIORITY: Final = 9


class Rule(StrEnum):
    """Which of the agents who are free and able takes the next caller."""

    LONGEST_IDLE = "longest_idle"
    LEAST_BUSY = "least_busy"
    HIGHEST_LEVEL = "highest_level"


class Overflow(StrEnum):
    """Where a caller goes whom a queue cannot take, or who has waited for too long."""

    QUEUE = "queue"
    #: back to the flow, which goes on from the event `full` or `timeout`
    FLOW = "flow"
    VOICEMAIL = "voicemail"


class End(StrEnum):
    """How a caller's stay in a queue ended."""

    ANSWERED = "answered"
    #: hung up while waiting
    ABANDONED = "abandoned"
    #: waited for as long as they may; the flow goes on
    TIMEOUT = "timeout"
    #: not let in: so many wait already
    FULL = "full"
    #: not let in: nobody is at work
    EMPTY = "empty"
    #: to another queue
    OVERFLOW = "overflow"
    VOICEMAIL = "voicemail"
    #: asked to be called back in their turn
    CALLBACK = "callback"
    #: left by a key
    KEY = "key"
    #: our side: the server was gone, or has ended the call
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Announce:
    """What waiting callers are told, and when. A time of None: never."""

    #: seconds from the beginning of the wait
    first_after_s: int | None = 20
    #: seconds from one announcement to the next
    every_s: int | None = 60
    position: bool = True
    wait: bool = True
    #: positions above it are not told: "you are the 34th" helps nobody
    most_position: int = 10
    #: seconds of waiting from which a call back in turn is offered
    offer_callback_after_s: int | None = None
    #: seconds of expected wait from which it is; None: however short. One that is not known is no short one
    offer_callback_wait_s: int | None = None
    #: the key with which it is asked for
    offer_callback_key: str = "1"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as it is set up."""

    id: int
    name: str
    #: None: any agent
    skill: str | None = None
    least_level: int = LOWEST_LEVEL
    #: each so many seconds of waiting one level less is asked for, down to `lowest_level`; None: never
    relax_every_s: int | None = None
    lowest_level: int = LOWEST_LEVEL
    rule: Rule = Rule.LONGEST_IDLE
    #: of its callers, where the flow says no other
    priority: int = USUAL_PRIORITY
    #: seconds that a caller is kept for the agent who talked with them last, if that one is at work; 0: not
    last_agent_s: int = 0
    #: None: for as long as they like
    max_wait_s: int | None = None
    #: callers at once; None: any number
    max_waiting: int | None = None
    #: nobody is let in while no agent is at work who could serve; those inside go on waiting
    needs_agents: bool = False
    overflow: Overflow = Overflow.FLOW
    #: with Overflow.QUEUE
    overflow_queue_id: int | None = None
    announce: Announce = field(default_factory=Announce)
    #: who leaves before so many seconds has hardly waited: a short abandon
    short_abandon_s: int = 5
    #: share of callers to be answered within `target_s`, 0 to 1
    target_share: float = 0.8
    target_s: int = 20
    #: class of music on hold
    music: str = "default"
    #: longest wrap-up after its talks; None: as the campaign of the called number says
    wrap_up_s: int | None = None
    #: the flow (its name) after its talks; None: as the campaign of the called number says
    survey: str | None = None
    #: how often, and how long after one another (seconds), those are called who have hung up and kept a place
    callback_tries: int = 2
    callback_again_s: int = 300


@dataclass(frozen=True, slots=True)
class Need:
    """A skill that a caller asks for."""

    skill: str
    least_level: int = LOWEST_LEVEL


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who waits for an agent, or whose place is kept for a call back."""

    call_id: UUID
    #: None: an outbound call, which waits in no queue
    queue_id: int | None
    #: the beginning of the wait; who changes queues or asks to be called back keeps it
    since: datetime
    priority: int = USUAL_PRIORITY
    #: all of them are asked for
    needs: tuple[Need, ...] = ()
    #: who talked with the caller last
    last_agent_id: int | None = None
    inbound: bool = True
    #: the Asterisk server that has the call; None where there is one
    node: str | None = None
    #: there is no call yet: an agent at any server will do
    anywhere: bool = False
    #: skills that others in the air may need soon: of equal agents rather one without them
    spare: frozenset[str] = frozenset()
    #: was talking when the agent's phone was lost: comes before everybody
    resumes: bool = False


@dataclass(frozen=True, slots=True)
class Free:
    """An agent who can take somebody now."""

    agent_id: int
    session_id: UUID
    idle_since: datetime
    #: skill -> level
    levels: Mapping[str, int] = field(default_factory=dict)
    rank: int = USUAL_RANK
    talks_today: int = 0
    #: whether the agent takes callers, and calls that we make; a dedicated agent takes one kind
    inbound: bool = True
    outbound: bool = True
    node: str | None = None


def needs_of(queue: Queue, more: tuple[Need, ...] = ()) -> tuple[Need, ...]:
    """What callers of a queue ask for: its skill, and what the flow adds; of one skill the higher level."""
    wanted = {} if queue.skill is None else {queue.skill: queue.least_level}
    for need in more:
        wanted[need.skill] = max(wanted.get(need.skill, LOWEST_LEVEL), need.least_level)
    return tuple(Need(skill, level) for skill, level in wanted.items())


def level_at_last(need: Need, queue: Queue | None) -> int:
    """The least level that is ever asked for, however long the caller waits."""
    if queue is None or queue.relax_every_s is None:
        return need.least_level
    return min(need.least_level, max(queue.lowest_level, LOWEST_LEVEL))


def could_take(levels: Mapping[str, int], needs: Iterable[Need], queue: Queue | None = None) -> bool:
    """Whether somebody with these levels of skills may ever be given a caller who asks for these."""
    return all(levels.get(need.skill, 0) >= level_at_last(need, queue) for need in needs)
