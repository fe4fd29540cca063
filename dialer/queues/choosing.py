"""Who takes whom: the callers who wait and the agents who are free, brought together. Pure.

Callers come in one order: who was talking when the agent's phone was lost, inbound before outbound, the
higher priority first, of equals who waits longest. An agent can take a caller who needs no skill that the
agent lacks, at the level that is asked for by then.

**Nobody gives way to whoever comes later, and nobody waits without need.** Each caller in turn is served if
that is possible together with all who come before, where it helps by giving one of those another agent who
can help them too. That makes the callers served the first ones possible, and as many as possible at once: the
sets that can be served are the independent sets of a transversal matroid, in which going by the order is best
(Edmonds and Fulkerson 1965; Kuhn 1955 for the exchange of agents along a path).

Then, again in their order, each of them gets the agent who suits best among those that leave everybody
served: the one who talked with the caller last, else by the rule of the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dialer.queues.model import Free, Need, Queue, Rule, Waiting, level_at_last


@dataclass(frozen=True, slots=True)
class Pair:
    """An agent for a caller."""

    call_id: UUID
    session_id: UUID
    agent_id: int


def choose(
    waiting: Iterable[Waiting],
    free: Sequence[Free],
    queues: Mapping[int, Queue],
    now: datetime,
    *,
    at_work: Collection[int] = frozenset(),
) -> tuple[Pair, ...]:
    """Agents for callers, in the order of the callers; each agent and each caller once.

    `at_work`: agents who are logged in, busy ones too; a caller is kept only for one of them. The same values
    give the same answer, in whatever order they come.
    """
    callers = sorted(waiting, key=order)
    agents = sorted(free, key=lambda one: one.session_id)
    able: list[list[int]] = []
    seats = _Seats(able)
    can = _Able(agents, queues, now, at_work)
    for caller in callers:
        if len(seats.owner) == len(agents):
            break
        able.append(can.of(caller))
        seats.seat(len(able) - 1)
    seats.settle()
    return tuple(
        Pair(callers[at].call_id, agents[agent].session_id, agents[agent].agent_id)
        for at, agent in sorted(seats.seat_of.items())
    )


def order(caller: Waiting) -> tuple[bool, bool, int, datetime, UUID]:
    """The order of service."""
    return (not caller.resumes, not caller.inbound, -caller.priority, caller.since, caller.call_id)


def _can_take(agent: Free, caller: Waiting, asked: Iterable[tuple[str, int]]) -> bool:
    """Whether the agent takes such calls, and has all skills at these levels."""
    return (
        (caller.anywhere or agent.node == caller.node)
        and (agent.inbound if caller.inbound else agent.outbound)
        and all(agent.levels.get(skill, 0) >= level for skill, level in asked)
    )


def level_asked(need: Need, queue: Queue | None, waited: timedelta) -> int:
    """The level that is asked for after such a wait: never more than at first, never none at all."""
    if queue is None or queue.relax_every_s is None:
        return need.least_level
    steps = max(0, int(waited.total_seconds() // queue.relax_every_s))
    return max(need.least_level - steps, level_at_last(need, queue))


def kept_for(caller: Waiting, queue: Queue | None, now: datetime, at_work: Collection[int]) -> int | None:
    """The only agent who may take the caller yet; None: anybody."""
    if queue is None or caller.last_agent_id not in at_work:
        return None
    over = now - caller.since >= timedelta(seconds=queue.last_agent_s)
    return None if over else caller.last_agent_id


def changes_at(
    waiting: Iterable[Waiting],
    queues: Mapping[int, Queue],
    now: datetime,
    *,
    at_work: Collection[int] = frozenset(),
) -> datetime | None:
    """When somebody will be open to more agents though nothing happens: the time to choose again. None:
    never."""
    moments: list[datetime] = []
    for caller in waiting:
        queue = queues.get(caller.queue_id) if caller.queue_id is not None else None
        if queue is None:
            continue
        if kept_for(caller, queue, now, at_work) is not None:
            moments.append(caller.since + timedelta(seconds=queue.last_agent_s))
        if queue.relax_every_s is None:
            continue
        waited = now - caller.since
        step = max(0, int(waited.total_seconds() // queue.relax_every_s)) + 1
        later = timedelta(seconds=step * queue.relax_every_s)
        if any(level_asked(n, queue, later) < level_asked(n, queue, waited) for n in caller.needs):
            moments.append(caller.since + later)
    return min(moments, default=None)


class _Able:
    """Who can take whom: of each caller the places in `agents`, who suits best first.

    Callers who ask for the same are looked at once: many callers wait in few queues.
    """

    def __init__(
        self,
        agents: Sequence[Free],
        queues: Mapping[int, Queue],
        now: datetime,
        at_work: Collection[int],
    ) -> None:
        self._agents, self._queues, self._now, self._at_work = agents, queues, now, at_work
        self._place = {one.agent_id: place for place, one in enumerate(agents)}
        self._known: dict[tuple[Any, ...], list[int]] = {}

    def of(self, caller: Waiting) -> list[int]:
        """Of one caller."""
        queue = self._queues.get(caller.queue_id) if caller.queue_id is not None else None
        rule = Rule.LONGEST_IDLE if queue is None else queue.rule
        asked = tuple((one.skill, level_asked(one, queue, self._now - caller.since)) for one in caller.needs)
        key = caller.node, caller.anywhere, caller.inbound, asked, rule, caller.spare
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._sorted(caller, asked, _FITS[rule])
        kept = kept_for(caller, queue, self._now, self._at_work)
        last = self._place.get(caller.last_agent_id) if caller.last_agent_id is not None else None
        if kept is not None:
            return [last] if last is not None and last in found else []
        if last is None or last not in found:
            return found
        return [last, *(place for place in found if place != last)]

    def _sorted(
        self,
        caller: Waiting,
        asked: Collection[tuple[str, int]],
        fits: Callable[[Free, Waiting], tuple[Any, ...]],
    ) -> list[int]:
        able = [place for place, one in enumerate(self._agents) if _can_take(one, caller, asked)]
        return sorted(able, key=lambda place: (*fits(self._agents[place], caller), place))


def _spared(agent: Free, caller: Waiting) -> bool:
    return not caller.spare.isdisjoint(agent.levels)


#: Of a rule: what is smaller suits better. Ranks come first, but for levels.
_FITS: Mapping[Rule, Callable[[Free, Waiting], tuple[Any, ...]]] = {
    Rule.LONGEST_IDLE: lambda agent, caller: (-agent.rank, _spared(agent, caller), agent.idle_since),
    Rule.LEAST_BUSY: lambda agent, caller: (-agent.rank, agent.talks_today, agent.idle_since),
    Rule.HIGHEST_LEVEL: lambda agent, caller: (
        -min((agent.levels.get(need.skill, 0) for need in caller.needs), default=0),
        -agent.rank,
        agent.idle_since,
    ),
}


class _Seats:
    """Callers at agents, both by their places in their lists: a matching that grows along paths."""

    def __init__(self, able: Sequence[Sequence[int]]) -> None:
        """`able`: of each caller the agents, best first."""
        self._able = able
        #: agent -> caller, caller -> agent
        self.owner: dict[int, int] = {}
        self.seat_of: dict[int, int] = {}
        #: agents from whom no path leads to a free one, nor ever will
        self._closed: set[int] = set()

    def seat(self, caller: int) -> bool:
        """Serve the caller too, if that is possible; who is served stays served."""
        moves, reached = self._path(caller, self._closed)
        if not moves:
            self._closed |= reached
        self._apply(moves)
        return bool(moves)

    def settle(self) -> None:
        """Give each caller in turn the agent who suits best and with whom all others stay served."""
        settled: set[int] = set()
        for caller in sorted(self.seat_of):
            for agent in self._able[caller]:
                if agent not in settled and self._takes(caller, agent, settled):
                    break
            settled.add(self.seat_of[caller])

    def _takes(self, caller: int, agent: int, settled: set[int]) -> bool:
        """Move the caller to the agent, who gives up whom they have if that one finds another."""
        had, other = self.seat_of[caller], self.owner.get(agent)
        if other == caller:
            return True
        del self.owner[had]
        if other is not None:
            moves, _ = self._path(other, settled | {agent})
            if not moves:
                self.owner[had] = caller
                return False
            self._apply(moves)
        self._apply([(caller, agent)])
        return True

    def _path(self, start: int, without: Collection[int]) -> tuple[list[tuple[int, int]], set[int]]:
        """Who moves where, so that `start` gets an agent; empty: it cannot be. And the agents looked at."""
        came: dict[int, int] = {}
        asked = [start]
        for caller in asked:
            for agent in self._able[caller]:
                if agent in came or agent in without:
                    continue
                came[agent] = caller
                if agent in self.owner:
                    asked.append(self.owner[agent])
                    continue
                moves = [(caller, agent)]
                while moves[-1][0] != start:
                    left = self.seat_of[moves[-1][0]]
                    moves.append((came[left], left))
                return moves, set(came)
        return [], set(came)

    def _apply(self, moves: Iterable[tuple[int, int]]) -> None:
        for caller, agent in moves:
            self.owner[agent], self.seat_of[caller] = caller, agent
