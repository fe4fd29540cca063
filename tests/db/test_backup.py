"""A copy of an installation: whole or none, and as good as the first one."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import stat
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.backups import Company, Told, company, files
from support.postgres import FreshDatabase

from dialer.backup import archive, programs
from dialer.backup.model import Kind
from dialer.backup.service import check
from dialer.db.embedded import Urls
from dialer.db.migrate import MIGRATION_LOCK
from dialer.db.session import connect
from dialer.errors import BackupDamaged, BackupFailed, DatabaseUnavailable, DozvonError, PartMissing


@pytest.fixture
async def here(_fresh: FreshDatabase, tmp_path: Path) -> AsyncIterator[Company]:
    """An installation with something to keep."""
    yield await company(tmp_path / "here", Urls(_fresh.app, _fresh.owner))


def environment(of: Company, **more: str) -> dict[str, str]:
    """The environment in which a command is about this installation."""
    return {
        **os.environ,
        "DOZVON_DATA_DIR": str(of.settings.data_dir),
        "DOZVON_DATABASE_URL": of.urls.app,
        "DOZVON_DATABASE_OWNER_URL": of.urls.owner,
        **more,
    }


def left(folder: Path) -> list[str]:
    """What lies in a folder, but for its lock."""
    return sorted(one.name for one in folder.iterdir() if one.name != ".lock") if folder.exists() else []


# -- what is in it -----------------------------------------------------------------------------------------


async def test_file_has_all_that_belongs_to_the_installation(here: Company, tmp_path: Path) -> None:
    """Database, messages and the sounds that campaigns name, secrets, whole recordings; nothing else; and
    any program for tar reads it."""
    await here.record("writing")
    made = await here.back_up(tmp_path / "one.tar")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    names = [part.name for part in made.manifest.parts]
    recordings = sorted(f"recordings/{name}" for name in files(here.settings.recording_dir))
    assert len(recordings) == 3
    assert set(names) - set(recordings) == {
        "database.dump", "prompts/messages/1-1-ab.wav", "prompts/own.wav", "prompts/own/1/cd.wav16",
        "secrets/ami",
    }  # fmt: skip
    assert len(names) == 7
    with tarfile.open(made.path) as tar:
        assert tar.getnames() == [*names, "manifest.jsonl"]
        assert {member.mode for member in tar.getmembers()} == {0o600}
        kept = tar.extractfile("secrets/ami")
        assert kept is not None
        assert kept.read().decode() == here.settings.secret("ami")
    head = made.manifest.head
    assert (head.counts["attempt"], head.counts["tenant"], head.counts["recording"]) == (400, 2, 3)
    assert (await check(made.path, Told())).manifest == made.manifest


async def test_folder_shares_what_did_not_change(here: Company, tmp_path: Path) -> None:
    """A second backup copies only what is new, and stands alone when the first one is removed."""
    folder = tmp_path / "many"
    first = await here.back_up(folder, folder=True)
    changed = next(iter(sorted(here.settings.recording_dir.rglob("*.wav"))))
    await here.record()
    changed.write_bytes(os.urandom(3000))
    await asyncio.sleep(1.1)  # a backup's name is its second
    second = await here.back_up(folder, folder=True)
    same = {
        name: (first.path / name).stat().st_ino == (second.path / name).stat().st_ino
        for name in (part.name for part in second.manifest.of(Kind.RECORDINGS))
        if (first.path / name).exists()
    }
    assert sorted(same.values()) == [False, True]
    assert same[f"recordings/{changed.relative_to(here.settings.recording_dir)}"] is False
    assert second.shared == 3000 or changed.stat().st_size != 3000
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert archive.prune(folder, 1) == [first.path.name]
    assert (await check(folder, Told())).path == second.path
    kept = files(second.path / "recordings")
    assert kept == files(here.settings.recording_dir)


async def test_without_secrets(here: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the folder of secrets nor a settings file that holds one is in it; one that holds none is."""
    file = tmp_path / "dozvon.toml"
    monkeypatch.setenv("DOZVON_CONFIG", str(file))
    for text, kept in (('ami_secret = "x"\n', False), ('locale = "en"\n', True)):
        file.write_text(text)
        made = await here.back_up(tmp_path / f"{kept}.tar", secrets=False)
        assert made.manifest.of(Kind.SECRETS) == []
        assert bool(made.manifest.of(Kind.SETTINGS)) is kept
        assert bool(made.notes) is not kept
    whole = await here.back_up(tmp_path / "whole.tar")
    assert len(whole.manifest.of(Kind.SECRETS, Kind.SETTINGS)) == 2
    assert here.urls.owner not in whole.path.read_bytes().decode(errors="replace")


