"""How long rows are kept that nobody needs for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

#: The log of changes is a proof: five years, as the United States ask of records of calls (16 CFR 310.5) and
#: Germany of consent (7a UWG), a leap year or two among them. The database refuses less.
AUDIT_LEAST_DAYS = 1827


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
