"""Surveys after talks in a browser: chosen for a campaign and a queue, read by call and by agent."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.async_api import expect
from sqlalchemy import insert, select
from support.browser import Visitors
from support.stage import TENANT, Stage

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role
from dialer.surveys import store
from ivr_flows import shipped


async def flows(stage: Stage) -> None:
    """Two that are live: one that fits, and one that leads to an agent."""
    async with stage.database.tenant(TENANT) as conn:
        for name in ("rating", "survey"):
            one = {"tenant_id": TENANT, "name": name, "live_version": 1}
            flow_id = await conn.scalar(insert(t.flow).values(one).returning(t.flow.c.id))
            says = {"version": 1, "state": "live", "document": dict(shipped.flow(name, "en").document)}
            await conn.execute(insert(t.flow_version).values(tenant_id=TENANT, flow_id=flow_id, **says))


async def talks(stage: Stage) -> list[UUID]:
    """Talks of the first agent."""
    async with stage.database.tenant(TENANT) as conn:
        a = t.attempt.c
        had = select(a.id).where(a.agent_id == stage.agents[0], a.disposition_id.is_not(None))
        return list(await conn.scalars(had.order_by(a.created_at).limit(2)))


async def said(stage: Stage) -> list[UUID]:
    """The customers of two talks were asked; the second has hung up in it."""
    await flows(stage)
    calls = await talks(stage)
    async with stage.database.tenant(TENANT) as conn:
        for n, call_id in enumerate(calls):
            await store.begin(conn, TENANT, call_id, stage.agents[0], "rating", 1, utc_now())
            await store.answered(conn, TENANT, call_id, {"rating.agent": str(5 - n)})
        await store.answered(conn, TENANT, calls[0], {"rating.settled": "yes"})
        await store.finished(conn, TENANT, calls[0])
    return calls


async def test_a_campaign_and_a_queue_choose_a_survey(visit: Visitors, stage: Stage) -> None:
    """Among the flows that only speak and ask; none is a choice, too."""
    await flows(stage)
    person = await visit(Role.SUPERVISOR)
    page = person.page
    for path, name in (("/campaigns/new", "Autumn"), ("/queues/new", "Service")):
        await person.open(path)
        options = page.locator("#f-survey option")
        assert await options.evaluate_all("all => all.map(one => one.value)") == ["", "rating"]
        await page.fill("#f-name", name)
        await page.select_option("#f-survey", "rating")
        await page.click("main button.main:has-text('Save')")
        await page.wait_for_url(lambda url: url[-1].isdigit())
        here = page.url.removeprefix(person.url) + ("/edit" if "campaign" in path else "")
        await person.open(here)
        await expect(page.locator("#f-survey")).to_have_value("rating")
        await page.select_option("#f-survey", "")
        await page.click("main button.main:has-text('Save')")
        await page.wait_for_load_state()
        await person.open(here)
        await expect(page.locator("#f-survey")).to_have_value("")


@pytest.mark.parametrize(
    ("locale", "title", "end"),
    [("en", "Question settled", "broken off"), ("ru", "Question settled", "прерван")],
)
async def test_what_customers_have_said_is_read(
    visit: Visitors, stage: Stage, locale: str, title: str, end: str
) -> None:
    """By agent with the mean, the latest answers, and on the page of the call."""
    calls = await said(stage)
    person = await visit(Role.QUALITY, locale=locale)
    page = person.page
    await person.open("/surveys")
    figures = page.locator(".figures-of")
    await expect(figures.locator("thead")).to_contain_text(title)
    cells = await figures.locator("tbody tr").first.locator("td").all_inner_texts()
    assert [each.strip() for each in cells[:3]] == ["2", "2", "1"]
    assert cells[3].split()[0] in ("4.50", "4,50", "4.5", "4,5")
    assert cells[4].split() == ["yes", "1"]
    await expect(page.locator("main")).to_contain_text(end)
    await person.open("/surveys?from=2020-01-01&until=2020-01-02")
    await expect(figures).to_have_count(0)
    await person.open(f"/calls/{calls[0]}")
    await expect(page.locator("#survey dl")).to_contain_text(title)
    await expect(page.locator("#survey dl")).to_contain_text("yes")


async def test_an_agent_sees_nothing_of_it(visit: Visitors, stage: Stage) -> None:
    """Neither on the page of an own talk nor in the navigation."""
    calls = await said(stage)
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[0])
    person = await visit(user)
    await person.open(f"/calls/{calls[0]}")
    await expect(person.page.locator("#survey")).to_have_count(0)
    await expect(person.page.locator("nav a[href='/surveys']")).to_have_count(0)
    person.expected.add(403)
    reply = await person.page.goto(f"{person.url}/surveys")
    assert reply is not None
    assert reply.status == 403