async def test_recording_that_is_gone_is_told(here: Company, tmp_path: Path) -> None:
    """What the database knows and the disk has not is counted; the rest is kept."""
    await here.record(there=False)
    made = await here.back_up(tmp_path / "one.tar")
    assert made.manifest.head.recordings_missing == 1
    assert "1 recordings that the database knows are not in" in made.notes[0]
    assert len(made.manifest.of(Kind.RECORDINGS)) == 2


async def test_one_moment_of_a_database_that_is_written(here: Company, tmp_path: Path) -> None:
    """Rows that are written together while the backup runs are in it together, or not at all."""
    writer = await connect(here.urls.owner)
    begun, stop = asyncio.Event(), asyncio.Event()

    async def write() -> int:
        written = 0
        while not stop.is_set():
            async with writer.transaction():
                for table in ("audit", "event"):
                    column = "subject" if table == "audit" else "payload"
                    kind = "action" if table == "audit" else "kind"
                    await writer.execute(
                        f"INSERT INTO {table} (tenant_id, {kind}, {column}) VALUES (1, 'x', $1)",
                        str(written) if table == "audit" else f'{{"n": {written}}}',
                    )
            written += 1
            begun.set()
        return written

    writing = asyncio.create_task(write())
    async with asyncio.timeout(30):
        await begun.wait()
    made = await here.back_up(tmp_path / "one.tar")
    stop.set()
    assert await writing > made.manifest.head.counts["audit"]
    assert made.manifest.head.counts["audit"] == made.manifest.head.counts["event"] > 0
    await writer.close()


# -- what is none ------------------------------------------------------------------------------------------


async def test_every_damage_is_found(here: Company, tmp_path: Path) -> None:
    """A byte that changed anywhere, and an end that is missing, are found in a file."""
    whole = (await here.back_up(tmp_path / "one.tar")).path.read_bytes()
    dice = random.Random(1)
    broken = tmp_path / "broken.tar"
    harmless = 0
    for n in range(150):
        if n % 3:
            at = dice.randrange(len(whole))
            data = whole[:at] + bytes([whole[at] ^ (1 << dice.randrange(8))]) + whole[at + 1 :]
        else:
            data = whole[: dice.randrange(len(whole) - 1024)]
        broken.write_bytes(data)
        try:
            found = await check(broken, Told())
        except (DozvonError, BackupDamaged):
            continue
        # Padding, and fields of a tar's headers that nobody reads (its checksum covers most).
        harmless += 1
        assert n % 3
        assert found.manifest.parts
    assert harmless < 15


async def test_folder_that_misses_a_part(here: Company, tmp_path: Path) -> None:
    """A file that was removed from a backup is named."""
    made = await here.back_up(tmp_path / "many", folder=True)
    (made.path / "secrets/ami").unlink()
    with pytest.raises(BackupDamaged, match="secrets/ami is missing"):
        await check(made.path, Told())
    (made.path / "manifest.jsonl").unlink()
    with pytest.raises(BackupDamaged, match="no whole backup"):
        await check(tmp_path / "many", Told())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
