"""How many calls to place now, mode by mode."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing.model import RULES, AgentInPool, CallInAir, DialMode, Snapshot, plan

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
COUNT = st.integers(0, 60)


def snapshot(
    mode: DialMode, *, ready: int, in_air: int = 0, busy: int = 0, ratio: float = 1.5, lines: int = 100,
    leads: int | None = None,
) -> Snapshot:  # fmt: skip
    """So many agents and calls."""
    states = ["ready"] * ready + ["talking"] * busy
    return Snapshot(
        mode=mode,
        ratio=ratio,
        agents=[AgentInPool(UUID(int=n), state, NOW) for n, state in enumerate(states)],
        calls=[CallInAir(UUID(int=n), "ringing", NOW) for n in range(in_air)],
        lines_left=lines,
        leads_left=leads,
    )


def of_lines(lines: int, in_use: int, *, may_begin: int = 9, left: int = 9) -> Snapshot:
    """Of a campaign without agents."""
    return replace(
        snapshot(DialMode.FLOW, ready=0, lines=left), lines=lines, lines_in_use=in_use, may_begin=may_begin
    )


@pytest.mark.parametrize(
    ("given_", "dial", "why"),
    [
        (of_lines(5, 0), 5, "lines_free"),
        (of_lines(5, 4), 1, "lines_free"),
        (of_lines(5, 6), 0, "lines_in_use"),
        (of_lines(5, 0, left=2), 2, "lines_free"),
        (of_lines(5, 0, left=0), 0, "no_lines"),
        (of_lines(5, 0, may_begin=1), 1, "lines_free"),
        (snapshot(DialMode.PROGRESSIVE, ready=3), 3, "agents_free"),
        (snapshot(DialMode.PROGRESSIVE, ready=3, in_air=2), 1, "agents_free"),
        (snapshot(DialMode.PROGRESSIVE, ready=3, in_air=3), 0, "enough_in_air"),
        (snapshot(DialMode.PROGRESSIVE, ready=3, in_air=5), 0, "enough_in_air"),
        (snapshot(DialMode.PROGRESSIVE, ready=0, busy=4), 0, "no_ready_agents"),
        (snapshot(DialMode.PROGRESSIVE, ready=0), 0, "no_agents"),
        (snapshot(DialMode.PROGRESSIVE, ready=3, lines=2), 2, "agents_free"),
        (snapshot(DialMode.PROGRESSIVE, ready=3, lines=0), 0, "no_lines"),
        (snapshot(DialMode.PROGRESSIVE, ready=3, leads=0), 0, "no_leads"),
        (snapshot(DialMode.POWER, ready=4, ratio=1.5), 6, "agents_free"),
        (snapshot(DialMode.POWER, ready=3, ratio=1.5), 4, "agents_free"),
        (snapshot(DialMode.POWER, ready=1, ratio=1.5), 1, "agents_free"),
        (snapshot(DialMode.POWER, ready=4, ratio=2.0, in_air=7), 1, "agents_free"),
        (snapshot(DialMode.PREVIEW, ready=9), 0, "by_hand"),
        (snapshot(DialMode.MANUAL, ready=9), 0, "by_hand"),
    ],
)
def test_plan(given_: Snapshot, dial: int, why: str) -> None:
    """Each mode dials as much as its words say, with the reason."""
    decided = plan(given_, NOW)
    assert (decided.dial, decided.why) == (dial, why)


@given(st.sampled_from(sorted(RULES)), COUNT, COUNT, COUNT, COUNT, st.floats(1, 10))
def test_no_plan_goes_over_its_bounds(
    mode: DialMode, ready: int, busy: int, in_air: int, lines: int, ratio: float
) -> None:
    """No rule dials less than nothing, over the lines, or over ratio for each ready agent."""
    decided = plan(snapshot(mode, ready=ready, busy=busy, in_air=in_air, lines=lines, ratio=ratio), NOW)
    assert 0 <= decided.dial <= lines
    assert decided.dial + in_air <= max(in_air, ratio * ready)
    assert decided.why


def test_every_startable_mode_has_a_rule() -> None:
    """Every mode can be planned."""
    assert set(RULES) == set(DialMode)
