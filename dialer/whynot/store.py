"""The SQL of why-not: the leads of a number, and what is known of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.whynot.model import CampaignRef, Known
from scheduler.hopper import ClaimedLead

#: Leads before one that are counted; more are "more than".
MOST_AHEAD = 10_000


@dataclass(frozen=True, slots=True)
class Promised:
    """A callback that waits."""

    due_at: datetime
    #: from when on any agent may have it; None: its own alone
    open_at: datetime | None
    #: who has promised it; empty: nobody in particular
    agent: str

    def for_anybody(self, now: datetime) -> bool:
        """Whether it is dialled before the list."""
        return self.due_at <= now and self.open_at is not None and self.open_at <= now


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """A lead as its row stands."""

    campaign: CampaignRef
    lead: ClaimedLead
    status: str
    hold: str | None
    open_from: datetime
    open_until: datetime
    last_attempt_at: datetime | None
    closed_reason: str | None
    sort_key: int
    #: some campaign has the number on the line
    busy: bool
    #: the call that was promised and waits; None: none was
    promised: Promised | None = None


_LEADS = Prepared(
    """
    SELECT l.campaign_id, c.name, c.status AS campaign_status, c.mode, l.id, l.list_id, l.contact_id, l.e164,
           l.timezones, l.attempts, l.last_result,
           (SELECT p.kind FROM contact_phone p
             WHERE p.tenant_id = l.tenant_id AND p.contact_id = l.contact_id AND p.e164 = l.e164) AS kind,
           l.status, l.hold, l.open_from, l.open_until, l.last_attempt_at, l.closed_reason, l.sort_key,
           EXISTS (SELECT FROM active_number n
                    WHERE n.tenant_id = l.tenant_id AND n.e164 = l.e164) AS busy,
           b.due_at, b.open_at,
           (SELECT a.name FROM agent a WHERE a.tenant_id = b.tenant_id AND a.id = b.agent_id) AS agent
      FROM (SELECT id FROM lead WHERE tenant_id = :tenant_id AND id = CAST(:lead_id AS bigint)
             UNION
            SELECT id FROM lead
             WHERE tenant_id = :tenant_id AND contact_id = ANY (CAST(:contact_ids AS bigint[]))
             UNION
            SELECT x.id FROM campaign k
              JOIN lead x ON x.tenant_id = k.tenant_id AND x.campaign_id = k.id AND x.e164 = :e164
             WHERE k.tenant_id = :tenant_id) w
      JOIN lead l ON l.tenant_id = :tenant_id AND l.id = w.id
      JOIN campaign c ON c.tenant_id = l.tenant_id AND c.id = l.campaign_id
      LEFT JOIN callback b ON b.tenant_id = l.tenant_id AND b.lead_id = l.id AND b.state = 'waiting'
     WHERE CAST(:campaign_id AS bigint) IS NULL OR l.campaign_id = CAST(:campaign_id AS bigint)
     ORDER BY c.status <> 'running', c.status = 'stopped', c.id DESC, l.id
     LIMIT :most
    """
)
_CAMPAIGN = Prepared(
    """
    SELECT id, name, status, mode, calendar_stamp, calendar_done
      FROM campaign WHERE tenant_id = :tenant_id AND id = :campaign_id
    """
)
_KNOWN = Prepared(
    """
    SELECT k.id, concat_ws(' ', nullif(k.last_name, ''), nullif(k.first_name, ''),
                           nullif(k.middle_name, '')) AS name,
           coalesce(bool_or(p.dead_since IS NOT NULL), false) AS dead,
           ARRAY(SELECT t.name FROM list_contact m
                   JOIN contact_list t ON t.tenant_id = m.tenant_id AND t.id = m.list_id
                  WHERE m.tenant_id = k.tenant_id AND m.contact_id = k.id ORDER BY t.id LIMIT 20) AS lists
      FROM contact k
      JOIN contact_phone p ON p.tenant_id = k.tenant_id AND p.contact_id = k.id
     WHERE k.tenant_id = :tenant_id
       AND (p.e164 = CAST(:e164 AS text) OR k.id = CAST(:contact_id AS bigint))
     GROUP BY k.tenant_id, k.id
     ORDER BY k.id
     LIMIT 20
    """
)
_ZONES = Prepared(
    """
    SELECT CASE WHEN k.timezone IS NULL THEN p.timezones ELSE ARRAY[k.timezone] END
      FROM contact_phone p JOIN contact k ON k.tenant_id = p.tenant_id AND k.id = p.contact_id
     WHERE p.tenant_id = :tenant_id AND p.e164 = :e164
     ORDER BY p.contact_id LIMIT 1
    """
)
_BUSY = Prepared("SELECT true FROM active_number WHERE tenant_id = :tenant_id AND e164 = :e164")
_AHEAD = Prepared(
    """
    SELECT count(*) FROM (
        SELECT FROM lead
         WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id
           AND status IN ('new', 'waiting') AND hold IS NULL AND open_from <= :now AND open_until > :now
           AND (sort_key, id) < (:sort_key, :lead_id)
           AND (CAST(:list_id AS bigint) IS NULL OR list_id = CAST(:list_id AS bigint))
         LIMIT :most) AS before_it
    """
)
_CALLS = Prepared(
    """
    SELECT count(*) FROM attempt
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND created_at > :since
    """
)
_SHARED = Prepared(
    "SELECT true FROM campaign_list WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id LIMIT 1"
)


def _facts(row: Any) -> LeadFacts:
    return LeadFacts(
        CampaignRef(row.campaign_id, row.name, row.campaign_status, row.mode),
        ClaimedLead(
            row.id,
            row.list_id,
            row.contact_id,
            row.e164,
            tuple(row.timezones),
            row.attempts,
            row.last_result,
            row.kind,
        ),
        row.status,
        row.hold,
        row.open_from,
        row.open_until,
        row.last_attempt_at,
        row.closed_reason,
        row.sort_key,
        row.busy,
        Promised(row.due_at, row.open_at, row.agent or "") if row.due_at is not None else None,
    )


async def leads(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    lead_id: int | None = None,
    contact_ids: Collection[int] = (),
    e164: str = "",
    campaign_id: int | None = None,
    most: int,
) -> list[LeadFacts]:
    """The lead, those of the contacts and those with the number; of running campaigns first."""
    rows = await _LEADS.rows(
        conn,
        tenant_id=tenant_id,
        lead_id=lead_id,
        contact_ids=list(contact_ids),
        e164=e164,
        campaign_id=campaign_id,
        most=most,
    )
    return [_facts(row) for row in rows]


async def campaign(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> Any:
    """The campaign's row: id, name, status, mode, and how far its leads have their windows; or None."""
    return await _CAMPAIGN.row(conn, tenant_id=tenant_id, campaign_id=campaign_id)


