"""Customers whom their agent lets go of on a real Asterisk: put through to a destination, left a message,
taken over by a supervisor; who owes the disposition."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Row
from support.callers import add_number, add_queue, call_in, gone_afterwards, leave, until_call
from support.centre import Centre
from support.consulting import TALKS, WAITS, application_of, channels, list_destination, until_channels
from support.prompts_of import add_prompt
from support.talks import talk

from dialer.agents.model import AgentState
from dialer.calls.listeners import Mode
from dialer.calls.model import CallState
from dialer.db.tables import audit, forward
from dialer.demo.numbers import Behaviour, encode
from dialer.errors import NotFound, WrongState

SALES = {"name": "sales", "type": "enqueue", "properties": {"queue": "sales"}}
RINGS = ("dozvon-forward", "Dial")


async def until_ended(centre: Centre, call_id: UUID) -> Row[tuple[object, ...]]:
    """Wait until nothing is left of the call."""
    return await centre.until_attempt(call_id, "ended")


@pytest.mark.parametrize("kind", ["phone", "number"])
async def test_a_customer_is_put_through_to_a_destination(centre: Centre, kind: str) -> None:
    """The agent wraps up at once, and is free for others with the disposition, while the two talk on; a
    trunk's line is held as long. Nobody is put through to what is not listed."""
    (agent_id,) = await centre.add_agents(1)
    value = "agent-2" if kind == "phone" else encode(Behaviour.HUMAN, ring_s=0.5).e164
    await list_destination(centre, "Shop", kind, value)
    call_id = await talk(centre, agent_id)
    person = await centre.person(agent_id)
    with pytest.raises(NotFound):
        await centre.controls.transfer(person, call_id, destination="+79031234567")
    await centre.controls.transfer(person, call_id, destination="Shop")
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    await application_of(centre, "dozvon-forward", "Dial")
    with pytest.raises(WrongState):  # the customer is no longer the agent's
        await centre.controls.hold(person, call_id, on=True)
    await centre.dispose(call_id)
    shift = await centre.until_agent(agent_id, AgentState.READY)
    assert shift.attempt_id is None
    if kind == "number":

        async def answered() -> bool:
            return [row.answered_at is not None for row in await centre.rows(forward)] == [True]

        await centre.until_seen("the answer of the destination", answered)
    await centre.calls.hang_up(centre.actor, call_id)
    ended = await until_ended(centre, call_id)
    assert (ended.result, ended.agent_id) == ("answered", agent_id)
    assert ended.disposition_id is not None
    await until_channels(centre, WAITS)
    assert all(row.ended_at for row in await centre.rows(forward))


@pytest.mark.parametrize("inbound", [False, True])
async def test_a_destination_does_not_answer(centre: Centre, inbound: bool) -> None:
    """The customer waits for an agent again, first for the one who has let go of them; who talks with them
    then owes the disposition."""
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    await list_destination(centre, "Shop", "number", encode(Behaviour.BUSY, ring_s=0.5).e164)
    async with gone_afterwards(centre):
        if inbound:
            await add_number(centre, [SALES])
            await call_in(centre)
            call_id = UUID(str((await until_call(centre, "connected")).id))
        else:
            call_id = await talk(centre, agent_id)
        await centre.controls.transfer(await centre.person(agent_id), call_id, destination="shop")
        await centre.until_agent(agent_id, AgentState.WRAP_UP)
        if inbound:
            await until_call(centre, "waiting")
        else:
            await centre.until_attempt(call_id, "waiting")
        await centre.dispose(call_id)
        shift = await centre.until_agent(agent_id, AgentState.TALKING, within_s=30)
        assert shift.attempt_id == call_id
        assert [row.ended_at is not None for row in await centre.rows(forward)] == [True]


