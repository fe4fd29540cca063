"""Two contacts made one, and two again, with a real database: nothing is lost on the way."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from sqlalchemy import insert, select
from support.base import Base
from support.floor import TENANT

from dialer.clock import utc_now
from dialer.contacts import merging
from dialer.db import tables as t
from dialer.db.session import Database, driver_of

#: What a merge is told in, and what is made anew from contacts.
TOLD = {"contact_merge", *merging.DERIVED}
NUMBERS = [f"+7916000000{n}" for n in range(6)]


async def dump(database: Database) -> dict[str, list[str]]:
    """Every row of every table of the tenant."""
    found = {}
    async with database.tenant(TENANT) as conn:
        for name, table in t.metadata.tables.items():
            if "tenant_id" in table.c and name not in TOLD:
                rows = await driver_of(conn).fetch(f'SELECT to_jsonb(r) AS row FROM "{name}" r')
                found[name] = sorted(json.dumps(row["row"], sort_keys=True) for row in rows)
    return found


async def do(database: Database, kept: int, gone: int, take: tuple[str, ...] = ()) -> int:
    """Merge two contacts; the id of the merge."""
    async with database.tenant(TENANT) as conn:
        rows = await merging.lock(conn, TENANT, [kept, gone])
        new = merging.chosen(rows[kept], rows[gone], take)
        return await merging.merge(conn, TENANT, rows[kept], rows[gone], new, None)


async def take_back(database: Database, merge_id: int) -> None:
    """Undo a merge."""
    async with database.tenant(TENANT) as conn:
        c = t.contact_merge.c
        row = (await conn.execute(select(c.record, c.survivor_id).where(c.id == merge_id))).one()
        await merging.lock(conn, TENANT, [row.survivor_id])
        await merging.undo(conn, TENANT, row.record, row.survivor_id)


async def some_contact(base: Base, dice: random.Random, lists: list[int], campaigns: list[int]) -> int:
    """A contact with rows in every table that has some of a contact."""

    def text() -> str:
        return dice.choice(["", "а", "Б", 'q"\\'])

    numbers = dice.sample(NUMBERS, dice.randint(1, 4))
    contact_id = await base.contact(
        text(), *numbers, first_name=text(), email=text(), timezone=dice.choice([None, "Europe/Moscow"]),
        custom=dict.fromkeys(dice.sample(["VIN", "б", "в"], dice.randint(0, 3)), text()),
    )  # fmt: skip
    key = {"tenant_id": TENANT, "contact_id": contact_id}
    for number in numbers:
        for campaign_id in campaigns:
            async with base.database.tenant(TENANT) as conn:
                taken = await conn.scalar(
                    select(t.lead.c.id).where(t.lead.c.campaign_id == campaign_id, t.lead.c.e164 == number)
                )
            if taken is None and dice.random() < 0.7:
                status = dice.choice(t.LEAD_STATUSES)
                lead_id = await base.lead(
                    contact_id, number, campaign_id=campaign_id, status=status, attempts=dice.randint(0, 2),
                    hold="retry" if status == "waiting" else None,
                    closed_reason="sale" if status == "closed" else None,
                    last_result=dice.choice([None, "answered", "busy"]),
                )  # fmt: skip
                attempt_id = await base.call(
                    number, "busy", campaign_id=campaign_id, lead_id=lead_id, contact_id=contact_id
                )
                values = {"attempt_id": attempt_id, "path": f"{attempt_id}.wav", "started_at": utc_now()}
                async with base.database.tenant(TENANT) as conn:
                    await conn.execute(insert(t.recording).values(tenant_id=TENANT, **values))
    consent = {"purpose": "service", "source": "form", "valid_from": utc_now()}
    event = {"at": utc_now(), "kind": "created", "detail": {"a": [1, None]}}
    async with base.database.tenant(TENANT) as conn:
        for list_id in dice.sample(lists, dice.randint(0, len(lists))):
            await conn.execute(insert(t.list_contact).values(list_id=list_id, **key))
        await conn.execute(insert(t.consent).values(**key, **consent))
        await conn.execute(insert(t.contact_event).values(**key, **event))
    return contact_id


async def places(base: Base) -> tuple[list[int], list[int]]:
    """More lists and campaigns."""
    async with base.database.tenant(TENANT) as conn:
        lists = [
            await conn.scalar(
                insert(t.contact_list).values(tenant_id=TENANT, name=name).returning(t.contact_list.c.id)
            )
            for name in ("Б", "В")
        ]
        values = {"tenant_id": TENANT, "name": "Лето", "policy": "default"}
        other = await conn.scalar(insert(t.campaign).values(values).returning(t.campaign.c.id))
    return [one for one in lists if one], [base.floor.campaign_id, other or 0]


@pytest.mark.parametrize("seed", range(12))
async def test_undone_a_merge_has_never_been(database: Database, seed: int) -> None:
    """Merges of random contacts, undone in the reverse order, leave every row of every table as it was."""
    dice = random.Random(seed)
    base = await Base.open(database)
    lists, campaigns = await places(base)
    people = [await some_contact(base, dice, lists, campaigns) for _ in range(4)]
    states, merges = [], []
    while len(people) > 1:
        states.append(await dump(database))
        kept, gone = dice.sample(people, 2)
        people.remove(gone)
        take = tuple(dice.sample([*merging.FIELDS, "custom.VIN", "custom.б"], 3))
        merges.append(await do(database, kept, gone, take))
        now = await dump(database)
        assert now != states[-1]
        assert not [row for rows in now.values() for row in rows if json.loads(row).get("contact_id") == gone]
    for merge_id, before in zip(reversed(merges), reversed(states), strict=True):
        await take_back(database, merge_id)
        assert await dump(database) == before


async def test_what_a_merge_makes(database: Database) -> None:
    """The survivor has both contacts' numbers, its own first, each once; both lists; what it lacked."""
    base = await Base.open(database)
    kept = await base.contact("Иванов", NUMBERS[0], NUMBERS[1], custom={"VIN": "", "город": "Омск"})
    gone = await base.contact(
        "Иванова", NUMBERS[2], NUMBERS[1], first_name="Анна", email="a@b.example",
        custom={"VIN": "XTA", "город": "Тула"},
    )  # fmt: skip
    call = await base.call(NUMBERS[2], "busy", contact_id=gone)
    await do(database, kept, gone, ("last_name", "custom.город"))
    (row,) = await base.rows(t.contact, "id", "last_name", "first_name", "email", "custom")
    assert row == (kept, "Иванова", "Анна", "a@b.example", {"VIN": "XTA", "город": "Тула"})
    phones = await base.rows(t.contact_phone, "position", "e164", contact_id=kept)
    assert sorted(phones) == [(1, NUMBERS[0]), (2, NUMBERS[1]), (3, NUMBERS[2])]
    assert await base.rows(t.attempt, "id", "contact_id") == [(call, kept)]
    assert await base.rows(t.list_contact, "contact_id") == [(kept,)]


