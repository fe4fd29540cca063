"""What is true after we could not see: after our own start, after a lost link, after a restart of Asterisk.

Nothing said while the link was down is known, so Asterisk is asked what it has, and every call on our books
is held against that:

- its channel is there: the call is followed on, from the state that its channel shows;
- its channel is gone: it ends with what is known (`Vanished`), as `unknown` where nothing is;
- a channel of ours that is on no books (its attempt was given up, its shift closed) is ended.

A call belongs to the server that owns its campaign, and to the node (the Asterisk server) that dials it: each
node is asked for its own, and what another server answers for is on the books too.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import structlog

from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift
from dialer.asterisk.ami import AmiEvent, AmiLink
from dialer.asterisk.nodes import Node
from dialer.calls import on_lines
from dialer.calls.channels import hang_up_channel
from dialer.calls.model import (
    Answered,
    Assignee,
    CallState,
    Connected,
    GaveUp,
    Held,
    NotPlaced,
    Rang,
    Result,
    Resumed,
    Served,
    Stage,
    ThirdGone,
    Vanished,
)
from dialer.calls.places import AGENT, HELD, ROOM, THIRD
from dialer.calls.table import CallTable, Line, channel_uuid
from dialer.calls.terms import CallTerms
from dialer.calls.tracking import UNREACHABLE, Leg, Tracker, leg_of
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import ActionFailed
from dialer.servers.ownership import Leases

log = structlog.get_logger(__name__)

#: What no line answers for after so long was left behind; less is a transaction that is being finished.
LEFT_S = 5.0
#: Where a call stands that a flow of ours leads.
LED = (CallState.FLOW, CallState.WAITING)


class TermsBook(Protocol):
    """Where the terms of a campaign's calls are found; the campaigns' own."""

    async def terms(self, tenant_id: int, campaign_id: int) -> CallTerms:
        """The campaign's terms, running or not."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A channel that Asterisk has."""

    id: UUID
    #: `Up`, `Ringing`, `Ring`, `Down`
    state: str
    bridge: str | None
    context: str
    #: the dialplan application that it is in
    application: str


async def channels(link: AmiLink, named: Mapping[str, UUID] | None = None) -> dict[UUID, Seen]:
    """The channels whose ids could be ours, and the callers' that are `named`. Raises AsteriskUnavailable."""
    found: dict[UUID, Seen] = {}
    for item in await link.send_list({"Action": "CoreShowChannels"}):
        seen = _seen(item, named or {})
        if seen is not None:
            found[seen.id] = seen
    return found


async def phones_reached(link: AmiLink) -> dict[str, dict[str, bool]]:
    """The phones that are registered, by endpoint: their addresses, with whether they answer where they are
    asked. Raises AsteriskUnavailable."""
    try:
        items = await link.send_list({"Action": "PJSIPShowContacts"})
    except ActionFailed:
        return {}  # so it says that there are none
    found = defaultdict[str, dict[str, bool]](dict)
    for item in items:
        found[item.get("Endpoint")][item.get("Uri")] = item.get("Status") != UNREACHABLE
    return found


async def carrier_reached(link: AmiLink, endpoint: str) -> dict[str, bool]:
    """The addresses of a trunk's carrier, with whether they answer, as far as Asterisk asks them. Raises
    AsteriskUnavailable.

    By the contacts' status, not by the endpoint's state: that is also unavailable where nobody is asked.
    """
    try:
        items = await link.send_list({"Action": "PJSIPShowEndpoint", "Endpoint": endpoint})
    except ActionFailed:
        return {}  # no such endpoint: the call itself will say so
    told = [item for item in items if item.name == "ContactStatusDetail"]
    return {item.get("URI"): item.get("Status") != UNREACHABLE for item in told}


def _seen(item: AmiEvent, named: Mapping[str, UUID]) -> Seen | None:
    channel = channel_uuid(item.get("Uniqueid")) or named.get(item.get("Uniqueid"))
    if channel is None:
        return None  # somebody else's
    return Seen(
        channel,
        item.get("ChannelStateDesc"),
        item.get("BridgeId") or None,
        item.get("Context"),
        item.get("Application"),
    )


def _session_of(line: Line) -> UUID | None:
    return line.call.agent.session_id if line.call.agent else None


def _asked_of(line: Line) -> UUID | None:
    third = line.call.third
    return third.agent.session_id if third and third.there and third.agent else None


