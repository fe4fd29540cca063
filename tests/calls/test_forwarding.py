"""Callers who are put through on a real Asterisk: to agents, phones, outside numbers; and what it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Row, insert, update
from support.callers import END, add_number, call_in, calls, gone_afterwards, leave, path, until_call
from support.centre import TENANT, Centre, open_centre
from support.line import Floor

from dialer.agents.model import AgentState
from dialer.db.tables import destination, forward, queue_stay, trunk, trunk_load
from dialer.demo.numbers import Behaviour, encode

SORRY: Mapping[str, Any] = {
    "name": "sorry",
    "type": "play",
    "properties": {"sound": "vm-goodbye"},
    "transitions": {"default": "end"},
}


def number(behaviour: Behaviour, detail: int = 0) -> str:
    """Somebody outside who behaves so."""
    return encode(behaviour, ring_s=0.5, detail=detail).e164


async def listed(centre: Centre, name: str, value: str, kind: str = "number") -> None:
    """Let flows ring it."""
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(insert(destination).values(tenant_id=TENANT, name=name, kind=kind, value=value))


def dialling(*targets: str, **more: Any) -> list[Mapping[str, Any]]:
    """A flow that rings them, and says sorry where nobody takes the caller."""
    dial = {
        "name": "dial",
        "type": "dial",
        "properties": {"targets": list(targets), "timeout_s": 10, **more},
        "transitions": {"busy": "sorry", "no_answer": "sorry", "failed": "sorry"},
    }
    return [dial, SORRY, END]


def transferring(target: str, kind: str) -> list[Mapping[str, Any]]:
    """A flow that hands the caller over."""
    state = {
        "name": "dial",
        "type": "transfer",
        "properties": {"target": target, "kind": kind},
        "transitions": {"busy": "sorry", "no_answer": "sorry", "failed": "sorry"},
    }
    return [state, SORRY, END]


async def forwards(centre: Centre) -> list[Row[Any]]:
    """What was dialled for callers."""
    return await centre.rows(forward)


async def channels(centre: Centre) -> int:
    """Lines of all trunks that are held."""
    return sum(row.channels for row in await centre.rows(trunk_load))


async def until_talking(centre: Centre) -> Row[Any]:
    """Wait until somebody outside has answered."""

    async def there() -> Row[Any] | None:
        found = await forwards(centre)
        return found[0] if found and found[0].answered_at else None

    found: Row[Any] = await centre.until_seen("an answered forward", there)
    return found


@pytest.mark.parametrize("kind", ["dial", "blind", "attended"])
async def test_a_caller_is_put_through_to_an_outside_number(centre: Centre, kind: str) -> None:
    """Over a trunk, whose line is held for so long; when the other side leaves, the caller is done."""
    e164 = number(Behaviour.LEAVES_TALK, 15)
    await listed(centre, "Head office", e164)
    flow = dialling("head office") if kind == "dial" else transferring("Head office", kind)
    await add_number(centre, flow)
    async with gone_afterwards(centre):
        await call_in(centre)
        talk = await until_talking(centre)
        assert (talk.e164, talk.holds_line, await channels(centre)) == (e164, True, 1)
        call = await until_call(centre, "ended")
    assert (call.result, call.hung_up_by) == ("transferred", "server")
    (talk,) = await forwards(centre)
    assert (talk.holds_line, talk.call_id, await channels(centre)) == (False, call.id, 0)
    assert talk.created_at < talk.answered_at < talk.ended_at
    assert await path(centre, call.id) == [("dial", "answered" if kind == "dial" else "done")]


async def test_a_caller_who_leaves_in_the_talk_was_put_through(centre: Centre) -> None:
    """The other side's call ends with it, and the line is free."""
    await listed(centre, "office", number(Behaviour.HUMAN))
    await add_number(centre, dialling("office"))
    await call_in(centre)
    await until_talking(centre)
    await leave(centre)
    call = await until_call(centre, "ended")
    assert (call.result, call.hung_up_by) == ("transferred", "customer")
    (talk,) = await forwards(centre)
    assert (talk.holds_line, await channels(centre), talk.ended_at is None) == (False, 0, False)


@pytest.mark.parametrize(
    ("behaviour", "ended"), [(Behaviour.BUSY, "busy"), (Behaviour.NO_ANSWER, "no_answer"), (None, "failed")]
)
async def test_who_is_not_reached_gives_the_caller_back(
    centre: Centre, behaviour: Behaviour | None, ended: str
) -> None:
    """The flow goes on by what came of it; `failed` here is a number that no trunk allows."""
    e164 = number(behaviour) if behaviour else "+447700900123"
    await listed(centre, "office", e164)
    await add_number(centre, dialling("office", timeout_s=2))
    await call_in(centre)
    call = await until_call(centre, "ended")
    assert await path(centre, call.id) == [("dial", ended), ("sorry", "done"), ("end", "done")]
    assert call.result == "contained"
    assert await channels(centre) == 0
    assert len(await forwards(centre)) == bool(behaviour)


