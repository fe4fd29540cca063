"""What people do with a talk: an agent with the own one, a supervisor with anybody's. The engine does it, see
`controls`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.calls import dispositions
from dialer.calls.commands import CommandDesk
from dialer.db.session import Database
from dialer.errors import NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.queues import store as queues_store


@dataclass(frozen=True, slots=True)
class Targets:
    """To whom a customer can be handed over."""

    #: agents who are free: id and name, by name
    agents: Sequence[tuple[int, str]]
    #: names
    queues: Sequence[str]


class CallControls:
    """The talks of a tenant, as people steer them.

    Each of these raises NotFound, Forbidden, WrongState where the call is not in such a talk, and
    AsteriskUnavailable. What is so already is no error.
    """

    def __init__(self, database: Database, desk: CommandDesk) -> None:
        self._database = database
        self._desk = desk

    async def hold(self, actor: Actor, attempt_id: UUID, *, on: bool) -> None:
        """Let the customer hear music, or bring them back to the agent."""
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
        self, actor: Actor, attempt_id: UUID, *, agent_id: int | None = None, queue: str = ""
    ) -> None:
        """Hand the customer over to another agent, who must be free, or let them wait in a queue. The agent
        of the talk is free at once.

        Raises NotFound also where there is no such queue, WrongState also where the other agent is not free.
        """
        if queue:
            async with self._database.tenant(actor.tenant_id) as conn:
                known = await queues_store.queues(conn, actor.tenant_id)
            if queue not in {each.name for each in known.values()}:
                raise NotFound(what="queue", key=queue)
        await self._ask(actor, attempt_id, "transfer", log=True, agent_id=agent_id, queue=queue)

    async def targets(self, actor: Actor) -> Targets:
        """To whom a customer can be handed over now."""
        actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            shifts = await agents.open_shifts(conn, actor.tenant_id)
            queues = await queues_store.queues(conn, actor.tenant_id)
        free = [(each.agent_id, each.name) for each in shifts if each.state is AgentState.READY]
        return Targets(sorted(free, key=lambda one: one[1]), sorted(each.name for each in queues.values()))

    async def _ask(
        self, actor: Actor, attempt_id: UUID, what: str, *, log: bool = False, **more: Any
    ) -> None:
        """Have the engine do it. `log`: who did it is kept even of one's own talk."""
        async with self._database.tenant(actor.tenant_id) as conn:
            talk = await dispositions.lock_talk(conn, actor.tenant_id, attempt_id)
            if talk is None:
                raise NotFound(what="call", key=attempt_id)
            own = talk.require_own(actor, Right.CALLS_CONTROL)
            if talk.hung_up_at is not None:
                raise WrongState(what="The call", state="over", allowed="on the line")
            if log or not own:
                await audit.record(conn, actor, f"call.{what}", f"attempt:{attempt_id}")
        asked = {"attempt_id": str(attempt_id), "what": what, **more}
        await self._desk.ask(actor, "control", asked, campaign_id=talk.campaign_id)
