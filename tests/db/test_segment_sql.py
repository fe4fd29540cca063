"""The database's answer to a segment is what the segment means."""

from __future__ import annotations

import json
import random

import pytest
from sqlalchemy import func, select, update
from support.floor import TENANT
from support.segments import NOW, TODAY, ZONE, Base, populate, random_expression

from dialer.contacts.segments import document, parse
from dialer.contacts.segments_meaning import matches
from dialer.contacts.segments_sql import Compiler
from dialer.db import tables as t
from dialer.db.session import Database

Said = dict[str, object]

PEOPLE, EXPRESSIONS = 120, 500


async def answer(database: Database, base: Base, said: object) -> list[int]:
    """Whom the database finds."""
    compiler = Compiler(TENANT, base.known, TODAY, ZONE, NOW)
    async with database.tenant(TENANT) as conn:
        found = list(await conn.scalars(compiler.ids(parse(said, base.known))))
    assert len(found) == len(set(found)), "somebody twice"
    return sorted(found)


@pytest.mark.parametrize("seed", [1, 2])
async def test_sql_and_meaning_agree(database: Database, seed: int) -> None:
    """Random expressions over random people: the same people by SQL as by the meaning, nobody twice."""
    base = await populate(database, PEOPLE, seed)
    dice = random.Random(seed)
    somebody = everybody = 0
    for _ in range(EXPRESSIONS // 2):
        said = random_expression(base, dice)
        expression = parse(said, base.known)
        assert parse(json.loads(json.dumps(document(expression))), base.known) == expression
        meant = sorted(
            contact_id
            for contact_id, person in base.people.items()
            if matches(expression, person, base.known, TODAY, ZONE)
        )
        assert await answer(database, base, said) == meant, json.dumps(said, ensure_ascii=False)
        somebody += 0 < len(meant) < PEOPLE
        everybody += len(meant) == PEOPLE
    # The test is about something: half of the expressions part the people.
    assert somebody > EXPRESSIONS // 6
    assert everybody > 0


async def test_the_erased_are_in_no_segment(database: Database) -> None:
    """Neither in one that they fit, nor among the others of one that they do not."""
    base = await populate(database, 5, 1)
    gone = min(base.people)
    async with database.tenant(TENANT) as conn:
        await conn.execute(update(t.contact).where(t.contact.c.id == gone).values(erased_at=func.now()))
    rest = sorted(set(base.people) - {gone})
    everybody: Said = {"all": []}
    others: Said = {"not": {"field": "list", "op": "in", "value": [999]}}
    tests: list[Said] = [{"field": name, "op": "ge", "value": 0} for name in ("attempts", "talks")]
    for one in (everybody, others, {"any": tests}):
        assert await answer(database, base, one) == rest


async def test_no_other_tenant_is_asked(database: Database) -> None:
    """Each part of the statement names the tenant: row security is the second lock, not the only one."""
    base = await populate(database, 20, 3)
    compiler = Compiler(TENANT + 1, base.known, TODAY, ZONE, NOW)
    some: list[Said] = [
        {"all": []},
        {"field": "custom.car", "op": "is_set"},
        {"field": "zone", "op": "not_in", "value": ["x"]},
    ]
    for said in some:
        async with database.tenant(TENANT) as conn:
            assert list(await conn.scalars(compiler.ids(parse(said, base.known)))) == []


async def test_the_activity_is_counted_from_attempts(database: Database) -> None:
    """Whom nobody called has no row."""
    base = await populate(database, 60, 4)
    async with database.tenant(TENANT) as conn:
        rows = await conn.execute(select(t.contact_activity))
        found = {row.contact_id: (row.attempts, row.talks, row.last_result) for row in rows}
    assert found == {
        contact_id: (person["attempts"], person["talks"], person.get("last_result"))
        for contact_id, person in base.people.items()
        if person["attempts"]
    }
