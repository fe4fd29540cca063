"""The person in an outside CRM, from the agent's card: in a tab, or in the card itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect
from sqlalchemy import update
from support.browser import Visitor, Visitors
from support.stage import TENANT, Stage

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role


@pytest.fixture
async def crm() -> AsyncIterator[str]:
    """A CRM that says whom it was asked for; its address."""

    async def card(request: web.Request) -> web.Response:
        return web.Response(text=f"<h1>{request.query['name']}</h1>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/card", card)
    async with TestServer(app) as server:
        yield str(server.make_url("/card")).replace("localhost", "127.0.0.1")


async def at_form(visit: Visitors, stage: Stage) -> Visitor:
    """A supervisor who changes the campaign, which has a pause."""
    async with stage.database.tenant(TENANT) as conn:
        mine = t.campaign.c.id == stage.campaign_id
        await conn.execute(update(t.campaign).where(mine).values(status="paused"))
    boss = await visit(Role.SUPERVISOR)
    boss.context.set_default_timeout(30_000)
    await boss.open(f"/campaigns/{stage.campaign_id}/edit")
    return boss


async def at_desk(visit: Visitors, stage: Stage) -> Visitor:
    """The first agent at the desk."""
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[0])
    person = await visit(user)
    person.context.set_default_timeout(30_000)
    async with person.page.expect_response(lambda reply: "agent=me" in reply.url):
        await person.open("/desk")
    return person


async def test_the_card_leads_to_the_crm(visit: Visitors, stage: Stage, crm: str) -> None:
    """A supervisor gives the campaign a template; the agent's card opens the person by it, the name encoded.
    What is no template is refused beside its field."""
    boss = await at_form(visit, stage)
    boss.expected.add(422)
    await boss.page.fill("#f-crm_url", "https://{last_name}.example.org/")
    await boss.page.get_by_role("button", name="Save").click()
    await expect(boss.page.locator(".field.wrong")).to_contain_text("must begin with https://")
    await boss.page.fill("#f-crm_url", crm + "?name={last_name}&key={external_id}")
    await boss.page.get_by_role("button", name="Save").click()
    await boss.page.wait_for_url(f"**/campaigns/{stage.campaign_id}")
    person = await at_desk(visit, stage)
    await stage.assign(stage.agents[0], surname="Жуков & Ко")
    link = person.page.get_by_role("link", name="Open in the CRM")
    name = await person.page.locator("#customer").inner_text()
    surname = "Жуков & Коа" if "Коа" in name else "Жуков & Ко"
    await expect(link).to_have_attribute("href", f"{crm}?name={quote(surname, safe='')}&key=", timeout=30_000)
    async with person.context.expect_page() as opened:
        await link.click()
    tab = await opened.value
    await expect(tab.locator("h1")).to_have_text(surname)


async def test_the_crm_stands_in_the_card(visit: Visitors, stage: Stage, crm: str) -> None:
    """In a frame, which only the servers of campaigns' templates may fill; it stays as it is when the card is
    renewed."""
    boss = await at_form(visit, stage)
    await boss.page.fill("#f-crm_url", crm + "?name={first_name}")
    await boss.page.get_by_label("In the card itself, not in a tab").check()
    await boss.page.get_by_role("button", name="Save").click()
    await boss.page.wait_for_url(f"**/campaigns/{stage.campaign_id}")
    person = await at_desk(visit, stage)
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url) if "/card?" in request.url else None)
    attempt_id = await stage.assign(stage.agents[0])
    shown = person.page.frame_locator("iframe.crm").locator("h1")
    await expect(shown).to_be_visible(timeout=30_000)
    assert await shown.inner_text() in await person.page.locator("#customer").inner_text()
    await stage.put(stage.agents[0], "talking", attempt_id)
    talks = {"state": "connected", "connected_at": utc_now(), "result": "answered"}
    await stage.change(attempt_id, stage.agents[0], **talks)
    await expect(person.page.locator("#my-state")).to_have_text("Talking", timeout=30_000)
    assert len(asked) == 1
