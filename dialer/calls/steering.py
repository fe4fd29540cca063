"""The moves of which everything consists that an agent does with a customer: out of the talk to music, back
into it, out of the agent's reach."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from dialer.asterisk.nodes import Nodes
from dialer.calls.model import Assignee, CallState, Held
from dialer.calls.places import HELD, TALK, context_of
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.tracking import Tracker
from dialer.clock import utc_now
from dialer.errors import AsteriskUnavailable, WrongState

#: A customer is back in the bridge within milliseconds; who waits for that longer is told of trouble.
BACK_WITHIN_S = 2.0


@dataclass(slots=True)
class Steering:
    """Moves the customers of one engine, and their agents' phones."""

    nodes: Nodes
    calls: CallTable
    tracker: Tracker
    #: set when the customer is back in the talk
    _back: dict[UUID, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.calls.watchers.append(self._changed)

    # -- what is so now --------------------------------------------------------------------------------

    def agent(self, line: Line) -> Assignee:
        """Whose talk it is. Raises WrongState where it is nobody's."""
        call = line.call
        if call.state is not CallState.CONNECTED or call.agent is None:
            raise WrongState(what="The call", state=call.state, allowed="connected with an agent")
        return call.agent

    def talking(self, line: Line) -> Assignee:
        """The same, where both hear each other now, as far as Asterisk has told."""
        agent, bridges = self.agent(line), self.calls.bridges
        bridge = bridges.group(line.call.attempt_id)
        if line.call.held_at is not None or bridge is None or bridge != bridges.group(agent.leg):
            raise WrongState(what="The call", state="on hold", allowed="connected with an agent")
        return agent

    # -- moves -----------------------------------------------------------------------------------------

    async def hold(self, line: Line) -> None:
        """Let the customer hear music."""
        if line.call.held_at is not None:
            return
        self.talking(line)
        rules = line.wish.rules if line.wish else None
        if rules is not None:
            await self.tell(line, line.call.channel_id, **{"CHANNEL(musicclass)": rules.music})
        await self.redirect(line, HELD)
        self.calls.apply(line.call.attempt_id, Held(utc_now()))

    async def resume(self, line: Line) -> None:
        """Bring the customer back to the agent."""
        call = line.call
        if call.held_at is None:
            return
        self._back[call.attempt_id] = back = asyncio.Event()
        try:
            await self.redirect(line, context_of(call), TALK)
            async with asyncio.timeout(BACK_WITHIN_S):
                await back.wait()
        except TimeoutError:
            raise AsteriskUnavailable(reason="it has not joined the two again") from None
        finally:
            del self._back[call.attempt_id]

    async def part(self, line: Line) -> None:
        """Take the customer out of the talk, and see them out, and the agent's phone where it waits: an agent
        who is free gets the next customer at once. Raises TimeoutError."""
        agent, bridges = self.agent(line), self.calls.bridges
        talk = bridges.group(line.call.attempt_id)
        await self.hold(line)
        await self.until(
            lambda: (
                bridges.group(line.call.attempt_id) is None
                and (agent.leg not in self.tracker.legs or bridges.group(agent.leg) not in (None, talk))
            )
        )

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until it is so, as the events of bridges tell. Raises TimeoutError."""
        async with asyncio.timeout(BACK_WITHIN_S):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.005)  # the events of bridges wake nobody

    # -- parts -----------------------------------------------------------------------------------------

    async def redirect(self, line: Line, context: str, label: str = "1") -> None:
        """Move the customer in the dialplan."""
        await self.move(line, line.call.channel_id, context, "s", label)

    async def move(
        self, line: Line, channel: str | UUID, context: str, extension: str, label: str = "1"
    ) -> None:
        """Move any channel of the call in the dialplan."""
        await self.send(
            line,
            {
                "Action": "Redirect",
                "Channel": str(channel),
                "Context": context,
                "Exten": extension,
                "Priority": label,
            },
        )

    async def tell(self, line: Line, channel: str | UUID, **variables: str) -> None:
        """Set variables of a channel of the call."""
        for name, value in variables.items():
            named = {"Action": "Setvar", "Channel": str(channel), "Variable": name}
            await self.send(line, {**named, "Value": value})

    async def send(self, line: Line, action: Mapping[str, Any]) -> None:
        """Ask the Asterisk that has the call. Raises ActionFailed, AsteriskUnavailable."""
        await self.nodes.link(line.node).send(action)

    def _changed(self, _line: Line, change: Change) -> None:
        after = change.after
        back = self._back.get(after.attempt_id)
        if back is not None and change.before.held_at is not None and after.held_at is None:
            back.set()
