"""Agents at their phones: phones that drop, talks that are saved, who is next, what is owed after a talk."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
from support.centre import Centre
from support.line import MORTALS, said

from dialer.agents.model import AgentState, Shift
from dialer.asterisk.ami import AmiEvent, AmiLink
from dialer.calls import switchboard
from dialer.clock import utc_now
from dialer.demo.numbers import PREFIXES, Behaviour, encode
from dialer.errors import WrongState


def human(detail: int = 0, ring_s: float = 0.5) -> str:
    return encode(Behaviour.HUMAN, ring_s=ring_s, detail=detail).e164


async def talking(centre: Centre, agent_id: int) -> Shift:
    """A campaign's only person talks with the agent."""
    await centre.campaign([human()])
    return await centre.until_agent(agent_id, AgentState.TALKING)


@contextlib.asynccontextmanager
async def unreachable(centre: Centre, user: str) -> AsyncIterator[None]:
    """The phone has taken its registration back; at the end it registers again."""
    await centre.floor.phones.unregister(user)
    try:
        yield
    finally:
        await centre.floor.phones.register(user)


async def lost_within_a_second(centre: Centre, agent_id: int) -> None:
    before = utc_now()
    shift = await centre.until_agent(agent_id, AgentState.LOST, within_s=1.0)
    assert (shift.state_since - before).total_seconds() < 1.0


async def test_phones_that_drop_leave_the_pool_at_once_and_come_back(centre: Centre) -> None:
    """A BYE and a lost registration are known in less than a second; the phone is called again when it can
    be, and its agent is what the agent was."""
    ready, paused = await centre.add_agents(2)
    await centre.agents.log_out(centre.actor, paused)
    await centre.agents.log_in(centre.actor, paused)
    await centre.until_agent(paused, AgentState.PAUSED)
    phones = centre.floor.phones
    await phones.hangup("agent-0")
    await lost_within_a_second(centre, ready)
    await centre.until_agent(ready, AgentState.READY, within_s=5)
    await phones.hangup("agent-1")
    await lost_within_a_second(centre, paused)
    await centre.until_agent(paused, AgentState.PAUSED, within_s=5)
    async with unreachable(centre, "agent-0"):
        await lost_within_a_second(centre, ready)
    await centre.until_agent(ready, AgentState.READY, within_s=5)


async def test_a_phone_that_dies_without_a_word(centre: Centre) -> None:
    """Nothing is heard of a dead phone but its silence: five seconds of it end the leg. A customer in a talk
    with it is left alone no longer than that, and goes to another agent."""
    phones = centre.floor.more_phones(MORTALS[0])
    await phones.start()
    try:
        await phones.wait_registered()
        (dying,) = await centre.add_agents(phones=MORTALS[:1])
        await centre.campaign([human()])
        await centre.until_agent(dying, AgentState.TALKING)
        await phones.die(MORTALS[0])
        (other,) = await centre.add_agents(1)
        await centre.until_agent(dying, AgentState.LOST, within_s=8.0)
        shift = await centre.until_agent(other, AgentState.TALKING, within_s=8.0)
        (attempt,) = await centre.attempts()
        assert shift.attempt_id == attempt.id
        assert (attempt.result, attempt.agent_id) == ("answered", other)
    finally:
        await phones.stop()


async def test_a_talking_customer_is_kept_for_the_same_agent(centre: Centre) -> None:
    """The phone drops in a talk: the customer hears music, and is with the same agent when it is back."""
    first, second = await centre.add_agents(2)
    shift = await talking(centre, first)
    heard = await sent_to_customer(centre)
    await centre.floor.phones.hangup("agent-0")
    await lost_within_a_second(centre, first)
    (attempt,) = await centre.attempts()
    assert (attempt.state, attempt.hung_up_at) in (("waiting", None), ("connected", None))
    back = await centre.until_agent(first, AgentState.TALKING, within_s=5)
    assert back.attempt_id == shift.attempt_id
    # Music or voice: packets went on at 50 a second, all the time that the agent was away.
    away_s = (back.state_since - attempt.connected_at).total_seconds()
    assert await sent_to_customer(centre) - heard > 25 * (away_s - 1)
    (attempt,) = await centre.attempts()
    assert (attempt.state, attempt.agent_id, attempt.result) == ("connected", first, "answered")
    assert (await centre.until_agent(second, AgentState.READY)).attempt_id is None


async def sent_to_customer(centre: Centre) -> int:
    """Voice packets that Asterisk has sent over its call on the carrier's line."""
    said = await centre.floor.asterisk.cli("pjsip show channelstats")
    (line,) = [line for line in said.splitlines() if "carrier-" in line]
    counts = [int(word) for word in line.split() if word.isdecimal()]
    return counts[-3] if len(counts) > 3 else counts[-1]


