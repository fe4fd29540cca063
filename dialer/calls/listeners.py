"""Listening to agents, as supervisors do it. Each step is logged: who, to whom, how, from which phone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.agents import store as agents
from dialer.agents.own import agent_of
from dialer.asterisk.browsers import endpoint_of
from dialer.calls.commands import CommandDesk
from dialer.db.session import Database
from dialer.destinations import store as destinations
from dialer.destinations.model import Kind, find
from dialer.errors import Invalid, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right


class Mode(StrEnum):
    """What a supervisor does."""

    #: neither of the two hears them
    LISTEN = "listen"
    #: the agent hears them, the customer does not
    WHISPER = "whisper"
    #: both hear them
    BARGE = "barge"


@dataclass(frozen=True, slots=True)
class Ears:
    """The phones on which somebody can listen, beside the browser."""

    #: those of the list, by name
    listed: list[str]
    #: whether there is one of their own, as an agent's
    own: bool


class ListeningService:
    """The listeners of a tenant. Each of these raises Forbidden, NotFound, WrongState where the agent's phone
    is not connected, and AsteriskUnavailable."""

    def __init__(self, database: Database, desk: CommandDesk) -> None:
        self._database = database
        self._desk = desk

    async def begin(
        self, actor: Actor, agent_id: int, mode: Mode, phone: str = "", *, browser: bool = False
    ) -> UUID:
        """Have a phone called that listens: the actor's browser, which has opened one (`BrowserPhones`); a
        listed one of this name; else the actor's own, as an agent who is not logged in. The listening's id.
        Raises Invalid of `phone` besides."""
        actor.require(Right.AGENTS_CONTROL)
        async with self._database.tenant(actor.tenant_id) as conn:
            endpoint = await self._endpoint(conn, actor, phone, browser=browser)
        told = await self._ask(actor, agent_id, "listen", mode, phone=endpoint)
        return UUID(told["id"])

    async def change(self, actor: Actor, agent_id: int, listening: UUID, mode: Mode) -> None:
        """Go on in another mode. A barge reaches the customer of the present talk only."""
        await self._ask(actor, agent_id, "listen", mode, id=str(listening))

    async def end(self, actor: Actor, agent_id: int, listening: UUID) -> None:
        """Listen no longer."""
        await self._ask(actor, agent_id, "listen_end", None, id=str(listening))

    async def phones(self, actor: Actor) -> Ears:
        """Where the actor can listen."""
        actor.require(Right.AGENTS_CONTROL)
        async with self._database.tenant(actor.tenant_id) as conn:
            listed = await destinations.destinations(conn, actor.tenant_id)
            own = await agent_of(conn, actor)
        return Ears([one.name for one in listed if one.kind is Kind.PHONE], own=own is not None)

    async def _ask(
        self, actor: Actor, agent_id: int, action: str, mode: Mode | None, **more: Any
    ) -> dict[str, Any]:
        actor.require(Right.AGENTS_CONTROL)
        async with self._database.tenant(actor.tenant_id) as conn:
            if await people.find_agent(conn, actor.tenant_id, agent_id) is None:
                raise NotFound(what="agent", key=agent_id)
            await audit.record(conn, actor, f"agent.{action}", f"agent:{agent_id}", mode=mode, **more)
        asked = {"agent_id": agent_id, "user_id": actor.user_id, "mode": mode, **more}
        return dict(await self._desk.ask(actor, "listen", asked, campaign_id=None))

    async def _endpoint(self, conn: AsyncConnection, actor: Actor, phone: str, *, browser: bool) -> str:
        if phone:
            found = find(await destinations.destinations(conn, actor.tenant_id), phone)
            if found is None or found.kind is not Kind.PHONE:
                raise Invalid(field="phone", reason="there is no such phone in the list")
            return found.value
        own = await agent_of(conn, actor)
        shift = await agents.shift_of_agent(conn, actor.tenant_id, own.id) if own else None
        if shift is not None and shift.browser == browser:
            raise WrongState(what="Your phone", state="logged in as an agent's", allowed="logged out")
        if browser and actor.user_id is not None:
            return endpoint_of(actor.user_id)
        if own is None:
            raise Invalid(field="phone", reason="you have no phone of your own: name one of the list")
        return own.endpoint
