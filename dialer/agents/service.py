"""What an agent, or a supervisor for an agent, can do: log a phone in, be ready, pause, log out."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import messages, people, store
from dialer.agents.model import (
    PAUSE_WRAP_UP_OVER,
    SYSTEM_PAUSE_CODES,
    USUAL_RANK,
    Agent,
    AgentState,
    Candidate,
    Shift,
    Takes,
)
from dialer.agents.own import own_agent
from dialer.asterisk.config import ha1
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.db.tables import pause_code
from dialer.errors import Conflict, Invalid, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.ids import new_id
from dialer.said import Said
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
        actor.require(Right.AGENTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await people.agents(conn, actor.tenant_id)
            shifts = {shift.agent_id: shift for shift in await store.open_shifts(conn, actor.tenant_id)}
        return [(agent, shifts.get(agent.id)) for agent in found]

    async def candidates(self, actor: Actor) -> list[Candidate]:
        """Users who can be made agents. Raises Forbidden."""
        actor.require(Right.AGENTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await people.candidates(conn, actor.tenant_id)

    async def agent(self, actor: Actor, agent_id: int) -> tuple[Agent, Shift | None]:
        """One agent with the open shift. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await self._theirs(conn, actor, agent_id, Right.AGENTS_READ)
            return found, await store.shift_of_agent(conn, actor.tenant_id, agent_id)

    async def own_id(self, actor: Actor) -> int:
        """The agent that the actor is. Raises Forbidden, NotFound."""
        async with self._database.tenant(actor.tenant_id) as conn:
            return (await own_agent(conn, actor)).id

    async def create(
        self,
        actor: Actor,
        *,
        user_id: int,
        name: str,
        endpoint: str,
        skills: Sequence[str],
        levels: Mapping[str, int] | None = None,
        rank: int = USUAL_RANK,
        takes: Takes = Takes.BOTH,
    ) -> NewAgent:
        """Make a user an agent with a phone. Raises Conflict when the endpoint or the user is taken, Invalid
        when a level is of a skill that is not among `skills`."""
        actor.require(Right.AGENTS_EDIT)
        _check_levels(levels or {}, skills)
        password = secrets.token_urlsafe(18) if self._managed else None
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                made = await people.add_agent(
                    conn,
                    actor.tenant_id,
                    user_id=user_id,
                    name=name,
                    endpoint=endpoint,
                    sip_ha1=ha1(endpoint, password) if password else None,
                    skills=skills,
                    levels=levels,
                    rank=rank,
                    takes=takes,
                )
                await audit.record(conn, actor, "agent.create", f"agent:{made.id}", endpoint=endpoint)
                await events.wake(conn, "phones", tenant_id=actor.tenant_id)
        except IntegrityError as error:
            if "agent_endpoint_key" in str(error.orig):
                raise Conflict(
                    reason=Said("the phone {endpoint} belongs to another agent", endpoint=endpoint)
                ) from None
            if "agent_tenant_id_user_id_key" in str(error.orig):
                raise Conflict(reason="this user is an agent already") from None
            raise NotFound(what="user", key=user_id) from None
        return NewAgent(made, password)

    async def change(
        self,
        actor: Actor,
        agent_id: int,
        *,
        rank: int | None = None,
        skills: Sequence[str] | None = None,
        levels: Mapping[str, int] | None = None,
        takes: Takes | None = None,
    ) -> None:
        """Give an agent another rank, other skills, other levels of some of them, or other calls (None: as
        they are, and a level that is not named stays too); the next call goes by them.

        Raises NotFound, Forbidden, Invalid.
        """
        actor.require(Right.AGENTS_EDIT)
        wanted = {"rank": rank, "takes": takes}
        values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        if skills is not None:
            values["skills"] = sorted(set(skills))
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await people.find_agent(conn, actor.tenant_id, agent_id, lock=True)
            if found is None:
                raise NotFound(what="agent", key=agent_id)
            if skills is not None or levels is not None:
                having = found.skills if skills is None else set(skills)
                _check_levels(levels or {}, having)
                stay = {skill: level for skill, level in found.levels.items() if skill in having}
                values["levels"] = stay | dict(levels or {})
            if not values:
                return
            await people.change_agent(conn, actor.tenant_id, agent_id, values)
            await audit.record(conn, actor, "agent.edit", f"agent:{agent_id}", **values)
            # Pacing knows the skills, the desk which customers may come next.
            await events.wake(conn, "agents", tenant_id=actor.tenant_id)

    # -- the shift --------------------------------------------------------------------------------------

    async def log_in(self, actor: Actor, agent_id: int, *, browser: bool = False) -> Shift:
        """Begin a shift: the phone, or the agent's `browser`, is called. An open shift goes on with the phone
        that it has, even if a log-out waits."""
        now = utc_now()
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                agent = await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
                if not agent.enabled:
                    raise WrongState(what=agent.name, state="switched off", allowed="enabled")
                shift = await store.shift_of_agent(conn, actor.tenant_id, agent_id, lock=True)
                if shift is None:
                    await store.open_shift(conn, actor.tenant_id, agent_id, new_id(), now, browser=browser)
                    await audit.record(conn, actor, "agent.login", f"agent:{agent_id}")
                elif shift.next_state is AgentState.OFFLINE:
                    await store.ask_next(conn, actor.tenant_id, shift.id, None, None)
                return await self._open(conn, actor, agent_id)
        except IntegrityError:
            # Two tabs at once: the other one's shift is the agent's.
            async with self._database.tenant(actor.tenant_id) as conn:
                return await self._open(conn, actor, agent_id)

    async def ready(self, actor: Actor, agent_id: int) -> Shift:
        """Take calls from now on, or after the present one. Raises WrongState while a disposition is owed."""
        async with self._database.tenant(actor.tenant_id) as conn:
            agent = await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            shift = await self._locked(conn, actor, agent_id)
            await _force(conn, actor, agent, shift, AgentState.READY)
            if shift.state in _BUSY or shift.state is AgentState.LOST:
                await store.ask_next(conn, actor.tenant_id, shift.id, None, None)
            elif shift.state is AgentState.PAUSED:
                if await store.owes_disposition(conn, actor.tenant_id, shift.id) is not None:
                    raise _owed()
                await store.move(conn, actor.tenant_id, shift.id, AgentState.READY, utc_now())
            elif shift.state is AgentState.CALLING:
                raise WrongState(what="The phone", state="being called", allowed="connected")
            return await self._open(conn, actor, agent_id)

    async def pause(self, actor: Actor, agent_id: int, code: str) -> Shift:
        """Take no calls from now on, or after the present one. Raises Invalid, WrongState."""
        async with self._database.tenant(actor.tenant_id) as conn:
            agent = await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            known = await conn.scalar(
                select(pause_code.c.code).where(
                    pause_code.c.tenant_id == actor.tenant_id, pause_code.c.code == code
                )
            )
            if known is None or code in SYSTEM_PAUSE_CODES:
                raise Invalid(field="code", reason=Said("there is no pause code {code}", code=code))
            shift = await self._locked(conn, actor, agent_id)
            to, now = AgentState.PAUSED, utc_now()
            await _force(conn, actor, agent, shift, to, code)
            if _is_shown_a_lead(shift):
                await hopper.give_back(conn, actor.tenant_id, cast(int, shift.lead_id))
                await store.move(conn, actor.tenant_id, shift.id, to, now, pause_code=code)
            elif shift.state in _BUSY or shift.state is AgentState.LOST:
                await store.ask_next(conn, actor.tenant_id, shift.id, to, code)
            elif shift.state is AgentState.PAUSED and shift.pause_code == PAUSE_WRAP_UP_OVER:
                raise _owed()
            elif shift.state is AgentState.CALLING:
                raise WrongState(what="The phone", state="being called", allowed="connected")
            elif shift.state is AgentState.PAUSED:
                leaving = (AgentState.PAUSED,)
                await store.move(conn, actor.tenant_id, shift.id, to, now, leaving=leaving, pause_code=code)
            else:
                await store.move(conn, actor.tenant_id, shift.id, to, now, pause_code=code)
            return await self._open(conn, actor, agent_id)

    async def log_out(self, actor: Actor, agent_id: int) -> Shift | None:
        """End the shift now, or after the present call; what is left of it, if anything."""
        async with self._database.tenant(actor.tenant_id) as conn:
            agent = await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            return await self._leave(conn, actor, agent)

    async def user_leaves(self, conn: AsyncConnection, actor: Actor, user_id: int) -> None:
        """The user works here no more: the shift, if there is one, ends as by `log_out`."""
        agent = await people.agent_of_user(conn, actor.tenant_id, user_id)
        if agent is not None:
            await self._leave(conn, actor, agent)

    async def _leave(self, conn: AsyncConnection, actor: Actor, agent: Agent) -> Shift | None:
        if await store.shift_of_agent(conn, actor.tenant_id, agent.id) is None:
            return None
        shift = await self._locked(conn, actor, agent.id)
        await _force(conn, actor, agent, shift, AgentState.OFFLINE)
        if _is_shown_a_lead(shift):
            await hopper.give_back(conn, actor.tenant_id, cast(int, shift.lead_id))
        elif shift.state in _BUSY:
            await store.ask_next(conn, actor.tenant_id, shift.id, AgentState.OFFLINE, None)
            return await self._open(conn, actor, agent.id)
        await store.move(conn, actor.tenant_id, shift.id, AgentState.OFFLINE, utc_now())
        await audit.record(conn, actor, "agent.logout", f"agent:{agent.id}")
        return None

    async def skip_lead(self, actor: Actor, agent_id: int) -> Shift:
        """Preview: pass the shown lead on to whoever is next. Raises WrongState."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._theirs(conn, actor, agent_id, Right.AGENTS_CONTROL)
            shift = await self._locked(conn, actor, agent_id)
            if not _is_shown_a_lead(shift):
                raise WrongState(what="The agent", state=shift.state, allowed="shown a lead")
            await hopper.skip(conn, actor.tenant_id, cast(int, shift.lead_id))
            leaving = (AgentState.RESERVED,)
            await store.move(conn, actor.tenant_id, shift.id, AgentState.READY, utc_now(), leaving=leaving)
            return await self._open(conn, actor, agent_id)

    # -- helpers ----------------------------------------------------------------------------------------

    @staticmethod
    async def _theirs(conn: AsyncConnection, actor: Actor, agent_id: int, right: Right) -> Agent:
        """The agent, if it is the actor's own or the actor has `right` over everybody's."""
        found = await people.find_agent(conn, actor.tenant_id, agent_id)
        if found is None or found.user_id != actor.user_id:
            actor.require(right)
        else:
            actor.require(Right.WORK)
        if found is None:
            raise NotFound(what="agent", key=agent_id)
        return found

    @staticmethod
    async def _open(conn: AsyncConnection, actor: Actor, agent_id: int) -> Shift:
        shift = await store.shift_of_agent(conn, actor.tenant_id, agent_id)
        if shift is None:
            raise WrongState(what="The agent", state="not logged in", allowed="logged in")
        return shift

    async def _locked(self, conn: AsyncConnection, actor: Actor, agent_id: int) -> Shift:
        """The open shift, with the lead that is shown, kept from the engine until the transaction ends.

        Everybody takes the lead before the shift, so that none waits for the other for ever.
        """
        while True:
            lead_id = (await self._open(conn, actor, agent_id)).lead_id
            if lead_id is not None:
                await hopper.lock(conn, actor.tenant_id, lead_id)
            shift = await store.shift_of_agent(conn, actor.tenant_id, agent_id, lock=True)
            if shift is None or shift.lead_id in (None, lead_id):
                return shift or await self._open(conn, actor, agent_id)


async def _force(
    conn: AsyncConnection,
    actor: Actor,
    agent: Agent,
    shift: Shift,
    to: AgentState,
    code: str | None = None,
) -> None:
    """Note who has put somebody else into another state, now or after the present call; the agent is told."""
    if agent.user_id != actor.user_id:
        said: dict[str, str] = {"was": shift.state.value, "to": to.value} | ({"code": code} if code else {})
        await audit.record(conn, actor, "agent.force", f"agent:{agent.id}", **said)
        await messages.tell_forced(conn, actor, agent.id, to.value, code)


def _is_shown_a_lead(shift: Shift) -> bool:
    return shift.lead_id is not None and shift.attempt_id is None


def _check_levels(levels: Mapping[str, int], skills: Collection[str]) -> None:
    for skill in levels.keys() - set(skills):
        reason = Said("the agent has not the skill {skill}", skill=skill)
        raise Invalid(field="levels", reason=reason)


def _owed() -> WrongState:
    return WrongState(
        what="The last talk", state="without a disposition", allowed="closed with a disposition"
    )
