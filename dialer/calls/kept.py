"""Kept places among those who wait on a line: one rule gives agents to both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from dialer.agents.model import Shift
from dialer.queues import choosing
from dialer.queues.choosing import Pair
from dialer.queues.model import Free, Queue, Waiting
from dialer.queues.places import Kept


class KeptPlaces(Protocol):
    """Those who have hung up and are to be called in turn; `in_turn`."""

    @property
    def tenants(self) -> Collection[int]:
        """Those who may have some."""

    @property
    def looks_s(self) -> float | None:
        """Seconds until a look is worth it though nothing happens; None: never."""

    async def read(self, tenant_id: int, shifts: Sequence[Shift]) -> None:
        """Look at what there is; `shifts`: who is logged in."""

    def standing(self, tenant_id: int, now: datetime) -> Sequence[Kept]:
        """The places that are to be called when an agent is free for them."""

    def counted_on(self, kept: Kept, shift: Shift) -> bool:
        """Whether the agent is to be left to a call that was dialled before."""

    async def call(self, kept: Kept, shift: Shift) -> bool:
        """Have the agent call; False: it was not to be."""


def choose(
    asked: Mapping[UUID, Waiting],
    free: Sequence[Free],
    queues: Mapping[int, Queue],
    now: datetime,
    at_work: Collection[int],
    standing: Mapping[UUID, Kept],
    shifts: Mapping[UUID, Shift],
    places: KeptPlaces | None,
) -> Sequence[Pair]:
    """Agents for all who wait, kept places (`standing`) among them; `shifts`: of those who are free, by id.

    A call that was dialled before comes first: else its person would find nobody.
    """
    left = dict(asked)
    while True:
        pairs = choosing.choose(left.values(), free, queues, now, at_work=at_work)
        later = [
            pair.call_id
            for pair in pairs
            if places is not None
            and (kept := standing.get(pair.call_id)) is not None
            and places.counted_on(kept, shifts[pair.session_id])
        ]
        if not later:
            return pairs
        for call_id in later:
            del left[call_id]
