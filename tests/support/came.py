"""Calls that came in, written straight into a test's database."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.ids import new_id

TENANT = 1
#: Ours, which people call.
DIALLED = "74957770101"
CALLER = "+79161112233"


async def number_of(conn: AsyncConnection, campaign_id: int, tenant_id: int = TENANT) -> tuple[int, int]:
    """The number DIALLED with a flow behind it, made where there is none: (number, flow)."""
    found = (
        await conn.execute(select(t.inbound_number).where(t.inbound_number.c.number == DIALLED))
    ).one_or_none()
    if found is not None:
        return found.id, found.flow_id
    flow_id = await conn.scalar(
        insert(t.flow).values(tenant_id=tenant_id, name="reception", live_version=1).returning(t.flow.c.id)
    )
    await conn.execute(
        insert(t.flow_version).values(
            tenant_id=tenant_id, flow_id=flow_id, version=1, document={}, state="live"
        )
    )
    number_id = await conn.scalar(
        insert(t.inbound_number)
        .values(tenant_id=tenant_id, number=DIALLED, flow_id=flow_id, campaign_id=campaign_id)
        .returning(t.inbound_number.c.id)
    )
    assert isinstance(number_id, int)
    assert isinstance(flow_id, int)
    return number_id, flow_id


async def came_in(
    conn: AsyncConnection, campaign_id: int, at: datetime | None = None, **columns: Any
) -> UUID:
    """A call that came in and is over, unless `columns` say more; its id."""
    number_id, flow_id = await number_of(conn, campaign_id)
    at, call_id = at or utc_now(), columns.pop("id", None) or new_id()
    values = {
        "tenant_id": TENANT, "id": call_id, "number_id": number_id, "dialled": DIALLED, "flow_id": flow_id,
        "flow_version": 1, "campaign_id": campaign_id, "e164": CALLER, "node": "main",
        "channel": f"in.{call_id}", "state": "ended", "result": "left", "created_at": at, "answered_at": at,
        "ended_at": at,
    }  # fmt: skip
    await conn.execute(insert(t.inbound_call).values(values | columns))
    return call_id
