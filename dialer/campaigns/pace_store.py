"""The SQL of a predictive campaign's past: what pacing is told anew when a server takes the campaign up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.store import call_of
from dialer.calls.terms import CallTerms
from dialer.campaigns.pace import Past, PastCall
from dialer.db.prepared import Prepared
from dialer.pacing.answering import traits_of

#: Attempts that are gone through one by one; what they taught before is all but forgotten.
RECENT: Final = 2000
#: A calendar day is no longer, whatever the clock does.
LONGEST_DAY: Final = timedelta(hours=25)

#: Whoever starts a call by hand waits for its answer: it tells nothing of how many to dial.
_RECENT = Prepared(
    """
    SELECT a.id, a.campaign_id, a.state, a.result, a.created_at, a.sent_at, a.ringing_at, a.answered_at,
           a.screened_at, a.connected_at, a.hung_up_at, a.ended_at, a.cause, a.sip_code, a.detail,
           a.session_id, a.agent_id, a.traits,
           CASE WHEN a.answered_at IS NOT NULL THEN (
               SELECT t.why FROM pacing_tick t
                WHERE t.tenant_id = a.tenant_id AND t.campaign_id = a.campaign_id
                  AND t.at <= coalesce(a.connected_at, a.answered_at)
                ORDER BY t.at DESC LIMIT 1)
           END AS why
      FROM attempt a
     WHERE a.tenant_id = :tenant_id AND a.campaign_id = :campaign_id
       AND a.mode NOT IN ('manual', 'preview')
     ORDER BY a.created_at DESC
     LIMIT :wanted
    """
)
_AROUND = Prepared(
    """
    SELECT timezone,
           (SELECT count(*) FROM agent_session s
              JOIN agent g ON g.tenant_id = s.tenant_id AND g.id = s.agent_id
             WHERE s.tenant_id = tenant.id AND s.logged_out_at IS NULL
               AND (CAST(:skill AS text) IS NULL OR CAST(:skill AS text) = ANY (g.skills))) AS agents
      FROM tenant WHERE id = :tenant_id
    """
)


class Settled(Protocol):
    """Counts the answers of a campaign's calls that were made in a span: (when, live answers, abandoned),
    oldest first, by the minute from `minutes_since` on and by the hour at least before it. Reports do it."""

    async def __call__(
        self,
        conn: AsyncConnection,
        tenant_id: int,
        campaign_id: int,
        *,
        since: datetime,
        until: datetime,
        minutes_since: datetime,
    ) -> Sequence[tuple[datetime, int, int]]: ...


async def past(
    conn: AsyncConnection, terms: CallTerms, now: datetime, settled: Settled, wanted: int = RECENT
) -> Past:
    """The campaign's past until `now`: its latest attempts, and what the policy's windows hold before."""
    whose = {"tenant_id": terms.tenant_id, "campaign_id": terms.campaign_id}
    rows = await _RECENT.rows(conn, **whose, wanted=wanted)
    calls = [_past_call(row, terms) for row in reversed(rows)]
    window = max(timedelta(seconds=terms.policy.abandon_window_s), LONGEST_DAY)
    before: Sequence[tuple[datetime, int, int]] = ()
    if len(rows) == wanted:
        # The windows of a day are too short for whole hours.
        span = {"since": now - window, "until": calls[0].call.created_at, "minutes_since": now - LONGEST_DAY}
        before = await settled(conn, terms.tenant_id, terms.campaign_id, **span)
    around = await _AROUND.row(conn, tenant_id=terms.tenant_id, skill=terms.skill)
    return Past(calls, before, ZoneInfo(around.timezone), around.agents)


def _past_call(row: Any, terms: CallTerms) -> PastCall:
    call = call_of(
        row,
        terms.tenant_id,
        screens=terms.screens,
        abandon_after_s=terms.policy.abandon_after_s,
        talked_by=row.agent_id if row.connected_at else None,
        hung_up_at=row.hung_up_at,
        ended_at=row.ended_at,
        cause=row.cause,
        sip_code=row.sip_code,
    )
    return PastCall(call, traits_of(row.traits), row.session_id, row.why)
