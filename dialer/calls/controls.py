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
from dialer.calls.consulting import Consulting
from dialer.calls.letting_go import LettingGo, came_back
from dialer.calls.model import Assignee, CallState, HandedOver, Muted, Stage
from dialer.calls.places import ASK, TALK, context_of
from dialer.calls.steering import Steering
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import Change, Line
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import ActionFailed, AsteriskUnavailable, DozvonError, NotFound, WrongState
from dialer.recordings.recorder import Recorder

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Controls:
    """The talks of one engine, as their agents steer them."""

    database: Database
    steering: Steering
    switchboard: Switchboard
    recorder: Recorder
    consulting: Consulting
    letting_go: LettingGo
    #: one thing at a time is done with a call
    _locks: defaultdict[UUID, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.steering.calls.watchers.append(self._changed)

    async def command(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what `payload` says: `what` and `attempt_id`; `digits`; `queue`, `destination` or `agent_id`;
        `prompt` and `language`. Raises NotFound, NotAllowed, WrongState, AsteriskUnavailable."""
        attempt_id = UUID(payload["attempt_id"])
        line = self.steering.calls.get(attempt_id)
        if line is None or line.call.tenant_id != tenant_id:
            raise NotFound(what="call on the line", key=attempt_id)
        async with self._locks[attempt_id]:
            try:
                await self._do(line, payload)
            except TimeoutError as error:
                raise AsteriskUnavailable(reason="it has not parted the two") from error
            except ActionFailed as error:
                log.info("control_refused", call=str(attempt_id), what=payload["what"], reason=str(error))
                raise WrongState(what="The call", state="over", allowed="on the line") from error
        return {}

    async def ask_customer(self, attempt_id: UUID) -> bool:
        """The agent ends the talk: have the customer asked how it was; False: the call is to be ended, since
        nothing is asked in its campaign, or it cannot be now. Raises WrongState while they are asked: an
        agent does not end that."""
        line = self.steering.calls.get(attempt_id)
        if line is None:
            return False
        async with self._locks[attempt_id]:
            if line.asked:
                raise WrongState(what="The call", state="with the survey", allowed="connected with an agent")
            try:
                return await self.letting_go.survey(line)
            except (DozvonError, TimeoutError) as error:  # the call ends all the same
                log.warning("survey_not_begun", call=str(attempt_id), reason=str(error))
                return False

    async def _do(self, line: Line, payload: Mapping[str, Any]) -> None:
        match payload["what"]:
            case "hold":
                await self._hold(line)
            case "resume" if line.call.third is not None and line.call.third.there:
                await self.consulting.cancel(line)
            case "resume":
                await self.steering.resume(line)
            case "mute" | "unmute" as what:
                await self._mute(line, on=what == "mute")
            case "dtmf":
                await self._press(line, payload["digits"])
            case "pause_recording" | "resume_recording" as what:
                await self._record(line, pause=what == "pause_recording")
            case "transfer":
                await self._transfer(line, payload)
            case "message":
                self._alone(line)
                await self.letting_go.leave(line, payload["prompt"], payload["language"])
            case "take_over":
                await self.letting_go.take_over(line, payload)
                await self._record_again(line)
            case what:
                await self._do_besides(line, what, payload)

    async def _do_besides(self, line: Line, what: str, payload: Mapping[str, Any]) -> None:
        match what:
            case "consult":
                await self._consult(line, payload)
            case "consult_end":
                await self.consulting.cancel(line)
            case "consult_leave":
                await self.consulting.leave(line, payload["agent_id"])
            case "consult_transfer":
                await self.consulting.complete(line)
                await self._record_again(line)
            case "conference":
                await self.consulting.conference(line)
            case "conference_end":
                await self.consulting.alone(line)
            case _:
                raise AssertionError(f"nobody asks for {what}")

    async def _hold(self, line: Line) -> None:
        third = line.call.third
        if line.call.held_at is None and third is not None and third.there:
            await self.consulting.alone(line)  # out of a conference
        else:
            await self.steering.hold(line)

    # -- voice and keys --------------------------------------------------------------------------------

    async def _mute(self, line: Line, *, on: bool) -> None:
        agent = self.steering.agent(line)
        await self._say_mute(line, agent, on=on)
        self.steering.calls.apply(line.call.attempt_id, Muted(utc_now(), on=on))

    async def _say_mute(self, line: Line, agent: Assignee, *, on: bool) -> None:
        """By volume, divided to nothing: voice still comes, as silence. (MuteAudio lets none come: carriers
        end calls that send none, and a supervisor's voice has nothing to go with.)"""
        await self.steering.tell(line, agent.leg, **{"VOLUME(RX)": "-32767" if on else "0"})

    async def _press(self, line: Line, digits: str) -> None:
        """By a channel of its own: PlayDTMF holds the manager's session up while a key is pressed."""
        self.steering.talking(line)
        await self.steering.send(
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
        self.steering.agent(line)
        if not line.recorded or not await self.recorder.pause(
            call.tenant_id, call.attempt_id, line.node, call.channel, on=pause
        ):
            raise WrongState(what="The call", state="not recorded", allowed="recorded")

    # -- to somebody else ------------------------------------------------------------------------------

    async def _transfer(self, line: Line, payload: Mapping[str, Any]) -> None:
        self._alone(line)
        if payload.get("queue"):
            await self._to_queue(line, payload["queue"])
        elif payload.get("destination"):
            await self.letting_go.forward(line, payload["destination"])
        else:
            await self._to_agent(line, payload["agent_id"])
        await self._record_again(line)

    async def _consult(self, line: Line, payload: Mapping[str, Any]) -> None:
        if payload.get("queue"):
            await self.consulting.queue(line, payload["queue"])
        elif payload.get("destination"):
            await self.consulting.destination(line, payload["destination"])
        else:
            await self.consulting.agent(line, payload["agent_id"])

    async def _to_agent(self, line: Line, agent_id: int) -> None:
        """Move the customer to another agent, who is free and waits at the phone: nothing rings."""
        call, busy = line.call, WrongState(what="The other agent", state="not free", allowed="ready")
        async with self.database.tenant(call.tenant_id) as conn:
            shift = await agents.shift_of_agent(conn, call.tenant_id, agent_id)
        if shift is None or shift.state is not AgentState.READY:
            raise busy
        await self.steering.part(line)
        chosen = await self.switchboard.hand_over(line, shift)
        if chosen is None:
            await self.steering.resume(line)
            raise busy
        await self.steering.tell(line, call.channel_id, DOZVON_AGENT=str(chosen.leg))
        await self.steering.redirect(line, context_of(call), TALK)

    async def _to_queue(self, line: Line, queue: str) -> None:
        """Let go of the customer: their dialplan asks the server, which leads them to the queue."""
        await self.steering.part(line)
        line.hand_to, line.lost_agent = queue, None
        self.steering.calls.apply(line.call.attempt_id, HandedOver(utc_now()))
        await self.steering.redirect(line, context_of(line.call), ASK)

    async def _record_again(self, line: Line) -> None:
        """Another agent knows nothing of a pause."""
        call = line.call
        if line.recorded:
            await self.recorder.pause(call.tenant_id, call.attempt_id, line.node, call.channel, on=False)

    def _alone(self, line: Line) -> None:
        """Raises WrongState unless the agent has the customer alone."""
        self.steering.agent(line)
        if line.call.third is not None and line.call.third.there:
            raise WrongState(what="The call", state="with a third party", allowed="with the customer alone")

    # -- what follows ----------------------------------------------------------------------------------

    def ask_again(self, line: Line) -> None:
        """Nobody is left to end the hold: the customer asks the server what is next."""
        self._spawn(self._ask_again(line))

    async def _ask_again(self, line: Line) -> None:
        if line.call.live and line.call.agent is None:  # nobody was chosen meanwhile
            await self.steering.redirect(line, context_of(line.call), ASK)

    def _changed(self, line: Line, change: Change) -> None:
        before, after = change.before, change.after
        joined = before.third is not None and before.third.stage is Stage.JOINED
        lost = before.agent is not None and after.agent is None and after.state is CallState.WAITING
        if lost and (before.held_at is not None or joined):
            self.ask_again(line)
        if before.muted and not after.muted and after.state is not CallState.CONNECTED:
            assert before.agent is not None
            if before.agent.leg in self.steering.tracker.legs:  # the next customer is to hear the agent
                self._spawn(self._say_mute(line, before.agent, on=False))
        if came_back(change):
            self._spawn(self.letting_go.outside.over(line))
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