async def test_a_talking_customer_is_offered_to_others_in_the_end(centre: Centre) -> None:
    """The phone does not come back in time: another agent has the customer, and owes the disposition; the
    first agent comes back to the pool."""
    first, second = await centre.add_agents(2)
    shift = await talking(centre, first)
    keep_s = centre.settings.keep_customer_s
    async with unreachable(centre, "agent-0"):
        await lost_within_a_second(centre, first)
        lost_at = utc_now()
        other = await centre.until_agent(second, AgentState.TALKING, within_s=keep_s + 2)
        assert other.attempt_id == shift.attempt_id
        assert (other.state_since - lost_at).total_seconds() > keep_s - 0.5
    await centre.until_agent(first, AgentState.READY, within_s=5)
    assert shift.attempt_id is not None
    await centre.calls.hang_up(centre.actor, shift.attempt_id)
    ended = await centre.until_attempt(shift.attempt_id, "wrap_up")
    assert (ended.agent_id, ended.hung_up_by) == (second, "server")
    await centre.until_agent(second, AgentState.WRAP_UP)


async def test_a_kept_customer_hears_the_message_when_nobody_comes(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody comes in time: the message, and the end of a call that was answered. The agent still owes the
    disposition, as any talk does."""
    monkeypatch.setattr(switchboard, "OFFER_S", 0.5)
    (agent_id,) = await centre.add_agents(1)
    shift = await talking(centre, agent_id)
    assert shift.attempt_id is not None
    async with unreachable(centre, "agent-0"):
        await lost_within_a_second(centre, agent_id)
        ended = await centre.until_attempt(shift.attempt_id, "ended", "wrap_up")
        assert (ended.result, ended.agent_id, ended.hung_up_by) == ("answered", agent_id, "server")
    await centre.until_agent(agent_id, AgentState.WRAP_UP, within_s=5)
    await centre.dispose(shift.attempt_id)
    await centre.until_agent(agent_id, AgentState.READY)


async def test_what_is_asked_for_in_a_talk_is_done_after_it(centre: Centre) -> None:
    """A log-out in a talk waits for the disposition; then the phone is hung up too."""
    (agent_id,) = await centre.add_agents(1)
    shift = await talking(centre, agent_id)
    assert shift.attempt_id is not None
    await centre.agents.log_out(centre.actor, agent_id)
    await centre.calls.hang_up(await centre.person(agent_id), shift.attempt_id)
    attempt = await centre.until_attempt(shift.attempt_id, "wrap_up")
    assert attempt.hung_up_by == "agent"
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    async with centre.manager("Hangup") as link:
        await centre.dispose(shift.attempt_id)
        assert await centre.shift(agent_id) is None
        await said(link, "Hangup", Uniqueid=str(shift.leg), within_s=3)


@pytest.mark.parametrize("asked", [AgentState.PAUSED, AgentState.OFFLINE])
async def test_what_is_asked_for_in_a_talk_is_done_after_it_though_the_phone_drops(
    centre: Centre, asked: AgentState
) -> None:
    """The customer is kept for the agent and is with them again; the pause or the log-out comes after it."""
    agent_id, other = await centre.add_agents(2)
    shift = await talking(centre, agent_id)
    assert shift.attempt_id is not None
    if asked is AgentState.PAUSED:
        await centre.agents.pause(centre.actor, agent_id, await centre.a_pause())
    else:
        await centre.agents.log_out(centre.actor, agent_id)
    await centre.floor.phones.hangup("agent-0")
    await lost_within_a_second(centre, agent_id)
    back = await centre.until_agent(agent_id, AgentState.TALKING)
    assert (back.attempt_id, back.next_state) == (shift.attempt_id, asked)
    assert (await centre.until_agent(other, AgentState.READY)).attempt_id is None
    await centre.calls.hang_up(await centre.person(agent_id), shift.attempt_id)
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    await centre.dispose(shift.attempt_id)
    if asked is AgentState.PAUSED:
        assert (await centre.until_agent(agent_id, AgentState.PAUSED)).pause_code == "lunch"
    else:
        assert await centre.shift(agent_id) is None


async def test_a_customer_who_is_gone_is_not_waited_for(centre: Centre) -> None:
    """The phone drops in a talk, and the customer hangs up before it is back: what was asked for is done."""
    (agent_id,) = await centre.add_agents(1)
    shift = await talking(centre, agent_id)
    assert shift.attempt_id is not None
    await centre.agents.pause(centre.actor, agent_id, await centre.a_pause())
    async with unreachable(centre, "agent-0"):
        await lost_within_a_second(centre, agent_id)
        await centre.calls.hang_up(centre.actor, shift.attempt_id)
        await centre.until_attempt(shift.attempt_id, "ended", "wrap_up")
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    await centre.dispose(shift.attempt_id)
    assert (await centre.until_agent(agent_id, AgentState.PAUSED)).pause_code == "lunch"


async def test_the_wrap_up_limit(centre: Centre) -> None:
    """Over the limit the agent is paused, and cannot be ready before the disposition is saved."""
    (agent_id,) = await centre.add_agents(1)
    number = encode(Behaviour.LEAVES_EARLY, ring_s=0.5, detail=25).e164
    await centre.campaign([number, human(1)], wrap_up_limit_s=1)
    wrapping = await centre.until_agent(agent_id, AgentState.WRAP_UP)
    assert wrapping.attempt_id is not None
    paused = await centre.until_agent(agent_id, AgentState.PAUSED, within_s=4)
    assert paused.pause_code == "wrap_up_over"
    assert 1.0 <= (paused.state_since - wrapping.state_since).total_seconds() < 3.0
    with pytest.raises(WrongState):
        await centre.agents.ready(centre.actor, agent_id)
    assert len(await centre.attempts()) == 1
    await centre.dispose(wrapping.attempt_id)
    await centre.agents.ready(centre.actor, agent_id)
    await centre.until_agent(agent_id, AgentState.TALKING)


async def test_the_longest_idle_with_the_skill_is_next(centre: Centre) -> None:
    """Who has been idle longest gets the call, and only who has the campaign's skill."""
    (plain,) = await centre.add_agents(phones=["agent-0"])
    first, second = await centre.add_agents(phones=["agent-1", "agent-2"], skills=["kz"])
    order = []
    for n in range(4):
        number = encode(Behaviour.LEAVES_EARLY, ring_s=0.5, detail=10 + n).e164
        campaign_id = await centre.campaign([number], skill="kz")
        (talk,) = await centre.until_attempts(1, "wrap_up", campaign_id=campaign_id)
        order.append(talk.agent_id)
        await centre.until_agent(talk.agent_id, AgentState.WRAP_UP)
        await centre.dispose(talk.id)
        await centre.until_agent(talk.agent_id, AgentState.READY)
    assert order == [first, second, first, second]
    assert (await centre.until_agent(plain, AgentState.READY)).attempt_id is None


@contextlib.asynccontextmanager
async def bridges(centre: Centre) -> AsyncIterator[dict[str, list[tuple[str, str]]]]:
    """What Asterisk says of each bridge, in its order: (BridgeEnter or BridgeLeave, Uniqueid)."""
    seen: dict[str, list[tuple[str, str]]] = defaultdict(list)

    async def read(link: AmiLink) -> None:
        while True:
            item = await link.inbox.get()
            if isinstance(item, AmiEvent):
                seen[item["BridgeUniqueid"]].append((item.name, item["Uniqueid"]))

    async with centre.manager("BridgeEnter", "BridgeLeave") as link:
        task = asyncio.create_task(read(link))
        try:
            yield seen
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_no_agent_is_ever_given_to_two_customers(centre: Centre) -> None:
    """Thirty people at three calls for each of three agents: no two talks of an agent overlap, by our rows
    and by what Asterisk says of its bridges; everyone is served or counted."""
    await centre.add_agents(3)
    numbers = [
        encode(
            Behaviour.LEAVES_EARLY, ring_s=0.5 * (n % 3), detail=8 + 3 * (n % 8), prefix=PREFIXES[n // 8]
        ).e164
        for n in range(30)
    ]
    async with centre.disposing(), bridges(centre) as seen:
        await centre.campaign(numbers, mode="power", ratio=3.0)
        attempts = await centre.until_attempts(30, "ended", within_s=60)
    assert {a.result for a in attempts} <= {"answered", "abandoned", "caller_hung_up"}
    talks = defaultdict(list)
    for attempt in attempts:
        if attempt.connected_at is not None:
            talks[attempt.agent_id].append((attempt.connected_at, attempt.hung_up_at))
    assert len(talks) == 3 and sum(map(len, talks.values())) >= 10
    for spans in talks.values():
        spans.sort()
        assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(spans))
    customers = {str(a.id) for a in attempts}
    for moves in seen.values():
        inside: set[str] = set()
        for what, channel in moves:
            inside = inside | {channel} if what == "BridgeEnter" else inside - {channel}
            assert len(inside & customers) <= 1 and len(inside) <= 2
