"""Queues on a real Asterisk: who gets whom, where callers go whom a queue does not keep, what they hear."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from support.callers import (
    END,
    GOODBYE,
    add_number,
    add_queue,
    call_in,
    calls,
    gone_afterwards,
    leave,
    path,
    stays,
    until_call,
)
from support.centre import Centre

from dialer.agents.model import AgentState, Takes
from dialer.asterisk.fastagi import AgiCall
from dialer.db.tables import queue_stay
from dialer.inbound import phrases, playing
from dialer.queues.announcing import Announcement
from ivr_flows.model import Prompt, Sound

#: Another caller's number.
SECOND = "79161112244"


def flow(**properties: Any) -> list[Mapping[str, Any]]:
    """Straight into the queue of sales; on any other end than a talk the caller hears a goodbye."""
    about = {"queue": "sales", **properties}
    waits = {"name": "sales", "type": "enqueue", "properties": about, "transitions": {"default": "goodbye"}}
    return [waits, GOODBYE, END]


async def test_the_level_of_a_skill_decides(centre: Centre) -> None:
    """The agent who is idle longest has too low a level for the queue; the other one gets the caller."""
    await add_queue(centre, "sales", least_level=6)
    await add_number(centre, flow())
    await centre.add_agents(phones=["agent-0"], skills=["sales"], levels={"sales": 3})
    (able,) = await centre.add_agents(phones=["agent-1"], skills=["sales"], levels={"sales": 8})
    async with gone_afterwards(centre):
        await call_in(centre)
        call = await until_call(centre, "connected")
        shift = await centre.until_agent(able, AgentState.TALKING)
        assert shift.attempt_id == call.id
    (stay,) = await centre.rows(queue_stay)
    assert (stay.ended, stay.agent_id, stay.priority) == ("answered", able, 5)


async def test_levels_are_relaxed_with_the_wait(centre: Centre) -> None:
    """An agent two levels below gets the caller after two steps of waiting, though nothing happens then."""
    await add_queue(centre, "sales", least_level=7, relax_every_s=2)
    await add_number(centre, flow())
    await centre.add_agents(1, skills=["sales"], levels={"sales": 5})
    async with gone_afterwards(centre):
        await call_in(centre)
        call = await until_call(centre, "connected")
    assert (call.assigned_at - call.queued_at).total_seconds() >= 4


async def test_who_finds_a_queue_full_overflows(centre: Centre) -> None:
    """The second caller goes to the other queue, where an agent is free."""
    other = await add_queue(centre, "anybody", skill=None)
    await add_queue(centre, "sales", max_waiting=1, overflow="queue", overflow_queue_id=other)
    await add_number(centre, flow())
    async with gone_afterwards(centre):
        await call_in(centre)
        await until_call(centre, "waiting")
        await centre.add_agents(1, skills=["service"])
        await call_in(centre, SECOND)
        call = await until_call(centre, "connected", n=1)
        assert (call.queue, await stays(centre, call.id)) == (
            "anybody",
            [("sales", "overflow"), ("anybody", "answered")],
        )
        (first, _) = await calls(centre)
        assert await stays(centre, first.id) == [("sales", None)]


async def test_who_has_waited_too_long_goes_on(centre: Centre) -> None:
    """From queue to queue, each for its own time, and back to the flow; the wait began with the first."""
    other = await add_queue(centre, "anybody", max_wait_s=1)
    await add_queue(centre, "sales", max_wait_s=1, overflow="queue", overflow_queue_id=other)
    await add_number(centre, flow())
    await call_in(centre)
    call = await until_call(centre, "ended")
    assert await path(centre, call.id) == [("sales", "timeout"), ("goodbye", "done"), ("end", "done")]
    first, second = sorted(await centre.rows(queue_stay), key=lambda stay: stay.n)
    assert (first.ended, second.ended, second.since) == ("overflow", "timeout", first.since)
    assert first.left_at <= second.entered_at


async def test_a_queue_without_anybody_at_work_lets_nobody_in(centre: Centre) -> None:
    """The flow goes on at once with `empty`; who only makes calls is not at work for callers."""
    await add_queue(centre, "sales", needs_agents=True)
    await add_number(centre, flow())
    await centre.add_agents(1, skills=["sales"], takes=Takes.OUTBOUND)
    await call_in(centre)
    call = await until_call(centre, "ended")
    assert (await path(centre, call.id))[0] == ("sales", "empty")
    assert await stays(centre, call.id) == [("sales", "empty")]


async def test_the_agent_who_talked_with_the_caller_last_comes_first(centre: Centre) -> None:
    """Though the other one has been idle for longer."""
    await add_queue(centre, "sales", last_agent_s=30)
    await add_number(centre, flow())
    async with gone_afterwards(centre), centre.disposing():
        (known,) = await centre.add_agents(phones=["agent-0"], skills=["sales"])
        await call_in(centre)
        first = await until_call(centre, "connected")
        await leave(centre)
        await until_call(centre, "wrap_up", "ended")
        await centre.dispose(first.id)
        await centre.until_agent(known, AgentState.READY)
        # Their shift begins later; a talk ends later still for the order of idle agents.
        await centre.add_agents(phones=["agent-1"], skills=["sales"], rank=9)
        await call_in(centre)
        again = await until_call(centre, "connected", n=1)
        assert again.agent_id == known


async def test_a_higher_priority_is_served_first(centre: Centre) -> None:
    """Of two who wait, the one who came later to the queue that goes before."""
    await add_queue(centre, "sales")
    await add_queue(centre, "urgent", skill="sales", priority=9)
    await add_number(centre, flow())
    await add_number(centre, flow(queue="urgent"), number="74957770102")
    async with gone_afterwards(centre):
        await call_in(centre)
        await until_call(centre, "waiting")
        await call_in(centre, SECOND, number="74957770102")
        await until_call(centre, "waiting", n=1)
        await centre.add_agents(1, skills=["sales"])
        await until_call(centre, "connected", n=1)
        first, _ = await calls(centre)
        assert first.state == "waiting"


async def test_a_key_leads_out_of_the_queue(centre: Centre) -> None:
    """The flow goes on with `left_by_key`; other keys mean nothing."""
    await add_queue(centre, "sales")
    await add_number(centre, flow(leave_on="2"))
    await call_in(centre, keys="wwwwwwww3wwww2wwww2")
    call = await until_call(centre, "ended")
    assert (await path(centre, call.id))[0] == ("sales", "left_by_key")
    assert await stays(centre, call.id) == [("sales", "key")]


async def test_place_and_wait_are_told(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between pieces of music; who was told that a call back can be had asks for it by the queue's key."""
    offer = {"offer_callback_s": 1, "offer_callback_key": "5"}
    await add_queue(centre, "sales", announce_first_s=1, announce_every_s=10, **offer)
    heard: list[tuple[str, str | None]] = []
    real = playing.stream_until

    async def played(agi: AgiCall, sound: str, *more: Any) -> str | None:
        key = await real(agi, sound, *more)
        heard.append((sound, key))
        return key

    monkeypatch.setattr(playing, "stream_until", played)
    waits, *others = flow()
    ways = {"callback": "goodbye", "default": "end"}
    await add_number(centre, [{**waits, "transitions": ways}, *others])
    async with gone_afterwards(centre):
        await call_in(centre, keys="ww" + "w" * 10 + "5wwwwwwww" * 6)
        call = await until_call(centre, "ended", within_s=60)
    assert (await path(centre, call.id))[0] == ("sales", "callback")
    assert await stays(centre, call.id) == [("sales", "callback")]
    assert heard
    assert [sound for sound, key in heard if key is None] == []  # all of it could be played


