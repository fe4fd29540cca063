"""What happens to calls is written down: in order, whole, and through the loss of the database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import func, select
from support.floor import TENANT, Floor

from dialer.agents.model import AgentState
from dialer.calls.journal import DatabaseJournal
from dialer.calls.model import (
    Answered,
    Call,
    CallState,
    Connected,
    HungUp,
    Rang,
    Result,
    Screened,
    Sent,
    Signal,
)
from dialer.calls.table import CallTable
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database, connect

#: Ends every other connection of the role that asks; how many.
CUT = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""


@asynccontextmanager
async def writing(database: Database) -> AsyncIterator[tuple[DatabaseJournal, CallTable]]:
    """A journal that is running, with its table."""
    journal = DatabaseJournal(database)
    task = asyncio.create_task(journal.run())
    try:
        yield journal, CallTable(journal)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_busy_number(floor: Floor) -> None:
    """An unanswered call frees its number, gives its lead the result and the time of the next try, and tells
    of its end."""
    (lead_id,) = await floor.leads(1)
    call = await floor.place(lead_id)
    hung_up = utc_now() + timedelta(seconds=3)
    call = await floor.signals(
        call, Sent(utc_now()), Rang(utc_now()), HungUp(hung_up, result=Result.BUSY, cause=17, sip_code=486)
    )

    row = await floor.row(t.attempt, call.attempt_id)
    assert (row.state, row.result, row.cause, row.sip_code) == ("ended", "busy", 17, 486)
    assert row.hung_up_at == row.ended_at == hung_up
    lead = await floor.row(t.lead, lead_id)
    assert (lead.status, lead.hold, lead.last_result, lead.open_from) == (
        "waiting",
        "retry",
        "busy",
        hung_up + timedelta(minutes=15),
    )
    async with floor.database.tenant(TENANT) as conn:
        assert await conn.scalar(select(func.count()).select_from(t.active_number)) == 0
        told = await conn.scalars(select(t.event.c.payload["state"].astext).order_by(t.event.c.id))
        assert list(told) == ["ringing", "ended"]


async def test_a_talk_moves_its_agent(floor: Floor) -> None:
    """The agent talks while the two are in one bridge, and wraps up when the customer has left."""
    seat = await floor.seat()
    call = await floor.talk(seat)
    shift = await floor.shift(seat)
    assert (shift.state, shift.attempt_id) == (AgentState.TALKING, call.attempt_id)

    call = await floor.hang_up(call)
    shift = await floor.shift(seat)
    assert (shift.state, shift.attempt_id) == (AgentState.WRAP_UP, call.attempt_id)
    assert shift.idle_since == call.hung_up_at
    row = await floor.row(t.attempt, call.attempt_id)
    assert (row.state, row.result, row.ended_at, row.session_id) == (
        "wrap_up",
        "answered",
        None,
        seat.session_id,
    )


async def test_an_ended_row_stays(floor: Floor) -> None:
    """A change that comes after the end of its row changes nothing."""
    call = await floor.place()
    ended = await floor.signals(call, HungUp(utc_now(), result=Result.BUSY))
    before = await floor.row(t.attempt, call.attempt_id)
    await floor.signals(call, HungUp(utc_now(), result=Result.DECLINED))
    assert await floor.row(t.attempt, call.attempt_id) == before
    assert ended.result is Result.BUSY


async def test_an_end_is_told_once(floor: Floor) -> None:
    """A batch whose commit was in doubt, and had happened, is written again: its end is no news then."""
    call = await floor.place()
    journal = DatabaseJournal(floor.database)
    table = CallTable(journal)
    table.add(floor.line(call))
    table.apply(call.attempt_id, Rang(utc_now()))
    table.apply(call.attempt_id, HungUp(utc_now(), result=Result.BUSY))
    for _ in range(2):
        await journal.finish()
    async with floor.database.tenant(TENANT) as conn:
        told = await conn.scalars(select(t.event.c.payload["state"].astext).order_by(t.event.c.id))
        assert list(told) == ["ringing", "ended"]


async def test_one_bad_change_holds_up_nobody(floor: Floor) -> None:
    """A change that the database refuses for its content is left out; those around it are written."""
    calls = [await floor.place() for _ in range(3)]
    async with writing(floor.database) as (journal, table):
        for call in calls:
            table.add(floor.line(call))
        # A cause that no smallint holds.
        for call, cause in zip(calls, (17, 1_000_000, 17), strict=True):
            table.apply(call.attempt_id, HungUp(utc_now(), result=Result.BUSY, cause=cause))
        async with asyncio.timeout(10):
            await journal.drain()
    states = [(await floor.row(t.attempt, call.attempt_id)).state for call in calls]
    assert states == ["ended", "dialling", "ended"]


async def test_no_write_is_lost_when_the_database_is_cut(floor: Floor, database_url: str) -> None:
    """While its connections are cut again and again in the middle of writes, the journal loses nothing and
    writes nothing twice."""
    seats = [await floor.seat() for _ in range(20)]
    leads = await floor.leads(60)
    calls = [
        await floor.place(lead_id, agent=seats[n] if n < len(seats) else None)
        for n, lead_id in enumerate(leads)
    ]
    knife = await connect(database_url, application="knife")
    stop = asyncio.Event()
    cuts = 0

    async def cut() -> None:
        nonlocal cuts
        while not stop.is_set():
            cuts += await knife.fetchval(CUT)
            await asyncio.sleep(0.004)  # time is the event: cuts come when they will

    rng = random.Random(5)
    try:
        async with writing(floor.database) as (journal, table):
            cutter = asyncio.create_task(cut())
            for call in calls:
                table.add(floor.line(call))
            for step in range(4):
                for n, call in enumerate(calls):
                    signal = _step(call, step, talks=n < len(seats))
                    table.apply(call.attempt_id, signal)
                    if rng.random() < 0.2:
                        await asyncio.sleep(0.005)
            for _ in range(40):
                if not journal.behind:
                    break
                await asyncio.sleep(0.05)
            stop.set()
            await cutter
            async with asyncio.timeout(20):
                await journal.drain()
    finally:
        await knife.close()

    assert cuts > 3
    states = [(await floor.row(t.attempt, call.attempt_id)).state for call in calls]
    assert states == ["wrap_up"] * 20 + ["ended"] * 40
    assert {(await floor.shift(seat)).state for seat in seats} == {AgentState.WRAP_UP}
    async with floor.database.tenant(TENANT) as conn:
        assert await conn.scalar(select(func.count()).select_from(t.active_number)) == 0
        statuses = await conn.execute(
            select(t.lead.c.status, func.count()).group_by(t.lead.c.status).order_by(t.lead.c.status)
        )
        assert [tuple(row) for row in statuses] == [("closed", 20), ("waiting", 40)]
        wrap_ups = select(func.count()).select_from(t.agent_time).where(t.agent_time.c.state == "wrap_up")
        assert await conn.scalar(wrap_ups) == 20


async def test_a_locked_row_is_waited_for(floor: Floor, owner_url: str, database_url: str) -> None:
    """A refusal that is not for the content (here a lock's time-out) costs nothing: it is written later."""
    call = await floor.place()
    owner = await connect(owner_url)
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f"ALTER DATABASE {name} SET lock_timeout = '50ms'")
    holder = await connect(owner_url)
    impatient = Database.open(database_url, pool=2)
    try:
        async with writing(impatient) as (journal, table):
            async with holder.transaction():
                await holder.execute("SELECT FROM attempt FOR UPDATE")
                table.add(floor.line(call))
                table.apply(call.attempt_id, HungUp(utc_now(), result=Result.BUSY))
                await asyncio.sleep(0.4)  # both tries of the journal end in this time
                assert journal.behind == 1
            async with asyncio.timeout(10):
                await journal.drain()
    finally:
        await impatient.close()
        await holder.close()
        await owner.close()
    assert (await floor.row(t.attempt, call.attempt_id)).result == "busy"


def _step(call: Call, step: int, *, talks: bool) -> Signal:
    now = utc_now()
    assert call.state is CallState.DIALLING
    if step == 0:
        return Sent(now)
    if step == 1:
        return Rang(now)
    if step == 2:
        return Connected(now, agent=call.agent) if talks and call.agent else Rang(now)
    return HungUp(now, result=Result.NO_ANSWER)


async def test_times_of_agents_never_run_backwards(floor: Floor) -> None:
    """Stretches of an agent's time follow one another without a hole, none of negative length."""
    seat = await floor.seat()
    for _ in range(3):
        call = await floor.place(agent=seat)
        await floor.signals(call, Answered(utc_now()), Screened(utc_now()))
        await floor.hang_up(call)
    async with floor.database.tenant(TENANT) as conn:
        rows = list(
            await conn.execute(
                select(t.agent_time.c.started_at, t.agent_time.c.ended_at).order_by(t.agent_time.c.id)
            )
        )
    ended: list[datetime] = [row.ended_at for row in rows[:-1]]
    assert all(row.ended_at >= row.started_at for row in rows[:-1])
    assert rows[-1].ended_at is None
    assert ended == sorted(ended)
