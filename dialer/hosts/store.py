"""The SQL of allowed hosts. The secret is read by who asks the host, and by nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import allowed_host
from dialer.hosts.model import Host

_C = allowed_host.c


async def hosts(conn: AsyncConnection, tenant_id: int) -> list[Host]:
    """The tenant's list, by name."""
    rows = await conn.execute(
        select(_C.id, _C.host, _C.inside, _C.header, _C.secret)
        .where(_C.tenant_id == tenant_id)
        .order_by(_C.host)
    )
    return [Host(*row) for row in rows]


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """A new entry; its id. One that is there breaks a unique constraint."""
    made = await conn.scalar(insert(allowed_host).values(tenant_id=tenant_id, **values).returning(_C.id))
    assert isinstance(made, int)
    return made


async def change(conn: AsyncConnection, tenant_id: int, host_id: int, values: Mapping[str, Any]) -> bool:
    """Write columns of an entry; False: there is none."""
    changed = await conn.execute(
        update(allowed_host).where(_C.tenant_id == tenant_id, _C.id == host_id).values(**values)
    )
    return changed.rowcount == 1


async def remove(conn: AsyncConnection, tenant_id: int, host_id: int) -> bool:
    """Forget an entry; False: there is none."""
    gone = await conn.execute(delete(allowed_host).where(_C.tenant_id == tenant_id, _C.id == host_id))
    return gone.rowcount == 1
