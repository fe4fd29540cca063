"""Calls that come in on a real Asterisk: what callers press, whom they get, and what remains of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import text
from support.callers import (
    END,
    GOODBYE,
    NUMBER,
    add_number,
    call_in,
    calls,
    document,
    gone_afterwards,
    leave,
    path,
    until_at,
    until_call,
)
from support.centre import TENANT, Centre, open_centre
from support.line import Floor

from dialer.agents.model import AgentState
from dialer.db.tables import active_number, contact, contact_phone, event
from dialer.httpkit.access import Actor, Role
from dialer.inbound import reception
from dialer.inbound.service import InboundService

BOSS = Actor(TENANT, None, Role.ADMINISTRATOR, "Somebody", "en")
SALES: Mapping[str, Any] = {"name": "sales", "type": "enqueue", "properties": {"queue": "sales"}}
MENU: Mapping[str, Any] = {
    "name": "menu",
    "type": "menu",
    "properties": {"prompt": {"sound": "vm-options"}, "first_s": 4, "retries": 0},
    "transitions": {"1": "sales", "2": "goodbye", "default": "goodbye"},
}
RECEPTION = [MENU, SALES, GOODBYE, END]


async def test_a_caller_presses_is_put_through_talks_and_is_disposed(centre: Centre) -> None:
    """Who presses 1 talks with an agent of the queue; the call is written down from the first moment to the
    disposition, with its way."""
    await add_number(centre, RECEPTION)
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    async with gone_afterwards(centre):
        await call_in(centre, keys="ww1")
        call = await until_call(centre, "connected")
        shift = await centre.until_agent(agent_id, AgentState.TALKING)
        assert shift.attempt_id == call.id
        assert (call.e164, call.dialled, call.queue) == ("+79161112233", "74957770101", "sales")
        assert [row.e164 for row in await centre.rows(active_number)] == ["+79161112233"]
        await leave(centre)
        call = await until_call(centre, "wrap_up")
        await centre.until_agent(agent_id, AgentState.WRAP_UP)
    await centre.dispose(call.id)
    call = await until_call(centre, "ended")
    await centre.until_agent(agent_id, AgentState.READY)
    assert (call.result, call.hung_up_by, call.disposition_id is None) == ("answered", "customer", False)
    assert call.created_at <= call.queued_at <= call.connected_at <= call.hung_up_at <= call.ended_at
    assert await path(centre, call.id) == [("menu", "1"), ("sales", None)]
    assert await centre.rows(active_number) == []


async def test_an_unknown_caller_becomes_a_contact_and_is_known_the_next_time(centre: Centre) -> None:
    """A contact is made once, with the number, and both calls are theirs."""
    await add_number(centre, [GOODBYE, END])
    for n in range(2):
        await call_in(centre)
        await until_call(centre, "ended", n=n)
    (made,) = await centre.rows(contact)
    (phone,) = await centre.rows(contact_phone)
    assert (phone.contact_id, phone.e164) == (made.id, "+79161112233")
    assert [call.contact_id for call in await calls(centre)] == [made.id, made.id]


async def test_a_flow_that_ends_has_contained_the_call(centre: Centre) -> None:
    """Who is served by the flow alone is no loss."""
    await add_number(centre, RECEPTION)
    await call_in(centre, keys="ww2")
    call = await until_call(centre, "ended")
    assert (call.result, call.hung_up_by) == ("contained", "server")
    assert await path(centre, call.id) == [("menu", "2"), ("goodbye", "done"), ("end", "done")]


async def test_keys_are_heard_as_tones_in_the_voice_too(centre: Centre) -> None:
    """Of a caller whose side does not offer RFC 4733: all of them, each once, also into a question."""
    code: Mapping[str, Any] = {
        "name": "code",
        "type": "gather",
        "properties": {"prompt": {"sound": "vm-options"}, "into": "code", "digits": 6},
        "transitions": {"done": "goodbye", "default": "end"},
    }
    await add_number(centre, [code, GOODBYE, END])
    await call_in(centre, keys="ww1590#", inband=True)
    call = await until_call(centre, "ended")
    assert (call.result, call.collected) == ("contained", {"code": "1590"})
    assert await path(centre, call.id) == [("code", "done"), ("goodbye", "done"), ("end", "done")]


async def test_who_is_in_a_flow_goes_on_by_the_version_they_began_with(centre: Centre) -> None:
    """Though the state in which they stand, and the one that follows, have other names since; who comes then
    is led by the new version."""
    await add_number(centre, RECEPTION)
    renamed = [
        {**MENU, "name": "question", "transitions": {"1": "parting", "default": "parting"}},
        {**GOODBYE, "name": "parting"},
        END,
    ]
    async with gone_afterwards(centre):
        await call_in(centre)
        await until_at(centre, "menu")
        service = InboundService(centre.database)
        made = await service.write(BOSS, document(renamed, f"reception {NUMBER}"))
        await service.publish(BOSS, made.flow, made.version, "live")
        for n in range(2):
            if n:
                await call_in(centre)
            await until_call(centre, "ended", n=n)
    old, new = [await path(centre, call.id) for call in await calls(centre)]
    assert old == [("menu", "nothing"), ("goodbye", "done"), ("end", "done")]
    assert new == [("question", "nothing"), ("parting", "done"), ("end", "done")]


@pytest.mark.parametrize(("state", "keys", "result"), [("menu", "", "left"), ("sales", "ww1", "abandoned")])
async def test_who_hangs_up_in_the_flow_or_the_queue(
    centre: Centre, state: str, keys: str, result: str
) -> None:
    """Left in the menu; abandoned in the queue. The number is free afterwards."""
    await add_number(centre, RECEPTION)
    async with gone_afterwards(centre):
        await call_in(centre, keys=keys)
        await until_at(centre, state)
    call = await until_call(centre, "ended")
    assert (call.result, call.hung_up_by) == (result, "customer")
    assert await centre.rows(active_number) == []


async def test_a_queue_that_takes_too_long_gives_the_caller_back(centre: Centre) -> None:
    """After the queue's time the flow goes on with `timeout`."""
    sales = {
        **SALES,
        "properties": {"queue": "sales", "max_wait_s": 1},
        "transitions": {"timeout": "goodbye"},
    }
    await add_number(centre, [sales, GOODBYE, END])
    await call_in(centre)
    call = await until_call(centre, "ended")
    assert call.result == "abandoned"
    assert await path(centre, call.id) == [("sales", "timeout"), ("goodbye", "done"), ("end", "done")]


