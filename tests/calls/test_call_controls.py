"""What agents do in a talk on a real Asterisk: hold, mute, keys, pauses of the recording."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row
from support.callers import add_number, call_in, calls, gone_afterwards, until_call
from support.centre import Centre
from support.talks import application, grown, loudest, recorded_file, talk

from dialer.agents.model import AgentState
from dialer.db.tables import audit, command, recording
from dialer.demo.numbers import Behaviour
from dialer.errors import Forbidden, WrongState

SALES = {"name": "sales", "type": "enqueue", "properties": {"queue": "sales"}}


async def until_held(centre: Centre, call_id: UUID, *, held: bool) -> Row[Any]:
    """Wait until the call's row says so."""

    async def there() -> Row[Any] | None:
        rows = [*await centre.attempts(), *await calls(centre)]
        return next((row for row in rows if row.id == call_id and (row.held_at is not None) is held), None)

    found: Row[Any] = await centre.until(f"on hold: {held}", there)
    return found


async def test_a_customer_on_hold_hears_music_and_comes_back(centre: Centre) -> None:
    """The agent is nobody else's meanwhile; the hold's time is in the call's row, apart from the talk's."""
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id)
    person = await centre.person(agent_id)
    for _ in range(2):  # asked twice, it is done once
        await centre.controls.hold(person, call_id, on=True)
    held = await until_held(centre, call_id, held=True)
    assert (held.state, held.hold_s) == ("connected", 0)
    assert await application(centre, "dozvon-held") == "MusicOnHold"
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id == call_id
    for _ in range(2):
        await centre.controls.hold(person, call_id, on=False)
    back = await until_held(centre, call_id, held=False)
    assert back.hold_s > 0
    assert await application(centre, "dozvon-customer") == "Bridge"
    await centre.calls.hang_up(person, call_id)
    ended = await centre.until_attempt(call_id, "wrap_up")
    assert (ended.result, ended.hung_up_by, ended.hold_s) == ("answered", "agent", back.hold_s)


async def test_a_caller_who_hangs_up_on_hold(centre: Centre) -> None:
    """The call ends as a talk does: the agent wraps up, and the hold has its time."""
    await add_number(centre, [SALES])
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    async with gone_afterwards(centre):
        await call_in(centre)
        call = await until_call(centre, "connected")
        await centre.controls.hold(await centre.person(agent_id), call.id, on=True)
        await until_held(centre, call.id, held=True)
    call = await until_call(centre, "wrap_up")
    assert (call.result, call.hung_up_by, call.held_at) == ("answered", "customer", None)
    assert 0 < call.hold_s <= (call.hung_up_at - call.connected_at).total_seconds()
    await centre.until_agent(agent_id, AgentState.WRAP_UP)


@pytest.mark.parametrize("inbound", [False, True])
async def test_a_phone_that_is_lost_in_a_hold(centre: Centre, inbound: bool) -> None:
    """The customer is kept for the agent, and with them again when the phone is back."""
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    async with gone_afterwards(centre):
        if inbound:
            await add_number(centre, [SALES])
            await call_in(centre)
            call_id = (await until_call(centre, "connected")).id
        else:
            call_id = await talk(centre, agent_id)
        await centre.controls.hold(await centre.person(agent_id), call_id, on=True)
        await until_held(centre, call_id, held=True)
        await centre.floor.phones.hangup("agent-0")
        await centre.until_agent(agent_id, AgentState.LOST)
        shift = await centre.until_agent(agent_id, AgentState.TALKING, within_s=8)
        assert shift.attempt_id == call_id
        back = await until_held(centre, call_id, held=False)
        assert (back.state, back.result, back.agent_id) == ("connected", "answered", agent_id)
        assert await application(centre, "dozvon-caller" if inbound else "dozvon-customer") == "Bridge"


async def test_an_engine_that_is_started_anew_in_a_hold(centre: Centre) -> None:
    """The customer hears music without it; the next one knows of the hold, and ends it when asked to."""
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id)
    person = await centre.person(agent_id)
    await centre.controls.hold(person, call_id, on=True)
    await until_held(centre, call_id, held=True)
    await centre.stop_engine()
    assert await application(centre, "dozvon-held") == "MusicOnHold"
    await centre.start_engine()
    await centre.controls.hold(person, call_id, on=False)
    back = await until_held(centre, call_id, held=False)
    assert (back.state, back.hold_s > 0) == ("connected", True)


