"""What the engine does with the notes of the other processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from dialer.agents.roster import Roster
from dialer.app.engine import build_engine
from dialer.calls.switchboard import Switchboard
from dialer.campaigns.runner import Runner
from dialer.db import events
from dialer.db.session import Database
from dialer.engine import Engine
from dialer.errors import PartMissing
from dialer.ids import new_id
from dialer.settings import load

TENANT = 1


@pytest.fixture
async def engine(database_url: str, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine that has no Asterisk, not yet running."""
    engine = build_engine(load(data_dir=tmp_path, ami_port=1, agi_port=0), database_url)
    yield engine
    await engine.database.close()


@contextlib.asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[None]:
    """The engine at work."""
    task = asyncio.create_task(engine.run())
    await engine.listener.listening()
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def tell(database: Database, *what: str) -> None:
    """Send notes, as other processes do."""
    for each in what:
        async with database.tenant(TENANT) as conn:
            await events.wake(conn, each, tenant_id=TENANT)


async def test_news_of_agents_wait_for_no_errand(
    engine: Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Asterisk's files are written anew, a waiting customer still gets the agent who becomes free."""
    begun, free = asyncio.Event(), asyncio.Event()

    async def render() -> None:
        begun.set()
        free.clear()
        await asyncio.Event().wait()

    engine.render = render
    monkeypatch.setattr(Switchboard, "agents_changed", lambda _self: free.set())
    async with running(engine), asyncio.timeout(30):
        await tell(database, "phones")
        await begun.wait()
        await tell(database, "agents")
        await free.wait()


async def test_who_is_taken_is_known_and_makes_nobody_look_for_an_agent(
    engine: Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four changes in a talk one may give somebody an agent; pacing knows them all."""
    told, looks, known = list[UUID | None](), list[UUID | None](), asyncio.Event()
    taken, ready = new_id(), new_id()

    def changed(_self: Roster, _tenant_id: int, shift_id: UUID | None = None) -> None:
        told.append(shift_id)
        if shift_id == ready:
            known.set()

    monkeypatch.setattr(Roster, "changed", changed)
    monkeypatch.setattr(Switchboard, "agents_changed", lambda _self: looks.append(told[-1]))
    async with running(engine), asyncio.timeout(30):
        for what, shift_id in (("busy", taken), ("agents", ready)):
            async with database.tenant(TENANT) as conn:
                await events.wake(conn, what, tenant_id=TENANT, shift_id=shift_id)
        await known.wait()
    assert [one for one in told if one is not None] == [taken, ready]
    assert [one for one in looks if one is not None] == [ready]


async def test_trunks_are_read_again_whatever_the_files(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trunk that was switched off is not dialled over because Asterisk's files cannot be written."""
    tried, read = asyncio.Event(), asyncio.Event()

    async def render() -> None:
        tried.set()
        read.clear()
        raise PartMissing(part="Asterisk", mend="install it")

    engine.render = render
    monkeypatch.setattr(Runner, "campaigns_changed", lambda _self, _tenant: read.set())
    async with running(engine), asyncio.timeout(30):
        await tried.wait()
        await read.wait()
