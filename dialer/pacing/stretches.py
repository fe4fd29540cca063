"""How much longer one agent's talks, or wrap-ups, are than another's.

The campaign's law has the shape, which may be any mixture; an agent stretches it: who takes twice as long for
everything has the law of the others with twice its durations. What is compared are the means of logarithms,
which one long talk does not move. An agent of whom little is known counts as the campaign's mean.

Pure but for its own memory. No numpy here.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

#: Shorter durations count as so long, seconds: the logarithm of nothing would outweigh all others.
LEAST_S: Final = 1.0
#: Own durations until half of what was learned of an agent is forgotten.
HALF_LIFE: Final = 100
#: With so many own durations an agent counts half as itself, half as the campaign.
AS_ALL: Final = 10.0
#: Stretches are told apart in steps of this factor: each makes tables of its own.
STEP: Final = 1.25
#: So many steps up or down at most: nearly five times as long or as short.
MOST_STEPS: Final = 7


@dataclass(slots=True)
class _Known:
    """The durations of one agent that are not forgotten: how many, and the sum of their logarithms."""

    count: float = 0.0
    logs: float = 0.0


class Stretches:
    """What a campaign has learned of one kind of durations, agent by agent."""

    def __init__(self) -> None:
        self._agents: dict[int, _Known] = {}
        #: of all together
        self._all = _Known()

    @property
    def agents(self) -> Collection[int]:
        """Of whom something is known."""
        return self._agents.keys()

    def see(self, agent: int | None, age_s: float) -> float:
        """Learn from a duration in seconds; gives how long it had been in usual hands."""
        if agent is None:
            return age_s
        usual_s = age_s / self.stretch(agent)
        known, keep = self._agents.setdefault(agent, _Known()), 0.5 ** (1 / HALF_LIFE)
        count, logs = known.count * keep + 1.0, known.logs * keep + math.log(max(age_s, LEAST_S))
        self._all.count += count - known.count
        self._all.logs += logs - known.logs
        known.count, known.logs = count, logs
        return usual_s

    def stretch(self, agent: int) -> float:
        """By which factor the agent's durations are longer than the campaign's."""
        return math.exp(self._log(agent))

    def steps(self, agent: int) -> int:
        """The same in whole steps of `STEP`."""
        return min(max(round(self._log(agent) / math.log(STEP)), -MOST_STEPS), MOST_STEPS)

    def _log(self, agent: int) -> float:
        known = self._agents.get(agent)
        if known is None:
            return 0.0
        apart = known.logs / known.count - self._all.logs / self._all.count
        return apart * known.count / (known.count + AS_ALL)
