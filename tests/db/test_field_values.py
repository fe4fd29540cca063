"""Typed values of contacts in a real database: as they come in, after an edit, after a field has changed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from support.imports import Lists, bring

from dialer.contacts import fields_store as store
from dialer.contacts.fields import FieldSpec, FieldType
from dialer.db import tables as t
from dialer.db.session import Database

CREDIT = FieldSpec("credit_end", "Конец кредита", "Credit ends", FieldType.DATE)
REVENUE = FieldSpec("revenue", "Выручка", "Revenue", FieldType.MONEY, minimum=0)
FILE = (
    "phone;Конец кредита;Выручка;Цвет\n"
    "89160000001;31.12.2026;1 000,50;красный\n"
    "89160000002;скоро;-5;\n"
    "89160000003;;7;\n"
)


@pytest.fixture
async def lists(database: Database, tmp_path: Path) -> Lists:
    """Two empty lists."""
    return await Lists.open(database, tmp_path)


async def add(database: Database, spec: FieldSpec) -> int:
    """A field, made as the service makes it."""
    async with database.tenant(1) as conn:
        await store.lock_fields(conn, 1)
        return await store.add_field(conn, 1, spec)


async def read_all(database: Database, size: int = 2) -> None:
    """Read what is still to be read, in small steps."""
    while True:
        async with database.tenant(1) as conn:
            field = await store.next_untyped(conn, 1)
            if field is None:
                return
            await store.type_next(conn, 1, field, size)


async def values(database: Database, field_id: int) -> list[Any]:
    """The field's values in the order of the contacts, whatever they are."""
    c = t.contact_value.c
    async with database.tenant(1) as conn:
        rows = await conn.execute(
            select(c.number, c.day, c.text).where(c.field_id == field_id).order_by(c.contact_id)
        )
        return [next(one for one in row if one is not None) for row in rows]


async def load(lists: Lists) -> int:
    """Bring the file in; the import's id."""
    job = await bring(lists.service, lists.database, lists.settings, lists.spring, FILE.encode())
    assert job.counts.loaded == 3
    return job.id


async def test_an_import_writes_values_and_tells_what_does_not_fit(lists: Lists) -> None:
    """Values are typed with the contacts; a bad one is a reject of its cell, and its text is kept."""
    credit, revenue = [await add(lists.database, spec) for spec in (CREDIT, REVENUE)]
    job_id = await load(lists)
    assert await values(lists.database, credit) == [date(2026, 12, 31)]
    assert await values(lists.database, revenue) == [1000.5, 7]
    async with lists.database.tenant(1) as conn:
        found = await conn.execute(
            select(t.import_reject.c.row, t.import_reject.c.column, t.import_reject.c.code)
            .where(t.import_reject.c.import_id == job_id)
            .order_by(t.import_reject.c.column)
        )
        assert [tuple(row) for row in found] == [
            (2, "Выручка", "range"),
            (2, "Конец кредита", "date"),
        ]
        misfits = await store.page_of_misfits(conn, 1, credit, after=None, limit=10)
        custom = await conn.scalar(select(t.contact.c.custom).where(t.contact.c.id == misfits[0].contact_id))
        assert custom is not None
        assert misfits[0].value == custom["Конец кредита"] == "скоро"


async def test_a_field_made_later_finds_what_is_there(lists: Lists) -> None:
    """The values of contacts that came before are read afterwards, in steps, and those of newer ones with
    them: none is read twice or left out."""
    await load(lists)
    revenue = await add(lists.database, REVENUE)
    await lists.bring(lists.summer, "89160000009;;Новый\n")
    assert await values(lists.database, revenue) == []
    await read_all(lists.database)
    assert await values(lists.database, revenue) == [1000.5, 7]
    async with lists.database.tenant(1) as conn:
        (field,) = await store.fields(conn, 1)
        assert field.ready
        assert await store.count_misfits(conn, 1) == {revenue: 1}


async def test_another_type_reads_all_values_anew(lists: Lists) -> None:
    """After a change from money to text every value is a text, and nothing misfits any more."""
    revenue = await add(lists.database, REVENUE)
    await load(lists)
    async with lists.database.tenant(1) as conn:
        await store.lock_fields(conn, 1)
        spec = FieldSpec("revenue", "Выручка", "Revenue", FieldType.TEXT)
        await store.change_field(conn, 1, revenue, spec, archived=False, retype=True)
    await read_all(lists.database, size=1)
    assert await values(lists.database, revenue) == ["1 000,50", "-5", "7"]
    async with lists.database.tenant(1) as conn:
        assert await store.count_misfits(conn, 1) == {}


async def test_an_archived_field_has_no_values(lists: Lists) -> None:
    """Its texts stay with the contacts, its values go."""
    revenue = await add(lists.database, REVENUE)
    await load(lists)
    async with lists.database.tenant(1) as conn:
        await store.lock_fields(conn, 1)
        await store.change_field(conn, 1, revenue, REVENUE, archived=True, retype=True)
    await read_all(lists.database)
    assert await values(lists.database, revenue) == []


async def test_an_edit_reads_the_contact_anew(lists: Lists) -> None:
    """What a person writes on the card is in the values at once; others' stay as they are."""
    revenue = await add(lists.database, REVENUE)
    await load(lists)
    async with lists.database.tenant(1) as conn:
        second = (await store.page_of_misfits(conn, 1, revenue, after=None, limit=1))[0].contact_id
        await conn.execute(update(t.contact).where(t.contact.c.id == second).values(custom={"revenue": "12"}))
        assert await store.rewrite_values(conn, 1, [second]) == {}
    assert await values(lists.database, revenue) == [1000.5, 12, 7]
