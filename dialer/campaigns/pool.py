"""Who may be dialled for: the agents at hand at a node, and the calls in the air that will need some of them.

Pure: everything is told. A call on our books knows its agent before the agent's row does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias
from uuid import UUID

from dialer.agents.model import AgentState, Shift
from dialer.calls.model import CallState
from dialer.calls.table import Line
from dialer.calls.terms import CallTerms
from dialer.pacing.model import AgentInPool, CallInAir, DialMode

#: States of agents that a pacing rule looks at.
IN_POOL: Final = (AgentState.READY, AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)
#: What an agent asks for during a talk who takes no further one.
LEAVES: Final = (AgentState.PAUSED, AgentState.OFFLINE)
#: That a call is answered of which nothing is known.
USUAL_CHANCE: Final = 0.3

AtHand: TypeAlias = tuple[AgentInPool, Shift]


def at_hand(
    shifts: Iterable[Shift], lines: Iterable[Line], hears: Callable[[UUID | None], bool]
) -> list[AtHand]:
    """The agents whose phones are heard, free ones first, each group in the order of `shifts`.

    The rows may be behind the agents that calls (`lines`) have: those talk, or are about to. Who has asked
    to leave after this call is left out.
    """
    having = {line.call.agent.session_id: line for line in lines if line.call.agent is not None}
    found = []
    for shift in shifts:
        line = having.get(shift.id)
        state, since = shift.state, shift.state_since
        if line is not None:
            talks = line.call.state is CallState.CONNECTED
            state = AgentState.TALKING if talks else AgentState.RESERVED
            since = line.call.connected_at or line.call.assigned_at or line.call.created_at
        leaves = state is not AgentState.READY and shift.next_state in LEAVES
        if state in IN_POOL and not leaves and hears(shift.leg):
            found.append((AgentInPool(shift.id, state, since, shift.agent_id), shift))
    return sorted(found, key=lambda each: each[0].state != AgentState.READY)


def spare_for_calls(
    found: list[AtHand], lines: Iterable[Line], tenant_id: int, wanting: Mapping[int, int], node: str
) -> list[AtHand]:
    """Without the free agents that calls in the air will need whose campaign asks for no more of them: its
    list is empty, or it was paused."""
    in_air: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        terms = line.terms
        wants_none = terms.tenant_id == tenant_id and terms.campaign_id not in wanting
        if wants_none and waits_for_agent(line) and line.node == node and not terms.mode.by_hand:
            in_air[terms.campaign_id].append(line)
    left = list(found)
    for calls in in_air.values():
        skill = calls[0].terms.skill
        able = [
            each
            for each in left
            if each[0].state == AgentState.READY and (skill is None or skill in each[1].skills)
        ]
        for each in able[: math.ceil(round(sum(map(_needs, calls)), 6))]:
            left.remove(each)
    return left


def waits_for_agent(line: Line) -> bool:
    """Whether an agent may still have to be chosen for the call."""
    return line.call.agent is None and line.call.result is None


def _predictive(line: Line) -> bool:
    return line.terms.mode is DialMode.PREDICTIVE


def _needs(line: Line) -> float:
    """How many agents a call in the air will need, on average."""
    if _predictive(line) and line.call.answered_at is None:
        return USUAL_CHANCE if line.answer_probability is None else line.answer_probability
    return 1.0 / line.terms.ratio if line.terms.mode is DialMode.POWER else 1.0


def usable(each: AtHand, running: Mapping[int, CallTerms]) -> tuple[AgentInPool, frozenset[int]]:
    """The agent, and the campaigns whose skill the agent has."""
    agent, shift = each
    able = frozenset(
        campaign_id
        for campaign_id, terms in running.items()
        if terms.skill is None or terms.skill in shift.skills
    )
    return agent, able


def in_air(lines: Iterable[Line], campaign_id: int, node: str) -> list[CallInAir]:
    """The campaign's calls at the node that no agent has been chosen for."""
    return [
        CallInAir(
            line.call.attempt_id,
            line.call.state,
            line.call.created_at,
            line.answer_probability,
            line.call.ringing_at,
            line.call.answered_at,
        )
        for line in lines
        if line.terms.campaign_id == campaign_id
        and line.node == node
        and waits_for_agent(line)
        # One that is being taken back will not be answered, unless it is all the same.
        and not (line.call.canceled and line.call.answered_at is None and _predictive(line))
    ]
