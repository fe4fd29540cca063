"""Leads of the people of a file: made beside the writing of its next batch, with a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from support.floor import Floor
from support.imports import BOSS, Lists, bring, count, many, pieces

from dialer.contacts import batches, importing, importstore, owed, peoplestore
from dialer.contacts.importing import run_next_import
from dialer.contacts.model import Counts, ImportJob, ImportStatus
from dialer.contacts.owed import Beside, Owed
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable

#: Whether somebody waits for the transaction that asks.
WAITING = text("""
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))
""")

Pay = Callable[[AsyncConnection, int, ImportJob, Owed], Awaitable[int]]


@pytest.fixture
async def lists(database: Database, tmp_path: Path) -> Lists:
    """Two empty lists."""
    return await Lists.open(database, tmp_path)


@pytest.fixture
async def campaign_id(database: Database) -> int:
    """A campaign without leads."""
    return (await Floor.open(database)).campaign_id


async def leads_of(database: Database, campaign_id: int) -> list[str]:
    """The numbers of a campaign's leads, in the order of their people."""
    lead = t.lead.c
    async with database.tenant(1) as conn:
        query = select(lead.e164).where(lead.campaign_id == campaign_id).order_by(lead.contact_id)
        return list(await conn.scalars(query))


def before_paying(monkeypatch: pytest.MonkeyPatch, happens: Callable[[Owed], Awaitable[None]]) -> None:
    """Have something happen after a batch is written and before its leads are made."""
    real: Pay = owed.pay

    async def pay(conn: AsyncConnection, tenant_id: int, job: ImportJob, owing: Owed) -> int:
        await happens(owing)
        return await real(conn, tenant_id, job, owing)

    monkeypatch.setattr(owed, "pay", pay)


