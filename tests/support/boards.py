"""A board's values for the tests of its rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dialer.agents.model import Agent, AgentState, Shift, Takes
from dialer.boards.model import AtWork, CampaignCounted, Talks
from dialer.ids import new_id

#: A part that is renewed by this time has heard of the event: by itself it asks every 15 s. How soon that
#: is, the bench measures (`dozvon bench load --only board`).
EVENT_MS = 10_000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AGENT = Agent(1, 1, 1, "Анна", "agent-1", frozenset(), {}, 5, Takes.BOTH, enabled=True)
COUNTED = CampaignCounted(100, 0.3, 0.02, 2, 100, 0.03, 86_400, Talks(10, 2), 500, 5400.0)


def paused(for_s: float, limit_s: int | None) -> AtWork:
    """An agent on a pause for so long."""
    since = NOW - timedelta(seconds=for_s)
    shift = Shift(
        new_id(), 1, 1, "Анна", "agent-1", frozenset(), AgentState.PAUSED, since, since, new_id(), "main",
        None, None, "break", None, None,
    )  # fmt: skip
    return AtWork(AGENT, shift, pause_limit_s=limit_s)


def talks(for_s: float, held_s: float | None = None) -> AtWork:
    """An agent who talks for so long, with the customer on hold for so long."""
    one, since = paused(for_s, None), NOW - timedelta(seconds=held_s or 0)
    shift = replace(one.shift, state=AgentState.TALKING, pause_code=None)
    return replace(one, shift=shift, held_at=None if held_s is None else since)
