"""The way to the next version: on a database that servers work on, whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.postgres import fresh_database

from dialer.db import migrate
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database, connect
from dialer.errors import DatabaseUnavailable
from dialer.processes import running
from dialer.settings import load

REVISION = '''"""{title}"""

from alembic import op

from dialer.db.migrations.security import secure

revision, down_revision = "{revision}", "{before}"


def upgrade() -> None:
    for statement in {statements!r}:
        op.execute(statement)
    for table in {tables!r}:
        secure(table)
'''


def write(folder: Path, revision: str, before: str, title: str, *statements: str, table: str = "") -> None:
    """A revision of a version that is not there yet."""
    tables = [table] if table else []
    text = REVISION.format(
        title=title, revision=revision, before=before, statements=list(statements), tables=tables
    )
    (folder / f"{revision}.py").write_text(text)


@pytest.fixture
def next_version(tmp_path: Path) -> Iterator[Path]:
    """The next version's folder: a column and a table are added, each by a revision of its own."""
    folder = tmp_path / "next"
    folder.mkdir()
    write(folder, "n1", migrate.head(), "A campaign has a colour.", "ALTER TABLE campaign ADD colour text")
    write(
        folder, "n2", "n1", "Surveys.",
        "CREATE TABLE survey (tenant_id integer NOT NULL, id bigint NOT NULL, PRIMARY KEY (tenant_id, id))",
        table="survey",
    )  # fmt: skip
    yield folder


async def columns(url: str, table: str) -> set[str]:
    """The columns of a table; none: there is no such table."""
    connection = await connect(url)
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = $1"
    found = {row[0] for row in await connection.fetch(query, table)}
    await connection.close()
    return found


async def test_plan_names_what_will_change(owner_url: str, next_version: Path) -> None:
    """Each revision that is missing is told in order, in its own words; nothing is done."""
    plan = await migrate.plan(owner_url, next_version)
    assert plan.current == migrate.head()
    assert [(step.revision, step.title) for step in plan.steps] == [
        ("n1", "A campaign has a colour."),
        ("n2", "Surveys."),
    ]
    assert "colour" not in await columns(owner_url, "campaign")
    assert (await migrate.plan(owner_url)).steps == ()


async def test_forward_to_the_next_version(owner_url: str, database: Database, next_version: Path) -> None:
    """All revisions are applied in order, and the version before reads and writes on."""
    await migrate.upgrade(owner_url, more=[next_version])
    assert await migrate.current(owner_url) == "n2"
    assert "colour" in await columns(owner_url, "campaign")
    assert await columns(owner_url, "survey")
    assert await database.tenants() == [1]
    await migrate.upgrade(owner_url, more=[next_version])


async def test_server_of_the_version_before_is_refused(owner_url: str, next_version: Path) -> None:
    """The older version finds a revision that it does not know, and says which, and what to do."""
    await migrate.upgrade(owner_url, more=[next_version])
    with pytest.raises(DatabaseUnavailable, match="revision n2 by a later version of Dozvon; start that"):
        await migrate.upgrade(owner_url)


async def test_break_in_the_middle_leaves_the_version_before(owner_url: str, next_version: Path) -> None:
    """What came before the revision that broke is undone too; the mended version goes all the way."""
    write(next_version, "n3", "n2", "Breaks.", "ALTER TABLE survey ADD asked text", "SELECT 1 / 0")
    with pytest.raises(Exception, match="division by zero"):
        await migrate.upgrade(owner_url, more=[next_version])
    assert await migrate.current(owner_url) == migrate.head()
    assert "colour" not in await columns(owner_url, "campaign")
    assert await columns(owner_url, "survey") == set()
    await migrate.upgrade(owner_url)  # the version before starts as ever
    write(next_version, "n3", "n2", "Mended.", "ALTER TABLE survey ADD asked text")
    await migrate.upgrade(owner_url, more=[next_version])
    assert await columns(owner_url, "survey") == {"tenant_id", "id", "asked"}


async def test_servers_that_start_together_migrate_once(owner_url: str, next_version: Path) -> None:
    """Of three servers of the next version one migrates; the others wait for it, and find all done."""
    said: list[str] = []
    write(next_version, "n3", "n2", "Slow.", "SELECT pg_sleep(0.5)")
    await asyncio.gather(
        *(migrate.upgrade(owner_url, more=[next_version], say=said.append) for _ in range(3))
    )
    assert said == ["another server migrates, or a backup is being made: waiting for it"] * 2
    assert await migrate.current(owner_url) == "n3"


async def test_table_in_use_is_tried_again_and_keeps_nobody_waiting(
    owner_url: str, database_url: str, next_version: Path
) -> None:
    """While somebody reads a table for long, others get at it all the same; then the migration is done."""
    async with AsyncExitStack() as stack:
        reader = await connect(database_url)
        stack.push_async_callback(reader.close)
        reading = reader.transaction()
        await reading.start()
        await reader.fetch("SELECT * FROM campaign")
        tries: list[str] = []
        migrating = asyncio.create_task(migrate.upgrade(owner_url, more=[next_version], say=tries.append))
        dialler = await connect(database_url)
        stack.push_async_callback(dialler.close)
        longest_s = 0.0
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            while len(tries) < 3:  # some of these come while the migration stands in the queue
                before = loop.time()
                await dialler.fetch("SELECT * FROM campaign")
                longest_s = max(longest_s, loop.time() - before)
        assert not migrating.done()
        assert migrate.LOCK_WAIT_MS / 2000 < longest_s < 1.0
        await reading.rollback()
        async with asyncio.timeout(30):
            await migrating
    assert "colour" in await columns(owner_url, "campaign")


async def test_table_in_use_for_too_long(owner_url: str, database_url: str, next_version: Path) -> None:
    """The upgrade is given up, says why, and has changed nothing."""
    reader = await connect(database_url)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT * FROM campaign")
    with pytest.raises(DatabaseUnavailable, match="its tables were in use for 1 s"):
        await migrate.upgrade(owner_url, more=[next_version], patience_s=1.0)
    await reading.rollback()
    await reader.close()
    assert await migrate.current(owner_url) == migrate.head()


class Enough(Exception):
    """The start has got to the end of the migration."""


async def test_a_start_says_what_it_waits_for(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    """Whoever starts a server while another migrates, or a backup is made, reads so at the terminal."""
    said: list[str] = []
    waits = asyncio.Event()

    def progress(words: str) -> None:
        said.append(words)
        waits.set()

    async def prepare(_database: Database) -> None:
        raise Enough

    async with fresh_database(postgres, template="template0") as empty, AsyncExitStack() as stack:
        settings = load(
            data_dir=tmp_path, database_url=empty.app, database_owner_url=empty.owner, http_port=0
        )
        backup = await connect(empty.owner)
        stack.push_async_callback(backup.close)
        await backup.execute("SELECT pg_advisory_lock($1)", migrate.MIGRATION_LOCK)

        async def start() -> None:
            async with running(settings, progress=progress, prepare=prepare):
                pass

        starting = asyncio.create_task(start())
        async with asyncio.timeout(30):
            await waits.wait()
            await backup.execute("SELECT pg_advisory_unlock($1)", migrate.MIGRATION_LOCK)
            with pytest.raises(Enough):
                await starting
    assert said == ["database: another server migrates, or a backup is being made: waiting for it"]
