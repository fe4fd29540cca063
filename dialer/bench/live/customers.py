"""The simulator's customers as numbers of the loopback carrier: a seed gives both the same people."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Final

from dialer.demo.numbers import MAX_RING_S, MAX_STAY_S, PREFIXES, SETUP_S, STAY_STEP_S, Behaviour, encode
from dialer.pacing.simulator.world import Drawn, World

#: A detail has so many values.
_DETAILS: Final = 1000
#: Tries for a number that was not given out before: with the network's time as drawn, with any network's, and
#: with a talk that is a step longer each few times.
_TRIES: Final = (10, 40, 100)
_SAME_TALK: Final = 5


class Customers:
    """An endless supply of numbers that do what the simulator's source has drawn, in its order.

    What a number cannot say is rounded: the network's time to tenths of a second, ringing to halves, talks to
    `STAY_STEP_S`. A talk counts from the customer's answer, in the simulator from the agent's coming.
    """

    def __init__(self, world: World, seed: int) -> None:
        low, high = min(SETUP_S.values()) - 0.05, max(SETUP_S.values()) + 0.05
        assert world.setup_s == (round(low, 2), round(high, 2)), "no number has another network's time"
        assert world.ring_cut_s <= MAX_RING_S
        self._world = world
        self._source = Drawn(world, seed, 0.0)
        # As many talks as numbers are made: of whom, the simulator knows when an agent is there.
        self._talks = random.Random(f"{seed} talks")  # noqa: S311 - chance of a bench
        self._rng = random.Random(f"{seed} numbers")  # noqa: S311 - which of the numbers that do the same
        self._prefixes = defaultdict[float, list[int]](list)
        for prefix, setup_s in SETUP_S.items():
            self._prefixes[setup_s].append(prefix)
        self._used = set[str]()

    def take(self, count: int) -> list[str]:
        """So many numbers in E.164, none of which was given out before."""
        return [self._next() for _ in range(count)]

    def _next(self) -> str:
        lead = self._source.lead()
        assert lead is not None, "the plain world's list has no end"
        fate = self._source.fate(lead, 0.0)
        if fate.answered_s is not None and fate.ringing_s is not None:
            ring_s = fate.answered_s - fate.ringing_s
            talk = round(min(self._world.talk.draw(self._talks), MAX_STAY_S) / STAY_STEP_S)
            return self._free(Behaviour.STAYS, self._near(fate.ringing_s), ring_s, max(1, talk))
        if fate.ringing_s is not None:
            return self._free(Behaviour.RINGS_OUT, self._near(fate.ringing_s), self._world.ring_cut_s)
        return self._free(Behaviour.BUSY, list(PREFIXES), fate.ended_s)

    def _near(self, setup_s: float) -> list[int]:
        """The prefixes whose network takes about as long."""
        return self._prefixes[min(self._prefixes, key=lambda known: abs(known - setup_s))]

    def _free(
        self, behaviour: Behaviour, prefixes: list[int], ring_s: float, detail: int | None = None
    ) -> str:
        exact, rough, last = _TRIES
        for tries in range(last):
            longer = max(0, tries - rough) // _SAME_TALK
            number = encode(
                behaviour,
                ring_s=ring_s,
                detail=self._rng.randrange(_DETAILS) if detail is None else min(detail + longer, 999),
                prefix=self._rng.choice(prefixes if tries < exact else PREFIXES),
            ).e164
            if number not in self._used:
                self._used.add(number)
                return number
        raise AssertionError(f"all numbers like {number} are used up")
