"""Why a lead is not dialled: each step over real rows, and the placer agrees with every answer."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from support.floor import NODE, TENANT, Floor
from support.placer import Line, placer_of
from support.whynot import *  # noqa: F403
from support.whynot import (
    BOSS,
    DAY,
    HOUR,
    OWN,
    STOPS,
    add,
    change,
    engine,
    of_lead_and_lines,
    open_floor,
    tried_twice,
    unwanted,
)

from dialer.agents.model import AgentState
from dialer.calls import admission
from dialer.calls.model import Answered, GaveUp, HungUp, Result
from dialer.calls.targets import Target
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.whynot import model as m
from dialer.whynot.model import Funnel
from dialer.whynot.service import WhyNotService
from scheduler.calendar_writer import CalendarWriter
from scheduler.hopper import ClaimedLead


async def dialled_by_placer(floor: Floor) -> set[int]:
    """The leads that a placer dials when it may dial all."""
    async with floor.database.tenant(TENANT) as conn:
        before = set(await conn.scalars(select(t.attempt.c.id)))
    terms = await DatabaseTermsBook(floor.database, Path()).terms(TENANT, floor.campaign_id)
    placer = placer_of(floor, Line(floor.database))
    for _ in range(3):
        await placer.next_leads(terms, 25, NODE, callbacks=True)
    await placer.settled(NODE)
    async with floor.database.tenant(TENANT) as conn:
        made = await conn.execute(select(t.attempt.c.id, t.attempt.c.lead_id))
        return {row.lead_id for row in made if row.id not in before and row.lead_id is not None}


async def test_one_lead_for_each_reason(floor: Floor, why: WhyNotService) -> None:
    """The first that stops it is what was done to it; and the placer dials those that nothing stops."""
    leads, now = await floor.leads(len(STOPS) * 10), utc_now()
    used = leads[5::10]  # a prefix is for ten numbers
    for lead_id, doing in zip(used, STOPS, strict=True):
        await doing(floor, await floor.row(t.lead, lead_id), now)
    for lead_id in set(leads) - set(used):
        await change(floor, lead_id, status="closed")
    for lead_id, (doing, stop) in zip(used, STOPS.items(), strict=True):
        found = await why.lead(BOSS, floor.campaign_id, lead_id)
        assert of_lead_and_lines(found) == stop, doing.__name__
    expected = {lead_id for lead_id, stop in zip(used, STOPS.values(), strict=True) if stop is None}
    assert await dialled_by_placer(floor) == expected


@pytest.mark.parametrize("seed", range(6))
async def test_the_placer_does_what_is_said(database: Database, why: WhyNotService, seed: int) -> None:
    """Over random worlds: whom nothing stops is dialled, whom something stops is not; and the counts of the
    campaign are those of its leads."""
    dice = random.Random(seed)
    here = utc_now() + 3 * HOUR
    asks = dice.random() < 0.5
    first = dice.choice([0, here.hour])
    hours = {"call_from": f"{first:02}:00", "call_until": "24:00"}
    floor = await open_floor(database, replace(OWN, asks_consent=asks), **hours)
    leads, now = await floor.leads(200), utc_now()
    used = leads[5::10]
    for lead_id in set(leads) - set(used):
        await change(floor, lead_id, status="closed", closed_reason="other")
    if dice.random() < 0.5:
        await CalendarWriter(database).round()
    for lead_id in used:
        lead = await floor.row(t.lead, lead_id)
        if dice.random() < 0.3:  # an hour behind Moscow, or far from it
            await change(floor, lead_id, timezones=[dice.choice(["Europe/Kaliningrad", "Asia/Kamchatka"])])
        if asks and dice.random() < 0.6:
            await _consent(floor, lead, now, dice)
        doings = dice.sample(list(STOPS), dice.choice([0, 0, 1, 1, 2]))
        for n, doing in enumerate(doings):
            if n == 0 or not all(
                one.__name__.startswith("promised") for one in doings
            ):  # one is open at most
                await doing(floor, lead, now)
    found = [await why.lead(BOSS, floor.campaign_id, one) for one in used]
    funnel = await why.campaign(BOSS, floor.campaign_id)
    dialled = {one.lead_id for one in found if of_lead_and_lines(one) is None}
    assert await dialled_by_placer(floor) == dialled
    assert whole(funnel) == len(leads)
    assert (funnel.ready, funnel.asked, funnel.exact) == (len(dialled), len(dialled), True)
    sure = {m.LEAD, m.CALL, "number", "do_not_call"}
    for step in sure:
        counted = sum(one.leads for one in funnel.counts if one.step == step)
        singly = sum(bool(one.stopped and one.stopped.step == step) for one in found)
        assert counted == singly + (len(leads) - len(used) if step == m.LEAD else 0), step


async def _consent(floor: Floor, lead: Any, now: datetime, dice: random.Random) -> None:
    values = dice.choice(
        [
            {"purpose": "service", "valid_from": now - DAY},
            {"purpose": "any", "valid_from": now - DAY},
            {"purpose": "advertising", "valid_from": now - DAY},
            {"purpose": "service", "valid_from": now + DAY},
            {"purpose": "service", "valid_from": now - 2 * DAY, "valid_until": now - DAY},
            {"purpose": "service", "valid_from": now - 2 * DAY, "withdrawn_at": now - DAY},
        ]
    )
    await add(floor, t.consent, contact_id=lead.contact_id, source="form", **values)


def whole(funnel: Funnel) -> int:
    """All that it counts."""
    assert funnel.leads == funnel.ready + sum(one.leads for one in funnel.counts)
    return funnel.leads


# -- when it may pass --------------------------------------------------------------------------------------


async def test_it_says_when_it_may_pass(floor: Floor, why: WhyNotService) -> None:
    """A retry that ends by night is told with the morning after it; what waits for somebody has no time."""
    waits, refused = await floor.leads(2)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(call_from="09:00", call_until="21:00"))
    soon = utc_now() + timedelta(minutes=5)
    await change(
        floor, waits, status="waiting", hold="retry", open_from=soon, timezones=["Asia/Yekaterinburg"]
    )
    await unwanted(floor, await floor.row(t.lead, refused), soon)
    found = await why.lead(BOSS, floor.campaign_id, waits)
    assert found.stopped is not None
    assert (found.stopped.step, found.stopped.until, found.place) == (m.WAIT, soon, "Asia/Yekaterinburg")
    assert found.not_before is not None
    local = (found.not_before + 5 * HOUR).hour
    assert found.not_before >= soon
    assert 9 <= local < 21
    assert (found.not_before == soon) == (9 <= (soon + 5 * HOUR).hour < 21)
    assert (await why.lead(BOSS, floor.campaign_id, refused)).not_before is None


# -- the campaign and who dials ----------------------------------------------------------------------------


async def test_what_is_about_the_campaign(floor: Floor, why: WhyNotService) -> None:
    """It does not run; nobody is there to talk; somebody has not the skill; the carrier fails all calls; its
    policy is gone."""
    (lead_id,) = await floor.leads(1)

    async def first() -> tuple[str, str]:
        stopped = (await why.lead(BOSS, floor.campaign_id, lead_id)).stopped
        assert stopped is not None
        return stopped.step, stopped.reason

    async def campaign(**values: Any) -> None:
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(update(t.campaign).values(**values))

    assert await first() == (m.SERVER, "engine_down")
    await engine(floor)
    assert await first() == (m.AGENTS, "none")
    await floor.seat(AgentState.PAUSED)
    assert await first() == (m.AGENTS, "none_ready")
    await campaign(skill="kz")
    assert await first() == (m.AGENTS, "none_with_skill")
    await campaign(mode="manual", skill=None)
    assert await first() == (m.AGENTS, "by_hand")
    await campaign(mode="progressive")
    await floor.seat(AgentState.READY)
    found = await why.lead(BOSS, floor.campaign_id, lead_id)
    assert found.stopped is None
    (turn,) = [one for one in found.answers if one.step == m.TURN]
    assert (turn.reason, turn.values["ahead"]) == ("ahead", 0)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.trunk_load).values(health="bad", health_since=utc_now(), probe_at=utc_now() + HOUR)
        )
    assert await first() == (m.LINES, "trunk_bad")
    await campaign(status="paused")
    assert await first() == (m.CAMPAIGN, "paused")
    await campaign(status="running", policy="gone")
    assert await first() == (m.POLICY, "unknown")


async def test_who_comes_before_it(floor: Floor, why: WhyNotService) -> None:
    """Of those that are open, by the campaign's order; of the list alone where lists have shares."""
    leads = await floor.leads(6)
    await engine(floor)
    await floor.seat(AgentState.READY)
    await change(floor, leads[1], hold="retry", open_from=utc_now() + HOUR)
    await change(floor, leads[5], sort_key=-1)

    async def turn() -> tuple[str, object]:
        found = await why.lead(BOSS, floor.campaign_id, leads[4])
        (answer,) = [one for one in found.answers if one.step == m.TURN]
        return answer.reason, answer.values["ahead"]

    assert await turn() == ("ahead", 4)
    await add(floor, t.campaign_list, campaign_id=floor.campaign_id, list_id=floor.list_id, share=1)
    async with floor.database.tenant(TENANT) as conn:
        other = await conn.scalar(
            insert(t.contact_list).values(tenant_id=TENANT, name="B").returning(t.contact_list.c.id)
        )
    await change(floor, leads[0], list_id=other)
    assert await turn() == ("of_list", 3)


