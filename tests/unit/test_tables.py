"""What every table of the schema must be."""

from __future__ import annotations

from sqlalchemy import Table

from dialer.db import tables as t

TENANTS = [table for table in t.metadata.tables.values() if "tenant_id" in table.c]


def refers(table: Table, seen: frozenset[Table] = frozenset()) -> bool:
    """Whether each row's tenant exists by a reference, or by the row of another table that each row has."""
    for one in table.foreign_key_constraints:
        local = [column.name for column in one.columns]
        if "tenant_id" not in local or any(column.nullable for column in one.columns):
            continue
        other = one.referred_table
        if other is t.tenant or (other not in seen and refers(other, seen | {table})):
            return True
    return False


def test_the_tenant_of_every_row_exists() -> None:
    """A reference to the tenant may be left out only where another one, which no row lacks, implies it."""
    assert len(TENANTS) > 50
    assert [table.name for table in TENANTS if not refers(table)] == []


def test_what_is_implied_is_not_said_twice() -> None:
    """Tables that millions of rows come into at once have no reference of their own to the tenant: each costs
    a look into another table a row."""
    for table in (t.contact_phone, t.list_contact, t.lead):
        assert not [one for one in table.c.tenant_id.foreign_keys if one.column.table is t.tenant], table.name
