"""Closed hours: whatever happens to them later, reports give what a count of every row gives."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, text, update
from support.past import SUPERVISOR, world_of

from dialer.app.jobs import run_jobs
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.reports.closing import Closing
from dialer.reports.figures import Group
from dialer.reports.model import BEGINNING, DAY, HOUR, hour_of
from dialer.reports.service import FigureService
from dialer.settings import load


@pytest.mark.parametrize("seed", range(6))
async def test_reports_give_what_every_row_gives(database: Database, owner_url: str, seed: int) -> None:
    """Random attempts and shifts, random changes of them when they are closed, random spans and zones."""
    world = await world_of(seed, database, owner_url)
    await world.check(1)
    await world.closing().round()
    assert await world.closed_until() > world.now - 2 * DAY
    await world.check(3)
    for _ in range(6):
        await world.mend()
        await world.check(1)
        await world.closing().round()
        await world.check(2)


async def test_a_closed_hour_is_not_read_again(database: Database, owner_url: str) -> None:
    """Its attempts may be deleted, the figures stay."""
    world = await world_of(20, database, owner_url)
    figures = FigureService(database, clock=lambda: world.now)
    await world.closing().round()
    closed = await world.closed_until()
    before = await figures.figures(SUPERVISOR, Group.CAMPAIGN, since=world.now - 5 * DAY, until=closed)
    assert before.total.counts.attempts > 100
    assert before.total.time is not None
    assert before.total.time.logged_in_s > 3600
    owner = await connect(owner_url)
    await owner.execute("DELETE FROM agent_time WHERE started_at < $1", closed)
    await owner.execute("DELETE FROM attempt WHERE created_at < $1", closed)
    await owner.close()
    assert (
        await figures.figures(SUPERVISOR, Group.CAMPAIGN, since=world.now - 5 * DAY, until=closed) == before
    )


async def test_an_hour_with_an_open_attempt_is_not_closed(database: Database, owner_url: str) -> None:
    """Nor is any after it; when it ends they are."""
    world = await world_of(21, database, owner_url)
    async with database.tenant(1) as conn:
        await conn.execute(update(t.attempt).values(state="ended", ended_at=world.now, result="busy"))
        some = (await conn.execute(select(t.attempt.c.id).limit(1))).scalar_one()
        made = world.now - 2 * DAY
        await conn.execute(
            update(t.attempt)
            .where(t.attempt.c.id == some)
            .values(created_at=made, state="wrap_up", ended_at=None)
        )
    await world.closing().round()
    assert await world.closed_until() == hour_of(made)
    async with database.tenant(1) as conn:
        await conn.execute(
            update(t.attempt).where(t.attempt.c.id == some).values(state="ended", ended_at=world.now)
        )
    await world.closing().round()
    assert await world.closed_until() == hour_of(utc_now())


async def test_an_attempt_that_is_committed_late_is_counted(database: Database, owner_url: str) -> None:
    """It was written before its hour was marked, by a transaction that nobody sees until it ends."""
    world = await world_of(22, database, owner_url)
    at = world.now - 30 * HOUR
    row = {
        "tenant_id": 1, "id": uuid4(), "caller_id": "+7", "mode": "progressive", "policy": "default/1",
        "created_at": at, **world.facts(at),
    }  # fmt: skip
    async with database.tenant(1) as conn:
        await conn.execute(insert(t.attempt).values(row))
        closing = asyncio.create_task(world.closing().round())
        async with asyncio.timeout(60):
            while not await _is_marked(database):  # noqa: ASYNC110  (nothing tells that it is)
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)  # nothing must happen meanwhile, and it has no news
        assert await world.closed_until() == BEGINNING
    async with asyncio.timeout(60):
        assert await closing > 0
    assert await world.closed_until() > at
    await world.check(4)


async def _is_marked(database: Database) -> bool:
    async with database.tenant(1) as conn:
        return await conn.scalar(select(t.report_state.c.marked_until)) is not None


CLOSE = """
import asyncio, sys
from datetime import timedelta
from dialer.db.session import Database
from dialer.reports.closing import Closing
async def close():
    closing = Closing(Database.open(sys.argv[1], pool=2), 1096, grace=timedelta(0), rest=0.0)
    print("ready", flush=True)
    await closing.round()
asyncio.run(close())
"""


async def test_a_killed_closing_is_gone_on_with(
    database: Database, database_url: str, owner_url: str
) -> None:
    """kill -9 at any moment of it: the next one closes the rest, and every figure is right."""
    world = await world_of(23, database, owner_url)
    reached = set()
    for n in range(6):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLOSE, database_url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            await process.stdout.readline()
            await asyncio.sleep(0.03 * (n + 1))  # the moment is the point
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()
        async with database.tenant(1) as conn:
            reached.add(await conn.scalar(select(t.report_state.c.closed_until)))
        await world.check(1)
    await world.closing().round()
    reached.add(await world.closed_until())
    assert len(reached) > 2
    assert await world.closed_until() > world.now - DAY
    await world.check(4)


async def test_two_servers_close_an_hour_once(database: Database, owner_url: str) -> None:
    """Both at work at once, neither breaks, and every figure is right."""
    world = await world_of(24, database, owner_url)
    await asyncio.gather(*(world.closing().round() for _ in range(3)))
    await world.closing().round()
    assert await world.closed_until() > world.now - DAY
    await world.check(4)


async def test_time_that_was_deleted_stays_counted(database: Database, owner_url: str) -> None:
    """Hours of so long ago that retention may have deleted their rows keep the agents' time they had."""
    world = await world_of(25, database, owner_url)
    await world.closing().round()
    figures = FigureService(database, clock=lambda: world.now)
    until = hour_of(world.now - 2 * DAY)
    since = world.now - 5 * DAY
    before = await figures.figures(SUPERVISOR, Group.AGENT, since=since, until=until)
    owner = await connect(owner_url)
    await owner.execute("DELETE FROM agent_time WHERE started_at < $1", world.now - DAY)
    await owner.close()
    await world.move_to("Pacific/Apia")  # every hour is opened again
    await Closing(database, 1, grace=timedelta(0), rest=0.0).round()
    after = await figures.figures(SUPERVISOR, Group.AGENT, since=since, until=until)
    assert after.rows == before.rows


async def test_the_process_for_long_work_closes_hours(
    database: Database, database_url: str, owner_url: str
) -> None:
    """`run_jobs` does it, and ends when it is told to."""
    world = await world_of(26, database, owner_url)
    stop = asyncio.Event()
    working = asyncio.create_task(run_jobs(load(), database_url, stop))
    async with asyncio.timeout(60):
        while not await _is_closed(database):  # noqa: ASYNC110  (nothing tells that an hour is closed)
            await asyncio.sleep(0.05)
    stop.set()
    async with asyncio.timeout(20):
        await working
    await world.check(1)


async def _is_closed(database: Database) -> bool:
    async with database.tenant(1) as conn:
        return bool(await conn.scalar(text("SELECT count(*) FROM report_figures WHERE hours = 24")))
