"""How often something may be tried: a sliding window in memory.

Memory is enough: one web process serves all requests, and a restart forgives little (a try costs the price
of an argon2 hash anyway).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from dialer.errors import TooManyRequests


class TryLimit:
    """At most `tries` within `window_s` for each key; keys are forgotten when their window is over."""

    def __init__(
        self,
        tries: int,
        window_s: float,
        *,
        max_keys: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tries = tries
        self._window_s = window_s
        self._max_keys = max_keys
        self._clock = clock
        self._seen: dict[str, deque[float]] = {}

    def take(self, key: str) -> None:
        """Count a try before it is made, so that tries at once are all counted. Raises TooManyRequests."""
        now = self._clock()
        seen = self._seen.setdefault(key, deque())
        while seen and seen[0] <= now - self._window_s:
            seen.popleft()
        if len(seen) >= self._tries:
            raise TooManyRequests(seconds=max(1, math.ceil(seen[0] + self._window_s - now)))
        seen.append(now)
        if len(self._seen) > self._max_keys:
            self._forget(now)

    def forgive(self, key: str) -> None:
        """A try that succeeded clears the key."""
        self._seen.pop(key, None)

    def give_back(self, key: str) -> None:
        """A try that succeeded is not counted, the others of the key are."""
        seen = self._seen.get(key)
        if seen:
            seen.pop()

    def _forget(self, now: float) -> None:
        """Drop what is over; if that is not enough, the keys that were first seen: memory stays bounded."""
        for key in [key for key, seen in self._seen.items() if not seen or seen[-1] <= now - self._window_s]:
            del self._seen[key]
        for key in list(self._seen)[: max(0, len(self._seen) - self._max_keys)]:
            del self._seen[key]
