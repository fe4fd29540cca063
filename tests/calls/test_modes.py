"""Each dial mode on a real Asterisk: how many calls, for whom, started by whom."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from support.centre import TENANT, Centre

from dialer.agents.model import AgentState
from dialer.db.tables import agent_time
from dialer.demo.numbers import Behaviour, encode
from dialer.errors import NotAllowed, NumberBusy, WrongState


async def test_progressive_never_has_more_calls_than_agents_for_them(centre: Centre) -> None:
    """At each new call the calls without a talk are no more than the agents who are free for one."""
    await centre.add_agents(3)
    numbers = [
        encode(behaviour, ring_s=0.5 * (n % 3), detail=detail + n).e164
        for n in range(5)
        for behaviour, detail in ((Behaviour.LEAVES_EARLY, 10), (Behaviour.BUSY, 0), (Behaviour.DECLINED, 0))
    ]
    async with centre.disposing():
        campaign_id = await centre.campaign(numbers)
        attempts = await centre.until_attempts(len(numbers), "ended")
    free = [row for row in await centre.rows(agent_time) if row.state in ("ready", "reserved")]
    for attempt in attempts:
        at = attempt.created_at
        in_air = [a for a in attempts if a.created_at <= at < (a.connected_at or a.hung_up_at)]
        able = [row for row in free if row.started_at <= at and (row.ended_at is None or row.ended_at > at)]
        assert len(in_air) <= len(able)
    assert {a.result for a in attempts} == {"answered", "busy", "declined"}
    assert {lead.status for lead in await centre.leads(campaign_id)} == {"closed", "waiting"}


async def test_power_has_its_ratio_in_the_air(centre: Centre) -> None:
    """Two agents at 2.0 have four calls in the air, never five, and each that ends makes room for one."""
    await centre.add_agents(2)
    numbers = [encode(Behaviour.DECLINED, ring_s=1.0, detail=n).e164 for n in range(8)]
    await centre.campaign(numbers, mode="power", ratio=2.0)
    attempts = await centre.until_attempts(8, "ended")
    most = max(sum(a.created_at <= b.created_at < a.hung_up_at for a in attempts) for b in attempts)
    assert most == 4


async def test_campaigns_that_share_agents_count_each_once(centre: Centre) -> None:
    """Two progressive campaigns over the same two agents have two calls in the air together, also when one
    of them has come to the end of its list, or is paused, with its last call still ringing."""
    await centre.add_agents(2)
    one = [encode(Behaviour.DECLINED, ring_s=2.0, detail=n).e164 for n in range(1)]
    two = [encode(Behaviour.DECLINED, ring_s=0.5, detail=100 + n).e164 for n in range(6)]
    first = await centre.campaign(one, priority=9)
    await centre.until_attempts(1, "ringing", campaign_id=first)
    second = await centre.campaign(two)
    await centre.until_attempts(2, "ended", campaign_id=second)
    await centre.set_status(first, "paused")
    await centre.until_attempts(6, "ended", campaign_id=second)
    attempts = await centre.until_attempts(7, "ended")
    for new in attempts:
        assert sum(a.created_at <= new.created_at < a.hung_up_at for a in attempts) <= 2


async def test_preview_shows_a_lead_and_its_agent_starts_the_call(centre: Centre) -> None:
    """The lead is shown; passed on, the next one is; dialled, it comes to this agent, with who clicked."""
    first, second = await centre.add_agents(2)
    numbers = [encode(Behaviour.HUMAN, ring_s=0.5, detail=n).e164 for n in range(4)]
    campaign_id = await centre.campaign(numbers, mode="preview")

    async def shown(agent_id: int) -> int | None:
        shift = await centre.shift(agent_id)
        return shift.lead_id if shift is not None and shift.state is AgentState.RESERVED else None

    was = await centre.until("a lead is shown", lambda: shown(first))
    other = await centre.until("another lead is shown to the other", lambda: shown(second))
    assert was != other
    assert await centre.attempts() == []
    person = await centre.person(first)
    await centre.agents.skip_lead(person, first)

    async def next_one() -> int | None:
        lead_id = await shown(first)
        return lead_id if lead_id != was else None

    lead_id = await centre.until("the next lead is shown", next_one)
    assert lead_id not in (was, other)
    attempt_id = await centre.calls.dial_lead(person, lead_id)
    shift = await centre.until_agent(first, AgentState.TALKING)
    assert shift.attempt_id == attempt_id
    (attempt,) = await centre.attempts()
    assert (attempt.lead_id, attempt.mode, attempt.agent_id) == (lead_id, "preview", first)
    assert attempt.clicked_by == person.user_id
    # Passed on, a lead waits behind all others.
    leads = await centre.leads(campaign_id)
    assert (leads[-1].id, leads[-1].status) == (was, "waiting")
    # A pause takes back what is shown; the talk goes on.
    await centre.set_status(campaign_id, "paused")
    await centre.until_agent(second, AgentState.READY, within_s=1.0)
    assert {lead.status for lead in await centre.leads(campaign_id)} == {"waiting", "new", "dialling"}
    assert (await centre.until_agent(first, AgentState.TALKING)).attempt_id == attempt_id


async def test_manual_dials_for_the_agent_who_asks(centre: Centre) -> None:
    """A number typed by hand comes to the agent who typed it, from a pause too, and is one call only."""
    first, second = await centre.add_agents(2)
    campaign_id = await centre.campaign([], mode="manual")
    number = encode(Behaviour.LEAVES_EARLY, ring_s=1.0, detail=20).e164
    one, two = await centre.person(first), await centre.person(second)
    attempt_id = await centre.calls.dial_number(one, campaign_id, number)
    with pytest.raises(NumberBusy):
        await centre.calls.dial_number(two, campaign_id, number)
    assert (await centre.until_agent(second, AgentState.READY)).attempt_id is None
    assert (await centre.until_agent(first, AgentState.TALKING)).attempt_id == attempt_id
    talk = await centre.until_attempt(attempt_id, "wrap_up")
    assert (talk.clicked_by, talk.agent_id, talk.lead_id) == (one.user_id, first, None)
    with pytest.raises(WrongState):
        await centre.calls.dial_number(one, campaign_id, number)
    await centre.until_agent(first, AgentState.WRAP_UP)
    await centre.dispose(attempt_id)
    await centre.until_agent(first, AgentState.READY)
    # From a pause, a number that is busy: back to the pause.
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(text("INSERT INTO pause_code VALUES (1, 'lunch', 'Обед', 'Lunch')"))
    await centre.agents.pause(two, second, "lunch")
    busy = await centre.calls.dial_number(two, campaign_id, encode(Behaviour.BUSY, ring_s=0.5).e164)
    assert (await centre.until_attempt(busy, "ended")).result == "busy"
    assert (await centre.until_agent(second, AgentState.PAUSED)).pause_code == "lunch"


async def test_hours_hold_for_hands_and_lists_alike(centre: Centre) -> None:
    """Outside the campaign's hours a person is refused, and a list waits for its hours."""
    (agent_id,) = await centre.add_agents(1)
    hour = datetime.now(ZoneInfo("Europe/Moscow")) + timedelta(hours=2)
    opens, closes = f"{hour:%H}:00", f"{hour:%H}:30"
    by_hand = await centre.campaign([], mode="manual", call_from=opens, call_until=closes)
    number = encode(Behaviour.HUMAN).e164
    with pytest.raises(NotAllowed, match="hours"):
        await centre.calls.dial_number(await centre.person(agent_id), by_hand, number)
    listed = await centre.campaign([number], call_from=opens, call_until=closes)

    async def waits() -> bool:
        (lead,) = await centre.leads(listed)
        return bool(lead.open_from > lead.created_at)

    await centre.until("the lead is put off", waits)
    assert await centre.attempts() == []
    assert (await centre.until_agent(agent_id, AgentState.READY)).attempt_id is None