async def test_a_message_is_left(centre: Centre) -> None:
    """The agent is free with the disposition while the message is played to its end; then the line is, though
    the server dies meanwhile."""
    (agent_id,) = await centre.add_agents(1)
    await add_prompt(centre, "bye")
    call_id = await talk(centre, agent_id)
    person = await centre.person(agent_id)
    with pytest.raises(NotFound):
        await centre.controls.leave_message(person, call_id, "no such prompt")
    await centre.controls.leave_message(person, call_id, "bye")
    await application_of(centre, "dozvon-message", "Playback")
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    await centre.dispose(call_id)
    await centre.until_agent(agent_id, AgentState.READY)
    await centre.stop_engine()
    assert ("dozvon-message", "Playback") in await channels(centre)
    await centre.start_engine()
    assert ("dozvon-message", "Playback") in await channels(centre)
    ended = await until_ended(centre, call_id)
    assert (ended.result, ended.hung_up_by, ended.disposition_id is not None) == ("answered", "server", True)
    await until_channels(centre, WAITS)
    assert "call.message" in [entry.action for entry in await centre.rows(audit)]


async def test_a_wrap_up_has_its_limit_while_a_message_is_played(centre: Centre) -> None:
    """The limit counts from when the agent let go of the customer, who may be on the line still."""
    (agent_id,) = await centre.add_agents(1)
    await list_destination(centre, "Shop", "phone", "agent-2")
    call_id = await talk(centre, agent_id, wrap_up_limit_s=1)
    await centre.controls.transfer(await centre.person(agent_id), call_id, destination="shop")
    shift = await centre.until_agent(agent_id, AgentState.PAUSED)
    assert shift.pause_code == "wrap_up_over"
    await application_of(centre, "dozvon-forward", "Dial")
    await centre.dispose(call_id)
    await centre.until_agent(agent_id, AgentState.READY)


async def test_a_supervisor_takes_the_customer_over(centre: Centre) -> None:
    """On the phone that listens; the agent wraps up, the talk goes on, and ends with that phone."""
    await list_destination(centre, "Supervisor", "phone", "agent-2")
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id)
    listening = await centre.listeners.begin(centre.actor, agent_id, Mode.LISTEN, "Supervisor")
    await application_of(centre, "dozvon-listen", "ChanSpy")
    with pytest.raises(NotFound):  # not the phone that listens
        shift = await centre.until_agent(agent_id, AgentState.TALKING)
        assert shift.leg is not None
        await centre.controls.take_over(centre.actor, agent_id, shift.leg)
    await centre.controls.take_over(centre.actor, agent_id, listening)
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    await until_channels(centre, TALKS, WAITS, ("dozvon-listen", "BridgeWait"))
    row = await centre.until_attempt(call_id, CallState.FLOW)
    assert (row.third["stage"], row.let_go_at is not None) == ("passed", True)
    await centre.floor.phones.hangup("agent-2")
    ended = await until_ended(centre, call_id)
    assert ended.result == "answered"
    await until_channels(centre, WAITS)
    assert "call.take_over" in [entry.action for entry in await centre.rows(audit)]


async def test_nobody_owes_the_disposition_of_who_left_the_second_queue(centre: Centre) -> None:
    """Nobody took the customer who was handed over: the first agent can go on, with other calls."""
    await add_queue(centre, "service")
    (first,) = await centre.add_agents(1, skills=["sales"])
    async with gone_afterwards(centre):
        await add_number(centre, [SALES])
        await call_in(centre)
        call_id = UUID(str((await until_call(centre, "connected")).id))
        await centre.controls.transfer(await centre.person(first), call_id, queue="service")
        await until_call(centre, "waiting")
        await leave(centre)
        await until_call(centre, "ended")
        assert await centre.calls.card(await centre.person(first)) is None
        await centre.agents.log_out(centre.actor, first)
        await centre.agents.log_in(centre.actor, first)
        await centre.until_agent(first, AgentState.PAUSED)
        await centre.agents.ready(centre.actor, first)
        await centre.until_agent(first, AgentState.READY)
