"""What an agent, or a supervisor for an agent, can do: log a phone in, be ready, pause, log out."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store
from dialer.agents.model import (
    PAUSE_WRAP_UP_OVER,
    SYSTEM_PAUSE_CODES,
    Agent,
    AgentState,
    Shift,
)
from dialer.asterisk.config import ha1
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.db.tables import pause_code
from dialer.errors import Conflict, Invalid, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.ids import new_id
from scheduler import hopper

_BUSY = (AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)


@dataclass(frozen=True, slots=True)
class NewAgent:
    """An agent that was just made, with what is shown once."""

    agent: Agent
    #: the phone's password for a managed Asterisk; None where the phone is made elsewhere
    sip_password: str | None


class AgentService:
    """Agents and their shifts."""

    def __init__(self, database: Database, *, managed: bool) -> None:
        """`managed`: the server makes the phones' PJSIP endpoints itself."""
        self._database = database
        self._managed = managed

    # -- who they are ----------------------------------------------------------------------------------

    async def agents(self, actor: Actor) -> list[tuple[Agent, Shift | None]]:
        """Every agent with the open shift, if one."""
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.agents(conn, actor.tenant_id)
            shifts = {shift.agent_id: shift for shift in await store.open_shifts(conn, actor.tenant_id)}
        return [(agent, shifts.get(agent.id)) for agent in found]

    async def agent(self, actor: Actor, agent_id: int) -> tuple[Agent, Shift | None]:
        """One agent with the open shift. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await self._theirs(conn, actor, agent_id, Right.AGENTS_READ)
            return found, await store.shift_of_agent(conn, actor.tenant_id, agent_id)

    async def own_id(self, actor: Actor) -> int:
        """The agent that the actor is. Raises NotFound."""
        async with self._database.tenant(actor.tenant_id) as conn:
            found = (
                await store.agent_of_user(conn, actor.tenant_id, actor.user_id)
                if actor.user_id is not None
                else None
            )
        if found is None:
            raise NotFound(what="agent for the user", key=actor.name)
        return found.id

    async def create(
        self, actor: Actor, *, user_id: int, name: str, endpoint: str, skills: Sequence[str]
    ) -> NewAgent:
        """Make a user an agent with a phone. Raises Conflict when the endpoint or the user is taken."""
        password = secrets.token_urlsafe(18) if self._managed else None
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                made = await store.add_agent(
                    conn,
                    actor.tenant_id,
                    user_id=user_id,
                    name=name,
                    endpoint=endpoint,
                    sip_ha1=ha1(endpoint, password) if password else None,
                    skills=skills,
                )
                await audit.record(conn, actor, "agent.create", f"agent:{made.id}", endpoint=endpoint)
                await events.wake(conn, "phones", tenant_id=actor.tenant_id)
        except IntegrityError as error:
            if "agent_endpoint_key" in str(error.orig):
                raise Conflict(reason=f"the phone {endpoint} belongs to another agent") from None
            if "agent_tenant_id_user_id_key" in str(error.orig):
                raise Conflict(reason="this user is an agent already") from None
            raise NotFound(what="user", key=user_id) from None
        return NewAgent(made, password)

    # -- the shift --------------------------------------------------------------------------------------

    async def log_in(self, actor: Actor, agent_id: int) -> Shift:
        """Begin a shift: the phone is called. An open shift is kept as it is."""
        now = utc_now()
        async with self._database.tenant(actor.tenant_id) as conn:
            agent = await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            if not agent.enabled:
                raise WrongState(what=agent.name, state="switched off", allowed="enabled")
            shift = await store.shift_of_agent(conn, actor.tenant_id, agent_id)
            if shift is None:
                await store.open_shift(conn, actor.tenant_id, agent_id, new_id(), now)
                await audit.record(conn, actor, "agent.login", f"agent:{agent_id}")
            return await self._open(conn, actor, agent_id)

    async def ready(self, actor: Actor, agent_id: int) -> Shift:
        """Take calls from now on, or after the present one. Raises WrongState while a disposition is owed."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            shift = await self._open(conn, actor, agent_id)
            if shift.state in _BUSY or shift.state is AgentState.LOST:
                await store.ask_next(conn, actor.tenant_id, shift.id, None, None)
            elif shift.state is AgentState.PAUSED:
                if await store.owes_disposition(conn, actor.tenant_id, shift.id) is not None:
                    raise WrongState(
                        what="The last talk",
                        state="without a disposition",
                        allowed="closed with a disposition",
                    )
                await store.move(conn, actor.tenant_id, shift.id, AgentState.READY, utc_now())
            elif shift.state is AgentState.CALLING:
                raise WrongState(what="The phone", state="being called", allowed="connected")
            return await self._open(conn, actor, agent_id)

    async def pause(self, actor: Actor, agent_id: int, code: str) -> Shift:
        """Take no calls from now on, or after the present one."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            known = await conn.scalar(
                select(pause_code.c.code).where(
                    pause_code.c.tenant_id == actor.tenant_id, pause_code.c.code == code
                )
            )
            if known is None or code in SYSTEM_PAUSE_CODES:
                raise Invalid(field="code", reason=f"there is no pause code {code!r}")
            shift = await self._open(conn, actor, agent_id)
            now = utc_now()
            if shift.lead_id is not None and shift.attempt_id is None:
                await hopper.give_back(conn, actor.tenant_id, shift.lead_id)
                await store.move(conn, actor.tenant_id, shift.id, AgentState.PAUSED, now, pause_code=code)
            elif shift.state in _BUSY or shift.state is AgentState.LOST:
                await store.ask_next(conn, actor.tenant_id, shift.id, AgentState.PAUSED, code)
            elif shift.state is AgentState.PAUSED and shift.pause_code == PAUSE_WRAP_UP_OVER:
                raise WrongState(
                    what="The last talk",
                    state="without a disposition",
                    allowed="closed with a disposition",
                )
            else:
                leaving = (AgentState.READY, AgentState.PAUSED)
                await store.move(
                    conn,
                    actor.tenant_id,
                    shift.id,
                    AgentState.PAUSED,
                    now,
                    leaving=leaving,
                    pause_code=code,
                )
            return await self._open(conn, actor, agent_id)

    async def log_out(self, actor: Actor, agent_id: int) -> Shift | None:
        """End the shift now, or after the present call; what is left of it, if anything."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            shift = await store.shift_of_agent(conn, actor.tenant_id, agent_id)
            if shift is None:
                return None
            if shift.lead_id is not None and shift.attempt_id is None:
                await hopper.give_back(conn, actor.tenant_id, shift.lead_id)
            elif shift.state in _BUSY:
                await store.ask_next(conn, actor.tenant_id, shift.id, AgentState.OFFLINE, None)
                return await self._open(conn, actor, agent_id)
            await store.move(conn, actor.tenant_id, shift.id, AgentState.OFFLINE, utc_now())
            await audit.record(conn, actor, "agent.logout", f"agent:{agent_id}")
            return None

    async def skip_lead(self, actor: Actor, agent_id: int) -> Shift:
        """Preview: pass the shown lead on to whoever is next."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            shift = await self._open(conn, actor, agent_id)
            if shift.lead_id is None or shift.attempt_id is not None:
                raise WrongState(what="The agent", state=shift.state, allowed="shown a lead")
            await hopper.skip(conn, actor.tenant_id, shift.lead_id)
            await store.move(
                conn,
                actor.tenant_id,
                shift.id,
                AgentState.READY,
                utc_now(),
                leaving=(AgentState.RESERVED,),
            )
            return await self._open(conn, actor, agent_id)

    # -- helpers ----------------------------------------------------------------------------------------

    @staticmethod
    async def _theirs(conn: AsyncConnection, actor: Actor, agent_id: int, right: Right) -> Agent:
        """The agent, if it is the actor's own or the actor has `right` over everybody's."""
        found = await store.find_agent(conn, actor.tenant_id, agent_id)
        if found is None:
            raise NotFound(what="agent", key=agent_id)
        if found.user_id != actor.user_id:
            actor.require(right)
        else:
            actor.require(Right.WORK)
        return found

    @staticmethod
    async def _open(conn: AsyncConnection, actor: Actor, agent_id: int) -> Shift:
        shift = await store.shift_of_agent(conn, actor.tenant_id, agent_id)
        if shift is None:
            raise WrongState(what="The agent", state="not logged in", allowed="logged in")
        return shift
