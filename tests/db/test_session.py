"""Transactions and what becomes of them when the database goes away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from dialer.db import tables as t
from dialer.db.prepared import Prepared
from dialer.db.session import Database, Door, connect, driver_of
from dialer.errors import DatabaseUnavailable

END_ALL = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def _names(database: Database) -> list[str]:
    async with database.tenant(1) as conn:
        return list(await conn.scalars(select(t.contact_list.c.name).order_by(t.contact_list.c.name)))


async def test_a_block_is_one_transaction(database: Database) -> None:
    """What was written stays when the block ends, and is undone when it raises."""
    async with database.tenant(1) as conn:
        await conn.execute(insert(t.contact_list).values(tenant_id=1, name="kept"))
    with pytest.raises(ZeroDivisionError):
        async with database.tenant(1) as conn:
            await conn.execute(insert(t.contact_list).values(tenant_id=1, name="undone"))
            _ = 1 / 0
    assert await _names(database) == ["kept"]


async def test_json_takes_times_and_ids(database: Database) -> None:
    """A payload may hold an aware time and a UUID; they come back as text."""
    at, key = datetime(2026, 3, 1, 9, 30, tzinfo=UTC), uuid4()
    async with database.tenant(1) as conn:
        row = {"tenant_id": 1, "kind": "test", "payload": {"at": at, "key": key, "имя": "Пётр"}}
        await conn.execute(insert(t.command).values(row))
        assert await conn.scalar(select(t.command.c.payload)) == {
            "at": at.isoformat(),
            "key": str(key),
            "имя": "Пётр",
        }


async def test_an_idle_pool_survives_a_restart_of_the_database(database: Database, owner_url: str) -> None:
    """Connections that the server closed while idle are replaced without an error."""
    app = await connect(owner_url.replace("dozvon_owner", "postgres"))
    await asyncio.gather(*(_names(database) for _ in range(5)))
    await app.execute(END_ALL)
    await app.close()
    assert await asyncio.gather(*(_names(database) for _ in range(5))) == [[]] * 5


async def test_a_lost_connection_is_one_clear_error(database: Database, database_url: str) -> None:
    """A transaction whose connection is ended raises DatabaseUnavailable, leaves nothing; the next works."""
    killer = await connect(database_url)
    with pytest.raises(DatabaseUnavailable):
        async with database.tenant(1) as conn:
            await conn.execute(insert(t.contact_list).values(tenant_id=1, name="lost"))
            pid = await conn.scalar(text("SELECT pg_backend_pid()"))
            await killer.execute("SELECT pg_terminate_backend($1, 5000)", pid)
            await conn.execute(text("SELECT 1"))
    await killer.close()
    assert await _names(database) == []


async def test_no_server_is_one_clear_error() -> None:
    """Where nothing listens, every use says DatabaseUnavailable."""
    nowhere = Database.open("postgresql://dozvon_app@/dozvon?host=/nonexistent", pool=1)
    with pytest.raises(DatabaseUnavailable):
        await nowhere.tenants()
    await nowhere.close()


async def test_what_waits_when_the_database_falls_silent_is_told_so(database: Database) -> None:
    """A question that has no answer ends with the database's absence, and so does what is asked after it,
    until it answers again; also where the driver was asked itself, as for every beginning."""
    asked = asyncio.Event()

    async def wait() -> None:
        async with database.tenant(1) as conn:
            asking = asyncio.create_task(driver_of(conn).execute("SELECT pg_sleep(60)"))
            await asyncio.sleep(0)  # its turn: the question is with the kernel
            asked.set()
            await asking

    waiting = asyncio.create_task(wait())
    await asked.wait()
    database.fall_silent("it has not answered for 3 s")
    async with asyncio.timeout(20):
        with pytest.raises(DatabaseUnavailable):
            await waiting
        with pytest.raises(DatabaseUnavailable):
            await _names(database)
        database.answers()
        assert await _names(database) == []


async def test_a_deadlock_is_one_clear_error(database: Database) -> None:
    """Of two transactions that wait for each other one ends with DatabaseUnavailable: to be tried again, like
    any other bad moment of the database, and no reason for a process to fall."""
    async with database.tenant(1) as conn:
        for name in ("one", "other"):
            await conn.execute(insert(t.contact_list).values(tenant_id=1, name=name))
    met = asyncio.Barrier(2)

    async def lock(*names: str) -> None:
        async with database.tenant(1) as conn:
            for name in names:
                await conn.execute(
                    select(t.contact_list.c.id).where(t.contact_list.c.name == name).with_for_update()
                )
                if name == names[0]:
                    await met.wait()

    ends = await asyncio.gather(lock("one", "other"), lock("other", "one"), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [DatabaseUnavailable]


async def test_a_former_primary_is_left(database_url: str) -> None:
    """A connection on which a write was refused as read-only is not used again: the next one is made anew,
    and reaches the primary of now."""
    database = Database.open(database_url, pool=2)
    both = asyncio.Barrier(2)

    async def becomes_a_standby() -> None:
        async with database.tenant(1) as conn:
            await both.wait()
            await conn.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))

    await asyncio.gather(becomes_a_standby(), becomes_a_standby())
    with pytest.raises(DatabaseUnavailable, match="read-only"):
        await _write(database, "refused")
    await asyncio.gather(_write(database, "one"), _write(database, "two"))
    assert await _names(database) == ["one", "two"]
    await database.close()


async def _write(database: Database, name: str) -> None:
    async with database.tenant(1) as conn:
        await conn.execute(insert(t.contact_list).values(tenant_id=1, name=name))


@pytest.mark.parametrize("when", ["as it is made", "before it is used"])
async def test_connections_that_end_at_once_are_one_clear_error(database_url: str, when: str) -> None:
    """A database that ends each connection before it can be used is away, and no mistake of ours."""
    door = ClosingDoor(database_url) if when == "as it is made" else Door(database_url)
    database = Database(door, pool=1)

    def end(raw: Any, _entry: ConnectionPoolEntry) -> None:
        raw.driver_connection.terminate()

    if when == "before it is used":
        event.listen(database.engine.sync_engine, "connect", end)
    with pytest.raises(DatabaseUnavailable):
        await database.tenants()
    await database.close()


class ClosingDoor(Door):
    """A door whose connections have ended when they come out of it."""

    async def __call__(self) -> asyncpg.Connection:
        made = await Door.__call__(self)
        made.terminate()
        return made


async def test_a_transaction_ends_with_its_block_however_that_ends(database_url: str) -> None:
    """Cancelled in the middle, or of a tenant: nothing of it is left for who has the connection next."""
    database = Database.open(database_url, pool=1)
    inside = asyncio.Event()

    async def never_ends() -> None:
        async with database.tenant(1) as conn:
            await conn.execute(insert(t.contact_list).values(tenant_id=1, name="undone"))
            inside.set()
            await conn.execute(text("SELECT pg_sleep(60)"))

    task = asyncio.create_task(never_ends())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await _write(database, "kept")
    assert await _names(database) == ["kept"]
    async with database.system() as conn:
        assert await conn.scalar(select(t.contact_list.c.id)) is None
        assert await conn.scalar(text("SELECT now() = statement_timestamp()")) is False  # one transaction
    await database.close()


async def test_who_waits_for_a_connection_gets_the_next_that_is_free(database_url: str) -> None:
    """More transactions at once than connections: each has its turn, and no more connections are made."""
    database = Database.open(database_url, pool=2)
    sessions = set[int]()

    async def work() -> None:
        for _ in range(5):
            async with database.tenant(1) as conn:
                sessions.add(await conn.scalar(text("SELECT pg_backend_pid()")))

    async with asyncio.timeout(30):
        await asyncio.gather(*(work() for _ in range(10)))
        await work()
    assert len(sessions) == 2
    await database.close()


async def test_a_connection_that_rests_ends_with_the_pool(database_url: str) -> None:
    """The next transaction goes on with it, and nothing of it is left when the pool is closed."""
    database = Database.open(database_url, pool=2)
    async with database.tenant(1) as conn:
        session = driver_of(conn)
    async with database.system() as conn:
        assert driver_of(conn) is session
    assert not session.is_closed()
    await database.close()
    assert session.is_closed()


async def test_a_value_that_no_column_takes_is_a_mistake_of_ours(database: Database) -> None:
    """What the driver itself refuses is the error that PostgreSQL's refusal would be: no wait mends it."""
    double = Prepared("SELECT CAST(:many AS integer) * 2")
    async with database.tenant(1) as conn:
        assert await double.value(conn, many=21) == 42
    for wrong in ("a number", 2**40):
        with pytest.raises(DataError):
            async with database.tenant(1) as conn:
                await double.value(conn, many=wrong)
    with pytest.raises(IntegrityError):
        async with database.tenant(1) as conn:
            again = Prepared("INSERT INTO contact_list (tenant_id, name) VALUES (1, :name)")
            assert await again.run(conn, name="twice") == 1
            await again.run(conn, name="twice")


async def test_a_mistake_of_ours_stays_what_it_is(database: Database) -> None:
    """A broken constraint does not pass by itself: its own error is raised."""
    with pytest.raises(IntegrityError):
        async with database.tenant(1) as conn:
            for _ in range(2):
                await conn.execute(insert(t.contact_list).values(tenant_id=1, name="twice"))
