"""Talks of callers on a real Asterisk: who comes first, what is heard before, what is recorded, what is done
after."""

from __future__ import annotations

import asyncio
import wave
from array import array
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Row, insert
from support.callers import END, add_number, add_queue, call_in, gone_afterwards, leave, until_call
from support.centre import TENANT, Centre

from dialer.agents.model import AgentState
from dialer.db.tables import destination, recording
from dialer.demo.numbers import Behaviour, encode
from dialer.recordings.recorder import make_day, whole_within
from dialer.voicemail.model import heard_s

WAITS: Mapping[str, Any] = {
    "name": "sales",
    "type": "enqueue",
    "properties": {"queue": "sales"},
    "transitions": {"default": "end"},
}
THROUGH: Mapping[str, Any] = {
    "name": "through",
    "type": "dial",
    "properties": {"targets": ["office"]},
    "transitions": {"default": "end"},
}


async def recorded(centre: Centre) -> Row[Any]:
    """The only recording, finished."""
    assert centre.engine is not None
    await centre.engine.recorder.close()
    (row,) = await centre.rows(recording)
    return row


async def test_a_caller_comes_before_those_who_are_dialled(centre: Centre) -> None:
    """The agent of a running campaign becomes free while a caller waits: they talk, and nobody is dialled for
    that agent from the beginning of the wait to the end of the talk. Then the campaign goes on."""
    await add_queue(centre, "sales")
    await add_number(centre, [WAITS, END])
    await centre.add_agents(1, skills=["sales"])
    numbers = [encode(Behaviour.LEAVES_EARLY, ring_s=0.5, detail=30 + n).e164 for n in range(4)]
    async with gone_afterwards(centre), centre.disposing():
        made = await centre.campaign(numbers)
        await centre.until_attempts(1, "connected", campaign_id=made)
        await call_in(centre)
        await until_call(centre, "waiting", "connected")
        talk = await until_call(centre, "connected")
        await asyncio.sleep(2)  # time in which the campaign would dial
        before = await centre.attempts(made)
        await leave(centre)
        call = await until_call(centre, "wrap_up")
        await centre.dispose(call.id)
        await centre.until_attempts(len(before) + 1, "ended", campaign_id=made)
    (first, following, *_) = await centre.attempts(made)
    assert first.hung_up_at <= talk.connected_at
    assert len(before) == 1
    assert following.created_at >= call.hung_up_at


async def test_work_after_a_talk_ends_with_the_time_of_the_queue(centre: Centre) -> None:
    """By the queue, not by the campaign of the number; the disposition is owed all the same."""
    await add_queue(centre, "sales", wrap_up_s=2)
    await add_number(centre, [WAITS, END])
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    async with gone_afterwards(centre):
        await call_in(centre)
        await until_call(centre, "connected")
        await leave(centre)
        working = await centre.until_agent(agent_id, AgentState.WRAP_UP)
        free = await centre.until_agent(agent_id, AgentState.READY, AgentState.PAUSED)
    assert 2 <= (free.state_since - working.state_since).total_seconds() < 5
    call = await until_call(centre, "ended")
    assert (call.result, call.disposed_at) == ("answered", None)


@pytest.mark.parametrize("through", [False, True], ids=["agent", "outside"])
async def test_a_talk_of_a_caller_is_recorded(centre: Centre, through: bool) -> None:
    """With an agent, and with somebody outside whom the flow has put them through to: from the moment at
    which they are joined, and whole."""
    office = encode(Behaviour.LEAVES_TALK, ring_s=2.0, detail=30).e164
    async with centre.database.tenant(TENANT) as conn:
        listed = {"name": "office", "kind": "number", "value": office}
        await conn.execute(insert(destination).values(tenant_id=TENANT, **listed))
    await add_queue(centre, "sales")
    campaign_id = await centre.campaign([], mode="manual", record=True)
    await add_number(centre, [THROUGH if through else WAITS, END], campaign_id=campaign_id)
    async with gone_afterwards(centre):
        if not through:
            await centre.add_agents(1, skills=["sales"])
        await call_in(centre)
        if not through:
            await until_call(centre, "connected")
            await asyncio.sleep(2)  # what is recorded
            await leave(centre)
        call = await until_call(centre, "ended", "wrap_up")
    row = await recorded(centre)
    assert (row.inbound_call_id, row.status) == (call.id, "whole")
    assert row.started_at > call.answered_at
    talk_s = (call.hung_up_at - row.started_at).total_seconds()
    assert row.duration_s == pytest.approx(talk_s, abs=0.7)
    with wave.open(str(centre.settings.recording_dir / row.path)) as file:
        assert len(set(file.readframes(file.getnframes()))) > 100


async def test_who_waits_hears_music(centre: Centre) -> None:
    """From the beginning of the wait on: the line is recorded, and the caller says nothing."""
    await add_queue(centre, "sales")
    await add_number(centre, [WAITS, END])
    folder, path = centre.settings.recording_dir, "line/heard.wav"
    await asyncio.to_thread(make_day, folder, path)
    async with gone_afterwards(centre), centre.manager("Hangup") as link:
        await call_in(centre, speech="silence")
        call = await until_call(centre, "waiting")
        await link.send({"Action": "MixMonitor", "Channel": call.channel, "File": str(folder / path)})
        await asyncio.sleep(3)  # what is recorded
    seconds = await whole_within(folder / path)
    assert seconds is not None
    with wave.open(str(folder / path)) as file:
        samples = array("h", file.readframes(file.getnframes()))
    assert heard_s(samples) > seconds / 2 > 1
