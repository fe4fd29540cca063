"""The SQL of the board: what goes on in all of a tenant's campaigns, queues and trunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.boards.model import PACE_OF_S, STRETCH_S, Talks, TrunkNow, ends_in_s, worked_s
from dialer.db.prepared import Prepared
from dialer.reports.present import Pace

_CAMPAIGNS = Prepared(
    """
    SELECT c.id, c.name, c.status, c.mode, c.skill, c.policy, c.policy_version,
           p.at, p.dial, p.why, p.inputs
      FROM campaign c
      LEFT JOIN LATERAL (
               SELECT at, dial, why, inputs FROM pacing_tick t
                WHERE t.tenant_id = c.tenant_id AND t.campaign_id = c.id
                ORDER BY at DESC, id DESC LIMIT 1) p ON true
     WHERE c.tenant_id = :tenant_id AND c.status IN ('running', 'paused')
     ORDER BY c.status DESC, c.name
    """
)
_CALLS = Prepared(
    """
    SELECT campaign_id, state, count(*) AS many FROM attempt
     WHERE tenant_id = :tenant_id AND ended_at IS NULL
     GROUP BY campaign_id, state
    """
)
_TRUNKS = Prepared(
    """
    SELECT t.id, t.name, coalesce(l.channels, 0) AS channels, t.max_channels AS most,
           coalesce(l.health = 'bad', false) AS bad, l.health_since AS since, l.health_why AS why
      FROM trunk t
      LEFT JOIN trunk_load l ON l.tenant_id = t.tenant_id AND l.trunk_id = t.id
     WHERE t.tenant_id = :tenant_id AND t.enabled
     ORDER BY t.name
    """
)
_LIMITS = Prepared(
    "SELECT code, limit_s FROM pause_code WHERE tenant_id = :tenant_id AND limit_s IS NOT NULL"
)
#: Talks that began today and were closed, by campaign: by the index over the time that calls were made.
_TALKS = Prepared(
    """
    SELECT x.campaign_id, count(*) AS closed, count(*) FILTER (WHERE d.kind = 'sale') AS sales
      FROM (SELECT campaign_id, disposition_id FROM attempt
             WHERE tenant_id = :tenant_id AND created_at >= :since AND disposition_id IS NOT NULL
               AND connected_at IS NOT NULL
             UNION ALL
            SELECT campaign_id, disposition_id FROM inbound_call
             WHERE tenant_id = :tenant_id AND created_at >= :since AND disposition_id IS NOT NULL
               AND connected_at IS NOT NULL) x
      JOIN disposition d ON d.tenant_id = :tenant_id AND d.id = x.disposition_id
     GROUP BY x.campaign_id
    """
)
_LEFT = Prepared(
    """
    SELECT count(*) FROM lead
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND status IN ('new', 'waiting')
    """
)
#: Of the attempts of that time: how many leads they have closed, when the first was made, and in how many
#: stretches of it there was any.
_CLOSED = Prepared(
    """
    SELECT count(DISTINCT l.id) AS closed, min(a.created_at) AS first,
           count(DISTINCT floor(extract(epoch FROM (:now - a.created_at)) / CAST(:stretch_s AS float8)))
               AS stretches
      FROM attempt a
      LEFT JOIN lead l ON l.tenant_id = a.tenant_id AND l.id = a.lead_id AND l.status = 'closed'
     WHERE a.tenant_id = :tenant_id AND a.campaign_id = :campaign_id AND a.created_at >= :since
    """
)


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign that runs or is paused."""

    id: int
    name: str
    status: str
    mode: str
    skill: str | None
    policy: str
    policy_version: int | None
    pace: Pace | None


async def campaigns(conn: AsyncConnection, tenant_id: int) -> list[CampaignRow]:
    """Those that run or are paused, running ones first, by name; each with its latest decision."""
    return [
        CampaignRow(
            row.id, row.name, row.status, row.mode, row.skill, row.policy, row.policy_version,
            Pace(row.at, row.dial, row.why, row.inputs) if row.at else None,
        )
        for row in await _CAMPAIGNS.rows(conn, tenant_id=tenant_id)
    ]  # fmt: skip


async def calls(conn: AsyncConnection, tenant_id: int) -> dict[int, dict[str, int]]:
    """Calls of ours that have not ended, by campaign and state."""
    found: dict[int, dict[str, int]] = {}
    for row in await _CALLS.rows(conn, tenant_id=tenant_id):
        found.setdefault(row.campaign_id, {})[row.state] = row.many
    return found


async def trunks(conn: AsyncConnection, tenant_id: int) -> Sequence[TrunkNow]:
    """Trunks that may be used, by name."""
    return [TrunkNow(**row) for row in await _TRUNKS.rows(conn, tenant_id=tenant_id)]


async def pause_limits(conn: AsyncConnection, tenant_id: int) -> dict[str, int]:
    """How long a pause may last, seconds, by code; a code without a limit is not there."""
    return {row.code: row.limit_s for row in await _LIMITS.rows(conn, tenant_id=tenant_id)}


async def talks(conn: AsyncConnection, tenant_id: int, since: datetime) -> dict[int, Talks]:
    """Talks of calls made since then that were closed with a disposition, by campaign."""
    rows = await _TALKS.rows(conn, tenant_id=tenant_id, since=since)
    return {row.campaign_id: Talks(row.closed, row.sales) for row in rows}


async def list_left(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, now: datetime
) -> tuple[int, float | None]:
    """Leads that may still be dialled, and how long they last, seconds; see `ends_in_s`."""
    whose_ = {"tenant_id": tenant_id, "campaign_id": campaign_id}
    left = await _LEFT.value(conn, **whose_)
    since = now - timedelta(seconds=PACE_OF_S)
    row = await _CLOSED.row(conn, **whose_, since=since, now=now, stretch_s=STRETCH_S)
    if row is None or row.first is None:
        return left, None
    return left, ends_in_s(left, row.closed, worked_s(row.stretches, (now - row.first).total_seconds()))
