"""A carrier that fails its calls costs no lead an attempt, and no call after the first few."""

from __future__ import annotations

from sqlalchemy import insert
from support.centre import TENANT, Centre

from dialer.db import tables as t
from dialer.demo.numbers import Behaviour, encode


async def test_calls_go_over_the_next_trunk_when_a_carrier_fails_them(centre: Centre) -> None:
    """The first trunk's carrier is silent: after a few calls the trunk is bad, each lead is dialled again in
    seconds over the second one, and has used up one attempt of one."""
    silent = await centre.add_trunk("nowhere")
    await centre.add_agents(1)
    campaign_id = await centre.campaign(
        [], trunk_id=silent, mode="power", ratio=6.0, ring_timeout_s=2, max_attempts=1
    )
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.campaign_trunk).values(
                tenant_id=TENANT, campaign_id=campaign_id, position=2, trunk_id=centre.trunk_id
            )
        )
    numbers = [encode(Behaviour.BUSY, ring_s=0.5, detail=n).e164 for n in range(6)]
    await centre.add_leads(campaign_id, numbers)
    ended = await centre.until_attempts(12, "ended", campaign_id=campaign_id, within_s=60)
    first = [each for each in ended if each.trunk_id == silent]
    assert [(each.result, each.detail, each.trunk_fault) for each in first] == [
        ("failed", "no_response", True)
    ] * 6
    second = [each for each in ended if each.trunk_id == centre.trunk_id]
    assert [(each.result, each.trunk_fault) for each in second] == [("busy", False)] * 6
    assert sorted(each.e164 for each in first) == sorted(each.e164 for each in second) == sorted(numbers)
    leads = await centre.leads(campaign_id)
    assert {(lead.attempts, lead.closed_reason) for lead in leads} == {(1, "max_attempts")}
    loads = {row.trunk_id: row for row in await centre.rows(t.trunk_load)}
    assert (loads[silent].health, loads[silent].health_why) == ("bad", "no_response")
    assert loads[centre.trunk_id].health == "good"
    assert loads[silent].channels == loads[centre.trunk_id].channels == 0
    told = [row.payload for row in await centre.rows(t.event) if row.kind == "trunk.state"]
    assert told == [{"trunk_id": silent, "health": "bad", "why": "no_response"}]
