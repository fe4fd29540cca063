"""Takes calls that come in: the dialplan asks by FastAGI, and is led through the flow until it is told what
is next.

The call's row is committed before anything is played. When rows are not written in time (more callers than
the machine carries, a database that stands still), who comes next is told so at once by the dialplan.

Whatever ends this (an error, the end of the server) ends the AGI session as a failure, or without a word
where the server was killed: then the dialplan goes on by itself, and the caller hears that nobody can be
reached (`dozvon-inbound` in extensions_dozvon.conf).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.fastagi import AgiCall
from dialer.asterisk.nodes import Nodes
from dialer.calls import store as calls_store
from dialer.calls.kept_terms import KeptTerms
from dialer.calls.model import (
    Call,
    CallState,
    Direction,
    HungUp,
    HungUpBy,
    Result,
)
from dialer.calls.switchboard import MESSAGE, RESYNC_WAIT_S, Switchboard
from dialer.calls.table import CallTable, Line
from dialer.calls.terms import CallTerms
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.ids import new_id
from dialer.inbound import callers, store, ways
from dialer.inbound.callers import Caller
from dialer.inbound.flows import Flows
from dialer.inbound.handing_over import HandingOver
from dialer.inbound.leading import Leader, Visit, beginning
from dialer.inbound.model import dialled_digits
from dialer.inbound.store import Called
from dialer.inbound.ways import Piece
from dialer.servers.ownership import Leases
from dialer.telemetry import mask_number
from ivr_flows import interpreter
from ivr_flows.model import Began, Flow, Step

log = structlog.get_logger(__name__)

#: What the dialplan does for a number that is not ours, and for one that another server answers for.
UNKNOWN, ELSEWHERE = "unknown", "elsewhere"
#: While somebody has waited so long for their row, seconds, nobody else is let in: all would wait in silence.
LET_IN_S = 3.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call that is written down, in the transaction that does it."""

    id: UUID
    tenant_id: int
    at: datetime
    called: Called
    caller: Caller
    terms: CallTerms
    #: of the campaign's lease
    fence: int
    flow: Flow
    #: into the first state of the flow
    step: Step


