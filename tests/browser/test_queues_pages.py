"""Queues in a browser: made, set up, seen, and the levels of who serves them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from playwright.async_api import expect
from sqlalchemy import insert, select
from support.browser import Visitors
from support.came import came_in
from support.flow_pages import SKILL, a_flow
from support.stage import TENANT, Stage

from dialer.agents.service import AgentService
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role
from dialer.inbound.http import INBOUND
from dialer.queues.fields import QueueIn
from dialer.queues.http import QUEUES

BOSS = Actor(TENANT, None, Role.SUPERVISOR, "Supervisor", "en")


async def test_a_supervisor_sets_a_queue_up(visit: Visitors, stage: Stage) -> None:
    """What is wrong is named at its field; an emptied field means never; the list shows what was set."""
    service = AgentService(stage.database, managed=True)
    await service.change(BOSS, stage.agents[0], skills=["sales"])
    await service.change(BOSS, stage.agents[1], skills=["sales"], levels={"sales": 3})
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    await person.open("/queues")
    await expect(page.locator("#queues")).to_contain_text("There is no queue yet.")
    await page.click("text=New queue")
    await page.fill("#f-name", "Sales")
    await page.fill("#f-skill", "sales")
    await page.fill("#f-least_level", "4")
    await page.fill("#f-lowest_level", "6")
    await page.fill("#f-target_share", "75")
    await page.fill("#f-announce_every_s", "")
    await page.click("button:has-text('Save')")
    await expect(page.locator("main .strip.bad")).to_contain_text("lowest_level is above least_level")
    await expect(page.locator("#f-target_share")).to_have_value("75")
    await page.fill("#f-lowest_level", "3")
    await page.fill("#f-relax_every_s", "30")
    await page.select_option("#f-rule", "highest_level")
    await page.select_option("#f-overflow", "voicemail")
    await page.click("button:has-text('Save')")

    await expect(page.locator("h1")).to_have_text("Sales")
    await expect(page.locator("#f-announce_every_s")).to_have_value("")
    await expect(page.locator("#f-announce_first_s")).to_have_value("20")
    late = page.locator(f"#member-{stage.agents[1]}")
    await expect(late).to_contain_text("after a wait")
    await late.locator("select").select_option("9")
    await late.locator("button").click()
    await expect(late).not_to_contain_text("after a wait")

    await person.open("/queues")
    row = page.locator("#queues tbody tr")
    await expect(row).to_contain_text("Sales")
    await expect(row).to_contain_text("from level 4")
    await expect(row).to_contain_text("highest level")
    await expect(row).to_contain_text("voicemail")
    await expect(row).to_contain_text("75% in 20 s")
    await expect(row.locator("td").last).to_have_text("2")


async def test_a_queue_overflows_into_another_by_choice(visit: Visitors, stage: Stage) -> None:
    """The other queues stand in the choice; one that others go to says so when it is to be removed."""
    person = await visit(Role.SUPERVISOR)
    person.expected.add(409)
    page = person.page
    for name in ("First", "Second"):
        await person.open("/queues/new")
        await page.fill("#f-name", name)
        if name == "Second":
            await page.select_option("#f-overflow", label="queue “First”")
        await page.click("button:has-text('Save')")
    await expect(page.locator("#f-overflow option:checked")).to_have_text("queue “First”")
    await person.open("/queues")
    await expect(page.locator("#queues tr", has_text="Second")).to_contain_text("First")
    await page.click("#queues a:has-text('First')")
    await page.click("button:has-text('Delete the queue')")
    await expect(page.locator("main")).to_contain_text("queues overflow into it: Second")


async def kept_places(stage: Stage) -> list[UUID]:
    """A queue of sales in which three have kept a place: one rests after a try."""
    now, made = utc_now(), []
    async with stage.database.tenant(TENANT) as conn:
        people = list(await conn.execute(select(t.contact.c.id).order_by(t.contact.c.id).limit(3)))
        queue_id = await conn.scalar(
            insert(t.queue).values(tenant_id=TENANT, name="Продажи").returning(t.queue.c.id)
        )
        for n, person in enumerate(people):
            since, e164 = now - timedelta(minutes=9 - 2 * n), f"+7916111220{n}"
            call_id = await came_in(conn, stage.campaign_id, since, contact_id=person.id, e164=e164)
            place = {
                "tenant_id": TENANT, "call_id": call_id, "queue_id": queue_id, "queue": "Продажи",
                "campaign_id": stage.campaign_id, "contact_id": person.id, "e164": e164, "priority": 5,
                "since": since, "kept_at": since + timedelta(minutes=1),
                "reason": "Цена и наличие" if n else "", "tries": n == 1,
                "not_before": now + timedelta(minutes=4) if n == 1 else None,
            }  # fmt: skip
            await conn.execute(insert(t.kept_place).values(place))
            made.append(call_id)
    return made


async def test_kept_places_are_seen_and_taken_away(visit: Visitors, stage: Stage) -> None:
    """In the order of their turns, with who rests until when; one that was taken away is gone at once."""
    first, second, third = await kept_places(stage)
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/queues")
    await page.click("#queues a:has-text('Продажи')")
    rows = page.locator("#places tbody tr")
    await expect(rows).to_have_count(3)
    await expect(page.locator(f"#place-{first}")).to_contain_text("waits for their turn")
    await expect(page.locator(f"#place-{second}")).to_contain_text("not reached; again at")
    await expect(page.locator(f"#place-{third}")).to_contain_text("Цена и наличие")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.locator(f"#place-{first} button").click()
    await expect(rows).to_have_count(2)
    async with stage.database.tenant(TENANT) as conn:
        row = (await conn.execute(select(t.kept_place).where(t.kept_place.c.call_id == first))).one()
    assert (row.stage, row.why) == ("dropped", "canceled")


async def test_a_queue_that_is_used_goes_with_a_warning(visit: Visitors, stage: Stage) -> None:
    """So does its name: the page says which flows go by it, and has a button for whoever means it."""
    await stage.web.app[QUEUES].create(BOSS, QueueIn(name=SKILL))
    await a_flow(stage.web.app[INBOUND])
    person = await visit(Role.SUPERVISOR)
    person.expected.add(409)
    page = person.page
    warning = page.locator("main .strip.bad")
    await person.open("/queues")
    await page.click(f"#queues a:has-text('{SKILL}')")
    await page.fill("#f-name", "Sales")
    await page.select_option("#f-offer_callback_key", "#")
    await page.click("button:has-text('Save')")
    await expect(warning).to_contain_text("flows: reception")
    await page.click("button:has-text('Save all the same')")
    await page.click("#queues a:has-text('Sales')")
    await expect(page.locator("#f-offer_callback_key")).to_have_value("#")
    await page.fill("#f-name", SKILL)
    await page.click("button:has-text('Save')")
    await page.click(f"#queues a:has-text('{SKILL}')")
    await page.click("button:has-text('Delete the queue')")
    await expect(warning).to_contain_text("flows: reception")
    await page.click("button:has-text('Delete all the same')")
    await expect(page.locator("#queues")).to_contain_text("There is no queue yet.")
