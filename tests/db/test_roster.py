"""Who is logged in, as an engine remembers it: as the rows stand, though only what was named is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection
from support.floor import TENANT, Floor, Seat

from dialer.agents import roster as rosters
from dialer.agents import store
from dialer.agents.model import AgentState, Shift
from dialer.agents.roster import Roster
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.listen import ENGINE, MISSED, Listener
from dialer.errors import DatabaseUnavailable
from dialer.ids import new_id


async def pause(floor: Floor, seat: Seat) -> None:
    """Pause an agent."""
    async with floor.database.tenant(TENANT) as conn:
        await store.move(conn, TENANT, seat.session_id, AgentState.PAUSED, utc_now(), pause_code="lunch")


async def rows(floor: Floor) -> list[Shift]:
    """As they stand."""
    async with floor.database.tenant(TENANT) as conn:
        return await store.open_shifts(conn, TENANT)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody tells of is never read."""
    monkeypatch.setattr(rosters, "WHOLE_EVERY_S", 1e9)


@pytest.mark.usefixtures("never")
async def test_only_what_has_changed_is_made_anew(floor: Floor) -> None:
    """What is read is what stands, in its order; of what stands as before the same objects come."""
    now, roster = utc_now(), Roster(floor.database)
    first, second = [await floor.seat(idle_since=now - timedelta(minutes=9 - n)) for n in range(2)]
    before = await roster.shifts(TENANT)
    assert before == await rows(floor)
    await pause(floor, second)
    roster.changed(TENANT, second.session_id)
    after = await roster.shifts(TENANT)
    assert after == await rows(floor)
    assert (after[0] is before[0], after[1].state) == (True, AgentState.PAUSED)
    async with floor.database.tenant(TENANT) as conn:
        await store.move(conn, TENANT, first.session_id, AgentState.OFFLINE, now)
    roster.changed(TENANT, first.session_id)
    assert [shift.id for shift in await roster.shifts(TENANT)] == [second.session_id]
    newest, oldest = await floor.seat(), await floor.seat(idle_since=now - timedelta(hours=1))
    roster.changed(TENANT, newest.session_id)
    roster.changed(TENANT, oldest.session_id)
    found = [shift.id for shift in await roster.shifts(TENANT)]
    assert found == [oldest.session_id, second.session_id, newest.session_id]


@pytest.mark.usefixtures("never")
async def test_a_change_of_no_named_shift_is_of_all(floor: Floor) -> None:
    """An agent's skills are seen when it is said that agents were changed, and when notes were missed."""
    roster = Roster(floor.database)
    await floor.seat(skills=["en"])
    await roster.shifts(TENANT)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.agent).values(skills=["kz"]))
    roster.changed(TENANT)
    (shift,) = await roster.shifts(TENANT)
    assert shift.skills == {"kz"}


async def test_what_nobody_told_of_is_seen_after_a_while(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it was written."""
    roster, seat = Roster(floor.database), await floor.seat()
    await roster.shifts(TENANT)
    await pause(floor, seat)
    monkeypatch.setattr(rosters, "WHOLE_EVERY_S", 0.0)
    (shift,) = await roster.shifts(TENANT)
    assert shift.state is AgentState.PAUSED


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize("whole", [False, True])
async def test_what_changes_while_it_is_read_is_read_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """The answer that is under way may be older than the change, though it comes after it."""
    roster, seat = Roster(floor.database), await floor.seat()
    await roster.shifts(TENANT)
    if whole:
        roster.changed(TENANT)
    name = "open_shifts" if whole else "open_shifts_of"
    read, seen = getattr(store, name), asyncio.Event()

    async def late(conn: AsyncConnection, tenant_id: int, *of: Collection[UUID]) -> list[Shift]:
        found: list[Shift] = await read(conn, tenant_id, *of)
        if not seen.is_set():
            seen.set()
            await pause(floor, seat)
            roster.changed(TENANT, seat.session_id)
        return found

    monkeypatch.setattr(store, name, late)
    roster.changed(TENANT, seat.session_id)
    (before,) = await roster.shifts(TENANT)
    (after,) = await roster.shifts(TENANT)
    assert (before.state, after.state) == (AgentState.READY, AgentState.PAUSED)


@pytest.mark.usefixtures("never")
async def test_what_could_not_be_read_is_read_when_it_can(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that was away has forgotten nothing, and nobody has forgotten to ask it."""
    roster, seat = Roster(floor.database), await floor.seat()
    await roster.shifts(TENANT)
    await pause(floor, seat)
    roster.changed(TENANT, seat.session_id)

    async def away(*_: object) -> list[Shift]:
        raise DatabaseUnavailable(reason="away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "open_shifts_of", away)
        with pytest.raises(DatabaseUnavailable):
            await roster.shifts(TENANT)
    (shift,) = await roster.shifts(TENANT)
    assert shift.state is AgentState.PAUSED


async def test_each_change_of_a_shift_is_told_with_its_name(floor: Floor, database_url: str) -> None:
    """Whoever is taken, or talks, has not become free: the switchboard need not look."""
    seat, attempt_id, now = await floor.seat(), new_id(), utc_now()
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = Listener(database_url, [ENGINE])
    listener.subscribe(ENGINE, heard.put_nowait)
    task = asyncio.create_task(listener.run())
    try:
        assert await heard.get() == MISSED
        for to in (AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP, AgentState.READY):
            async with floor.database.tenant(TENANT) as conn:
                await store.move(conn, TENANT, seat.session_id, to, now, attempt_id=attempt_id)
        async with floor.database.tenant(TENANT) as conn:
            await store.ask_next(conn, TENANT, seat.session_id, AgentState.PAUSED, "lunch")
            await store.move(conn, TENANT, seat.session_id, AgentState.LOST, now)
        notes = [json.loads(await heard.get()) for _ in range(6)]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [note["what"] for note in notes] == ["busy", "busy", "busy", "agents", "busy", "shifts"]
    assert {note["shift"] for note in notes} == {str(seat.session_id)}
