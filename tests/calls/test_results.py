"""What each kind of call comes to, on a real Asterisk and a real carrier."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from support.centre import Centre, results

from dialer.agents.model import AgentState
from dialer.calls.terms import AMD_DEFAULTS
from dialer.db.tables import active_number, agent_time, event
from dialer.demo.numbers import Behaviour, encode

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
    later = {
        "results": {"congestion": {"after_s": 3600}}
    }  # what the carrier fails is dialled again in seconds
    await centre.campaign(numbers, mode="power", ratio=10.0 * len(numbers), retries=later)
    ended = await centre.until_attempts(len(numbers), "ended")
    assert {numbers[a.e164]: (a.result, a.cause, a.sip_code) for a in ended} == UNANSWERED
    assert all(a.answered_at is None and a.agent_id is None for a in ended)


async def test_answered_call_reaches_the_agent(centre: Centre) -> None:
    """A person who answers talks with the agent; when the person leaves, the agent owes a disposition."""
    (agent_id,) = await centre.add_agents(1)
    number = encode(Behaviour.LEAVES_TALK, ring_s=1.0, detail=20).e164
    await centre.campaign([number])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id is not None
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


async def test_answered_calls_without_a_talk_are_told_apart(centre: Centre) -> None:
    """A person who leaves before the policy's two seconds is no abandoned call; one who leaves after is."""
    (agent_id,) = await centre.add_agents(1)
    talks = encode(Behaviour.HUMAN, ring_s=0.0).e164
    leaving = {
        encode(Behaviour.HANGS_UP_AT_ONCE, ring_s=1.5).e164: ("caller_hung_up", "customer"),
        encode(Behaviour.LEAVES_EARLY, ring_s=1.5, detail=10).e164: ("caller_hung_up", "customer"),
        encode(Behaviour.LEAVES_EARLY, ring_s=1.5, detail=30).e164: ("abandoned", "customer"),
        # Leaves at the first words that are heard: those of the message.
        encode(Behaviour.LEAVES_TALK, ring_s=1.5, detail=1).e164: ("abandoned", "customer"),
    }
    await centre.campaign([talks, *leaving], mode="power", ratio=5.0)
    await centre.until_agent(agent_id, AgentState.TALKING)
    ended = await centre.until_attempts(len(leaving), "ended")
    assert {a.e164: (a.result, a.hung_up_by) for a in ended} == leaving
    assert all(a.answered_at and a.agent_id is None and a.connected_at is None for a in ended)
    heard = next(a for a in ended if a.e164 == list(leaving)[-1])
    assert 2.1 < (heard.hung_up_at - heard.answered_at).total_seconds() < 4.0


async def test_calls_that_asterisk_cannot_place_fail(centre: Centre) -> None:
    """Nobody at the trunk's address, and an endpoint that Asterisk does not know, are our own failures."""
    nowhere, unknown = await centre.add_trunk("nowhere"), await centre.add_trunk("unknown")
    await centre.add_agents(2)
    one = await centre.campaign(
        [encode(Behaviour.HUMAN).e164], trunk_id=nowhere, mode="power", ring_timeout_s=5
    )
    two = await centre.campaign(
        [encode(Behaviour.HUMAN, detail=1).e164], trunk_id=unknown, mode="power", ring_timeout_s=5
    )
    (silent,) = await centre.until_attempts(1, "ended", campaign_id=one)
    (refused,) = await centre.until_attempts(1, "ended", campaign_id=two)
    assert (silent.result, silent.detail) == ("failed", "no_response")
    assert (refused.result, refused.sip_code) == ("failed", None)
    assert refused.detail.startswith("originate_refused")
    assert await centre.rows(active_number) == []


async def test_late_answers_count_and_the_timeout_is_ours(centre: Centre) -> None:
    """Who answers a second before the ring timeout is connected; at the timeout we hang up."""
    await centre.add_agents(1)
    late = encode(Behaviour.LATE_HUMAN, ring_s=4.0).e164
    never = encode(Behaviour.LATE_HUMAN, ring_s=20.0).e164
    await centre.campaign([late, never], mode="power", ratio=2.0, ring_timeout_s=5)
    (timed_out,) = await centre.until_attempts(1, "ended")
    assert (timed_out.e164, timed_out.result, timed_out.answered_at) == (never, "no_answer", None)
    assert 4.9 < (timed_out.hung_up_at - timed_out.created_at).total_seconds() < 6.5
    assert results(await centre.attempts())[late] == "answered"


async def test_machines_are_told_from_people(centre: Centre) -> None:
    """A machine's call ends with the detector's word and no agent; a person reaches the agent through it."""
    (agent_id,) = await centre.add_agents(1)
    person = encode(Behaviour.HUMAN, ring_s=1.0).e164
    machine = encode(Behaviour.MACHINE, ring_s=0.5).e164
    await centre.campaign([machine, person], mode="power", ratio=2.0, detect_machines=True)
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    (talk,) = [a for a in await centre.attempts() if a.e164 == person]
    assert shift.attempt_id == talk.id
    assert (talk.result, talk.machine_status) == ("answered", "HUMAN")
    assert talk.machine_cause.startswith("HUMAN")
    (left,) = await centre.until_attempts(1, "ended")
    assert (left.e164, left.result, left.machine_status) == (machine, "machine", "MACHINE")
    assert left.machine_cause
    assert left.assigned_at is None and left.agent_id is None and left.hung_up_by == "server"
    assert left.answered_at < left.screened_at
    # Nobody is reserved before the detector has decided.
    reserved = [row for row in await centre.rows(agent_time) if row.state == "reserved"]
    assert [row.attempt_id for row in reserved] == [talk.id]
    assert reserved[0].started_at >= talk.screened_at


async def test_the_clock_of_abandonment(centre: Centre) -> None:
    """Two seconds from the answer without a detector; with it from the end of the greeting, which is its
    after-greeting silence before its decision."""
    await centre.add_agents(phones=["agent-0"], skills=["plain"])
    await centre.add_agents(phones=["agent-1"], skills=["screened"])
    people = [encode(Behaviour.HUMAN, ring_s=0.5, detail=n).e164 for n in range(4)]
    power: dict[str, Any] = {"mode": "power", "ratio": 2.0}
    plain = await centre.campaign(people[:2], skill="plain", **power)
    screened = await centre.campaign(people[2:], skill="screened", detect_machines=True, **power)
    silence_s = AMD_DEFAULTS["after_greeting_silence"] / 1000
    for campaign_id in (plain, screened):
        (lost,) = await centre.until_attempts(1, "ended", campaign_id=campaign_id)
        assert lost.result == "abandoned"
        counts_from = lost.answered_at
        if campaign_id == screened:
            assert lost.machine_cause.startswith("HUMAN")
            counts_from = max(lost.answered_at, lost.screened_at - timedelta(seconds=silence_s))
        gave_up = min(
            row.at
            for row in await centre.rows(event)
            if row.payload.get("attempt_id") == str(lost.id) and row.payload.get("result") == "abandoned"
        )
        # The event's time is its transaction's: a busy machine writes it later than it gave up.
        assert 2.0 <= (gave_up - counts_from).total_seconds() < 3.0
