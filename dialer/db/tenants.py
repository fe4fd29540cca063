"""What every room may ask of a tenant."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import tables as t


async def timezone(conn: AsyncConnection, tenant_id: int) -> str:
    """The tenant's time zone, IANA name."""
    tenant = t.tenant.c
    found: str = (await conn.execute(select(tenant.timezone).where(tenant.id == tenant_id))).scalar_one()
    return found


async def zone(conn: AsyncConnection, tenant_id: int) -> ZoneInfo:
    """The tenant's time zone."""
    return ZoneInfo(await timezone(conn, tenant_id))
