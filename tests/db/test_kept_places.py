"""Kept places in the database: who keeps one, what becomes of it, and who counts it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from support.arrivals import NUMBER, arrived, published
from support.floor import TENANT, Floor

from dialer.calls.model import Call
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.ids import new_id
from dialer.inbound import callers, given_up
from dialer.queues import places, stays, store
from dialer.queues.places import NewPlace
from dialer.queues.turns import Outcome, Stage, Why


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database)


async def add_queue(floor: Floor, **fields: Any) -> int:
    """A queue of sales."""
    async with floor.database.tenant(TENANT) as conn:
        values = {"name": "sales"} | fields
        return int(
            await conn.scalar(insert(t.queue).values(tenant_id=TENANT, **values).returning(t.queue.c.id))
        )


async def keep(floor: Floor, call: Call, queue_id: int, since: datetime, **about: Any) -> bool:
    """The caller keeps a place."""
    async with floor.database.tenant(TENANT) as conn:
        queue = (await store.queues(conn, TENANT))[queue_id]
        who = await callers.find(conn, TENANT, NUMBER)
        values: dict[str, Any] = {
            "campaign_id": call.campaign_id, "contact_id": who.contact_id, "e164": NUMBER.e164,
            "timezones": ("Europe/Moscow",), "priority": queue.priority, "skills": {"boats": 3},
        }  # fmt: skip
        new = NewPlace(call.attempt_id, queue, since=since, **(values | about))
        return await places.keep(conn, TENANT, new, utc_now())


async def rows(floor: Floor) -> Sequence[Any]:
    """All places, oldest first."""
    async with floor.database.tenant(TENANT) as conn:
        return list(await conn.execute(select(t.kept_place).order_by(t.kept_place.c.kept_at)))


async def test_one_open_place_a_number(floor: Floor) -> None:
    """Who asks again keeps what they have; a place that has ended makes room for another."""
    queue_id, version = await add_queue(floor), await published(floor)
    first, second = await arrived(floor, version), await arrived(floor, version)
    now = utc_now()
    assert await keep(floor, first, queue_id, now)
    assert not await keep(floor, second, queue_id, now)
    async with floor.database.tenant(TENANT) as conn:
        assert await places.end(conn, TENANT, [first.attempt_id], Stage.DROPPED, now, Why.CANCELED) == 1
    assert await keep(floor, second, queue_id, now)


async def test_a_place_stands_among_those_on_the_line(floor: Floor) -> None:
    """Before who came later and behind who came before; not while it rests, nor when it is called."""
    queue_id, version = await add_queue(floor), await published(floor)
    asked, caller = await arrived(floor, version), await arrived(floor, version)
    now = utc_now()
    await keep(floor, asked, queue_id, now - timedelta(seconds=60))

    async def before(since: datetime) -> int:
        async with floor.database.tenant(TENANT) as conn:
            return await stays.ahead(conn, TENANT, queue_id, caller.attempt_id, 5, since)

    assert (await before(now), await before(now - timedelta(seconds=90))) == (1, 0)
    async with floor.database.tenant(TENANT) as conn:
        await places.rest(conn, TENANT, asked.attempt_id, now + timedelta(hours=1))
    assert await before(now) == 0
    async with floor.database.tenant(TENANT) as conn:
        await places.rest(conn, TENANT, asked.attempt_id, now - timedelta(seconds=1))
        assert await places.begin(conn, TENANT, asked.attempt_id, new_id())
        assert not await places.begin(conn, TENANT, asked.attempt_id, new_id())  # nobody calls twice
    assert await before(now) == 0


async def test_what_is_read_of_a_place(floor: Floor) -> None:
    """Its queue's rules, what the flow asks besides, and that the person talked with somebody since."""
    queue_id, version = await add_queue(floor, skill="sales", least_level=4), await published(floor)
    call = await arrived(floor, version)
    await keep(floor, call, queue_id, utc_now())

    async def read() -> places.Kept:
        async with floor.database.tenant(TENANT) as conn:
            (found,) = await places.waiting(conn, TENANT, await store.queues(conn, TENANT))
            return found

    kept = await read()
    assert [(need.skill, need.least_level) for need in kept.needs] == [("sales", 4), ("boats", 3)]
    assert (kept.waiting.anywhere, kept.waiting.queue_id, kept.served) == (True, queue_id, False)
    later = await arrived(floor, version)
    async with floor.database.tenant(TENANT) as conn:
        c = t.inbound_call.c
        await conn.execute(
            update(t.inbound_call)
            .where(c.id == later.attempt_id)
            .values(connected_at=utc_now(), created_at=utc_now())
        )
    assert (await read()).served


