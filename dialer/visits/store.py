"""The SQL of visits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.visits.model import Booking, State, Visit

_VISIT = """
    SELECT v.id, v.contact_id, concat_ws(' ', nullif(p.last_name, ''), nullif(p.first_name, '')) AS name,
           v.campaign_id, k.name AS campaign, v.call_id, coalesce(g.name, '') AS agent, v.at, v.place, v.note,
           v.state, v.booked_at
      FROM visit v
      JOIN contact p ON p.tenant_id = v.tenant_id AND p.id = v.contact_id
      JOIN campaign k ON k.tenant_id = v.tenant_id AND k.id = v.campaign_id
      LEFT JOIN agent g ON g.tenant_id = v.tenant_id AND g.id = v.agent_id
     WHERE v.tenant_id = :tenant_id AND {which}
"""
_BETWEEN = Prepared(_VISIT.format(which="v.at >= :since AND v.at < :until ORDER BY v.at, v.id LIMIT :most"))
_ONE = Prepared(_VISIT.format(which="v.id = :visit_id"))
_BOOK = Prepared(
    """
    INSERT INTO visit (tenant_id, contact_id, campaign_id, call_id, agent_id, at, place, note, booked_by)
    VALUES (:tenant_id, :contact_id, :campaign_id, :call_id, :agent_id, :at, :place, :note, :by)
        ON CONFLICT (tenant_id, call_id) DO UPDATE
       SET at = excluded.at, place = excluded.place, note = excluded.note, state = 'booked',
           changed_at = now(), changed_by = excluded.booked_by
    RETURNING id
    """
)
_SET_STATE = Prepared(
    """
    UPDATE visit SET state = :state, changed_at = now(), changed_by = :by
     WHERE tenant_id = :tenant_id AND id = :visit_id
    RETURNING id
    """
)


async def between(
    conn: AsyncConnection, tenant_id: int, since: datetime, until: datetime, most: int
) -> list[Visit]:
    """The visits from one moment to another, by when they are."""
    rows = await _BETWEEN.rows(conn, tenant_id=tenant_id, since=since, until=until, most=most)
    return [_row(row) for row in rows]


async def find(conn: AsyncConnection, tenant_id: int, visit_id: int) -> Visit | None:
    """One visit."""
    row = await _ONE.row(conn, tenant_id=tenant_id, visit_id=visit_id)
    return _row(row) if row else None


async def book(conn: AsyncConnection, tenant_id: int, wanted: Booking, at: datetime, by: int | None) -> int:
    """Write a visit down, in place of one of the same talk; its id."""
    made: int = await _BOOK.value(
        conn,
        tenant_id=tenant_id,
        contact_id=wanted.contact_id,
        campaign_id=wanted.campaign_id,
        call_id=wanted.call_id,
        agent_id=wanted.agent_id,
        at=at,
        place=wanted.place,
        note=wanted.note,
        by=by,
    )
    return made


async def set_state(
    conn: AsyncConnection, tenant_id: int, visit_id: int, state: State, by: int | None
) -> bool:
    """Say what became of it; False: there is none."""
    found = await _SET_STATE.value(conn, tenant_id=tenant_id, visit_id=visit_id, state=state, by=by)
    return found is not None


def _row(row: Any) -> Visit:
    return Visit(**{**row, "state": State(row.state)})
