"""The latest dials of a campaign, held back until all that were made before them are over.

What ends soonest is heard of first: a wrong number after a second or two, an answer after ten, nobody at home
after the whole ring time. Counted as they end, the first calls of each burst of dials would be taken for all
of it: so few answers at first, then so many, that twice the right number is dialled. Therefore they are
counted in the order in which they were made, and what the latest tell so far, the calls in the air among
them, is told apart (`Recent`).

Pure but for its own memory. No numpy here: the engine's start imports this.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

_Outcome = TypeVar("_Outcome")

#: Dials that wait for an earlier one at most: it is one whose end nobody has told.
MOST: Final = 5000


@dataclass(frozen=True, slots=True)
class Recent:
    """What the latest dials tell so far that was not counted yet."""

    #: calls in the air: when each was dialled, seconds since 1970, and by how much the log-odds of its answer
    #: differ from the campaign's mean
    in_air: Mapping[Hashable, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    #: calls that are over: the same difference of each, and how many of them were answered
    over: Sequence[float] = ()
    answered: float = 0.0


class Dials(Generic[_Outcome]):
    """Dials by the keys that the caller gives them."""

    def __init__(self) -> None:
        #: (when, a number of its own, key) of all that were not counted yet; the first is the earliest
        self._order: list[tuple[float, int, Any]] = []
        self._numbered = 0
        #: in the air: when it was dialled, and how it differs
        self._made: dict[Hashable, tuple[float, float]] = {}
        #: over: what it came to, how it differed, and how far it was answered; None: nothing to count
        self._over: dict[Hashable, tuple[_Outcome, float, float] | None] = {}

    def made(self, key: Hashable, at_s: float, differs: float = 0.0) -> None:
        """A call was dialled at `at_s` (seconds since 1970), to a lead that differs so from the mean, in
        log-odds of an answer. Told twice it counts once."""
        if key in self._made or key in self._over:
            return
        self._made[key] = at_s, differs
        self._numbered += 1
        heapq.heappush(self._order, (at_s, self._numbered, key))

    def over(self, key: Hashable, outcome: _Outcome, answered: float) -> bool:
        """The call is over; `answered`: 1, 0, or the chance that it would have been. False: no such call."""
        made = self._made.pop(key, None)
        if made is None:
            return False
        self._over[key] = outcome, made[1], answered
        return True

    def gone(self, key: Hashable) -> None:
        """Of the call nothing will be heard that says anything of its lead."""
        if self._made.pop(key, None) is not None:
            self._over[key] = None

    def counted(self) -> Iterator[_Outcome]:
        """Those that nothing made before them holds back any more, each once, in the order of the dials."""
        while self._order:
            key = self._order[0][2]
            if key in self._made:
                if len(self._order) <= MOST:
                    return
                self.gone(key)
            heapq.heappop(self._order)
            over = self._over.pop(key)
            if over is not None:
                yield over[0]

    def recent(self) -> Recent:
        """What those that are not counted yet tell."""
        over = [each for each in self._over.values() if each is not None]
        return Recent(
            in_air=dict(self._made),
            over=[differs for _, differs, _ in over],
            answered=sum(answered for _, _, answered in over),
        )
