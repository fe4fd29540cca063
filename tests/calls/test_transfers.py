"""Customers whom their agent hands over on a real Asterisk: to another agent, to a queue."""

from __future__ import annotations

from uuid import UUID

import pytest
from support.callers import add_number, add_queue, call_in, gone_afterwards, leave, path, stays, until_call
from support.centre import Centre

from dialer.agents.model import AgentState
from dialer.db.tables import event
from dialer.demo.numbers import Behaviour, encode
from dialer.errors import NotFound, WrongState

SALES = {"name": "sales", "type": "enqueue", "properties": {"queue": "sales"}}


async def two_agents(centre: Centre) -> tuple[int, int]:
    """One who sells, and one who serves and is not ready yet."""
    (first,) = await centre.add_agents(1, skills=["sales"])
    (second,) = await centre.add_agents(phones=["agent-1"], skills=["service"], ready=False)
    return first, second


async def talk(centre: Centre, *, inbound: bool) -> UUID:
    """The first agent's customer."""
    if inbound:
        await add_number(centre, [SALES])
        await call_in(centre)
        return UUID(str((await until_call(centre, "connected")).id))
    campaign_id = await centre.campaign([encode(Behaviour.HUMAN, ring_s=0.5).e164], skill="sales")
    (attempt,) = await centre.until_attempts(1, "connected", campaign_id=campaign_id)
    return UUID(str(attempt.id))


@pytest.mark.parametrize("inbound", [False, True])
async def test_a_customer_is_handed_over_to_an_agent(centre: Centre, inbound: bool) -> None:
    """The other agent's screen is told, both are in one bridge; the first agent is free at once, and the
    second owes the disposition."""
    first, second = await two_agents(centre)
    async with gone_afterwards(centre):
        call_id = await talk(centre, inbound=inbound)
        person = await centre.person(first)
        with pytest.raises(WrongState):
            await centre.controls.transfer(person, call_id, agent_id=second)
        shift = await centre.until_agent(first, AgentState.TALKING)
        assert shift.attempt_id == call_id
        await centre.agents.ready(centre.actor, second)
        await centre.until_agent(second, AgentState.READY)
        await centre.controls.transfer(person, call_id, agent_id=second)
        shift = await centre.until_agent(second, AgentState.TALKING)
        assert shift.attempt_id == call_id
        shift = await centre.until_agent(first, AgentState.READY)
        assert shift.attempt_id is None
        pops = [row.agent_id for row in await centre.rows(event) if row.kind == "call.assigned"]
        assert pops[-1] == second
        await centre.calls.hang_up(await centre.person(second), call_id)
        await centre.until_agent(second, AgentState.WRAP_UP)
        if inbound:
            ended = await until_call(centre, "wrap_up")
        else:
            ended = await centre.until_attempt(call_id, "wrap_up")
        assert (ended.result, ended.agent_id, ended.hung_up_by) == ("answered", second, "agent")


@pytest.mark.parametrize("inbound", [False, True])
async def test_a_customer_is_handed_over_to_a_queue(centre: Centre, inbound: bool) -> None:
    """The first agent is free at once; the customer waits by the queue's rules for who serves there."""
    await add_queue(centre, "service")
    first, second = await two_agents(centre)
    async with gone_afterwards(centre):
        call_id = await talk(centre, inbound=inbound)
        person = await centre.person(first)
        with pytest.raises(NotFound):
            await centre.controls.transfer(person, call_id, queue="no such queue")
        await centre.controls.transfer(person, call_id, queue="service")
        shift = await centre.until_agent(first, AgentState.READY)
        assert shift.attempt_id is None
        before = [("sales", "answered")] if inbound else []

        async def waits() -> bool:
            return await stays(centre, call_id) == [*before, ("service", None)]

        await centre.until_seen("a customer in the queue", waits)
        await centre.agents.ready(centre.actor, second)
        shift = await centre.until_agent(second, AgentState.TALKING)
        assert shift.attempt_id == call_id

        async def answered() -> bool:
            return await stays(centre, call_id) == [*before, ("service", "answered")]

        await centre.until_seen("the stay's end", answered)
        ways = [("sales", None)] if inbound else []
        assert (await path(centre, call_id))[-1] == ("queue", None)
        assert len(await path(centre, call_id)) == len(ways) + 1


async def test_a_caller_who_leaves_the_second_queue(centre: Centre) -> None:
    """They had talked: the call is answered. The second queue has lost them, and its figures say so."""
    await add_queue(centre, "service")
    first, _ = await two_agents(centre)
    async with gone_afterwards(centre):
        call_id = await talk(centre, inbound=True)
        await centre.controls.transfer(await centre.person(first), call_id, queue="service")
        await until_call(centre, "waiting")
        await leave(centre)
        call = await until_call(centre, "ended")
        assert (call.result, call.hung_up_by) == ("answered", "customer")
        assert await stays(centre, call_id) == [("sales", "answered"), ("service", "abandoned")]