async def test_full_disk(here: Company, tmp_path: Path, folder: bool) -> None:
    """A disk that takes no more is said in one line, and nothing is left that looks like a backup."""
    await here.record(size=3_000_000)
    target = tmp_path / "kept" / ("many/" if folder else "one.tar")

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "dialer", "backup", str(target) + ("/" if folder else "")],
        env=environment(here),
        preexec_fn=small,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "The backup was not made: " in done.stderr and "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert left(target if folder else target.parent) == []


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
async def test_database_that_goes_away_in_the_middle(here: Company, tmp_path: Path, folder: bool) -> None:
    """The end of its connections ends the backup with a reason, and nothing is left of it."""
    target = tmp_path / "kept" / ("many" if folder else "one.tar")
    owner = await connect(here.urls.owner)
    async with owner.transaction():
        # The dump waits for this table: that is its middle.
        await owner.execute("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE")
        making = asyncio.create_task(here.back_up(target, folder=folder))
        killer = await connect(here.urls.owner)
        ended = 0
        async with asyncio.timeout(30):
            while not ended:  # a program's connection tells nobody that it waits
                ended = await killer.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE application_name IN ('dozvon backup', 'dozvon pg_dump') "
                    "AND datname = current_database() AND EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"
                )
                await asyncio.sleep(0.02)
        with pytest.raises((BackupFailed, DatabaseUnavailable)):
            await making
    await owner.close()
    await killer.close()
    assert left(target if folder else target.parent) == []


async def test_killed_backup_is_none(here: Company, tmp_path: Path) -> None:
    """kill -9 in the middle: what it leaves is no backup, and the next one clears it away."""
    folder = tmp_path / "many"
    owner = await connect(here.urls.owner)
    async with owner.transaction():
        await owner.execute("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dialer", "backup", f"{folder}/"),
            env=environment(here),
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(30):
                while not left(folder):  # noqa: ASYNC110  (a folder tells nobody)
                    await asyncio.sleep(0.02)
            with pytest.raises(BackupFailed, match="another backup is being made"):
                archive.FolderTarget(folder, (await owner.fetchval("SELECT now()")))
        finally:
            process.kill()
            await process.wait()
    await owner.close()
    assert [name[:5] for name in left(folder)] == [".new-"]
    with pytest.raises(BackupDamaged, match="no whole backup"):
        await check(folder, Told())
    made = await here.back_up(folder, folder=True)
    assert left(folder) == [made.path.name]


async def test_nothing_is_written_over(here: Company, tmp_path: Path) -> None:
    """A file that is there stays as it is."""
    file = tmp_path / "one.tar"
    file.write_text("mine")
    with pytest.raises(BackupFailed, match="is there already"):
        await here.back_up(file)
    assert file.read_text() == "mine"


async def test_migration_and_backup_wait_for_each_other(
    here: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a migration runs no backup begins; it says so when it has waited long enough."""
    monkeypatch.setattr("dialer.backup.service.MIGRATION_S", 1)
    owner = await connect(here.urls.owner)
    await owner.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
    with pytest.raises(BackupFailed, match="being migrated"):
        await here.back_up(tmp_path / "one.tar")
    await owner.close()
    assert not (tmp_path / "one.tar").exists()


async def test_no_program_for_the_database() -> None:
    """Where no pg_dump is new enough it is said what to install."""
    with pytest.raises(PartMissing, match="install postgresql-client-99"):
        await programs.find(99, embedded=False)
    assert (await programs.find(18, embedded=True)).major == 18


@pytest.mark.timeout(300)  # programs start slowly on a machine that others keep busy
async def test_commands(here: Company, tmp_path: Path) -> None:
    """`dozvon backup` says what it has kept, `--verify` that it is whole, `--keep` how many stay."""

    def dozvon(*words: str) -> str:
        command = [sys.executable, "-m", "dialer", *words]
        done = subprocess.run(command, env=environment(here), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = f"{tmp_path}/many/"
    said = await asyncio.to_thread(dozvon, "backup", folder)
    assert "recordings  2" in said and "made in" in said
    said = await asyncio.to_thread(dozvon, "backup", folder, "--keep", "1", "--without-recordings")
    assert "left out" in said and "removed the older backup" in said
    assert "whole: every part" in await asyncio.to_thread(dozvon, "backup", "--verify", folder)
    assert len(left(Path(folder))) == 1
