"""What an agent does with a customer in a talk: hold, mute, keys for the far end, transfers.

A customer on hold is moved out of the talk into the dialplan's dozvon-held, where Asterisk plays music by
itself: a server that dies meanwhile leaves nobody in silence. The agent's leg waits as between two talks, its
agent is still `talking`. What happens in a hold:

- the customer hangs up: the call ends as any talk does;
- the agent's phone is lost: the customer asks the server again, and is kept for the agent as in a talk;
- the server dies: the customer hears music, the next engine follows the hold on from the call's row;
- Asterisk dies: both are gone, the call ends as it would in a talk.

A customer who is transferred is another's from that moment: the agent who has let go of them is free at once,
and who talks with them last owes the disposition.

That a hold is over is told by the bridge, whoever has ended it: the agent, or the dialplan after `HOLD_S`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.asterisk.nodes import Nodes
from dialer.calls.model import Assignee, Call, CallState, HandedOver, Held, Muted
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.tracking import Tracker
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import ActionFailed, AsteriskUnavailable, NotFound, WrongState
from dialer.recordings.recorder import Recorder

log = structlog.get_logger(__name__)

#: The dialplan where customers on hold are, see extensions_dozvon.conf.
HELD = "dozvon-held"
#: The dialplan's labels in a customer's own context: back into the talk; ask the server what is next.
TALK, ASK = "bridge", "ask"
#: A customer is back in the bridge within milliseconds; who waits for that longer is told of trouble.
BACK_WITHIN_S = 2.0


def context_of(call: Call) -> str:
    """Where the dialplan leads the customer."""
    return "dozvon-caller" if call.inbound else "dozvon-customer"


@dataclass(slots=True)
class Controls:
    """The talks of one engine, as their agents steer them."""

    database: Database
    nodes: Nodes
    calls: CallTable
    tracker: Tracker
    switchboard: Switchboard
    recorder: Recorder
    #: one thing at a time is done with a call
    _locks: defaultdict[UUID, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    #: set when the customer is back in the talk
    _back: dict[UUID, asyncio.Event] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.calls.watchers.append(self._changed)

    async def command(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what `payload` says: `what` and `attempt_id`; `digits`, `queue` or `agent_id`. Raises NotFound,
        WrongState, AsteriskUnavailable."""
        attempt_id = UUID(payload["attempt_id"])
        line = self.calls.get(attempt_id)
        if line is None or line.call.tenant_id != tenant_id:
            raise NotFound(what="call on the line", key=attempt_id)
        async with self._locks[attempt_id]:
            try:
                match payload["what"]:
                    case "hold":
                        await self._hold(line)
                    case "resume":
                        await self._resume(line)
                    case "mute" | "unmute" as what:
                        await self._mute(line, on=what == "mute")
                    case "dtmf":
                        await self._press(line, payload["digits"])
                    case "pause_recording" | "resume_recording" as what:
                        await self._record(line, pause=what == "pause_recording")
                    case "transfer" if payload.get("queue"):
                        await self._to_queue(line, payload["queue"])
                    case "transfer":
                        await self._to_agent(line, payload["agent_id"])
                    case what:
                        raise AssertionError(f"nobody asks for {what}")
            except TimeoutError as error:
                raise AsteriskUnavailable(reason="it has not parted the two") from error
            except ActionFailed as error:
                log.info("control_refused", call=str(attempt_id), what=payload["what"], reason=str(error))
                raise WrongState(what="The call", state="over", allowed="on the line") from error
        return {}

    # -- hold ------------------------------------------------------------------------------------------

    async def _hold(self, line: Line) -> None:
        if line.call.held_at is not None:
            return
        self._talking(line)
        rules = line.wish.rules if line.wish else None
        if rules is not None:
            await self._send(line, {"Action": "Setvar", "Channel": line.call.channel_id,
                                    "Variable": "CHANNEL(musicclass)", "Value": rules.music})  # fmt: skip
        await self._redirect(line, HELD, "1")
        self.calls.apply(line.call.attempt_id, Held(utc_now()))

    async def _resume(self, line: Line) -> None:
        call = line.call
        if call.held_at is None:
            return
        self._back[call.attempt_id] = back = asyncio.Event()
        try:
            await self._redirect(line, context_of(call), TALK)
            async with asyncio.timeout(BACK_WITHIN_S):
                await back.wait()
        except TimeoutError:
            raise AsteriskUnavailable(reason="it has not joined the two again") from None
        finally:
            del self._back[call.attempt_id]

    # -- voice and keys --------------------------------------------------------------------------------

    async def _mute(self, line: Line, *, on: bool) -> None:
        agent = self._agent(line)
        await self._say_mute(line, agent, on=on)
        self.calls.apply(line.call.attempt_id, Muted(utc_now(), on=on))

    async def _say_mute(self, line: Line, agent: Assignee, *, on: bool) -> None:
        """By volume, divided to nothing: voice still comes, as silence. (MuteAudio lets none come: carriers
        end calls that send none, and a supervisor's voice has nothing to go with.)"""
        volume = "-32767" if on else "0"
        named = {"Action": "Setvar", "Channel": str(agent.leg), "Variable": "VOLUME(RX)"}
        await self._send(line, {**named, "Value": volume})

    async def _press(self, line: Line, digits: str) -> None:
        """By a channel of its own: PlayDTMF holds the manager's session up while a key is pressed."""
        self._talking(line)
        await self._send(
            line,
            {
                "Action": "Originate",
                "Channel": "Local/idle@dozvon-keys/n",
                "Context": "dozvon-keys",
                "Exten": "s",
                "Priority": "1",
                "Timeout": "5000",
                "Variable": [f"DOZVON_TO={line.call.channel_id}", f"DOZVON_KEYS={digits}"],
                "Async": "true",
            },
        )

    async def _record(self, line: Line, *, pause: bool) -> None:
        call = line.call
        self._agent(line)
        if not line.recorded or not await self.recorder.pause(
            call.tenant_id, call.attempt_id, line.node, call.channel, on=pause
        ):
            raise WrongState(what="The call", state="not recorded", allowed="recorded")

    # -- to somebody else ------------------------------------------------------------------------------

    async def _to_agent(self, line: Line, agent_id: int) -> None:
        """Move the customer to another agent, who is free and waits at the phone: nothing rings."""
        self._agent(line)
        call, busy = line.call, WrongState(what="The other agent", state="not free", allowed="ready")
        async with self.database.tenant(call.tenant_id) as conn:
            shift = await agents.shift_of_agent(conn, call.tenant_id, agent_id)
        if shift is None or shift.state is not AgentState.READY:
            raise busy
        await self._part(line)
        chosen = await self.switchboard.hand_over(line, shift)
        if chosen is None:
            await self._resume(line)
            raise busy
        named = {"Action": "Setvar", "Channel": call.channel_id, "Variable": "DOZVON_AGENT"}
        await self._send(line, named | {"Value": str(chosen.leg)})
        await self._redirect(line, context_of(call), TALK)
        await self._record_again(line)

    async def _to_queue(self, line: Line, queue: str) -> None:
        """Let go of the customer: their dialplan asks the server, which leads them to the queue."""
        self._agent(line)
        await self._part(line)
        line.hand_to, line.lost_agent = queue, None
        self.calls.apply(line.call.attempt_id, HandedOver(utc_now()))
        await self._redirect(line, context_of(line.call), ASK)
        await self._record_again(line)

    async def _part(self, line: Line) -> None:
        """Take the customer out of the talk, and see them out: an agent who is free gets the next customer at
        once, and whoever is still in that bridge would be dropped."""
        await self._hold(line)
        async with asyncio.timeout(BACK_WITHIN_S):
            while self.calls.bridges.group(line.call.attempt_id) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)  # the events of bridges wake nobody

    async def _record_again(self, line: Line) -> None:
        """Another agent knows nothing of a pause."""
        call = line.call
        if line.recorded:
            await self.recorder.pause(call.tenant_id, call.attempt_id, line.node, call.channel, on=False)

    # -- parts -----------------------------------------------------------------------------------------

    def _agent(self, line: Line) -> Assignee:
        """Whose talk it is. Raises WrongState where it is nobody's."""
        call = line.call
        if call.state is not CallState.CONNECTED or call.agent is None:
            raise WrongState(what="The call", state=call.state, allowed="connected with an agent")
        return call.agent

    def _talking(self, line: Line) -> Assignee:
        """The same, where both hear each other now, as far as Asterisk has told."""
        agent, bridges = self._agent(line), self.calls.bridges
        bridge = bridges.group(line.call.attempt_id)
        if line.call.held_at is not None or bridge is None or bridge != bridges.group(agent.leg):
            raise WrongState(what="The call", state="on hold", allowed="connected with an agent")
        return agent

    async def _redirect(self, line: Line, context: str, priority: str) -> None:
        await self._send(
            line,
            {
                "Action": "Redirect",
                "Channel": line.call.channel_id,
                "Context": context,
                "Exten": "s",
                "Priority": priority,
            },
        )

    async def _send(self, line: Line, action: Mapping[str, Any]) -> None:
        await self.nodes.link(line.node).send(action)

    # -- what follows ----------------------------------------------------------------------------------

    def ask_again(self, line: Line) -> None:
        """Nobody is left to end the hold: the customer asks the server what is next."""
        self._spawn(self._ask_again(line))

    async def _ask_again(self, line: Line) -> None:
        if line.call.live and line.call.agent is None:  # nobody was chosen meanwhile
            await self._redirect(line, context_of(line.call), ASK)

    def _changed(self, line: Line, change: Change) -> None:
        before, after = change.before, change.after
        if before.held_at is not None and after.held_at is None:
            if (back := self._back.get(after.attempt_id)) is not None:
                back.set()
            if after.state is CallState.WAITING:
                self.ask_again(line)
        if before.muted and not after.muted and after.state is not CallState.CONNECTED:
            assert before.agent is not None
            if before.agent.leg in self.tracker.legs:  # the next customer is to hear the agent
                self._spawn(self._say_mute(line, before.agent, on=False))
        if not after.live:
            self._locks.pop(after.attempt_id, None)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.add(task := asyncio.create_task(self._aside(work)))
        task.add_done_callback(self._tasks.discard)

    async def _aside(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except (ActionFailed, AsteriskUnavailable) as error:  # gone meanwhile; the resync sees what is there
            log.warning("control_not_done", reason=str(error))
