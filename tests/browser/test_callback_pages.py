"""Promised calls in a browser: the calendar, a promise after a talk, the agent's own list."""

from __future__ import annotations

import re
from datetime import timedelta

from playwright.async_api import expect
from sqlalchemy import select, update
from support.browser import Visitor, Visitors
from support.promises import ROUND_THE_CLOCK
from support.stage import TENANT, Stage
from support.web import at_noon

from dialer.callbacks.making import Asked
from dialer.callbacks.service import CallbackService
from dialer.callbacks.store import CallbackRow
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role

SERVER = Actor.server(TENANT)


async def promised(stage: Stage, many: int, agent_id: int | None = None) -> list[CallbackRow]:
    """So many of the campaign's people are promised a call within an hour and a half."""
    service = CallbackService(stage.database)
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(ROUND_THE_CLOCK))
        query = select(t.lead.c.contact_id).where(t.lead.c.status.in_(("new", "waiting")))
        people = list(await conn.scalars(query.order_by(t.lead.c.id).limit(many)))
    made = []
    for n, contact_id in enumerate(people, start=1):
        asked = Asked(utc_now() + timedelta(minutes=15 * n), agent_id=agent_id, note="просил о скидке")
        made.append(await service.make(SERVER, stage.campaign_id, contact_id, asked))
    return made


async def late(stage: Stage, callback_id: int) -> None:
    """It should have been made an hour ago."""
    before = utc_now() - timedelta(hours=1)
    async with stage.database.tenant(TENANT) as conn:
        c = t.callback.c
        await conn.execute(
            update(t.callback).where(c.id == callback_id).values(due_at=before, from_at=before)
        )


async def test_a_supervisor_gives_an_agents_calls_to_another(
    visit: Visitors, stage: Stage, owner_url: str
) -> None:
    """What is late stands on top; those that are ticked go to the agent who is chosen."""
    await at_noon(owner_url)
    first, second = stage.agents[:2]
    made = await promised(stage, 4, first)
    await late(stage, made[0].id)
    person = await visit(Role.SUPERVISOR, locale="ru")
    page = person.page
    await person.open("/callbacks?view=day")
    await expect(page.locator("#calendar section").first).to_contain_text("опаздывает")
    await page.check(f"#c-{made[1].id}")
    await page.check(f"#c-{made[2].id}")
    await page.select_option("#what", str(second))
    await page.click("#many button.main")
    await page.wait_for_load_state()
    async with stage.database.tenant(TENANT) as conn:
        rows = await conn.execute(select(t.callback.c.agent_id).order_by(t.callback.c.id))
        assert list(rows.scalars()) == [first, second, second, first]
    await person.open("/callbacks")
    await expect(page.locator("table.calendar")).to_be_visible()
    assert person.complaints == []


async def test_what_is_done_with_many_asks_for_what_it_needs(
    visit: Visitors, stage: Stage, owner_url: str
) -> None:
    """Minutes to move them, a reason to cancel them, nothing to give them away; and stands there only while
    something can be ticked."""
    await at_noon(owner_url)
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/callbacks?view=day")
    await expect(page.locator("#many")).to_be_hidden()
    await promised(stage, 1)
    await person.open("/callbacks?view=day")
    asked = {"anyone": (False, False), "move": (True, False), "cancel": (False, True)}
    for what, (minutes, reason) in asked.items():
        await page.select_option("#what", what)
        await expect(page.locator("#minutes")).to_be_visible(visible=minutes)
        await expect(page.locator("#reason")).to_be_visible(visible=reason)


async def test_a_promise_by_hand_shows_both_clocks(visit: Visitors, stage: Stage) -> None:
    """While the time is typed, and when it is saved."""
    (made,) = await promised(stage, 1)
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open(f"/contacts/{made.contact_id}")
    await expect(page.locator("#promises .promised")).to_contain_text("promised")
    await page.click("#promises a.button")
    tomorrow = (utc_now() + timedelta(days=1)).strftime("%Y-%m-%dT12:00")
    await page.fill("#f-at", tomorrow)
    await page.press("#f-at", "Tab")
    await expect(page.locator("#outlook")).to_contain_text("12:00 there")
    await page.click("button.main")
    await expect(page.locator(".good-note")).to_contain_text("12:00 there")
    assert person.complaints == []


async def at_desk(visit: Visitors, stage: Stage) -> Visitor:
    """The first agent at the own page."""
    user = await visit.web.users.get(SERVER, stage.users[0])
    person = await visit(user, locale="ru")
    await person.open("/desk")
    return person


async def test_the_desk_has_the_own_calls_of_today(visit: Visitors, stage: Stage) -> None:
    """What is late is marked, with its note; a link leads to where it is moved or handed over."""
    made = await promised(stage, 1, stage.agents[0])
    await late(stage, made[0].id)
    person = await at_desk(visit, stage)
    own = person.page.locator(".promised li")
    await expect(own).to_contain_text("опаздывает")
    await expect(own).to_contain_text("просил о скидке")
    await own.locator("a").click()
    await expect(person.page.locator("h2", has_text="Другое время")).to_be_visible()
    await person.page.select_option("#agent", "anyone")
    await person.page.click("form button.main")
    await expect(person.page).to_have_url(re.compile("/callbacks$"))  # it is nobody's own now
    async with stage.database.tenant(TENANT) as conn:
        assert await conn.scalar(select(t.callback.c.agent_id)) is None


async def test_a_time_out_of_hours_is_said_to_the_agent_at_once(visit: Visitors, stage: Stage) -> None:
    """While the person may still be on the line: with both clocks, and where the call will be."""
    agent_id = stage.agents[0]
    hours = {"policy": "demo", "call_from": "10:00", "call_until": "18:00"}
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(hours))
    attempt_id = await stage.assign(agent_id)
    await stage.put(agent_id, "talking", attempt_id)
    await stage.change(attempt_id, agent_id, state="connected", connected_at=utc_now(), result="answered")
    person = await at_desk(visit, stage)
    page = person.page
    evening = (utc_now() + timedelta(days=2)).strftime("%Y-%m-%dT22:00")
    await page.fill("#callback-at", evening)
    await page.press("#callback-at", "Tab")
    await expect(page.locator("#promise-outlook")).to_contain_text("В это время там звонить нельзя")
    await page.click("button[value=callback]")
    await expect(page.locator("#notices")).to_contain_text("Перезвон сдвинут")
    async with stage.database.tenant(TENANT) as conn:
        made = (await conn.execute(select(t.callback))).one()
    assert (made.agent_id, made.moved, made.zone) == (agent_id, "hours", "Europe/Moscow")
    await expect(page.locator("#promise")).to_have_count(1)