async def test_keys_reach_the_far_end(centre: Centre) -> None:
    """As RFC 4733 says, in their order; none of them is kept."""
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id)
    await centre.floor.carrier.cli("logger add channel keys.log dtmf")
    log = centre.floor.carrier.log_path.with_name("keys.log")
    await centre.controls.press(await centre.person(agent_id), call_id, "19*#")

    async def heard() -> str | None:
        lines = log.read_text().splitlines() if log.exists() else []
        keys = "".join(line.split("DTMF end '")[1][0] for line in lines if "DTMF end '" in line)
        return keys if len(keys) >= 4 else None

    assert await centre.until_seen("four keys", heard) == "19*#"
    assert "19*#" not in str([row.payload for row in await centre.rows(command)])
    await centre.controls.hold(await centre.person(agent_id), call_id, on=True)
    with pytest.raises(WrongState):  # music hears no keys
        await centre.controls.press(await centre.person(agent_id), call_id, "1")


@pytest.mark.parametrize("means", ["mute", "pause"])
async def test_silence_in_the_recording(centre: Centre, means: str) -> None:
    """Of a customer who says nothing the recording has the agent's voice: nothing of it while the agent is
    muted, or the recording is paused, which the row says; then the voice again."""
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id, Behaviour.SILENT, record=True)
    person, file = await centre.person(agent_id), await recorded_file(centre)
    steer = centre.controls.mute if means == "mute" else centre.controls.pause_recording
    voice = await grown(centre, file, 3.0)
    await steer(person, call_id, on=True)
    await grown(centre, file, 1.5)  # what was under way
    silence = await grown(centre, file, 3.0)
    await steer(person, call_id, on=False)
    await grown(centre, file, 1.5)
    again = await grown(centre, file, 3.0)
    await centre.calls.hang_up(person, call_id)
    await centre.until_attempt(call_id, "wrap_up")
    assert loudest(file, *voice) > 1000 < loudest(file, *again)
    assert loudest(file, *silence) < 100
    (row,) = await centre.rows(recording)
    said = [entry.action for entry in await centre.rows(audit)]
    if means == "pause":
        (pause,) = row.pauses
        assert voice[1] / 16000 - 1 < pause["from_s"] < silence[0] / 16000
        assert silence[1] / 16000 - 1 < pause["until_s"] < again[0] / 16000
        assert {"call.pause_recording", "call.resume_recording"} <= set(said)
    else:
        assert row.pauses == []


async def test_the_next_customer_hears_an_agent_who_had_muted_the_last_talk(centre: Centre) -> None:
    """The end of a talk ends it."""
    (agent_id,) = await centre.add_agents(1)
    first = await talk(centre, agent_id)
    person = await centre.person(agent_id)
    await centre.controls.mute(person, first, on=True)
    await centre.calls.hang_up(person, first)
    await centre.until_attempt(first, "wrap_up")
    await centre.dispose(first)
    await centre.until_agent(agent_id, AgentState.READY)
    second = await talk(centre, agent_id, Behaviour.SILENT, record=True)
    file = await recorded_file(centre)
    voice = await grown(centre, file, 4.0)
    await centre.calls.hang_up(person, second)
    await centre.until_attempt(second, "wrap_up")
    assert loudest(file, *voice) > 1000


async def test_a_talk_is_steered_by_its_own_agent(centre: Centre) -> None:
    """Another agent may not; a supervisor may, and it is logged; an unrecorded call has nothing to pause."""
    (mine,) = await centre.add_agents(1)
    (others,) = await centre.add_agents(phones=["agent-1"], ready=False)
    call_id = await talk(centre, mine)
    with pytest.raises(Forbidden):
        await centre.controls.hold(await centre.person(others), call_id, on=True)
    with pytest.raises(WrongState):
        await centre.controls.pause_recording(await centre.person(mine), call_id, on=True)
    await centre.controls.hold(centre.actor, call_id, on=True)
    await until_held(centre, call_id, held=True)
    assert "call.hold" in [entry.action for entry in await centre.rows(audit)]
