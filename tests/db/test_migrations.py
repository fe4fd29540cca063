"""The migrated database is the one that the code believes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import Connection
from support.postgres import FreshDatabase, fresh_database

from dialer.db import migrate
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.migrations.regenerate import TARGET, statements
from dialer.db.session import Database, connect, create_engine
from dialer.db.tables import metadata
from dialer.errors import DatabaseUnavailable

#: Everything that dialer.db.tables can say of a table, as the database describes it.
DESCRIPTION = """
    SELECT conrelid::regclass::text AS of, conname AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL
    SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT table_name, column_name,
           concat_ws(' ', udt_name, is_nullable, column_default, is_identity, identity_generation)
    FROM information_schema.columns WHERE table_schema = 'public'
    ORDER BY 1, 2, 3
"""


@pytest.fixture
async def empty(postgres: EmbeddedPostgres) -> AsyncIterator[FreshDatabase]:
    """A database without any table."""
    async with fresh_database(postgres, template="template0") as fresh:
        yield fresh


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, metadata))


async def test_migrations_make_what_tables_say(owner_url: str, empty: FreshDatabase) -> None:
    """Alembic finds no difference, and each column, key, check and index is described alike."""
    migrated, created = create_engine(owner_url, pool=1), create_engine(empty.owner, pool=1)
    try:
        async with created.begin() as conn:
            await conn.run_sync(metadata.create_all)
            wanted = [tuple(row) for row in await conn.execute(text(DESCRIPTION))]
        async with migrated.begin() as conn:
            assert await conn.run_sync(_differences) == []
            found = [
                tuple(row) for row in await conn.execute(text(DESCRIPTION)) if row.of != "alembic_version"
            ]
    finally:
        await migrated.dispose()
        await created.dispose()
    assert found == wanted


def test_first_migration_is_of_todays_tables() -> None:
    """Until the release 0001 is regenerated: run `python -m dialer.db.migrations.regenerate`."""
    assert TARGET.read_text() == statements()


async def test_two_servers_migrate_once(empty: FreshDatabase) -> None:
    """Servers that start together leave one whole schema, and a later start changes nothing."""
    assert await migrate.current(empty.owner) is None
    await asyncio.gather(*(migrate.upgrade(empty.owner) for _ in range(3)))
    await migrate.upgrade(empty.owner)
    assert await migrate.current(empty.app) == migrate.head()
    database = Database.open(empty.app, pool=1)
    assert await database.tenants() == [1]
    await database.close()


async def test_two_databases_migrate_beside_each_other(
    postgres: EmbeddedPostgres, empty: FreshDatabase
) -> None:
    """In one process, as the bench of faults has two centres: each has its own statements, and is whole."""
    async with fresh_database(postgres, template="template0") as other:
        await asyncio.gather(*(migrate.upgrade(one.owner) for one in (empty, other)))
        for one in (empty, other):
            engine = create_engine(one.owner, pool=1)
            try:
                async with engine.begin() as conn:
                    assert await conn.run_sync(_differences) == []
            finally:
                await engine.dispose()
            assert await migrate.current(one.app) == migrate.head()


async def test_a_failed_migration_leaves_nothing(empty: FreshDatabase) -> None:
    """An upgrade that breaks half-way is undone as a whole."""
    owner = await connect(empty.owner)
    await owner.execute("CREATE SEQUENCE event_seq")  # in the way of the second revision
    with pytest.raises(Exception, match="event_seq"):
        await migrate.upgrade(empty.owner)
    assert await owner.fetch("SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []
    await owner.close()


async def test_a_database_of_a_later_version_is_refused(owner_url: str) -> None:
    """An old server does not touch what a newer one has migrated."""
    owner = await connect(owner_url)
    await owner.execute("UPDATE alembic_version SET version_num = '9999'")
    await owner.close()
    with pytest.raises(DatabaseUnavailable, match="9999"):
        await migrate.upgrade(owner_url)
