"""A dry run tells what the import then does, whatever is in the file."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from support.imports import BOSS, Lists

from dialer.contacts import batches, fields_store
from dialer.contacts.dryrun import DryRun, dry_run
from dialer.contacts.fields import FieldSpec, FieldType
from dialer.contacts.importing import run_next_import
from dialer.contacts.model import Counts, Wins
from dialer.contacts.spool import pieces
from dialer.db import tables as t
from dialer.db.session import Database

HEADER = (
    "Телефон;Телефон 2;Фамилия;Имя;E-mail;Внешний код;Город;Авто;"
    "Согласие на;Источник согласия;Дата согласия;Согласие до\n"
)
CITY = FieldSpec("city", "Город", "City", FieldType.CHOICE, ("город",), choices=("Омск", "Тверь"))
#: Rows of a batch: people meet in one, and in several.
BATCH = 4
WAYS: Sequence[str] = ("8{}", "+7 {}", "7{}", "8-{} доб. 12", "{}")


@pytest.fixture
async def lists(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lists:
    """Two lists, a field of the tenant's own, and small batches."""
    monkeypatch.setattr(batches, "BATCH_ROWS", BATCH)
    async with database.tenant(1) as conn:
        await fields_store.add_field(conn, 1, CITY)
    return await Lists.open(database, tmp_path)


def dirty(dice: random.Random, rows: int, first: int) -> str:
    """A file in which few people stand often, never written the same way twice."""

    def number() -> str:
        if dice.random() < 0.08:
            return dice.choice(("", "нет", "12-34", "89161234567890123"))
        return dice.choice(WAYS).format(f"916000{first + dice.randrange(30):04}")

    def one() -> str:
        several = f"{number()}, {number()}" if dice.random() < 0.1 else number()
        cells = (
            several,
            dice.choice(("", number())),
            dice.choice(("", "Иванов", "ИВАНОВ", "Петрова", "Соколов")),
            dice.choice(("", "Анна", "Пётр", "Петр")),
            dice.choice(("", "a@example.org", "b@example.org", "нет почты")),
            dice.choice(("", "A1", "B2")),
            dice.choice(("", "омск", "Тверь", "Пермь")),
            dice.choice(("", "Lada", "Kia")),
            dice.choice(("", "", "реклама", "сервис", "реклама, сервис", "любые", "да")),
            dice.choice(("анкета", "сайт", "")),
            dice.choice(("", "", "01.03.2026", "2026-04-01", "31.02.2026")),
            dice.choice(("", "", "31.12.2030", "01.01.2020")),
        )
        return ";".join(cells)

    return HEADER + "".join(f"{one()}\n" for _ in range(rows))


async def share_numbers(lists: Lists, dice: random.Random) -> None:
    """Some pairs of people have a number in common, one of them on a list or neither."""
    async with lists.database.tenant(1) as conn:
        for number in range(0, 60, 4):
            ids = await conn.scalars(
                insert(t.contact).returning(t.contact.c.id, sort_by_parameter_order=True),
                [{"tenant_id": 1, "last_name": name} for name in ("Сидоров", "Сидорова")],
            )
            phone = {"tenant_id": 1, "e164": f"+7916000{number:04}", "kind": "mobile", "timezones": []}
            for contact_id in ids:
                await conn.execute(insert(t.contact_phone).values(contact_id=contact_id, position=1, **phone))
                if dice.random() < 0.3:
                    list_id = dice.choice((lists.spring, lists.summer))
                    await conn.execute(
                        insert(t.list_contact).values(tenant_id=1, list_id=list_id, contact_id=contact_id)
                    )


async def foretold(lists: Lists, path: Path, wins: Wins, list_id: int | None) -> DryRun:
    """What a dry run says."""
    return await dry_run(lists.database, lists.settings, 1, path, list_id=list_id, wins=wins, limit=10_000)


async def done(lists: Lists, path: Path, wins: Wins, list_id: int) -> tuple[Any, Counter[Any]]:
    """What an import does: its counts and its rejects."""
    job = await lists.service.add_import(BOSS, list_id, path.name, pieces(path), wins=wins)
    assert await run_next_import(lists.database, lists.settings)
    ended = await lists.service.get_import(BOSS, job.id)
    assert ended.status.value == "done"
    found = [one for _, one in await lists.service.rejects(BOSS, job.id, limit=10_000)]
    return ended.counts, Counter((one.row, one.column, one.code, one.value) for one in found)


@pytest.mark.parametrize("seed", range(6))
async def test_a_dry_run_says_what_the_import_does(lists: Lists, tmp_path: Path, seed: int) -> None:
    """Counts and rejects to the last one, of three dirty files one after the other, each twice: into a list
    and another, with people whom the base has and without, some with one number, whoever wins."""
    dice, found = random.Random(seed), Counter[str]()
    await share_numbers(lists, dice)
    for turn, list_id in enumerate((lists.summer, lists.spring, lists.spring)):
        path = tmp_path / f"{turn}.csv"
        path.write_text(dirty(dice, 40, 15 * turn), encoding="utf-8")
        wins = dice.choice(list(Wins))
        for _ in range(2):
            said = await foretold(lists, path, wins, list_id)
            counts, rejects = await done(lists, path, wins, list_id)
            assert said.counts == counts
            assert Counter((one.row, one.column, one.code, one.value) for one in said.rejects) == rejects
            assert said.codes == Counter(code.value for _, _, code, _ in rejects.elements())
            assert len(said.new) == counts.loaded
            assert len(said.agreements) == counts.consents
            found.update({name: getattr(counts, name) for name in Counts.__slots__})
    assert min(found[name] for name in Counts.__slots__) > 0, "not everything was put to the test"


async def test_people_of_an_earlier_batch_are_known(lists: Lists, tmp_path: Path) -> None:
    """A row further down gives them what they lack, agrees to nothing twice, and brings a number that leads
    to them from then on; a list that is yet to be made is no other."""
    person = "89160000001;{};Иванов;{};;;;;сервис;анкета;01.03.2026;\n"
    others = "".join(f"8916000{n:04};;Козлов;;;;;;;;;\n" for n in range(100, 100 + BATCH))
    rows = (person.format("", ""), others, person.format("89160000002", "Пётр"), others)
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "".join(rows) + "89160000002;;;;a@example.org;;;;;;;\n", encoding="utf-8")
    said = await foretold(lists, path, Wins.BASE, None)
    counts, _ = await done(lists, path, Wins.BASE, lists.spring)
    assert said.counts == counts
    assert (counts.loaded, counts.duplicates, counts.filled, counts.consents) == (1 + BATCH, 2 + BATCH, 2, 1)
    assert [(one.row, one.contact_id, one.name, one.after) for one in said.filled] == [
        (BATCH + 2, None, "Иванов Пётр", "Пётр"),
        (BATCH + 2, None, "Иванов Пётр", "+79160000002"),
        (2 * BATCH + 3, None, "+79160000002", "a@example.org"),
    ]
