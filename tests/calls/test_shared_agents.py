"""Campaigns over one pool of agents on a real Asterisk: dedicated agents, universal ones, ranks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Row
from support.centre import Centre

from dialer.db.tables import pacing_tick
from dialer.demo.numbers import Behaviour, encode

SKILLS = ("insurance", "credit")


def numbers(count: int, first: int) -> list[str]:
    """Of three one answers and leaves after a second or two, one declines, one is busy."""
    kinds = (Behaviour.LEAVES_EARLY, Behaviour.DECLINED, Behaviour.BUSY)
    return [
        encode(kinds[n % 3], ring_s=0.5 + 0.5 * (n % 2), detail=10 + first + n).e164 for n in range(count)
    ]


async def floor_of_three(centre: Centre) -> dict[int, frozenset[str]]:
    """One agent dedicated to each of two campaigns, and a universal one: by agent, the skills."""
    (insurance,) = await centre.add_agents(phones=["agent-0"], skills=SKILLS[:1])
    (credit,) = await centre.add_agents(phones=["agent-1"], skills=SKILLS[1:])
    (both,) = await centre.add_agents(phones=["agent-2"], skills=SKILLS)
    return {insurance: frozenset(SKILLS[:1]), credit: frozenset(SKILLS[1:]), both: frozenset(SKILLS)}


def in_air(attempts: Sequence[Row[Any]], at: datetime) -> list[Row[Any]]:
    """Calls that had no agent at that moment."""
    return [a for a in attempts if a.created_at <= at < (a.connected_at or a.hung_up_at)]


async def test_predictive_campaigns_dial_for_shared_agents_together(centre: Centre) -> None:
    """Two predictive campaigns, an agent of each and one of both: both are called through, each talk is with
    an agent who has the skill, and each is planned with the other's calls in the air."""
    skills = await floor_of_three(centre)
    async with centre.disposing():
        campaigns = {
            await centre.campaign(numbers(15, 20 * n), mode="predictive", skill=skill): skill
            for n, skill in enumerate(SKILLS)
        }
        attempts = await centre.until_attempts(30, "ended", within_s=120)
    talks = [a for a in attempts if a.connected_at]
    assert {a.campaign_id for a in talks} == set(campaigns)
    assert all(campaigns[a.campaign_id] in skills[a.agent_id] for a in talks)
    assert {a.result for a in attempts} <= {"answered", "abandoned", "caller_hung_up", "declined", "busy"}
    ticks = [row for row in await centre.rows(pacing_tick) if row.inputs.get("others_in_air")]
    assert {row.campaign_id for row in ticks} == set(campaigns)
    # All whom it may use are counted, the universal agent with each.
    assert {row.inputs["agents"] for row in ticks} == {2}


@pytest.mark.parametrize(
    "modes", [("predictive", "predictive"), ("progressive", "predictive"), ("progressive", "progressive")]
)
async def test_no_free_agent_is_dialled_for_by_two_campaigns(centre: Centre, modes: tuple[str, str]) -> None:
    """Three agents are free all the time and nothing may be abandoned: the calls in the air are never more
    than three, though each campaign by itself might have two."""
    await floor_of_three(centre)
    campaigns = [
        await centre.campaign(
            [encode(Behaviour.DECLINED, ring_s=1.5, detail=100 * n + k).e164 for k in range(8)],
            mode=mode,
            skill=skill,
            abandon_target=0.0001,
        )
        for n, (mode, skill) in enumerate(zip(modes, SKILLS, strict=True))
    ]
    attempts = await centre.until_attempts(16, "ended", within_s=120)
    assert max(len(in_air(attempts, each.created_at)) for each in attempts) == 3
    for campaign_id in campaigns:
        own = [each for each in attempts if each.campaign_id == campaign_id]
        assert len(own) == 8
        assert max(len(in_air(own, each.created_at)) for each in own) <= 2


async def test_the_highest_rank_takes_the_call(centre: Centre) -> None:
    """Of two free agents the one with the higher rank is joined, though the other has waited longer."""
    await centre.add_agents(phones=["agent-0"], rank=3)
    (best,) = await centre.add_agents(phones=["agent-1"], rank=8)
    campaign_id = await centre.campaign([encode(Behaviour.HUMAN, ring_s=0.5).e164])
    (attempt,) = await centre.until_attempts(1, "connected", campaign_id=campaign_id)
    assert attempt.agent_id == best
