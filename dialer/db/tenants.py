"""What every room may ask of a tenant."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared

_TIMEZONE = Prepared("SELECT timezone FROM tenant WHERE id = :tenant_id")


async def timezone(conn: AsyncConnection, tenant_id: int) -> str:
    """The tenant's time zone, IANA name."""
    found: str = await _TIMEZONE.value(conn, tenant_id=tenant_id)
    return found


async def zone(conn: AsyncConnection, tenant_id: int) -> ZoneInfo:
    """The tenant's time zone."""
    return ZoneInfo(await timezone(conn, tenant_id))
