"""Why numbers and campaigns are not dialled: whose it is, counts by what stops, the word at a start."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import insert, update
from support.floor import TENANT, Floor
from support.whynot import *  # noqa: F403
from support.whynot import (
    BOSS,
    DAY,
    HOUR,
    OWN,
    add,
    change,
    engine,
    open_floor,
    promised_now,
    retry,
    tried_twice,
)

from dialer.agents.model import AgentState
from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.compliance.consent import Consent, NotGiven, consent_for
from dialer.compliance.policy import Purpose
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import BadNumber, NotFound
from dialer.whynot import model as m
from dialer.whynot import service
from dialer.whynot.service import WhyNotService
from scheduler.calendar_writer import CalendarWriter

# -- numbers -----------------------------------------------------------------------------------------------


async def test_a_number_in_any_form(floor: Floor, why: WhyNotService) -> None:
    """As people write it; what is no number is refused with the reason."""
    (lead_id,) = await floor.leads(1)
    for written in ("8 (916) 000-00-00", "+7 916 000 00 00", "9160000000"):
        report = await why.number(BOSS, written)
        assert report.e164 == "+79160000000"
        assert [one.lead_id for one in report.findings] == [lead_id]
        assert [one.name for one in report.contacts] == ["Петров0 Пётр"]
    with pytest.raises(BadNumber):
        await why.number(BOSS, "12")


async def test_a_number_that_nobody_has(floor: Floor, why: WhyNotService) -> None:
    """No contact, no lead; a campaign that is named still says what its rules would."""
    report = await why.number(BOSS, "8 903 111-22-33")
    assert (report.contacts, report.findings, report.unwanted, report.dialled) == ((), (), False, False)
    await add(floor, t.do_not_call, kind="number", mark="+79031112233", source="api")
    report = await why.number(BOSS, "8 903 111-22-33", floor.campaign_id)
    assert report.unwanted
    (found,) = report.findings
    assert found.stopped is not None
    assert (found.lead_id, found.stopped.step, found.stopped.reason) == (None, m.LEAD, "none")
    assert [one.step for one in found.answers if one.stops][:2] == [m.LEAD, "do_not_call"]
    with pytest.raises(NotFound):
        await why.number(BOSS, "8 903 111-22-33", 99_999)


async def test_a_number_of_several_people_in_several_campaigns(floor: Floor, why: WhyNotService) -> None:
    """Each contact is named, each lead answers, also where it is at another number of the person."""
    await floor.leads(1)
    async with floor.database.tenant(TENANT) as conn:
        values = {"name": "Лето", "policy": "own", "status": "paused"}
        second = await conn.scalar(
            insert(t.campaign).values(tenant_id=TENANT, **values).returning(t.campaign.c.id)
        )
    assert second is not None
    # Another person: their lead has the number of its own, and they have the first one's too.
    (other,) = await floor.leads(1, campaign_id=second, first=79170000000)
    contact_id = (await floor.row(t.lead, other)).contact_id
    phone = {"position": 2, "kind": "mobile", "timezones": ["Europe/Moscow"]}
    await add(floor, t.contact_phone, contact_id=contact_id, e164="+79160000000", **phone)
    report = await why.number(BOSS, "+79160000000")
    assert len(report.contacts) == 2
    assert [one.campaign.id for one in report.findings] == [floor.campaign_id, second]
    assert [one.e164 for one in report.findings] == ["+79160000000", "+79170000000"]
    own = await why.contact(BOSS, contact_id)
    assert [one.lead_id for one in own.findings] == [other]
    with pytest.raises(NotFound):
        await why.contact(BOSS, 99_999)
    with pytest.raises(NotFound):  # it is another campaign's
        await why.lead(BOSS, floor.campaign_id, other)


# -- a campaign's counts -----------------------------------------------------------------------------------


async def test_of_many_the_next_ones_are_asked(
    floor: Floor, why: WhyNotService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not asked one by one is told apart from what is; what no consent covers is counted of all."""
    monkeypatch.setattr(service, "LOOKED_AT", 4)
    leads = await floor.leads(10)
    await tried_twice(floor, await floor.row(t.lead, leads[0]), utc_now())
    await tried_twice(floor, await floor.row(t.lead, leads[9]), utc_now())
    found = await why.campaign(BOSS, floor.campaign_id)
    assert (found.ready, found.asked, found.exact, found.dials) == (9, 3, False, True)
    assert [(one.step, one.leads) for one in found.counts] == [("limits", 1)]


