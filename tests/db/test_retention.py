"""What is over is deleted in small batches, and nothing else is."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text
from support.floor import Floor

from dialer.app.jobs import run_jobs
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.errors import SettingsError
from dialer.retention import model
from dialer.retention.service import Retention, terms
from dialer.retention.store import RETENTION_LOCK
from dialer.settings import AUDIT_LEAST_DAYS, load

TERMS = model.Terms(commands=7, pacing=90, agent_time=1096, audit=AUDIT_LEAST_DAYS)
DAY = timedelta(days=1)


async def fill(database: Database, *times: datetime) -> None:
    """Rows of these times in each table that grows."""
    floor = await Floor.open(database, status="stopped")
    async with database.tenant(1) as conn:
        for at in times:
            rows: list[tuple[Any, dict[str, Any]]] = [
                (t.command, {"kind": "dial", "payload": {}, "created_at": at, "done_at": at}),
                (
                    t.pacing_tick,
                    {"campaign_id": floor.campaign_id, "at": at, "dial": 0, "why": "", "inputs": {}},
                ),
                (t.audit, {"at": at, "action": "campaign.pause", "subject": "campaign:1"}),
            ]
            for table, values in rows:
                await conn.execute(insert(table).values(tenant_id=1, **values))


async def shift(database: Database, started: datetime, ended: datetime | None) -> None:
    """An agent's time in one state."""
    async with database.tenant(1) as conn:
        user_id = await conn.scalar(
            insert(t.app_user)
            .values(tenant_id=1, login=str(uuid4()), name="Ольга", role="operator", password_hash="-")
            .returning(t.app_user.c.id)
        )
        agent_id = await conn.scalar(
            insert(t.agent)
            .values(tenant_id=1, user_id=user_id, name="Ольга", endpoint=str(uuid4()))
            .returning(t.agent.c.id)
        )
        session_id = uuid4()
        await conn.execute(
            insert(t.agent_session).values(
                tenant_id=1, id=session_id, agent_id=agent_id, state="paused",
                state_since=started, idle_since=started, logged_in_at=started,
            )
        )  # fmt: skip
        await conn.execute(
            insert(t.agent_time).values(
                tenant_id=1, session_id=session_id, agent_id=agent_id, state="paused",
                started_at=started, ended_at=ended,
            )
        )  # fmt: skip


async def left(database: Database) -> dict[str, int]:
    """Rows by table."""
    async with database.tenant(1) as conn:
        return {
            table.name: await conn.scalar(select(func.count()).select_from(table)) or 0
            for table in (t.command, t.pacing_tick, t.agent_time, t.audit)
        }


async def test_each_table_keeps_its_own_time(database: Database) -> None:
    """A row goes when its own term is over, and not before."""
    now = utc_now()
    await fill(database, *(now - days * DAY for days in (1828, 91, 8, 1)))
    await shift(database, now - 1098 * DAY, now - 1097 * DAY)
    await shift(database, now - 1095 * DAY, now - 1094 * DAY)
    await shift(database, now - 1098 * DAY, None)
    deleted = await Retention(database, TERMS).sweep()
    assert deleted == {"command": 3, "pacing_tick": 2, "agent_time": 1, "audit": 1}
    assert await left(database) == {"command": 1, "pacing_tick": 2, "agent_time": 2, "audit": 3}


async def test_backlog_is_deleted_batch_by_batch(database: Database) -> None:
    """More than a batch is over: all of it goes."""
    long_ago = utc_now() - 2000 * DAY
    await fill(database, *[long_ago] * 25, utc_now(), utc_now(), utc_now())
    deleted = await Retention(database, TERMS, batch=10, pause_s=0.0).sweep()
    assert deleted["command"] == 25
    assert await left(database) == {"command": 3, "pacing_tick": 3, "agent_time": 0, "audit": 3}


async def test_five_years_of_changes_stay_whatever_is_asked(database: Database) -> None:
    """The setting refuses less than five years, and so does the database; the app itself may delete none."""
    with pytest.raises(SettingsError, match="DOZVON_KEEP_AUDIT_DAYS"):
        load(keep_audit_days=365)
    await fill(database, utc_now() - 1800 * DAY)
    less = model.Terms(commands=7, pacing=90, agent_time=1096, audit=1)
    assert (await Retention(database, less).sweep())["audit"] == 0
    with pytest.raises(Exception, match="permission denied"):
        async with database.tenant(1) as conn:
            await conn.execute(text("DELETE FROM audit"))


async def test_one_tenants_sweep_leaves_the_others(database: Database, owner_url: str) -> None:
    """The owner's function too deletes only of the tenant that the transaction names."""
    owner = await connect(owner_url)
    await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'B')")
    await owner.execute(
        "INSERT INTO audit (tenant_id, at, action, subject) SELECT n, now() - interval '6 years', 'a', 's' "
        "FROM unnest(ARRAY[1, 2]) n"
    )
    async with database.tenant(1) as conn:
        assert await conn.scalar(text("SELECT drop_audit(interval '5 years', 10)")) == 1
    assert [row[0] for row in await owner.fetch("SELECT tenant_id FROM audit")] == [2]
    await owner.close()


async def test_one_server_deletes_at_a_time(database: Database, database_url: str) -> None:
    """While another one is at it, nothing is deleted here."""
    await fill(database, utc_now() - 2000 * DAY)
    other = await connect(database_url)
    await other.execute("SELECT pg_advisory_lock($1)", RETENTION_LOCK)
    assert set((await Retention(database, TERMS).sweep()).values()) == {0}
    await other.close()
    assert (await Retention(database, TERMS).sweep())["command"] == 1


async def test_nobody_waits_for_it(database: Database, owner_url: str) -> None:
    """With 50,000 decisions that are over a batch takes less than 0.1 s as a rule, and a writer never waits
    for it as long as a second."""
    floor = await Floor.open(database)
    owner = await connect(owner_url)
    await owner.execute(
        "INSERT INTO pacing_tick (tenant_id, campaign_id, at, dial, why, inputs) "
        "SELECT 1, $1, now() - interval '1 year', 0, 'free_agents', '{\"ready\": 1}' "
        "FROM generate_series(1, 50000)",
        floor.campaign_id,
    )
    await owner.close()
    sweeping = asyncio.create_task(Retention(database, TERMS, pause_s=0.0).sweep())
    loop = asyncio.get_running_loop()
    waits = []
    while not sweeping.done():
        before = loop.time()
        async with database.tenant(1) as conn:
            await conn.execute(
                insert(t.pacing_tick).values(
                    tenant_id=1, campaign_id=floor.campaign_id, dial=0, why="", inputs={}
                )
            )
        waits.append(loop.time() - before)
    assert sweeping.result()["pacing_tick"] == 50_000
    assert (await left(database))["pacing_tick"] == len(waits)
    waits.sort()
    assert waits[len(waits) // 2] < 0.1
    assert waits[-1] < 1.0


async def test_the_jobs_process_does_it(database: Database, database_url: str) -> None:
    """The process for long work deletes what is over when it starts, and ends when it is told to."""
    await fill(database, utc_now() - 2000 * DAY)
    stop = asyncio.Event()
    settings = load(keep_commands_days=1999)
    assert terms(settings) == model.Terms(commands=1999, pacing=90, agent_time=1096, audit=1827)
    working = asyncio.create_task(run_jobs(settings, database_url, stop))
    async with asyncio.timeout(20):
        while (await left(database))["audit"]:  # noqa: ASYNC110  (nothing tells that a row has gone)
            await asyncio.sleep(0.05)
    stop.set()
    async with asyncio.timeout(20):
        await working
