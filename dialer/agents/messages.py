"""Messages of supervisors to agents: kept, shown on the agent's desk, confirmed by the agent.

Who puts an agent into another state writes one by that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.agents.own import agent_of, own_agent
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right

_ADD = Prepared(
    """
    INSERT INTO agent_message (tenant_id, agent_id, text, state, pause_code, sent_by, sent_at)
    VALUES (:tenant_id, :agent_id, :text, :state, :pause_code, :sent_by, :at)
    RETURNING id
    """
)
#: What was done before is over, read or not.
_OVER = Prepared(
    """
    UPDATE agent_message SET confirmed_at = :at
     WHERE tenant_id = :tenant_id AND agent_id = :agent_id AND state IS NOT NULL AND confirmed_at IS NULL
    """
)
_COLUMNS = """
    m.id, m.agent_id, m.text, m.state, m.pause_code, m.sent_by,
    coalesce(u.name, 'dozvon') AS sender, m.sent_at, m.seen_at,
    m.confirmed_at
    FROM agent_message m
    LEFT JOIN app_user u ON u.tenant_id = m.tenant_id AND u.id = m.sent_by
"""
_OPEN = Prepared(
    f"""
    SELECT {_COLUMNS}
     WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id AND m.confirmed_at IS NULL
     ORDER BY m.id
    """
)
_SENT = Prepared(
    f"""
    SELECT {_COLUMNS}
     WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
       AND (CAST(:before AS bigint) IS NULL OR m.id < CAST(:before AS bigint))
     ORDER BY m.id DESC LIMIT :limit
    """
)
_SEEN = Prepared(
    """
    UPDATE agent_message SET seen_at = :at
     WHERE tenant_id = :tenant_id AND agent_id = :agent_id AND seen_at IS NULL
    """
)
_CONFIRM = Prepared(
    """
    UPDATE agent_message
       SET confirmed_at = coalesce(confirmed_at, :at), seen_at = coalesce(seen_at, :at)
     WHERE tenant_id = :tenant_id AND agent_id = :agent_id AND id = :id
    """
)


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """What somebody has written to an agent."""

    id: int
    agent_id: int
    #: empty where `state` is told
    text: str
    #: into which the sender has put the agent: ready, paused or offline
    state: str | None
    #: of a pause
    pause_code: str | None
    #: the user; None: the server
    sent_by: int | None
    #: the user's present name
    sender: str
    sent_at: datetime
    #: first shown on the agent's desk
    seen_at: datetime | None
    confirmed_at: datetime | None


class MessageService:
    """Messages to agents of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, actor: Actor, agent_id: int, text: str) -> AgentMessage:
        """Write to an agent; the desk shows it at once, or when the agent opens it. Raises NotFound."""
        actor.require(Right.AGENTS_CONTROL)
        at, tenant_id = utc_now(), actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            if await people.find_agent(conn, tenant_id, agent_id) is None:
                raise NotFound(what="agent", key=agent_id)
            message_id = await _add(conn, actor, agent_id, at, text=text)
            # The words stay where they are kept: the log of changes lasts for years.
            await audit.record(conn, actor, "agent.message", f"agent:{agent_id}", message_id=message_id)
        return AgentMessage(message_id, agent_id, text, None, None, actor.user_id, actor.name, at, None, None)

    async def sent(
        self, actor: Actor, agent_id: int, *, before: int | None = None, limit: int = 50
    ) -> list[AgentMessage]:
        """What an agent was written, newest first, with ids below `before`. Raises NotFound."""
        actor.require(Right.AGENTS_CONTROL)
        async with self._database.tenant(actor.tenant_id) as conn:
            if await people.find_agent(conn, actor.tenant_id, agent_id) is None:
                raise NotFound(what="agent", key=agent_id)
            rows = await _SENT.rows(
                conn, tenant_id=actor.tenant_id, agent_id=agent_id, before=before, limit=limit
            )
        return [AgentMessage(**row) for row in rows]

    async def mine(self, actor: Actor) -> list[AgentMessage]:
        """What the actor was written and has not confirmed, oldest first; it counts as seen from now on.
        Nothing of an actor who is no agent. Raises Forbidden."""
        actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            agent = await agent_of(conn, actor)
            if agent is None:
                return []
            whose = {"tenant_id": actor.tenant_id, "agent_id": agent.id}
            rows = await _OPEN.rows(conn, **whose)
            if any(row.seen_at is None for row in rows):
                await _SEEN.run(conn, **whose, at=utc_now())
            return [AgentMessage(**row) for row in rows]

    async def confirm(self, actor: Actor, message_id: int) -> None:
        """The actor has read it; twice is as once. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            agent = await own_agent(conn, actor)
            done = await _CONFIRM.run(
                conn, tenant_id=actor.tenant_id, agent_id=agent.id, id=message_id, at=utc_now()
            )
            if not done:
                raise NotFound(what="message", key=message_id)
            await _tell(conn, actor, agent.id, message_id, "confirmed")


async def tell_forced(
    conn: AsyncConnection, actor: Actor, agent_id: int, to: str, pause_code: str | None
) -> None:
    """Tell the agent into which state the actor has put them; what was told so before is over by that."""
    at = utc_now()
    await _OVER.run(conn, tenant_id=actor.tenant_id, agent_id=agent_id, at=at)
    await _add(conn, actor, agent_id, at, state=to, pause_code=pause_code)


async def _add(
    conn: AsyncConnection,
    actor: Actor,
    agent_id: int,
    at: datetime,
    *,
    text: str = "",
    state: str | None = None,
    pause_code: str | None = None,
) -> int:
    message_id: int = await _ADD.value(
        conn,
        tenant_id=actor.tenant_id,
        agent_id=agent_id,
        text=text,
        state=state,
        pause_code=pause_code,
        sent_by=actor.user_id,
        at=at,
    )
    await _tell(conn, actor, agent_id, message_id, "sent")
    return message_id


async def _tell(conn: AsyncConnection, actor: Actor, agent_id: int, message_id: int, what: str) -> None:
    fact: dict[str, Any] = {"agent_id": agent_id, "message_id": message_id, "what": what}
    await events.emit(conn, "agent.message", fact, tenant_id=actor.tenant_id, agent_id=agent_id)
