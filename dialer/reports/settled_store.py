"""The SQL of answers that were settled: what a campaign's share of abandoned calls is counted from.

Pacing is told it when it takes a campaign up: of its policy's window (30 days, of most) the figures of closed
hours, of the last day and of what is not closed the attempts themselves. Both see the same in a row: the
results that `dialer.reports.figures` counts.
"""

# ruff: noqa: S608 - statements are put together from texts of ours; values are bound

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import LIVE, Result
from dialer.db.prepared import Prepared
from dialer.reports.attempt_facts import KNOWN
from dialer.reports.figures import Group
from dialer.reports.figures_store import UNDER, past
from dialer.reports.model import BEGINNING, parts

_LIVE: Final = ", ".join(f"'{result}'" for result in sorted(LIVE))
#: An hour's calls stand in its middle: that is where they are on average.
_OF_HOURS: Final = f"""
    SELECT u.start + interval '30 minutes' AS at,
           {" + ".join(f"u.result_{result}" for result in sorted(LIVE))} AS answered,
           u.result_{Result.ABANDONED} AS abandoned
      FROM report_figures u
     WHERE u.tenant_id = :tenant AND u.by = '{Group.CAMPAIGN}' AND u.hours = 1 AND u.key = :campaign
       AND u.start >= CAST(:first AS timestamptz) AND u.start < CAST(:last AS timestamptz)
"""
_OF_ATTEMPTS: Final = f"""
    SELECT date_trunc('minute', coalesce(a.answered_at, a.created_at)) AS at, count(*) AS answered,
           count(*) FILTER (WHERE a.result = '{Result.ABANDONED}') AS abandoned
      FROM attempt a
     WHERE a.tenant_id = :tenant AND a.campaign_id = :campaign
       AND a.created_at >= CAST(:{{}} AS timestamptz) AND a.created_at < CAST(:{{}} AS timestamptz)
       AND {KNOWN} AND a.result IN ({_LIVE})
     GROUP BY 1
"""
#: Public for the test that asks the database how it goes about it.
SETTLED: Final = Prepared(
    UNDER.format(
        rows=f"""(
            SELECT at, CAST(answered AS integer) AS answered, CAST(abandoned AS integer) AS abandoned FROM (
                {_OF_HOURS}
                UNION ALL {_OF_ATTEMPTS.format("since", "first")}
                UNION ALL {_OF_ATTEMPTS.format("last", "until")}
            ) every WHERE answered > 0)"""
    )
)


async def settled(
    conn: AsyncConnection,
    tenant_id: int,
    campaign_id: int,
    *,
    since: datetime,
    until: datetime,
    minutes_since: datetime,
) -> Sequence[tuple[datetime, int, int]]:
    """Of the campaign's calls made in that time (when, live answers, abandoned), oldest first: by the minute
    from `minutes_since` on and wherever nothing is closed, else by the hour."""
    while True:
        before = await past(conn, tenant_id)
        closed_until = min(before.closed_until or BEGINNING, minutes_since)
        span = parts(since, until, closed_until)
        rows = await SETTLED.rows(
            conn,
            tenant=tenant_id,
            campaign=campaign_id,
            since=span.since,
            first=span.first,
            last=span.last,
            until=span.until,
        )
        if rows[0].reopened == before.reopened:
            break  # else an hour was opened again meanwhile, and may have to be counted
    return sorted((row.at, row.answered, row.abandoned) for row in rows if row.at is not None)
