"""How a visit comes to be: whether it can, and that others are told."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events, tenants
from dialer.errors import Invalid
from dialer.visits import store
from dialer.visits.model import WITHIN, Booking


async def book(
    conn: AsyncConnection, tenant_id: int, wanted: Booking, *, by: int | None, now: datetime
) -> int:
    """Book a visit in a talk, or move the one that was booked in it; its id. Raises Invalid."""
    at = wanted.at
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(await tenants.timezone(conn, tenant_id)))
    if not now < at <= now + WITHIN:
        raise Invalid(field="at", reason="must be in the future, within a year")
    visit_id = await store.book(conn, tenant_id, wanted, at, by)
    await tell(conn, tenant_id, visit_id, wanted.campaign_id, wanted.agent_id)
    return visit_id


async def tell(
    conn: AsyncConnection, tenant_id: int, visit_id: int, campaign_id: int, agent_id: int | None = None
) -> None:
    """Tell whoever listens that a visit was booked, or is another one by now."""
    payload = {"visit_id": visit_id, "campaign_id": campaign_id}
    await events.emit(
        conn, "visit.changed", payload, tenant_id=tenant_id, campaign_id=campaign_id, agent_id=agent_id
    )
