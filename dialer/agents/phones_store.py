"""The SQL of browsers as phones: their secrets, and until when these are good."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared

#: By the database's clock, whichever server asks.
_PUT = Prepared(
    """
    INSERT INTO browser_phone (tenant_id, user_id, sip_ha1, made_at, expires_at)
    VALUES (:tenant_id, :user_id, :sip_ha1, now(), now() + :lasts)
    ON CONFLICT (tenant_id, user_id) DO UPDATE
       SET sip_ha1 = excluded.sip_ha1, made_at = excluded.made_at, expires_at = excluded.expires_at
    """
)
_KEEP = Prepared(
    """
    UPDATE browser_phone SET expires_at = now() + :lasts
     WHERE tenant_id = :tenant_id AND user_id = :user_id
    """
)
_FORGET = Prepared("DELETE FROM browser_phone WHERE tenant_id = :tenant_id AND expires_at <= now()")
_GOOD = Prepared(
    "SELECT user_id, sip_ha1 FROM browser_phone WHERE tenant_id = :tenant_id AND expires_at > now()"
)


async def put(conn: AsyncConnection, tenant_id: int, user_id: int, sip_ha1: str, lasts: timedelta) -> None:
    """The secret of the user's browser from now on; MD5(user:realm:password)."""
    await _PUT.run(conn, tenant_id=tenant_id, user_id=user_id, sip_ha1=sip_ha1, lasts=lasts)


async def keep(conn: AsyncConnection, tenant_id: int, user_id: int, lasts: timedelta) -> None:
    """The secret of the user's browser is good for so much longer."""
    await _KEEP.run(conn, tenant_id=tenant_id, user_id=user_id, lasts=lasts)


async def forget_old(conn: AsyncConnection, tenant_id: int) -> None:
    """Delete secrets that are good no longer."""
    await _FORGET.run(conn, tenant_id=tenant_id)


async def good(conn: AsyncConnection, tenant_id: int) -> dict[int, str]:
    """The secrets that are good now: HA1 by user."""
    return {row.user_id: row.sip_ha1 for row in await _GOOD.rows(conn, tenant_id=tenant_id)}
