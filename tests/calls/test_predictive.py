"""Predictive dialling on a real Asterisk: more calls than agents, who is abandoned, what is taken back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, text
from support.centre import TENANT, Centre

from dialer.agents.model import AgentState
from dialer.calls.model import TAKEN_BACK
from dialer.clock import utc_now
from dialer.db.tables import pacing_tick
from dialer.demo.numbers import Behaviour, encode


def people(count: int, *, ring_s: float = 0.5) -> list[str]:
    """Numbers at which somebody answers."""
    return [encode(Behaviour.HUMAN, ring_s=ring_s, detail=n).e164 for n in range(count)]


def nobody(count: int) -> list[str]:
    """Numbers that ring for ever."""
    return [encode(Behaviour.NO_ANSWER, ring_s=0.5, detail=n).e164 for n in range(count)]


def most_in_air(attempts: list[Row[Any]]) -> int:
    """Most calls at once that nobody has answered yet."""
    in_air = (
        sum(a.created_at <= b.created_at < (a.answered_at or a.hung_up_at or utc_now()) for a in attempts)
        for b in attempts
    )
    return int(max(in_air))


def settled(centre: Centre, campaign_id: int) -> set[tuple[int, int]]:
    """What the engine's budget counts in each of its windows: (live answers, abandoned)."""
    assert centre.engine is not None
    pace = centre.engine.runner.paces._paces[TENANT, campaign_id]
    return {(window.answered, window.abandoned) for window in pace.budget.state(utc_now()).windows}


async def test_it_dials_more_than_one_call_an_agent(centre: Centre) -> None:
    """For four free agents of a new campaign more than four calls are placed, and why is kept."""
    await centre.add_agents(4)
    campaign_id = await centre.campaign(nobody(30), mode="predictive")
    await centre.until_attempts(5, "ended", "ringing", "dialling", campaign_id=campaign_id, within_s=60)
    assert most_in_air(await centre.attempts(campaign_id)) > 4
    ticks = [row for row in await centre.rows(pacing_tick) if row.why == "within_budget"]
    assert ticks
    for name in ("agents", "ready", "in_air", "price", "allowed", "answer_probability", "assumed", "credit"):
        assert name in ticks[-1].inputs


async def test_who_is_abandoned_counts(centre: Centre) -> None:
    """Where all answer at once some find no agent: report and budget count the same, and so does an engine
    that takes the campaign up anew."""
    await centre.add_agents(4)
    campaign_id = await centre.campaign(people(12, ring_s=2.0), mode="predictive")

    async def somebody_is_abandoned() -> bool:
        return any(a.result == "abandoned" for a in await centre.attempts(campaign_id))

    await centre.until("somebody is abandoned", somebody_is_abandoned, within_s=90)
    await centre.stop_engine()
    await centre.start_engine()

    async def taken_up() -> bool:
        assert centre.engine is not None
        return (TENANT, campaign_id) in centre.engine.runner.paces._paces

    await centre.until("the campaign is taken up", taken_up)

    async def counted_alike() -> bool:
        attempts = await centre.attempts(campaign_id)
        live = [a for a in attempts if a.result in ("answered", "abandoned", "caller_hung_up")]
        return settled(centre, campaign_id) == {(len(live), sum(a.result == "abandoned" for a in live))}

    await centre.until("both count alike", counted_alike)
    ((answered, abandoned),) = settled(centre, campaign_id)
    assert answered >= abandoned >= 1


async def test_a_call_that_is_taken_back_leaves_its_lead_callable(centre: Centre) -> None:
    """When the agents have got talks, what rings on at their cost is ended after the policy's shortest
    ringing; the log says why, and the lead has lost no attempt."""
    await centre.add_agents(4)
    # Of the first five calls one rings on when each agent has a talk.
    ring = nobody(20)
    campaign_id = await centre.campaign(
        [*ring[:1], *people(4), *ring[1:]], mode="predictive", ring_timeout_s=25, take_back_ringing=True
    )

    async def taken_back() -> list[Row[Any]]:
        return [a for a in await centre.attempts(campaign_id) if a.detail == TAKEN_BACK and a.ended_at]

    (attempt, *_) = await centre.until("a call is taken back", taken_back, within_s=60)
    assert (attempt.result, attempt.answered_at) == ("canceled", None)
    assert attempt.hung_up_at - attempt.ringing_at >= timedelta(seconds=5)
    (lead,) = [lead for lead in await centre.leads(campaign_id) if lead.id == attempt.lead_id]
    assert (lead.status, lead.attempts) == ("waiting", 0)
    assert any(row.inputs.get("taken_back") for row in await centre.rows(pacing_tick))

    async def all_told() -> list[str]:
        results = [a.result for a in await centre.attempts(campaign_id) if a.answered_at]
        return results if all(results) else []  # somebody may have answered just now

    # Whoever was answered talks on.
    assert set(await centre.until("what became of all who answered", all_told)) == {"answered"}


async def test_nothing_is_dialled_for_agents_who_leave(centre: Centre) -> None:
    """A second after the last agent has asked for a break nothing is dialled, also while one still talks."""
    first, *others = await centre.add_agents(3)
    numbers = people(1) + [encode(Behaviour.DECLINED, ring_s=0.5, detail=n).e164 for n in range(200)]
    campaign_id = await centre.campaign(numbers, mode="predictive")
    await centre.until_attempts(1, "connected", campaign_id=campaign_id)
    await centre.until_attempts(6, "ended", campaign_id=campaign_id)
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(text("INSERT INTO pause_code VALUES (1, 'break', 'Перерыв', 'Break')"))
    for agent_id in (first, *others):
        await centre.agents.pause(await centre.person(agent_id), agent_id, "break")
    left = utc_now()
    # What is to be seen is that nothing comes.
    await asyncio.sleep(4)
    attempts = await centre.attempts(campaign_id)
    assert max(a.created_at for a in attempts) - left < timedelta(seconds=1)
    assert any(lead.status == "new" for lead in await centre.leads(campaign_id))
    assert any(a.state == "connected" for a in attempts)
    states = [(await centre.shift(agent_id)) for agent_id in (first, *others)]
    assert sorted(shift.state for shift in states if shift) == [
        AgentState.PAUSED, AgentState.PAUSED, AgentState.TALKING,
    ]  # fmt: skip
