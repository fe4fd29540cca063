"""A column of priorities in a file."""

from __future__ import annotations

import pytest

from dialer.contacts.columns import Field, columns_of
from dialer.contacts.files import Record
from dialer.contacts.rows import RowReader


@pytest.mark.parametrize("header", ["priority", "Приоритет"])
def test_a_column_of_priorities(header: str) -> None:
    """It is known by its name and kept as `priority`; what is no priority is named in the rejects."""
    columns = columns_of(["phone", header])
    assert [one.field for one in columns] == [Field.PHONE, Field.PRIORITY]
    reader = RowReader(columns, "RU")
    for cell in ("5", "+7", "-999", "0"):
        contact, rejects = reader.read(Record(1, ("89161234567", cell)))
        assert contact is not None
        assert (contact.custom, rejects) == ({"priority": cell}, [])
    for cell in ("9999999999999", "abc", "1,5", "--1"):
        contact, rejects = reader.read(Record(1, ("89161234567", cell)))
        assert contact is not None
        assert contact.custom == {}
        assert [(one.column, one.code.value, one.value) for one in rejects] == [(header, "priority", cell)]
    contact, rejects = reader.read(Record(1, ("89161234567", "")))
    assert (contact and contact.custom, rejects) == ({}, [])
