"""Agents who ask somebody besides the customer, on a real Asterisk: another agent, one of a queue, a
destination; alone, in a conference, left with the customer; and who hangs up when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row
from support.callers import add_queue, calls
from support.centre import Centre
from support.consulting import (
    ASKED,
    MUSIC,
    SHOP,
    TALKS,
    WAITS,
    application_of,
    channels,
    list_destination,
    until_channels,
)
from support.talks import talk

from dialer.agents.model import AgentState
from dialer.calls.controlling import To
from dialer.calls.model import Stage
from dialer.db.tables import audit, event, forward
from dialer.demo.numbers import Behaviour, encode
from dialer.errors import NotFound, WrongState

SALES = {"name": "sales", "type": "enqueue", "properties": {"queue": "sales"}}


@pytest.fixture(autouse=True)
async def nobody_stays(centre: Centre) -> AsyncIterator[None]:
    """No customer hears music into the next test."""
    yield
    await centre.floor.asterisk.cli("channel request hangup all")


async def until_third(centre: Centre, call_id: UUID, *stages: Stage) -> Row[Any]:
    """Wait until the third party of the call is there, as its row says."""

    async def there() -> Row[Any] | None:
        rows = [*await centre.attempts(), *await calls(centre)]
        row = next(row for row in rows if row.id == call_id)
        return row if row.third and row.third["stage"] in stages else None

    found: Row[Any] = await centre.until(f"a third party {stages}", there)
    return found


async def asking(centre: Centre, kind: str) -> tuple[int, int, UUID]:
    """Two agents, of whom the first asks somebody of this kind about a customer; the call."""
    (first,) = await centre.add_agents(1, skills=["sales"])
    (second,) = await centre.add_agents(phones=["agent-1"], skills=["service"], ready=False)
    call_id = await talk(centre, first)
    person = await centre.person(first)
    match kind:
        case "agent" | "queue":
            await add_queue(centre, "service")
            to = To(agent_id=second) if kind == "agent" else To(queue="service")
            with pytest.raises(WrongState):
                await centre.controls.consult(person, call_id, to)
            await centre.agents.ready(centre.actor, second)
            await centre.until_agent(second, AgentState.READY)
        case "phone":
            await list_destination(centre, "Shop", "phone", "agent-2")
            to = To(destination="shop")
        case _:
            await list_destination(centre, "Shop", "number", encode(Behaviour.HUMAN, ring_s=0.5).e164)
            to = To(destination="shop")
    await centre.controls.consult(person, call_id, to)
    await until_third(centre, call_id, Stage.TALKING)
    return first, second, call_id


@pytest.mark.parametrize("kind", ["agent", "queue", "phone", "number"])
async def test_an_agent_asks_and_leaves_the_customer_to_whom_was_asked(centre: Centre, kind: str) -> None:
    """The customer hears music while the two talk; then they have the customer. Another agent owes the
    disposition from then on, of a destination the first agent does."""
    first, second, call_id = await asking(centre, kind)
    person, ours = await centre.person(first), kind in ("agent", "queue")
    if ours:
        shift = await centre.until_agent(second, AgentState.TALKING)
        assert shift.attempt_id == call_id
        pops = [row.agent_id for row in await centre.rows(event) if row.kind == "call.assigned"]
        assert pops[-1] == second
        await until_channels(centre, MUSIC, ASKED, WAITS)
    else:
        await until_channels(centre, MUSIC, SHOP, WAITS, WAITS)
    await centre.until_agent(first, AgentState.TALKING)
    await centre.controls.complete(person, call_id)
    if ours:
        await centre.until_agent(first, AgentState.READY)
        await until_channels(centre, TALKS, WAITS, ASKED)
        await centre.calls.hang_up(await centre.person(second), call_id)
        ended = await centre.until_attempt(call_id, "wrap_up")
        assert (ended.agent_id, ended.hung_up_by, ended.hold_s > 0) == (second, "agent", True)
        await centre.until_agent(second, AgentState.WRAP_UP)
        await until_channels(centre, WAITS, WAITS)
    else:
        await centre.until_agent(first, AgentState.WRAP_UP)
        await until_channels(centre, TALKS, SHOP, WAITS, WAITS)
        await centre.dispose(call_id)
        await centre.until_agent(first, AgentState.READY)
        assert [row.ended_at for row in await centre.rows(forward)] == ([None] if kind == "number" else [])
        await centre.calls.hang_up(centre.actor, call_id)
        ended = await centre.until_attempt(call_id, "ended")
        assert (ended.result, ended.agent_id) == ("answered", first)
        await until_channels(centre, WAITS, WAITS)
        assert all(row.ended_at and row.answered_at for row in await centre.rows(forward))
    said = [entry.action for entry in await centre.rows(audit)]
    assert {"call.consult", "call.consult_transfer"} <= set(said)


@pytest.mark.parametrize("kind", ["agent", "number"])
async def test_an_agent_comes_back_to_the_customer(centre: Centre, kind: str) -> None:
    """Who was asked is gone, another agent free; the talk goes on, and somebody can be asked again."""
    first, second, call_id = await asking(centre, kind)
    person = await centre.person(first)
    await centre.controls.end_consult(person, call_id)
    await until_channels(centre, TALKS, WAITS, WAITS)
    if kind == "agent":
        shift = await centre.until_agent(second, AgentState.READY)
        assert shift.attempt_id is None
        await centre.controls.consult(person, call_id, To(agent_id=second))
    else:
        assert [row.ended_at is None for row in await centre.rows(forward)] == [False]
        await centre.controls.consult(person, call_id, To(destination="shop"))
    await until_third(centre, call_id, Stage.TALKING)
    with pytest.raises(WrongState):
        await centre.controls.transfer(person, call_id, agent_id=second)


@pytest.mark.parametrize("kind", ["agent", "phone"])
async def test_a_conference_of_three(centre: Centre, kind: str) -> None:
    """All are in one bridge; on hold the customer leaves it, and the two talk on alone; the agent can leave
    the customer to the third party, out of a conference too."""
    first, second, call_id = await asking(centre, kind)
    person = await centre.person(first)
    for _ in range(2):
        await centre.controls.conference(person, call_id, on=True)
        await until_third(centre, call_id, Stage.JOINED)
        third = "dozvon-agent" if kind == "agent" else "dozvon-third"
        rest = [] if kind == "agent" else [WAITS]
        room = [(name, "ConfBridge") for name in ("dozvon-room", "dozvon-agent", third)]
        await until_channels(centre, *room, *rest)
        await centre.controls.hold(person, call_id, on=True)
        await until_channels(centre, MUSIC, SHOP if kind == "phone" else ASKED, WAITS, *rest)
        await until_third(centre, call_id, Stage.TALKING)
    await centre.controls.conference(person, call_id, on=True)
    await until_third(centre, call_id, Stage.JOINED)
    await centre.controls.complete(person, call_id)
    if kind == "agent":
        await centre.until_agent(first, AgentState.READY)
        await until_channels(centre, TALKS, ASKED, WAITS)
        shift = await centre.until_agent(second, AgentState.TALKING)
        assert shift.attempt_id == call_id
    else:
        await centre.until_agent(first, AgentState.WRAP_UP)
        await until_channels(centre, TALKS, SHOP, WAITS, WAITS)


@pytest.mark.parametrize("stage", ["talking", "joined"])
@pytest.mark.parametrize("kind", ["agent", "phone"])
async def test_the_customer_hangs_up(centre: Centre, kind: str, stage: str) -> None:
    """On hold or in a conference: the agent wraps up, whom they asked is gone or free, no channel is left."""
    first, second, call_id = await asking(centre, kind)
    if stage == "joined":
        await centre.controls.conference(await centre.person(first), call_id, on=True)
    await until_third(centre, call_id, Stage(stage))
    await centre.floor.carrier.cli("channel request hangup all")
    await centre.until_agent(first, AgentState.WRAP_UP)
    await until_channels(centre, WAITS, WAITS)
    if kind == "agent":
        shift = await centre.until_agent(second, AgentState.READY)
        assert shift.attempt_id is None
    ended = await centre.until_attempt(call_id, "wrap_up")
    assert (ended.result, ended.hung_up_by, ended.third) == ("answered", "customer", None)


@pytest.mark.parametrize("stage", ["talking", "joined"])
@pytest.mark.parametrize("kind", ["agent", "phone"])
async def test_whom_was_asked_hangs_up(centre: Centre, kind: str, stage: str) -> None:
    """The customer stays where they are: on hold until the agent comes back, or in the talk."""
    first, second, call_id = await asking(centre, kind)
    person = await centre.person(first)
    if stage == "joined":
        await centre.controls.conference(person, call_id, on=True)
    await until_third(centre, call_id, Stage(stage))
    if kind == "agent" and stage == "joined":
        await centre.controls.leave(await centre.person(second))  # by the button
        await centre.until_agent(second, AgentState.READY)
    else:
        await centre.floor.phones.hangup("agent-1" if kind == "agent" else "agent-2")
    row = await until_third(centre, call_id, Stage.GONE)
    assert row.third["came"] == "left"
    if stage == "talking":
        assert row.held_at is not None
        await centre.controls.hold(person, call_id, on=False)
        await application_of(centre, "dozvon-customer", "Bridge")
    else:
        assert row.held_at is None
        await centre.controls.hold(person, call_id, on=True)  # the talk goes on as any
        await application_of(centre, "dozvon-held", "MusicOnHold")
        await centre.controls.hold(person, call_id, on=False)
        await application_of(centre, "dozvon-customer", "Bridge")
    await centre.until_agent(first, AgentState.TALKING)


@pytest.mark.parametrize("stage", ["talking", "joined"])
async def test_the_agents_phone_is_lost(centre: Centre, stage: str) -> None:
    """Whom they asked is free; the customer is kept for the agent, and with them again when the phone is
    back."""
    first, second, call_id = await asking(centre, "agent")
    if stage == "joined":
        await centre.controls.conference(await centre.person(first), call_id, on=True)
    await until_third(centre, call_id, Stage(stage))
    await centre.floor.phones.hangup("agent-0")
    await centre.until_agent(first, AgentState.LOST)
    await centre.until_agent(second, AgentState.READY)
    await centre.agents.pause(centre.actor, second, await centre.a_pause())
    shift = await centre.until_agent(first, AgentState.TALKING, within_s=12)
    assert shift.attempt_id == call_id
    await until_channels(centre, TALKS, WAITS, WAITS)


async def test_a_destination_that_does_not_answer(centre: Centre) -> None:
    """The row says why; the customer is still on hold, and the agent goes back."""
    (first,) = await centre.add_agents(1)
    call_id = await talk(centre, first)
    person = await centre.person(first)
    await list_destination(centre, "Shop", "number", encode(Behaviour.BUSY, ring_s=0.5).e164)
    with pytest.raises(NotFound):
        await centre.controls.consult(person, call_id, To(destination="+79990000000"))
    await centre.controls.consult(person, call_id, To(destination="shop"))
    row = await until_third(centre, call_id, Stage.GONE)
    assert (row.third["came"], row.held_at is not None) == ("busy", True)
    await centre.controls.end_consult(person, call_id)
    await until_channels(centre, TALKS, WAITS)
    row = await until_held_or_not(centre, call_id)
    assert row.third is None
    (dialled,) = await centre.rows(forward)
    assert (dialled.answered_at, dialled.ended_at is not None) == (None, True)


async def until_held_or_not(centre: Centre, call_id: UUID) -> Row[Any]:
    """Wait until the call is not on hold."""

    async def there() -> Row[Any] | None:
        return next((row for row in await centre.attempts() if row.id == call_id and not row.held_at), None)

    found: Row[Any] = await centre.until("no hold", there)
    return found


@pytest.mark.parametrize("stage", ["talking", "joined"])
@pytest.mark.parametrize("kind", ["agent", "phone"])
async def test_an_engine_that_is_started_anew_meanwhile(centre: Centre, kind: str, stage: str) -> None:
    """All stay where they are without it; the next engine knows of them, and goes on."""
    first, second, call_id = await asking(centre, kind)
    person = await centre.person(first)
    if stage == "joined":
        await centre.controls.conference(person, call_id, on=True)
    await until_third(centre, call_id, Stage(stage))
    before = await channels(centre)
    await centre.stop_engine()
    assert await channels(centre) == before
    await centre.start_engine()
    await until_third(centre, call_id, Stage(stage))
    await centre.controls.complete(person, call_id)
    if kind == "agent":
        shift = await centre.until_agent(second, AgentState.TALKING)
        assert shift.attempt_id == call_id
        await centre.until_agent(first, AgentState.READY)
    else:
        await centre.until_agent(first, AgentState.WRAP_UP)
        await application_of(centre, "dozvon-customer", "Bridge")
    await centre.calls.hang_up(centre.actor, call_id)
    await until_channels(centre, WAITS, WAITS)


async def test_an_engine_that_is_killed_and_misses_the_end(centre: Centre) -> None:
    """The customer and whom the agent asked hang up while no server looks: the agent wraps up, the other is
    free, nobody stays in a bridge."""
    first, second, _ = await asking(centre, "agent")
    await centre.stop_engine()
    await centre.floor.carrier.cli("channel request hangup all")
    await application_gone(centre, "dozvon-held")
    await centre.start_engine()
    await centre.until_agent(first, AgentState.WRAP_UP)
    await centre.until_agent(second, AgentState.READY)
    await until_channels(centre, WAITS, WAITS)


async def application_gone(centre: Centre, context: str) -> None:
    """Wait until no channel is in this context of the dialplan."""

    async def gone() -> bool:
        return context not in {name for name, _ in await channels(centre)}

    await centre.until_seen(f"nobody in {context}", gone)
