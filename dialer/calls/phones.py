"""Keeps the agents' phones up: calls them at log-in, sees them go, calls them again.

An agent's phone is called once and waits in a bridge of its own until the log-out; no customer ever hears
it ring. When it drops, the agent leaves the pool at once (`lost`) and the phone is called again as soon as it
can be reached, so that a short break of the network needs no one's hands.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from dialer.agents import store as agents
from dialer.agents.model import PAUSE_AFTER_LOGIN, AgentState, Shift
from dialer.asterisk.nodes import Node, Nodes
from dialer.calls.channels import hang_up_channel
from dialer.calls.tracking import Leg, Tracker, leg_of
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import AsteriskUnavailable, DatabaseUnavailable, DozvonError
from dialer.ids import new_id
from scheduler import hopper

log = structlog.get_logger(__name__)

RING_S = 20
#: A phone of which nothing was heard so long after its ringing should have ended is given up.
OVERDUE_S = 10.0
#: Each call changes a shift several times: all changes of such a time are looked at together.
LOOK_EVERY_S = 0.1
#: A phone that is there and said to be lost for so long is taken for there.
REST_S = 1.0
#: Between two calls of a phone that does not answer.
CALL_AGAIN_S = 2.0
#: A log-in whose phone cannot be reached for so long is given up; a lost phone is waited for longer.
LOGIN_WITHIN_S = 60.0
LOST_FOR_S = 15 * 60.0


@dataclass(frozen=True, slots=True)
class _Up:
    leg: Leg


@dataclass(frozen=True, slots=True)
class _Gone:
    leg: Leg


@dataclass(frozen=True, slots=True)
class _Look:
    tenant_id: int


_News = _Up | _Gone | _Look


@dataclass(slots=True)
class Phones:
    """The agents' phones of one engine."""

    database: Database
    nodes: Nodes
    tracker: Tracker
    #: whether this server keeps the phones of a tenant; another does else, and we only listen
    ours: Callable[[int], bool]
    #: told when a phone has come or gone
    changed: Callable[[], None]
    #: whether a customer is kept for this shift
    keeps_for: Callable[[UUID], bool]
    _news: asyncio.Queue[_News] = field(default_factory=asyncio.Queue)
    #: monotonic time before which a shift's phone is not called again
    _not_before_s: dict[UUID, float] = field(default_factory=dict)
    #: the state in which a shift waits for its phone, and since when, monotonic seconds
    _waited_since_s: dict[UUID, tuple[AgentState, float]] = field(default_factory=dict)
    #: since when a phone that is up is said to be lost, by shift, monotonic seconds
    _said_lost_s: dict[UUID, float] = field(default_factory=dict)
    _timers: set[asyncio.TimerHandle] = field(default_factory=set)
    _asking: set[asyncio.Task[None]] = field(default_factory=set)
    _tenants: set[int] = field(default_factory=set)
    #: tenants whose shifts are to be looked at, and when (loop's time) they were
    _asked: set[int] = field(default_factory=set)
    _looked_s: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tracker.leg_up = lambda leg: self._news.put_nowait(_Up(leg))
        self.tracker.leg_gone = lambda leg: self._news.put_nowait(_Gone(leg))
        self.tracker.contacts.append(self._contact)
        self.tracker.registered = self._registered

    def look(self, tenant_id: int) -> None:
        """Shifts of the tenant may have changed: call new phones, end those of closed shifts."""
        if tenant_id in self._asked:
            return
        self._asked.add(tenant_id)
        wait_s = self._looked_s.get(tenant_id, 0.0) + LOOK_EVERY_S - asyncio.get_running_loop().time()
        look = functools.partial(self._news.put_nowait, _Look(tenant_id))
        if wait_s > 0:
            self._later(wait_s, look)
        else:
            look()

    async def run(self) -> None:
        """Keep the phones up until cancelled."""
        try:
            while True:
                news = await self._news.get()
                try:
                    match news:
                        case _Up(leg) | _Gone(leg) if not self.ours(leg.tenant_id):
                            self._waited_since_s.pop(leg.session_id, None)
                            self.changed()
                        case _Up(leg):
                            await self._up(leg)
                        case _Gone(leg):
                            await self._gone(leg)
                        case _Look(tenant_id):
                            self._asked.discard(tenant_id)
                            self._looked_s[tenant_id] = asyncio.get_running_loop().time()
                            if self.ours(tenant_id):
                                await self._keep_up(tenant_id)
                except DatabaseUnavailable as error:
                    log.warning("phones_wait", reason=str(error))
                    self._later(0.5, functools.partial(self._news.put_nowait, news))
                except AsteriskUnavailable as error:
                    # The resync after the next login looks at every phone.
                    log.warning("phones_without_asterisk", reason=str(error))
        finally:
            for timer in self._timers:
                timer.cancel()

    # -- a phone has come -------------------------------------------------------------------------------

    async def _up(self, leg: Leg) -> None:
        now = utc_now()
        async with self.database.tenant(leg.tenant_id) as conn:
            shift = await agents.find_shift(conn, leg.tenant_id, leg.session_id)
            if shift is None or shift.leg != leg.id:
                return
            if shift.state is AgentState.CALLING:
                await agents.move(
                    conn, leg.tenant_id, shift.id, AgentState.PAUSED, now, pause_code=PAUSE_AFTER_LOGIN
                )
            elif shift.state is AgentState.LOST:
                owed = await agents.owes_disposition(conn, leg.tenant_id, shift.id)
                if owed is not None:
                    await agents.move(conn, leg.tenant_id, shift.id, AgentState.WRAP_UP, now, attempt_id=owed)
                elif shift.next_state is not None and self.keeps_for(shift.id):
                    # Theirs first: the switchboard gives them back. Gone meanwhile, they are not waited for.
                    self._later(REST_S, functools.partial(self.look, leg.tenant_id))
                else:
                    # To what was asked for in the call that the phone was lost in, were it the way home.
                    code = shift.next_pause_code if shift.next_state is AgentState.PAUSED else None
                    to = shift.next_state or AgentState.READY
                    await agents.move(conn, leg.tenant_id, shift.id, to, now, pause_code=code)
        self._waited_since_s.pop(leg.session_id, None)
        log.info("phone_up", agent=leg.agent_id, node=leg.node)
        self.changed()

    # -- a phone has gone -------------------------------------------------------------------------------

    async def _gone(self, leg: Leg) -> None:
        now = utc_now()
        async with self.database.tenant(leg.tenant_id) as conn:
            shift = await agents.find_shift(conn, leg.tenant_id, leg.session_id)
            if shift is not None and shift.lead_id is not None:
                # Everybody takes the lead before the shift, so that none waits for the other for ever.
                await hopper.lock(conn, leg.tenant_id, shift.lead_id)
                shift = await agents.find_shift(conn, leg.tenant_id, leg.session_id)
            if shift is None or not await agents.set_leg(conn, leg.tenant_id, shift.id, None, was=leg.id):
                return
            if shift.lead_id is not None:
                await hopper.give_back(conn, leg.tenant_id, shift.lead_id)
            if shift.state not in (AgentState.CALLING, AgentState.LOST, AgentState.OFFLINE):
                if shift.state is AgentState.PAUSED:
                    await agents.ask_next(conn, leg.tenant_id, shift.id, AgentState.PAUSED, shift.pause_code)
                await agents.move(conn, leg.tenant_id, shift.id, AgentState.LOST, now)
        log.info("phone_gone", agent=leg.agent_id, was=shift.state)
        self.changed()
        if shift.state is not AgentState.OFFLINE:
            self._not_before_s[shift.id] = asyncio.get_running_loop().time() + CALL_AGAIN_S
            self._later(CALL_AGAIN_S, functools.partial(self.look, leg.tenant_id))

    def _registered(self, node: str, endpoint: str) -> None:
        """A phone has registered from another address: what calls it at its old one is never answered."""
        for leg in list(self.tracker.legs.values()):
            if (leg.node, leg.endpoint) == (node, endpoint) and not leg.up:
                log.info("phone_registered_elsewhere", agent=leg.agent_id)
                self._give_up(leg)

    def _contact(self, node: str, endpoint: str, reachable: bool) -> None:
        """A phone's registration came or went: Asterisk knows before any packet is missed."""
        if (where := self.nodes.get(node)) is not None:
            where.contacts[endpoint] = reachable
        legs = [leg for leg in self.tracker.legs.values() if (leg.node, leg.endpoint) == (node, endpoint)]
        if reachable:
            if legs and all(leg.up for leg in legs):
                return  # it registers again, as it does each minute: it is there
            self._not_before_s.clear()
            for tenant_id in self._tenants:
                self.look(tenant_id)
            return
        for leg in legs:
            log.info("phone_unreachable", agent=leg.agent_id)
            self._give_up(leg)

    # -- calling and ending -----------------------------------------------------------------------------

    async def _keep_up(self, tenant_id: int) -> None:
        self._tenants.add(tenant_id)
        async with self.database.tenant(tenant_id) as conn:
            shifts = await agents.open_shifts(conn, tenant_id)
        open_ids = {shift.id for shift in shifts}
        for leg in list(self.tracker.legs.values()):
            if leg.tenant_id == tenant_id and leg.session_id not in open_ids:
                self._hang_up(leg)
        for shift in shifts:
            waits = shift.state in (AgentState.CALLING, AgentState.LOST)
            if shift.leg is not None and shift.leg in self.tracker.lost:
                await self._gone(leg_of(shift))  # while another server kept the phones
            elif shift.leg is None and waits:
                await self._call(shift)
            elif waits and (there := self._at_rest(shift)) is not None:
                # Said to be lost by a server that does not see it, or left so by a crash: it is there.
                await self._up(there)
            elif self._should_move(shift):
                await self._move(shift)

    def _at_rest(self, shift: Shift) -> Leg | None:
        """The phone that the row names, if it is up and heard though the row says otherwise for long."""
        leg = self.tracker.legs.get(shift.leg) if shift.leg is not None else None
        if leg is None or not leg.up or leg.silent:
            self._said_lost_s.pop(shift.id, None)
            return None
        now_s = asyncio.get_running_loop().time()
        since_s = self._said_lost_s.setdefault(shift.id, now_s)
        if now_s - since_s < REST_S:
            self._later(REST_S, functools.partial(self.look, shift.tenant_id))
            return None
        del self._said_lost_s[shift.id]
        return leg

    def _should_move(self, shift: Shift) -> bool:
        """Whether a phone in no call is to be called by another Asterisk: its own is being drained."""
        node = self.nodes.get(shift.node)
        if node is None or not node.draining or shift.leg is None:
            return False
        elsewhere = any(other.reaches(shift.endpoint) for other in self.nodes.dialling())
        return elsewhere and shift.state in (AgentState.READY, AgentState.PAUSED)

    async def _move(self, shift: Shift) -> None:
        """Take the phone down; it is called again, by another Asterisk, as one that was lost."""
        assert shift.leg is not None
        now = utc_now()
        async with self.database.tenant(shift.tenant_id) as conn:
            if shift.state is AgentState.PAUSED:
                await agents.ask_next(conn, shift.tenant_id, shift.id, AgentState.PAUSED, shift.pause_code)
            leaving = (shift.state,)
            if not await agents.move(conn, shift.tenant_id, shift.id, AgentState.LOST, now, leaving=leaving):
                return  # a call was first: after it
        log.info("phone_moves", agent=shift.agent_id, node=shift.node)
        self._hang_up(leg_of(shift))

    def _node_for(self, shift: Shift) -> Node | None:
        """The Asterisk that is to call the phone: one that it is registered at, the emptiest of these."""
        nodes = self.nodes.dialling()
        at = [node for node in nodes if node.reaches(shift.endpoint)]
        legs = Counter(leg.node for leg in self.tracker.legs.values())
        return min(at or nodes, key=lambda node: legs[node.name], default=None)

    async def _call(self, shift: Shift) -> None:
        now, loop = utc_now(), asyncio.get_running_loop()
        patience_s = LOGIN_WITHIN_S if shift.state is AgentState.CALLING else LOST_FOR_S
        # By our own time, from the first look at it: nobody is logged out because the clock was set.
        state, since_s = self._waited_since_s.get(shift.id, (None, 0.0))
        if state is not shift.state:
            self._waited_since_s[shift.id] = (shift.state, since_s := loop.time())
        if loop.time() - since_s > patience_s:
            del self._waited_since_s[shift.id]
            async with self.database.tenant(shift.tenant_id) as conn:
                if await agents.move(
                    conn, shift.tenant_id, shift.id, AgentState.OFFLINE, now, leaving=(shift.state,)
                ):
                    await events.emit(
                        conn,
                        "agent.phone_not_reached",
                        {"endpoint": shift.endpoint},
                        tenant_id=shift.tenant_id,
                        agent_id=shift.agent_id,
                    )
            return
        node = self._node_for(shift)
        if loop.time() < self._not_before_s.get(shift.id, 0.0) or node is None:
            return
        if node.reaches(shift.endpoint) is False:
            self._not_before_s[shift.id] = loop.time() + CALL_AGAIN_S
            self._aside(self._ask_after(shift, node))
            return
        leg = Leg(new_id(), shift.tenant_id, shift.id, shift.agent_id, shift.endpoint, node.name)
        self.tracker.legs[leg.id] = leg
        try:
            async with self.database.tenant(shift.tenant_id) as conn:
                if not await agents.set_leg(
                    conn, shift.tenant_id, shift.id, leg.id, was=None, node=node.name
                ):
                    del self.tracker.legs[leg.id]
                    return
        except DatabaseUnavailable:
            self.tracker.lose(leg)  # the row may name it all the same
            raise
        self._later(RING_S + OVERDUE_S, functools.partial(self._overdue, leg))
        self._aside(self._ring(node, leg))

    async def _ring(self, node: Node, leg: Leg) -> None:
        phone, former = f"PJSIP/{leg.endpoint}", self.tracker.former_address(node.name, leg.endpoint)
        if former is not None:
            log.info("phone_called_where_it_was", agent=leg.agent_id, node=node.name)
        try:
            reply = await node.link.send(
                {
                    "Action": "Originate",
                    "Channel": phone if former is None else f"{phone}/{former}",
                    "ChannelId": str(leg.id),
                    "Context": "dozvon-agent",
                    "Exten": "s",
                    "Priority": "1",
                    "Timeout": str(RING_S * 1000),
                    "CallerID": '"Dozvon" <0>',
                    "Async": "true",
                }
            )
        except DozvonError as error:
            log.warning("phone_not_called", agent=leg.agent_id, reason=str(error))
            if not (isinstance(error, AsteriskUnavailable) and error.sent):
                self.tracker.lose(leg)
            return
        self.tracker.asked(leg.id, reply.get("ActionID"), node.name)

    async def _ask_after(self, shift: Shift, node: Node) -> None:
        """Asterisk does not call a phone that has not answered it, and asks it once in half a minute: have it
        ask now. When the phone answers it says so, and the phone is called."""
        try:
            await node.link.send({"Action": "PJSIPQualify", "Endpoint": shift.endpoint})
        except DozvonError as error:
            log.info("phone_not_asked", agent=shift.agent_id, reason=str(error))
        self._later(CALL_AGAIN_S, functools.partial(self.look, shift.tenant_id))

    def _overdue(self, leg: Leg) -> None:
        """Nothing says that an Originate whose answer was lost came to nothing."""
        if leg.up or leg.id not in self.tracker.legs:
            return
        log.warning("phone_overdue", agent=leg.agent_id)
        self._give_up(leg)

    def _give_up(self, leg: Leg) -> None:
        self.tracker.lose(leg)
        self._hang_up(leg)

    def _hang_up(self, leg: Leg) -> None:
        self._aside(self._end(leg))

    def _aside(self, work: Coroutine[None, None, None]) -> None:
        """Whatever keeps the node that is asked: the phones of others do not wait for it."""
        self._asking.add(task := asyncio.create_task(work))
        task.add_done_callback(self._asking.discard)

    async def _end(self, leg: Leg) -> None:
        try:
            await hang_up_channel(self.nodes.link(leg.node), str(leg.id))
        except AsteriskUnavailable as error:
            log.warning("leg_not_ended", reason=str(error))  # the resync will see it

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)
