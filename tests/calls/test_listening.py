"""Supervisors who listen on a real Asterisk: who hears whom, what is logged, who may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert
from support.centre import TENANT, Centre
from support.talks import application, grown, loudest, size, talk

from dialer.agents.model import AgentState
from dialer.calls.listeners import Mode
from dialer.db.tables import audit, destination
from dialer.demo.numbers import Behaviour
from dialer.errors import Forbidden, Invalid, NotFound
from dialer.ids import new_id


async def list_phone(centre: Centre) -> None:
    """The supervisor's phone is in the list."""
    async with centre.database.tenant(TENANT) as conn:
        listed = {"tenant_id": TENANT, "name": "Supervisor", "kind": "phone", "value": "agent-2"}
        await conn.execute(insert(destination).values(listed))


async def until_spying(centre: Centre) -> None:
    """Wait until the supervisor's phone is with the agent."""

    async def spying() -> bool:
        said = await centre.floor.asterisk.cli("core show channels concise")
        lines = [line.split("!") for line in said.splitlines() if "!dozvon-listen!" in line]
        return len(lines) == 1 and lines[0][5] == "ChanSpy"

    await centre.until_seen("a phone that listens", spying)


async def ear(centre: Centre) -> Path:
    """What the only person on the carrier's lines hears, written from now on."""
    carrier, file = centre.floor.carrier, centre.floor.folder / f"{new_id()}.wav"
    await carrier.cli("module load app_mixmonitor.so")
    (channel,) = (await carrier.cli("core show channels concise")).splitlines()
    await carrier.cli(f"mixmonitor start {channel.split('!')[0]} {file}")
    return file


async def test_the_customer_hears_a_supervisor_who_barges_in_and_no_other(centre: Centre) -> None:
    """A customer with a muted agent hears nothing, until the supervisor speaks with both, and nothing again
    when the supervisor only listens; each step is logged."""
    await list_phone(centre)
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id, Behaviour.SILENT)
    file = await ear(centre)
    spoken = await grown(centre, file, 3.0)
    await centre.controls.mute(await centre.person(agent_id), call_id, on=True)
    listening = await centre.listeners.begin(centre.actor, agent_id, Mode.WHISPER, "Supervisor")
    await until_spying(centre)
    await grown(centre, file, 1.5)  # what was under way
    whispered = await grown(centre, file, 3.0)
    await centre.listeners.change(centre.actor, agent_id, listening, Mode.BARGE)
    begun = size(file)

    async def heard_by_the_customer() -> bool:
        return size(file) > begun + 1600 and loudest(file, begun, size(file)) > 1000

    await centre.until_seen("the supervisor's voice at the customer's", heard_by_the_customer)
    await centre.listeners.change(centre.actor, agent_id, listening, Mode.LISTEN)
    await grown(centre, file, 1.5)
    listened = await grown(centre, file, 3.0)
    heard = (await centre.floor.phones.packets("agent-2")).received
    await grown(centre, file, 1.0)
    assert (await centre.floor.phones.packets("agent-2")).received > heard
    await centre.listeners.end(centre.actor, agent_id, listening)

    async def silent() -> bool:
        return "dozvon-listen" not in await centre.floor.asterisk.cli("core show channels concise")

    await centre.until_seen("the end of the listening", silent)
    assert await application(centre, "dozvon-customer") == "Bridge"  # the talk goes on
    await centre.calls.hang_up(centre.actor, call_id)
    await centre.until_attempt(call_id, "wrap_up")
    assert loudest(file, *spoken) > 1000
    assert loudest(file, *whispered) < 100 > loudest(file, *listened)
    logged = [(row.action, row.details.get("mode")) for row in await centre.rows(audit)]
    modes = ["whisper", "barge", "listen"]
    assert [mode for action, mode in logged if action == "agent.listen"] == modes
    assert ("agent.listen_end", None) in logged


async def test_who_may_not_listen(centre: Centre) -> None:
    """An agent may not; no phone but a listed one is called; no channel but a listener's is steered."""
    await list_phone(centre)
    (agent_id,) = await centre.add_agents(1)
    with pytest.raises(Forbidden):
        await centre.listeners.begin(await centre.person(agent_id), agent_id, Mode.LISTEN, "Supervisor")
    with pytest.raises(Invalid):
        await centre.listeners.begin(centre.actor, agent_id, Mode.LISTEN, "agent-2")
    with pytest.raises(Invalid):
        await centre.listeners.begin(centre.actor, agent_id, Mode.LISTEN)
    shift = await centre.until_agent(agent_id, AgentState.READY)
    assert shift.leg is not None
    for channel in (new_id(), shift.leg):
        with pytest.raises(NotFound):
            await centre.listeners.end(centre.actor, agent_id, channel)
    await centre.until_agent(agent_id, AgentState.READY)
