"""Whether a trunk works: a circuit breaker over what its calls came to.

Each call says at most one thing of its trunk: that it works (it was answered, or ended as calls do: busy, no
answer, no such number), that the carrier failed it, or nothing. So many faults in a row, or such a share of
the late calls, and the trunk is `bad`: calls go over the campaign's next trunk at once, and one call now and
then, ever more rarely, tries the bad one. The first of these probes that works makes it good again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dialer.trunks.caps import PROBE_FIRST_S

#: Faults in a row after which a trunk is bad.
FAULTS_IN_A_ROW = 5
#: The share of faults that makes it bad, among about the last `LATE_CALLS`.
FAULT_SHARE, LATE_CALLS = 0.5, 20
#: A share so small is none.
NO_SHARE = 0.01


class Verdict(StrEnum):
    """What a call says of its trunk."""

    WORKS = "works"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Said:
    """One call's word."""

    verdict: Verdict
    #: of a fault: the SIP code, or a word
    why: str = ""
    #: the call was placed to try a bad trunk
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """How a trunk is."""

    bad: bool = False
    #: since when, and why; None: it has been good from the beginning
    since: datetime | None = None
    why: str | None = None
    #: faults in a row
    faults: int = 0
    #: the share of faults among late calls, 0 to 1
    share: float = 0.0
    #: bad: when one call may try it, and how long the next one waits after that
    probe_at: datetime | None = None
    probe_every_s: int = 0


def after(health: Health, said: Sequence[Said], now: datetime) -> Health:
    """How the trunk is after its calls have said so, in this order."""
    for one in said:
        health = _after(health, one, now)
    return health


def _after(health: Health, said: Said, now: datetime) -> Health:
    if health.bad:
        # Calls that were under way when it was found bad say nothing new; the probes' times are kept where
        # they are placed.
        works = said.probe and said.verdict is Verdict.WORKS
        return Health(since=now) if works else health
    share = health.share * (1 - 1 / LATE_CALLS)
    if said.verdict is Verdict.WORKS:
        return replace(health, faults=0, share=share if share >= NO_SHARE else 0.0)
    health = replace(health, faults=health.faults + 1, share=share + 1 / LATE_CALLS)
    if health.faults < FAULTS_IN_A_ROW and health.share < FAULT_SHARE:
        return health
    return replace(
        health,
        bad=True,
        since=now,
        why=said.why,
        probe_at=now + timedelta(seconds=PROBE_FIRST_S),
        probe_every_s=PROBE_FIRST_S * 2,
    )