async def test_the_windows_of_old_rules_are_looked_up(floor: Floor, why: WhyNotService) -> None:
    """A campaign whose hours were changed is counted by the new ones, before they are on its leads."""
    leads = await floor.leads(4)
    await CalendarWriter(floor.database).round()
    here = utc_now() + 3 * HOUR
    closed_now = {"call_from": f"{(here.hour + 2) % 23:02}:00", "call_until": f"{(here.hour + 2) % 23:02}:30"}
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(**closed_now))
    for lead_id in leads[:2]:
        await change(floor, lead_id, open_until=utc_now() - HOUR)
    found = await why.campaign(BOSS, floor.campaign_id)
    (count,) = found.counts
    assert (count.step, count.leads, found.ready, found.dials) == ("hours", 4, 0, False)
    assert count.opens is not None
    assert f"{count.opens + 3 * HOUR:%H:%M}" == closed_now["call_from"]
    assert count.place == "Europe/Moscow"


async def test_the_leads_of_one_list(floor: Floor, why: WhyNotService) -> None:
    """A list's funnel has its own leads alone."""
    leads = await floor.leads(3)
    await retry(floor, await floor.row(t.lead, leads[0]), utc_now())
    found = await why.campaign(BOSS, floor.campaign_id, list_id=floor.list_id)
    assert (found.leads, found.ready) == (3, 2)
    assert (await why.campaign(BOSS, floor.campaign_id, list_id=99_999)).leads == 0


# -- the start ---------------------------------------------------------------------------------------------


async def test_a_start_that_dials_nothing_says_so(database: Database, why: WhyNotService) -> None:
    """At once, with the counts, the first opening, and who is missing; it starts all the same."""
    message: dict[str, Any] = {"caller_name": "Заря", "abandon_message": "Звонила Заря"}
    floor = await open_floor(database, OWN, status="draft", **message)
    async with database.tenant(TENANT) as conn:
        await conn.execute(update(t.trunk).values(sip_host="127.0.0.1"))
    campaigns = CampaignService(database, outlook=why)

    async def started() -> dict[str, str]:
        async with database.tenant(TENANT) as conn:
            await conn.execute(update(t.campaign).values(status="paused"))
        view = await campaigns.resume(BOSS, floor.campaign_id)
        assert view.campaign.status == "running"
        return dict(view.warnings)

    assert "no-leads" in await started()
    (lead_id,) = await floor.leads(1)
    await retry(floor, await floor.row(t.lead, lead_id), utc_now())
    said = await started()
    assert "1 lead: 1 waiting for retry, 0 ready" in said["nothing-ready"]
    assert "The first of the others" in said["nothing-ready"]
    assert said.keys() >= {"server-engine-down", "agents-none"}
    await floor.leads(1, first=79170000000)
    await engine(floor)
    await floor.seat(AgentState.READY)
    assert await started() == {}


async def test_a_policy_that_asks_for_consents_says_so_at_the_start(
    database: Database, why: WhyNotService
) -> None:
    """None on record: nobody is dialled, and the start says whose word is missing."""
    floor = await open_floor(database, replace(OWN, asks_consent=True))
    await floor.leads(2)
    found = await why.campaign(BOSS, floor.campaign_id)
    assert [(one.step, one.leads) for one in found.counts] == [("consent", 2)]
    said = dict(await why.warnings(BOSS, floor.campaign_id))
    assert (
        "own asks for a consent to service calls; for 2 of 2 leads none is on record" in said["no-consents"]
    )


