"""Which trunk a call takes when a carrier does not answer; what a carrier hears of a call."""

from __future__ import annotations

import asyncio
import re

from sqlalchemy import insert
from support.centre import TENANT, Centre

from dialer.agents.model import AgentState
from dialer.db import tables as t
from dialer.demo.numbers import Behaviour, encode
from dialer.trunks import store


async def test_a_dead_carrier_is_passed_over(centre: Centre) -> None:
    """The first trunk's carrier does not answer Asterisk: calls go by the second, and none fails.

    Asterisk says so only when it changes; an engine that starts later must ask.
    """
    dead = await centre.add_trunk("dead")
    async with centre.manager("ContactStatus") as manager:
        while not await _known_dead(centre):
            await manager.inbox.get()
    await centre.stop_engine()
    engine = await centre.start_engine()
    assert set(engine.placer.lines.unreachable) == {("main", "dead")}
    await centre.add_agents(1)
    campaign_id = await centre.campaign([], trunk_id=dead)
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.campaign_trunk).values(
                tenant_id=TENANT, campaign_id=campaign_id, position=2, trunk_id=centre.trunk_id
            )
        )
    await centre.add_leads(campaign_id, [encode(Behaviour.BUSY, ring_s=0.5).e164])
    (attempt,) = await centre.until_attempts(1, "ended", campaign_id=campaign_id)
    assert (attempt.trunk_id, attempt.result) == (centre.trunk_id, "busy")

    async def shown() -> bool:
        async with centre.database.tenant(TENANT) as conn:
            health = {one["id"]: one["health"] for one in await store.all_fields(conn, TENANT)}
        return (health[dead]["state"], health[dead]["why"]) == ("bad", "unreachable") and (
            health[centre.trunk_id]["state"] == "good"
        )

    async with asyncio.timeout(20):
        # Once a second the engine writes what it sees, with no event that could be waited for.
        while not await shown():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _known_dead(centre: Centre) -> bool:
    """Whether Asterisk has found out that nobody is there."""
    said = await centre.floor.asterisk.cli("pjsip show contacts")
    return any("dead/" in line and "Unavail" in line for line in said.splitlines())


async def test_without_a_living_carrier_nothing_is_dialled(centre: Centre) -> None:
    """The only trunk is dead: no attempt is made, and the pace says that there are no lines."""
    assert centre.engine is not None
    dead = await centre.add_trunk("dead")
    await centre.add_agents(1)
    centre.engine.tracker.contact("main", "dead", False)
    campaign_id = await centre.campaign([encode(Behaviour.HUMAN).e164], trunk_id=dead)

    async def said() -> bool:
        return any(tick.why == "no_lines" for tick in await centre.rows(t.pacing_tick))

    await centre.until("the pace says why", said)
    assert await centre.attempts(campaign_id) == []


async def test_a_join_sends_the_carrier_nothing(centre: Centre) -> None:
    """The carrier gets its INVITE, and within the talk neither another nor an UPDATE that says whom the
    customer was joined with."""
    (agent_id,) = await centre.add_agents(1)
    number = encode(Behaviour.LEAVES_EARLY, ring_s=0.5, detail=20).e164
    await centre.campaign([number])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id is not None
    await centre.until_attempt(shift.attempt_id, "wrap_up")
    carrier = centre.floor.carrier
    (call_id,) = carrier.invites()[number]
    messages = carrier.log_path.read_text(encoding="utf-8", errors="replace").split("<--- ")
    of_call = [each for each in messages if call_id in each and each.startswith("Received SIP request")]
    assert any("P-Asserted-Identity" in each for each in of_call)  # the caller id is told with the call
    inside = [each for each in of_call if re.search(r"\nTo:.*;tag=", each)]
    assert [each for each in inside if re.search(r"\nCSeq: \d+ (INVITE|UPDATE)", each)] == []
