"""Figures counted from every row of a span and nothing that was counted before: what reports must give."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, and_, case, cast, func, literal, null, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import RESULTS, agent, agent_time, attempt, campaign
from dialer.reports.figures import AgentTime, Counts, Group, Spread
from dialer.reports.figures_store import Scope

_SENT = or_(
    attempt.c.sent_at.is_not(None),
    attempt.c.ringing_at.is_not(None),
    attempt.c.answered_at.is_not(None),
    attempt.c.result == "unknown",
)
_KNOWN = and_(attempt.c.result.is_not(None), _SENT)
_ANSWERED = and_(_KNOWN, attempt.c.answered_at.is_not(None))
_LIVE = and_(_ANSWERED, attempt.c.result != "machine")
_WHO = func.coalesce(cast(attempt.c.contact_id, Text), attempt.c.e164)


def _attempts(scope: Scope) -> ColumnElement[bool]:
    found = [attempt.c.tenant_id == scope.tenant_id, attempt.c.created_at < scope.until]
    if scope.since is not None:
        found.append(attempt.c.created_at >= scope.since)
    if scope.campaign_id is not None:
        found.append(attempt.c.campaign_id == scope.campaign_id)
    return and_(*found)


def _key(group: Group | None, timezone: str) -> ColumnElement[Any]:
    match group:
        case None:
            return cast(null(), Integer)
        case Group.CAMPAIGN:
            return attempt.c.campaign_id
        case Group.LIST:
            return attempt.c.list_id
        case Group.TRUNK:
            return attempt.c.trunk_id
        case Group.AGENT:
            return attempt.c.agent_id
        case Group.HOUR:
            return cast(func.extract("hour", func.timezone(timezone, attempt.c.created_at)), Integer)


def _spread(column: ColumnElement[Any], name: str) -> list[ColumnElement[Any]]:
    return [
        func.percentile_cont(0.5).within_group(column.asc()).filter(_KNOWN).label(f"{name}_p50"),
        func.percentile_cont(0.95).within_group(column.asc()).filter(_KNOWN).label(f"{name}_p95"),
        func.max(column).filter(_KNOWN).label(f"{name}_max"),
    ]


async def counts(
    conn: AsyncConnection, scope: Scope, group: Group | None, timezone: str
) -> dict[int | None, Counts]:
    """Counts by the group's key; without a group one row under None, also where there is nothing."""
    key = _key(group, timezone).label("key")

    def many(condition: ColumnElement[bool], name: str) -> ColumnElement[int]:
        return func.count().filter(condition).label(name)

    query = select(
        key,
        many(_KNOWN, "attempts"),
        many(attempt.c.result.is_(None), "open"),
        many(attempt.c.ended_at.is_(None), "unfinished"),
        many(and_(attempt.c.result.is_not(None), ~_SENT), "not_sent"),
        *(many(and_(_KNOWN, attempt.c.result == result), f"result_{result}") for result in RESULTS),
        many(_ANSWERED, "answered"),
        many(_LIVE, "answered_live"),
        many(and_(_KNOWN, attempt.c.connected_at.is_not(None)), "connected"),
        func.count(_WHO.distinct()).filter(_KNOWN).label("contacts_dialled"),
        func.count(_WHO.distinct()).filter(_LIVE).label("contacts_reached"),
        *_spread(attempt.c.join_ms, "join_ms"),
        *_spread(attempt.c.answer_to_agent_ms, "answer_to_agent_ms"),
    ).where(_attempts(scope))
    if group is not None:
        query = query.group_by(key).order_by(key)
    return {row.key: _counts(row) for row in await conn.execute(query)}


def _counts(row: Any) -> Counts:
    def spread(name: str) -> Spread | None:
        p50 = getattr(row, f"{name}_p50")
        if p50 is None:
            return None
        return Spread(p50, getattr(row, f"{name}_p95"), getattr(row, f"{name}_max"))

    return Counts(
        attempts=row.attempts,
        open=row.open,
        unfinished=row.unfinished,
        not_sent=row.not_sent,
        by_result={result: getattr(row, f"result_{result}") for result in RESULTS},
        answered=row.answered,
        answered_live=row.answered_live,
        connected=row.connected,
        contacts_dialled=row.contacts_dialled,
        contacts_reached=row.contacts_reached,
        join_ms=spread("join_ms"),
        answer_to_agent_ms=spread("answer_to_agent_ms"),
    )


async def agent_times(
    conn: AsyncConnection, scope: Scope, now: datetime, *, by_agent: bool
) -> dict[int | None, AgentTime]:
    """Time of agents within the scope, by agent (who has any) or all together under None.

    Of a campaign: the busy time of its own talks; the logged-in time, since its start, of agents who have its
    skill. What goes on now counts up to `now`.
    """
    t = agent_time.c
    start: ColumnElement[Any] = literal(scope.since) if scope.since else t.started_at
    end: ColumnElement[Any] = func.least(func.coalesce(t.ended_at, now), scope.until, now)
    busy: ColumnElement[bool] = t.state.in_(("talking", "wrap_up"))
    query_from: Any = agent_time
    conditions = [t.tenant_id == scope.tenant_id, t.state != "offline"]
    if scope.campaign_id is not None:
        its_own = (
            select(attempt.c.id)
            .where(
                attempt.c.tenant_id == scope.tenant_id,
                attempt.c.id == t.attempt_id,
                attempt.c.campaign_id == scope.campaign_id,
            )
            .exists()
        )
        busy = and_(busy, its_own)
        query_from = agent_time.join(
            agent, and_(agent.c.tenant_id == t.tenant_id, agent.c.id == t.agent_id)
        ).join(campaign, and_(campaign.c.tenant_id == t.tenant_id, campaign.c.id == scope.campaign_id))
        conditions.append(or_(campaign.c.skill.is_(None), campaign.c.skill == func.any(agent.c.skills)))
        conditions.append(campaign.c.started_at.is_not(None))
        start = func.greatest(start, campaign.c.started_at)
        # Talks that were under way when the campaign was stopped are its own to their end.
        end = case((its_own, end), else_=func.least(end, func.coalesce(campaign.c.ended_at, now)))
    lasted = func.extract("epoch", end - func.greatest(t.started_at, start))
    within = lasted > 0
    key = (t.agent_id if by_agent else cast(null(), Integer)).label("key")
    query = (
        select(
            key,
            func.coalesce(func.sum(lasted).filter(within), 0).label("logged_in_s"),
            func.coalesce(func.sum(lasted).filter(and_(within, busy)), 0).label("busy_s"),
        )
        .select_from(query_from)
        .where(*conditions, t.started_at < scope.until)
    )
    if by_agent:
        query = query.group_by(key)
    return {
        row.key: AgentTime(float(row.logged_in_s), float(row.busy_s))
        for row in await conn.execute(query)
        if row.logged_in_s or not by_agent
    }
