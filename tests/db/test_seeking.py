"""A person is found by what a caller has keyed in, under row security and by an index."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select
from support.floor import Floor
from support.people import Ground, ground, person

from dialer.contacts import fields_store, known
from dialer.contacts.fields import FieldSpec, FieldType
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import NotFound
from dialer.inbound import seeking

FIELDS = (
    FieldSpec("account", "Лицевой счёт", "Account", FieldType.TEXT),
    FieldSpec("order_no", "Заказ", "Order", FieldType.NUMBER),
    FieldSpec("born_on", "Родился", "Born on", FieldType.DATE),
)


@pytest.fixture
async def place(database: Database) -> Ground:
    """A list, and fields of the tenant's own."""
    async with database.tenant(1) as conn:
        await fields_store.lock_fields(conn, 1)
        for one in FIELDS:
            await fields_store.add_field(conn, 1, one)
        return await ground(conn)


async def made(database: Database, place: Ground, n: int, **more: Any) -> int:
    """Person n, with the values of their fields read."""
    async with database.tenant(1) as conn:
        contact_id = await person(conn, place, [f"+7916000000{n}"], **more)
        await fields_store.rewrite_values(conn, 1, [contact_id])
        return contact_id


async def found(database: Database, by: str, value: str) -> int | None:
    """Whom the tenant's role finds."""
    async with database.tenant(1) as conn:
        return await seeking.find(conn, 1, by, value, "RU")


@pytest.mark.parametrize(
    ("by", "value"),
    [
        ("phone", "8 916 000-00-01"),
        ("email", " ANNA@example.org "),
        ("external_id", "crm-17"),
        ("account", "А 123"),
        ("order_no", "1 234,5"),
        ("born_on", "05.04.1980"),
    ],
)
async def test_a_person_is_found_as_the_value_is_written(
    database: Database, place: Ground, by: str, value: str
) -> None:
    """Spaces, the size of letters and the form of numbers and days do not matter; another is not found."""
    custom = {"Лицевой счёт": "а 123", "Заказ": "1234.5", "Родился": date(1980, 4, 5).isoformat()}
    anna = await made(database, place, 1, email="Anna@Example.org", external_id="crm-17", custom=custom)
    await made(database, place, 2, email="b@example.org", external_id="crm-18")
    assert await found(database, by, value) == anna
    assert await found(database, by, "1") is None


async def test_a_person_is_found_by_id(database: Database, place: Ground) -> None:
    """What is no id is nobody's, however long."""
    anna = await made(database, place, 1)
    assert await found(database, "id", f" {anna}") == anna
    for wrong in ("", "-1", "x", "9" * 19, "9" * 40, "٣"):
        assert await found(database, "id", wrong) is None


async def test_of_several_the_last_called_is_found(floor: Floor) -> None:
    """Of those who were never called the newest; nobody who is erased."""
    async with floor.database.tenant(1) as conn:
        old, new = [
            await person(
                conn, Ground(floor.list_id, (floor.campaign_id,), floor.trunk_id), [number], email="a@b.cd"
            )
            for number in ("+79160000001", "+79160000002")
        ]
    assert await found(floor.database, "email", "a@b.cd") == new
    (lead_id,) = await floor.leads(1)
    async with floor.database.tenant(1) as conn:
        called = await conn.scalar(select(t.lead.c.contact_id).where(t.lead.c.id == lead_id))
        await conn.execute(t.contact.update().where(t.contact.c.id == called).values(email="a@b.cd"))
        await conn.execute(t.contact.update().where(t.contact.c.id == old).values(email="a@b.cd"))
    await floor.hang_up(await floor.place(lead_id))
    last = await made(floor.database, Ground(floor.list_id, (), 0), 9, email="a@b.cd")
    assert called is not None
    assert last > called
    assert await found(floor.database, "email", "a@b.cd") == called
    async with floor.database.tenant(1) as conn:
        await conn.execute(
            t.contact.update().where(t.contact.c.id == called).values(erased_at=t.contact.c.created_at)
        )
    assert await found(floor.database, "email", "a@b.cd") == last


async def test_a_field_that_is_not_there_fails(database: Database, place: Ground) -> None:
    """A flow that asks for it goes on from `failed`, and the log says why."""
    with pytest.raises(NotFound, match="colour"):
        await found(database, "colour", "red")


async def test_a_card_has_fields_by_their_keys(database: Database, place: Ground) -> None:
    """A flow says `contact.account`, whatever the file's header was."""
    custom = {"Лицевой счёт": "А 123", "Цвет": "красный"}
    anna = await made(database, place, 1, first_name="Анна", middle_name="Петровна", custom=custom)
    async with database.tenant(1) as conn:
        card = await known.card(conn, 1, anna)
    assert (card["name"], card["account"], card["Цвет"]) == ("Анна Петровна", "А 123", "красный")


async def test_an_index_serves_each(database: Database, place: Ground) -> None:
    """Under row security too, or a lookup among a million would keep a caller waiting."""
    keys = {"id": "id", "email": "email_key", "external_id": "external_id"}
    asked: list[tuple[Any, str, dict[str, int]]] = [
        (one, keys[by], {}) for by, one in seeking._BY_COLUMN.items()
    ]
    asked += [(one, column, {"field_id": 1}) for column, one in seeking._BY_FIELD.items()]
    values: dict[str, Any] = {"id": 1, "number": 1.0, "day": date(2026, 1, 1)}
    async with database.tenant(1) as conn:
        await conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, column, more in asked:
            (plan,) = await statement.explain(
                conn, tenant_id=1, most=9, value=values.get(column, "x"), **more
            )
            looked = re.findall(r'"Index Cond": "([^"]*)"', json.dumps(plan).replace('\\"', "'"))
            assert any(f"{column} =" in one for one in looked), plan
