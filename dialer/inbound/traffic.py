"""Where callers are in flows now, and how many came to each state and left it how, in a span of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from ivr_flows.drawing import Mark

#: The event of a caller who hung up: see `interpreter.step`.
HUNG_UP = "hung_up"

_HERE = Prepared(
    """
    SELECT s.flow, s.state, count(*) AS many
      FROM (SELECT tenant_id, id FROM inbound_call
             WHERE tenant_id = :tenant_id AND ended_at IS NULL AND state IN ('flow', 'waiting')
             UNION ALL
            SELECT tenant_id, id FROM attempt
             WHERE tenant_id = :tenant_id AND ended_at IS NULL AND state IN ('flow', 'waiting')) AS c
     CROSS JOIN LATERAL (
           SELECT flow, state FROM flow_step
            WHERE tenant_id = c.tenant_id AND call_id = c.id
            ORDER BY n DESC LIMIT 1) AS s
     GROUP BY s.flow, s.state
    """
)
PASSED = Prepared(
    """
    SELECT state, event, count(*) AS many
      FROM flow_step
     WHERE tenant_id = :tenant_id AND flow = :flow AND at >= :since AND at < :until
     GROUP BY state, event
    """
)


@dataclass(slots=True)
class StateTraffic:
    """What happened in a state."""

    #: callers who are there now
    here: int = 0
    #: how often callers came there in the span
    came: int = 0
    #: event -> how often it was left by it; without those who are there
    left: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Callers who hung up there."""
        return self.left.get(HUNG_UP, 0)

    @property
    def mark(self) -> Mark:
        """As it stands on the drawing."""
        return Mark(self.here, self.came, self.lost)


async def here(conn: AsyncConnection, tenant_id: int) -> dict[str, dict[str, int]]:
    """Callers who are led or wait now: flow -> state -> how many."""
    found: dict[str, dict[str, int]] = {}
    for row in await _HERE.rows(conn, tenant_id=tenant_id):
        found.setdefault(row.flow, {})[row.state] = row.many
    return found


async def of_flow(
    conn: AsyncConnection, tenant_id: int, flow: str, since: datetime, until: datetime
) -> Mapping[str, StateTraffic]:
    """By the names of states, also of those that the flow had in an earlier version."""
    found: dict[str, StateTraffic] = {}
    for row in await PASSED.rows(conn, tenant_id=tenant_id, flow=flow, since=since, until=until):
        state = found.setdefault(row.state, StateTraffic())
        state.came += row.many
        if row.event is not None:
            state.left[row.event] = row.many
    for name, many in (await here(conn, tenant_id)).get(flow, {}).items():
        found.setdefault(name, StateTraffic()).here = many
    return found
