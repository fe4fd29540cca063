"""Customers say how their talk was, on a real Asterisk: the agent has ended it, and wraps up meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, update
from support.callers import (
    add_number,
    add_queue,
    call_in,
    channel_of_customer,
    gone_afterwards,
    path,
    press,
    publish,
    until_call,
)
from support.centre import TENANT, Centre
from support.consulting import WAITS, application_of, until_channels

from dialer.agents.model import AgentState
from dialer.db import tables as t
from dialer.demo.numbers import Behaviour, encode
from dialer.errors import WrongState

SALES = {"name": "sales", "type": "enqueue", "properties": {"queue": "sales"}}
END: Mapping[str, Any] = {"name": "end", "type": "hangup", "serves": True}


def question(name: str, then: str) -> Mapping[str, Any]:
    """A question that is asked again for a minute."""
    properties = {"prompt": {"sound": "vm-options"}, "into": f"rating.{name}", "digits": 1, "retries": 9}
    return {
        "name": name,
        "type": "gather",
        "properties": properties,
        "transitions": {"done": then, "default": "end"},
    }


RATING: Sequence[Mapping[str, Any]] = (question("agent", "settled"), question("settled", "end"), END)


async def talk(centre: Centre, agent_id: int, *, inbound: bool = False, **campaign: Any) -> UUID:
    """A customer talks with the agent, in a campaign of these columns."""
    person = [] if inbound else [encode(Behaviour.HUMAN, ring_s=0.5).e164]
    mode = {"mode": "manual"} if inbound else {}
    campaign_id = await centre.campaign(person, **{"survey": "rating"} | mode | campaign)
    if inbound:
        await add_number(centre, [SALES], campaign_id=campaign_id)
        await call_in(centre)
        await until_call(centre, "connected")
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id is not None
    return shift.attempt_id


async def until(centre: Centre, call_id: UUID, state: str, *, inbound: bool = False) -> Row[Any]:
    """Wait until the call, the only one, is in the state."""
    return await (until_call(centre, state) if inbound else centre.until_attempt(call_id, state))


async def until_asked(centre: Centre, call_id: UUID, question: str) -> None:
    """Wait until the customer hears the question."""

    async def there() -> bool:
        way = await path(centre, call_id)
        return bool(way) and way[-1] == (question, None)

    await centre.until_seen(f"the question {question}", there)
    await application_of(centre, "dozvon-survey", "Read")


async def answer(centre: Centre, call_id: UUID, question: str, key: str) -> None:
    """The customer presses a key at the question, and has left it."""
    await until_asked(centre, call_id, question)
    await press(centre, key)

    async def left() -> bool:
        return (question, "done") in await path(centre, call_id)

    await centre.until_seen(f"an answer to {question}", left)


@pytest.mark.parametrize("inbound", [False, True])
async def test_a_customer_says_how_the_talk_was(centre: Centre, inbound: bool) -> None:
    """The agent wraps up at once, and is ready for others before the survey is over, which no agent ends. The
    call has come to what the talk was."""
    await publish(centre, RATING, "rating")
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    async with gone_afterwards(centre):
        call_id = await talk(centre, agent_id, inbound=inbound)
        person = await centre.person(agent_id)
        await centre.calls.hang_up(person, call_id)
        await centre.until_agent(agent_id, AgentState.WRAP_UP)
        await until_asked(centre, call_id, "agent")
        with pytest.raises(WrongState):
            await centre.calls.hang_up(person, call_id)
        await centre.dispose(call_id)
        shift = await centre.until_agent(agent_id, AgentState.READY)
        assert shift.attempt_id is None
        await answer(centre, call_id, "agent", "5")
        (asked,) = await centre.rows(t.talk_survey)
        assert (asked.answers, asked.finished) == ({"rating.agent": "5"}, False)
        await answer(centre, call_id, "settled", "1")
        ended = await until(centre, call_id, "ended", inbound=inbound)
    assert (ended.result, ended.outcome, ended.hung_up_by) == ("answered", None, "agent")
    assert (ended.agent_id, ended.disposition_id is not None) == (agent_id, True)
    (asked,) = await centre.rows(t.talk_survey)
    assert (asked.call_id, asked.agent_id, asked.flow, asked.finished) == (call_id, agent_id, "rating", True)
    assert asked.answers == {"rating.agent": "5", "rating.settled": "1"}
    assert asked.answers.items() <= ended.collected.items()
    await until_channels(centre, WAITS)
    if not inbound:
        (lead,) = await centre.leads(ended.campaign_id)
        assert (lead.status, lead.closed_reason, lead.last_result) == ("closed", "sale", "answered")


async def test_a_customer_who_hangs_up_in_the_survey_leaves_what_was_answered(centre: Centre) -> None:
    """The call is as answered as without a survey; the disposition is still the agent's."""
    await publish(centre, RATING, "rating")
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id)
    await centre.calls.hang_up(await centre.person(agent_id), call_id)
    await answer(centre, call_id, "agent", "2")
    await until_asked(centre, call_id, "settled")
    await centre.floor.carrier.cli(f"channel request hangup {await channel_of_customer(centre)}")
    ended = await until(centre, call_id, "ended")
    assert (ended.result, ended.outcome, ended.hung_up_by) == ("answered", None, "agent")
    (asked,) = await centre.rows(t.talk_survey)
    assert (asked.answers, asked.finished) == ({"rating.agent": "2"}, False)
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    await centre.dispose(call_id)
    await centre.until_agent(agent_id, AgentState.READY)
    (lead,) = await centre.leads(ended.campaign_id)
    assert (lead.closed_reason, lead.last_result) == ("sale", "answered")


