"""What `dozvon check` finds in a database, and the SQL that the documentation tells people to run."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
import pytest
from support.postgres import FreshDatabase, fresh_database

from dialer.check import database as check
from dialer.check.model import Finding, Level
from dialer.db import migrate
from dialer.db.embedded import EmbeddedPostgres, Urls
from dialer.settings import load

HOW_TO = Path(__file__).parents[2] / "docs/how-to/external-postgresql.md"


async def findings(urls: Urls, **settings: str) -> dict[str, Finding]:
    """Findings by name."""
    found = [one async for one in check.look(load(**settings), urls)]
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


@pytest.fixture
def urls(_fresh: FreshDatabase) -> Urls:
    """The test's own database."""
    return Urls(app=_fresh.app, owner=_fresh.owner)


async def behind_its_back(url: str, *statements: str) -> None:
    """Break something."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_good_database(urls: Urls) -> None:
    """A migrated database with both roles is all OK."""
    found = await findings(urls)
    assert {one.level for one in found.values()} == {Level.OK}
    assert found.keys() == {
        "database",
        "app role",
        "owner role",
        "migrations",
        "row security",
        "zone names",
        "clock",
        "connections",
    }


async def test_superuser_is_no_role_for_the_server(_fresh: FreshDatabase) -> None:
    """Row security would not bind it: a FAIL for the server's role, a warning for the owner's."""
    found = await findings(Urls(app=_fresh.admin, owner=_fresh.admin))
    assert found["app role"].level is Level.FAIL
    assert "is a superuser and bypasses row security" in found["app role"].found
    assert found["owner role"].level is Level.WARN


async def test_table_without_row_security_is_named(urls: Urls) -> None:
    """Security that is not forced, or not there at all, is told with the table's name."""
    await behind_its_back(
        urls.owner,
        "ALTER TABLE contact NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE attempt DISABLE ROW LEVEL SECURITY",
    )
    found = (await findings(urls))["row security"]
    assert (found.level, found.found) == (Level.FAIL, "not forced on attempt, contact")


async def test_database_that_was_not_migrated(postgres: EmbeddedPostgres) -> None:
    """An empty database is no fault: the server fills it; a later one's cannot be used."""
    async with fresh_database(postgres, template="template0") as fresh:
        urls = Urls(app=fresh.app, owner=fresh.owner)
        found = await findings(urls)
        assert found["migrations"].level is Level.WARN
        assert "row security" not in found
        await migrate.upgrade(urls.owner, migrate.revisions()[0])
        assert (await findings(urls))["migrations"].level is Level.WARN
        await migrate.upgrade(urls.owner)
        assert (await findings(urls))["migrations"].level is Level.OK
        await behind_its_back(urls.owner, "UPDATE alembic_version SET version_num = '9999'")
        assert (await findings(urls))["migrations"].level is Level.FAIL


async def test_tenant_in_no_time_zone(urls: Urls) -> None:
    """A zone that PostgreSQL does not know would break every figure of the day."""
    await behind_its_back(urls.owner, "UPDATE tenant SET timezone = 'Europe/Atlantis'")
    found = (await findings(urls))["zone names"]
    assert (found.level, "Europe/Atlantis" in found.found) == (Level.FAIL, True)


async def test_no_database(tmp_path: Path) -> None:
    """Nobody there: one FAIL, with the setting to look at, and no password in it."""
    url = f"postgresql://dozvon_app:hush@/dozvon?host={tmp_path}"
    (found,) = (await findings(Urls(app=url, owner=url), database_url=url)).values()
    assert (found.level, found.name) == (Level.FAIL, "database")
    assert "DOZVON_DATABASE_URL" in found.mend
    assert "hush" not in found.found + found.mend


async def test_owner_that_cannot_log_in(urls: Urls, tmp_path: Path) -> None:
    """A wrong owner's address is told apart from the server's."""
    found = await findings(Urls(app=urls.app, owner=f"postgresql://x@/x?host={tmp_path}"))
    assert (found["app role"].level, found["owner role"].level) == (Level.OK, Level.FAIL)


async def test_sql_of_the_documentation(data_folder: Path) -> None:
    """A PostgreSQL prepared as the page says is one that the server can use."""
    (sql,) = re.findall(r"```sql\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    cluster = EmbeddedPostgres(data_folder, durable=False)
    await cluster.start()
    try:
        # Back to a PostgreSQL that has never heard of us.
        admin = cluster.url(database="postgres")
        await behind_its_back(admin, "DROP DATABASE dozvon", "DROP ROLE dozvon_app", "DROP ROLE dozvon_owner")
        await behind_its_back(admin, *(part for part in sql.split(";\n") if part.strip()))
        urls = Urls(app=cluster.url("dozvon_app"), owner=cluster.url("dozvon_owner"))
        await migrate.upgrade(urls.owner)
        found = await findings(urls)
    finally:
        await cluster.stop()
    assert {one.level for one in found.values()} == {Level.OK}
