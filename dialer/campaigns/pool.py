"""Who may be dialled for: the agents at hand at a node, and the calls in the air that will need some of them.

Pure: everything is told. A call on our books knows its agent before the agent's row does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias
from uuid import UUID

from dialer.agents.model import AgentState, Shift, Takes
from dialer.calls.matching import waits_for_agent
from dialer.calls.model import CallState
from dialer.calls.table import Line
from dialer.calls.terms import CallTerms
from dialer.pacing.model import AgentInPool, CallInAir, DialMode
from dialer.pacing.sharing import Has, Usable
from dialer.queues.model import could_take
from dialer.queues.places import Kept

#: States of agents that a pacing rule looks at.
IN_POOL: Final = (AgentState.READY, AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)
#: What an agent asks for during a talk who takes no further one.
LEAVES: Final = (AgentState.PAUSED, AgentState.OFFLINE)
#: That a call is answered of which nothing is known.
USUAL_CHANCE: Final = 0.3

AtHand: TypeAlias = tuple[AgentInPool, Shift]


def dialled_for(shifts: Iterable[Shift], node: str) -> list[Shift]:
    """The agents at the node for whom calls are made: not who takes callers alone."""
    return [shift for shift in shifts if shift.node == node and shift.takes is not Takes.INBOUND]


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
    found: list[AtHand],
    lines: Iterable[Line],
    tenant_id: int,
    wanting: Mapping[int, int],
    node: str,
    kept: Iterable[Kept] = (),
) -> list[AtHand]:
    """Without the free agents whom callers wait for, those for whom a place is `kept`, and those whom calls
    in the air will need whose campaign asks for no more of them: its list is empty, or it was paused."""
    left, lines = list(found), list(lines)
    for one in kept:
        could = (each for each in left if each[0].state == AgentState.READY and _could_call(each[1], one))
        if (spared := next(could, None)) is not None:
            left.remove(spared)
    needed = [
        (line, 1)
        for line in lines
        if line.terms.tenant_id == tenant_id and line.node == node and _caller_waits(line)
    ]
    for campaign_id, calls in _in_air_by_campaign(lines, tenant_id, node).items():
        if campaign_id not in wanting:
            needed.append((calls[0], _whole(sum(map(_needs, calls)))))
    for line, many in needed:
        able = [each for each in left if each[0].state == AgentState.READY and _could_take(each[1], line)]
        for each in able[:many]:
            left.remove(each)
    return left


def _could_call(shift: Shift, kept: Kept) -> bool:
    """Whether the agent may be given the place, now or when it has waited for longer."""
    return shift.takes is not Takes.OUTBOUND and could_take(shift.levels, kept.needs, kept.queue)


def _could_take(shift: Shift, line: Line) -> bool:
    """Whether the agent may be given the call, now or when the caller has waited for longer."""
    if line.wish is None:
        return line.terms.skill is None or line.terms.skill in shift.skills
    takes = shift.takes is not Takes.OUTBOUND
    return takes and could_take(shift.levels, line.wish.needs, line.wish.rules)


def _caller_waits(line: Line) -> bool:
    """Whether somebody whom a flow leads waits for an agent: they come before everybody who is dialled."""
    return line.call.led and line.call.state is CallState.WAITING and line.call.agent is None


def spoken_for(lines: Iterable[Line], tenant_id: int, node: str) -> dict[int, int]:
    """By campaign: how many free agents its calls in the air at the node stand for, if it dials for free
    agents alone."""
    return {
        campaign_id: _whole(sum(map(_stands_for, calls)))
        for campaign_id, calls in _in_air_by_campaign(lines, tenant_id, node).items()
    }


def has(lines: Iterable[Line], tenant_id: int, node: str) -> dict[int, Has]:
    """By campaign: how many agents at the node talk with its customers, and how many its calls in the air
    will need on average."""
    works: dict[int, float] = defaultdict(float)
    coming: dict[int, float] = defaultdict(float)
    for line in lines:
        if line.terms.tenant_id == tenant_id and line.node == node and not line.call.inbound:
            if line.call.agent is not None:
                works[line.terms.campaign_id] += 1.0
            elif waits_for_agent(line):
                coming[line.terms.campaign_id] += _needs(line)
    return {one: Has(works[one], coming[one]) for one in {*works, *coming}}


def _in_air_by_campaign(lines: Iterable[Line], tenant_id: int, node: str) -> dict[int, list[Line]]:
    found: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        terms = line.terms
        here = terms.tenant_id == tenant_id and line.node == node
        if here and not terms.mode.by_hand and waits_for_agent(line):
            found[terms.campaign_id].append(line)
    return found


def _whole(agents: float) -> int:
    return math.ceil(round(agents, 6))


def _predictive(line: Line) -> bool:
    return line.terms.mode is DialMode.PREDICTIVE


def _needs(line: Line) -> float:
    """How many agents a call in the air will need, on average."""
    if _predictive(line) and line.call.answered_at is None:
        return USUAL_CHANCE if line.answer_probability is None else line.answer_probability
    return _stands_for(line)


def _stands_for(line: Line) -> float:
    """How many free agents it was dialled for."""
    return 1.0 / line.terms.ratio if line.terms.mode is DialMode.POWER else 1.0


def usable(each: AtHand, running: Mapping[int, CallTerms]) -> Usable:
    """The agent, and the campaigns whose skill the agent has."""
    agent, shift = each
    campaigns = frozenset(
        campaign_id
        for campaign_id, terms in running.items()
        if terms.skill is None or terms.skill in shift.skills
    )
    return agent, campaigns


def able(agents: Iterable[Usable], campaign_id: int) -> frozenset[UUID]:
    """The agents who have the campaign's skill."""
    return frozenset(agent.session_id for agent, campaigns in agents if campaign_id in campaigns)


def in_air(
    lines: Iterable[Line],
    campaign_id: int,
    node: str,
    *,
    chance: float | None = None,
    takes: float = 1.0,
) -> list[CallInAir]:
    """The campaign's calls at the node that no agent has been chosen for.

    `chance`: that one is answered of which nothing is known; `takes`: that one takes an agent of those that
    are looked at.
    """
    return [
        CallInAir(
            line.call.attempt_id,
            line.call.state,
            line.call.created_at,
            chance if line.answer_probability is None else line.answer_probability,
            line.call.ringing_at,
            line.call.answered_at,
            takes,
        )
        for line in lines
        if line.terms.campaign_id == campaign_id
        and line.node == node
        and waits_for_agent(line)
        # One that is being taken back will not be answered, unless it is all the same.
        and not (line.call.canceled and line.call.answered_at is None and _predictive(line))
    ]
