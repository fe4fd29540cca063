"""An agent's own figures of the shift: talks closed, the share of time in talks, conversion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.own import own_agent
from dialer.clock import utc_now
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.httpkit.access import Actor
from dialer.reports.figures import Formula, ratio

#: By the index over an agent's calls; one of a shift may have been made before it, by the longest wait in a
#: queue.
_TALKS = Prepared(
    """
    SELECT count(*) AS closed, count(*) FILTER (WHERE d.kind = 'sale') AS sales
      FROM agent_session s
      JOIN LATERAL (
               SELECT disposition_id, session_id FROM attempt
                WHERE tenant_id = s.tenant_id AND agent_id = s.agent_id
                  AND created_at >= s.logged_in_at - interval '1 hour'
                  AND connected_at IS NOT NULL AND disposed_at IS NOT NULL
                UNION ALL
               SELECT disposition_id, session_id FROM inbound_call
                WHERE tenant_id = s.tenant_id AND agent_id = s.agent_id
                  AND created_at >= s.logged_in_at - interval '1 hour'
                  AND connected_at IS NOT NULL AND disposed_at IS NOT NULL
           ) c ON c.session_id = s.id
      JOIN disposition d ON d.tenant_id = s.tenant_id AND d.id = c.disposition_id
     WHERE s.tenant_id = :tenant_id AND s.id = :session_id
    """
)
_TIME = Prepared(
    """
    SELECT coalesce(sum(lasted), 0) AS worked_s,
           coalesce(sum(lasted) FILTER (WHERE state = 'talking'), 0) AS talk_s
      FROM (SELECT state, greatest(0.0, CAST(extract(epoch FROM coalesce(ended_at, :now) - started_at)
                                             AS double precision)) AS lasted
              FROM agent_time
             WHERE tenant_id = :tenant_id AND session_id = :session_id AND state <> 'offline'
               AND agent_id = :agent_id AND started_at >= :earliest) t
    """
)
_BEGAN = Prepared("SELECT logged_in_at FROM agent_session WHERE tenant_id = :tenant_id AND id = :session_id")


@dataclass(frozen=True, slots=True)
class ShiftFigures:
    """What a shift has come to so far."""

    since: datetime
    #: talks with a disposition, whoever called whom
    closed: int
    #: of them with one of the kind `sale`
    sales: int
    #: time in talks, and in all, seconds
    talk_s: float
    worked_s: float

    @property
    def talk_share(self) -> float | None:
        """Of the shift's time, 0 to 1."""
        return ratio(self.talk_s, self.worked_s)

    @property
    def conversion(self) -> float | None:
        """Sales of the talks that were closed, 0 to 1; None: none was."""
        return ratio(self.sales, self.closed)


#: How each is computed, for people.
SHIFT_FORMULAS: Final = {
    "closed": Formula(
        "разговоры смены, итог которых сохранён", "talks of the shift whose disposition is saved"
    ),
    "talk_share": Formula(
        "время в разговорах ÷ время от входа в систему", "time in talks / time since the log-in"
    ),
    "conversion": Formula(
        "итоги вида «продажа» ÷ закрытые контакты", "dispositions of the kind sale / closed"
    ),
}


class ShiftService:
    """Looks at agents' open shifts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mine(self, actor: Actor) -> ShiftFigures | None:
        """The actor's own open shift; None: not logged in. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            agent = await own_agent(conn, actor)
            shift = await agents.shift_of_agent(conn, actor.tenant_id, agent.id)
            return await shift_figures(conn, actor.tenant_id, agent.id, shift.id) if shift else None


async def shift_figures(
    conn: AsyncConnection, tenant_id: int, agent_id: int, session_id: UUID
) -> ShiftFigures:
    """Of one shift, up to now."""
    whose = {"tenant_id": tenant_id, "session_id": session_id}
    since = await _BEGAN.value(conn, **whose)
    talks = await _TALKS.row(conn, **whose)
    time = await _TIME.row(conn, **whose, agent_id=agent_id, now=utc_now(), earliest=since)
    return ShiftFigures(since, talks.closed, talks.sales, float(time.talk_s), float(time.worked_s))
