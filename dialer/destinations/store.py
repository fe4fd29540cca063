"""The SQL of destinations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import rows
from dialer.db.tables import destination, trunk
from dialer.destinations.model import Destination, Kind

_C = destination.c


async def destinations(conn: AsyncConnection, tenant_id: int) -> list[Destination]:
    """All, by name."""
    found = await conn.execute(
        select(_C.id, _C.name, _C.kind, _C.value).where(_C.tenant_id == tenant_id).order_by(_C.name)
    )
    return [Destination(row.id, row.name, Kind(row.kind), row.value) for row in found]


async def is_trunk(conn: AsyncConnection, tenant_id: int, endpoint: str) -> bool:
    """Whether the endpoint is a way out to the telephone network."""
    asked = exists().where(trunk.c.tenant_id == tenant_id, trunk.c.endpoint == endpoint)
    return bool(await conn.scalar(select(asked)))


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """A new one; its id. A name that is taken breaks a unique constraint."""
    return await rows.add(conn, destination, tenant_id, values)


async def change(
    conn: AsyncConnection, tenant_id: int, destination_id: int, values: Mapping[str, Any]
) -> bool:
    """Write columns; False: there is none."""
    return await rows.change(conn, destination, tenant_id, destination_id, values)


async def remove(conn: AsyncConnection, tenant_id: int, destination_id: int) -> bool:
    """Forget one; False: there is none."""
    return await rows.remove(conn, destination, tenant_id, destination_id)
