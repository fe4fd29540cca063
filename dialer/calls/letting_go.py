"""Customers whom their agent lets go of while they stay on the line: put through to a listed destination,
left a message, left to whom the agent has asked, taken over by a supervisor, asked how the talk was.

The agent's talk is over at once, and the disposition owed. What is left of the call needs no server: the
dialplan plays and joins by itself. A customer for whom nobody answers asks the server again, and is kept for
the agent as one whose phone was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from dialer.calls.listening import CONTEXT as LISTEN
from dialer.calls.listening import LISTENER
from dialer.calls.model import CallState, HungUpBy, LetGo, Stage, Third, ThirdCalled, ThirdGone
from dialer.calls.outside import Outside, heard
from dialer.calls.places import FORWARD, MESSAGE, SURVEY, TALK, context_of
from dialer.calls.steering import Steering
from dialer.calls.table import Change, Line
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.destinations import store as destinations
from dialer.destinations.model import Destination, Kind, find
from dialer.errors import NotAllowed, NotFound, WrongState
from dialer.prompts.player import Prompts
from dialer.said import Said
from dialer.surveys import fitting
from dialer.trunks.model import Trunk, dial_string
from ivr_flows.prompts import Sound

log = structlog.get_logger(__name__)

#: How long a destination is rung, seconds.
RING_S = 30


@dataclass(slots=True)
class LettingGo:
    """The customers of one engine whom an agent lets go of."""

    database: Database
    steering: Steering
    outside: Outside
    sounds: Prompts
    #: where dialplans reach this server: host:port
    agi_address: Callable[[], str]

    async def forward(self, line: Line, name: str) -> None:
        """Put the customer through to a destination. Raises NotFound, NotAllowed, WrongState."""
        self.steering.agent(line)
        to = await self.destination(line, name)
        channel, trunk = await self.way(line, to)
        try:
            await self.steering.part(line)
        except BaseException:
            await self.untake(line, trunk)
            raise
        call = line.call
        options = heard(call.attempt_id, self.agi_address(), music=False, trunk=trunk)
        await self.steering.tell(line, call.channel_id, DOZVON_DIAL=f"{channel},{RING_S},{options}")
        await self._let_go(line, FORWARD)

    async def leave(self, line: Line, name: str, language: str) -> None:
        """Play a recorded message to its end, and hang up. Raises NotFound, WrongState."""
        self.steering.agent(line)
        played = await self.sounds.resolve(line.call.tenant_id, [Sound(name, language)])
        if not played:
            raise NotFound(what="prompt", key=name)
        await self.steering.part(line)
        await self.steering.tell(line, line.call.channel_id, DOZVON_DROP="&".join(played))
        await self._let_go(line, MESSAGE)

    async def survey(self, line: Line) -> bool:
        """End the talk, and have the customer asked how it was; False: they are to be asked nothing. Raises
        WrongState."""
        call = line.call
        with_third = call.third is not None and call.third.there
        if not line.survey or call.state is not CallState.CONNECTED or with_third:
            return False
        async with self.database.tenant(call.tenant_id) as conn:
            ready = await fitting.ready(conn, call.tenant_id, line.survey)
        if not ready:
            log.error("survey_missing", campaign=call.campaign_id, flow=line.survey)
            return False
        await self.steering.part(line)
        asks = f"{self.agi_address()}/survey,{call.attempt_id}"
        await self.steering.tell(line, call.channel_id, DOZVON_SURVEY=asks)
        line.ended_by, line.asked = HungUpBy.AGENT, True
        await self._let_go(line, SURVEY)
        return True

    async def pass_to(self, line: Line, third: Third) -> None:
        """Leave the customer, who is on hold, to whom the agent talks with."""
        await self.steering.tell(line, third.channel, DOZVON_WITH="")
        named = {"DOZVON_AGENT": str(third.channel), "DOZVON_AFTER": "hangup"}
        await self.steering.tell(line, line.call.channel_id, **named)
        await self._let_go(line, context_of(line.call), TALK)

    async def take_over(self, line: Line, payload: Mapping[str, Any]) -> None:
        """Give the customer to a supervisor who listens: `channel`, `whose` it is, and the `name`. Raises
        NotFound, WrongState."""
        self.steering.talking(line)
        channel = UUID(payload["channel"])
        link = self.steering.nodes.link(line.node)
        said = await link.send({"Action": "Getvar", "Channel": str(channel), "Variable": LISTENER})
        if said.get("Value") != payload["whose"]:  # somebody else's channel
            raise NotFound(what="listening", key=channel)
        if line.call.third is not None and line.call.third.there:
            raise WrongState(what="The call", state="a conference", allowed="with the agent alone")
        now, calls = utc_now(), self.steering.calls
        by = Third(channel, payload["name"], now, Stage.TALKING)
        await self.steering.tell(line, channel, DOZVON_WITH="wait")
        calls.apply(line.call.attempt_id, ThirdCalled(now, third=by))
        try:
            await self.steering.move(line, channel, LISTEN, "take")
            await self.steering.until(lambda: calls.bridges.group(channel) is not None)
            await self.steering.part(line)
        except BaseException:
            calls.apply(line.call.attempt_id, ThirdGone(utc_now(), came="failed"))
            raise
        await self.pass_to(line, by)

    # -- parts -----------------------------------------------------------------------------------------

    async def destination(self, line: Line, name: str) -> Destination:
        """The listed one of this name: nothing else is called. Raises NotFound."""
        tenant_id = line.call.tenant_id
        async with self.database.tenant(tenant_id) as conn:
            found = find(await destinations.destinations(conn, tenant_id), name)
        if found is None:
            raise NotFound(what="destination", key=name)
        return found

    async def way(self, line: Line, to: Destination) -> tuple[str, Trunk | None]:
        """What Asterisk calls for it; over a trunk, whose line is taken. Raises NotAllowed, WrongState."""
        if to.kind is Kind.PHONE:
            return f"PJSIP/{to.value}", None
        trunk = await self.outside.take(line, to.value)
        if trunk is None:
            raise WrongState(what="The call", state="another server's", allowed="this server's")
        if not isinstance(trunk, Trunk):
            raise NotAllowed(reason=Said("no trunk takes the call to {name} now", name=to.name))
        return dial_string(trunk, to.value), trunk

    async def untake(self, line: Line, trunk: Trunk | None) -> None:
        """Give a line back over which nobody is called after all."""
        if trunk is not None:
            await self.outside.over(line, trunk)

    async def _let_go(self, line: Line, context: str, label: str = "1") -> None:
        line.lost_agent = line.call.agent
        self.steering.calls.apply(line.call.attempt_id, LetGo(utc_now()))
        await self.steering.redirect(line, context, label)


def came_back(change: Change) -> bool:
    """Whether nobody has answered where the customer was put through to."""
    before, after = change.before, change.after
    let_go = before.let_go_at is not None and before.state is CallState.FLOW
    return let_go and after.state is CallState.WAITING
