"""Joins customers to agents: who waits, who is free, and what the dialplan is told.

The dialplan of a customer who has answered asks by FastAGI and is held here until there is an answer: an
agent's channel to bridge with, the abandon message, or the end. Who has called us waits here when the flow
says so. Agents are given out by one task: callers come before those whom we have dialled, the longest-waiting
customer first and the longest-idle agent first, each by one conditional UPDATE; that is what keeps an agent
from being bridged away from a customer (Asterisk would do it without a word).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift
from dialer.asterisk.ami import AmiLink
from dialer.asterisk.fastagi import AgiCall
from dialer.asterisk.nodes import Nodes
from dialer.calls.model import (
    Assigned,
    Assignee,
    Call,
    CallState,
    CancelAsked,
    Dequeued,
    GaveUp,
    HungUpBy,
    Result,
    Screened,
)
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.tracking import Tracker, leg_of
from dialer.clock import utc_now, wall
from dialer.compliance.model import greeting_end_at
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import ActionFailed, AsteriskUnavailable, DatabaseUnavailable
from dialer.servers.ownership import Leases

log = structlog.get_logger(__name__)

#: A customer who asks for an unknown call may be one of before our start: wait so long for the resync.
RESYNC_WAIT_S = 2.0
#: A timer of the loop counts in whole milliseconds and may ring one early: a deadline is waited out.
TIMER_GRAIN_S = 0.002
#: After the kept time, how long a customer whose agent was lost is offered to others before the message.
OFFER_S = 30.0
BRIDGE, MESSAGE, HANGUP = "bridge", "message", "hangup"
#: What a caller is told whose time in the queue is over: the flow goes on.
TIMEOUT = "timeout"


@dataclass(slots=True, eq=False)
class Ticket:
    """A customer who waits for an agent."""

    line: Line
    #: by the wall clock, for the order of service
    since: datetime
    chosen: asyncio.Future[Assignee]
    #: only this shift may take the customer, until `keep_until_s` (monotonic): the talk was theirs
    kept_for: UUID | None = None
    keep_until_s: float = 0.0

    def turn(self) -> tuple[bool, bool, int, datetime]:
        """Whose turn is first: of whom an agent was lost, who has called us (by priority), all others; of
        equals who waits longest."""
        wish = self.line.wish
        return self.kept_for is None, wish is None, -wish.priority if wish else 0, self.since

    def open_to(self, now_s: float) -> bool:
        """Whether any agent may take the customer."""
        return self.kept_for is None or now_s >= self.keep_until_s


@dataclass(slots=True)
class Switchboard:
    """The waiting customers of one engine."""

    database: Database
    nodes: Nodes
    leases: Leases
    calls: CallTable
    tracker: Tracker
    #: seconds that a talking customer is kept for an agent whose phone was lost
    keep_s: float
    _waiting: list[Ticket] = field(default_factory=list)
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

    async def caller(self, agi: AgiCall, line: Line, bridge_result: str = "") -> Assignee | str:
        """Have somebody who has called us wait for whom `line.wish` says: an agent to bridge with, TIMEOUT
        when that does not come in time, else MESSAGE or HANGUP. They hear music meanwhile.

        `bridge_result`: they are back from a bridge. Raises as AgiCall.command does.
        """
        kept_for = self._kept_for(line, bridge_result, time.monotonic())
        if line.call.result not in (None, Result.ANSWERED):
            return HANGUP
        return line.call.agent or await self._wait(agi, line, line.call, kept_for)

    def _kept_for(self, line: Line, bridge_result: str, asked_s: float) -> UUID | None:
        """The shift for which a customer is kept whose dialplan asks: their talk was with it."""
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

    async def _wait(self, agi: AgiCall, line: Line, call: Call, kept_for: UUID | None) -> Assignee | str:
        loop = asyncio.get_running_loop()
        since = call.queued_at or call.answered_at or utc_now()
        ticket = Ticket(line, since, loop.create_future(), kept_for)
        was_talking = call.connected_at is not None
        hears_music = was_talking or call.led
        if was_talking:
            ticket.keep_until_s = time.monotonic() + self.keep_s
            patience_s = self.keep_s + OFFER_S
        elif line.wish is not None:
            patience_s = max(0.0, line.wish.until_s - time.monotonic())
        else:
            # No deadline: screened before our start. Their time is over by now.
            until_s = line.deadline_s if call.deadline and line.deadline_s else 0.0
            patience_s = max(0.0, until_s - time.monotonic() + TIMER_GRAIN_S)
        if hears_music:
            await agi.command("SET", "MUSIC", "ON")
        self._waiting.append(ticket)
        self._waiting.sort(key=Ticket.turn)
        self._look.set()
        gone = asyncio.create_task(agi.hung_up.wait())
        try:
            either: set[asyncio.Future[Any]] = {ticket.chosen, gone}
            await asyncio.wait(either, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            self._waiting.remove(ticket)
        if agi.hung_up.is_set() and not ticket.chosen.done():
            return HANGUP
        if hears_music:
            await agi.command("SET", "MUSIC", "OFF")
        if ticket.chosen.done():
            return ticket.chosen.result()
        if was_talking:
            return MESSAGE
        if call.led:
            self.calls.apply(call.attempt_id, Dequeued(utc_now()))
            return TIMEOUT
        self.calls.apply(call.attempt_id, GaveUp(utc_now()))
        return MESSAGE

    # -- agents are given out ----------------------------------------------------------------------------

    async def _give_out(self) -> None:
        served: set[tuple[int, str, str | None]] = set()
        for ticket in list(self._waiting):
            if ticket.chosen.done() or self.calls.get(ticket.line.call.attempt_id) is None:
                continue  # served; or another server's by now
            terms, now_s = ticket.line.terms, time.monotonic()
            if not ticket.open_to(now_s):
                await self._take_back(ticket)
                continue
            pool = (terms.tenant_id, ticket.line.node, ticket.line.skill)
            if pool in served:
                continue  # nobody with that skill is free there: later customers need not ask
            if not await self._take_next(ticket):
                served.add(pool)

    async def _take_next(self, ticket: Ticket) -> bool:
        call, terms, now = ticket.line.call, ticket.line.terms, utc_now()
        async with self.database.tenant(terms.tenant_id) as conn:
            if not await self.leases.still(conn, terms.tenant_id, (call.campaign_id,)):
                return True  # another server answers for the call: it finds an agent, or lets go
            while True:
                shift = await agents.reserve_next(
                    conn,
                    terms.tenant_id,
                    ticket.line.skill,
                    ticket.line.node,
                    call.attempt_id,
                    now,
                    spare=self._needed_by_others(ticket.line),
                )
                if shift is None or shift.leg is None:
                    return False
                if self._at_the_phone(shift):
                    break
                # The row is behind what Asterisk has told us: nobody is at that phone.
                await agents.move(conn, terms.tenant_id, shift.id, AgentState.LOST, now)
            await self._pop(conn, ticket.line, shift.agent_id)
        await self._choose(ticket, Assignee(shift.id, shift.agent_id, shift.leg))
        return True

    def _needed_by_others(self, line: Line) -> set[str]:
        """The skills of other campaigns whose calls in the air may need an agent there.

        A campaign of a few universal agents would find them taken by the many calls of a larger one that has
        agents of its own.
        """
        return {
            other.skill
            for other in self.calls
            if other.skill is not None
            and other.skill != line.skill
            and other.terms.tenant_id == line.terms.tenant_id
            and other.node == line.node
            and other.call.agent is None
            and other.call.result is None
            and not (other.call.automatic and other.wish is None)  # with a flow, which asks for nobody yet
        }

    async def _take_back(self, ticket: Ticket) -> None:
        """The agent whose phone was lost takes the kept customer again, as soon as the phone is back."""
        call, terms, now = ticket.line.call, ticket.line.terms, utc_now()
        assert ticket.kept_for is not None
        async with self.database.tenant(terms.tenant_id) as conn:
            shift = await agents.find_shift(conn, terms.tenant_id, ticket.kept_for)
            if shift is None or shift.leg is None or shift.state is not AgentState.READY:
                return
            if shift.node != ticket.line.node or not self._at_the_phone(shift):
                return  # called by another Asterisk now; or the row is behind what Asterisk has told us
            if not await agents.reserve(conn, terms.tenant_id, shift.id, now, attempt_id=call.attempt_id):
                return
            await self._pop(conn, ticket.line, shift.agent_id)
        await self._choose(ticket, Assignee(shift.id, shift.agent_id, shift.leg))

    def _at_the_phone(self, shift: Shift) -> bool:
        """Whether somebody is at the phone that the shift's row names."""
        if shift.leg is None or shift.leg in self.tracker.lost:
            return False
        # One that we have not heard of was called by another server: its row says that it is up.
        leg = self.tracker.know(leg_of(shift, up=True))
        return leg.up and not leg.silent

    @staticmethod
    async def _pop(conn: AsyncConnection, line: Line, agent_id: int) -> None:
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
        """Seconds until the next kept customer is open to all."""
        now_s = time.monotonic()
        waits = [t.keep_until_s - now_s for t in self._waiting if not t.open_to(now_s)]
        return max(0.0, min(waits)) if waits else None

    def _changed(self, line: Line, change: Change) -> None:
        before, after = change.before, change.after
        if before.state is CallState.CONNECTED and after.agent is None and before.agent is not None:
            line.lost_agent = before.agent

    async def hang_up(self, attempt_id: UUID, by: HungUpBy) -> None:
        """End the customer's call. Raises AsteriskUnavailable; a call that is gone already is no error."""
        line = self.calls.get(attempt_id)
        if line is None:
            return
        line.ended_by = line.ended_by or by
        self.calls.apply(attempt_id, CancelAsked(utc_now(), detail="hung_up"))  # no answer is waited for
        await hang_up_channel(self.nodes.link(line.node), line.call.channel_id)


async def hang_up_channel(link: AmiLink, channel: str) -> None:
    """Ask Asterisk to end one channel; that it is gone already is no error."""
    try:
        await link.send({"Action": "Hangup", "Channel": channel, "Cause": "16"})
    except ActionFailed:
        log.info("hangup_of_no_channel", channel=channel)
    except AsteriskUnavailable:
        log.warning("hangup_not_sent", channel=channel)
        raise
