"""The SQL of hours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import opening_hours
from dialer.hours.model import Opening

_C = opening_hours.c
_ALL = select(_C.id, _C.name, _C.week, _C.exceptions, _C.holidays, _C.zone)


async def openings(conn: AsyncConnection, tenant_id: int) -> list[Opening]:
    """All, by name."""
    rows = await conn.execute(_ALL.where(_C.tenant_id == tenant_id).order_by(_C.name))
    return [Opening(*row) for row in rows]


async def named(conn: AsyncConnection, tenant_id: int, name: str) -> Opening | None:
    """The hours of that name."""
    row = (await conn.execute(_ALL.where(_C.tenant_id == tenant_id, _C.name == name))).one_or_none()
    return Opening(*row) if row else None


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """New hours; their id. A name that is taken breaks a unique constraint."""
    made = await conn.scalar(insert(opening_hours).values(tenant_id=tenant_id, **values).returning(_C.id))
    assert isinstance(made, int)
    return made


async def change(conn: AsyncConnection, tenant_id: int, hours_id: int, values: Mapping[str, Any]) -> bool:
    """Write columns; False: there are none."""
    mine = _C.tenant_id == tenant_id, _C.id == hours_id
    return (await conn.execute(update(opening_hours).where(*mine).values(**values))).rowcount == 1


async def remove(conn: AsyncConnection, tenant_id: int, hours_id: int) -> bool:
    """Forget hours; False: there are none."""
    mine = _C.tenant_id == tenant_id, _C.id == hours_id
    return (await conn.execute(delete(opening_hours).where(*mine))).rowcount == 1
