"""What every table is made of."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    func,
)
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


def one_of(column: str, words: Sequence[str], name: str | None = None) -> CheckConstraint:
    """A CHECK that the column holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=name or column)


def time_at(name: str, *, null: bool = True) -> Column[object]:
    """A moment."""
    return Column(name, DateTime(timezone=True), nullable=null)


def now_at(name: str = "created_at") -> Column[object]:
    """The moment at which the row was written."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def tenant_table(
    name: str, *columns: SchemaItem, key: Sequence[str] = ("id",), fillfactor: int | None = None
) -> Table:
    """A business table: `tenant_id` first, and first in the primary key.

    Its tenant exists: a reference says so, its own or, where each row has one, that to another such table. A
    reference costs a look into another table for each row that is written. `fillfactor` leaves room in each
    page for the new versions of rows that are written all the time.
    """
    always = {one.name for one in columns if isinstance(one, Column) and not one.nullable} | {"tenant_id"}
    implied = any(
        isinstance(one, ForeignKeyConstraint) and always.issuperset(one.column_keys) for one in columns
    )
    tenant = () if implied else (ForeignKey("tenant.id"),)
    return Table(
        name,
        metadata,
        Column("tenant_id", Integer, *tenant, nullable=False),
        *columns,
        PrimaryKeyConstraint("tenant_id", *key),
        postgresql_with={"fillfactor": fillfactor} if fillfactor else {},
    )


def money(name: str, *, null: bool = True, default: str | None = None) -> Column[object]:
    """An amount in the currency of the tariffs; wide enough for any sum of what the API takes."""
    return Column(name, Numeric(20, 4), nullable=null, server_default=default)


def id_column() -> Column[int]:
    """A number of its own for each row."""
    return Column("id", BigInteger, Identity(), nullable=False)


def ref(table: str, column: str, *, on_delete: str | None = None) -> ForeignKeyConstraint:
    """To a row of another table of the same tenant."""
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete=on_delete
    )
