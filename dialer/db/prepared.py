"""Statements that every call runs: compiled once, and put to the driver without anything between.

What SQLAlchemy does around a statement costs some ten times what the driver itself needs. For the fifty
statements of a call that is most of what a call costs, so these are written as `Prepared`; all others are
SQLAlchemy's, on the same connection and in the same transaction.

    HELD = Prepared("SELECT key FROM lease WHERE tenant_id = :tenant_id AND server = :server")
    keys = await HELD.column(conn, tenant_id=1, server="main")

Values are what the driver takes and gives: JSON goes in as text (see `dialer.db.session.encode_json`) and
comes out as what it holds.
"""

from __future__ import annotations

from typing import Any, cast

import asyncpg
from sqlalchemy import ClauseElement, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from dialer.db.session import driver_of

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class Row(asyncpg.Record):  # type: ignore[misc]
    """A row whose columns are attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    # asyncpg's own comparison (0.32) never lets go of a row whose class is not its own.
    def __eq__(self, other: object) -> bool:
        return tuple(self) == (tuple(other) if isinstance(other, Row) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = asyncpg.Record.__hash__


class Prepared:
    """One statement with named parameters (`:name`).

    Each method runs it in the transaction of `conn`. What it raises is the driver's own inside of that
    transaction, and outside what `Database.tenant` makes of it; KeyError where a parameter is missing.
    """

    __slots__ = ("_names", "sql")

    def __init__(self, statement: str | ClauseElement) -> None:
        asked = text(statement) if isinstance(statement, str) else statement
        compiled = cast("SQLCompiler", asked.compile(dialect=_DIALECT))
        #: as PostgreSQL gets it
        self.sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())

    def __repr__(self) -> str:
        return f"Prepared({self.sql!r})"

    async def rows(self, conn: AsyncConnection, **values: Any) -> list[Any]:
        """All rows."""
        found = await driver_of(conn).fetch(self.sql, *map(values.__getitem__, self._names), record_class=Row)
        return cast("list[Any]", found)

    async def row(self, conn: AsyncConnection, **values: Any) -> Any:
        """The first row, or None."""
        arguments = map(values.__getitem__, self._names)
        return await driver_of(conn).fetchrow(self.sql, *arguments, record_class=Row)

    async def value(self, conn: AsyncConnection, **values: Any) -> Any:
        """The first column of the first row; None where there is none."""
        return await driver_of(conn).fetchval(self.sql, *map(values.__getitem__, self._names))

    async def column(self, conn: AsyncConnection, **values: Any) -> list[Any]:
        """The first column of all rows."""
        return [row[0] for row in await self.rows(conn, **values)]

    async def run(self, conn: AsyncConnection, **values: Any) -> int:
        """How many rows it has touched."""
        said = await driver_of(conn).execute(self.sql, *map(values.__getitem__, self._names))
        return int(said.rpartition(" ")[2])

    async def explain(self, conn: AsyncConnection, **values: Any) -> Any:
        """Run it, and say how PostgreSQL went about it: what EXPLAIN (ANALYZE, FORMAT JSON) gives."""
        arguments = map(values.__getitem__, self._names)
        return await driver_of(conn).fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {self.sql}", *arguments)