@pytest.mark.parametrize("who", ["customer", "supervisor"])
async def test_nobody_is_asked_whose_talk_the_agent_has_not_ended(centre: Centre, who: str) -> None:
    """The customer has hung up, or a supervisor has ended the call."""
    await publish(centre, RATING, "rating")
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id)
    if who == "customer":
        await centre.floor.carrier.cli(f"channel request hangup {await channel_of_customer(centre)}")
    else:
        await centre.calls.hang_up(centre.actor, call_id)
    await until(centre, call_id, "wrap_up")
    await until_channels(centre, WAITS)
    assert await centre.rows(t.talk_survey) == []


async def test_the_survey_of_the_queue_goes_before_that_of_the_campaign(centre: Centre) -> None:
    """A queue that names none has that of the number's campaign."""
    await publish(centre, RATING, "rating")
    await publish(centre, [question("service", "end"), END], "of service")
    await add_queue(centre, "sales", survey="of service")
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    async with gone_afterwards(centre):
        call_id = await talk(centre, agent_id, inbound=True)
        await centre.calls.hang_up(await centre.person(agent_id), call_id)
        await answer(centre, call_id, "service", "4")
        await until(centre, call_id, "ended", inbound=True)
    (asked,) = await centre.rows(t.talk_survey)
    assert (asked.flow, asked.answers) == ("of service", {"rating.service": "4"})


@pytest.mark.parametrize("why", ["withdrawn", "unfit"])
async def test_a_call_ends_as_ever_where_nothing_can_be_asked(centre: Centre, why: str) -> None:
    """The flow is not published any more, or leads to an agent by now."""
    await publish(centre, RATING if why == "withdrawn" else [SALES, END], "rating")
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id)
    if why == "withdrawn":
        async with centre.database.tenant(TENANT) as conn:
            await conn.execute(update(t.flow).values(live_version=None))
    await centre.calls.hang_up(await centre.person(agent_id), call_id)
    ended = await until(centre, call_id, "wrap_up")
    assert (ended.result, ended.hung_up_by) == ("answered", "agent")
    await until_channels(centre, WAITS)
    assert await centre.rows(t.talk_survey) == []


async def test_a_server_that_ends_in_a_survey_hangs_up(centre: Centre) -> None:
    """Who has answered the question hears no other; what was answered before stays, and the next server
    accounts for the call."""
    await publish(centre, RATING, "rating")
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id)
    await centre.calls.hang_up(await centre.person(agent_id), call_id)
    await answer(centre, call_id, "agent", "3")
    await until_asked(centre, call_id, "settled")
    await centre.stop_engine()
    await press(centre, "1")  # the question, which Asterisk asks by itself, has its answer
    await until_channels(centre, WAITS)
    await centre.start_engine()
    ended = await until(centre, call_id, "ended")
    assert ended.result == "answered"
    (asked,) = await centre.rows(t.talk_survey)
    assert (asked.answers, asked.finished) == ({"rating.agent": "3"}, False)
    await centre.dispose(call_id)
    await centre.until_agent(agent_id, AgentState.READY)
