"""The SQL of grids: their bands, how many are in each cell, and the segments that cells became."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import segments_store
from dialer.contacts.rfm import Grid, bounds, cell, shares
from dialer.contacts.segments import AnyOf, document
from dialer.db import tables as t

_GRID = t.rfm_grid.c
#: A grid is counted so often.
COUNT_EVERY = timedelta(hours=6)


def _grid(row: Any) -> Grid:
    return Grid(
        row.id,
        row.name,
        row.money_field_id,
        row.day_field_id,
        row.money_bands,
        row.day_bands,
        tuple(row.money_bounds),
        tuple(row.day_bounds),
        tuple(map(tuple, row.counts)),
        row.without,
        row.counted_at,
    )


async def grids(conn: AsyncConnection, tenant_id: int) -> list[Grid]:
    """All grids by their names."""
    query = select(t.rfm_grid).where(_GRID.tenant_id == tenant_id).order_by(_GRID.name)
    return [_grid(row) for row in await conn.execute(query)]


async def get(conn: AsyncConnection, tenant_id: int, grid_id: int, *, lock: bool = False) -> Grid | None:
    """A grid."""
    query = select(t.rfm_grid).where(_GRID.tenant_id == tenant_id, _GRID.id == grid_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return _grid(row) if row else None


async def add(
    conn: AsyncConnection, tenant_id: int, name: str, money: tuple[int, int], days: tuple[int, int]
) -> int | None:
    """A new grid of these (field, bands); None when the name is taken."""
    taken = await conn.scalar(select(exists().where(_GRID.tenant_id == tenant_id, _GRID.name == name)))
    if taken:
        return None
    found = await conn.scalar(
        insert(t.rfm_grid)
        .values(
            tenant_id=tenant_id,
            name=name,
            money_field_id=money[0],
            money_bands=money[1],
            day_field_id=days[0],
            day_bands=days[1],
        )
        .returning(_GRID.id)
    )
    assert found is not None
    return int(found)


async def remove(conn: AsyncConnection, tenant_id: int, grid_id: int) -> bool:
    """Remove a grid; False while segments are its cells."""
    c = t.segment.c
    if await conn.scalar(select(exists().where(c.tenant_id == tenant_id, c.grid_id == grid_id))):
        return False
    await conn.execute(delete(t.rfm_grid).where(_GRID.tenant_id == tenant_id, _GRID.id == grid_id))
    return True


async def due(conn: AsyncConnection, tenant_id: int) -> list[int]:
    """Grids that were never counted, or too long ago."""
    stale = _GRID.counted_at.is_(None) | (_GRID.counted_at < func.now() - COUNT_EVERY)
    return list(await conn.scalars(select(_GRID.id).where(_GRID.tenant_id == tenant_id, stale)))


_BOTH = """
    FROM contact_value m
    JOIN contact_value d ON d.tenant_id = m.tenant_id AND d.contact_id = m.contact_id
    JOIN contact c ON c.tenant_id = m.tenant_id AND c.id = m.contact_id AND c.erased_at IS NULL
   WHERE m.tenant_id = :tenant_id AND m.field_id = :money AND m.number IS NOT NULL
     AND d.tenant_id = :tenant_id AND d.field_id = :days AND d.day IS NOT NULL
"""
_QUANTILES = text(f"""
    SELECT percentile_disc(CAST(:money_shares AS float8[])) WITHIN GROUP (ORDER BY m.number) AS money,
           percentile_disc(CAST(:day_shares AS float8[])) WITHIN GROUP (ORDER BY d.day) AS days,
           min(m.number) AS least, min(d.day) AS first
    {_BOTH}
""")
_MANY = text(f"SELECT count(*) {_BOTH}")
_CELLS = text(f"""
    SELECT width_bucket(m.number, CAST(:money_bounds AS float8[])) AS money,
           width_bucket(d.day, CAST(:day_bounds AS date[])) AS days, count(*) AS many
    {_BOTH}
    GROUP BY 1, 2
""")


async def recount(conn: AsyncConnection, tenant_id: int, grid_id: int) -> None:
    """Cut the bands anew, count the cells, and have the segments of its cells mean them."""
    grid = await get(conn, tenant_id, grid_id, lock=True)
    if grid is None:
        return
    who = {"tenant_id": tenant_id, "money": grid.money_field_id, "days": grid.day_field_id}
    many = await conn.scalar(_MANY, who) or 0
    money_shares, day_shares = [shares(one, max(many, 1)) for one in (grid.money_bands, grid.day_bands)]
    found = (
        await conn.execute(_QUANTILES, {**who, "money_shares": money_shares, "day_shares": day_shares})
    ).one()
    money = bounds(found.money or (), found.least)
    days = bounds(found.days or (), found.first)
    counts = [[0] * (len(days) + 1) for _ in range(len(money) + 1)]
    values = {**who, "money_bounds": list(money), "day_bounds": list(days)}
    for row in await conn.execute(_CELLS, values):
        counts[row.money][row.days] = row.many
    c = t.contact.c
    everybody = await conn.scalar(select(func.count()).where(c.tenant_id == tenant_id, c.erased_at.is_(None)))
    await conn.execute(
        update(t.rfm_grid)
        .where(_GRID.tenant_id == tenant_id, _GRID.id == grid_id)
        .values(
            money_bounds=list(money),
            day_bounds=list(days),
            counts=counts,
            without=(everybody or 0) - many,
            counted_at=func.now(),
        )
    )
    await _rewrite_cells(conn, tenant_id, grid_id)


async def keys(conn: AsyncConnection, tenant_id: int, grid: Grid) -> tuple[str, str]:
    """The keys of a grid's two fields."""
    c = t.custom_field.c
    rows = await conn.execute(
        select(c.id, c.key).where(
            c.tenant_id == tenant_id, c.id.in_((grid.money_field_id, grid.day_field_id))
        )
    )
    found = {row.id: row.key for row in rows}
    return found[grid.money_field_id], found[grid.day_field_id]


async def _rewrite_cells(conn: AsyncConnection, tenant_id: int, grid_id: int) -> None:
    grid = await get(conn, tenant_id, grid_id)
    assert grid is not None
    of = await keys(conn, tenant_id, grid)
    c = t.segment.c
    rows = await conn.execute(
        select(c.id, c.name, c.cell, c.expression)
        .where(c.tenant_id == tenant_id, c.grid_id == grid_id)
        .order_by(c.id)
        .with_for_update()
    )
    for row in rows.all():
        place = (row.cell[0], row.cell[1])
        # A band that is no more has nobody.
        meant = document(cell(grid, *of, *place) if place in grid.cells else AnyOf(()))
        if meant != row.expression:
            await segments_store.change(conn, tenant_id, row.id, row.name, meant)
