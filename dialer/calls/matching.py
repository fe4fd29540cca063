"""What the rule that gives out agents (`queues/choosing.py`) is told of calls and shifts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dialer.agents.model import AgentState, Shift, Takes
from dialer.calls.table import Line
from dialer.queues.model import Free, Queue, Rule, Waiting

#: States of agents who are at work: who talked with a caller last is waited for in one of them.
AT_WORK = (AgentState.READY, AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)


@dataclass(frozen=True, slots=True)
class InTheAir:
    """The skills that calls without an agent may need soon, by tenant and node, each set with its count.

    A campaign of a few universal agents would find them taken by the many calls of a larger one that has
    agents of its own.
    """

    of: Mapping[tuple[int, str], frozenset[str]]

    @classmethod
    def seen(cls, lines: Iterable[Line]) -> InTheAir:
        """Of all calls."""
        found: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        for line in lines:
            in_flow = line.call.automatic and line.wish is None  # asks for nobody yet
            if line.call.agent is None and line.call.result is None and not in_flow:
                found[line.terms.tenant_id, line.node] |= {need.skill for need in line.needs}
        return cls({key: frozenset(skills) for key, skills in found.items()})

    def needed_by_others(self, line: Line) -> frozenset[str]:
        """The skills that the call does not ask for and others may."""
        others = self.of.get((line.terms.tenant_id, line.node), frozenset())
        return others - {need.skill for need in line.needs}


def waits_for_agent(line: Line) -> bool:
    """Whether an agent may still have to be chosen for the call, which we have made."""
    return line.call.agent is None and line.call.result is None and not line.call.led


def waiting(line: Line, since: datetime, air: InTheAir, *, resumes: bool) -> Waiting:
    """A call that waits. `resumes`: it was in a talk, and the agent's phone was lost."""
    wish = line.wish
    return Waiting(
        call_id=line.call.attempt_id,
        queue_id=wish.rules.id if wish and wish.rules else None,
        since=since,
        priority=wish.priority if wish else 0,
        needs=line.needs,
        last_agent_id=wish.last_agent_id if wish else None,
        inbound=line.call.led,
        node=line.node,
        spare=air.needed_by_others(line),
        resumes=resumes,
    )


def free(shift: Shift, talks_today: int = 0) -> Free:
    """An agent who waits for a call."""
    return Free(
        agent_id=shift.agent_id,
        session_id=shift.id,
        idle_since=shift.idle_since,
        levels=shift.levels,
        rank=shift.rank,
        talks_today=talks_today,
        inbound=shift.takes is not Takes.OUTBOUND,
        outbound=shift.takes is not Takes.INBOUND,
        node=shift.node,
    )


def rules(lines: Iterable[Line]) -> dict[int, Queue]:
    """The queues that these wait in, by id."""
    return {line.wish.rules.id: line.wish.rules for line in lines if line.wish and line.wish.rules}


def counts_talks(queues: Mapping[int, Queue]) -> bool:
    """Whether one of them goes by how many talks an agent had today."""
    return any(queue.rule is Rule.LEAST_BUSY for queue in queues.values())
