"""Leads somebody on the line through a flow, by what `step` says: each action is carried out, and gives one
event.

What the caller does is written down on the way (`ways`). While the database is away for some seconds the call
goes on; what it is needed for waits, and the caller hears music.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.fastagi import AgiCall
from dialer.calls import outcomes
from dialer.calls.model import Assignee, Call, HungUpBy, Result, Served
from dialer.calls.switchboard import BRIDGE, HANGUP, MESSAGE, TIMEOUT, Switchboard
from dialer.calls.table import CallTable, Line
from dialer.clock import utc_now
from dialer.contacts.known import card
from dialer.db import tenants
from dialer.db.session import Database
from dialer.errors import ActionFailed, AgiHangup, DatabaseUnavailable
from dialer.inbound import store
from dialer.inbound.model import outcome
from dialer.inbound.patience import patiently
from dialer.inbound.store import Called
from dialer.inbound.ways import Piece, Way, Ways
from dialer.queues.model import Queue
from dialer.surveys import store as surveys
from ivr_flows import interpreter
from ivr_flows.dispositions import DISPOSITION
from ivr_flows.model import (
    Action,
    Began,
    CheckHours,
    Ended,
    Enqueue,
    Event,
    Failed,
    Flow,
    GoTo,
    HangUp,
    Lookup,
    Offer,
    OfferAnswer,
    OptOut,
    Position,
    RecordConsent,
    Request,
    RequestCallback,
    Step,
)

log = structlog.get_logger(__name__)

#: What ask the database before anything else, or nothing else: they are done again when it is back.
AGAIN: Final = (
    CheckHours,
    GoTo,
    Lookup,
    Offer,
    OfferAnswer,
    OptOut,
    RecordConsent,
    Request,
    RequestCallback,
)
#: Of these, what holds though the caller is gone before it could be written down.
GIVEN: Final = (OfferAnswer, OptOut, RecordConsent, RequestCallback)
#: What begins with a transaction, and writes down the way in it.
WRITES: Final = (Enqueue,)


@dataclass(frozen=True, slots=True)
class Stood:
    """The place in a queue that somebody on the line has, or has just left."""

    queue: Queue
    #: when the wait began
    since: datetime
    priority: int
    #: that the flow asks for besides: skill -> least level
    skills: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Visit:
    """Somebody on the line with where they are."""

    line: Line
    #: what they have called; None: we have called them
    called: Called | None
    flow: Flow
    position: Position
    #: the states they have been in and are in, through all flows: rows of the way
    way: list[str] = field(default_factory=list)
    #: flow and state of the last of them, while the caller is there
    stands: tuple[str, str] | None = None
    collected: dict[str, Any] = field(default_factory=dict)
    #: what is done when the caller is back from a bridge: given how it ended, what came of the action
    back: Callable[[AgiCall, str], Awaitable[Event]] | None = None
    #: the last place in a queue; None: they were in none
    stood: Stood | None = None
    #: after a talk, of which they say how it was: what the call came to is settled
    survey: bool = False
    #: what is to be written of all that
    unwritten: Way = field(init=False)

    def __post_init__(self) -> None:
        self.unwritten = Way(self.line.call, self.survey)

    @property
    def queue(self) -> str:
        """Where they wait if the flow names no queue."""
        return self.called.queue if self.called is not None else ""

    @property
    def contact_id(self) -> int | None:
        """Whom the caller is known as."""
        found = self.line.told.get("contact_id")
        return found if isinstance(found, int) else None


#: Does what an action says, and tells what came of it. Raises AgiHangup, Bridged; ActionFailed and
#: DatabaseUnavailable become the event Failed.
Carrier: TypeAlias = Callable[[AgiCall, Visit, Any], Awaitable[Event]]


class Bridged(Exception):
    """The dialplan was told an agent: this session has done its part."""


@dataclass(slots=True)
class Leader:
    """Leads people through flows: who has called us, and who was called without an agent."""

    calls: CallTable
    #: by the kind of action; what is not here fails, and the flow goes on from `failed`
    carriers: Mapping[type[Action], Carrier]
    ways: Ways
    #: who may come back to their flow
    _visits: dict[UUID, Visit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.calls.watchers.append(lambda _line, change: self._forget(change.after))

    def _forget(self, call: Call) -> None:
        if not call.live and (visit := self._visits.pop(call.attempt_id, None)) is not None:
            self.ways.later(visit.unwritten)

    def way(self, call_id: UUID) -> list[str]:
        """The states that the call has been in, through all flows."""
        visit = self._visits.get(call_id)
        return list(visit.way) if visit is not None else []

    async def begin(self, agi: AgiCall, visit: Visit, begun: Step | None = None) -> None:
        """Lead somebody from the beginning of their flow. `begun`: the first step, which is written already.
        Raises AgiHangup."""
        self._visits[visit.line.call.attempt_id] = visit
        if begun is not None:
            self._go(visit, begun)
            visit.unwritten.pieces.clear()
        await self.lead(agi, visit, Began(), begun)

    async def back(self, agi: AgiCall, line: Line, switchboard: Switchboard, bridge_result: str) -> None:
        """They are back from the bridge: the agent was gone, or lost. Raises AgiHangup."""
        visit = self._visits.get(line.call.attempt_id)
        if visit is None or visit.back is None:
            # An earlier owner of the call led it: there is no flow to go on in.
            decision = await switchboard.caller(agi, line, bridge_result)
            await tell(agi, line, MESSAGE if decision == TIMEOUT else decision)
            return
        try:
            event = await visit.back(agi, bridge_result)
        except AgiHangup:
            await self._left(visit)
            raise
        except Bridged:
            return
        await self.lead(agi, visit, event)

    async def lead(self, agi: AgiCall, visit: Visit, event: Event, step: Step | None = None) -> None:
        """Lead the caller on from what happened until an agent, or the end. `step`: what that gave, where it
        was taken already. Raises AgiHangup."""
        done: Action | None = None
        call_id = visit.line.call.attempt_id
        try:
            while True:
                if done is not None and (came_to := outcome(done, event)) is not None:
                    self.calls.apply(call_id, Served(utc_now(), outcome=came_to))
                if step is None:
                    step = interpreter.step(visit.flow, visit.position, event, now=utc_now())
                    self._go(visit, step)
                if not isinstance(step.action, WRITES):
                    await self.ways.keep(visit.unwritten)
                if step.action is None or isinstance(step.action, HangUp):
                    await self._end(agi, visit)
                    return
                done, step = step.action, None
                event = await self._carry_out(agi, visit, done)
        except AgiHangup:
            await self._left(visit)
            raise
        except Bridged:
            return

    async def _carry_out(self, agi: AgiCall, visit: Visit, action: Action) -> Event:
        """Do one thing; what came of it. Raises AgiHangup."""
        carrier = self.carriers.get(type(action))
        if carrier is None:
            log.warning("flow_action_unknown", action=type(action).__name__)
            return Failed(f"{type(action).__name__} is not carried out here")
        try:
            if isinstance(action, AGAIN):
                return await patiently(agi, lambda: carrier(agi, visit, action))
            return await carrier(agi, visit, action)
        except AgiHangup:
            if isinstance(action, GIVEN):  # they have said what they want
                visit.unwritten.errands.append(lambda: carrier(agi, visit, action))
            raise
        except (ActionFailed, DatabaseUnavailable) as error:
            call_id = str(visit.line.call.attempt_id)
            log.warning("flow_action_failed", call=call_id, state=visit.position.state, reason=str(error))
            return Failed(str(error))

    async def _end(self, agi: AgiCall, visit: Visit) -> None:
        """The flow has ended: it has done what it could for the caller, or was at a loss."""
        call, ended = visit.line.call, visit.position.ended
        if visit.survey:
            await self._finish(visit)
            return
        self._say(visit)
        await self.ways.end(visit.unwritten)
        # Who has called us and has waited in vain has not been served; whom we have called was.
        served = visit.position.served or call.automatic or not call.queued_at
        if ended != Ended.FAILED and call.outcome is None and served:
            self.calls.apply(call.attempt_id, Served(utc_now(), outcome=Result.CONTAINED))
        await tell(agi, visit.line, MESSAGE if ended == Ended.FAILED else HANGUP)

    async def _finish(self, visit: Visit) -> None:
        """The customer has heard a survey to its end; their dialplan hangs up by itself."""
        call = visit.line.call
        visit.unwritten.also.append(lambda conn: surveys.finished(conn, call.tenant_id, call.attempt_id))
        await self.ways.end(visit.unwritten)

    async def _left(self, visit: Visit) -> None:
        """The caller is gone; what AMI says of it ends the call."""
        call = visit.line.call
        visit.line.ended_by = visit.line.ended_by or HungUpBy.CUSTOMER
        if not visit.survey:
            self._say(visit)
        visit.unwritten.also.append(
            lambda conn: store.left_state(conn, call.tenant_id, call.attempt_id, "hung_up")
        )
        await self.ways.end(visit.unwritten)

    @staticmethod
    def _say(visit: Visit) -> None:
        """The flow is over for whom we have called: what it says that the call came to is kept."""
        call, code, now = visit.line.call, visit.position.variables.get(DISPOSITION), utc_now()
        if call.inbound or not isinstance(code, str) or not code:
            return
        visit.unwritten.also.append(
            lambda conn: outcomes.by_flow(conn, call.tenant_id, call.attempt_id, code, now)
        )

    def _go(self, visit: Visit, step: Step) -> None:
        """Have the caller where the step has led; what it adds to their way is still to be written."""
        call, visit.position = visit.line.call, step.position
        if step.position.served and call.outcome is None and not visit.survey:
            self.calls.apply(call.attempt_id, Served(utc_now(), outcome=Result.CONTAINED))
        for each in step.passed:
            visit.collected |= each.collected
        # The last row is of the state that was left.
        added = Piece.of(visit.flow.name, step, len(visit.way) - bool(visit.stands), utc_now())
        if step.passed or visit.stands != added.stands:
            visit.unwritten.pieces.append(added)
            visit.way[added.first :], visit.stands = added.states, added.stands


async def start(database: Database, flow: Flow, line: Line, known: Mapping[str, Any]) -> Position:
    """Before the first state, with what is `known` of the call, and of the person the fields of their card.
    Raises DatabaseUnavailable."""
    contact_id, tenant_id = line.told.get("contact_id"), line.call.tenant_id
    async with database.tenant(tenant_id) as conn:
        return await beginning(
            conn, tenant_id, flow, contact_id if isinstance(contact_id, int) else None, known
        )


async def beginning(
    conn: AsyncConnection, tenant_id: int, flow: Flow, contact_id: int | None, known: Mapping[str, Any]
) -> Position:
    """As `start`, in the transaction of `conn`. The tenant's `zone` may be among what is known."""
    variables = {**known, "zone": known.get("zone") or await tenants.timezone(conn, tenant_id)}
    if contact_id is not None:
        fields = await card(conn, tenant_id, contact_id)
        variables |= {f"contact.{name}": value for name, value in fields.items()}
    return interpreter.begin(flow, variables=variables, language=flow.language)


async def tell(agi: AgiCall, line: Line, decision: Assignee | str) -> None:
    """Tell the dialplan what is next."""
    if isinstance(decision, Assignee):
        await agi.set_words(DOZVON_AGENT=str(decision.leg), DOZVON_NEXT=BRIDGE)
        return
    line.dismissed = not agi.hung_up.is_set()  # else it is the caller who has left
    await agi.set_variable("DOZVON_NEXT", decision)
