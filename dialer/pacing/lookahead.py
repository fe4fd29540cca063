"""The rule of predictive dialling: price one more call by looking ahead, dial while the price is allowed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dialer.pacing.model import DialMode, Plan, Snapshot, plan


def lookahead(snapshot: Snapshot, now: datetime) -> Plan:
    """How many calls to place now; without knowledge or budget one for each ready agent."""
    return plan(replace(snapshot, mode=DialMode.PROGRESSIVE), now)
