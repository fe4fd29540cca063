"""The SQL of a campaign's past as the simulator replays it: reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.store import call_of
from dialer.calls.terms import CallTerms
from dialer.campaigns.replay_log import PastAttempt, dial_of, least_greeting_s
from dialer.db.prepared import Prepared
from dialer.pacing.answering import traits_of
from dialer.pacing.simulator.replay import Log, PastDial, Stretch

#: A stretch of an agent's time is taken to last no longer.
_LONGEST_STRETCH: Final = timedelta(days=1)

#: By id or by exact name. More than one: the id of one is the name of another, which comes first.
_CAMPAIGNS = Prepared(
    """
    SELECT c.id, c.name, t.timezone
      FROM campaign c JOIN tenant t ON t.id = c.tenant_id
     WHERE c.tenant_id = :tenant_id AND (c.id = CAST(:id AS bigint) OR c.name = CAST(:name AS text))
     ORDER BY c.name <> CAST(:name AS text), c.id
    """
)
#: Whoever starts a call by hand waits for its answer: that is no matter of pacing.
_DAYS = Prepared(
    """
    SELECT DISTINCT CAST(timezone(CAST(:zone AS text), created_at) AS date) AS day
      FROM attempt
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND mode NOT IN ('manual', 'preview')
       AND created_at >= :since AND created_at < :until
     ORDER BY day DESC
     LIMIT :wanted
    """
)
_ATTEMPTS = Prepared(
    """
    SELECT id, campaign_id, mode, state, result, created_at, sent_at, ringing_at, answered_at, screened_at,
           connected_at, hung_up_at, ended_at, cause, sip_code, detail, machine_status, machine_cause,
           join_ms, traits
      FROM attempt
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND mode NOT IN ('manual', 'preview')
       AND created_at >= :since AND created_at < :until
     ORDER BY created_at, id
    """
)
#: Ready for any campaign, or in a call of this one.
_TIMES = Prepared(
    """
    SELECT s.agent_id, s.state, s.started_at, coalesce(s.ended_at, now()) AS ended_at
      FROM agent_time s
      JOIN agent g ON g.tenant_id = s.tenant_id AND g.id = s.agent_id
      LEFT JOIN attempt a ON a.tenant_id = s.tenant_id AND a.id = s.attempt_id
     WHERE s.tenant_id = :tenant_id AND s.started_at >= :earliest AND s.started_at < :until
       AND (s.ended_at IS NULL OR s.ended_at > :since)
       AND (s.state = 'ready'
            OR s.state IN ('reserved', 'talking', 'wrap_up') AND a.campaign_id = :campaign_id)
       AND (CAST(:skill AS text) IS NULL OR CAST(:skill AS text) = ANY (g.skills))
     ORDER BY s.agent_id, s.started_at, s.id
    """
)


@dataclass(frozen=True, slots=True)
class Named:
    """A campaign that somebody has named."""

    tenant_id: int
    id: int
    name: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class PastDays:
    """What was read."""

    log: Log
    attempts: int
    #: why attempts were left out, and how many
    left_out: Mapping[str, int]
    #: how many attempts of each mode
    modes: Mapping[str, int]


async def named(conn: AsyncConnection, tenant_id: int, asked: str) -> list[Named]:
    """The tenant's campaigns with that id, or exactly that name; those with the name come first."""
    id_ = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None
    rows = await _CAMPAIGNS.rows(conn, tenant_id=tenant_id, id=id_, name=asked)
    return [Named(tenant_id, row.id, row.name, ZoneInfo(row.timezone)) for row in rows]


async def days(conn: AsyncConnection, of: Named, since: date, until: date, wanted: int) -> list[date]:
    """The latest local days from `since` up to `until` on which it dialled, latest first."""
    found = await _DAYS.rows(
        conn,
        tenant_id=of.tenant_id,
        campaign_id=of.id,
        zone=of.zone.key,
        since=midnight(since, of.zone),
        until=midnight(until + timedelta(days=1), of.zone),
        wanted=wanted,
    )
    return [row.day for row in found]


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a local day begins, UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


async def read(conn: AsyncConnection, of: Named, terms: CallTerms, first: date, last: date) -> PastDays:
    """All of these local days, both included."""
    begins_at, until = midnight(first, of.zone), midnight(last + timedelta(days=1), of.zone)
    span = {"tenant_id": of.tenant_id, "campaign_id": of.id, "since": begins_at, "until": until}
    rows = await _ATTEMPTS.rows(conn, **span)
    times = await _TIMES.rows(conn, **span, earliest=begins_at - _LONGEST_STRETCH, skill=terms.skill)
    dials, left_out = list[PastDial](), Counter[str]()
    for row in rows:
        found = dial_of(_attempt(row, terms), begins_at, terms)
        if isinstance(found, PastDial):
            dials.append(found)
        else:
            left_out[found] += 1
    joins_ms = [row.join_ms for row in rows if row.join_ms is not None]
    log = Log(
        begins_at,
        of.zone,
        tuple(dials),
        tuple(_stretch(row, begins_at) for row in times),
        ring_timeout_s=float(terms.ring_timeout_s),
        slack_s=terms.policy.abandon_after_s,
        lines=sum(trunk.max_channels for trunk in terms.trunks) or None,
        detection=any(row.machine_status for row in rows),
        least_greeting_s=least_greeting_s(terms),
        transfer_s=sum(joins_ms) / len(joins_ms) / 1000 if joins_ms else 0.0,
    )
    return PastDays(log, len(rows), left_out, Counter(row.mode for row in rows))


def _attempt(row: Any, terms: CallTerms) -> PastAttempt:
    call = call_of(
        row,
        terms.tenant_id,
        screens=terms.screens,
        abandon_after_s=terms.policy.abandon_after_s,
        hung_up_at=row.hung_up_at,
        ended_at=row.ended_at,
        cause=row.cause,
        sip_code=row.sip_code,
    )
    return PastAttempt(call, row.machine_cause or "", traits_of(row.traits))


def _stretch(row: Any, begins_at: datetime) -> Stretch:
    from_s = max((row.started_at - begins_at).total_seconds(), 0.0)
    until_s = max((row.ended_at - begins_at).total_seconds(), from_s)
    return Stretch(row.agent_id, row.state, from_s, until_s)


def shown(days_: Sequence[date]) -> str:
    """Days as an error names them."""
    return f"{days_[0]} to {days_[-1]}" if days_[0] != days_[-1] else str(days_[0])
