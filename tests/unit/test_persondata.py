"""No table with something of a person is forgotten in an export and an erasure."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import JSONB

from dialer.contacts.persondata import NOTHING_THERE, PLACES
from dialer.db.tables import metadata

#: Columns that name a contact or a number.
NAMING = {
    "contact_id",
    "e164",
    "first_id",
    "second_id",
    "survivor_id",
    "merged_id",
    "value",
    "note",
    "number",
}


def suspects() -> set[str]:
    """Tables that name a contact, a number or a cell, or keep JSON, in which anything may be."""
    return {
        table.name
        for table in metadata.tables.values()
        if "tenant_id" in table.c
        and any(column.name in NAMING or isinstance(column.type, JSONB) for column in table.c)
    }


def test_each_table_with_something_of_a_person_has_its_line() -> None:
    """A new table says in dialer/contacts/persondata.py what an erasure does with it, or why nothing."""
    known = {place.table.name for place in PLACES} | NOTHING_THERE.keys()
    assert suspects() - known == set()


def test_each_table_has_one_line() -> None:
    """And none is both cleared and said to hold nothing; none is named that is not there."""
    names = [place.table.name for place in PLACES]
    assert len(set(names)) == len(names)
    assert set(names) & NOTHING_THERE.keys() == set()
    assert NOTHING_THERE.keys() <= {table.name for table in metadata.tables.values()}
