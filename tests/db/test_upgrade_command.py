"""`dozvon upgrade` from an earlier schema, and a server that is older than its database."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from support.backups import contents
from support.postgres import FreshDatabase, fresh_database

from dialer.backup.archive import source
from dialer.backup.model import Kind
from dialer.db import migrate
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import connect


async def dozvon(fresh: FreshDatabase, folder: Path, *words: str) -> tuple[int, str, str]:
    """Run a command on an installation over that database: status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dialer", *words),
        env={
            **os.environ,
            "DOZVON_DATA_DIR": str(folder),
            "DOZVON_DATABASE_URL": fresh.app,
            "DOZVON_DATABASE_OWNER_URL": fresh.owner,
            "DOZVON_HTTP_PORT": "0",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(300)  # programs start slowly on a machine that others keep busy
async def test_upgrade_keeps_a_copy_first(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    """`--dry-run` names what would change and changes nothing; then a backup of the schema before is made,
    and the database is brought up to date; the second time there is nothing to do."""
    first, *others = migrate.revisions()
    async with fresh_database(postgres, template="template0") as fresh:
        await migrate.upgrade(fresh.owner, first)
        before = await contents(fresh.owner)
        status, said, _ = await dozvon(fresh, tmp_path, "upgrade", "--dry-run")
        assert status == 0
        assert all(f"  {revision}  " in said for revision in others)
        assert f"  {first}  " not in said
        assert await contents(fresh.owner) == before
        status, said, error = await dozvon(fresh, tmp_path, "upgrade")
        assert status == 0, error
        assert await migrate.current(fresh.owner) == migrate.head()
        kept = source(tmp_path / "backups").manifest
        assert (kept.head.revision, kept.head.without) == (first, (Kind.RECORDINGS,))
        status, said, _ = await dozvon(fresh, tmp_path, "upgrade")
        assert (status, said) == (0, f"up to date: revision {migrate.head()}\n")
        assert len(list((tmp_path / "backups").glob("2*"))) == 1


@pytest.mark.timeout(300)  # programs start slowly on a machine that others keep busy
async def test_upgrade_without_its_backup_is_not_done(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    """Where the copy cannot be made nothing is changed, unless none is wanted."""
    (tmp_path / "backups").write_text("in the way")
    async with fresh_database(postgres, template="template0") as fresh:
        await migrate.upgrade(fresh.owner, migrate.revisions()[0])
        status, _, error = await dozvon(fresh, tmp_path, "upgrade")
        assert (status, error.count("\n")) == (1, 1)
        assert "The backup was not made" in error
        assert await migrate.current(fresh.owner) == migrate.revisions()[0]
        status, _, error = await dozvon(fresh, tmp_path, "upgrade", "--no-backup")
        assert status == 0, error
        assert await migrate.current(fresh.owner) == migrate.head()


@pytest.mark.parametrize("words", [("serve",), ("upgrade",)], ids=["serve", "upgrade"])
async def test_server_older_than_its_database(
    _fresh: FreshDatabase, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """It ends with one line that names the revision and what to do, and has changed nothing."""
    owner = await connect(_fresh.owner)
    await owner.execute("UPDATE alembic_version SET version_num = '9999'")
    await owner.close()
    status, _, error = await dozvon(_fresh, tmp_path, *words)
    assert (status, error.count("\n")) == (1, 1), error
    assert "migrated to revision 9999 by a later version of Dozvon; start that version" in error
    assert await migrate.current(_fresh.owner) == "9999"