async def test_consents_are_counted_of_all_leads(
    database: Database, why: WhyNotService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever histories of consents people have, as many leads are told to lack one as the rule finds, asked
    of each person; though hardly any lead is put to the rules one by one. One that begins later has its time.
    """
    monkeypatch.setattr(service, "LOOKED_AT", 1)
    floor = await open_floor(database, replace(OWN, asks_consent=True))
    dice, now, known = random.Random(7), utc_now(), list[tuple[int, list[Consent]]]()
    leads = await floor.leads(300)
    await change(floor, leads[0], status="closed", closed_reason="sale")
    for lead_id in leads:
        contact_id = (await floor.row(t.lead, lead_id)).contact_id
        own = [some_consent(dice, number, now) for number in range(dice.choice((0, 1, 1, 2, 3, 4)))]
        known.append((contact_id, own))
    async with database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.consent),
            [
                {
                    "tenant_id": TENANT,
                    "contact_id": contact_id,
                    **{name: getattr(one, name) for name in Consent.__slots__ if name != "id"},
                }
                for contact_id, own in known
                for one in own
            ],
        )
    monkeypatch.setattr(service, "utc_now", lambda: now)
    found = await why.campaign(BOSS, floor.campaign_id)
    said = [consent_for(own, Purpose.SERVICE, now) for _, own in known[1:]]
    lack = [one for one in said if isinstance(one, NotGiven)]
    assert len({one.reason for one in lack}) == 4, "not every kind of lack was put to the test"
    counts = {one.step: one for one in found.counts}
    assert (counts["consent"].leads, found.ready) == (len(lack), len(said) - len(lack))
    assert sum(one.leads for one in found.counts) + found.ready == found.leads == len(leads)
    assert counts["consent"].opens == min(one.until for one in lack if one.until)
    of_list = await why.campaign(BOSS, floor.campaign_id, list_id=floor.list_id)
    assert of_list.counts == found.counts


def some_consent(dice: random.Random, number: int, now: datetime) -> Consent:
    """A consent of any purpose and any time, withdrawn or not."""
    days = [now + DAY * dice.choice((-9, -8, -7, -6, -5, -4, -3, -2, 2, 3, 4)) for _ in range(3)]
    since, until, withdrawn = days
    return Consent(
        number,
        dice.choice((Purpose.SERVICE, Purpose.ANY, Purpose.ADVERTISING)),
        "form",
        "",
        since,
        dice.choice((None, max(until, since + HOUR))),
        dice.choice((None, None, min(withdrawn, now))),
    )


async def test_a_mode_that_the_policy_forbids_stops_every_lead(
    database: Database, why: WhyNotService
) -> None:
    """It is said of the campaign's leads as one, however many were asked."""
    floor = await open_floor(database, replace(OWN, forbidden_modes=frozenset({"progressive"})))
    leads = await floor.leads(3)
    found = await why.campaign(BOSS, floor.campaign_id)
    assert [(one.step, one.leads) for one in found.counts] == [("mode", 3)]
    assert (found.ready, found.asked, found.dials) == (0, 0, False)
    said = await why.lead(BOSS, floor.campaign_id, leads[0])
    assert said.stopped is not None
    assert (said.stopped.step, said.not_before) == ("mode", None)


async def test_who_was_promised_a_call_is_dialled_before_the_list(floor: Floor, why: WhyNotService) -> None:
    """Such a lead is ready, and its turn is before all others."""
    leads, now = await floor.leads(2), utc_now()
    await promised_now(floor, await floor.row(t.lead, leads[1]), now)
    await engine(floor)
    await floor.seat(AgentState.READY)
    assert (await why.campaign(BOSS, floor.campaign_id)).asked == 2
    found = await why.lead(BOSS, floor.campaign_id, leads[1])
    assert found.stopped is None
    assert [one.reason for one in found.answers if one.step in (m.WAIT, m.TURN)] == ["promised", "promised"]
