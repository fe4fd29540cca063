"""What people do with a talk: an agent with the own one, a supervisor with anybody's. The engine does it, see
`controls`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.agents.own import own_agent
from dialer.calls import dispositions, talks
from dialer.calls.commands import CommandDesk
from dialer.calls.model import Third
from dialer.calls.talks import Message
from dialer.db.session import Database
from dialer.destinations import store as destinations
from dialer.destinations.model import find
from dialer.errors import NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.queues import store as queues_store


@dataclass(frozen=True, slots=True)
class To:
    """Whom to call: one of the three."""

    agent_id: int | None = None
    #: a name
    queue: str = ""
    #: a name in the tenant's list
    destination: str = ""


@dataclass(frozen=True, slots=True)
class Targets:
    """To whom a customer can be handed over."""

    #: agents who are free: id and name, by name
    agents: Sequence[tuple[int, str]]
    #: names
    queues: Sequence[str]
    #: names
    destinations: Sequence[str]
    #: that can be left to a customer, by name
    messages: Sequence[Message]


class CallControls:
    """The talks of a tenant, as people steer them.

    Each of these raises NotFound, Forbidden, WrongState where the call is not in such a talk, and
    AsteriskUnavailable. What is so already is no error.
    """

    def __init__(self, database: Database, desk: CommandDesk) -> None:
        self._database = database
        self._desk = desk

    async def hold(self, actor: Actor, attempt_id: UUID, *, on: bool) -> None:
        """Let the customer hear music, or bring them back to the agent; whom the agent has asked besides goes
        then."""
        await self._ask(actor, attempt_id, "hold" if on else "resume")

    async def mute(self, actor: Actor, attempt_id: UUID, *, on: bool) -> None:
        """Keep the agent's voice from the customer, or no longer."""
        await self._ask(actor, attempt_id, "mute" if on else "unmute")

    async def press(self, actor: Actor, attempt_id: UUID, keys: str) -> None:
        """Press these keys (0-9, *, #) for the far end, in turn; returns when Asterisk has begun."""
        await self._ask(actor, attempt_id, "dtmf", digits=keys)

    async def pause_recording(self, actor: Actor, attempt_id: UUID, *, on: bool) -> None:
        """Write silence from now on, or voices again. When this returns, it is so."""
        await self._ask(actor, attempt_id, "pause_recording" if on else "resume_recording", log=True)

    async def transfer(
        self,
        actor: Actor,
        attempt_id: UUID,
        *,
        agent_id: int | None = None,
        queue: str = "",
        destination: str = "",
    ) -> None:
        """Hand the customer over to another agent, who must be free, let them wait in a queue, or put them
        through to a listed destination. The agent of the talk is free at once; of who goes to a destination
        they owe the disposition.

        Raises NotFound also where there is no such queue or destination, WrongState also where the other
        agent is not free, NotAllowed where no trunk takes the call.
        """
        await self._ask_for(actor, attempt_id, "transfer", To(agent_id, queue, destination))

    async def consult(self, actor: Actor, attempt_id: UUID, to: To) -> None:
        """Call somebody besides the customer, who hears music. Raises as `transfer` does."""
        await self._ask_for(actor, attempt_id, "consult", to)

    async def end_consult(self, actor: Actor, attempt_id: UUID) -> None:
        """Go on with the customer alone."""
        await self._ask(actor, attempt_id, "consult_end")

    async def complete(self, actor: Actor, attempt_id: UUID) -> None:
        """Leave the customer to who was called besides."""
        await self._ask(actor, attempt_id, "consult_transfer", log=True)

    async def conference(self, actor: Actor, attempt_id: UUID, *, on: bool) -> None:
        """Let the customer and who was called besides hear each other too, or the customer hear music
        again."""
        await self._ask(actor, attempt_id, "conference" if on else "conference_end", log=True)

    async def leave(self, actor: Actor) -> None:
        """Take no part any more in the call about which the actor was asked."""
        async with self._database.tenant(actor.tenant_id) as conn:
            own = await own_agent(conn, actor)
            shift = await agents.shift_of_agent(conn, actor.tenant_id, own.id)
            asked = None if shift is None else shift.attempt_id
            talk = await dispositions.lock_talk(conn, actor.tenant_id, asked) if asked else None
        if talk is None:
            raise NotFound(what="call that you were asked about", key="")
        payload = {"attempt_id": str(talk.id), "what": "consult_leave", "agent_id": own.id}
        await self._desk.ask(actor, "control", payload, campaign_id=talk.campaign_id)

    async def leave_message(
        self, actor: Actor, attempt_id: UUID, prompt: str, language: str | None = None
    ) -> None:
        """Play one of the tenant's prompts to its end and hang up: the agent is free at once, and owes the
        disposition. `language`: where there are several."""
        actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            known = await talks.messages(conn, actor.tenant_id)
        found = [one for one in known if one.name == prompt and language in (None, one.language)]
        if not found:
            raise NotFound(what="prompt", key=prompt)
        more = {"prompt": prompt, "language": found[0].language}
        await self._ask(actor, attempt_id, "message", log=True, told={"prompt": prompt}, **more)

    async def take_over(self, actor: Actor, agent_id: int, listening: UUID) -> None:
        """Have the customer of an agent's talk, to which the actor listens on that phone. The agent wraps
        up."""
        actor.require(Right.AGENTS_CONTROL)
        async with self._database.tenant(actor.tenant_id) as conn:
            shift = await agents.shift_of_agent(conn, actor.tenant_id, agent_id)
            if shift is None or shift.attempt_id is None or shift.state is not AgentState.TALKING:
                raise WrongState(what="The agent", state="in no talk", allowed="talking")
        whose = f"{actor.user_id} {actor.tenant_id} {agent_id}"
        more = {"channel": str(listening), "whose": whose, "name": actor.name}
        told = {"agent_id": agent_id}
        await self._ask(actor, shift.attempt_id, "take_over", log=True, told=told, **more)

    async def targets(self, actor: Actor) -> Targets:
        """To whom a customer can be handed over now."""
        actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            shifts = await agents.open_shifts(conn, actor.tenant_id)
            queues = await queues_store.queues(conn, actor.tenant_id)
            listed = await destinations.destinations(conn, actor.tenant_id)
            messages = await talks.messages(conn, actor.tenant_id)
        free = [(each.agent_id, each.name) for each in shifts if each.state is AgentState.READY]
        return Targets(
            sorted(free, key=lambda one: one[1]),
            sorted(each.name for each in queues.values()),
            [each.name for each in listed],
            messages,
        )

    async def third(self, actor: Actor, attempt_id: UUID) -> Third | None:
        """Who takes part in a talk besides the customer, or did until now; without the right to read all
        calls, in one of the actor's own."""
        async with self._database.tenant(actor.tenant_id) as conn:
            agent_id = None if actor.may(Right.CALLS_READ) else (await own_agent(conn, actor)).id
            return await talks.third(conn, actor.tenant_id, attempt_id, agent_id=agent_id)

    # -- parts -----------------------------------------------------------------------------------------

    async def _ask_for(self, actor: Actor, attempt_id: UUID, what: str, to: To) -> None:
        actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _check(conn, actor, to)
        told = {"agent_id": to.agent_id} if to.agent_id else {"to": to.queue or to.destination}
        more = {"agent_id": to.agent_id, "queue": to.queue, "destination": to.destination}
        await self._ask(actor, attempt_id, what, log=True, told=told, **more)

    async def _ask(
        self,
        actor: Actor,
        attempt_id: UUID,
        what: str,
        *,
        log: bool = False,
        told: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Have the engine do it. `log`: who did it is kept even of one's own talk, with what is `told`."""
        async with self._database.tenant(actor.tenant_id) as conn:
            talk = await dispositions.lock_talk(conn, actor.tenant_id, attempt_id)
            if talk is None:
                raise NotFound(what="call", key=attempt_id)
            own = talk.require_own(actor, Right.CALLS_CONTROL)
            if talk.hung_up_at is not None:
                raise WrongState(what="The call", state="over", allowed="on the line")
            if log or not own:
                await audit.record(conn, actor, f"call.{what}", f"attempt:{attempt_id}", **told or {})
        asked = {"attempt_id": str(attempt_id), "what": what, **more}
        await self._desk.ask(actor, "control", asked, campaign_id=talk.campaign_id)


async def _check(conn: AsyncConnection, actor: Actor, to: To) -> None:
    """Raises NotFound."""
    if to.queue:
        known = await queues_store.queues(conn, actor.tenant_id)
        if to.queue not in {each.name for each in known.values()}:
            raise NotFound(what="queue", key=to.queue)
    if to.destination:
        listed = await destinations.destinations(conn, actor.tenant_id)
        if find(listed, to.destination) is None:
            raise NotFound(what="destination", key=to.destination)
