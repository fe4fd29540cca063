"""Kept places among callers: who gets an agent for whom a call is in the air."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from dialer.calls.kept import choose
from dialer.queues.model import Free, Queue, Waiting
from dialer.queues.places import Kept, Owed
from dialer.queues.turns import Place

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SALES = Queue(1, "sales")


def place(n: int, waited_s: float) -> Kept:
    """A place of this number."""
    call_id, since = UUID(int=n), NOW - timedelta(seconds=waited_s)
    owed = Owed(call_id, "sales", since, "")
    return Kept(Place(call_id, 1, since), owed, SALES, 1, None, f"+7916000000{n}", (), (), served=False)


class Air:
    """Calls are in the air for these agents."""

    tenants = (1,)
    looks_s = None

    def __init__(self, agents: Collection[int]) -> None:
        self._agents = agents

    async def read(self, tenant_id: int, shifts: Any) -> None:
        """Nothing to read."""

    def standing(self, tenant_id: int, now: datetime) -> tuple[Kept, ...]:
        """The test says."""
        return ()

    def counted_on(self, kept: Kept, shift: Any) -> bool:
        """As the test says; a shift is its agent here."""
        return shift in self._agents

    async def call(self, kept: Kept, shift: Any) -> bool:
        """Nobody calls."""
        return False


def given(kept: Kept, on_line: Waiting | None, counted_on: Collection[int]) -> dict[int, int]:
    """Caller or place -> agent, of whom there is one."""
    free = [Free(1, UUID(int=1), NOW)]
    asked = {kept.place.call_id: kept.waiting} | ({on_line.call_id: on_line} if on_line else {})
    shifts: Any = {UUID(int=1): 1}
    standing = {kept.place.call_id: kept}
    pairs = choose(asked, free, {1: SALES}, NOW, {1}, standing, shifts, Air(counted_on))
    return {pair.call_id.int: pair.agent_id for pair in pairs}


def test_an_agent_is_left_to_the_call_that_was_dialled_before() -> None:
    """Without such a call the place gets the agent; with it nobody calls, and the person of that call, who
    has answered, gets the agent though they come after all callers."""
    kept = place(8, 60)
    assert given(kept, None, ()) == {8: 1}
    assert given(kept, None, (1,)) == {}
    answered = Waiting(UUID(int=9), None, NOW, inbound=False)
    assert given(kept, answered, ()) == {8: 1}
    assert given(kept, answered, (1,)) == {9: 1}


def test_a_caller_on_the_line_gets_the_agent_whom_the_place_may_not_have() -> None:
    """Though they came later."""
    later = Waiting(UUID(int=9), 1, NOW)
    assert given(place(8, 60), later, (1,)) == {9: 1}
    assert given(place(8, 60), later, ()) == {8: 1}