async def test_what_is_not_listed_is_not_dialled(centre: Centre) -> None:
    """Whatever a caller keys in, and however a flow writes it."""
    e164 = number(Behaviour.HUMAN, 321)  # nobody else's
    await listed(centre, "office", number(Behaviour.LEAVES_TALK, 10))
    ask = {
        "name": "ask",
        "type": "gather",
        "properties": {"prompt": {"sound": "vm-options"}, "into": "whom", "digits": 11, "first_s": 5},
        "transitions": {"done": "dial", "default": "end"},
    }
    targets = ("+{whom}", "{whom}", "PJSIP/carrier", f"Local/{e164}@dozvon-inbound", "x&PJSIP/{whom}@carrier")
    await add_number(centre, [ask, *dialling(*targets)])
    await call_in(centre, keys=f"ww{e164[1:]}")
    call = await until_call(centre, "ended", within_s=60)
    states = [("ask", "done"), ("dial", "failed"), ("sorry", "done"), ("end", "done")]
    assert await path(centre, call.id) == states
    assert await forwards(centre) == []
    assert e164.lstrip("+") not in {one.lstrip("+") for one in centre.floor.carrier.invites()}


async def test_a_full_trunk_takes_no_caller(centre: Centre) -> None:
    """Its channels are those of campaigns and callers together."""
    await listed(centre, "office", number(Behaviour.HUMAN))
    await add_number(centre, dialling("office"))
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(update(trunk).values(max_channels=0))
    await call_in(centre)
    call = await until_call(centre, "ended")
    assert (await path(centre, call.id))[0] == ("dial", "failed")
    assert await forwards(centre) == []


async def test_a_phone_is_rung(centre: Centre) -> None:
    """One that no agent is logged in at: of several who answers first."""
    await listed(centre, "desk", "agent-2", "phone")
    await listed(centre, "nobody", "mortal-0", "phone")
    await add_number(centre, dialling("nobody", "desk"))
    async with gone_afterwards(centre):
        await call_in(centre)

        async def served() -> bool:
            return bool([one for one in await calls(centre) if one.outcome == "transferred"])

        await centre.until_seen("a caller who is put through", served)
    call = await until_call(centre, "ended")
    assert (call.result, call.hung_up_by) == ("transferred", "customer")
    assert await forwards(centre) == []


async def test_a_phone_that_is_not_there_does_not_answer(centre: Centre) -> None:
    """It is known at once."""
    await listed(centre, "nobody", "mortal-0", "phone")
    await add_number(centre, dialling("nobody"))
    await call_in(centre)
    call = await until_call(centre, "ended")
    assert (await path(centre, call.id))[0] == ("dial", "no_answer")


async def test_an_agent_is_rung_by_name(centre: Centre) -> None:
    """Who is ready takes the caller as one from a queue, whose disposition is owed; who talks is busy."""
    await add_number(centre, dialling("оператор AGENT-0"))
    (agent_id,) = await centre.add_agents(1)
    async with gone_afterwards(centre):
        await call_in(centre)
        first = await until_call(centre, "connected")
        await centre.until_agent(agent_id, AgentState.TALKING)
        await call_in(centre, caller="79161112244")
        second = await until_call(centre, "ended", n=1)
        assert (await path(centre, second.id))[0] == ("dial", "busy")
    await until_call(centre, "wrap_up")
    await centre.dispose(first.id)
    call = await until_call(centre, "ended")
    assert (call.result, call.agent_id) == ("answered", agent_id)
    assert await centre.rows(queue_stay) == []  # who is asked for by name has no queue


async def test_a_server_that_dies_in_the_talk_ends_no_talk(floor: Floor, database_url: str) -> None:
    """The next start finds the caller put through; the end gives the line back."""
    async with open_centre(floor, database_url, own_process=True) as centre, gone_afterwards(centre):
        await listed(centre, "office", number(Behaviour.HUMAN))
        await add_number(centre, dialling("office"))
        await call_in(centre)
        await until_talking(centre)
        await until_call(centre, "flow")
        await centre.kill_engine_process()
        engine = await centre.start_engine()
        (call,) = await calls(centre)
        line = engine.calls.get(call.id)
        assert line is not None
        assert (line.call.state, line.call.result, line.call.outcome) == ("flow", None, "transferred")
        assert await channels(centre) == 1
        async with centre.manager("Hangup") as link:
            said = await floor.carrier.cli("core show channels concise")
            person = next(one for one in said.splitlines() if "!person!" in one)
            await floor.carrier.cli(f"channel request hangup {person.split('!')[0]}")
            await centre.until_hangup(link, "dozvon-caller")
        call = await until_call(centre, "ended")
        assert (call.result, call.hung_up_by) == ("transferred", "server")
        (talk,) = await forwards(centre)
        assert (talk.holds_line, await channels(centre)) == (False, 0)
