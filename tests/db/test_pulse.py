"""A database that is frozen, gone or full: who asks it is told in time, and it is found again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dialer.bench.site_parts import stopped
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.pulse import Pulse
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable

SILENT_S = 1.0


@pytest.fixture
async def own(data_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of the test's own: it is frozen and killed."""
    cluster = EmbeddedPostgres(data_folder, durable=False)
    await cluster.start()
    yield cluster
    await cluster.stop()


@asynccontextmanager
async def watched(cluster: EmbeddedPostgres, *, pool: int = 2) -> AsyncIterator[Database]:
    """A process's database with its pulse."""
    database = Database.open(cluster.url(), pool=pool)
    feeling = asyncio.create_task(Pulse(database, cluster.url(), silent_s=SILENT_S).run())
    try:
        yield database
    finally:
        feeling.cancel()
        await asyncio.gather(feeling, return_exceptions=True)
        await database.close()


async def ask(database: Database, question: str = "SELECT 1") -> Any:
    """One transaction."""
    async with database.system() as conn:
        return await conn.scalar(text(question))


async def until(database: Database, *, silent: bool, within_s: float = 10.0) -> None:
    """The process knows that its database is away, or back."""
    async with asyncio.timeout(within_s):
        while (database.silent_since is not None) is not silent:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # a field tells nobody that it changed


async def test_what_waits_for_a_frozen_database_is_told_in_time(own: EmbeddedPostgres) -> None:
    """A question in flight, one for a connection and one for a place in the pool end within the silence that
    is borne; later ones are refused at once; and once it is thawed it answers again by itself."""
    async with watched(own) as database:
        await ask(database)
        with stopped(own.pids):
            asking = [asyncio.create_task(ask(database)) for _ in range(4)]
            async with asyncio.timeout(SILENT_S * 4):
                ends = await asyncio.gather(*asking, return_exceptions=True)
            assert [type(end) for end in ends] == [DatabaseUnavailable] * 4
            await until(database, silent=True)
            async with asyncio.timeout(0.5):
                with pytest.raises(DatabaseUnavailable, match="has not answered"):
                    await ask(database)
        await until(database, silent=False)
        assert await ask(database) == 1


async def test_a_long_question_is_no_silence(own: EmbeddedPostgres) -> None:
    """While one connection is at work for longer than a silence may last, the database answers beside it."""
    async with watched(own) as database:
        assert await ask(database, f"SELECT 1 FROM pg_sleep({SILENT_S * 2.5})") == 1
        assert database.silent_since is None


async def test_a_killed_database_is_away_at_once_and_found_again(own: EmbeddedPostgres) -> None:
    """Its end is seen by its sockets, without any silence; after the start nobody's hands are needed."""
    async with watched(own) as database:
        await ask(database)
        assert own.pid is not None
        gone = asyncio.create_task(own.gone())
        os.kill(own.pid, signal.SIGKILL)
        await gone
        await until(database, silent=True)
        with pytest.raises(DatabaseUnavailable):
            await ask(database)
        await own.start()
        await until(database, silent=False)
        assert await ask(database) == 1


async def test_a_dropped_connection_is_no_silence(own: EmbeddedPostgres) -> None:
    """All connections are ended at once: the pulse asks on a new one, and nothing is refused."""
    async with watched(own) as database:
        await ask(database)
        other = Database.open(own.url(), pool=1)
        await ask(
            other, "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )  # fmt: skip
        await other.close()
        assert await ask(database) == 1
        assert database.silent_since is None
