"""Promised calls in a test's database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from dialer.callbacks.making import Asked
from dialer.callbacks.service import CallbackService
from dialer.callbacks.store import CallbackRow
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor
from scheduler import hopper
from support.floor import TENANT, Floor

#: A campaign that may call at any hour.
ROUND_THE_CLOCK = {"policy": "demo", "call_from": "00:00", "call_until": "24:00"}


async def open_floor(database: Database, **campaign: Any) -> Floor:
    """A running campaign whose hours let a test run at night."""
    return await Floor.open(database, **ROUND_THE_CLOCK | campaign)


async def promised(
    floor: Floor, lead_id: int, *, due_s: float = 0, agent_id: int | None = None, **more: Any
) -> CallbackRow:
    """A call that somebody was promised, due so long from now (negative: since)."""
    lead = await floor.row(t.lead, lead_id)
    asked = Asked(utc_now() + timedelta(hours=1), agent_id=agent_id, **more)
    service = CallbackService(floor.database)
    made = await service.make(Actor.server(TENANT), lead.campaign_id, lead.contact_id, asked)
    due_at = utc_now() + timedelta(seconds=due_s)
    async with floor.database.tenant(TENANT) as conn:
        gap = made.open_at - made.due_at if made.open_at is not None else None
        opens = None if gap is None else due_at + gap
        c = t.callback.c
        values = {"from_at": due_at, "due_at": due_at, "open_at": opens}
        await conn.execute(update(t.callback).where(c.id == made.id).values(**values))
        await conn.execute(update(t.lead).where(t.lead.c.id == lead_id).values(open_from=due_at))
    return await service.get(Actor.server(TENANT), made.id)


async def row(floor: Floor, callback_id: int) -> Any:
    """The callback's row."""
    return await floor.row(t.callback, callback_id)


async def on_list(floor: Floor) -> None:
    """Everybody of the base is on the floor's list."""
    async with floor.database.tenant(TENANT) as conn:
        ids: Sequence[int] = list(await conn.scalars(select(t.contact.c.id)))
        keys = {"tenant_id": TENANT, "list_id": floor.list_id}
        await conn.execute(insert(t.list_contact), [keys | {"contact_id": one} for one in ids])


def at_noon(days: int = 2) -> datetime:
    """Noon in Moscow some days from now: every campaign of a test calls then, but on holidays."""
    day = utc_now() + timedelta(days=days)
    return day.replace(hour=9, minute=0, second=0, microsecond=0)


async def claimed(floor: Floor, wanted: int, *, callbacks: bool = True) -> list[int]:
    """What a claim of this moment gives; nothing is kept of it."""
    async with floor.database.tenant(TENANT) as conn:
        leads = await hopper.claim(conn, TENANT, floor.campaign_id, wanted, utc_now(), callbacks=callbacks)
        await conn.rollback()
    return [lead.id for lead in leads]
