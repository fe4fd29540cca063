"""The SQL of alerts: rules, what meets them, what was told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.boards.alerting import Alert, AlertRule, Kind, Met
from dialer.db.prepared import Prepared

_RULES = Prepared(
    """
    SELECT r.id, r.kind, r.threshold, r.campaign_id, c.name AS campaign, r.queue_id, q.name AS queue
      FROM alert_rule r
      LEFT JOIN campaign c ON c.tenant_id = r.tenant_id AND c.id = r.campaign_id
      LEFT JOIN queue q ON q.tenant_id = r.tenant_id AND q.id = r.queue_id
     WHERE r.tenant_id = :tenant_id
     ORDER BY r.id
    """
)
_ADD = Prepared(
    """
    INSERT INTO alert_rule (tenant_id, kind, threshold, campaign_id, queue_id)
    VALUES (:tenant_id, :kind, :threshold, :campaign_id, :queue_id)
    RETURNING id
    """
)
_DROP = Prepared("DELETE FROM alert_rule WHERE tenant_id = :tenant_id AND id = :id")
#: What is met already keeps the time since which it is: of two servers that look one writes the row.
_SEEN = Prepared(
    """
    INSERT INTO alert (tenant_id, rule_id, kind, key, about, campaign_id, value, threshold, since)
    SELECT :tenant_id, :rule_id, :kind, m.key, m.about, m.campaign_id, m.value, :threshold, :at
      FROM unnest(CAST(:keys AS text[]), CAST(:abouts AS text[]), CAST(:campaigns AS bigint[]),
                  CAST(:found AS double precision[])) AS m (key, about, campaign_id, value)
        ON CONFLICT (tenant_id, rule_id, key) WHERE ended_at IS NULL
        DO UPDATE SET value = excluded.value
    """
)
_RAISE = Prepared(
    """
    UPDATE alert SET raised_at = :at
     WHERE tenant_id = :tenant_id AND rule_id = :rule_id AND ended_at IS NULL AND raised_at IS NULL
       AND since <= :long_ago
    RETURNING id, kind, key, about, campaign_id, value, threshold
    """
)
_OVER = Prepared(
    """
    UPDATE alert SET ended_at = :at
     WHERE tenant_id = :tenant_id AND rule_id = :rule_id AND ended_at IS NULL
       AND NOT key = ANY (CAST(:keys AS text[]))
    RETURNING id, kind, key, about, campaign_id, value, threshold, raised_at
    """
)
#: What was over before anybody was called is nobody's news.
_FORGET = Prepared(
    "DELETE FROM alert WHERE tenant_id = :tenant_id AND ended_at IS NOT NULL AND raised_at IS NULL"
)
_NOW = Prepared(
    """
    SELECT id, kind, about, value, threshold, since, raised_at, ended_at FROM alert
     WHERE tenant_id = :tenant_id AND ended_at IS NULL AND raised_at IS NOT NULL
     ORDER BY raised_at DESC, id DESC
    """
)
_LATEST = Prepared(
    """
    SELECT id, kind, about, value, threshold, since, raised_at, ended_at FROM alert
     WHERE tenant_id = :tenant_id AND raised_at IS NOT NULL
       AND (CAST(:before AS bigint) IS NULL OR id < CAST(:before AS bigint))
     ORDER BY id DESC LIMIT :limit
    """
)


async def rules(conn: AsyncConnection, tenant_id: int) -> list[AlertRule]:
    """The tenant's rules in the order in which they were made."""
    return [
        AlertRule(
            row.id, Kind(row.kind), row.threshold, row.campaign_id, row.campaign, row.queue_id, row.queue
        )
        for row in await _RULES.rows(conn, tenant_id=tenant_id)
    ]


async def add_rule(
    conn: AsyncConnection,
    tenant_id: int,
    kind: Kind,
    threshold: float,
    campaign_id: int | None,
    queue_id: int | None,
) -> int:
    """A new rule; its id. Campaign or queue have to be there."""
    made: int = await _ADD.value(
        conn,
        tenant_id=tenant_id,
        kind=kind.value,
        threshold=threshold,
        campaign_id=campaign_id,
        queue_id=queue_id,
    )
    return made


async def drop_rule(conn: AsyncConnection, tenant_id: int, rule_id: int) -> bool:
    """Remove a rule with its alerts; False: there is none."""
    return await _DROP.run(conn, tenant_id=tenant_id, id=rule_id) == 1


async def note(
    conn: AsyncConnection, tenant_id: int, rule: AlertRule, found: Sequence[Met], at: datetime
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Write down what meets a rule now. What is to be told: whom a supervisor is called for from now on, and
    what is over of what they were called for."""
    whose = {"tenant_id": tenant_id, "rule_id": rule.id, "at": at}
    keys = [one.key for one in found]
    over = await _OVER.rows(conn, **whose, keys=keys)
    if over:
        await _FORGET.run(conn, tenant_id=tenant_id)
    raised = []
    if found:
        await _SEEN.run(
            conn,
            **whose,
            kind=rule.kind.value,
            threshold=rule.threshold,
            keys=keys,
            abouts=[one.about for one in found],
            campaigns=[one.campaign_id for one in found],
            found=[one.value for one in found],
        )
        raised = await _RAISE.rows(conn, **whose, long_ago=at - timedelta(seconds=rule.holds_s))
    ended = [dict(row) for row in over if row.raised_at is not None]
    for one in ended:
        del one["raised_at"]
    return [dict(row) for row in raised], ended


async def raised_now(conn: AsyncConnection, tenant_id: int) -> list[Alert]:
    """What supervisors are called for, the newest first."""
    return [_alert(row) for row in await _NOW.rows(conn, tenant_id=tenant_id)]


async def latest(conn: AsyncConnection, tenant_id: int, *, before: int | None, limit: int) -> list[Alert]:
    """What they were called for, the newest first, with ids below `before`."""
    return [_alert(row) for row in await _LATEST.rows(conn, tenant_id=tenant_id, before=before, limit=limit)]


def _alert(row: object) -> Alert:
    values = dict(row)  # type: ignore[call-overload]
    return Alert(**values | {"kind": Kind(values["kind"])})
