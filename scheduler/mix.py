"""How a campaign's calls are shared out among its lists. Pure.

Each next lead comes from the list that is furthest behind its share of what was dialled today. A list that
had none for a while is made up for, as long as the day lasts.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """A list of a campaign."""

    list_id: int
    #: of the sum of all shares; above 0
    share: int
    #: leads of it dialled today
    dialled: int = 0


def deal(wanted: int, shares: Sequence[Share]) -> dict[int, int]:
    """How many of the next `wanted` leads come from which list; lists that get none are left out.

    The rule of Sainte-Laguë: with it no size of list is at an advantage, and after every single lead what was
    dialled is as near to the shares as whole leads can be.
    """
    queue = [(_behind(one, 0), one.list_id, one) for one in shares]
    heapq.heapify(queue)
    dealt: dict[int, int] = {}
    for _ in range(wanted if queue else 0):
        _, list_id, one = queue[0]
        dealt[list_id] = dealt.get(list_id, 0) + 1
        heapq.heapreplace(queue, (_behind(one, dealt[list_id]), list_id, one))
    return dealt


def _behind(one: Share, dealt: int) -> float:
    """Lower: further behind."""
    return (one.dialled + dealt + 0.5) / one.share
