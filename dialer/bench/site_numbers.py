"""Numbers that are used once each: whoever is called a second time was dialled twice."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from dialer.demo.numbers import PREFIXES, Behaviour, encode, lognormal_s

#: What a bench's people do: short calls of every kind, most of them talks.
SHARES: Mapping[Behaviour, float] = MappingProxyType(
    {
        Behaviour.HUMAN: 0.62,
        Behaviour.LEAVES_TALK: 0.08,
        Behaviour.LEAVES_EARLY: 0.03,
        Behaviour.HANGS_UP_AT_ONCE: 0.05,
        Behaviour.BUSY: 0.10,
        Behaviour.DECLINED: 0.04,
        Behaviour.INVALID: 0.04,
        Behaviour.NO_ANSWER: 0.04,
    }
)
#: A number that was drawn so often before gives way to one of a kind with more room.
_TRIES = 20


class Supply(Protocol):
    """Where a site's list gets its numbers."""

    def take(self, count: int) -> list[str]:
        """So many numbers in E.164, none of which was given out before."""
        ...


class Numbers:
    """An endless supply of different numbers of the loopback carrier's plan; a seed decides them."""

    def __init__(self, seed: int, *, ring_s: float = 0.5, shares: Mapping[Behaviour, float] = SHARES) -> None:
        """`ring_s` is the mean time of ringing, seconds."""
        self._rng = random.Random(f"numbers {seed}")  # noqa: S311 - a test plan, not a secret
        self._kinds, self._weights = list(shares), list(shares.values())
        self._ring_s = ring_s
        self._used: set[str] = set()

    def take(self, count: int) -> list[str]:
        """So many numbers in E.164, none of which was given out before."""
        return [self._next() for _ in range(count)]

    def _next(self) -> str:
        kind = self._rng.choices(self._kinds, self._weights)[0]
        for _ in range(_TRIES):
            number = self._draw(kind)
            if number not in self._used:
                break
        else:
            kind = max(zip(self._weights, self._kinds, strict=True))[1]
            while (number := self._draw(kind)) in self._used:
                pass
        self._used.add(number)
        return number

    def _draw(self, kind: Behaviour) -> str:
        match kind:
            case Behaviour.LEAVES_TALK:
                detail = self._rng.randint(5, 40)  # tenths of a second of talk
            case Behaviour.LEAVES_EARLY:
                detail = self._rng.randint(4, 15)
            case _:
                detail = self._rng.randint(0, 999)
        ring_s = lognormal_s(self._rng, self._ring_s)
        return encode(kind, ring_s=ring_s, detail=detail, prefix=self._rng.choice(PREFIXES)).e164