async def test_an_ended_call_leaves_its_lead_to_the_rule(floor: Floor, why: WhyNotService) -> None:
    """A lead whose person left before an agent came waits as the retry rule says, with the last result."""
    (lead_id,) = await floor.leads(1)
    call, now = await floor.place(lead_id), utc_now()
    found = await why.lead(BOSS, floor.campaign_id, lead_id)
    assert of_lead_and_lines(found) == (m.CALL, "in_call")
    await floor.signals(call, Answered(now), GaveUp(now), HungUp(now, result=Result.FAILED))
    found = await why.lead(BOSS, floor.campaign_id, lead_id)
    assert of_lead_and_lines(found) == (m.WAIT, "retry")
    (redial,) = [one for one in found.answers if one.step == "redial"]
    assert redial.stops
    assert redial.until is not None
    assert redial.until - now > 71 * HOUR


async def test_asking_changes_and_holds_nothing(floor: Floor, why: WhyNotService) -> None:
    """No lead is put off by a question, and nobody who dials has to wait for one."""
    leads = await floor.leads(3)
    await tried_twice(floor, await floor.row(t.lead, leads[0]), utc_now())
    before = [await floor.row(t.lead, one) for one in leads]
    await why.campaign(BOSS, floor.campaign_id)
    assert [await floor.row(t.lead, one) for one in leads] == before
    terms = await DatabaseTermsBook(floor.database, Path()).terms(TENANT, floor.campaign_id)
    row = await floor.row(t.lead, leads[1])
    lead = ClaimedLead(row.id, row.list_id, row.contact_id, row.e164, tuple(row.timezones), 0)
    async with floor.database.tenant(TENANT) as conn:
        await admission.subjects(conn, terms, [Target(row.e164, lead.timezones, lead)], utc_now())
        held = await conn.exec_driver_sql(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        )
        assert held.scalar_one() == 0