async def test_owed_leads_are_made_by_who_goes_on(
    lists: Lists, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the leads of a batch could not be made the import is not over; whoever goes on makes them, of the
    people of that file only, and the counts are those of an undisturbed import."""
    monkeypatch.setattr(batches, "BATCH_ROWS", 50)
    # Of the same list, and of no campaign.
    await lists.bring(lists.spring, "84951234567;;А\n")
    job = await lists.service.add_import(BOSS, lists.spring, "a.csv", pieces(many(120)), campaign_id)
    left = 1

    async def fail(_: Owed) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise DatabaseUnavailable(reason="it is away")

    with monkeypatch.context() as patched:
        before_paying(patched, fail)
        with pytest.raises(DatabaseUnavailable):
            await run_next_import(lists.database, lists.settings)
    half = await lists.service.get_import(BOSS, job.id)
    assert half.status is ImportStatus.RUNNING
    assert half.counts.loaded > len(await leads_of(lists.database, campaign_id)) == 50
    assert await run_next_import(lists.database, lists.settings)
    whole = await lists.service.get_import(BOSS, job.id)
    assert whole.status is ImportStatus.DONE
    assert whole.counts == Counts(rows=120, loaded=120)
    assert await leads_of(lists.database, campaign_id) == [f"+7916{n:07}" for n in range(120)]
    assert await count(lists.database, "import_owed") == 0


async def test_leads_have_the_priority_of_their_row(lists: Lists, campaign_id: int) -> None:
    """By a column with that name; what is none costs the priority and is told."""
    content = "phone;Приоритет\n89160000001;7\n89160000002;1,5\n89160000003;-2\n89160000004;\n".encode()
    job = await bring(lists.service, lists.database, lists.settings, lists.spring, content, campaign_id)
    assert job.counts.loaded == 4
    rejects = [one for _, one in await lists.service.rejects(BOSS, job.id)]
    assert [(one.row, one.column, one.code, one.value) for one in rejects] == [
        (2, "Приоритет", "priority", "1,5")
    ]
    async with lists.database.tenant(1) as conn:
        query = select(t.lead.c.priority).order_by(t.lead.c.contact_id)
        assert list(await conn.scalars(query)) == [7, 0, -2, 0]


async def test_what_happens_to_a_person_before_their_lead(
    lists: Lists, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was deleted in between gets no lead, whose number was taken away or found dead gets one of the
    next, and whose zone was corrected gets one of that zone."""

    async def change(_: Owed) -> None:
        async with lists.database.tenant(1) as conn:
            named = select(t.contact.c.id, t.contact.c.last_name)
            who = {name: contact_id for contact_id, name in await conn.execute(named)}
            phone, contact = t.contact_phone.c, t.contact.c
            await conn.execute(delete(t.contact).where(contact.id == who["Ушёл"]))
            first = phone.position == 1
            await conn.execute(delete(t.contact_phone).where(phone.contact_id == who["Сменил"], first))
            dead = update(t.contact_phone).where(phone.contact_id == who["Умолк"], first)
            await conn.execute(dead.values(dead_since=text("now()"), dead_reason="confirmed"))
            moved = update(t.contact).where(contact.id == who["Переехал"])
            await conn.execute(moved.values(timezone="Asia/Omsk"))

    before_paying(monkeypatch, change)
    rows = (
        "89160000001;;Остался\n89160000002;;Ушёл\n89160000003;89160000013;Сменил\n"
        "89160000004;89160000014;Умолк\n89160000005;;Переехал\n"
    )
    assert (await lists.bring(lists.spring, rows, campaign_id)).loaded == 5
    assert await leads_of(lists.database, campaign_id) == [
        "+79160000001", "+79160000013", "+79160000014", "+79160000005",
    ]  # fmt: skip
    async with lists.database.tenant(1) as conn:
        zones = await conn.scalar(select(t.lead.c.timezones).where(t.lead.c.e164 == "+79160000005"))
    assert zones == ["Asia/Omsk"]


async def test_leads_wait_for_who_changes_a_person(
    lists: Lists, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody has a person's card under a lock no lead is made of them; then it is of what is left."""
    changes: list[asyncio.Task[None]] = []

    async def change(locked: asyncio.Event) -> None:
        async with lists.database.tenant(1) as conn:
            await conn.execute(select(t.contact.c.id).with_for_update())
            locked.set()
            async with asyncio.timeout(60):
                # PostgreSQL tells nobody that somebody waits for him.
                while not await conn.scalar(WAITING):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await conn.execute(delete(t.contact_phone).where(t.contact_phone.c.position == 1))

    async def lock(_: Owed) -> None:
        locked = asyncio.Event()
        changes.append(asyncio.create_task(change(locked)))
        await locked.wait()

    before_paying(monkeypatch, lock)
    await lists.bring(lists.spring, "89160000001;89160000002;А\n", campaign_id)
    await asyncio.gather(*changes)
    assert await leads_of(lists.database, campaign_id) == ["+79160000002"]


async def test_two_files_of_a_campaign_make_leads_in_turns(lists: Lists, campaign_id: int) -> None:
    """Each has the other's people too, in another order: one waits for the other, and neither is ended."""
    database = lists.database
    await lists.bring(lists.spring, "84951234567;;А\n84951234568;;Б\n")
    jobs = [
        await lists.service.add_import(BOSS, lists.spring, f"{n}.csv", pieces(many(n)), campaign_id)
        for n in (1, 2)
    ]
    async with database.tenant(1) as conn:
        one, other = await conn.scalars(select(t.contact.c.id).order_by(t.contact.c.id))
        for job in jobs:
            for row in (1, 2):
                await owed.note(conn, 1, job.id, Owed(row, []))

    async def second() -> int:
        async with database.tenant(1) as conn:
            made = await owed.pay(conn, 1, jobs[1], Owed(1, [other]))
            return made + await owed.pay(conn, 1, jobs[1], Owed(2, [one]))

    async with database.tenant(1) as conn:
        assert await owed.pay(conn, 1, jobs[0], Owed(1, [one])) == 1
        waits = asyncio.create_task(second())
        async with asyncio.timeout(60):
            # PostgreSQL tells nobody that somebody waits for him.
            while not await conn.scalar(WAITING):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await owed.pay(conn, 1, jobs[0], Owed(2, [other])) == 1
    assert await waits == 0


async def test_work_beside_is_one_at_a_time() -> None:
    """What is begun waits for what was begun before, and what that has raised is heard by who begins next."""
    first, order = asyncio.Event(), list[str]()

    async def slow() -> None:
        await first.wait()
        order.append("slow")
        raise DatabaseUnavailable(reason="it is away")

    async def quick() -> None:
        order.append("quick")

    async with Beside() as beside:
        await beside.begin(slow())
        begins = asyncio.create_task(beside.begin(quick()))
        await asyncio.sleep(0)
        assert not begins.done()
        first.set()
        with pytest.raises(DatabaseUnavailable):
            await begins
        await beside.begin(quick())
    assert order == ["slow", "quick"]


async def test_priorities_of_a_file(lists: Lists, database: Database, campaign_id: int) -> None:
    """A column of priorities is that of the leads, whether the people are new or known; what is no number is
    none."""
    content = "phone;Приоритет\n89160000001;5\n89160000002;-7\n89160000003;скоро\n89160000004;\n".encode()
    for rows, where in ((content, None), (content, campaign_id)):
        await lists.service.add_import(BOSS, lists.spring, "a.csv", pieces(rows), where)
        assert await run_next_import(database, lists.settings)
    fresh = content.replace(b"8916", b"8926")
    await lists.service.add_import(BOSS, lists.spring, "b.csv", pieces(fresh), campaign_id)
    assert await run_next_import(database, lists.settings)
    async with database.tenant(1) as conn:
        query = select(t.lead.c.priority).order_by(t.lead.c.contact_id)
        assert list(await conn.scalars(query)) == [5, -7, 0, 0] * 2


async def test_rows_that_tell_nothing_are_not_compared(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is brought again takes no card in hand, but for those of whom a row says something new."""
    rows = "89160000001;84951234567;Анна\n89160000002;;Иван\\т\n89160000003;;\n"
    await lists.bring(lists.spring, rows)
    taken: list[int] = []
    real = peoplestore.cards

    async def cards(conn: AsyncConnection, tenant_id: int, ids: list[int], *, hold: bool = True) -> object:
        taken.extend(ids)
        return await real(conn, tenant_id, ids, hold=hold)

    monkeypatch.setattr(peoplestore, "cards", cards)
    assert await lists.bring(lists.spring, rows) == Counts(rows=3, duplicates=3)
    assert taken == []
    # Fewer values than the card has, and another number; a name where there is none; another name.
    more = "89160000001;;\n84951234567;89160000009;Анна\n89160000003;;Олег\n89160000002;;Пётр\n"
    assert await lists.bring(lists.spring, more) == Counts(rows=4, duplicates=4, filled=2)
    assert len(taken) == 3


async def test_a_claim_holds_however_long_its_file_takes(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction that has claimed a file is not ended for being silent, as others are after minutes."""
    claims: list[AsyncConnection] = []
    said: list[str] = []
    claim, note = importing.LOADER.claim, importstore.advance_import

    async def claimed(conn: AsyncConnection, tenant_id: int, import_id: int | None) -> ImportJob | None:
        claims.append(conn)
        await conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = '5min'"))
        return await claim(conn, tenant_id, import_id)

    async def asked(conn: AsyncConnection, tenant_id: int, import_id: int, *counts: Counts) -> bool:
        said.append(await claims[0].scalar(text("SHOW idle_in_transaction_session_timeout")))
        return await note(conn, tenant_id, import_id, *counts)

    monkeypatch.setattr(importstore, "advance_import", asked)
    job = await lists.service.add_import(BOSS, lists.spring, "a.csv", pieces(many(3)))
    loader = replace(importing.LOADER, claim=claimed)
    assert await loader.one(lists.database, lists.settings, 1, job.id)
    assert said == ["0"]
