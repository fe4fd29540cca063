"""What each kind of call comes to, on a real Asterisk and a real carrier."""

from __future__ import annotations

from dialer.agents.model import AgentState
from dialer.demo.numbers import Behaviour, encode
from support.centre import Centre, results

#: What the carrier does -> (result, Q.850 cause, SIP code) of the attempt: see docs/architecture.md.
UNANSWERED = {
    Behaviour.BUSY: ("busy", 17, 486),
    Behaviour.NO_ANSWER: ("no_answer", 19, 480),
    Behaviour.INVALID: ("invalid", 1, 404),
    Behaviour.CONGESTION: ("congestion", 34, 503),
    Behaviour.DECLINED: ("declined", 21, 603),
    Behaviour.UNAVAILABLE: ("no_answer", 19, 480),
    Behaviour.TIMED_OUT: ("no_answer", 18, 408),
    Behaviour.INCOMPLETE: ("invalid", 28, 484),
    Behaviour.FORBIDDEN: ("declined", 21, 403),
    Behaviour.OUT_OF_ORDER: ("congestion", 27, 502),
    Behaviour.ANNOUNCED_INVALID: ("invalid", 1, 404),
}


async def test_unanswered_calls_are_told_apart(centre: Centre) -> None:
    """Each refusal ends its attempt with the result, the cause and the code of the far end."""
    numbers = {encode(behaviour, ring_s=1.0).e164: behaviour for behaviour in UNANSWERED}
    await centre.add_agents(1)
    await centre.campaign(numbers, mode="power", ratio=10.0 * len(numbers))
    ended = await centre.until_attempts(len(numbers), "ended")
    assert {numbers[a.e164]: (a.result, a.cause, a.sip_code) for a in ended} == UNANSWERED
    assert all(a.answered_at is None and a.agent_id is None for a in ended)


async def test_answered_call_reaches_the_agent(centre: Centre) -> None:
    """A person who answers talks with the agent; when the person leaves, the agent owes a disposition."""
    (agent_id,) = await centre.add_agents(1)
    number = encode(Behaviour.LEAVES_TALK, ring_s=1.0, detail=20).e164
    await centre.campaign([number])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    attempt = await centre.until_attempt(shift.attempt_id, "wrap_up")
    assert (attempt.result, attempt.agent_id, attempt.hung_up_by) == ("answered", agent_id, "customer")
    assert 0 < attempt.join_ms < 100
    assert attempt.created_at <= attempt.ringing_at <= attempt.answered_at <= attempt.connected_at
    await centre.until_agent(agent_id, AgentState.WRAP_UP)


async def test_person_without_an_agent_is_abandoned(centre: Centre) -> None:
    """Two people answer and one agent is free: the other hears the message after the policy's two seconds."""
    (agent_id,) = await centre.add_agents(1)
    numbers = [encode(Behaviour.HUMAN, ring_s=0.5, detail=n).e164 for n in range(2)]
    await centre.campaign(numbers, mode="power", ratio=2.0)
    await centre.until_agent(agent_id, AgentState.TALKING)
    (lost,) = await centre.until_attempts(1, "ended")
    assert lost.result == "abandoned"
    assert lost.agent_id is None and lost.connected_at is None
    assert (lost.hung_up_at - lost.answered_at).total_seconds() > 2.0
    assert sorted(results(await centre.attempts()).values(), key=str) == ["abandoned", "answered"]