@pytest.mark.parametrize(
    ("outcome", "stage", "tries"),
    [
        (Outcome.ANSWERED, "back", 1),
        (Outcome.NOT_REACHED, "kept", 1),
        (Outcome.NOT_PLACED, "kept", 0),
        (Outcome.UNKNOWN, "dropped", 1),
    ],
)
async def test_what_becomes_of_a_call_settles_the_place_once(
    floor: Floor, outcome: Outcome, stage: str, tries: int
) -> None:
    """What comes after, of the same call, changes nothing."""
    queue_id, attempt_id = await add_queue(floor, callback_again_s=90), new_id()
    call = await arrived(floor, await published(floor))
    await keep(floor, call, queue_id, utc_now())
    now = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        await places.begin(conn, TENANT, call.attempt_id, attempt_id)
    for told in (outcome, Outcome.NOT_REACHED):
        async with floor.database.tenant(TENANT) as conn:
            await places.settle(conn, TENANT, {attempt_id: told}, now)
    (row,) = await rows(floor)
    assert (row.stage, row.tries) == (stage, tries)
    assert row.not_before == (now + timedelta(seconds=90) if stage == "kept" else None)


async def test_who_calls_takes_their_place_over(floor: Floor) -> None:
    """With the beginning of its wait and the call to them that rings; a second time there is none."""
    queue_id, attempt_id = await add_queue(floor), new_id()
    call = await arrived(floor, await published(floor))
    since = utc_now() - timedelta(seconds=300)
    await keep(floor, call, queue_id, since, priority=8)
    async with floor.database.tenant(TENANT) as conn:
        await places.begin(conn, TENANT, call.attempt_id, attempt_id)
        assert await places.take_over(conn, TENANT, "+79990000000", queue_id, utc_now()) is None
        found = await places.take_over(conn, TENANT, NUMBER.e164, queue_id, utc_now())
        assert found is not None
        assert (found.since, found.priority, found.attempt_id) == (since, 8, attempt_id)
        assert await places.take_over(conn, TENANT, NUMBER.e164, queue_id, utc_now()) is None
        await places.settle(conn, TENANT, {attempt_id: Outcome.NOT_REACHED}, utc_now())
    (row,) = await rows(floor)
    assert (row.stage, row.why) == ("dropped", "came_back")


async def test_a_place_that_is_given_up_becomes_a_promised_call(floor: Floor) -> None:
    """Once; it says what the person called for. Whom nobody may call is not promised one."""
    queue_id, version = await add_queue(floor), await published(floor)
    call = await arrived(floor, version)
    await keep(floor, call, queue_id, utc_now(), reason="a boat")
    async with floor.database.tenant(TENANT) as conn:
        await places.end(conn, TENANT, [call.attempt_id], Stage.TASK, utc_now())
    assert await given_up.promise(floor.database, TENANT) == 1
    assert await given_up.promise(floor.database, TENANT) == 0
    (row,) = await rows(floor)
    made = await floor.row(t.callback, row.callback_id)
    assert (made.note, made.state, made.made_in, made.contact_id) == (
        "a boat",
        "waiting",
        call.attempt_id,
        row.contact_id,
    )
