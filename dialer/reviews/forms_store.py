"""The SQL of forms, of plans, and of drawing calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.session import encode_json
from dialer.reviews.model import Criterion, Form, Plan, criteria_of

_FORM = """
    SELECT f.id, f.name, v.version, f.active, v.criteria
      FROM review_form f
      JOIN review_form_version v ON v.tenant_id = f.tenant_id AND v.form_id = f.id
     WHERE f.tenant_id = :tenant_id
"""
_FORMS = Prepared(f"{_FORM} AND v.version = f.version ORDER BY f.active DESC, f.name")
_FIND = Prepared(f"{_FORM} AND f.id = :id AND v.version = coalesce(CAST(:version AS integer), f.version)")
_LOCK = Prepared("SELECT id FROM review_form WHERE tenant_id = :tenant_id AND id = :id FOR UPDATE")
_SAME_NAME = Prepared("SELECT id FROM review_form WHERE tenant_id = :tenant_id AND name = :name")
_ADD = Prepared(
    "INSERT INTO review_form (tenant_id, name, version) VALUES (:tenant_id, :name, 1) RETURNING id"
)
_ADD_VERSION = Prepared(
    """
    INSERT INTO review_form_version (tenant_id, form_id, version, criteria, made_by)
    VALUES (:tenant_id, :id, :version, CAST(:criteria AS jsonb), :made_by)
    """
)
_CHANGE = Prepared(
    """
    UPDATE review_form SET name = :name, active = :active, version = :version
     WHERE tenant_id = :tenant_id AND id = :id
    """
)
_PLANS = """
    SELECT p.id, p.form_id, f.name AS form, p.campaign_id, c.name AS campaign, p.calls, p.least_s, p.active,
           p.drawn_week
      FROM review_plan p
      JOIN review_form f ON f.tenant_id = p.tenant_id AND f.id = p.form_id
      LEFT JOIN campaign c ON c.tenant_id = p.tenant_id AND c.id = p.campaign_id
     WHERE p.tenant_id = :tenant_id
