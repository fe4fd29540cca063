"""The SQL of agents: who they are, their phones, skills and ranks; their shifts are in store.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import and_, bindparam, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents.model import USUAL_RANK, Agent, Candidate, Takes, levels_of
from dialer.db.prepared import Prepared
from dialer.db.tables import agent, app_user
from dialer.httpkit.access import ROLE_RIGHTS, Right

#: Who was switched off, and whose user can log in no more, works here no more.
_WORKS = and_(
    agent.c.enabled,
    exists().where(
        app_user.c.tenant_id == agent.c.tenant_id,
        app_user.c.id == agent.c.user_id,
        app_user.c.disabled_at.is_(None),
    ),
).label("enabled")
_AGENTS = select(*(one for one in agent.c if one.name != "enabled"), _WORKS)
_AGENT_OF_USER = Prepared(
    _AGENTS.where(agent.c.tenant_id == bindparam("tenant_id"), agent.c.user_id == bindparam("user_id"))
)


def _agent(row: Any) -> Agent:
    return Agent(
        id=row.id,
        tenant_id=row.tenant_id,
        user_id=row.user_id,
        name=row.name,
        endpoint=row.endpoint,
        skills=frozenset(row.skills),
        levels=levels_of(row.skills, row.levels),
        rank=row.rank,
        takes=Takes(row.takes),
        enabled=row.enabled,
    )


async def add_agent(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    user_id: int,
    name: str,
    endpoint: str,
    sip_ha1: str | None,
    skills: Iterable[str],
    levels: Mapping[str, int] | None = None,
    rank: int = USUAL_RANK,
    takes: Takes = Takes.BOTH,
) -> Agent:
    """A new agent; the endpoint's name must be new over all tenants. `levels`: of skills among `skills`."""
    made = await conn.execute(
        insert(agent)
        .values(
            tenant_id=tenant_id,
            user_id=user_id,
            name=name,
            endpoint=endpoint,
            sip_ha1=sip_ha1,
            skills=sorted(set(skills)),
            levels=dict(levels or {}),
            rank=rank,
            takes=takes,
        )
        .returning(agent)
    )
    return _agent(made.one())


async def change_agent(
    conn: AsyncConnection, tenant_id: int, agent_id: int, values: Mapping[str, Any]
) -> None:
    """Set columns of an agent."""
    await conn.execute(
        update(agent).where(agent.c.tenant_id == tenant_id, agent.c.id == agent_id).values(**values)
    )


async def agents(conn: AsyncConnection, tenant_id: int) -> list[Agent]:
    """All agents of the tenant, by name."""
    rows = await conn.execute(_AGENTS.where(agent.c.tenant_id == tenant_id).order_by(agent.c.name))
    return [_agent(row) for row in rows]


async def candidates(conn: AsyncConnection, tenant_id: int) -> list[Candidate]:
    """Operators who can log in and are no agents yet, by name."""
    rows = await conn.execute(
        select(app_user.c.id, app_user.c.name, app_user.c.login)
        .outerjoin(agent, (agent.c.tenant_id == app_user.c.tenant_id) & (agent.c.user_id == app_user.c.id))
        .where(
            app_user.c.tenant_id == tenant_id,
            app_user.c.role == "operator",
            app_user.c.disabled_at.is_(None),
            agent.c.id.is_(None),
        )
        .order_by(app_user.c.name, app_user.c.id)
    )
    return [Candidate(row.id, row.name, row.login) for row in rows]


async def agent_of_user(conn: AsyncConnection, tenant_id: int, user_id: int) -> Agent | None:
    """The agent that this user is, if one."""
    row = await _AGENT_OF_USER.row(conn, tenant_id=tenant_id, user_id=user_id)
    return _agent(row) if row else None


async def find_agent(
    conn: AsyncConnection, tenant_id: int, agent_id: int, *, lock: bool = False
) -> Agent | None:
    """The agent with this id. `lock`: nobody else changes it before the transaction ends."""
    query = _AGENTS.where(agent.c.tenant_id == tenant_id, agent.c.id == agent_id)
    row = (await conn.execute(query.with_for_update(key_share=True) if lock else query)).one_or_none()
    return _agent(row) if row else None


async def at_work(conn: AsyncConnection, tenant_id: int) -> list[Agent]:
    """The agents who work here, by name."""
    return [one for one in await agents(conn, tenant_id) if one.enabled]


async def phones(conn: AsyncConnection, tenant_id: int) -> list[tuple[str, str]]:
    """(endpoint, HA1) of the enabled agents whose phones a managed Asterisk must know."""
    rows = await conn.execute(
        select(agent.c.endpoint, agent.c.sip_ha1)
        .where(agent.c.tenant_id == tenant_id, agent.c.enabled, agent.c.sip_ha1.is_not(None))
        .order_by(agent.c.endpoint)
    )
    return [(row.endpoint, row.sip_ha1) for row in rows]


async def at_browsers(conn: AsyncConnection, tenant_id: int) -> list[int]:
    """The users whose browser can be a phone: agents who work here, and who may listen to agents."""
    listens = [role for role, rights in ROLE_RIGHTS.items() if Right.AGENTS_CONTROL in rights]
    works = exists().where(
        agent.c.tenant_id == app_user.c.tenant_id, agent.c.user_id == app_user.c.id, agent.c.enabled
    )
    rows = await conn.scalars(
        select(app_user.c.id)
        .where(
            app_user.c.tenant_id == tenant_id,
            app_user.c.disabled_at.is_(None),
            or_(app_user.c.role.in_(listens), works),
        )
        .order_by(app_user.c.id)
    )
    return list(rows)
