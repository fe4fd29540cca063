"""The SQL of allowed hosts. The secret is read by who asks the host, and by nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import rows
from dialer.db.tables import allowed_host
from dialer.hosts.model import Host

_C = allowed_host.c


async def hosts(conn: AsyncConnection, tenant_id: int) -> list[Host]:
    """The tenant's list, by name."""
    found = await conn.execute(
        select(_C.id, _C.host, _C.inside, _C.header, _C.secret)
        .where(_C.tenant_id == tenant_id)
        .order_by(_C.host)
    )
    return [Host(*row) for row in found]


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """A new entry; its id. One that is there breaks a unique constraint."""
    return await rows.add(conn, allowed_host, tenant_id, values)


async def change(conn: AsyncConnection, tenant_id: int, host_id: int, values: Mapping[str, Any]) -> bool:
    """Write columns of an entry; False: there is none."""
    return await rows.change(conn, allowed_host, tenant_id, host_id, values)


async def remove(conn: AsyncConnection, tenant_id: int, host_id: int) -> bool:
    """Forget an entry; False: there is none."""
    return await rows.remove(conn, allowed_host, tenant_id, host_id)