async def announcing(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """A queue that says something for half a minute to who has waited a second, and lets them out by 0 or #;
    it has begun to, when this is set."""
    await add_queue(centre, "sales", announce_first_s=1, announce_every_s=60)
    begun = asyncio.Event()

    def spoken(_said: Announcement, language: str, _own: object, **_more: str) -> tuple[Prompt, ...]:
        begun.set()
        return (Sound("demo-congrats", language),)

    monkeypatch.setattr(phrases, "of", spoken)
    await add_number(centre, flow(leave_on="0#"))
    return begun


async def test_each_key_is_heard_in_an_announcement(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash too, by which Asterisk would wind a sound that can be cut."""
    await announcing(centre, monkeypatch)
    await call_in(centre, keys="w" * 10 + "#wwwwwwww" * 2)
    call = await until_call(centre, "ended")
    assert (await path(centre, call.id))[0] == ("sales", "left_by_key")
    (stay,) = await centre.rows(queue_stay)
    assert (stay.left_at - stay.entered_at).total_seconds() < 15


async def test_who_is_told_something_has_the_agent_at_once(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An announcement of half a minute is cut when an agent becomes free: they talk within a second."""
    spoken = await announcing(centre, monkeypatch)
    async with gone_afterwards(centre):
        await call_in(centre)
        await until_call(centre, "waiting")
        await asyncio.wait_for(spoken.wait(), 20)
        await centre.add_agents(1, skills=["sales"])
        call = await until_call(centre, "connected")
        assert (call.connected_at - call.assigned_at).total_seconds() < 1
