"""The calls that hold a line now, and the one way to change them.

`CallTable.apply` puts a signal through the transition table and tells everyone who must know: the journal,
which writes it down, and the watchers, which pace, record and free agents. All of it happens on the event
loop, in the order in which the signals come; nothing here waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog

from dialer.calls.consequences import Consequence, consequences
from dialer.calls.groups import Groups
from dialer.calls.model import Assigned, Assignee, Call, Connected, HungUpBy, Signal, Third
from dialer.calls.steps import advance
from dialer.calls.terms import CallTerms
from dialer.pacing.answering import Traits
from dialer.queues.model import USUAL_PRIORITY, Need, Queue

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom a person waits for who is led by a flow, and how long."""

    queue: str
    #: monotonic seconds at which the wait is over without an agent
    until_s: float
    #: higher gets agents first
    priority: int = USUAL_PRIORITY
    #: only agents with all of them
    needs: tuple[Need, ...] = ()
    #: how the queue serves; None: there is none of that name
    rules: Queue | None = None
    #: who talked with the caller last
    last_agent_id: int | None = None
    #: when the wait began, which may have been in an earlier call; None: with this one
    since: datetime | None = None


@dataclass(slots=True)
class Line:
    """A call with what the engine knows of its line and nobody else needs."""

    #: set by the table only
    call: Call
    terms: CallTerms
    e164: str
    trunk_id: int
    #: the Asterisk server that has the channel
    node: str
    #: the number of the campaign's lease under which it was placed or taken over; 0: there are no leases
    fence: int = 0
    #: Asterisk has shown us a channel of it
    seen: bool = False
    #: the far end gave its final answer (a DialEnd came): not silence
    refused: bool = False
    #: the dialplan was told to play the message or to hang up: the end is ours unless somebody is first
    dismissed: bool = False
    #: who asked for the end, as far as seen
    ended_by: HungUpBy | None = None
    #: monotonic seconds at which it came on our books; of the answer; of the choice of an agent
    placed_s: float = field(default_factory=time.monotonic)
    answered_s: float | None = None
    assigned_s: float | None = None
    #: and at which the waiting person counts as abandoned: `Call.deadline`, which a set clock does not move
    deadline_s: float | None = None
    #: who talked with the customer when that agent's phone was lost
    lost_agent: Assignee | None = None
    #: there may be a recording of it: one was begun, or an earlier owner of the call may have begun one
    recorded: bool = False
    #: led by a flow: what the person waits for, while waiting
    wish: Wish | None = None
    #: led by a flow: what the agent's screen is told of it besides, see `Switchboard`
    told: Mapping[str, Any] = field(default_factory=dict)
    #: the queue to which an agent hands the customer over, until their dialplan has asked
    hand_to: str | None = None
    #: the customer says how the talk was: who has had it does not end that
    asked: bool = False
    #: an earlier owner of the call had it: whoever answered its dialplan has gone
    adopted: bool = False
    #: predictive: what the chance of an answer was told from, and that chance when it was dialled
    traits: Traits = ()
    answer_probability: float | None = None

    @property
    def needs(self) -> tuple[Need, ...]:
        """Only agents with all of them take the call."""
        if self.wish is not None:
            return self.wish.needs
        return (Need(self.terms.skill),) if self.terms.skill is not None else ()

    @property
    def survey(self) -> str:
        """The name of the flow after the talk: as the queue says, else the campaign; empty: none."""
        rules = self.wish.rules if self.wish else None
        return (rules.survey if rules is not None else None) or self.terms.survey

    @property
    def wrap_up_limit_s(self) -> int:
        """How long the wrap-up may last, seconds: as the queue says, else the campaign."""
        rules = self.wish.rules if self.wish else None
        return self.terms.wrap_up_limit_s if rules is None or rules.wrap_up_s is None else rules.wrap_up_s


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a call."""

    before: Call
    after: Call
    consequences: tuple[Consequence, ...]
    #: the number of the lease under which we followed the call, see `Line`
    fence: int = 0
    join_ms: float | None = None
    answer_to_agent_ms: float | None = None


class Journal(Protocol):
    """Writes changes down, in order."""

    def put(self, change: Change) -> None:
        """Take a change; returns at once."""


Watcher = Callable[[Line, Change], None]


@dataclass(slots=True)
class CallTable:
    """Every live call of this engine."""

    journal: Journal
    lines: dict[UUID, Line] = field(default_factory=dict)
    watchers: list[Watcher] = field(default_factory=list)
    #: the bridges that channels are in, the customers' and the agents'; the tracker writes them
    bridges: Groups[str] = field(default_factory=Groups)
    #: inbound calls by node and Asterisk's Uniqueid, see `named`
    _names: dict[tuple[str, str], UUID] = field(default_factory=dict)
    #: the calls of third parties, by the channel
    _thirds: dict[UUID, UUID] = field(default_factory=dict)
    #: the shifts that calls are of, see `of_agent`
    _shifts: Groups[UUID] = field(default_factory=Groups)

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines.values())

    def get(self, attempt_id: UUID) -> Line | None:
        """The call, while it holds a line."""
        return self.lines.get(attempt_id)

    def name(self, node: str, channel: str, call_id: UUID) -> None:
        """A channel that Asterisk has named is this call's, which is being committed."""
        self._names[node, channel] = call_id

    def named(self, node: str, channel: str) -> UUID | None:
        """The call whose channel has this Uniqueid at the node: ours, or one that was named."""
        return channel_uuid(channel) or self._names.get((node, channel))

    def names(self, node: str) -> dict[str, UUID]:
        """The named channels of a node."""
        return {channel: id_ for (where, channel), id_ in self._names.items() if where == node}

    def unname(self, node: str, channel: str) -> None:
        """The channel is gone."""
        self._names.pop((node, channel), None)

    def add(self, line: Line) -> None:
        """Take over a call whose row is committed."""
        self.lines[line.call.attempt_id] = line
        if line.call.channel:
            self.name(line.node, line.call.channel, line.call.attempt_id)
        self._set(line, line.call)

    def forget(self, attempt_id: UUID) -> None:
        """It is over, or another server answers for it: nothing of it is followed or written any more."""
        line = self.lines.pop(attempt_id, None)
        if line is not None and line.call.channel:
            self.unname(line.node, line.call.channel)
        self._shifts.put(attempt_id, None)
        self.bridges.put(attempt_id, None)
        if line is not None and line.call.third is not None:
            self._forget_third(line.call.third)

    def _forget_third(self, third: Third) -> None:
        self._thirds.pop(third.channel, None)
        if third.agent is None:  # an agent's phone is still there
            self.bridges.put(third.channel, None)

    def _set(self, line: Line, call: Call) -> None:
        was, third = line.call.third, call.third
        if was is not None and (third is None or not third.there):
            self._forget_third(was)
        line.call = call
        if third is not None and third.there:
            self._thirds[third.channel] = call.attempt_id
        self._shifts.put(call.attempt_id, call.agent.session_id if call.agent else None)

    def of_agent(self, session_id: UUID) -> Line | None:
        """The call that this shift is chosen for or talking in."""
        return next((self.lines[attempt_id] for attempt_id in self._shifts.members(session_id)), None)

    def of_third(self, channel: UUID) -> Line | None:
        """The call whose agent has called this channel besides."""
        attempt_id = self._thirds.get(channel)
        return self.lines.get(attempt_id) if attempt_id is not None else None

    def apply(self, attempt_id: UUID, signal: Signal, *, seen_s: float | None = None) -> Call | None:
        """Put `signal` to the call. `seen_s`: the monotonic time at which it was seen.

        The call as it is afterwards; None when it holds no line (any more).
        """
        line = self.lines.get(attempt_id)
        if line is None:
            return None
        before = line.call
        after = advance(before, signal)
        if after is before:
            return before
        self._set(line, after)
        join_ms = answer_ms = None
        if seen_s is not None:
            if before.answered_at is None and after.answered_at is not None:
                line.answered_s = seen_s
            if isinstance(signal, Assigned):
                line.assigned_s = seen_s
            if isinstance(signal, Connected) and before.connected_at is None:
                join_ms = _ms(line.assigned_s, seen_s)
                answer_ms = _ms(line.answered_s, seen_s)
        if not after.live:
            self.forget(attempt_id)
        change = Change(before, after, consequences(before, after), line.fence, join_ms, answer_ms)
        if before.state is not after.state or before.result is not after.result:
            log.info(
                "call",
                attempt=str(attempt_id),
                direction=after.direction,
                campaign=after.campaign_id,
                was=before.state,
                state=after.state,
                result=after.result,
                cause=after.cause,
                sip_code=after.sip_code,
                detail=after.detail,
            )
        self.journal.put(change)
        for watcher in self.watchers:
            watcher(line, change)
        return after


def _ms(since_s: float | None, until_s: float) -> float | None:
    return None if since_s is None else round((until_s - since_s) * 1000, 3)


def channel_uuid(text: str) -> UUID | None:
    """The id that a channel of ours has: the Uniqueid which we gave it. None: Asterisk has named it."""
    if len(text) != 36:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None
