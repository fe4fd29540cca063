"""The database is away for some seconds while people are in flows and queues."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from sqlalchemy import select
from support.callers import (
    END,
    add_number,
    add_queue,
    call_in,
    gone_afterwards,
    leave,
    path,
    until_at,
    until_call,
)
from support.centre import TENANT, Centre
from support.postgres import FreshDatabase

from dialer.db.tables import do_not_call, recording
from dialer.voicemail.service import VoicemailService

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
TO_OUT = {**HELLO, "transitions": {"default": "out"}}
OUT = {
    "name": "out",
    "type": "opt_out",
    "properties": {"scope": "all"},
    "transitions": {"done": "later", "default": "end"},
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


async def test_the_way_of_who_goes_on_meanwhile_has_no_gap(centre: Centre, _fresh: FreshDatabase) -> None:
    """What could not be written is written when the database is back."""
    await add_number(centre, [HELLO | {"transitions": {"default": "later"}}, LATER, END])
    await call_in(centre)
    call = await until_at(centre, "hello")
    async with away(_fresh):
        await until_led_to(centre, call.id, "later")
    await until_call(centre, "ended")
    assert await path(centre, call.id) == [("hello", "nothing"), ("later", "nothing"), ("end", "done")]


async def test_who_wants_no_calls_is_heard_though_the_database_is_away(
    centre: Centre, _fresh: FreshDatabase
) -> None:
    """They wait for it to music, and it is written down."""
    await add_number(centre, [TO_OUT, OUT, LATER, END])
    await call_in(centre)
    call = await until_at(centre, "hello")
    async with away(_fresh):
        await until_led_to(centre, call.id, "out")
    await until_call(centre, "ended")
    assert ("out", "done") in await path(centre, call.id)
    assert await refused(centre) == ["+79161112233"]


async def test_who_leaves_meanwhile_is_called_no_more_either(centre: Centre, _fresh: FreshDatabase) -> None:
    """They have said so before they were gone."""
    out = {
        "name": "out",
        "type": "opt_out",
        "properties": {"scope": "all"},
        "transitions": {"default": "end"},
    }
    await add_number(centre, [HELLO | {"transitions": {"default": "out"}}, out, END])
    await call_in(centre)
    call = await until_at(centre, "hello")
    async with away(_fresh):
        await until_led_to(centre, call.id, "out")
        async with centre.manager("Hangup") as link:
            await leave(centre)
            await centre.until_hangup(link, "dozvon-caller", within_s=60)

    async def written() -> bool:
        return await refused(centre) == ["+79161112233"]

    await centre.until_seen("the number on the list", written, within_s=40)


async def test_a_message_that_ends_meanwhile_is_kept(centre: Centre, _fresh: FreshDatabase) -> None:
    """Supervisors have it when the database is back, and it is what the call came to."""
    message = {
        "name": "message",
        "type": "voicemail",
        "properties": {"box": "sales", "most_s": 6},
        "transitions": {"done": "later", "default": "end"},
    }
    await add_number(centre, [message, LATER, END])
    async with gone_afterwards(centre):
        await call_in(centre)
        call = await until_at(centre, "message")
        await until_recorded(centre)
        async with away(_fresh):
            await until_led_to(centre, call.id, "later")
        call = await until_call(centre, "ended")
    assert call.result == "voicemail"
    service = VoicemailService(centre.database, centre.settings.recording_dir)
    assert [one.box for one in await service.messages(centre.actor)] == ["sales"]
    assert await path(centre, call.id) == [("message", "done"), ("later", "nothing"), ("end", "done")]


async def until_recorded(centre: Centre) -> None:
    """Wait until the row of the message stands."""

    async def stands() -> bool:
        async with centre.database.tenant(TENANT) as conn:
            return await conn.scalar(select(recording.c.path)) is not None

    await centre.until_seen("the row of a message", stands, within_s=40)


async def refused(centre: Centre) -> list[str]:
    """The numbers that nobody calls."""
    async with centre.database.tenant(TENANT) as conn:
        return list(await conn.scalars(select(do_not_call.c.mark)))
