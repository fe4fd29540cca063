"""Consents that come with a file, with a real database under row security."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from support.floor import Floor
from support.imports import BOSS, Lists, bring

from dialer.clock import utc_now
from dialer.contacts import consents
from dialer.contacts.dryrun import dry_run
from dialer.contacts.model import Counts
from dialer.db import tables as t
from dialer.db.session import Database

HEADER = "Телефон;Имя;Согласие на;Источник согласия;Дата согласия;Согласие до\n"
ROWS = (
    "89160000001;Анна;реклама, сервис;анкета;01.03.2026;31.12.2030\n"  # known
    "89160000002;Иван;сервис;договор;;\n"  # new
    "89160000003;Пётр;да;анкета;;\n"  # new; to what?
    "89160000002;Иван;сервис;договор;;\n"  # stood higher
    "89160000004;Олег;;анкета;;\n"  # new; nothing agreed
    "89160000005;Нина;любые;разговор;;01.01.2020\n"  # new; over before it is written down
)
CODES = [(3, "Согласие на", "consent_purpose", "да"), (6, "Согласие до", "consent_over", "2020-01-01")]


@pytest.fixture
async def lists(database: Database, tmp_path: Path) -> Lists:
    """Two lists; Anna is in the summer's."""
    made = await Lists.open(database, tmp_path)
    await made.bring(made.summer, "89160000001;;Анна\n")
    return made


async def load(lists: Lists, rows: str = ROWS, campaign_id: int | None = None) -> Counts:
    """Bring rows into the spring's list."""
    content = (HEADER + rows).encode()
    job = await bring(lists.service, lists.database, lists.settings, lists.spring, content, campaign_id)
    return job.counts


async def on_record(database: Database) -> list[tuple[Any, ...]]:
    """The consents that there are: number, purpose, source, from, until."""
    c, p = t.consent.c, t.contact_phone.c
    query = (
        select(p.e164, c.purpose, c.source, c.valid_from, c.valid_until)
        .join(t.contact_phone, (p.tenant_id == c.tenant_id) & (p.contact_id == c.contact_id))
        .order_by(p.e164, c.purpose)
    )
    async with database.tenant(1) as conn:
        return [tuple(row) for row in await conn.execute(query)]


async def test_a_file_brings_consents(lists: Lists) -> None:
    """Of new people and of known ones, each once, with the days of the company's zone; what is wrong is told
    by row and column, and costs nobody."""
    before = utc_now()
    counts = await load(lists)
    assert counts == Counts(rows=6, loaded=4, joined=1, duplicates=1, consents=3, filled=counts.filled)
    first = (datetime(2026, 2, 28, 21, tzinfo=UTC), datetime(2030, 12, 31, 21, tzinfo=UTC))
    *anna, ivan = await on_record(lists.database)
    assert anna == [
        ("+79160000001", "advertising", "анкета", *first),
        ("+79160000001", "service", "анкета", *first),
    ]
    assert (ivan[:3], ivan[4]) == (("+79160000002", "service", "договор"), None)
    assert before <= ivan[3] <= utc_now()
    (job,) = await lists.service.imports(BOSS, lists.spring)
    rejects = [one for _, one in await lists.service.rejects(BOSS, job.id)]
    assert [(one.row, one.column, one.code.value, one.value) for one in rejects] == CODES


async def test_the_same_file_again_brings_none(lists: Lists) -> None:
    """Nor does it bring back what was withdrawn since; another source is another consent."""
    await load(lists)
    (anna,) = await lists.service.contacts(BOSS, number="89160000001")
    (ivan,) = await lists.service.contacts(BOSS, number="89160000002")
    async with lists.database.tenant(1) as conn:
        for contact in (anna.id, ivan.id):
            for one in (await consents.consents_of(conn, 1, [contact]))[contact]:
                await consents.withdraw(conn, 1, contact, one.id, None)
    assert (await load(lists)).consents == 0
    assert len(await on_record(lists.database)) == 3
    assert (await load(lists, "89160000002;Иван;сервис;анкета;;\n")).consents == 1


async def test_a_dry_run_tells_the_same(lists: Lists, tmp_path: Path) -> None:
    """As many consents and the same rejects as loading gives, with examples; on record it changes nothing."""
    path = tmp_path / "a.csv"
    path.write_bytes((HEADER + ROWS).encode())

    async def look() -> Any:
        return await dry_run(lists.database, lists.settings, 1, path, list_id=lists.spring)

    found = await look()
    assert [(one.row, one.agreed.purpose.value, one.agreed.source) for one in found.agreements] == [
        (1, "advertising", "анкета"),
        (1, "service", "анкета"),
        (2, "service", "договор"),
    ]
    (anna,) = await lists.service.contacts(BOSS, number="89160000001")
    assert [one.contact_id for one in found.agreements] == [anna.id, anna.id, None]
    assert [(one.row, one.column, one.code.value, one.value) for one in found.rejects] == CODES
    assert await on_record(lists.database) == []
    assert found.counts == await load(lists)
    assert (await look()).counts.consents == 0


async def test_leads_that_wait_for_a_consent_are_asked_anew(lists: Lists) -> None:
    """The lead of a known person that rests for a consent rests no more when a file brings one."""
    floor = await Floor.open(lists.database)
    await load(lists, "89160000001;Анна;;;;\n89160000002;Иван;;;;\n", floor.campaign_id)
    async with lists.database.tenant(1) as conn:
        await conn.execute(update(t.lead).values(hold="consent", open_from=datetime(2100, 1, 1, tzinfo=UTC)))
    await load(lists, "89160000001;Анна;сервис;анкета;;\n")
    async with lists.database.tenant(1) as conn:
        found = await conn.execute(select(t.lead.c.e164, t.lead.c.hold).order_by(t.lead.c.e164))
        assert [tuple(row) for row in found] == [("+79160000001", None), ("+79160000002", "consent")]
