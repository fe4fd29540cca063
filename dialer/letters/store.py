"""The SQL of letters."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.letters.model import Letter, Wanted

_ADD = Prepared(
    """
    INSERT INTO letter (tenant_id, contact_id, campaign_id, call_id, agent_id, address, subject, text,
                        asked_by, asked_at, next_at)
    VALUES (:tenant_id, :contact_id, :campaign_id, :call_id, :agent_id, :address, :subject, :text,
            :by, :now, :now)
    RETURNING id
    """
)
# Who takes it has it for so long: one that died in the middle is followed by another.
_TAKE = Prepared(
    """
    UPDATE letter SET tries = tries + 1, next_at = CAST(:now AS timestamptz) + CAST(:hold AS interval)
     WHERE tenant_id = :tenant_id AND id = (
           SELECT id FROM letter
            WHERE tenant_id = :tenant_id AND state = 'waiting' AND next_at <= :now
            ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, campaign_id, agent_id, address, subject, text, tries
    """
)
_SENT = Prepared(
    """
    UPDATE letter SET state = 'sent', sent_at = :now, error = ''
     WHERE tenant_id = :tenant_id AND id = :letter_id AND state = 'waiting'
    """
)
_NOT_SENT = Prepared(
    """
    UPDATE letter SET state = CASE WHEN CAST(:next_at AS timestamptz) IS NULL THEN 'failed' ELSE state END,
           next_at = coalesce(CAST(:next_at AS timestamptz), next_at), error = :error
     WHERE tenant_id = :tenant_id AND id = :letter_id AND state = 'waiting'
    """
)


async def add(conn: AsyncConnection, tenant_id: int, wanted: Wanted, by: int | None, now: datetime) -> int:
    """Write a letter down to be sent; its id."""
    made: int = await _ADD.value(
        conn,
        tenant_id=tenant_id,
        contact_id=wanted.contact_id,
        campaign_id=wanted.campaign_id,
        call_id=wanted.call_id,
        agent_id=wanted.agent_id,
        address=wanted.to,
        subject=wanted.subject,
        text=wanted.text,
        by=by,
        now=now,
    )
    return made


async def take(conn: AsyncConnection, tenant_id: int, now: datetime, hold: timedelta) -> Letter | None:
    """The next letter that is due, kept from others for so long; None: there is none."""
    row = await _TAKE.row(conn, tenant_id=tenant_id, now=now, hold=hold)
    return Letter(*row) if row else None


async def sent(conn: AsyncConnection, tenant_id: int, letter_id: int, now: datetime) -> None:
    """The mail server has taken it."""
    await _SENT.run(conn, tenant_id=tenant_id, letter_id=letter_id, now=now)


async def not_sent(
    conn: AsyncConnection, tenant_id: int, letter_id: int, error: str, next_at: datetime | None
) -> None:
    """The mail server has not taken it; `next_at`: when it is tried again, None: never."""
    await _NOT_SENT.run(conn, tenant_id=tenant_id, letter_id=letter_id, error=error, next_at=next_at)
