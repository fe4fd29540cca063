"""Which talks' recordings the engine looks for when they end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update
from support.floor import TENANT, Floor

from dialer.app.engine import build_engine
from dialer.calls.model import Call, Connected, HungUp, HungUpBy, Result
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.engine import Engine
from dialer.recordings.recorder import Recorder
from dialer.settings import load


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign that records its talks."""
    return await Floor.open(database, record=True)


@pytest.fixture
async def engine(database_url: str, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine that has no Asterisk, not running."""
    engine = build_engine(load(data_dir=tmp_path, ami_port=1, agi_port=0), database_url)
    yield engine
    await engine.recorder.close()
    await engine.database.close()


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The attempts whose recordings were looked for."""
    found: list[UUID] = []
    monkeypatch.setattr(Recorder, "ended", lambda _self, _tenant, attempt_id, _at: found.append(attempt_id))
    return found


def leave(engine: Engine, call: Call) -> None:
    """The customer hangs up."""
    engine.calls.apply(
        call.attempt_id, HungUp(utc_now(), result=Result.FAILED, cause=16, by=HungUpBy.CUSTOMER)
    )


@pytest.mark.parametrize("record", [True, False])
async def test_only_a_recorded_talk_is_asked_after(
    floor: Floor, engine: Engine, looked_for: list[UUID], record: bool
) -> None:
    """Where nothing is recorded the end of a talk costs no look into the database."""
    seat = await floor.seat()
    call = await floor.place(agent=seat)
    terms = await engine.terms.terms(TENANT, floor.campaign_id)
    line = floor.line(call)
    line.terms = replace(terms, record=record)
    engine.calls.add(line)
    engine.calls.apply(call.attempt_id, Connected(utc_now(), agent=seat.assignee))
    leave(engine, call)
    assert looked_for == ([call.attempt_id] if record else [])


async def test_a_talk_of_an_earlier_owner_is_asked_after_whatever_the_terms_say_now(
    floor: Floor, engine: Engine, looked_for: list[UUID]
) -> None:
    """It may have been recorded before the campaign's recording was switched off."""
    call = await floor.talk(await floor.seat())
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(record=False))
    (line,) = await engine.recovery.adopt(TENANT, [floor.campaign_id])
    assert not line.terms.record
    leave(engine, call)
    assert looked_for == [call.attempt_id]
