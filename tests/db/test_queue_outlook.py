"""What stands between a waiting caller and an agent, as it is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from support.floor import TENANT, Floor, Seat

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.queues.model import Need, Queue, needs_of
from dialer.queues.outlook import Outlooks, at_work
from dialer.queues.waits import Outlook, Seen

SALES = Queue(1, "sales", skill="sales", least_level=5)


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database)


async def busy(floor: Floor, seat: Seat, state: str, ago_s: float, length_s: float) -> None:
    """A stretch of the agent's time that began so long ago."""
    began = utc_now() - timedelta(seconds=ago_s)
    async with floor.database.tenant(TENANT) as conn:
        row: dict[str, Any] = {"session_id": seat.session_id, "agent_id": seat.agent_id, "state": state}
        ended = began + timedelta(seconds=length_s)
        await conn.execute(
            insert(t.agent_time).values(tenant_id=TENANT, started_at=began, ended_at=ended, **row)
        )


async def read(floor: Floor, needs: tuple[Need, ...] = (Need("sales", 5),)) -> Outlook:
    """Of a caller with two before them."""
    async with floor.database.tenant(TENANT) as conn:
        return await Outlooks().of(conn, TENANT, needs, SALES, 2, utc_now())


async def test_the_agents_who_could_serve_are_counted(floor: Floor) -> None:
    """By what they do, and only with the skill at its level; who takes no callers or pauses is not there."""
    await floor.seat(skills=["sales"])
    await floor.seat(skills=["service"])
    talking = await floor.seat(skills=["sales", "service"])
    await floor.seat(AgentState.PAUSED, skills=["sales"])
    async with floor.database.tenant(TENANT) as conn:
        assert await agents.reserve(conn, TENANT, talking.session_id, utc_now())
    seen = await read(floor)
    assert (seen.before, seen.free, seen.busy) == (2, 1, 1)
    async with floor.database.tenant(TENANT) as conn:
        assert await at_work(conn, TENANT, needs_of(SALES), SALES) == 2


async def test_what_agents_did_is_summed_over_the_stretches(floor: Floor) -> None:
    """Talks that ended there, and seconds in talks and wrap-ups as far as they lie in it."""
    seat, other = await floor.seat(skills=["sales"]), await floor.seat(skills=["service"])
    await busy(floor, seat, "talking", 600, 120)
    await busy(floor, seat, "wrap_up", 480, 30)
    await busy(floor, seat, "talking", 1000, 200)  # half of it in the last quarter of an hour
    await busy(floor, seat, "talking", 5000, 60)
    await busy(floor, seat, "ready", 400, 100)
    await busy(floor, other, "talking", 500, 100)
    quarter, hour, four = (await read(floor)).seen
    assert [one.talks for one in (quarter, hour, four)] == [2, 2, 3]
    assert [round(one.busy_s) for one in (quarter, hour, four)] == [250, 350, 410]
    assert isinstance(quarter, Seen)