@dataclass(slots=True)
class Reception:
    """The callers of one engine."""

    database: Database
    nodes: Nodes
    leases: Leases
    calls: CallTable
    switchboard: Switchboard
    terms: KeptTerms
    leader: Leader
    #: the country of numbers that are sent without one
    region: str
    handing_over: HandingOver
    flows: Flows = field(default_factory=Flows)
    #: since when each caller waits for their row (monotonic seconds), by node and channel; the first is the
    #: one who waits longest
    coming: dict[tuple[str, str], float] = field(default_factory=dict)
    #: whose a number was when it was called last: that tenant is asked first
    _owners: dict[str, int] = field(default_factory=dict)

    # -- the dialplan asks -----------------------------------------------------------------------------

    async def answer(self, agi: AgiCall) -> None:
        """Answer `AGI(agi://.../inbound,NODE,NUMBER,BRIDGERESULT)`: see extensions_dozvon.conf."""
        node, number, bridge_result = (*agi.args, "", "", "")[:3]
        try:
            if bridge_result:
                await self._back(agi, node, bridge_result)
            else:
                await self._arrive(agi, node, number)
        except DatabaseUnavailable as error:
            # Nothing is written of the call: the dialplan goes on by itself.
            log.error("inbound_not_taken", node=node, reason=str(error))  # noqa: TRY400
            await agi.set_variable("DOZVON_NEXT", MESSAGE)

    async def _back(self, agi: AgiCall, node: str, bridge_result: str) -> None:
        """The caller is back from the bridge with an agent, who was lost."""
        call_id = self.calls.named(node, agi.channel_id)
        if call_id is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESYNC_WAIT_S):
                    await self.nodes.some_ready.wait()
            call_id = self.calls.named(node, agi.channel_id)
        line = self.calls.get(call_id) if call_id is not None else None
        if line is None:
            log.warning("unknown_caller", channel=agi.channel_id)
            await agi.set_variable("DOZVON_NEXT", MESSAGE)
            return
        if not await self.handing_over.to_queue(agi, line):
            await self.leader.back(agi, line, self.switchboard, bridge_result)

    async def _arrive(self, agi: AgiCall, node: str, number: str) -> None:
        now_s, here = time.monotonic(), (node, agi.channel_id)
        if now_s - next(iter(self.coming.values()), now_s) > LET_IN_S:
            log.error("inbound_turned_away", node=node, waiting=len(self.coming))
            await agi.set_variable("DOZVON_NEXT", MESSAGE)
            return
        self.coming[here] = now_s
        try:
            visit = await self._let_in(agi, node, number)
        finally:
            del self.coming[here]
        if isinstance(visit, str):
            await agi.set_variable("DOZVON_NEXT", visit)
        else:
            await self.leader.begin(agi, *visit)

    async def _let_in(self, agi: AgiCall, node: str, number: str) -> tuple[Visit, Step] | str:
        """The caller with the first step into their flow; else what the dialplan is told. Raises
        DatabaseUnavailable."""
        digits = dialled_digits(number)
        known = self._owners.get(digits)
        found = None if known is None else await self._at(known, agi, node, digits)
        if found is not None:
            return found
        owner = await store.owner_of(self.database, digits)
        if owner is not None and owner != known:
            found = await self._at(owner, agi, node, digits)
        if found is not None and owner is not None:
            self._owners[digits] = owner
            return found
        log.warning("inbound_unknown_number", number=mask_number(number), node=node)
        return UNKNOWN

    async def _at(
        self, tenant_id: int, agi: AgiCall, node: str, digits: str
    ) -> tuple[Visit, Step] | str | None:
        """As `_let_in` at this tenant; None: the number is none of theirs. All of it is one transaction: it
        raises, and nothing is followed."""
        call_id, channel, ours = new_id(), agi.channel_id, False
        # From here on its end is heard, whatever comes first.
        self.calls.name(node, channel, call_id)
        try:
            async with self.database.tenant(tenant_id) as conn:
                called = await store.called(conn, tenant_id, digits)
                if called is None:
                    return None
                arrival = await self._write(conn, tenant_id, call_id, agi, node, called)
            ours = isinstance(arrival, Arrival)
        finally:
            if not ours:
                self.calls.unname(node, channel)
        if isinstance(arrival, Arrival):
            line = self._follow(agi, node, arrival)
            return Visit(line, called, arrival.flow, arrival.step.position), arrival.step
        if arrival is None:
            return MESSAGE
        await agi.set_variable("DOZVON_INBOUND", arrival)
        return ELSEWHERE

    async def _write(
        self, conn: AsyncConnection, tenant_id: int, call_id: UUID, agi: AgiCall, node: str, called: Called
    ) -> Arrival | str | None:
        """Write the call down; a text: where the server is that answers for the campaign; None: no living one
        does, or the flow cannot be read."""
        flow = self.flows.read(tenant_id, called.flow_id, called.flow, called.version, called.document)
        if flow is None:
            return None
        terms, now = await self.terms.read(conn, tenant_id, called.campaign_id), utc_now()
        fence = self.leases.fence(tenant_id, called.campaign_id)
        number = callers.number_of(agi.env.get("callerid", ""), self.region)
        if not await self.leases.still(conn, tenant_id, (called.campaign_id,)):
            where = await self.leases.elsewhere(conn, tenant_id, called.campaign_id)
            log.info("inbound_not_ours", campaign=called.campaign_id, sent_to=where)
            return where
        caller = await callers.find(conn, tenant_id, number)
        await store.add(
            conn,
            tenant_id,
            call_id,
            called,
            contact_id=caller.contact_id,
            e164=caller.e164,
            node=node,
            channel=agi.channel_id,
            at=now,
        )
        if caller.e164:  # nobody dials who is calling us
            await calls_store.hold_numbers(conn, tenant_id, {caller.e164: call_id})
        about = {"attempt_id": str(call_id), "campaign_id": called.campaign_id, "agent_id": None}
        state = {"state": CallState.FLOW, "result": None, "direction": Direction.INBOUND}
        known = {"caller": caller.e164, "dialled": called.number, "campaign": called.campaign_id}
        known["zone"] = called.zone
        position = await beginning(conn, tenant_id, flow, caller.contact_id, known)
        step = interpreter.step(flow, position, Began(), now=now)
        fact = events.Fact("call.state", about | state, called.campaign_id, None)
        await events.emit_all(conn, [fact], tenant_id=tenant_id)
        begun = Piece.of(flow.name, step, 0, now)
        await ways.write(conn, tenant_id, call_id, called.campaign_id, [begun])
        return Arrival(call_id, tenant_id, now, called, caller, terms, fence, flow, step)

    def _follow(self, agi: AgiCall, node: str, arrival: Arrival) -> Line:
        """Follow the call, which is committed."""
        channel, called, caller = agi.channel_id, arrival.called, arrival.caller
        call = Call(
            arrival.id,
            arrival.tenant_id,
            called.campaign_id,
            screens=False,
            abandon_after_s=0.0,
            created_at=arrival.at,
            direction=Direction.INBOUND,
            channel=channel,
            state=CallState.FLOW,
            answered_at=arrival.at,
        )
        told = {"contact_id": caller.contact_id, "number": mask_number(caller.e164), "dialled": called.number}
        gone = self.calls.named(node, channel) is None
        line = Line(
            call=call,
            terms=arrival.terms,
            e164=caller.e164,
            trunk_id=calls_store.NO_TRUNK,
            node=node,
            fence=arrival.fence,
            seen=True,
            answered_s=time.monotonic(),
            told=told,
            # Asked for while the row was written: nobody but the caller could have.
            ended_by=HungUpBy.CUSTOMER if agi.hung_up.is_set() else None,
        )
        self.calls.add(line)
        log.info("inbound_call", call=str(call.attempt_id), campaign=called.campaign_id, flow=called.flow)
        if gone:  # its Hangup came while the row was written
            by = HungUpBy.CUSTOMER
            self.calls.apply(call.attempt_id, HungUp(utc_now(), result=Result.LEFT, by=by))
        return line
