"""How long rows are kept that nobody needs for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Terms:
    """How many days the rows of a table are kept. What is not named here has its own rule: events and keys of
    repeated requests a day, log-ins until they end, attempts for ever."""

    #: what was asked of the engine, with its replies
    commands: int
    #: why so many, or none, were dialled
    pacing: int
    #: time of agents in each state: what figures of shifts are made from
    agent_time: int
    #: who changed what
    audit: int
    #: recordings that nobody holds; None: for ever
    recordings: int | None = None


def before(now: datetime, days: int) -> datetime:
    """Rows older than this are deleted."""
    return now - timedelta(days=days)