"""
_ALL_PLANS = Prepared(f"{_PLANS} ORDER BY p.id")
_ONE_PLAN = Prepared(f"{_PLANS} AND p.id = :id")
_DUE_PLANS = Prepared(
    f"""
    {_PLANS} AND p.active AND f.active AND (p.drawn_week IS NULL OR p.drawn_week < :week)
     ORDER BY p.id
       FOR UPDATE OF p SKIP LOCKED
    """
)
_ADD_PLAN = Prepared(
    """
    INSERT INTO review_plan (tenant_id, form_id, campaign_id, calls, least_s)
    VALUES (:tenant_id, :form_id, :campaign_id, :calls, :least_s)
    RETURNING id
    """
)
_SWITCH = Prepared("UPDATE review_plan SET active = :active WHERE tenant_id = :tenant_id AND id = :id")
_DROP_PLAN = Prepared("DELETE FROM review_plan WHERE tenant_id = :tenant_id AND id = :id RETURNING id")
_CAMPAIGN = Prepared("SELECT id FROM campaign WHERE tenant_id = :tenant_id AND id = :id")
# Talks of agents that can be listened to, of a week.
_TALKS = Prepared(
    """
    SELECT c.id AS call_id, c.agent_id, c.inbound
      FROM (SELECT r.tenant_id, a.id, a.agent_id, a.campaign_id, false AS inbound, r.duration_s
              FROM recording r JOIN attempt a ON a.tenant_id = r.tenant_id AND a.id = r.attempt_id
             WHERE r.tenant_id = :tenant_id AND r.status = 'whole'
               AND r.started_at >= :begun AND r.started_at < :ended
             UNION ALL
            SELECT r.tenant_id, i.id, i.agent_id, i.campaign_id, true, r.duration_s
              FROM recording r JOIN inbound_call i ON i.tenant_id = r.tenant_id AND i.id = r.inbound_call_id
             WHERE r.tenant_id = :tenant_id AND r.status = 'whole'
               AND r.started_at >= :begun AND r.started_at < :ended) c
      JOIN agent g ON g.tenant_id = c.tenant_id AND g.id = c.agent_id AND g.enabled
     WHERE c.duration_s >= :least_s
       AND (CAST(:campaign_id AS bigint) IS NULL OR c.campaign_id = CAST(:campaign_id AS bigint))
    """
)
_ADD_TASK = Prepared(
    """
    INSERT INTO review_task (tenant_id, plan_id, call_id, attempt_id, agent_id, week)
    VALUES (:tenant_id, :plan_id, :call_id, :attempt_id, :agent_id, :week)
        ON CONFLICT DO NOTHING
    """
)
_DRAWN = Prepared("UPDATE review_plan SET drawn_week = :week WHERE tenant_id = :tenant_id AND id = :id")


# -- forms ---------------------------------------------------------------------------------------------------


def _form(row: Any) -> Form:
    return Form(row.id, row.name, row.version, row.active, tuple(criteria_of(row.criteria)))


async def forms(conn: AsyncConnection, tenant_id: int) -> list[Form]:
    """All, in their present version; those in use first."""
    return [_form(row) for row in await _FORMS.rows(conn, tenant_id=tenant_id)]


async def form(
    conn: AsyncConnection, tenant_id: int, form_id: int, version: int | None = None
) -> Form | None:
    """One, in its present version or another."""
    row = await _FIND.row(conn, tenant_id=tenant_id, id=form_id, version=version)
    return _form(row) if row else None


async def lock(conn: AsyncConnection, tenant_id: int, form_id: int) -> None:
    """Nobody else changes it until the end of the transaction."""
    await _LOCK.run(conn, tenant_id=tenant_id, id=form_id)


async def named(conn: AsyncConnection, tenant_id: int, name: str) -> int | None:
    """The id of the form of this name."""
    found: int | None = await _SAME_NAME.value(conn, tenant_id=tenant_id, name=name)
    return found


async def add(
    conn: AsyncConnection, tenant_id: int, name: str, criteria: Sequence[Criterion], by: int | None
) -> int:
    """A new form; its id."""
    made: int = await _ADD.value(conn, tenant_id=tenant_id, name=name)
    await _write(conn, tenant_id, made, 1, criteria, by)
    return made


async def change(
    conn: AsyncConnection,
    tenant_id: int,
    now: Form,
    name: str,
    criteria: Sequence[Criterion],
    by: int | None,
    *,
    active: bool,
) -> None:
    """Another name, or other criteria: those are a new version."""
    version = now.version
    if list(criteria) != list(now.criteria):
        version += 1
        await _write(conn, tenant_id, now.id, version, criteria, by)
    await _CHANGE.run(conn, tenant_id=tenant_id, id=now.id, name=name, active=active, version=version)


async def _write(
    conn: AsyncConnection,
    tenant_id: int,
    form_id: int,
    version: int,
    criteria: Sequence[Criterion],
    by: int | None,
) -> None:
    document = encode_json([asdict(one) for one in criteria])
    await _ADD_VERSION.run(
        conn, tenant_id=tenant_id, id=form_id, version=version, criteria=document, made_by=by
    )


# -- plans ---------------------------------------------------------------------------------------------------


async def plans(conn: AsyncConnection, tenant_id: int) -> list[Plan]:
    """All."""
    return [Plan(**row) for row in await _ALL_PLANS.rows(conn, tenant_id=tenant_id)]


async def plan(conn: AsyncConnection, tenant_id: int, plan_id: int) -> Plan | None:
    """One."""
    row = await _ONE_PLAN.row(conn, tenant_id=tenant_id, id=plan_id)
    return Plan(**row) if row else None


async def has_campaign(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> bool:
    """Whether there is one."""
    return await _CAMPAIGN.value(conn, tenant_id=tenant_id, id=campaign_id) is not None


async def add_plan(
    conn: AsyncConnection, tenant_id: int, form_id: int, campaign_id: int | None, calls: int, least_s: int
) -> int:
    """A new plan; its id."""
    made: int = await _ADD_PLAN.value(
        conn, tenant_id=tenant_id, form_id=form_id, campaign_id=campaign_id, calls=calls, least_s=least_s
    )
    return made


async def switch_plan(conn: AsyncConnection, tenant_id: int, plan_id: int, *, active: bool) -> None:
    """Draw, or draw no more."""
    await _SWITCH.run(conn, tenant_id=tenant_id, id=plan_id, active=active)


async def drop_plan(conn: AsyncConnection, tenant_id: int, plan_id: int) -> bool:
    """Take it away with its tasks; scores stay. False: there is none."""
    return await _DROP_PLAN.value(conn, tenant_id=tenant_id, id=plan_id) is not None


# -- drawing -------------------------------------------------------------------------------------------------


async def due(conn: AsyncConnection, tenant_id: int, week: date) -> list[Plan]:
    """Plans of which this week was not drawn yet; nobody else draws them until the end of the transaction."""
    return [Plan(**row) for row in await _DUE_PLANS.rows(conn, tenant_id=tenant_id, week=week)]


async def talks(
    conn: AsyncConnection, tenant_id: int, one: Plan, begun: datetime, ended: datetime
) -> Mapping[int, Mapping[UUID, bool]]:
    """By agent: the recorded talks of a week that the plan is about, and whether each had come in."""
    found: dict[int, dict[UUID, bool]] = {}
    for row in await _TALKS.rows(
        conn,
        tenant_id=tenant_id,
        begun=begun,
        ended=ended,
        least_s=float(one.least_s),
        campaign_id=one.campaign_id,
    ):
        found.setdefault(row.agent_id, {})[row.call_id] = row.inbound
    return found


async def add_task(
    conn: AsyncConnection,
    tenant_id: int,
    plan_id: int,
    call_id: UUID,
    agent_id: int,
    week: date,
    *,
    inbound: bool,
) -> None:
    """A call to score."""
    await _ADD_TASK.run(
        conn,
        tenant_id=tenant_id,
        plan_id=plan_id,
        call_id=call_id,
        attempt_id=None if inbound else call_id,
        agent_id=agent_id,
        week=week,
    )


async def drawn(conn: AsyncConnection, tenant_id: int, plan_id: int, week: date) -> None:
    """This week was drawn."""
    await _DRAWN.run(conn, tenant_id=tenant_id, id=plan_id, week=week)
