"""Calls back in turn on a real Asterisk: a place that is kept, called when it comes, and by nobody twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Update, update
from support.callers import (
    END,
    GOODBYE,
    add_number,
    add_queue,
    call_in,
    calls,
    gone_afterwards,
    stays,
    until_call,
)
from support.centre import TENANT, Centre, open_centre
from support.line import Floor

from dialer.agents.model import AgentState
from dialer.clock import utc_now
from dialer.db.tables import active_number, kept_place
from dialer.demo.numbers import Behaviour, encode

#: Who answers when they are called, and talks on.
PATIENT = encode(Behaviour.STAYS, ring_s=0.5, detail=71).e164
#: And who never does.
AWAY = encode(Behaviour.NO_ANSWER, ring_s=0.5, detail=72).e164
#: A live caller.
SECOND = "79161112244"

QUEUE: Mapping[str, Any] = {"offer_callback_s": 1, "announce_first_s": 1}


def straight(**transitions: str) -> list[Mapping[str, Any]]:
    """Straight into the queue of sales."""
    ways = {"default": "goodbye", **transitions}
    return [
        {"name": "sales", "type": "enqueue", "properties": {"queue": "sales"}, "transitions": ways},
        GOODBYE,
        END,
    ]


#: Straight to a kept place, in a queue that the caller was not in.
ASKS: Sequence[Mapping[str, Any]] = [
    {
        "name": "ask",
        "type": "request_callback",
        "properties": {"queue": "sales", "keep_place": True, "reason": "a boat"},
        "transitions": {"done": "end", "default": "goodbye"},
    },
    GOODBYE,
    END,
]
NUMBER_OF_ASKS = "74957770103"


async def until_place(centre: Centre, *stages: str, n: int = 0, within_s: float = 40.0) -> Row[Any]:
    """Wait until the n-th place is in one of the stages."""

    async def there() -> Row[Any] | None:
        found = sorted(await centre.rows(kept_place), key=lambda row: row.kept_at)
        return found[n] if len(found) > n and found[n].stage in stages else None

    found: Row[Any] = await centre.until(f"a place {stages}", there, within_s=within_s)
    return found


async def busy_agent(centre: Centre) -> int:
    """An agent who is at work, and takes nobody yet."""
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    await call_in(centre, SECOND)
    await until_call(centre, "connected")
    return agent_id


async def end_talk(centre: Centre, n: int = 0) -> None:
    """The n-th talk of who has called is over, and its agent is ready for the next one."""
    talk = (await calls(centre))[n]
    await centre.calls.hang_up(centre.actor, talk.id)
    await until_call(centre, "wrap_up", n=n)
    await centre.dispose(talk.id)


async def look_at_places(centre: Centre, change: Update | None = None) -> None:
    """Have the server read the places anew, after a change of them."""
    async with centre.database.tenant(TENANT) as conn:
        if change is not None:
            await conn.execute(change)
        await conn.exec_driver_sql("""SELECT pg_notify('dozvon_engine', '{"tenant": 1, "what": "places"}')""")


async def test_a_place_that_is_kept_by_key_is_called_in_turn(centre: Centre) -> None:
    """The caller presses the key and confirms their number; when the agent is free they are called and meet
    the agent at once, before a caller who came later."""
    await add_queue(centre, "sales", **QUEUE)
    await add_number(centre, straight())
    async with gone_afterwards(centre):
        agent_id = await busy_agent(centre)
        await call_in(centre, PATIENT[1:], keys="ww" + "w" * 8 + "1wwwwwwww" * 8)
        place = await until_place(centre, "kept", within_s=60)
        asked = await until_call(centre, "ended", n=1)
        assert (asked.result, place.e164, place.queue) == ("callback", PATIENT, "sales")
        assert await stays(centre, asked.id) == [("sales", "callback")]
        await call_in(centre, "79161112255")
        later = await until_call(centre, "waiting", n=2)
        await end_talk(centre)
        (attempt,) = await centre.until_attempts(1, "connected")
        assert (attempt.e164, attempt.agent_id, attempt.contact_id) == (PATIENT, agent_id, place.contact_id)
        assert (attempt.connected_at - attempt.answered_at).total_seconds() < 1
        place = await until_place(centre, "back")
        assert (place.attempt_id, place.tries) == (attempt.id, 1)
        assert [each.state for each in await calls(centre) if each.id == later.id] == ["waiting"]
        await centre.calls.hang_up(centre.actor, attempt.id)
        await centre.until_attempt(attempt.id, "wrap_up")
        await centre.dispose(attempt.id)
        assert (await until_call(centre, "connected", n=2)).id == later.id


async def test_who_leaves_by_a_key_keeps_the_place_that_they_had(centre: Centre) -> None:
    """As the shipped reception asks for it, which names no queue: each department's own callers come back to
    it."""
    await add_queue(centre, "sales")
    leaves = {"queue": "sales", "leave_on": "1"}
    ways = {"left_by_key": "ask", "default": "end"}
    ask = {**ASKS[0], "properties": {"keep_place": True}}
    waits = {"name": "sales", "type": "enqueue", "properties": leaves, "transitions": ways}
    await add_number(centre, [waits, ask, GOODBYE, END])
    async with gone_afterwards(centre):
        await busy_agent(centre)
        await call_in(centre, PATIENT[1:], keys="wwww1wwww" * 8)
        place = await until_place(centre, "kept", within_s=60)
        left = await until_call(centre, "ended", n=1)
        assert (left.result, place.queue, place.since) == ("callback", "sales", left.queued_at)
        assert await stays(centre, left.id) == [("sales", "key")]


async def test_a_place_does_not_overtake_who_came_before(centre: Centre) -> None:
    """A caller on the line who has waited for longer is served first, then the place."""
    await add_queue(centre, "sales", **QUEUE)
    await add_number(centre, straight())
    await add_number(centre, ASKS, number=NUMBER_OF_ASKS)
    async with gone_afterwards(centre), centre.disposing():
        await busy_agent(centre)
        await call_in(centre, "79161112255")
        await until_call(centre, "waiting", n=1)
        await call_in(centre, PATIENT[1:], number=NUMBER_OF_ASKS)
        place = await until_place(centre, "kept")
        assert place.reason == "a boat"
        await until_call(centre, "ended", n=2)
        await end_talk(centre)
        await until_call(centre, "connected", n=1)
        assert await centre.attempts() == []
        await end_talk(centre, n=1)
        back = await until_place(centre, "back")
        (attempt,) = await centre.attempts()
        assert (attempt.queue, attempt.reason, attempt.queued_at) == ("sales", "a boat", back.since)


async def test_who_is_not_reached_is_called_again_and_then_promised_a_call(centre: Centre) -> None:
    """The agent is free for others after each try, the place rests, the number is nobody's, and the last try
    makes a task."""
    await add_queue(centre, "sales", callback_tries=2, callback_again_s=60)
    await add_number(centre, straight())
    manual = await centre.campaign([], mode="manual", ring_timeout_s=2)
    await add_number(centre, ASKS, number=NUMBER_OF_ASKS, campaign_id=manual)
    async with gone_afterwards(centre):
        (agent_id,) = await centre.add_agents(1, skills=["sales"])
        await call_in(centre, AWAY[1:], number=NUMBER_OF_ASKS)
        (first,) = await centre.until_attempts(1, "ended")
        assert first.result in ("no_answer", "canceled")
        place = await until_place(centre, "kept")
        await centre.until_agent(agent_id, AgentState.READY)
        assert (place.tries, place.not_before > first.hung_up_at + timedelta(seconds=59)) == (1, True)
        assert await centre.rows(active_number) == []
        await look_at_places(centre)
        await call_in(centre, SECOND)
        await until_call(centre, "connected", n=1)
        assert len(await centre.attempts()) == 1, "the place came before a caller, though it rests"
        await end_talk(centre, n=1)
        await look_at_places(centre, update(kept_place).values(not_before=utc_now()))  # the time is over
        await centre.until_attempts(2, "ended")
        place = await until_place(centre, "task")
        assert (place.tries, place.callback_id) == (2, None)
        await centre.until_agent(agent_id, AgentState.READY)


async def test_who_calls_in_meanwhile_has_the_place(centre: Centre) -> None:
    """They stand before who came after them the first time, and nobody calls them."""
    await add_queue(centre, "sales")
    await add_number(centre, straight())
    await add_number(centre, ASKS, number=NUMBER_OF_ASKS)
    async with gone_afterwards(centre):
        await busy_agent(centre)
        await call_in(centre, PATIENT[1:], number=NUMBER_OF_ASKS)
        kept = await until_place(centre, "kept")
        await until_call(centre, "ended", n=1)
        await call_in(centre, "79161112255")
        await until_call(centre, "waiting", n=2)
        await call_in(centre, PATIENT[1:])
        await until_call(centre, "waiting", n=3)
        place = await until_place(centre, "dropped")
        assert (place.why, place.since) == ("came_back", kept.since)
        await end_talk(centre)
        await until_call(centre, "connected", n=3)
        assert await centre.attempts() == []


async def test_a_server_that_dies_keeps_the_places(floor: Floor, database_url: str) -> None:
    """kill -9 with a place kept and another ringing: the next server takes the ringing call up, which meets
    its agent, and calls the other one once."""
    # For longer than a server takes to start on a busy machine.
    rings = encode(Behaviour.STAYS, ring_s=25.0, detail=73).e164
    async with open_centre(floor, database_url, own_process=True) as centre:
        before = floor.carrier.invites()
        await add_queue(centre, "sales")
        campaign_id = await centre.campaign([], mode="manual", ring_timeout_s=40)
        await add_number(centre, ASKS, campaign_id=campaign_id)
        async with gone_afterwards(centre):
            (agent_id,) = await centre.add_agents(1, skills=["sales"])
            await call_in(centre, rings[1:])
            await centre.until_attempts(1, "ringing")
            await call_in(centre, PATIENT[1:])
            await until_place(centre, "kept", n=1)
            await until_call(centre, "ended", n=1)
            await centre.kill_engine_process()
            await centre.start_engine_process()
            (attempt,) = await centre.until_attempts(1, "connected", within_s=60)
            assert (attempt.e164, attempt.agent_id) == (rings, agent_id)
            await until_place(centre, "back")
            await centre.calls.hang_up(centre.actor, attempt.id)
            await centre.until_attempt(attempt.id, "wrap_up")
            await centre.dispose(attempt.id)
            await until_place(centre, "back", n=1)
            made = {n: len(ids - before.get(n, set())) for n, ids in floor.carrier.invites().items()}
            assert (made[rings], made[PATIENT]) == (1, 1)
