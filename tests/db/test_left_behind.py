"""What no line answers for, and nobody else either, is taken up in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import insert, update
from support.floor import TENANT, Floor

from dialer.agents.model import AgentState
from dialer.app.engine import build_engine
from dialer.calls import on_lines
from dialer.calls.journal import DatabaseJournal
from dialer.calls.recovery import LEFT_S
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.engine import Engine
from dialer.settings import load


@pytest.fixture
async def engine(database_url: str, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine that has no Asterisk, not running; everything is its own."""
    engine = build_engine(load(data_dir=tmp_path, ami_port=1, agi_port=0), database_url)
    engine.journal = engine.calls.journal = DatabaseJournal(engine.database)
    yield engine
    await engine.database.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic seconds of the recovery, as the test sets them."""
    at = [1000.0]
    monkeypatch.setattr("dialer.calls.recovery.time", SimpleNamespace(monotonic=lambda: at[0]))
    return at


async def look(engine: Engine, floor: Floor) -> None:
    """What the engine does each second, and what follows is written."""
    await engine.recovery.left_behind(TENANT, [floor.campaign_id], phones=True)
    await engine.journal.finish()


async def test_an_attempt_that_no_line_answers_for_is_taken_back(
    floor: Floor, engine: Engine, clock: list[float]
) -> None:
    """Its commit was in doubt: some seconds after it was first seen, and not before."""
    call = await floor.place()
    for passed_s, state in ((0.0, "dialling"), (LEFT_S - 0.1, "dialling"), (0.2, "ended")):
        clock[0] += passed_s
        await look(engine, floor)
        row = await floor.row(t.attempt, call.attempt_id)
        assert row.state == state
    assert (row.result, row.detail) == ("canceled", "commit_in_doubt")


async def test_an_agent_whose_release_was_in_doubt_is_let_go(
    floor: Floor, engine: Engine, clock: list[float]
) -> None:
    """The call is over by its row, and the shift still names it."""
    seat = await floor.seat()
    call = await floor.place(agent=seat)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.attempt).values(state="ended", result="failed", hung_up_at=utc_now(), ended_at=utc_now())
        )
    for passed_s, state in ((0.0, AgentState.RESERVED), (LEFT_S, AgentState.READY)):
        clock[0] += passed_s
        await look(engine, floor)
        shift = await floor.shift(seat)
        assert (shift.state, shift.attempt_id) == (
            state,
            call.attempt_id if state is AgentState.RESERVED else None,
        )


async def test_an_agent_whose_reservation_was_in_doubt_is_let_go(
    floor: Floor, engine: Engine, clock: list[float]
) -> None:
    """The call was given to another agent meanwhile: at once, the talk with that one is not waited for."""
    passed_over, chosen = await floor.seat(), await floor.seat()
    call = await floor.place(agent=passed_over)
    engine.calls.add(floor.line(replace(call, agent=chosen.assignee)))
    await look(engine, floor)
    shift = await floor.shift(passed_over)
    assert (shift.state, shift.attempt_id) == (AgentState.READY, None)


async def test_an_agent_who_is_just_being_chosen_is_not_let_go(
    floor: Floor, engine: Engine, clock: list[float]
) -> None:
    """The row is there before the line knows; one that nobody comes for in some seconds is let go."""
    seat = await floor.seat()
    call = await floor.place(agent=seat)
    engine.calls.add(floor.line(replace(call, agent=None)))
    for passed_s, state in ((0.0, AgentState.RESERVED), (LEFT_S, AgentState.READY)):
        clock[0] += passed_s
        await look(engine, floor)
        assert (await floor.shift(seat)).state == state


async def test_what_a_line_answers_for_is_not_even_read(
    floor: Floor, engine: Engine, clock: list[float]
) -> None:
    """The calls of this engine and of another server, and their agents, are let be, however long it takes."""
    ours, theirs = await floor.seat(), await floor.seat()
    call, other = await floor.talk(ours), await floor.talk(theirs)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.attempt)
            .where(t.attempt.c.id == other.attempt_id)
            .values(campaign_id=await elsewhere(floor))
        )
    engine.calls.add(floor.line(call))
    for _ in range(3):
        clock[0] += 2 * LEFT_S
        await look(engine, floor)
    assert engine.calls.get(call.attempt_id) is not None
    for seat, talk in ((ours, call), (theirs, other)):
        shift = await floor.shift(seat)
        assert (shift.state, shift.attempt_id) == (AgentState.TALKING, talk.attempt_id)
        assert (await floor.row(t.attempt, talk.attempt_id)).state == "connected"
    known = {call.attempt_id: ours.session_id}
    async with floor.database.tenant(TENANT) as conn:
        assert await on_lines.calls_on_lines(conn, TENANT, [floor.campaign_id], known=known) == []
        (left,) = await on_lines.calls_on_lines(conn, TENANT, [floor.campaign_id])
        assert left.call.attempt_id == call.attempt_id
        assert await on_lines.left_shifts(conn, TENANT, known) == []


async def elsewhere(floor: Floor) -> int:
    """A campaign that another server dials."""
    values = {"name": "Осень", "status": "running", "mode": "progressive", "policy": "default"}
    async with floor.database.tenant(TENANT) as conn:
        made = await conn.execute(
            insert(t.campaign).values(tenant_id=TENANT, **values).returning(t.campaign.c.id)
        )
        return int(made.scalar_one())
