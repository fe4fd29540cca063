"""Agents go from campaign to campaign: by the skills that the campaigns ask for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.db import events
from dialer.db.session import Database
from dialer.db.tables import campaign
from dialer.errors import NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of it."""

    #: agents whose skills were changed
    agents: int
    #: skills
    given: Sequence[str]
    taken: Sequence[str]
    #: names of campaigns that ask for no skill: whoever is moved away can still be given their calls
    still: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Asks:
    """What a campaign asks of its agents."""

    id: int
    name: str
    skill: str | None


class MovingService:
    """Changes who works in which campaign."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def move(
        self, actor: Actor, agent_ids: Collection[int], *, to: int, leaving: int | None = None
    ) -> Moved:
        """Give agents the skill that campaign `to` asks for, and take those away that `leaving` asks for
        (None: all others that run or are paused). Raises NotFound, Forbidden, WrongState where skills cannot
        lead them there: neither campaign asks for one."""
        actor.require(Right.AGENTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            there, others = await _asking(conn, actor, to, leaving)
            given = {there.skill} if there.skill else set[str]()
            taken = {one.skill for one in others if one.skill} - given
            if not given and not taken:
                raise WrongState(what=there.name, state="open to any agent", allowed="with a skill")
            moved = 0
            for agent_id in sorted(set(agent_ids)):
                found = await people.find_agent(conn, actor.tenant_id, agent_id, lock=True)
                if found is None:
                    raise NotFound(what="agent", key=agent_id)
                skills = (found.skills - taken) | given
                if skills == found.skills:
                    continue
                moved += 1
                levels = {skill: level for skill, level in found.levels.items() if skill in skills}
                await people.change_agent(
                    conn, actor.tenant_id, agent_id, {"skills": sorted(skills), "levels": levels}
                )
                await audit.record(
                    conn,
                    actor,
                    "agent.move",
                    f"agent:{agent_id}",
                    to=to,
                    given=sorted(skills - found.skills),
                    taken=sorted(found.skills - skills),
                )
                fact = {"agent_id": agent_id, "campaign_id": to}
                await events.emit(
                    conn, "agent.moved", fact, tenant_id=actor.tenant_id, agent_id=agent_id, look="agents"
                )
        still = [one.name for one in others if one.skill is None]
        return Moved(moved, sorted(given), sorted(taken), still)


async def _asking(
    conn: AsyncConnection, actor: Actor, to: int, leaving: int | None
) -> tuple[_Asks, list[_Asks]]:
    """The campaign that they go to, and those that they leave. Raises NotFound."""
    c = campaign.c
    rows = await conn.execute(
        select(c.id, c.name, c.skill, c.status).where(c.tenant_id == actor.tenant_id).order_by(c.name)
    )
    known = {row.id: row for row in rows}
    for wanted in (to, leaving):
        if wanted is not None and wanted not in known:
            raise NotFound(what="campaign", key=wanted)
    others = [
        _Asks(row.id, row.name, row.skill)
        for row in known.values()
        if row.id != to and (row.id == leaving if leaving else row.status in ("running", "paused"))
    ]
    return _Asks(known[to].id, known[to].name, known[to].skill), others
