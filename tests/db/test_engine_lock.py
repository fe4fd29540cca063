"""Two engines never work under one name at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dialer.app.engine import build_engine
from dialer.db.lock import Alone
from dialer.db.session import connect
from dialer.engine import Engine
from dialer.errors import Conflict
from dialer.settings import load

CUT = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'dozvon engine'
"""


@pytest.fixture
async def first(database_url: str) -> AsyncIterator[Alone]:
    """Who came first."""
    alone = Alone(database_url, "main")
    await alone.wait()
    yield alone
    alone.end()


async def cut(owner_url: str) -> None:
    """The connections of engines to their lock break."""
    admin = await connect(owner_url.replace("dozvon_owner", "postgres"))
    await admin.execute(CUT)
    await admin.close()


async def test_the_second_engine_stands_by_until_the_first_ends(
    first: Alone, database_url: str, tmp_path: Path
) -> None:
    """It adopts nothing and calls nobody before; it works as soon as the first is gone."""
    settings = load(data_dir=tmp_path, ami_port=1, agi_port=0)
    engine: Engine = build_engine(settings, database_url)
    running = asyncio.create_task(engine.run())
    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.listener.listening(), 0.6)
        first.end()
        await asyncio.wait_for(engine.listener.listening(), 30)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await engine.database.close()


async def test_a_cut_connection_costs_nobody_the_place(
    first: Alone, database_url: str, owner_url: str
) -> None:
    """The lock is taken again after a cut; a second engine still finds it taken."""
    session = first._session
    keeping = asyncio.create_task(first.keep())
    await cut(owner_url)
    async with asyncio.timeout(30):
        while first._session is session and not keeping.done():  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0.02)
    other = Alone(database_url, "main")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(other.wait(), 0.6)
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    other.end()


async def test_ones_own_former_session_is_no_other_engine(first: Alone) -> None:
    """A cut that only the engine has seen leaves its session in the database: the lock is taken from that."""
    former, session = first._connection, first._session
    assert former is not None
    first._connection = None  # as far as the engine can see
    keeping = asyncio.create_task(first.keep())
    async with asyncio.timeout(30):
        while first._session is session and not keeping.done():  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0.02)
    assert not keeping.done()
    assert former.is_closed()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_who_was_overtaken_ends(first: Alone, database_url: str, owner_url: str) -> None:
    """An engine whose place was taken while it could not see ends: its calls are the other's now."""
    await cut(owner_url)
    other = Alone(database_url, "main")
    await other.wait()
    with pytest.raises(Conflict):
        await asyncio.wait_for(first.keep(), 30)
    other.end()