async def test_callers_come_before_those_whom_we_have_dialled(centre: Centre) -> None:
    """The screen is told of the call, with the way that led to it and the wait, and no digits."""
    await add_number(centre, RECEPTION)
    async with gone_afterwards(centre):
        await call_in(centre, keys="ww1")
        await until_call(centre, "waiting")
        await centre.add_agents(1, skills=["sales"])
        call = await until_call(centre, "connected")
        (pop,) = [row.payload for row in await centre.rows(event) if row.kind == "call.assigned"]
        assert pop["attempt_id"] == str(call.id)
        assert (pop["direction"], pop["queue"], pop["contact_id"]) == ("inbound", "sales", call.contact_id)
        assert pop["path"] == ["menu", "sales"]
        assert pop["waited_s"] >= 0
        assert "79161112233" not in str(pop)


async def test_a_number_that_is_not_ours_comes_to_a_polite_end(centre: Centre) -> None:
    """The caller hears that there is no such number; nothing is written of it."""
    await add_number(centre, RECEPTION)
    async with centre.manager("Hangup", "Newexten") as link:
        await call_in(centre, number="74957779999")
        await centre.until_hangup(link, "dozvon-caller")
    assert await calls(centre) == []


async def test_who_comes_while_nobody_can_be_let_in_hears_so_at_once(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One caller waits for their row; who comes then is told that nobody can be reached, and has none."""
    monkeypatch.setattr(reception, "LET_IN_S", 0.0)
    await add_number(centre, RECEPTION)

    async def waits() -> bool:
        return centre.engine is not None and bool(centre.engine.reception.coming)

    held = {"who": "caller +79161112233", "tenant": TENANT}
    async with centre.manager("Hangup") as link, gone_afterwards(centre):
        async with centre.database.tenant(TENANT) as conn:
            await conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:who, :tenant))"), held)
            await call_in(centre)
            await centre.until_seen("a caller who waits for their row", waits)
            await call_in(centre, caller="79162223344")
            await centre.until_hangup(link, "dozvon-caller")
            assert await calls(centre) == []
        call = await until_at(centre, "menu")
    assert [(each.id, each.e164) for each in await calls(centre)] == [(call.id, "+79161112233")]


async def test_a_server_that_dies_in_the_flow(floor: Floor, database_url: str) -> None:
    """The caller hears that nobody can be reached; the next start knows what became of the call."""
    async with open_centre(floor, database_url, own_process=True) as centre, gone_afterwards(centre):
        await add_number(centre, RECEPTION)
        await call_in(centre)
        call = await until_at(centre, "menu")
        async with centre.manager("Hangup") as link:
            await centre.kill_engine_process()
            # What is being played is heard to its end first, then that nobody can be reached.
            await centre.until_hangup(link, "dozvon-caller", within_s=60)
        await centre.start_engine()
        call = await until_call(centre, "ended")
        assert call.result == "unknown"
        assert await centre.rows(active_number) == []


async def test_a_server_that_dies_in_the_talk(floor: Floor, database_url: str) -> None:
    """The talk goes on; the next start takes it over, and the disposition is owed afterwards."""
    async with open_centre(floor, database_url, own_process=True) as centre, gone_afterwards(centre):
        await add_number(centre, RECEPTION)
        (agent_id,) = await centre.add_agents(1, skills=["sales"])
        await call_in(centre, keys="ww1")
        call = await until_call(centre, "connected")
        await centre.until_agent(agent_id, AgentState.TALKING)
        await centre.kill_engine_process()
        engine = await centre.start_engine()
        line = engine.calls.get(call.id)
        assert line is not None
        assert line.call.state == "connected"
        await leave(centre)
        call = await until_call(centre, "wrap_up")
        assert call.result == "answered"
        await centre.until_agent(agent_id, AgentState.WRAP_UP)
        await centre.dispose(call.id)
        await centre.until_agent(agent_id, AgentState.READY)
