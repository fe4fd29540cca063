"""The SQL of agents' time, from the closed hours and what is not in them.

Time is cut at the edges of a span, so a stretch that goes on over one is in two spans: the stretches that go
on over the beginning of each closed hour are kept in `report_over`.
"""

# ruff: noqa: S608 - statements are put together from texts of ours; values are bound

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Final

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import campaign
from dialer.reports.attempt_facts import NO_KEY
from dialer.reports.figures import AgentTime
from dialer.reports.figures_store import CLOSED_SPANS, UNDER, Past, Scope, past
from dialer.reports.model import BEGINNING, hour_of, parts

#: Microseconds of a stretch `t` within [`from`, `to`], at most until now; and the ends of work.
LASTED: Final = "CAST(extract(epoch FROM {until} - {since}) * 1000000 AS bigint)"
BUSY: Final = "t.state IN ('talking', 'wrap_up')"
#: A stretch is of a campaign when the call is that it was about.
OF_CAMPAIGN: Final = (
    "(SELECT a.campaign_id FROM attempt a WHERE a.tenant_id = :tenant AND a.id = t.attempt_id)"
)
#: Agents who have the campaign's skill: an array, so that it decides nothing about the way to the rows.
_SKILLED: Final = """{agent} = ANY (ARRAY(
    SELECT g.id FROM agent g JOIN campaign c ON c.tenant_id = g.tenant_id AND c.id = :campaign
     WHERE g.tenant_id = :tenant AND (c.skill IS NULL OR c.skill = ANY (g.skills))))"""


@dataclass(frozen=True, slots=True)
class Time:
    """Time of agents, microseconds."""

    logged_in_us: int = 0
    busy_us: int = 0

    def __add__(self, other: Time) -> Time:
        return Time(self.logged_in_us + other.logged_in_us, self.busy_us + other.busy_us)


@cache
def _query(*, of_campaign: bool, own: bool, closed: bool) -> TextClause:
    """Time by agent. One pass over the stretches at the edges, and over the closed spans."""
    edges = []
    for since, until, base in (("since", "first", "since_base"), ("last", "until", "last_base")):
        from_, to, base_ = (f"CAST(:{name} AS timestamptz)" for name in (since, until, base))
        ends = {
            "since": f"greatest(t.started_at, {from_})",
            "until": f"least(coalesce(t.ended_at, {to}), {to})",
        }
        for which in (
            f"t.started_at >= {base_} AND t.started_at < {to}",
            f"""t.id = ANY (ARRAY(SELECT unnest(o.agent_time_ids) FROM report_over o
                                   WHERE o.tenant_id = :tenant AND o.hour = {base_}))""",
        ):
            edges.append(f"""
                SELECT t.agent_id, {LASTED.format(**ends)} AS lasted, {BUSY} AS busy FROM agent_time t
                 WHERE t.tenant_id = :tenant AND t.state <> 'offline' AND {from_} < {to} AND {which}
                   AND {ends["until"]} > {ends["since"]}
                   {f"AND {OF_CAMPAIGN} = :campaign" if own else ""}
                   {f"AND {_SKILLED.format(agent='t.agent_id')}" if of_campaign else ""}""")
    with_ = f"spent AS ({' UNION ALL '.join(edges)})"
    parts_ = "SELECT agent_id, lasted AS logged_in, CASE WHEN busy THEN lasted ELSE 0 END AS busy FROM spent"
    if closed:
        skilled = f"AND {_SKILLED.format(agent='u.agent_id')}" if of_campaign else ""
        parts_ += f"""
            UNION ALL SELECT u.agent_id, u.logged_in_us, u.busy_us FROM {CLOSED_SPANS}
              JOIN report_time u ON u.tenant_id = :tenant AND u.campaign_id = :of
                                AND u.hours = r.hours AND u.start >= r.since AND u.start < r.until
                                    {skilled}"""
    rows = f"""(SELECT agent_id, sum(logged_in) AS logged_in, sum(busy) AS busy FROM ({parts_}) p
                 GROUP BY agent_id)"""
    return text(f"WITH {with_} {UNDER.format(rows=rows)}")


async def _spent(
    conn: AsyncConnection,
    before: Past,
    tenant_id: int,
    since: datetime | None,
    until: datetime,
    *,
    campaign_id: int | None = None,
    own: bool,
) -> dict[int, Time] | None:
    """Time by agent: of those with the campaign's skill where one is named, in its own calls where `own`.
    None: the past has been opened again meanwhile."""
    span = parts(since, until, before.closed_until)
    if span.since >= span.until:
        return {}
    kept = before.closed_until or BEGINNING
    query = _query(of_campaign=campaign_id is not None, own=own, closed=span.closed)
    values = {
        "tenant": tenant_id,
        "campaign": campaign_id,
        "of": campaign_id if own else NO_KEY,
        # Whoever was at work at an edge began after the hour's beginning, or is in its `report_over`.
        "since_base": min(hour_of(span.since), kept),
        "last_base": min(hour_of(span.last), kept),
        **{name: getattr(span, name) for name in span.__slots__},
    }
    rows = (await conn.execute(query, values)).all()
    if rows[0].reopened != before.reopened:
        return None
    return {row.agent_id: Time(int(row.logged_in), int(row.busy)) for row in rows if row.agent_id is not None}


async def by_agent(conn: AsyncConnection, scope: Scope, now: datetime) -> dict[int, Time]:
    """Time of each agent who was logged in within the scope's time; what goes on now counts up to `now`."""
    found = None
    while found is None:
        before = await past(conn, scope.tenant_id)
        found = await _spent(conn, before, scope.tenant_id, scope.since, min(scope.until, now), own=False)
    return found


async def of_campaign(conn: AsyncConnection, scope: Scope, campaign_id: int, now: datetime) -> Time:
    """Of a campaign: the busy time of its own talks; the logged-in time, since its start, of agents who have
    its skill. Talks that were under way when it was stopped are its own to their end."""
    c = campaign.c
    found = await conn.execute(
        select(c.started_at, c.ended_at).where(c.tenant_id == scope.tenant_id, c.id == campaign_id)
    )
    started, ended = found.one()
    if started is None:
        return Time()
    since, until = max(started, scope.since or started), min(scope.until, now)
    open_until = min(until, ended) if ended is not None else until
    while True:
        before = await past(conn, scope.tenant_id)
        spent = partial(_spent, conn, before, scope.tenant_id, campaign_id=campaign_id)
        all_ = await spent(since, open_until, own=False)
        own = await spent(since, until, own=True)
        late = await spent(max(since, open_until), until, own=True) if open_until < until else {}
        if all_ is not None and own is not None and late is not None:
            break
    logged_in = sum(time.logged_in_us for found_ in (all_, late) for time in found_.values())
    return Time(logged_in, sum(time.busy_us for time in own.values()))


def agent_time(time: Time) -> AgentTime:
    """In seconds."""
    return AgentTime(time.logged_in_us / 1_000_000, time.busy_us / 1_000_000)
