"""Toll fraud: tries to dial what may not be dialled, as much as may not be, or as somebody else.

The tries go through the server's own services, placers and API against a real PostgreSQL. What is placed is
judged by witnesses that are not the server: the one that stands where Asterisk would, with a count and a
ledger of its own, and, for a session that was stolen, the carrier's log of a whole site.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from dialer.bench.faults.fraud.floor import Floor
from dialer.bench.faults.fraud.session import Thief
from dialer.bench.faults.fraud.tries import (
    Case,
    Outcome,
    forbidden_numbers,
    too_many_a_second,
    too_many_at_once,
    too_much_money,
)
from dialer.bench.model import Run, Say, case_of

#: What is tried over the floor's placers, and how often in a run of the long form.
ON_FLOOR: Final[Mapping[str, tuple[Case, int]]] = MappingProxyType(
    {
        "numbers": (forbidden_numbers, 2200),
        "channels": (too_many_at_once, 3000),
        "rate": (too_many_a_second, 3000),
        "money": (too_much_money, 2000),
    }
)
#: Requests of a stolen session in a run.
REQUESTS = 400


#: The part of all that which a run of the short form makes.
SHORT = 0.08


@dataclass(frozen=True, slots=True)
class Fraud:
    """The row `fraud`."""

    name: str = "fraud"
    title: str = (
        "toll fraud: forbidden prefixes, too many calls, spend and concurrency caps, a stolen session"
    )
    must_hold: str = "0 tries pass"
    cases: tuple[str, ...] = ("session", *ON_FLOOR)
    long_runs: int = 50
    short_runs: int = 4
    #: of the tries of the long form
    share: float = 1.0

    def sized(self, *, short: bool, minutes: float | None) -> Fraud:
        """The row with its short runs; minutes make no odds to it."""
        return replace(self, share=SHORT) if short else self

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """Make the tries of each seed."""
        async with AsyncExitStack() as stack:
            floor: Floor | None = None
            thief: Thief | None = None
            for seed in seeds:
                case = case_of(self.cases, seed)
                rng = random.Random(f"fraud {seed}")  # noqa: S311 - tries, not secrets
                began = time.monotonic()
                if case in ON_FLOOR:
                    if floor is None:
                        floor = await stack.enter_async_context(Floor.open())
                    tried, many = ON_FLOOR[case]
                    outcome = await tried(floor, seed, rng, round(many * self.share))
                else:
                    if thief is None:
                        thief = await stack.enter_async_context(Thief.open(say))
                    outcome = await thief.tries(rng, round(REQUESTS * self.share))
                took_s = time.monotonic() - began
                say(f"{case}: {outcome.tries} tries in {took_s:.1f} s, {outcome.passed} passed")
                yield _run(seed, case, outcome)


def _run(seed: int, case: str, outcome: Outcome) -> Run:
    return Run(
        fault="fraud",
        seed=seed,
        case=case,
        calls=outcome.calls,
        figures={"requests": outcome.requests, "tries": outcome.tries, "passed": outcome.passed},
        broken="; ".join(outcome.broken),
    )


ROW = Fraud()
