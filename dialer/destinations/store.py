"""The SQL of destinations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import destination, trunk
from dialer.destinations.model import Destination, Kind

_C = destination.c


async def destinations(conn: AsyncConnection, tenant_id: int) -> list[Destination]:
    """All, by name."""
    rows = await conn.execute(
        select(_C.id, _C.name, _C.kind, _C.value).where(_C.tenant_id == tenant_id).order_by(_C.name)
    )
    return [Destination(row.id, row.name, Kind(row.kind), row.value) for row in rows]


async def is_trunk(conn: AsyncConnection, tenant_id: int, endpoint: str) -> bool:
    """Whether the endpoint is a way out to the telephone network."""
    asked = exists().where(trunk.c.tenant_id == tenant_id, trunk.c.endpoint == endpoint)
    return bool(await conn.scalar(select(asked)))


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """A new one; its id. A name that is taken breaks a unique constraint."""
    made = await conn.scalar(insert(destination).values(tenant_id=tenant_id, **values).returning(_C.id))
    assert isinstance(made, int)
    return made


async def change(
    conn: AsyncConnection, tenant_id: int, destination_id: int, values: Mapping[str, Any]
) -> bool:
    """Write columns; False: there is none."""
    mine = _C.tenant_id == tenant_id, _C.id == destination_id
    return (await conn.execute(update(destination).where(*mine).values(**values))).rowcount == 1


async def remove(conn: AsyncConnection, tenant_id: int, destination_id: int) -> bool:
    """Forget one; False: there is none."""
    mine = _C.tenant_id == tenant_id, _C.id == destination_id
    return (await conn.execute(delete(destination).where(*mine))).rowcount == 1
