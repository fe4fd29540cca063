"""Takes calls that come in: the dialplan asks by FastAGI, and is led through the flow until it is told what
is next.

The rules are the flow's: `step` says what is to be done, this carries one action out and gives back one
event. The call's row is committed before anything is played. What the caller does is written down on the way;
while the database is away the call goes on, and its way has a gap.

Whatever ends this (an error, the end of the server) ends the AGI session as a failure, or without a word
where the server was killed: then the dialplan goes on by itself, and the caller hears that nobody can be
reached (`dozvon-inbound` in extensions_dozvon.conf).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from dialer.asterisk.fastagi import AgiCall
from dialer.asterisk.nodes import Nodes
from dialer.calls import store as calls_store
from dialer.calls.model import (
    Assignee,
    Call,
    CallState,
    Direction,
    HungUp,
    HungUpBy,
    Queued,
    Result,
    Served,
)
from dialer.calls.recovery import TermsBook
from dialer.calls.switchboard import BRIDGE, HANGUP, MESSAGE, RESYNC_WAIT_S, TIMEOUT, Switchboard
from dialer.calls.table import CallTable, Line, Wish
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import ActionFailed, AgiHangup, BadFlow, DatabaseUnavailable
from dialer.ids import new_id
from dialer.inbound import callers, deeds, playing, store
from dialer.inbound.deeds import Speaker
from dialer.inbound.model import USUAL_WAIT_S, dialled_digits, outcome
from dialer.inbound.playing import Sounds
from dialer.inbound.store import Called
from dialer.servers.ownership import Leases
from dialer.telemetry import mask_number
from ivr_flows import interpreter, loader
from ivr_flows.model import (
    Action,
    Ask,
    Began,
    Came,
    Ended,
    Enqueue,
    Event,
    Failed,
    Flow,
    GoTo,
    HangUp,
    Lookup,
    OptOut,
    Position,
    RecordConsent,
    Say,
    Step,
)

log = structlog.get_logger(__name__)

#: What the dialplan does for a number that is not ours.
UNKNOWN = "unknown"
#: Flows that are kept ready.
KEPT = 200


@dataclass(slots=True)
class _Visit:
    """A caller with where they are."""

    line: Line
    called: Called
    flow: Flow
    position: Position
    #: rows of the way that are written
    steps: int = 0
    #: flow and state of the last of them, while the caller is there
    stands: tuple[str, str] | None = None
    collected: dict[str, Any] = field(default_factory=dict)


class _Bridged(Exception):
    """The dialplan was told an agent: this session has done its part."""


@dataclass(slots=True)
class Reception:
    """The callers of one engine."""

    database: Database
    nodes: Nodes
    leases: Leases
    calls: CallTable
    switchboard: Switchboard
    terms: TermsBook
    sounds: Sounds
    #: the country of numbers that are sent without one
    region: str
    #: callers who may come back to their flow
    _visits: dict[UUID, _Visit] = field(default_factory=dict)
    #: by tenant, flow and version
    _flows: dict[tuple[int, int, int], Flow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.calls.watchers.append(lambda _line, change: self._forget(change.after))

    def _forget(self, call: Call) -> None:
        if not call.live:
            self._visits.pop(call.attempt_id, None)

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
        decision = await self.switchboard.caller(agi, line, bridge_result)
        visit = self._visits.get(line.call.attempt_id)
        if decision == TIMEOUT and visit is not None:
            await self._lead(agi, visit, Came("timeout"))
        else:
            await self._tell(agi, line, decision)

    async def _arrive(self, agi: AgiCall, node: str, number: str) -> None:
        tenant_id, called = await self._called(dialled_digits(number))
        if called is None:
            log.warning("inbound_unknown_number", number=mask_number(number), node=node)
            await agi.set_variable("DOZVON_NEXT", UNKNOWN)
            return
        flow = self._flow(tenant_id, called)
        line = None if flow is None else await self._begin(agi, node, tenant_id, called)
        if flow is None or line is None:
            await agi.set_variable("DOZVON_NEXT", MESSAGE)
            return
        visit = _Visit(line, called, flow, await self._start(flow, line, called))
        self._visits[line.call.attempt_id] = visit
        await self._lead(agi, visit, Began())

    async def _called(self, number: str) -> tuple[int, Called | None]:
        for tenant_id in await self.database.tenants():
            async with self.database.tenant(tenant_id) as conn:
                found = await store.called(conn, tenant_id, number)
            if found is not None:
                return tenant_id, found
        return 0, None

    def _flow(self, tenant_id: int, called: Called) -> Flow | None:
        """The flow that the number has now; a call that is under way keeps its own."""
        key = tenant_id, called.flow_id, called.version
        if (known := self._flows.get(key)) is not None:
            return known
        try:
            flow = loader.from_document(called.document)
        except BadFlow as error:  # it was checked when it was published: by an earlier version of ours
            log.error("flow_cannot_be_read", flow=called.flow, version=called.version, reason=str(error))  # noqa: TRY400
            return None
        self._flows[key] = flow
        while len(self._flows) > KEPT:
            del self._flows[next(iter(self._flows))]
        return flow

    async def _begin(self, agi: AgiCall, node: str, tenant_id: int, called: Called) -> Line | None:
        """Commit the call and follow it; None: another server answers for the campaign. Raises
        DatabaseUnavailable, and nothing is followed."""
        terms = await self.terms.terms(tenant_id, called.campaign_id)
        call_id, channel, now = new_id(), agi.channel_id, utc_now()
        fence = self.leases.fence(tenant_id, called.campaign_id)
        number = callers.number_of(agi.env.get("callerid", ""), self.region)
        # From here on its end is heard, whatever comes first.
        self.calls.name(node, channel, call_id)
        try:
            async with self.database.tenant(tenant_id) as conn:
                if not await self.leases.still(conn, tenant_id, (called.campaign_id,)):
                    self.calls.unname(node, channel)
                    log.warning("inbound_not_ours", campaign=called.campaign_id)
                    return None
                caller = await callers.find(conn, tenant_id, number)
                await store.add(
                    conn,
                    tenant_id,
                    call_id,
                    called,
                    contact_id=caller.contact_id,
                    e164=caller.e164,
                    node=node,
                    channel=channel,
                    at=now,
                )
                if caller.e164:  # nobody dials who is calling us
                    await calls_store.hold_numbers(conn, tenant_id, {caller.e164: call_id})
                about = {"attempt_id": str(call_id), "campaign_id": called.campaign_id, "agent_id": None}
                state = {"state": CallState.FLOW, "result": None, "direction": Direction.INBOUND}
                fact = events.Fact("call.state", about | state, called.campaign_id, None)
                await events.emit_all(conn, [fact], tenant_id=tenant_id)
        except BaseException:
            self.calls.unname(node, channel)
            raise
        call = Call(
            call_id,
            tenant_id,
            called.campaign_id,
            screens=False,
            abandon_after_s=0.0,
            created_at=now,
            direction=Direction.INBOUND,
            channel=channel,
            state=CallState.FLOW,
            answered_at=now,
        )
        told = {"contact_id": caller.contact_id, "number": mask_number(caller.e164), "dialled": called.number}
        gone = self.calls.named(node, channel) is None
        line = Line(
            call=call,
            terms=terms,
            e164=caller.e164,
            trunk_id=calls_store.NO_TRUNK,
            node=node,
            fence=fence,
            seen=True,
            answered_s=time.monotonic(),
            told=told,
        )
        self.calls.add(line)
        log.info("inbound_call", call=str(call_id), campaign=called.campaign_id, flow=called.flow)
        if gone:  # its Hangup came while the row was written
            by = HungUpBy.CUSTOMER
            self.calls.apply(call_id, HungUp(utc_now(), result=Result.LEFT, by=by))
        return line

    async def _start(self, flow: Flow, line: Line, called: Called) -> Position:
        variables: dict[str, Any] = {
            "caller": line.e164,
            "dialled": called.number,
            "campaign": called.campaign_id,
        }
        contact_id = line.told.get("contact_id")
        if isinstance(contact_id, int):
            async with self.database.tenant(line.call.tenant_id) as conn:
                known = await callers.card(conn, line.call.tenant_id, contact_id)
            variables |= {f"contact.{name}": value for name, value in known.items()}
        return interpreter.begin(flow, variables=variables, language=flow.language)

    # -- the way through the flow ----------------------------------------------------------------------

    async def _lead(self, agi: AgiCall, visit: _Visit, event: Event) -> None:
        """Lead the caller on from what happened until an agent, or the end."""
        done: Action | None = None
        call_id = visit.line.call.attempt_id
        try:
            while True:
                if done is not None and (came_to := outcome(done, event)) is not None:
                    self.calls.apply(call_id, Served(utc_now(), outcome=came_to))
                step = interpreter.step(visit.flow, visit.position, event, now=utc_now())
                await self._keep(visit, step)
                if step.action is None or isinstance(step.action, HangUp):
                    await self._end(agi, visit)
                    return
                done = step.action
                event = await self._carry_out(agi, visit, done)
        except AgiHangup:
            await self._left(visit)
            raise
        except _Bridged:
            return

    async def _carry_out(self, agi: AgiCall, visit: _Visit, action: Action) -> Event:
        """Do one thing; what came of it. Raises AgiHangup."""
        tenant_id = visit.line.call.tenant_id
        try:
            match action:
                case Say():
                    return await playing.say(
                        agi, await self.sounds.resolve(tenant_id, action.prompts), action
                    )
                case Ask():
                    return await playing.ask(
                        agi, await self.sounds.resolve(tenant_id, action.prompts), action
                    )
                case Lookup():
                    return await self._look_up(visit, action)
                case Enqueue():
                    return await self._enqueue(agi, visit, action)
                case GoTo():
                    return await self._go_to(visit, action)
                case OptOut() | RecordConsent():
                    return await self._do(visit, action)
                case _:
                    log.warning("flow_action_unknown", action=type(action).__name__)
                    return Failed(f"{type(action).__name__} is not carried out here")
        except (ActionFailed, DatabaseUnavailable) as error:
            call_id = str(visit.line.call.attempt_id)
            log.warning("flow_action_failed", call=call_id, state=visit.position.state, reason=str(error))
            return Failed(str(error))

    async def _look_up(self, visit: _Visit, action: Lookup) -> Event:
        tenant_id = visit.line.call.tenant_id
        if action.by != "phone":
            return Failed(f"nobody is looked for by {action.by} yet")
        number = callers.number_of(action.value, self.region)
        async with self.database.tenant(tenant_id) as conn:
            contact_id = await callers.owner(conn, tenant_id, number.e164) if number else None
            known = await callers.card(conn, tenant_id, contact_id) if contact_id is not None else {}
        if not known:
            return Came("unknown")
        wanted = action.fields or tuple(known)
        return Came("found", {name: known[name] for name in wanted if name in known})

    async def _do(self, visit: _Visit, action: OptOut | RecordConsent) -> Event:
        contact_id = visit.line.told.get("contact_id")
        who = Speaker(visit.line.call, contact_id, str(visit.position.variables.get("zone") or ""))
        async with self.database.tenant(visit.line.call.tenant_id) as conn:
            match action:
                case OptOut():
                    number = callers.number_of(action.number, self.region)
                    return await deeds.opt_out(conn, who, action, number)
                case RecordConsent():
                    return await deeds.record_consent(conn, who, action)

    async def _go_to(self, visit: _Visit, action: GoTo) -> Event:
        tenant_id = visit.line.call.tenant_id
        async with self.database.tenant(tenant_id) as conn:
            document = await store.live_document(conn, tenant_id, action.flow)
        if document is None:
            return Failed(f"there is no flow {action.flow}")
        try:
            flow = loader.from_document(document)
        except BadFlow as error:
            return Failed(str(error))
        async with self.database.tenant(tenant_id) as conn:
            await store.left_state(conn, tenant_id, visit.line.call.attempt_id, "done")
        before, visit.stands = visit.position, None
        visit.flow = flow
        visit.position = interpreter.begin(flow, variables=before.variables, language=before.language)
        return Began()

    async def _enqueue(self, agi: AgiCall, visit: _Visit, action: Enqueue) -> Event:
        line, queue = visit.line, action.queue or visit.called.queue
        wait_s = USUAL_WAIT_S if action.max_wait_s is None else action.max_wait_s
        skill = next(iter(action.skills), queue) or line.terms.skill
        line.wish = Wish(queue, skill, action.priority, time.monotonic() + wait_s)
        line.told = {
            **line.told,
            "queue": queue,
            "reason": action.reason,
            "collected": len(visit.collected),
            "path": await self._path(line.call),
        }
        async with self.database.tenant(line.call.tenant_id) as conn:
            await store.tell(
                conn,
                line.call.tenant_id,
                line.call.attempt_id,
                {},
                queue=queue or None,
                reason=action.reason or None,
            )
        self.calls.apply(line.call.attempt_id, Queued(utc_now()))
        decision = await self.switchboard.caller(agi, line)
        if decision == TIMEOUT:
            return Came("timeout")
        await self._tell(agi, line, decision)
        raise _Bridged

    async def _path(self, call: Call) -> list[str]:
        async with self.database.tenant(call.tenant_id) as conn:
            return [each.state for each in await store.steps(conn, call.tenant_id, call.attempt_id)]

    # -- what is told and kept -------------------------------------------------------------------------

    async def _tell(self, agi: AgiCall, line: Line, decision: Assignee | str) -> None:
        """Tell the dialplan what is next."""
        if isinstance(decision, Assignee):
            await agi.set_words(DOZVON_AGENT=str(decision.leg), DOZVON_NEXT=BRIDGE)
            return
        line.dismissed = not agi.hung_up.is_set()  # else it is the caller who has left
        await agi.set_variable("DOZVON_NEXT", decision)

    async def _end(self, agi: AgiCall, visit: _Visit) -> None:
        """The flow has ended: it has done what it could for the caller, or was at a loss."""
        call, ended = visit.line.call, visit.position.ended
        if ended != Ended.FAILED and call.outcome is None and (visit.position.served or not call.queued_at):
            self.calls.apply(call.attempt_id, Served(utc_now(), outcome=Result.CONTAINED))
        await self._tell(agi, visit.line, MESSAGE if ended == Ended.FAILED else HANGUP)

    async def _left(self, visit: _Visit) -> None:
        """The caller is gone; what AMI says of it ends the call."""
        call = visit.line.call
        with contextlib.suppress(DatabaseUnavailable):  # the way of the call has a gap then
            async with self.database.tenant(call.tenant_id) as conn:
                await store.left_state(conn, call.tenant_id, call.attempt_id, "hung_up")

    async def _keep(self, visit: _Visit, step: Step) -> None:
        """Write down where the caller was and is."""
        call, visit.position = visit.line.call, step.position
        if step.position.served and call.outcome is None:
            self.calls.apply(call.attempt_id, Served(utc_now(), outcome=Result.CONTAINED))
        collected = {name: value for each in step.passed for name, value in each.collected.items()}
        visit.collected |= collected
        now_in = None if step.position.ended else step.position.state
        stands = (visit.flow.name, now_in) if now_in else None
        if not step.passed and visit.stands == stands:
            return
        first = visit.steps - 1 if visit.stands else visit.steps  # the last row is of the state that was left
        try:
            async with self.database.tenant(call.tenant_id) as conn:
                await store.stepped(
                    conn,
                    call.tenant_id,
                    call.attempt_id,
                    visit.flow.name,
                    first,
                    step.passed,
                    now_in,
                    utc_now(),
                )
                if collected:
                    await store.tell(conn, call.tenant_id, call.attempt_id, collected)
        except DatabaseUnavailable as error:
            log.warning("flow_step_not_kept", call=str(call.attempt_id), reason=str(error))
        visit.steps, visit.stands = first + len(step.passed) + bool(now_in), stands
