"""The database of tests: one embedded PostgreSQL a test process, a fresh migrated database a test.

`database` is what the server has (the app's role under row security). `owner_url` is for what a test must
see or break behind its back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from dialer.bench.cluster.programs import postgresql
from dialer.db import migrate
from dialer.db.cluster import ADMIN_ROLE, APP_ROLE, OWNER_ROLE, Programs
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database
from dialer.settings import load

__all__ = ["_fresh", "data_folder", "database", "database_url", "owner_url", "postgres", "postgres_folder"]

TEMPLATE = "dozvon_template"

#: Which PostgreSQL the tests run on: unset, the one that comes along; 15, the oldest that the SQL is written
#: for (that of Debian 12, unpacked). No DOZVON_ in its name: it is no setting of the server.
VERSION = os.environ.get("TEST_POSTGRES", "")

#: Ends what a killed test run leaves: reads the pipe until its other end is gone with the run, then ends
#: every process that works in the folder (PostgreSQL's do) and removes it.
REAPER = """
import os, pathlib, shutil, signal, sys
sys.stdin.read()
folder = pathlib.Path(sys.argv[1])
for pid in filter(str.isdecimal, os.listdir("/proc")):
    try:
        if pathlib.Path(f"/proc/{pid}/cwd").resolve().is_relative_to(folder):
            os.kill(int(pid), signal.SIGQUIT)
    except OSError:
        pass
shutil.rmtree(folder, ignore_errors=True)
"""


def chosen_programs() -> Programs | None:
    """The programs of the PostgreSQL that the tests run on; None: of the one that comes along."""
    if not VERSION:
        return None
    assert VERSION == "15", f"TEST_POSTGRES is 15 or unset, not {VERSION!r}"
    return oldest_programs()


def oldest_programs() -> Programs:
    """The programs of PostgreSQL 15, fetched on first use."""
    folder, environment = postgresql(load().packages_dir, print)
    return Programs(folder, migrate.OLDEST, environment)


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """A migrated database of its own."""

    app: str
    owner: str
    #: As the superuser.
    admin: str


@contextmanager
def short_folder() -> Iterator[Path]:
    """A data folder that a PostgreSQL can run in, also as root; what runs in it ends with it."""
    # Not pytest's tmp_path: that is closed to the unprivileged user that runs PostgreSQL under root.
    folder = Path(tempfile.mkdtemp(prefix="dozvon-test-"))
    folder.chmod(0o711)
    reaper = subprocess.Popen([sys.executable, "-c", REAPER, str(folder)], stdin=subprocess.PIPE, cwd="/")
    try:
        yield folder
    finally:
        reaper.communicate()  # closes its pipe and waits for its end


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A data folder that a PostgreSQL can run in, also as root; what runs in it ends with the test."""
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """The data folder of the test process's own PostgreSQL."""
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
async def postgres(postgres_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """The test process's own PostgreSQL with a migrated template database."""
    async with running_postgres(postgres_folder) as cluster:
        yield cluster


@asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of the folder, with a migrated template database."""
    cluster = EmbeddedPostgres(folder, durable=False, programs=chosen_programs())
    await cluster.start()
    await _admin(cluster, f"CREATE DATABASE {TEMPLATE} OWNER {OWNER_ROLE}")
    await migrate.upgrade(cluster.url(OWNER_ROLE, TEMPLATE))
    yield cluster
    await cluster.stop()


@asynccontextmanager
async def fresh_database(cluster: EmbeddedPostgres, template: str = TEMPLATE) -> AsyncIterator[FreshDatabase]:
    """A database of its own, migrated (or empty, with `template="template0"`); dropped at the end."""
    name = f"test_{uuid4().hex}"
    await _admin(cluster, f"CREATE DATABASE {name} OWNER {OWNER_ROLE} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield FreshDatabase(*(cluster.url(role, name) for role in (APP_ROLE, OWNER_ROLE, ADMIN_ROLE)))
    finally:
        await _admin(cluster, f"DROP DATABASE {name} (FORCE)")


@pytest.fixture
async def _fresh(postgres: EmbeddedPostgres) -> AsyncIterator[FreshDatabase]:
    async with fresh_database(postgres) as fresh:
        yield fresh


@pytest.fixture
def database_url(_fresh: FreshDatabase) -> str:
    """The URL of the test's own database as the app's role."""
    return _fresh.app


@pytest.fixture
def owner_url(_fresh: FreshDatabase) -> str:
    """The URL of the same database as its owner."""
    return _fresh.owner


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's own database as the server has it, with a pool of 10."""
    opened = Database.open(database_url, pool=10)
    yield opened
    await opened.close()


async def _admin(cluster: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(cluster.url(database="postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
