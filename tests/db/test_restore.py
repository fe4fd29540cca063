"""An installation made of a backup: all of the first one, or nothing."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import func, select
from support.backups import Company, company, contents, files, restored, settings_of
from support.postgres import FreshDatabase, fresh_database

from dialer.backup import archive, model
from dialer.backup.command import restore_command
from dialer.backup.model import DATABASE, MANIFEST
from dialer.db import cluster, migrate
from dialer.db import tables as t
from dialer.db.embedded import EmbeddedPostgres, Urls
from dialer.db.session import Database, connect
from dialer.errors import BackupDamaged, RestoreRefused
from dialer.processes import only_one
from dialer.settings import Settings, load


@pytest.fixture
async def here(_fresh: FreshDatabase, tmp_path: Path) -> AsyncIterator[Company]:
    """An installation with something to keep."""
    yield await company(tmp_path / "here", Urls(_fresh.app, _fresh.owner))


@pytest.fixture
async def empty(postgres: EmbeddedPostgres) -> AsyncIterator[FreshDatabase]:
    """A database without any table."""
    async with fresh_database(postgres, template="template0") as fresh:
        yield fresh


@pytest.fixture
def there(empty: FreshDatabase, tmp_path: Path) -> Settings:
    """Another place with nothing in it."""
    return settings_of(tmp_path / "there", Urls(empty.app, empty.owner))


def rewritten(backup: Path, **head: object) -> Path:
    """The backup with another head, sealed as if it were so."""
    found = archive.source(backup).manifest
    changed = dataclasses.replace(found, head=dataclasses.replace(found.head, **head))  # type: ignore[arg-type]
    (backup / MANIFEST).write_bytes(b"".join(model.lines(changed)))
    return backup


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
async def test_everything_comes_back(
    here: Company, there: Settings, empty: FreshDatabase, tmp_path: Path, folder: bool
) -> None:
    """Every row of every tenant, recordings, messages and secrets are as they were, but for campaigns that
    ran: they are paused, so that nobody is dialled before somebody has looked."""
    made = await here.back_up(tmp_path / ("many" if folder else "one.tar"), folder=folder)
    done = await restored(there, made.path)
    assert done.paused == ("Весна \"1\" '2'",) * 2
    assert done.replaced == ()
    before, after = await contents(here.urls.owner), await contents(empty.owner)
    assert {name for name in before if before[name] != after[name]} == {"campaign", "audit"}
    assert before.keys() == after.keys()
    owner = await connect(empty.owner)
    rows = await owner.fetch("SELECT tenant_id, status, abandon_sound FROM campaign ORDER BY tenant_id")
    assert [tuple(row) for row in rows] == [(1, "paused", "messages/1-1-ab"), (2, "paused", "own")]
    assert await owner.fetchval("SELECT count(*) FROM audit WHERE action = 'campaign.pause'") == 2
    assert "messages/1-1-ab.wav" in files(there.prompts_dir)
    assert await owner.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'attempt'") == 400
    await owner.close()
    assert files(there.recording_dir) == files(here.settings.recording_dir)
    assert files(there.data_dir / "secrets") == files(here.settings.data_dir / "secrets")
    secret = there.data_dir / "secrets/ami"
    assert (stat.S_IMODE(secret.stat().st_mode), stat.S_IMODE(secret.parent.stat().st_mode)) == (0o600, 0o700)
    left = [one.name for one in there.data_dir.iterdir() if "restore" in one.name]
    assert left == []


async def test_row_security_binds_the_app_again(
    here: Company, there: Settings, empty: FreshDatabase, tmp_path: Path
) -> None:
    """The app sees the tenant that it names, deletes no change, and owns nothing; the functions that cross
    tenants are lent to it."""
    await restored(there, (await here.back_up(tmp_path / "one.tar")).path)
    database = Database.open(empty.app, pool=1)
    counts = []
    for tenant_id in (1, 2, 3):
        async with database.tenant(tenant_id) as conn:
            counts.append(await conn.scalar(select(func.count()).select_from(t.attempt)))
    assert counts == [200, 200, 0]
    with pytest.raises(Exception, match="permission denied"):
        async with database.tenant(1) as conn:
            await conn.execute(t.audit.delete())
    await database.close()
    rights = """
        SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relacl::text, c.relowner::regrole::text
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
        UNION ALL SELECT p.proname, p.prosecdef, NULL, p.proacl::text, p.proconfig::text FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace
        UNION ALL SELECT tablename || policyname, NULL, NULL, roles::text, qual || coalesce(with_check, '')
        FROM pg_policies ORDER BY 1
    """
    found = []
    for url in (here.urls.owner, empty.owner):
        owner = await connect(url)
        found.append([tuple(row) for row in await owner.fetch(rights)])
        await owner.close()
    assert found[0] == found[1]
    assert len(found[0]) > 60


async def test_what_is_there_is_not_replaced(here: Company, tmp_path: Path) -> None:
    """An installation that has something is named and left as it is; with --force it is replaced, and files
    that the backup does not know stay."""
    made = await here.back_up(tmp_path / "many", folder=True)
    owner = await connect(here.urls.owner)
    await owner.execute("DELETE FROM attempt WHERE tenant_id = 2; CREATE TABLE later (id integer)")
    await owner.execute("CREATE FUNCTION later() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    await owner.close()
    secret = here.settings.data_dir / "secrets/ami"
    was = secret.read_text()
    secret.write_text("another")
    more = await here.record()
    before = await contents(here.urls.owner)
    with pytest.raises(RestoreRefused) as refused:
        await restored(here.settings, made.path)
    assert "the database (200 calls, 0 contacts, 0 users)" in str(refused.value)
    assert f"1 files in {secret.parent}, such as ami" in str(refused.value)
    assert "recordings" not in str(refused.value), "they are the same ones"
    assert await contents(here.urls.owner) == before
    assert secret.read_text() == "another"
    done = await restored(here.settings, made.path, force=True, keep_running=True)
    assert len(done.replaced) == 2
    assert done.paused == ()
    after = await contents(here.urls.owner)
    assert "later" not in after
    assert secret.read_text() == was
    assert more.exists()
    owner = await connect(here.urls.owner)
    assert await owner.fetchval("SELECT count(*) FROM attempt") == 400
    assert await owner.fetchval("SELECT count(*) FROM campaign WHERE status = 'running'") == 2
    await owner.close()


async def test_restore_that_breaks_changes_no_row(here: Company, tmp_path: Path) -> None:
    """A dump that is not what the manifest counts, or that cannot be read, leaves the database as it was."""
    made = await here.back_up(tmp_path / "many", folder=True)
    before = await contents(here.urls.owner)
    counts = dict(made.manifest.head.counts)
    rewritten(made.path, counts=counts | {"attempt": counts["attempt"] + 1})
    with pytest.raises(RestoreRefused, match=r"rows are missing \(attempt: 400 of 401"):
        await restored(here.settings, made.path, force=True)
    assert await contents(here.urls.owner) == before
    # Torn inside, and sealed as if it were whole: pg_restore finds out in the middle of the transaction.
    dump = made.path / DATABASE
    whole = dump.read_bytes()
    dump.write_bytes(whole[: len(whole) * 3 // 4])
    target = archive.FolderTarget(tmp_path / "forged", made.manifest.head.made_at)
    sink = target.begin(DATABASE)
    sink.write(dump.read_bytes())
    forged = target.finish(model.Manifest(made.manifest.head, (sink.end(),)))
    with pytest.raises(RestoreRefused, match="pg_restore"):
        await restored(here.settings, forged, force=True)
    assert await contents(here.urls.owner) == before


async def test_damaged_backup_is_refused_before_anything_is_touched(
    here: Company, there: Settings, empty: FreshDatabase, tmp_path: Path
) -> None:
    """Checksums come first: nothing is made of a backup with a fault, not even the data folder."""
    made = await here.back_up(tmp_path / "many", folder=True)
    secret = made.path / "secrets/ami"
    secret.write_bytes(secret.read_bytes()[::-1])
    with pytest.raises(BackupDamaged, match="secrets/ami is not what was written"):
        await restored(there, made.path)
    assert await contents(empty.owner) == {}
    assert not there.data_dir.exists()


async def test_a_data_folder_that_was_there_stays(here: Company, there: Settings, tmp_path: Path) -> None:
    """What a refused restore did not make is not its to take away."""
    made = await here.back_up(tmp_path / "many", folder=True)
    rewritten(made.path, revision="0999")
    there.data_dir.mkdir()
    with pytest.raises(RestoreRefused):
        await restored(there, made.path)
    assert there.data_dir.is_dir()


async def test_it_says_which_backup_of_a_folder_was_taken(
    here: Company, there: Settings, tmp_path: Path
) -> None:
    """The newest one, by its own name."""
    made = await here.back_up(tmp_path / "many", folder=True)
    shutil.copytree(made.path, made.path.parent / "2020-01-01T00-00-00Z")
    console = Console(width=400, record=True, file=io.StringIO())
    await restore_command(there, console, tmp_path / "many", force=False, keep_running=False)
    assert re.search(rf"^backup +{re.escape(str(made.path))} *$", console.export_text(), re.MULTILINE)


async def test_backup_of_a_later_version_is_refused(
    here: Company, there: Settings, empty: FreshDatabase, tmp_path: Path
) -> None:
    """An older server says which version it takes."""
    made = await here.back_up(tmp_path / "many", folder=True)
    rewritten(made.path, revision="0999", version="9.1.0")
    with pytest.raises(RestoreRefused, match=r"revision 0999, made by Dozvon 9\.1\.0, which is later"):
        await restored(there, made.path)
    assert await contents(empty.owner) == {}


async def test_backup_of_an_earlier_schema_is_migrated(
    here: Company, there: Settings, empty: FreshDatabase, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    """A backup of the version before comes up at this version's revision."""
    async with fresh_database(postgres, template="template0") as older:
        await migrate.upgrade(older.owner, migrate.revisions()[0])
        old = Company(here.settings, Urls(older.app, older.owner))
        made = await old.back_up(tmp_path / "one.tar")
    assert made.manifest.head.revision == migrate.revisions()[0]
    assert (await restored(there, made.path)).revision == migrate.head()
    assert await migrate.current(empty.owner) == migrate.head()


