"""An agent who asks somebody besides the customer: another agent, one of a queue, a listed destination.

The customer hears music; the two talk alone; then the agent comes back, has all three in a conference, or
leaves the customer to the third party. Who the third party is stands in the call's row before they are
called. What happens at each step:

- the customer hangs up: the agent wraps up, and the third party goes with the customer;
- the third party hangs up, or is not reached: the customer stays where they are, on hold or in the talk;
- the agent's phone is lost: the third party goes, and the customer is kept for the agent;
- the server dies: all of them stay where they are, and the next engine follows them on from the call's row;
- Asterisk dies: all are gone, the call ends as it would in a talk.

Two talk in Asterisk's Bridge, run by the third party's dialplan; three in a ConfBridge, which lasts as long
as the customer is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift
from dialer.calls import matching
from dialer.calls.channels import hang_up_channel
from dialer.calls.letting_go import RING_S, LettingGo
from dialer.calls.model import Assignee, CallState, PassedOn, Stage, Third, ThirdCalled, ThirdGone
from dialer.calls.places import AGENT, IN_ROOM, ROOM, TALK, THIRD, WAIT, WITH, context_of
from dialer.calls.steering import Steering
from dialer.calls.store import set_third
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import Change, Line
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import ActionFailed, AsteriskUnavailable, NotFound, WrongState
from dialer.ids import new_id
from dialer.queues import choosing
from dialer.queues import store as queues_store
from dialer.queues.model import Queue, Waiting, needs_of
from dialer.trunks.model import Trunk

log = structlog.get_logger(__name__)

_NOBODY = WrongState(what="The other agent", state="not free", allowed="ready")


@dataclass(slots=True)
class Consulting:
    """The third parties of one engine's talks."""

    database: Database
    steering: Steering
    switchboard: Switchboard
    letting_go: LettingGo
    #: the trunks over which destinations were called, by channel
    _trunks: dict[UUID, Trunk] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.steering.calls.watchers.append(self._changed)

    # -- whom ------------------------------------------------------------------------------------------

    async def agent(self, line: Line, agent_id: int) -> None:
        """Ask an agent, who must be free. Raises WrongState."""
        self._may_ask(line)
        async with self.database.tenant(line.call.tenant_id) as conn:
            shift = await agents.shift_of_agent(conn, line.call.tenant_id, agent_id)
        if shift is None or shift.state is not AgentState.READY:
            raise _NOBODY
        await self._colleague(line, shift)

    async def queue(self, line: Line, name: str) -> None:
        """Ask the agent whom the queue would give a caller to. Raises NotFound, WrongState."""
        self._may_ask(line)
        call, now = line.call, utc_now()
        async with self.database.tenant(call.tenant_id) as conn:
            queues = await queues_store.queues(conn, call.tenant_id)
            shifts = await agents.open_shifts(conn, call.tenant_id)
        queue = next((one for one in queues.values() if one.name == name), None)
        if queue is None:
            raise NotFound(what="queue", key=name)
        wanted = Waiting(call.attempt_id, queue.id, now, needs=needs_of(queue), node=line.node)
        chosen = _chosen(wanted, shifts, queue)
        if chosen is None:
            raise WrongState(what="The queue", state="without a free agent", allowed="with one")
        await self._colleague(line, chosen)

    async def destination(self, line: Line, name: str) -> None:
        """Call a listed destination. Raises NotFound, NotAllowed, WrongState."""
        agent = self._may_ask(line)
        to = await self.letting_go.destination(line, name)
        channel, trunk = await self.letting_go.way(line, to)
        third, call = Third(new_id(), to.name, utc_now()), line.call
        if trunk is not None:
            self._trunks[third.channel] = trunk
        after = self.steering.calls.apply(call.attempt_id, ThirdCalled(utc_now(), third=third))
        if after is None or after.third != third:  # the customer has left while the line was taken
            self._trunks.pop(third.channel, None)
            await self.letting_go.untake(line, trunk)
            raise WrongState(what="The call", state="over", allowed="on the line")
        try:
            await self.steering.part(line)
            reply = await self.steering.nodes.link(line.node).send(
                {
                    "Action": "Originate",
                    "Channel": channel,
                    "ChannelId": str(third.channel),
                    "Context": THIRD,
                    "Exten": "s",
                    "Priority": "1",
                    "Timeout": str(RING_S * 1000),
                    "CallerID": trunk.caller_id if trunk is not None else '"Dozvon" <0>',
                    "Variable": [f"DOZVON_WITH={agent.leg}"],
                    "Async": "true",
                }
            )
        except BaseException:
            self.steering.calls.apply(call.attempt_id, ThirdGone(utc_now(), came="failed"))
            raise
        self.steering.tracker.asked(third.channel, reply.get("ActionID"), line.node)

    async def _colleague(self, line: Line, shift: Shift) -> None:
        agent, call = self.steering.agent(line), line.call
        third = await self._reserve(line, shift)
        if third is None:
            raise _NOBODY
        try:
            await self.steering.part(line)
            await self.steering.tell(line, third.channel, DOZVON_WITH=str(agent.leg))
            await self.steering.move(line, third.channel, AGENT, WITH)
        except BaseException:
            self.steering.calls.apply(call.attempt_id, ThirdGone(utc_now(), came="failed"))
            raise

    async def _reserve(self, line: Line, shift: Shift) -> Third | None:
        """Reserve this agent to be asked about a customer, who stays with theirs; None: they are not free
        there."""
        call, now = line.call, utc_now()
        if shift.leg is None or shift.node != line.node or not self.switchboard.at_the_phone(shift):
            return None
        agent = Assignee(shift.id, shift.agent_id, shift.leg)
        third = Third(shift.leg, shift.name, now, agent=agent)
        async with self.database.tenant(call.tenant_id) as conn:
            await set_third(conn, call, third)
            if not await agents.reserve(conn, call.tenant_id, shift.id, now, attempt_id=call.attempt_id):
                await set_third(conn, call, call.third)
                return None
            await self.switchboard.pop(conn, line, shift.agent_id)
        after = self.steering.calls.apply(call.attempt_id, ThirdCalled(now, third=third))
        if after is not None and after.third == third:
            return third
        async with self.database.tenant(call.tenant_id) as conn:  # the customer has left meanwhile
            await agents.release(conn, call.tenant_id, shift.id, call.attempt_id, utc_now())
        return None

    # -- what then -------------------------------------------------------------------------------------

    async def cancel(self, line: Line) -> None:
        """Come back to the customer without the third party."""
        self.steering.agent(line)
        await self._end(line)
        await self.steering.resume(line)

    async def leave(self, line: Line, agent_id: int) -> None:
        """The agent who was asked has done what was to be done. Raises WrongState unless it is they."""
        third = line.call.third
        if third is None or not third.there or third.agent is None or third.agent.agent_id != agent_id:
            raise WrongState(what="The call", state="another's", allowed="one that you were asked about")
        await self._end(line)

    async def complete(self, line: Line) -> None:
        """Leave the customer to the third party. Raises WrongState before they talk."""
        third, call = self._met(line), line.call
        if third.stage is Stage.JOINED:
            await self._apart(line, third)
        if third.agent is None:
            await self.letting_go.pass_to(line, third)
            return
        await self.steering.tell(line, third.channel, DOZVON_WITH="")
        await self.steering.tell(line, call.channel_id, DOZVON_AGENT=str(third.channel))
        line.lost_agent = None
        self.steering.calls.apply(call.attempt_id, PassedOn(utc_now()))
        await self.steering.redirect(line, context_of(call), TALK)

    async def conference(self, line: Line) -> None:
        """Bring the customer in. Raises WrongState before the two talk."""
        third, agent, call = self._met(line), self.steering.agent(line), line.call
        if third.stage is Stage.JOINED:
            return
        bridges = self.steering.calls.bridges
        shared = bridges.group(third.channel)
        for channel in (call.channel_id, third.channel, agent.leg):
            await self.steering.tell(line, channel, DOZVON_ROOM=str(call.attempt_id))
        # One after another: whoever is moved while the other side's leaving moves them too is lost.
        await self.steering.move(line, third.channel, AGENT if third.agent else THIRD, IN_ROOM)
        await self._until_there(
            line,
            lambda: (
                bridges.group(third.channel) not in (None, shared)
                and bridges.group(agent.leg) not in (None, shared)
            ),
        )
        await self.steering.redirect(line, ROOM)
        room = bridges.group(third.channel)
        await self._until_there(line, lambda: bridges.group(call.attempt_id) == room)
        await self.steering.move(line, agent.leg, AGENT, IN_ROOM)
        await self._until_there(line, lambda: bridges.group(agent.leg) == room)

    async def alone(self, line: Line) -> None:
        """Out of the conference: the customer hears music again, the two talk alone."""
        third = self._met(line)
        if third.stage is Stage.JOINED:
            await self._apart(line, third)

    # -- parts -----------------------------------------------------------------------------------------

    def _may_ask(self, line: Line) -> Assignee:
        agent, third = self.steering.agent(line), line.call.third
        if third is not None and third.there:
            raise WrongState(what="The call", state="with a third party", allowed="with the customer alone")
        return agent

    def _met(self, line: Line) -> Third:
        self.steering.agent(line)
        third = line.call.third
        if third is None or third.stage not in (Stage.TALKING, Stage.JOINED):
            raise WrongState(what="The third party", state="not there", allowed="in a talk with you")
        return third

    async def _until_there(self, line: Line, done: Callable[[], bool]) -> None:
        """Wait until it is so. Raises WrongState where the third party goes before, TimeoutError."""
        await self.steering.until(
            lambda: line.call.third is None or line.call.third.stage is Stage.GONE or done()
        )
        self._met(line)

    async def _apart(self, line: Line, third: Third) -> None:
        """Take the customer out of the conference: the dialplan puts the two others together."""
        agent, bridges = self.steering.agent(line), self.steering.calls.bridges
        room = bridges.group(third.channel)
        await self.steering.hold(line)
        await self.steering.until(
            lambda: (
                bridges.group(third.channel) not in (None, room)
                and bridges.group(third.channel) == bridges.group(agent.leg)
            )
        )

    async def _end(self, line: Line) -> None:
        """End the third party's part, and see the agent's phone alone."""
        agent, third, bridges = self.steering.agent(line), line.call.third, self.steering.calls.bridges
        if third is None or not third.there:
            return
        shared = bridges.group(third.channel)
        with_us = third.stage is Stage.TALKING and shared is not None
        if third.agent is None:
            await hang_up_channel(self.steering.nodes.link(line.node), str(third.channel))
        else:
            await self._back_to_wait(line, third)
            await self.steering.until(
                lambda: (
                    third.channel not in self.steering.tracker.legs
                    or bridges.group(third.channel) not in (None, shared)
                )
            )
        self.steering.calls.apply(line.call.attempt_id, ThirdGone(utc_now()))
        if with_us:
            await self.steering.until(
                lambda: (
                    agent.leg not in self.steering.tracker.legs
                    or bridges.group(agent.leg) not in (None, shared)
                )
            )

    async def _back_to_wait(self, line: Line, third: Third) -> None:
        await self.steering.tell(line, third.channel, DOZVON_WITH="")
        await self.steering.move(line, third.channel, AGENT, WAIT, "wait")

    # -- what follows ----------------------------------------------------------------------------------

    def _changed(self, line: Line, change: Change) -> None:
        before, after = change.before.third, change.after.third
        if before is None or not before.there:
            return
        if before.stage is Stage.CALLING and after is not None and after.stage is Stage.TALKING:
            if before.agent is None:
                self._spawn(self.letting_go.outside.answered(line))
            return
        if after is not None and after.there:
            return
        trunk = self._trunks.pop(before.channel, None)
        if trunk is not None:
            self._spawn(self.letting_go.outside.over(line, trunk))
        if change.after.agent == before.agent is not None:
            return  # who has taken the customer over
        if before.agent is None and before.stage is not Stage.PASSED:
            self._spawn(self._hang_up(line, before))
        elif before.agent is not None and after is None and before.channel in self.steering.tracker.legs:
            # The customer has hung up, or the agent's phone is lost.
            separate = change.after.state in (CallState.WRAP_UP, CallState.ENDED)
            self._spawn(self._let_be(line, before, separate=separate))

    async def _hang_up(self, line: Line, third: Third) -> None:
        await hang_up_channel(self.steering.nodes.link(line.node), str(third.channel))

    async def _let_be(self, line: Line, third: Third, *, separate: bool) -> None:
        if separate:
            await self._back_to_wait(line, third)
        else:  # Asterisk has parted them
            await self.steering.tell(line, third.channel, DOZVON_WITH="")

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.add(task := asyncio.create_task(self._aside(work)))
        task.add_done_callback(self._tasks.discard)

    async def _aside(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except (ActionFailed, AsteriskUnavailable) as error:  # gone meanwhile; the resync sees what is there
            log.warning("third_not_ended", reason=str(error))


def _chosen(wanted: Waiting, shifts: list[Shift], queue: Queue) -> Shift | None:
    """The agent whom the queue's rule gives, of those who are ready."""
    ready = {shift.id: shift for shift in shifts if shift.state is AgentState.READY}
    free = [matching.free(shift) for shift in ready.values()]
    pairs = choosing.choose([wanted], free, {queue.id: queue}, wanted.since)
    return ready[pairs[0].session_id] if pairs else None
