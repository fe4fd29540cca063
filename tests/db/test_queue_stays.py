"""Stays in queues: who waited where, from when to when, and how it ended."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from support.arrivals import arrived, published, signals
from support.floor import TENANT, Floor

from dialer.calls.model import Assigned, Call, Connected, GaveUp, HungUp, HungUpBy, Queued, Result, Vanished
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.queues import stays, store
from dialer.queues.model import End


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database)


async def enter(
    floor: Floor, call: Call, at: datetime, queue_id: int | None = None, refused: End | None = None
) -> bool:
    """The caller waits, or is refused."""
    about: dict[str, Any] = {"queue_id": queue_id, "queue": "sales", "priority": 5, "at": at}
    async with floor.database.tenant(TENANT) as conn:
        return await stays.enter(conn, TENANT, call.attempt_id, refused=refused, **about)


async def found(floor: Floor) -> list[Any]:
    """The stays, in the order of the calls' ways."""
    async with floor.database.tenant(TENANT) as conn:
        return list(await conn.execute(select(t.queue_stay).order_by(t.queue_stay.c.n)))


async def test_an_answered_wait_ends_as_the_two_meet(floor: Floor) -> None:
    """With the agent; the end of the talk changes nothing."""
    seat = await floor.seat()
    call = await arrived(floor, await published(floor))
    began, met = call.created_at, call.created_at + timedelta(seconds=7)
    assert await enter(floor, call, began)
    left = HungUp(met + timedelta(seconds=60), result=Result.LEFT, cause=16, by=HungUpBy.CUSTOMER)
    who = seat.assignee
    await signals(floor, call, Queued(began), Assigned(met, agent=who), Connected(met, agent=who), left)
    (stay,) = await found(floor)
    assert (stay.n, stay.queue, stay.priority, stay.ended) == (1, "sales", 5, "answered")
    assert (stay.entered_at, stay.left_at, stay.agent_id) == (began, met, who.agent_id)


@pytest.mark.parametrize(
    ("ends", "ended"),
    [
        ([HungUp(utc_now(), result=Result.LEFT, cause=16, by=HungUpBy.CUSTOMER)], End.ABANDONED),
        ([HungUp(utc_now(), result=Result.LEFT, cause=16)], End.ABANDONED),
        ([HungUp(utc_now(), result=Result.LEFT, cause=16, by=HungUpBy.SERVER)], End.LOST),
        ([Vanished(utc_now(), detail="not_seen_to_end")], End.LOST),
        # A server that was started anew finds the caller, and later hears that they are gone.
        ([GaveUp(utc_now()), HungUp(utc_now(), result=Result.LEFT, by=HungUpBy.CUSTOMER)], End.LOST),
    ],
)
async def test_a_wait_that_nobody_ended_has_an_end(floor: Floor, ends: list[Any], ended: End) -> None:
    """The caller left; or was let down by us, which is no abandoned call of theirs."""
    call = await arrived(floor, await published(floor))
    assert await enter(floor, call, call.created_at)
    await signals(floor, call, Queued(call.created_at), *ends)
    (stay,) = await found(floor)
    assert stay.ended == ended
    assert stay.agent_id is None
    assert stay.left_at >= stay.entered_at


async def test_the_first_end_of_a_wait_holds(floor: Floor) -> None:
    """Who was taken out of a queue has not abandoned it by hanging up later; each stay has its own number."""
    call = await arrived(floor, await published(floor))
    at = call.created_at
    await enter(floor, call, at, refused=End.FULL)
    await enter(floor, call, at)
    async with floor.database.tenant(TENANT) as conn:
        over = stays.Over(call.attempt_id, at + timedelta(seconds=30), End.TIMEOUT)
        await stays.settle(conn, TENANT, [over])
    await enter(floor, call, at + timedelta(seconds=31))
    await signals(floor, call, Queued(at), HungUp(utc_now(), result=Result.LEFT, by=HungUpBy.CUSTOMER))
    assert [(stay.n, stay.ended) for stay in await found(floor)] == [
        (1, "full"),
        (2, "timeout"),
        (3, "abandoned"),
    ]


async def test_who_has_hung_up_waits_nowhere(floor: Floor) -> None:
    """A caller whose end was written before enters no queue."""
    call = await arrived(floor, await published(floor))
    await signals(floor, call, HungUp(utc_now(), result=Result.LEFT, by=HungUpBy.CUSTOMER))
    assert not await enter(floor, call, call.created_at)
    assert await found(floor) == []


async def test_a_call_that_ends_as_it_enters_leaves_no_open_wait(floor: Floor) -> None:
    """Its end is written after the beginning of the wait, which it then ends."""
    call = await arrived(floor, await published(floor))
    about: dict[str, Any] = {"queue_id": None, "queue": "sales", "priority": 5, "at": call.created_at}
    gone = HungUp(utc_now(), result=Result.LEFT, by=HungUpBy.CUSTOMER)
    async with floor.database.tenant(TENANT) as conn:
        assert await stays.enter(conn, TENANT, call.attempt_id, **about)
        writing = asyncio.create_task(signals(floor, call, gone))
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        async with asyncio.timeout(10):
            while not await conn.scalar(waits):  # noqa: ASYNC110 nothing tells that somebody waits for a lock
                await asyncio.sleep(0.01)
    await writing
    (stay,) = await found(floor)
    assert stay.ended == "abandoned"


async def test_a_stay_outlives_its_queue(floor: Floor) -> None:
    """The name remains."""
    call = await arrived(floor, await published(floor))
    async with floor.database.tenant(TENANT) as conn:
        queue_id = await conn.scalar(
            insert(t.queue).values(tenant_id=TENANT, name="sales").returning(t.queue.c.id)
        )
    await enter(floor, call, call.created_at, queue_id)
    assert [stay.queue_id for stay in await found(floor)] == [queue_id]
    async with floor.database.tenant(TENANT) as conn:
        await store.remove(conn, TENANT, queue_id)
    assert [(stay.queue_id, stay.queue) for stay in await found(floor)] == [(None, "sales")]
