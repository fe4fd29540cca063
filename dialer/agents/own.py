"""Which agent an actor is."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.agents.model import Agent
from dialer.errors import NotFound
from dialer.httpkit.access import Actor, Right


async def agent_of(conn: AsyncConnection, actor: Actor) -> Agent | None:
    """The agent that the actor is, if one."""
    if actor.user_id is None:
        return None
    return await people.agent_of_user(conn, actor.tenant_id, actor.user_id)


async def own_agent(conn: AsyncConnection, actor: Actor) -> Agent:
    """The agent that the actor is, and works as. Raises Forbidden, NotFound."""
    actor.require(Right.WORK)
    found = await agent_of(conn, actor)
    if found is None:
        raise NotFound(what="agent for the user", key=actor.name)
    return found
