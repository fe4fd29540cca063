"""The database is away for some seconds while people are in flows and queues."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from support.callers import (
    END,
    add_number,
    add_queue,
    call_in,
    gone_afterwards,
    path,
    until_at,
    until_call,
)
from support.centre import Centre
from support.postgres import FreshDatabase

#: A question that nobody answers: it ends by itself.
HELLO = {
    "name": "hello",
    "type": "gather",
    "properties": {"prompt": {"sound": "vm-goodbye"}, "into": "n", "digits": 1, "first_s": 8, "retries": 0},
    "transitions": {"default": "sales"},
}
SALES = {
    "name": "sales",
    "type": "enqueue",
    "properties": {"queue": "sales"},
    "transitions": {"timeout": "later", "default": "end"},
}
LATER = {**HELLO, "name": "later", "transitions": {"default": "end"}}


@asynccontextmanager
async def away(fresh: FreshDatabase) -> AsyncIterator[None]:
    """The database drops everybody, and lets nobody in."""
    admin = await asyncpg.connect(fresh.admin)
    try:
        name = await admin.fetchval("SELECT quote_ident(current_database())")
        await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        try:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            yield
        finally:
            await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    finally:
        await admin.close()


async def until_led_to(centre: Centre, call_id: UUID, state: str) -> None:
    """Wait until the engine leads the caller in this state: no row tells of it now."""
    assert centre.engine is not None
    leader = centre.engine.reception.leader

    async def there() -> bool:
        return leader.way(call_id)[-1:] == [state]

    await centre.until_seen(f"a caller led to {state}", there, within_s=40)


async def test_who_comes_to_a_queue_waits_for_the_database(centre: Centre, _fresh: FreshDatabase) -> None:
    """They hear music meanwhile, and have an agent when it is back."""
    await add_queue(centre, "sales")
    await add_number(centre, [HELLO, SALES, LATER, END])
    async with gone_afterwards(centre):
        (agent_id,) = await centre.add_agents(1, skills=["sales"])
        await call_in(centre)
        call = await until_at(centre, "hello")
        async with away(_fresh):
            await until_led_to(centre, call.id, "sales")
        call = await until_call(centre, "connected")
        assert call.agent_id == agent_id


async def test_whose_wait_is_over_meanwhile_goes_on_as_the_queue_says(
    centre: Centre, _fresh: FreshDatabase
) -> None:
    """The time of a wait is nobody's fault: the flow goes on from `timeout`, not from `failed`."""
    await add_queue(centre, "sales", max_wait_s=4)
    await add_number(centre, [SALES, LATER, END])
    async with gone_afterwards(centre):
        await call_in(centre)
        call = await until_call(centre, "waiting")
        async with away(_fresh):
            await until_led_to(centre, call.id, "later")
        call = await until_call(centre, "ended")
        assert ("later", "nothing") in await path(centre, call.id)
