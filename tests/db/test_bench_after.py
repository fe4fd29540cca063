"""What the bench asks of a site after a fault: an agent in a talk that died is not free, an attempt without
an end is open."""

from __future__ import annotations

from datetime import timedelta

from support.floor import TENANT, Floor

from dialer.agents.model import AgentState
from dialer.bench.site_after import held, open_attempts, talked
from dialer.clock import utc_now


async def test_an_agent_who_stays_in_a_talk_of_before_is_held(floor: Floor) -> None:
    """Ready is free; so is who talks with somebody new; a talk of before the fault is not, nor is a pause."""
    await floor.seat()
    stuck, busy = await floor.seat(), await floor.seat()
    paused = await floor.seat(AgentState.PAUSED)
    old = await floor.talk(stuck)
    fault = utc_now()
    await floor.talk(busy)
    async with floor.database.tenant(TENANT) as conn:
        found = await held(conn, fault)
        assert await talked(conn, fault) == 1
        later = await held(conn, utc_now() + timedelta(seconds=1))
    assert len(later) == 3, "by then the new talk is an old one"
    assert found == [
        f"agent {stuck.agent_id} is talking with attempt {old.attempt_id}",
        f"agent {paused.agent_id} is paused with attempt None",
    ]


async def test_an_attempt_without_an_end_is_open(floor: Floor) -> None:
    """Of those that were made in the span, and only of those."""
    before = utc_now()
    call = await floor.talk(await floor.seat())
    after = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        assert await open_attempts(conn, before, after) == [call.attempt_id]
        assert await open_attempts(conn, after, utc_now()) == []
        assert await open_attempts(conn, before - timedelta(days=1), before) == []
