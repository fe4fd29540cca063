"""How many calls to place now: the question, its answer, and the rules that answer it.

Every dial mode asks the same question, `plan(snapshot, now) -> Plan`, on each change and at least every
250 ms. A rule is a pure function of the snapshot; it never waits, reads a clock or remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias
from uuid import UUID

from dialer.pacing.budget import BudgetState
from dialer.pacing.laws import Knowledge


class DialMode(StrEnum):
    """Who decides that a number is dialled, and how many at a time."""

    MANUAL = "manual"  # an agent types the number
    PREVIEW = "preview"  # an agent sees the lead and starts the call
    PROGRESSIVE = "progressive"  # one call for each free agent
    POWER = "power"  # a fixed number of calls for each free agent
    PREDICTIVE = "predictive"  # as many as the expected answers and free agents allow
    FLOW = "flow"  # as many as there are lines: a flow speaks with who answers

    @property
    def by_hand(self) -> bool:
        """Whether a person starts each call."""
        return self in (DialMode.MANUAL, DialMode.PREVIEW)


@dataclass(frozen=True, slots=True)
class AgentInPool:
    """An agent that this campaign may use."""

    session_id: UUID
    #: `ready`, `reserved`, `talking` or `wrap_up`
    state: str
    since: datetime
    #: whose shift it is, by whom pacing knows how long talks last; None: nobody in particular
    agent_id: int | None = None


@dataclass(frozen=True, slots=True)
class CallInAir:
    """A call of this campaign that no agent has been chosen for yet."""

    attempt_id: UUID
    #: `dialling`, `ringing`, `answered`, `screening` or `waiting`
    state: str
    created_at: datetime
    #: that a person answers, as known before it was dialled, 0 to 1; None: the campaign's mean
    answer_probability: float | None = None
    #: when the far network gave its first sign of life
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    #: another campaign's: that it takes one of this one's agents when it is answered, 0 to 1
    takes: float = 1.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a rule may look at, at one moment."""

    mode: DialMode
    #: power: calls for each ready agent
    ratio: float
    agents: Sequence[AgentInPool]
    calls: Sequence[CallInAir]
    #: calls that the campaign's trunks can still carry
    lines_left: int
    #: leads that may be dialled now, as far as known; None: not known
    leads_left: int | None = None
    #: answer probabilities of the leads that would be dialled next, in their order, as far as known
    next_leads: Sequence[float] = ()
    #: predictive: calls of other campaigns that may take these agents, and no agent has been chosen for yet
    others: Sequence[CallInAir] = ()
    #: predictive: what was learned; None: nothing, one call for each ready agent
    knowledge: Knowledge | None = None
    #: predictive: what may still be abandoned; None: one call for each ready agent
    budget: BudgetState | None = None
    #: predictive: an agent is in time if so long after the answer, seconds
    slack_s: float = 2.0
    #: predictive: a call that has rung so long may be taken back, seconds; None: none ever
    drop_after_s: float | None = None
    #: predictive: whether it counts how long each agent has been talking
    talk_age: bool = True
    #: flow: calls that may be on the lines at once, those that are, and those that may begin now
    lines: int = 0
    lines_in_use: int = 0
    may_begin: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and why."""

    #: calls to place, 0 or more
    dial: int
    #: unanswered calls to take back, youngest first
    cancel: tuple[UUID, ...] = ()
    #: the reason, one clause: the name of a sentence of the interface
    why: str = ""
    #: the numbers behind it
    inputs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


#: What decisions of pacing are named for which the price was the reason; any other was held by something
#: else (lines, leads, agents), and then a served answer is no reason to raise the price.
BY_PRICE: Final = frozenset({"within_budget", "free_agents", "price_over", "taken_back", "budget_spent"})
Rule: TypeAlias = Callable[[Snapshot, datetime], Plan]


def _by_hand(snapshot: Snapshot, now: datetime) -> Plan:
    return Plan(0, why="by_hand")


def _per_ready_agent(ratio: float, snapshot: Snapshot) -> Plan:
    ready = sum(agent.state == "ready" for agent in snapshot.agents)
    in_air = len(snapshot.calls)
    wanted = int(ratio * ready)
    dial = max(0, min(wanted - in_air, snapshot.lines_left))
    inputs = {"ready": ready, "in_air": in_air, "ratio": ratio, "lines_left": snapshot.lines_left}
    if not snapshot.agents:
        why = "no_agents"
    elif not ready:
        why = "no_ready_agents"
    elif wanted <= in_air:
        why = "enough_in_air"
    elif snapshot.lines_left <= 0:
        why = "no_lines"
    elif snapshot.leads_left == 0:
        why, dial = "no_leads", 0
    else:
        why = "agents_free"
    return Plan(dial, why=why, inputs=inputs)


def _progressive(snapshot: Snapshot, now: datetime) -> Plan:
    return _per_ready_agent(1.0, snapshot)


def _power(snapshot: Snapshot, now: datetime) -> Plan:
    return _per_ready_agent(snapshot.ratio, snapshot)


def _by_lines(snapshot: Snapshot, now: datetime) -> Plan:
    free = snapshot.lines - snapshot.lines_in_use
    dial = max(0, min(free, snapshot.may_begin, snapshot.lines_left))
    inputs = {
        "lines": snapshot.lines,
        "lines_in_use": snapshot.lines_in_use,
        "may_begin": snapshot.may_begin,
        "lines_left": snapshot.lines_left,
        "in_air": snapshot.lines_in_use,
    }
    if free <= 0:
        why = "lines_in_use"
    elif snapshot.lines_left <= 0:
        why = "no_lines"
    else:
        why = "lines_free"
    return Plan(dial, why=why, inputs=inputs)


def _predictive(snapshot: Snapshot, now: datetime) -> Plan:
    # Not at the top: the rule needs numpy, which a start of the server does not wait for.
    from dialer.pacing.lookahead import lookahead

    return lookahead(snapshot, now)


#: The rule of each mode that can be started.
RULES: Final[Mapping[DialMode, Rule]] = MappingProxyType(
    {
        DialMode.MANUAL: _by_hand,
        DialMode.PREVIEW: _by_hand,
        DialMode.PROGRESSIVE: _progressive,
        DialMode.POWER: _power,
        DialMode.PREDICTIVE: _predictive,
        DialMode.FLOW: _by_lines,
    }
)


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """How many calls to place now, and why."""
    return RULES[snapshot.mode](snapshot, now)