@pytest.mark.parametrize(
    ("first", "second", "after"),
    [
        (("new", 0, None), ("new", 0, None), ["new", "duplicate"]),
        (("waiting", 1, "busy"), ("waiting", 2, "busy"), ["duplicate", "waiting"]),
        (("new", 0, None), ("dialling", 1, None), ["duplicate", "dialling"]),
        (("dialling", 1, None), ("offered", 0, None), ["dialling", "offered"]),
        (("closed", 3, "busy"), ("new", 0, None), ["closed", "new"]),
        (("closed", 3, "answered"), ("new", 0, None), ["closed", "duplicate"]),
    ],
)
async def test_one_lead_of_a_campaign_stays_open(
    database: Database, first: tuple[Any, ...], second: tuple[Any, ...], after: list[str]
) -> None:
    """Nobody is called as two people: the lead that goes on stays, else the one that was tried most; whoever
    was talked to is called no more. What is being called is left alone."""
    base = await Base.open(database)
    contacts = [await base.contact("А", NUMBERS[0]), await base.contact("А", NUMBERS[1])]
    for contact_id, number, (status, attempts, result) in zip(
        contacts, NUMBERS, (first, second), strict=False
    ):
        await base.lead(contact_id, number, status=status, attempts=attempts, last_result=result)
    await do(database, contacts[0], contacts[1])
    rows = await base.rows(t.lead, "status", "closed_reason")
    assert [reason or status for status, reason in rows] == after


async def test_what_happened_since_stays(database: Database) -> None:
    """After an undo the survivor keeps what it got after the merge: changed fields, new calls, a lead that
    somebody has opened again."""
    base = await Base.open(database)
    kept = await base.contact("Иванов", NUMBERS[0])
    gone = await base.contact("Иванов", NUMBERS[1], first_name="Анна", email="a@b.example")
    lead = await base.lead(kept, NUMBERS[0], attempts=0)
    await base.lead(gone, NUMBERS[1], attempts=1)
    merge_id = await do(database, kept, gone)
    call = await base.call(NUMBERS[0], "busy", contact_id=kept)
    async with database.tenant(TENANT) as conn:
        await conn.execute(t.contact.update().values(first_name="Ольга"))
        await conn.execute(t.lead.update().where(t.lead.c.id == lead).values(closed_reason="do_not_call"))
    await take_back(database, merge_id)
    assert await base.rows(t.contact, "id", "first_name", "email") == [
        (kept, "Ольга", ""),
        (gone, "Анна", "a@b.example"),
    ]
    assert await base.rows(t.attempt, "id", "contact_id") == [(call, kept)]
    assert await base.rows(t.lead, "closed_reason", id=lead) == [("do_not_call",)]


def test_every_table_of_a_contact_takes_part() -> None:
    """A table with a `contact_id` is moved, or is one that is made anew."""
    named = {name for name, table in t.metadata.tables.items() if "contact_id" in table.c}
    assert {each.name for each in merging.MOVING} == named - merging.DERIVED
    assert named >= merging.DERIVED
    assert {"attempt", "consent", "contact_event", "contact_phone", "lead", "list_contact"} <= named
