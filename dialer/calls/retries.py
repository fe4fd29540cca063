"""What the retry rule is told of a lead after an attempt: the SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.compliance.model import zone_of
from dialer.db.prepared import Prepared
from scheduler import promised, retry
from scheduler.callbacks import Promise
from scheduler.retry import Retries, Tries


@dataclass(frozen=True, slots=True)
class LeadOfAttempt:
    """What the retry rule needs of an attempt's lead and campaign."""

    lead_id: int
    tries: Tries
    rules: Retries
    #: earlier attempts of the last hour that the carrier failed
    trunk_faults: int
    #: somebody has said meanwhile that the number is not to be called, for good
    unwanted: bool
    #: the callback that the attempt was made for
    promise: Promise | None = None
    #: when the call is due that was promised in the attempt, which no agent has ended
    promised_at: datetime | None = None


#: What the retry rule needs of the lead l, tried by attempt a, and its campaign c. What only a campaign's own
#: rules ask is not looked up for the others.
TOLD = """
    l.attempts, l.timezones, c.max_attempts, c.retries, c.call_from, c.call_until,
    CASE WHEN jsonb_path_exists(c.retries, '$.*.*') THEN ARRAY(
        SELECT f.created_at FROM attempt f WHERE f.tenant_id = a.tenant_id AND f.lead_id = a.lead_id) END
        AS made_at,
    CASE WHEN jsonb_path_exists(c.retries, '$.*.*') THEN ARRAY(
        SELECT p.e164 FROM contact_phone p WHERE p.tenant_id = l.tenant_id AND p.contact_id = l.contact_id
           AND (p.dead_since IS NULL OR p.e164 = l.e164)
         ORDER BY p.position) END AS phones,
    l.e164 AS tried
"""
_LEADS = Prepared(
    f"""
    SELECT a.id, l.id AS lead_id,
           {TOLD},
           (SELECT count(*) FROM attempt f
             WHERE f.tenant_id = a.tenant_id AND f.lead_id = a.lead_id AND f.trunk_fault
               AND f.id <> a.id AND f.created_at > a.created_at - interval '1 hour') AS trunk_faults,
           EXISTS (SELECT FROM do_not_call d
                    WHERE d.tenant_id = a.tenant_id AND d.mark = a.e164 AND d.removed_at IS NULL
                      AND d.valid_until IS NULL AND (d.valid_from IS NULL OR d.valid_from <= now())
                      AND (d.campaign_id IS NULL OR d.campaign_id = a.campaign_id)) AS unwanted,
           CASE WHEN a.mode = 'flow' AND a.connected_at IS NULL THEN (
                    SELECT min(k.due_at) FROM callback k
                     WHERE k.tenant_id = a.tenant_id AND k.lead_id = a.lead_id AND k.made_in = a.id
                       AND k.state = 'waiting') END AS promised_at,
           {promised.PROMISE}
      FROM attempt a
      JOIN lead l ON l.tenant_id = a.tenant_id AND l.id = a.lead_id
      JOIN campaign c ON c.tenant_id = a.tenant_id AND c.id = a.campaign_id
      LEFT JOIN callback b ON b.tenant_id = a.tenant_id AND b.attempt_id = a.id AND b.state = 'dialling'
     WHERE a.tenant_id = :tenant_id AND a.id = ANY(CAST(:attempt_ids AS uuid[]))
    """  # noqa: S608 - no value is put in
)


def told(row: Any) -> tuple[Tries, Retries]:
    """The columns of TOLD as the rule takes them."""
    place = zone_of(row.timezones[0]) if row.timezones else None
    phones = list(row.phones or ())
    at = phones.index(row.tried) if row.tried in phones else None
    tries = Tries(
        row.attempts,
        row.made_at or (),
        place or UTC,
        phones_after=0 if at is None else len(phones) - at - 1,
        phones_before=at or 0,
    )
    return tries, retry.retries_of(row.retries, row.max_attempts, row.call_from, row.call_until)


async def leads_of(
    conn: AsyncConnection, tenant_id: int, attempt_ids: Sequence[UUID]
) -> dict[UUID, LeadOfAttempt]:
    """The leads that attempts were made for, by attempt; one of a number typed by hand is left out."""
    found = await _LEADS.rows(conn, tenant_id=tenant_id, attempt_ids=list(attempt_ids))
    return {
        row.id: LeadOfAttempt(
            row.lead_id, *told(row), row.trunk_faults, row.unwanted, promised.promise_of(row), row.promised_at
        )
        for row in found
    }


_OF_TALK = Prepared(
    f"""
    SELECT {TOLD}
      FROM attempt a
      JOIN lead l ON l.tenant_id = a.tenant_id AND l.id = a.lead_id
      JOIN campaign c ON c.tenant_id = l.tenant_id AND c.id = l.campaign_id
     WHERE a.tenant_id = :tenant_id AND a.id = :attempt_id
       FOR UPDATE OF l
    """  # noqa: S608 - texts of ours
)


async def of_talk(conn: AsyncConnection, tenant_id: int, attempt_id: UUID) -> tuple[Tries, Retries]:
    """What is known of the lead of a talk, and what its campaign lays down; the lead is locked."""
    return told(await _OF_TALK.row(conn, tenant_id=tenant_id, attempt_id=attempt_id))
