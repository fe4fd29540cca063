"""The SQL of kept decisions of pacing."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.reports.pacing import Tick
from dialer.reports.present import Pace

#: Decisions that are read at once: a large campaign makes a few in a second.
MOST: Final = 20_000

_TICKS = Prepared(
    """
    SELECT at, node, dial, why, inputs FROM pacing_tick
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND at >= :since AND at < :until
     ORDER BY at DESC, id DESC
     LIMIT :most
    """
)
#: Of the nodes that there are, that decided something since, and that decided last before.
_BEFORE = Prepared(
    """
    SELECT b.* FROM (
        SELECT name FROM node UNION SELECT unnest(CAST(:nodes AS text[])) UNION
        (SELECT node FROM pacing_tick
          WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND at < :since
          ORDER BY at DESC LIMIT 1)
    ) n CROSS JOIN LATERAL (
        SELECT at, node, dial, why, inputs FROM pacing_tick t
         WHERE t.tenant_id = :tenant_id AND t.campaign_id = :campaign_id AND t.node = n.name AND t.at < :since
         ORDER BY t.at DESC, t.id DESC
         LIMIT 1) b
    """
)


async def ticks(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, since: datetime, until: datetime
) -> list[Tick]:
    """The decisions of that time, oldest first, after the last of each node before it; of very many the
    latest."""
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "since": since}
    rows = await _TICKS.rows(conn, **whose, until=until, most=MOST)
    nodes = sorted({row.node for row in rows})
    before = await _BEFORE.rows(conn, **whose, nodes=nodes) if len(rows) < MOST else []
    return [_tick(row) for row in [*sorted(before, key=lambda row: row.at), *reversed(rows)]]


def _tick(row: Any) -> Tick:
    return Tick(row.node, Pace(row.at, row.dial, row.why, row.inputs))
