"""A tenant's rows of one table, by id: added, changed, removed. For tables that need no more than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection


async def add(conn: AsyncConnection, table: Table, tenant_id: int, values: Mapping[str, Any]) -> int:
    """A new row; its id. Raises IntegrityError where a constraint forbids it."""
    made = await conn.scalar(insert(table).values(tenant_id=tenant_id, **values).returning(table.c.id))
    assert isinstance(made, int)
    return made


async def change(
    conn: AsyncConnection, table: Table, tenant_id: int, row_id: int, values: Mapping[str, Any]
) -> bool:
    """Write columns of a row; False: there is none. Raises IntegrityError as `add`."""
    mine = table.c.tenant_id == tenant_id, table.c.id == row_id
    return (await conn.execute(update(table).where(*mine).values(**values))).rowcount == 1


async def remove(conn: AsyncConnection, table: Table, tenant_id: int, row_id: int) -> bool:
    """Forget a row; False: there is none. Raises IntegrityError where another refers to it."""
    mine = table.c.tenant_id == tenant_id, table.c.id == row_id
    return (await conn.execute(delete(table).where(*mine))).rowcount == 1
