"""Who dials for which agents, where several campaigns may use the same ones. Pure.

A campaign that dials for free agents (progressive, power), or shows them leads (preview), is given whole
agents: `share`. Predictive campaigns put together what they were given: each is planned over all of it that
it may use, with the calls of the others that may take these agents too (`Snapshot.others`), and they dial in
turns (`Turns`). Two teams of five pace as one of ten, which keeps agents busier at the same risk.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias
from uuid import UUID

from dialer.pacing.model import AgentInPool

#: An agent with the campaigns that may use it.
Usable: TypeAlias = tuple[AgentInPool, frozenset[int]]
_NONE: Final[Mapping[int, int]] = MappingProxyType({})
_NEVER: Final[Mapping[int, float]] = MappingProxyType({})
#: Shares and answers are sums of parts: less than this is nothing.
_NOTHING: Final = 1e-9


def share(
    agents: Sequence[Usable],
    priorities: Mapping[int, int],
    spoken_for: Mapping[int, int] = _NONE,
    dialled: Mapping[int, float] = _NEVER,
) -> dict[int, list[AgentInPool]]:
    """Give each agent to one campaign, so that no agent is counted twice.

    `priorities`: campaign id -> priority, of the campaigns that want calls; `spoken_for`: how many free
    agents a campaign's calls in the air stand for, whom nobody else may dial for; `dialled`: when it dialled
    last (any clock). Any other agent goes to the highest priority, among equals to the campaign that has the
    fewest, then to the one that has not dialled for longest. Agents whom few may use are given first, so that
    who has agents of its own leaves the others those whom all may use.
    """
    shares: dict[int, list[AgentInPool]] = {campaign: [] for campaign in priorities}
    left = [(agent, able) for agent, usable in agents if (able := [c for c in priorities if c in usable])]
    left.sort(key=lambda each: len(each[1]))
    for campaign, count in sorted(spoken_for.items()):
        if campaign in shares:
            free = [each for each in left if each[0].state == "ready" and campaign in each[1]][:count]
            shares[campaign] += [agent for agent, _ in free]
            taken = {agent.session_id for agent, _ in free}
            left = [each for each in left if each[0].session_id not in taken]
    for agent, able in left:
        first = min(able, key=lambda c: (-priorities[c], len(shares[c]), dialled.get(c, 0.0), c))
        shares[first].append(agent)
    return shares


def fair_shares(pools: Mapping[int, Collection[UUID]]) -> dict[int, float]:
    """How many agents would be each campaign's if those whom several may use were divided evenly, and who has
    agents of its own got the fewer of the others. `pools`: campaign id -> whom it may use."""
    able: dict[UUID, list[int]] = {}
    for campaign, pool in sorted(pools.items()):
        for agent in pool:
            able.setdefault(agent, []).append(campaign)
    shares = dict.fromkeys(pools, 0.0)
    for campaigns, count in sorted(
        Counter(map(tuple, able.values())).items(), key=lambda each: (len(each[0]), each[0])
    ):
        _pour(shares, campaigns, count)
    return shares


def _pour(shares: dict[int, float], campaigns: Sequence[int], count: float) -> None:
    """Divide so many among these: the lowest are raised together until they are level with the next."""
    rising = sorted(campaigns, key=lambda campaign: shares[campaign])
    for many in range(1, len(rising) + 1):
        until = shares[rising[many]] if many < len(rising) else math.inf
        by = min(until - shares[rising[0]], count / many)
        for campaign in rising[:many]:
            shares[campaign] += by
        count -= many * by


def takes(of: Collection[UUID], other: Collection[UUID]) -> float:
    """That a call of a campaign that may use the agents `other` takes one of the agents `of`, 0 to 1."""
    both = sum(agent in of for agent in other)
    return both / len(other) if other else 0.0


def together(
    agents: Sequence[Usable], shares: Mapping[int, Sequence[AgentInPool]], campaigns: Collection[int]
) -> dict[int, list[AgentInPool]]:
    """Whom each of these campaigns may use of the agents that they were given all together."""
    given = {agent.session_id for campaign in campaigns for agent in shares[campaign]}
    ours = [each for each in agents if each[0].session_id in given]
    return {campaign: [agent for agent, able in ours if campaign in able] for campaign in campaigns}


@dataclass(frozen=True, slots=True)
class Has:
    """What a campaign has of the agents."""

    #: agents who work for its calls
    works: float = 0.0
    #: as many more as its calls in the air will need on average
    coming: float = 0.0


class Turns:
    """One look of predictive campaigns that put their agents together: who dials next, and how much.

    Who has least of its fair share comes first and dials up to that share, then the next; what the rules
    still allow after that is dialled in the same order. But a campaign waits for one that may use the same
    agents, is more than an agent behind it, each by its share, and is held back by the price alone: else the
    one to which the risk looks smaller would push it up for the other, for good.
    """

    def __init__(
        self,
        pools: Mapping[int, Collection[UUID]],
        has: Mapping[int, Has],
        dialled: Mapping[int, float] = _NEVER,
    ) -> None:
        """`pools`: campaign id -> whom it may use; `dialled`: when it dialled last (any clock)."""
        self.shares = fair_shares(pools)
        self._pools = {campaign: frozenset(pool) for campaign, pool in pools.items()}
        self._works = {campaign: has.get(campaign, Has()).works for campaign in pools}
        self._coming = {campaign: has.get(campaign, Has()).coming for campaign in pools}
        self._dialled = dialled
        self._left = set(pools)
        self._held: set[int] = set()
        self._cut: set[int] = set()

    def next(self) -> int | None:
        """Whose turn it is; None: all have had theirs."""
        return min(self._left, key=self._order, default=None)

    def _order(self, campaign: int) -> tuple[bool, float, float, int]:
        fair = self.shares[campaign]
        part = (self._works[campaign] + self._coming[campaign]) / fair if fair else math.inf
        return (campaign in self._cut, part, self._dialled.get(campaign, 0.0), campaign)

    def room(self, campaign: int) -> float | None:
        """How many more agents' answers it may dial for in this turn; None: as many as its rule allows."""
        rivals = [one for one in self._pools if one != campaign and self._pools[one] & self._pools[campaign]]
        fair, works = self.shares[campaign], self._works[campaign]
        left = fair - works - self._coming[campaign]
        if rivals and left > _NOTHING and campaign not in self._cut:
            return left
        waits = any(
            one in self._held and (self._works[one] + 1.0) * fair < works * self.shares[one] for one in rivals
        )
        return 0.0 if waits else None

    def had(self, campaign: int, answers: float, *, cut: bool, held: bool) -> None:
        """It has had its turn, and has dialled for so many answers. `cut`: its rule allowed more than its
        room; `held`: it was the price that allowed no more."""
        # Who was cut at the fair share goes on when all others have had their turn.
        again = cut and campaign not in self._cut and self._works[campaign] < self.shares[campaign]
        self._coming[campaign] += answers
        if held:
            self._held.add(campaign)
        if again:
            self._cut.add(campaign)
        else:
            self._left.discard(campaign)


def calls_for(room: float | None, chance: float, most: int) -> int:
    """How many of `most` calls fit into the room (of `Turns.room`), each answered with that chance."""
    if room is None:
        return most
    return min(most, math.ceil(round(room / max(chance, 0.01), 6)))