@dataclass(slots=True)
class Recovery:
    """Puts the books in order after each login to Asterisk."""

    database: Database
    leases: Leases
    calls: CallTable
    tracker: Tracker
    terms: TermsBook
    #: told of a customer on hold whose agent is gone
    held_alone: Callable[[Line], None] = lambda line: None
    #: by tenant, the open calls and shifts with calls that no line answers for, and since when (monotonic
    #: seconds): a clock that is set makes nothing old
    _left: dict[int, dict[tuple[UUID, UUID | None], float]] = field(default_factory=dict)

    async def adopt(self, tenant_id: int, campaign_ids: Collection[int]) -> list[Line]:
        """Take over the calls that an earlier owner of these campaigns left on the lines."""
        fences = self._fences(tenant_id, campaign_ids)
        async with self.database.tenant(tenant_id) as conn:
            left = await on_lines.calls_on_lines(conn, tenant_id, campaign_ids)
        adopted = []
        for each in left:
            # One that is on our books already was taken over by a try that failed later: it is held against
            # what Asterisk has all the same.
            line = self.calls.get(each.call.attempt_id)
            adopted.append(line or await self._add(each, fences))
        return adopted

    def _fences(self, tenant_id: int, campaign_ids: Collection[int]) -> Mapping[int, int]:
        """To be read before the rows: what they say is known under these numbers, not under later ones."""
        return {campaign_id: self.leases.fence(tenant_id, campaign_id) for campaign_id in campaign_ids}

    async def _add(self, left: on_lines.LeftOnLine, fences: Mapping[int, int]) -> Line:
        terms = await self.terms.terms(left.call.tenant_id, left.call.campaign_id)
        line = Line(
            call=left.call,
            terms=terms,
            e164=left.e164,
            trunk_id=left.trunk_id,
            node=left.node,
            fence=fences[left.call.campaign_id],
            recorded=True,  # perhaps: by the terms that the earlier owner knew
            adopted=True,
            traits=left.traits,
        )
        self.calls.add(line)
        return line

    def expect(self, shifts: Sequence[Shift]) -> None:
        """The phones that should be up; from now on what Asterisk says of them is heard."""
        for shift in shifts:
            if shift.leg is not None and shift.leg not in self.tracker.lost:
                self.tracker.know(leg_of(shift))

    def found(self, suspects: Sequence[Line], legs: Sequence[Leg], present: Mapping[UUID, Seen]) -> None:
        """Follow on what Asterisk has."""
        for leg in legs:
            if (seen := present.get(leg.id)) is not None:
                self.tracker.stands(leg.id, seen.bridge)
                if seen.state == "Up":
                    self.tracker.raise_leg(leg)
        for line in suspects:
            if (seen := present.get(line.call.attempt_id)) is not None:
                self._follow_on(line, seen, present)

    def _third(self, line: Line, present: Mapping[UUID, Seen]) -> None:
        """Whom the agent has called besides: there, or gone while nobody looked."""
        third = line.call.third
        if third is None or not third.there:
            return
        seen = present.get(third.channel)
        if seen is not None:
            self.tracker.stands(third.channel, seen.bridge)
            self.tracker.meet(line)
        met = line.call.third is not None and line.call.third.stage is not Stage.CALLING
        if seen is None or (third.agent is not None and not met):  # an agent was to be met, and is not
            self.calls.apply(line.call.attempt_id, ThirdGone(utc_now()))

    def _follow_on(self, line: Line, seen: Seen, present: Mapping[UUID, Seen]) -> None:
        attempt_id, now = line.call.attempt_id, utc_now()
        line.seen = True
        self.tracker.stands(attempt_id, seen.bridge)
        if seen.state == "Ringing":
            self.calls.apply(attempt_id, Rang(now))
        if seen.state != "Up":
            return
        self.calls.apply(attempt_id, Answered(now))
        self._third(line, present)
        leg = self.tracker.leg_in(seen.bridge, line.call.agent)
        if line.call.let_go_at is not None and line.call.state is CallState.FLOW:
            pass  # Asterisk plays to them, or they talk with somebody else: that needs no server
        elif leg is not None:
            agent = Assignee(leg.session_id, leg.agent_id, leg.id)
            self.calls.apply(attempt_id, Resumed(now))
            self.calls.apply(attempt_id, Connected(now, agent=agent))
            self.tracker.meet(line)
        elif seen.context in (HELD, ROOM):
            self.calls.apply(attempt_id, Held(now))  # perhaps nobody has written it down
            if line.call.agent is None:
                self.held_alone(line)
        elif line.call.led and seen.application == "Dial":
            # Put through to somewhere else, or about to be: Asterisk does that by itself.
            if seen.bridge is not None:  # they talk; whoever heard of the answer may not have written it down
                self.calls.apply(attempt_id, Served(now, outcome=Result.TRANSFERRED))
        elif line.call.led and line.adopted and line.call.agent is None and line.call.state in LED:
            # Who spoke with the person has gone; our dialplan lets them down by itself.
            self.calls.apply(attempt_id, GaveUp(now))
        elif seen.application == "Playback":
            # Nobody answered the dialplan while we were away: the person hears the message.
            self.calls.apply(attempt_id, GaveUp(now))

    def missing(
        self,
        suspects: Sequence[Line],
        legs: Sequence[Leg],
        present: Mapping[UUID, Seen],
        *,
        asterisk_died: bool = False,
        detail: str = "not_seen_to_end",
    ) -> None:
        """End what Asterisk no longer has. `present` must be newer than the answers to their Originates."""
        for line in suspects:
            if line.call.attempt_id not in present:
                vanished = Vanished(utc_now(), detail=detail, asterisk_died=asterisk_died)
                self.calls.apply(line.call.attempt_id, vanished)
        # After the calls: an agent who had talked until then owes a disposition.
        for leg in legs:
            if leg.id not in present:
                self.tracker.lose(leg)

    def give_up(self, node: Node, keeps_phones: Callable[[int], bool]) -> None:
        """A node is gone and others carry on: its calls end with what is known, its agents' phones are called
        by another.

        Phones that another server keeps (`keeps_phones` of their tenant says no) are only forgotten: it may
        see the node where we do not, and what it says of them is believed again.
        """
        lines = [line for line in self.calls if line.node == node.name]
        legs = [leg for leg in self.tracker.legs.values() if leg.node == node.name]
        log.error("node_lost", node=node.name, calls=len(lines), phones=len(legs))
        self.missing(lines, [leg for leg in legs if keeps_phones(leg.tenant_id)], {}, detail="node_lost")
        for leg in legs:
            self.tracker.forget(leg)
        node.lost = True

    async def left_behind(self, tenant_id: int, campaign_ids: Collection[int], *, phones: bool) -> None:
        """Take up what no line answers for: attempts of these campaigns whose commit was in doubt, and (with
        `phones`) shifts whose reservation or release was.

        Only while the journal is written up: then a row that says otherwise than the lines is not just late.
        """
        now = utc_now()
        # Each second: what is known is not read.
        known = {line.call.attempt_id: _session_of(line) for line in self.calls}
        asked = {line.call.attempt_id: third for line in self.calls if (third := _asked_of(line)) is not None}
        fences = self._fences(tenant_id, campaign_ids)
        async with self.database.tenant(tenant_id) as conn:
            left = await on_lines.calls_on_lines(conn, tenant_id, campaign_ids, known=known)
            busy = await on_lines.left_shifts(conn, tenant_id, known, asked) if phones else []
        long = self._left_long(
            tenant_id,
            [(each.call.attempt_id, None) for each in left]
            + [(shift.id, shift.attempt_id) for shift in busy],
        )
        for each in left:
            call = each.call
            if self.calls.get(call.attempt_id) is not None or (call.attempt_id, None) not in long:
                continue
            log.warning("attempt_left_behind", attempt=str(call.attempt_id), state=call.state)
            await self._add(each, fences)
            self.calls.apply(
                call.attempt_id,
                NotPlaced(now, result=Result.CANCELED, detail="commit_in_doubt")
                if call.sent_at is None and call.state is CallState.DIALLING
                else Vanished(now, detail="not_seen_to_end"),
            )
        for shift in busy:
            line = self.calls.get(shift.attempt_id)
            # Another agent was chosen since: nobody waits for this one.
            passed_over = line is not None and _session_of(line) not in (None, shift.id)
            if not passed_over and (shift.id, shift.attempt_id) not in long:
                continue
            log.warning("agent_left_behind", agent=shift.agent_id, state=shift.state)
            async with self.database.tenant(tenant_id) as conn:
                if await agents.owes_disposition(conn, tenant_id, shift.id) == shift.attempt_id:
                    await agents.move(
                        conn,
                        tenant_id,
                        shift.id,
                        AgentState.WRAP_UP,
                        now,
                        leaving=(AgentState.RESERVED, AgentState.TALKING),
                        attempt_id=shift.attempt_id,
                        only_attempt=shift.attempt_id,
                    )
                else:
                    await agents.release(conn, tenant_id, shift.id, shift.attempt_id, now)

    def _left_long(
        self, tenant_id: int, rows: Sequence[tuple[UUID, UUID | None]]
    ) -> set[tuple[UUID, UUID | None]]:
        """Of the rows, open calls and shifts with calls, those that no line has answered for in LEFT_S."""
        now_s, before = time.monotonic(), self._left.get(tenant_id, {})
        unknown = [row for row in rows if not self._answers(*row)]
        self._left[tenant_id] = since = {row: before.get(row, now_s) for row in unknown}
        return {row for row, since_s in since.items() if now_s - since_s >= LEFT_S}

    def _answers(self, id_: UUID, attempt_id: UUID | None) -> bool:
        """Whether a line answers for the attempt, or for the shift with that attempt."""
        line = self.calls.get(attempt_id or id_)
        return line is not None and (attempt_id is None or id_ in (_session_of(line), _asked_of(line)))

    async def end_ghosts(self, node: Node, present: Mapping[UUID, Seen], tenants: Sequence[int]) -> None:
        """End the node's channels of ours that are on no books, neither ours nor another server's: they cost
        money, and a phone can be in one call."""
        strange = {
            seen.id
            for seen in present.values()
            if (seen.context == "dozvon-customer" and self.calls.get(seen.id) is None)
            or (seen.context == AGENT and seen.id not in self.tracker.legs)
            or (seen.context == THIRD and self.calls.of_third(seen.id) is None)
        }
        for tenant_id in tenants:
            if not strange:
                return
            async with self.database.tenant(tenant_id) as conn:
                strange -= await on_lines.on_lines(conn, tenant_id, strange)
                strange -= {shift.leg for shift in await agents.open_shifts(conn, tenant_id)}
        for channel in strange:
            log.warning("ghost_ended", channel=str(channel), context=present[channel].context)
            await hang_up_channel(node.link, str(channel))