async def known(
    conn: AsyncConnection, tenant_id: int, *, e164: str | None = None, contact_id: int | None = None
) -> list[Known]:
    """The contacts that have the number, or the contact."""
    rows = await _KNOWN.rows(conn, tenant_id=tenant_id, e164=e164, contact_id=contact_id)
    return [Known(row.id, row.name, row.dead and e164 is not None, tuple(row.lists)) for row in rows]


async def zones(conn: AsyncConnection, tenant_id: int, e164: str) -> tuple[str, ...] | None:
    """All zones of a number that a contact has, as a lead of it would have them."""
    found = await _ZONES.value(conn, tenant_id=tenant_id, e164=e164)
    return None if found is None else tuple(found)


async def busy(conn: AsyncConnection, tenant_id: int, e164: str) -> bool:
    """Whether the number is on the line."""
    return bool(await _BUSY.value(conn, tenant_id=tenant_id, e164=e164))


async def ahead(conn: AsyncConnection, tenant_id: int, one: LeadFacts, now: datetime) -> tuple[int, bool]:
    """How many leads that are open come before it, at most MOST_AHEAD; whether only those of its list were
    counted, since the campaign's lists have shares."""
    campaign_id = one.campaign.id
    shared = bool(await _SHARED.value(conn, tenant_id=tenant_id, campaign_id=campaign_id))
    many = await _AHEAD.value(
        conn,
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        now=now,
        sort_key=one.sort_key,
        lead_id=one.lead.id,
        list_id=one.lead.list_id if shared else None,
        most=MOST_AHEAD,
    )
    return int(many), shared


async def calls_since(conn: AsyncConnection, tenant_id: int, campaign_id: int, since: datetime) -> int:
    """Attempts of the campaign since then."""
    return int(await _CALLS.value(conn, tenant_id=tenant_id, campaign_id=campaign_id, since=since))


#: Over what the pace of a campaign is told.
HOUR = timedelta(hours=1)
