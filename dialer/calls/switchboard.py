"""Joins customers to agents: who waits, who is free, and what the dialplan is told.

The dialplan of a customer who has answered asks by FastAGI and is held here until there is an answer: an
agent's channel to bridge with, the abandon message, or the end. Who has called us waits here when the flow
says so. Agents are given out by one task, in rounds: all who wait and all who are free are brought together
by one rule (`queues/choosing.py`), and each agent is then taken by one conditional UPDATE; that is what keeps
an agent from being bridged away from a customer (Asterisk would do it without a word).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift
from dialer.agents.roster import Roster
from dialer.asterisk.fastagi import AgiCall
from dialer.asterisk.nodes import Nodes
from dialer.calls import matching
from dialer.calls.channels import hang_up_channel
from dialer.calls.kept import KeptPlaces, choose
from dialer.calls.model import (
    Assigned,
    Assignee,
    Call,
    CallState,
    CameBack,
    CancelAsked,
    GaveUp,
    HungUpBy,
    Queued,
    Result,
    Screened,
    Signal,
    Unassigned,
)
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.tickets import Meanwhile, Ticket, music_unless_at_once, until_chosen
from dialer.calls.tracking import Tracker, leg_of
from dialer.clock import utc_now, wall
from dialer.compliance.model import greeting_end_at
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.queues import choosing
from dialer.queues.model import Queue
from dialer.queues.places import Kept
from dialer.servers.ownership import Leases

log = structlog.get_logger(__name__)

#: A customer who asks for an unknown call may be one of before our start: wait so long for the resync.
RESYNC_WAIT_S = 2.0
#: A timer of the loop counts in whole milliseconds and may ring one early: a deadline is waited out.
TIMER_GRAIN_S = 0.002
#: After the kept time, how long a customer whose agent was lost is offered to others before the message.
OFFER_S = 30.0
#: How long it is remembered how many talks the agents had today: it is a count over a day.
TALKS_S = 5.0
BRIDGE, MESSAGE, HANGUP = "bridge", "message", "hangup"
#: What a caller is told whose time in the queue is over: the flow goes on.
TIMEOUT = "timeout"
#: What a caller is told who has left the queue by what they did meanwhile.
LEFT = "left"


#: Whoever's phone was lost in a talk takes it again from these, and what was asked for after it stands.
_COMING_BACK = (AgentState.READY, AgentState.LOST)


@dataclass(slots=True)
class Switchboard:
    """The waiting customers of one engine."""

    database: Database
    nodes: Nodes
    leases: Leases
    calls: CallTable
    tracker: Tracker
    roster: Roster
    #: seconds that a talking customer is kept for an agent whose phone was lost
    keep_s: float
    #: None: nobody keeps places
    kept: KeptPlaces | None = None
    _waiting: list[Ticket] = field(default_factory=list)
    #: by tenant: how many talks each agent had today, and when that was read (monotonic seconds)
    _talks: dict[int, tuple[float, Mapping[int, int]]] = field(default_factory=dict)
    #: when time alone opens somebody who waits to more agents, monotonic seconds
    _opens_s: float = math.inf
    _look: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.calls.watchers.append(self._changed)

    def agents_changed(self) -> None:
        """An agent may have become free."""
        self._look.set()

    async def run(self) -> None:
        """Give out agents until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):  # then a kept customer is open to all
                async with asyncio.timeout(self._next_opening_s()):
                    await self._look.wait()
            self._look.clear()
            try:
                await self._give_out()
            except DatabaseUnavailable as error:
                log.warning("switchboard_waits", waiting=len(self._waiting), reason=str(error))
                await asyncio.sleep(0.5)  # nothing tells when a database is back
                self._look.set()

    # -- the dialplan asks -----------------------------------------------------------------------------

    async def customer(self, agi: AgiCall) -> None:
        """Answer `AGI(agi://.../customer,AMDSTATUS,AMDCAUSE,BRIDGERESULT)`: see extensions_dozvon.conf."""
        asked_s = time.monotonic()
        line = await self.asking(agi)
        if line is not None:
            await self.decide(agi, line, asked_s)

    async def asking(self, agi: AgiCall) -> Line | None:
        """The call of a customer whose dialplan asks; None: nobody knows it, and the dialplan was told so."""
        attempt_id = UUID(agi.channel_id)
        line = self.calls.get(attempt_id)
        if line is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESYNC_WAIT_S):
                    await self.nodes.some_ready.wait()
            line = self.calls.get(attempt_id)
        if line is None:
            log.warning("unknown_customer", attempt=str(attempt_id))
            await agi.set_variable("DOZVON_NEXT", MESSAGE)
        return line

    async def decide(self, agi: AgiCall, line: Line, asked_s: float) -> None:
        """Tell the dialplan of a customer, who is to talk with an agent, what is next."""
        await self._answer(agi, line, await self._decide(agi, line, asked_s))

    async def _answer(self, agi: AgiCall, line: Line, decision: Assignee | str) -> None:
        if isinstance(decision, Assignee):
            await agi.set_words(DOZVON_AGENT=str(decision.leg), DOZVON_NEXT=BRIDGE)
        else:
            line.dismissed = not agi.hung_up.is_set()  # else it is the customer who has left
            await agi.set_variable("DOZVON_NEXT", decision)

    async def _decide(self, agi: AgiCall, line: Line, asked_s: float) -> Assignee | str:
        status, cause, bridge_result = (*agi.args, "", "", "")[:3]
        attempt_id, now = line.call.attempt_id, wall(asked_s)
        kept_for = self._kept_for(line, bridge_result, asked_s)
        greeting_end = None
        if line.terms.clock_at_greeting_end and status:
            silence_ms = line.terms.amd_settings["after_greeting_silence"]
            greeting_end = greeting_end_at(now, cause, silence_ms)
        call = self.calls.apply(
            attempt_id,
            Screened(now, status=status, cause=cause, greeting_end=greeting_end),
            seen_s=asked_s,
        )
        if call is None or call.result in (Result.MACHINE, Result.ABANDONED):
            return HANGUP
        if call.agent is not None:
            return call.agent  # manual or preview: the agent who started the call
        if line.deadline_s is None and call.answered_at is not None:
            answered_s = asked_s if line.answered_s is None else line.answered_s
            began_s = asked_s - (now - greeting_end).total_seconds() if greeting_end else answered_s
            line.deadline_s = max(began_s, answered_s) + call.abandon_after_s
        return await self._wait(agi, line, call, kept_for)

    async def caller(
        self, agi: AgiCall, line: Line, bridge_result: str = "", meanwhile: Meanwhile | None = None
    ) -> Assignee | str:
        """Have somebody who has called us wait for whom `line.wish` says: an agent to bridge with, TIMEOUT
        when that does not come in time, LEFT when `meanwhile` says so, else MESSAGE or HANGUP. They hear
        music.

        `bridge_result`: they are back from a bridge. Raises as AgiCall.command does.
        """
        kept_for = self._kept_for(line, bridge_result, time.monotonic())
        if line.call.result not in (None, Result.ANSWERED):
            return HANGUP
        return line.call.agent or await self._wait(agi, line, line.call, kept_for, meanwhile)

    def _kept_for(self, line: Line, bridge_result: str, asked_s: float) -> UUID | None:
        """The shift for which a customer is kept whose dialplan asks: their talk was with it."""
        if bridge_result and line.call.let_go_at is not None:
            self.calls.apply(line.call.attempt_id, CameBack(wall(asked_s)))
        if bridge_result and line.call.agent is not None:
            # Back from a bridge: the agent was gone before it began, or the agent's phone was lost in it.
            agent = line.call.agent
            log.info("bridge_ended", attempt=str(line.call.attempt_id), bridge_result=bridge_result)
            self.tracker.bridge_ended(line, bridge_result, asked_s)
            if line.call.connected_at is not None:
                return agent.session_id
        elif line.call.connected_at is not None and line.call.agent is None:
            return line.lost_agent.session_id if line.lost_agent else None
        return None

    async def _wait(
        self,
        agi: AgiCall,
        line: Line,
        call: Call,
        kept_for: UUID | None,
        meanwhile: Meanwhile | None = None,
    ) -> Assignee | str:
        loop = asyncio.get_running_loop()
        since = (line.wish and line.wish.since) or call.queued_at or call.answered_at or utc_now()
        ticket = Ticket(line, since, loop.create_future(), kept_for)
        led = call.led or line.wish is not None
        was_talking = call.connected_at is not None and (kept_for is not None or not led)
        hears_music = was_talking or led
        if was_talking:
            ticket.keep_until_s = time.monotonic() + self.keep_s
            patience_s = self.keep_s + OFFER_S
        elif line.wish is not None:
            patience_s = max(0.0, line.wish.until_s - time.monotonic())
        else:
            # No deadline: screened before our start. Their time is over by now.
            until_s = line.deadline_s if call.deadline and line.deadline_s else 0.0
            patience_s = max(0.0, until_s - time.monotonic() + TIMER_GRAIN_S)
        until_s = time.monotonic() + patience_s
        self._waiting.append(ticket)
        self._look.set()
        left = plays = False
        try:
            if hears_music:
                music = line.wish.rules.music if line.wish and line.wish.rules else None
                plays = await music_unless_at_once(agi, ticket.chosen, patience_s, music)
            if meanwhile is None or was_talking:
                await until_chosen(ticket.chosen, agi, until_s - time.monotonic())
            else:
                left = await meanwhile(ticket.chosen, until_s)
        finally:
            self._waiting.remove(ticket)
        if agi.hung_up.is_set() and not ticket.chosen.done():
            return HANGUP
        if plays:
            await agi.command("SET", "MUSIC", "OFF")
        if ticket.chosen.done():
            return ticket.chosen.result()
        if was_talking:
            return MESSAGE
        if led:
            return LEFT if left else TIMEOUT
        self.calls.apply(call.attempt_id, GaveUp(utc_now()))
        return MESSAGE

    # -- agents are given out ----------------------------------------------------------------------------

    async def _give_out(self) -> None:
        self._opens_s = math.inf
        waiting: defaultdict[int, list[Ticket]] = defaultdict(list)
        for ticket in list(self._waiting):
            if not self._still_waits(ticket):
                continue
            if ticket.open_to(time.monotonic()):
                waiting[ticket.line.terms.tenant_id].append(ticket)
            else:
                await self._take_back(ticket)
        for tenant_id in waiting.keys() | set(self.kept.tenants if self.kept else ()):
            # Again, when somebody else was first with an agent: another server, or the agent with a pause.
            while not await self._match(tenant_id, [t for t in waiting[tenant_id] if self._still_waits(t)]):
                pass

    def _still_waits(self, ticket: Ticket) -> bool:
        """Whether the customer has no agent, and is no other server's by now."""
        return (
            ticket in self._waiting
            and not ticket.chosen.done()
            and self.calls.get(ticket.line.call.attempt_id) is not None
        )

    async def _match(self, tenant_id: int, tickets: Sequence[Ticket]) -> bool:
        """Bring the tenant's customers and free agents together; False: somebody took an agent meanwhile."""
        if not tickets and self.kept is None:
            return True
        now = utc_now()
        queues = matching.rules(ticket.line for ticket in tickets)
        nodes = {ticket.line.node for ticket in tickets}
        if self.kept is not None:
            nodes |= {node.name for node in self.nodes.dialling()}
        shifts = await self.roster.shifts(tenant_id)
        talks = await self._talks_today(tenant_id) if matching.counts_talks(queues) else {}
        ready = [each for each in shifts if each.state is AgentState.READY and each.node in nodes]
        there = {each.id: each for each in ready if self.at_the_phone(each)}
        for each in ready:
            if each.id not in there and each.leg is not None:
                await self._say_lost(each)
        air = matching.InTheAir.seen(self.calls)
        asked = {
            ticket.line.call.attempt_id: matching.waiting(
                ticket.line, ticket.since, air, resumes=ticket.kept_for is not None
            )
            for ticket in tickets
        }
        at_work = {each.agent_id for each in shifts if each.state in matching.AT_WORK}
        free = [matching.free(each, talks.get(each.agent_id, 0)) for each in there.values()]
        standing = await self._standing(tenant_id, shifts, queues, now)
        asked |= {call_id: each.waiting for call_id, each in standing.items()}
        pairs = choose(asked, free, queues, now, at_work, standing, there, self.kept)
        by_call = {ticket.line.call.attempt_id: ticket for ticket in tickets}
        taken = []
        for pair in pairs:
            if pair.call_id in standing and self.kept is not None:
                await self.kept.call(standing[pair.call_id], there[pair.session_id])
            else:
                taken.append(await self._give(by_call[pair.call_id], there[pair.session_id]))
        opens = choosing.changes_at(asked.values(), queues, now, at_work=at_work)
        if opens is not None:
            self._opens_s = min(self._opens_s, time.monotonic() + (opens - now).total_seconds())
        return all(taken)

    async def _standing(
        self, tenant_id: int, shifts: Sequence[Shift], queues: dict[int, Queue], now: datetime
    ) -> dict[UUID, Kept]:
        """The tenant's kept places whose turn may have come; `queues` get theirs."""
        if self.kept is None:
            return {}
        await self.kept.read(tenant_id, shifts)
        found = self.kept.standing(tenant_id, now)
        queues |= {one.queue.id: one.queue for one in found if one.queue is not None}
        return {one.place.call_id: one for one in found}

    async def _say_lost(self, shift: Shift) -> None:
        """The row is behind what Asterisk has told us: nobody is at that phone."""
        of, now, leaving = (shift.tenant_id, shift.id), utc_now(), (AgentState.READY,)
        async with self.database.tenant(shift.tenant_id) as conn:
            stands = await agents.find_shift(conn, *of)
            if stands is not None and stands.leg == shift.leg:  # else it was called again meanwhile
                await agents.move(conn, *of, AgentState.LOST, now, leaving=leaving)
        self.roster.changed(*of)

    async def _talks_today(self, tenant_id: int) -> Mapping[int, int]:
        """By agent; as of some seconds ago."""
        read_s, talks = self._talks.get(tenant_id, (-math.inf, {}))
        if time.monotonic() - read_s > TALKS_S:
            async with self.database.tenant(tenant_id) as conn:
                talks = await agents.talks_today(conn, tenant_id)
            self._talks[tenant_id] = time.monotonic(), talks
        return talks

    async def _give(self, ticket: Ticket, shift: Shift) -> bool:
        """Reserve the agent for the customer; False: somebody else was first."""
        call, tenant_id = ticket.line.call, ticket.line.terms.tenant_id
        assert shift.leg is not None
        async with self.database.tenant(tenant_id) as conn:
            if not await self.leases.still(conn, tenant_id, (call.campaign_id,)):
                return True  # another server answers for the call: it finds an agent, or lets go
            ours = await agents.reserve(conn, tenant_id, shift.id, utc_now(), attempt_id=call.attempt_id)
            if ours:
                await self.pop(conn, ticket.line, shift.agent_id)
        self.roster.changed(tenant_id, shift.id)  # before the note of it comes we may choose again
        if not ours:
            return False
        await self._choose(ticket, Assignee(shift.id, shift.agent_id, shift.leg))
        return True

    async def put_through(self, line: Line, shift: Shift) -> Assignee | None:
        """Reserve this agent for a caller who is with the flow, past all who wait: the flow asks for this
        agent. None: they are not free there."""
        return await self._take(line, shift, Queued(utc_now()))

    async def hand_over(self, line: Line, shift: Shift) -> Assignee | None:
        """Reserve this agent for a customer who talks with another; None: they are not free there, and the
        talk goes on."""
        return await self._take(line, shift, Unassigned(utc_now()))

    async def _take(self, line: Line, shift: Shift, leaves: Signal) -> Assignee | None:
        """Reserve this agent for a customer, who then `leaves` what they are in."""
        call, now = line.call, utc_now()
        if shift.leg is None or shift.node != line.node or not self.at_the_phone(shift):
            return None
        async with self.database.tenant(call.tenant_id) as conn:
            if not await agents.reserve(conn, call.tenant_id, shift.id, now, attempt_id=call.attempt_id):
                return None
            await self.pop(conn, line, shift.agent_id)
        agent = Assignee(shift.id, shift.agent_id, shift.leg)
        self.calls.apply(call.attempt_id, leaves)
        after = self.calls.apply(call.attempt_id, Assigned(now, agent=agent), seen_s=time.monotonic())
        if after is not None and after.agent == agent:
            return agent
        async with self.database.tenant(call.tenant_id) as conn:  # the customer has left meanwhile
            await agents.release(conn, call.tenant_id, shift.id, call.attempt_id, utc_now())
        return None

    async def _take_back(self, ticket: Ticket) -> None:
        """The agent whose phone was lost takes the kept customer again, as soon as the phone is back."""
        call, terms, now = ticket.line.call, ticket.line.terms, utc_now()
        assert ticket.kept_for is not None
        async with self.database.tenant(terms.tenant_id) as conn:
            shift = await agents.find_shift(conn, terms.tenant_id, ticket.kept_for)
            if shift is None or shift.leg is None or shift.state not in _COMING_BACK:
                return
            if shift.node != ticket.line.node or not self.at_the_phone(shift):
                return  # called by another Asterisk now; or the row is behind what Asterisk has told us
            of = (conn, terms.tenant_id, shift.id)
            if not await agents.reserve(*of, now, attempt_id=call.attempt_id, leaving=_COMING_BACK):
                return
            await self.pop(conn, ticket.line, shift.agent_id)
        await self._choose(ticket, Assignee(shift.id, shift.agent_id, shift.leg))

    def at_the_phone(self, shift: Shift) -> bool:
        """Whether somebody is at the phone that the shift's row names."""
        if shift.leg is None or shift.leg in self.tracker.lost:
            return False
        # One that we have not heard of was called by another server: its row says whether it is up.
        leg = self.tracker.know(leg_of(shift, up=shift.state is not AgentState.LOST))
        return leg.up and not leg.silent

    def keeps_for(self, session_id: UUID) -> bool:
        """Whether a customer is kept for this shift, whose phone was lost in their talk."""
        now_s = time.monotonic()
        return any(each.kept_for == session_id and not each.open_to(now_s) for each in self._waiting)

    @staticmethod
    async def pop(conn: AsyncConnection, line: Line, agent_id: int) -> None:
        """Tell the agent's screen whose voice comes next, in the transaction that chooses the agent."""
        call = line.call
        payload: dict[str, Any] = {"attempt_id": str(call.attempt_id), "campaign_id": call.campaign_id}
        if call.led:
            waited_s = (utc_now() - call.queued_at).total_seconds() if call.queued_at else 0.0
            payload |= {"direction": call.direction, **line.told, "waited_s": round(waited_s, 1)}
        await events.emit(
            conn,
            "call.assigned",
            payload,
            tenant_id=call.tenant_id,
            campaign_id=call.campaign_id,
            agent_id=agent_id,
        )

    async def _choose(self, ticket: Ticket, agent: Assignee) -> None:
        """The reservation is committed; hand the agent over, unless the customer left meanwhile."""
        call = ticket.line.call
        if ticket in self._waiting and not ticket.chosen.done():
            after = self.calls.apply(
                call.attempt_id, Assigned(utc_now(), agent=agent), seen_s=time.monotonic()
            )
            if after is not None and after.agent == agent:
                ticket.chosen.set_result(agent)
                return
        async with self.database.tenant(call.tenant_id) as conn:
            await agents.release(conn, call.tenant_id, agent.session_id, call.attempt_id, utc_now())

    def _next_opening_s(self) -> float | None:
        """Seconds until time alone opens somebody who waits to more agents."""
        now_s = time.monotonic()
        moments = [t.keep_until_s for t in self._waiting if not t.open_to(now_s)]
        looks_s = self.kept.looks_s if self.kept is not None else None
        if looks_s is not None:
            moments.append(now_s + looks_s)
        opens_s = min([self._opens_s, *moments])
        return None if opens_s == math.inf else max(0.0, opens_s - now_s)

    def _changed(self, line: Line, change: Change) -> None:
        before, after = change.before, change.after
        lost = before.state is CallState.CONNECTED and after.state is CallState.WAITING
        if lost and before.agent is not None:
            line.lost_agent = before.agent

    async def hang_up(self, attempt_id: UUID, by: HungUpBy) -> None:
        """End the customer's call. Raises AsteriskUnavailable; a call that is gone already is no error."""
        line = self.calls.get(attempt_id)
        if line is None:
            return
        line.ended_by = line.ended_by or by
        self.calls.apply(attempt_id, CancelAsked(utc_now(), detail="hung_up"))  # no answer is waited for
        await hang_up_channel(self.nodes.link(line.node), line.call.channel_id)
