"""The SQL of hours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import rows
from dialer.db.tables import opening_hours
from dialer.hours.model import Opening

_C = opening_hours.c
_ALL = select(_C.id, _C.name, _C.week, _C.exceptions, _C.holidays, _C.zone)


async def openings(conn: AsyncConnection, tenant_id: int) -> list[Opening]:
    """All, by name."""
    found = await conn.execute(_ALL.where(_C.tenant_id == tenant_id).order_by(_C.name))
    return [Opening(*row) for row in found]


async def named(conn: AsyncConnection, tenant_id: int, name: str) -> Opening | None:
    """The hours of that name."""
    row = (await conn.execute(_ALL.where(_C.tenant_id == tenant_id, _C.name == name))).one_or_none()
    return Opening(*row) if row else None


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """New hours; their id. A name that is taken breaks a unique constraint."""
    return await rows.add(conn, opening_hours, tenant_id, values)


async def change(conn: AsyncConnection, tenant_id: int, hours_id: int, values: Mapping[str, Any]) -> bool:
    """Write columns; False: there are none."""
    return await rows.change(conn, opening_hours, tenant_id, hours_id, values)


async def remove(conn: AsyncConnection, tenant_id: int, hours_id: int) -> bool:
    """Forget hours; False: there are none."""
    return await rows.remove(conn, opening_hours, tenant_id, hours_id)
