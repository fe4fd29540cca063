"""Callers of a centre with two Asterisk servers, and of one with two servers of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.asterisk import RunningAsterisk, StartAsterisk
from support.callers import (
    END,
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

from dialer.agents.model import AgentState
from dialer.app.engine import build_engine
from dialer.db.tables import kept_place
from dialer.demo.numbers import Behaviour, encode
from dialer.engine import Engine
from dialer.ports import free_port
from dialer.recordings.recorder import whole_seconds
from dialer.servers import store as servers
from dialer.voicemail.service import VoicemailService

#: Who answers when they are called, and talks on.
PATIENT = encode(Behaviour.STAYS, ring_s=0.5, detail=75).e164
SECOND = "second"

IN_SALES = {
    "name": "sales",
    "type": "enqueue",
    "properties": {"queue": "sales"},
    "transitions": {"default": "end"},
}
ASKS = {
    "name": "ask",
    "type": "request_callback",
    "properties": {"queue": "sales", "keep_place": True},
    "transitions": {"default": "end"},
}
MESSAGE = {
    "name": "message",
    "type": "voicemail",
    "properties": {"box": "sales"},
    "transitions": {"done": "end", "empty": "end"},
}


async def second_node(centre: Centre, start_asterisk: StartAsterisk) -> RunningAsterisk:
    """One more Asterisk that the engine drives, where no agent has a phone."""
    secret = centre.settings.ami_password()
    running = await start_asterisk(trunks=[centre.floor.carrier.trunk()], ami_secret=secret)
    async with centre.database.system() as conn:
        await servers.put_node(conn, SECOND, "127.0.0.1", running.managed.ami_port)

    async def ready() -> bool:
        node = centre.engine.nodes.get(SECOND) if centre.engine else None
        return node is not None and node.ready

    await centre.until_seen("the second node", ready)
    return running


@asynccontextmanager
async def second_server(centre: Centre) -> AsyncIterator[Engine]:
    """One more engine over the same database and Asterisk."""
    settings = centre.settings.model_copy(update={"server_name": "two", "agi_port": free_port()})
    engine = build_engine(settings, centre.database_url)
    running = asyncio.create_task(engine.run())
    try:
        async with asyncio.timeout(20.0):
            await engine.resynced.wait()
        yield engine
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await engine.database.close()


async def until_asked_at(centre: Centre, address: str) -> None:
    """Wait until Asterisk brings those who call to the server at this address."""

    async def there() -> bool:
        said = await centre.floor.asterisk.cli("dialplan show globals")
        return f"DOZVON_INBOUND={address}\n" in said

    await centre.until_seen(f"calls that go to {address}", there)


# -- two Asterisk servers --------------------------------------------------------------------------------


async def test_a_place_kept_at_one_asterisk_is_called_from_the_agents(
    centre: Centre, start_asterisk: StartAsterisk
) -> None:
    """The place is no channel: who called in at an Asterisk without agents is called by that of the agent."""
    second = await second_node(centre, start_asterisk)
    await add_queue(centre, "sales")
    await add_number(centre, [ASKS, END])
    async with gone_afterwards(centre):
        (agent_id,) = await centre.add_agents(1, skills=["sales"])
        await call_in(centre, PATIENT[1:], sip_port=second.managed.sip_port)
        (attempt,) = await centre.until_attempts(1, "connected")
        (call,) = await calls(centre)
        assert (call.node, attempt.node) == (SECOND, centre.settings.node_name)
        assert (attempt.e164, attempt.agent_id) == (PATIENT, agent_id)

        async def back() -> bool:
            return [place.stage for place in await centre.rows(kept_place)] == ["back"]

        await centre.until_seen("a place that has come to its turn", back)


async def test_a_message_is_left_at_any_asterisk(centre: Centre, start_asterisk: StartAsterisk) -> None:
    """It lies among the recordings, whole, whichever has written it."""
    second = await second_node(centre, start_asterisk)
    await add_number(centre, [MESSAGE, END])
    async with gone_afterwards(centre):
        await call_in(centre, speech="message", sip_port=second.managed.sip_port)
        call = await until_call(centre, "ended")
    assert (call.node, call.result) == (SECOND, "voicemail")
    service = VoicemailService(centre.database, centre.settings.recording_dir)
    (one,) = await service.messages(centre.actor)
    file = await service.file(centre.actor, one.id)
    assert isinstance(file, Path)
    assert (one.call_id, whole_seconds(file)) == (call.id, one.length_s)
    assert one.length_s > 1


async def test_a_queue_is_empty_where_none_of_its_agents_is(
    centre: Centre, start_asterisk: StartAsterisk
) -> None:
    """Voices are joined within an Asterisk only: who can be given nobody there does not wait in vain."""
    second = await second_node(centre, start_asterisk)
    await add_queue(centre, "sales", needs_agents=True)
    await add_number(centre, [IN_SALES, END])
    async with gone_afterwards(centre):
        (agent_id,) = await centre.add_agents(1, skills=["sales"])
        await call_in(centre, "79161112244", sip_port=second.managed.sip_port)
        there = await until_call(centre, "ended")
        assert await path(centre, there.id) == [("sales", "empty"), ("end", "done")]
        assert await stays(centre, there.id) == [("sales", "empty")]
        await call_in(centre)
        here = await until_call(centre, "connected", n=1)
        assert here.agent_id == agent_id


# -- two servers -----------------------------------------------------------------------------------------


async def test_a_caller_comes_to_the_server_that_answers_for_the_number(centre: Centre) -> None:
    """Whichever of them Asterisk knows last; and to the one that lives, when that is gone."""
    await add_queue(centre, "sales")
    await add_number(centre, [IN_SALES, END])
    assert centre.engine is not None
    ours = centre.engine.agi.address
    async with gone_afterwards(centre):
        (agent_id,) = await centre.add_agents(1, skills=["sales"])
        async with second_server(centre) as two:
            await until_asked_at(centre, two.agi.address)
            await call_in(centre)
            call = await until_call(centre, "connected")
            assert (call.agent_id, centre.engine.calls.get(call.id) is not None) == (agent_id, True)
            await leave(centre)
            await until_call(centre, "wrap_up")
            await centre.dispose(call.id)
        await until_asked_at(centre, ours)
        await centre.until_agent(agent_id, AgentState.READY)
        await call_in(centre)
        assert (await until_call(centre, "connected", n=1)).agent_id == agent_id