async def test_running_server_is_in_the_way(
    here: Company, there: Settings, empty: FreshDatabase, tmp_path: Path
) -> None:
    """Neither under a server of this folder, nor under one that is connected from elsewhere."""
    made = await here.back_up(tmp_path / "one.tar")
    there.data_dir.mkdir()
    with only_one(there.data_dir), pytest.raises(RestoreRefused, match="a server is running in"):
        await restored(there, made.path, force=True)
    server = await connect(empty.app)
    with pytest.raises(RestoreRefused, match="1 connections of a server are open"):
        await restored(there, made.path, force=True)
    await server.close()
    assert await contents(empty.owner) == {}


async def test_settings_file_is_put_beside(
    here: Company, there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new machine's own settings stay; the backup's lie in the data folder, for their owner alone."""
    file = tmp_path / "dozvon.toml"
    file.write_text('locale = "en"\n')
    monkeypatch.setenv("DOZVON_CONFIG", str(file))
    made = await here.back_up(tmp_path / "one.tar")
    file.write_text('locale = "ru"\n')
    done = await restored(there, made.path)
    assert done.settings_copy is not None
    assert done.settings_copy.read_text() == 'locale = "en"\n'
    assert stat.S_IMODE(done.settings_copy.stat().st_mode) == 0o600
    assert file.read_text() == 'locale = "ru"\n'


async def test_into_an_older_postgresql(
    here: Company, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup of the embedded PostgreSQL goes into an older one, as a distribution has it."""
    made = await here.back_up(tmp_path / "one.tar")
    monkeypatch.setattr(cluster, "INSTALLS", {16: cluster.INSTALLS[16]})
    older = EmbeddedPostgres(data_folder, durable=False)
    urls = await older.start()
    monkeypatch.undo()
    try:
        await restored(settings_of(tmp_path / "there", urls), made.path, keep_running=True)
        owner = await connect(urls.owner)
        assert await owner.fetchval("SHOW server_version_num") < "170000"
        await owner.close()
        before, after = await contents(here.urls.owner), await contents(urls.owner)
        assert before == after
    finally:
        await older.stop()


@pytest.mark.timeout(300)  # programs start slowly on a machine that others keep busy
async def test_commands_from_still_to_still(here: Company, data_folder: Path, tmp_path: Path) -> None:
    """`dozvon restore` into an empty data folder starts its own database, and stops it; `dozvon upgrade`
    finds nothing to do; a second restore is refused in one line."""
    made = await here.back_up(tmp_path / "one.tar")
    environment = {**os.environ, "DOZVON_DATA_DIR": str(data_folder)}

    def dozvon(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dialer", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = dozvon("restore", str(made.path))
    assert done.returncode == 0, done.stderr
    assert "paused, to be looked at first" in done.stdout
    assert EmbeddedPostgres(data_folder).pid is None
    again = dozvon("restore", str(made.path))
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "(400 calls, 0 contacts, 0 users). Add --force" in again.stderr
    done = dozvon("upgrade", "--dry-run")
    assert (done.returncode, f"up to date: revision {migrate.head()}" in done.stdout) == (0, True)
    assert load(data_dir=data_folder).secret("ami") == here.settings.secret("ami")
