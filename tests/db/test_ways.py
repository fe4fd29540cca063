"""Ways of calls while the database is away: nothing of them is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from support.came import came_in
from support.floor import TENANT, Floor

from dialer.calls.model import Call, Direction
from dialer.clock import utc_now
from dialer.db.tables import inbound_call
from dialer.inbound import store, ways
from dialer.inbound.ways import Piece, Way, Ways
from ivr_flows.model import Passed


async def way_of(floor: Floor) -> Way:
    """That of a call that came in."""
    async with floor.database.tenant(TENANT) as conn:
        call_id = await came_in(conn, floor.campaign_id)
    campaign_id, at = floor.campaign_id, utc_now()
    return Way(Call(call_id, TENANT, campaign_id, False, 0.0, at, Direction.INBOUND))


def piece(first: int, left: str, now_in: str | None, **collected: str) -> Piece:
    """One state is left, the caller is in the next."""
    at = utc_now() + timedelta(seconds=first)
    return Piece("reception", first, (Passed(left, "done", collected),), now_in, at)


async def steps(floor: Floor, way: Way) -> list[tuple[str, str | None]]:
    """The rows of the way: state and event."""
    async with floor.database.tenant(TENANT) as conn:
        rows = await store.steps(conn, TENANT, way.call.attempt_id)
    return [(row.state, row.event) for row in rows]


@asynccontextmanager
async def writing(one: Ways, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What is late is written meanwhile."""
    monkeypatch.setattr(ways, "AGAIN_S", 0.05)
    running = asyncio.create_task(one.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_next_state_brings_what_is_missing(floor: Floor) -> None:
    """In its order, with what was pressed meanwhile."""
    one, way = Ways(floor.database), await way_of(floor)
    way.pieces.append(piece(0, "hello", "age"))
    await one.keep(way)
    floor.database.fall_silent("a test")
    way.pieces.append(piece(1, "age", "town", age="42"))
    await one.keep(way)
    floor.database.answers()
    assert await steps(floor, way) == [("hello", "done"), ("age", None)]
    way.pieces.append(piece(2, "town", "end", town="7"))
    await one.keep(way)
    assert await steps(floor, way) == [("hello", "done"), ("age", "done"), ("town", "done"), ("end", None)]
    async with floor.database.tenant(TENANT) as conn:
        told = await conn.scalar(
            select(inbound_call.c.collected).where(inbound_call.c.id == way.call.attempt_id)
        )
    assert told == {"age": "42", "town": "7"}


async def test_who_is_gone_is_written_when_the_database_is_back(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their last state, what goes with it, and what they have asked for; each once."""
    one, way, done = Ways(floor.database), await way_of(floor), asyncio.Event()
    asked: list[str] = []

    async def errand() -> None:
        async with floor.database.tenant(TENANT):
            asked.append("opt out")
        done.set()

    async def left(conn: AsyncConnection) -> None:
        await store.left_state(conn, TENANT, way.call.attempt_id, "hung_up")

    floor.database.fall_silent("a test")
    async with writing(one, monkeypatch):
        way.pieces.append(piece(0, "hello", "menu"))
        way.also.append(left)
        way.errands.append(errand)
        await one.end(way)
        one.later(way)  # the call has ended, too
        floor.database.answers()
        async with asyncio.timeout(30):
            await done.wait()
    assert await steps(floor, way) == [("hello", "done"), ("menu", "hung_up")]
    assert asked == ["opt out"]


async def test_one_that_cannot_be_written_holds_up_no_other(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with it."""
    one, bad, good, done = Ways(floor.database), await way_of(floor), await way_of(floor), asyncio.Event()

    async def fails() -> None:
        raise ValueError("it is wrong")

    async def works() -> None:
        done.set()

    bad.errands.append(fails)
    good.errands.append(works)
    async with writing(one, monkeypatch):
        one.later(bad)
        one.later(good)
        async with asyncio.timeout(30):
            await done.wait()
