"""The SQL of saved mappings. Each function works in the transaction of `conn`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts.model import SavedMapping
from dialer.db import tables as t

_C = t.import_mapping.c


def _saved(row: Row[Any]) -> SavedMapping:
    return SavedMapping(row.id, row.name, row.columns, row.created_at, row.used_at)


async def add(
    conn: AsyncConnection, tenant_id: int, name: str, columns: Mapping[str, str], by: int | None
) -> int | None:
    """The id of a new mapping; None when there is one of this name."""
    values = {"tenant_id": tenant_id, "name": name, "columns": dict(columns), "created_by": by}
    new = insert(t.import_mapping).values(values).on_conflict_do_nothing().returning(_C.id)
    found: int | None = await conn.scalar(new)
    return found


async def get(conn: AsyncConnection, tenant_id: int, mapping_id: int) -> SavedMapping | None:
    """One mapping."""
    query = select(t.import_mapping).where(_C.tenant_id == tenant_id, _C.id == mapping_id)
    row = (await conn.execute(query)).one_or_none()
    return _saved(row) if row else None


async def page(
    conn: AsyncConnection, tenant_id: int, *, before: int | None, limit: int
) -> list[SavedMapping]:
    """Mappings, the newest first, from before the id `before`."""
    query = select(t.import_mapping).where(_C.tenant_id == tenant_id)
    if before is not None:
        query = query.where(_C.id < before)
    return [_saved(row) for row in await conn.execute(query.order_by(_C.id.desc()).limit(limit))]


async def last_used(conn: AsyncConnection, tenant_id: int, *, limit: int) -> list[SavedMapping]:
    """Mappings, the last used first; those that were never used after them, the newest first."""
    query = select(t.import_mapping).where(_C.tenant_id == tenant_id)
    order = _C.used_at.desc().nulls_last(), _C.id.desc()
    return [_saved(row) for row in await conn.execute(query.order_by(*order).limit(limit))]


async def change(
    conn: AsyncConnection, tenant_id: int, mapping_id: int, *, name: str, columns: Mapping[str, str]
) -> bool:
    """Give a mapping another name and other columns; False when another one has the name."""
    taken = select(_C.id).where(_C.tenant_id == tenant_id, _C.name == name, _C.id != mapping_id)
    if await conn.scalar(taken) is not None:
        return False
    await conn.execute(
        update(t.import_mapping)
        .where(_C.tenant_id == tenant_id, _C.id == mapping_id)
        .values(name=name, columns=dict(columns))
    )
    return True


async def remove(conn: AsyncConnection, tenant_id: int, mapping_id: int) -> bool:
    """Remove a mapping; False when there is none."""
    gone = delete(t.import_mapping).where(_C.tenant_id == tenant_id, _C.id == mapping_id)
    return (await conn.execute(gone)).rowcount == 1


async def touch(conn: AsyncConnection, tenant_id: int, mapping_id: int) -> None:
    """A file was brought in by it, now."""
    await conn.execute(
        update(t.import_mapping)
        .where(_C.tenant_id == tenant_id, _C.id == mapping_id)
        .values(used_at=func.now())
    )
