"""The SQL of trunks. The secret is written here and read by nobody but the renderer of Asterisk's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import campaign_trunk, trunk
from dialer.trunks.model import Trunk

_COLUMNS = (
    trunk.c.id,
    trunk.c.name,
    trunk.c.endpoint,
    trunk.c.caller_id,
    trunk.c.max_channels,
    trunk.c.max_cps,
    trunk.c.allowed_prefixes,
    trunk.c.dial_format,
    trunk.c.codecs,
    trunk.c.enabled,
    trunk.c.sip_host,
)


def from_row(row: Any) -> Trunk:
    """The value of a row that has the columns of `trunk`."""
    return Trunk(
        id=row.id,
        name=row.name,
        endpoint=row.endpoint,
        caller_id=row.caller_id,
        max_channels=row.max_channels,
        max_cps=row.max_cps,
        allowed_prefixes=tuple(row.allowed_prefixes),
        dial_format=row.dial_format,
        codecs=tuple(row.codecs),
        enabled=row.enabled,
        sip_host=row.sip_host,
    )


async def trunks(conn: AsyncConnection, tenant_id: int) -> list[Trunk]:
    """All trunks by name."""
    rows = await conn.execute(select(*_COLUMNS).where(trunk.c.tenant_id == tenant_id).order_by(trunk.c.name))
    return [from_row(row) for row in rows]


async def trunks_of(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[Trunk]:
    """The trunks of a campaign in the order they are tried."""
    rows = await conn.execute(
        select(*_COLUMNS)
        .join(
            campaign_trunk,
            (campaign_trunk.c.tenant_id == trunk.c.tenant_id) & (campaign_trunk.c.trunk_id == trunk.c.id),
        )
        .where(campaign_trunk.c.tenant_id == tenant_id, campaign_trunk.c.campaign_id == campaign_id)
        .order_by(campaign_trunk.c.position)
    )
    return [from_row(row) for row in rows]


async def fields(
    conn: AsyncConnection, tenant_id: int, trunk_id: int, *, lock: bool = False
) -> dict[str, Any] | None:
    """Every column of a trunk but its secret; `has_secret` says whether there is one."""
    query = select(
        *_COLUMNS,
        trunk.c.sip_port,
        trunk.c.sip_user,
        trunk.c.sip_secret.is_not(None).label("has_secret"),
        trunk.c.created_at,
    ).where(trunk.c.tenant_id == tenant_id, trunk.c.id == trunk_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return dict(row._mapping) if row else None


async def all_fields(conn: AsyncConnection, tenant_id: int) -> list[dict[str, Any]]:
    """`fields` of all trunks, by name."""
    query = (
        select(
            *_COLUMNS,
            trunk.c.sip_port,
            trunk.c.sip_user,
            trunk.c.sip_secret.is_not(None).label("has_secret"),
            trunk.c.created_at,
        )
        .where(trunk.c.tenant_id == tenant_id)
        .order_by(trunk.c.name)
    )
    return [dict(row._mapping) for row in await conn.execute(query)]


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """Write a new trunk; its id."""
    made = await conn.execute(insert(trunk).values(tenant_id=tenant_id, **values).returning(trunk.c.id))
    return int(made.scalar_one())


async def change(conn: AsyncConnection, tenant_id: int, trunk_id: int, values: Mapping[str, Any]) -> None:
    """Write changed columns."""
    await conn.execute(
        update(trunk).where(trunk.c.tenant_id == tenant_id, trunk.c.id == trunk_id).values(**values)
    )


async def remove(conn: AsyncConnection, tenant_id: int, trunk_id: int) -> None:
    """Remove a trunk that nothing refers to (else IntegrityError)."""
    await conn.execute(delete(trunk).where(trunk.c.tenant_id == tenant_id, trunk.c.id == trunk_id))
