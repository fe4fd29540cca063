"""A segment built in a browser: rows come and go, the count follows, nothing typed is lost."""

from __future__ import annotations

import asyncio
import functools

from playwright.async_api import Route, expect
from sqlalchemy import select, update
from support.browser import Visitors
from support.stage import TENANT, Stage

from dialer.contacts import fields_store
from dialer.contacts.fields import CARS
from dialer.contacts.fields_service import FieldService
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role


async def test_a_segment_is_built_with_its_count(visit: Visitors, stage: Stage) -> None:
    """Field, test and value are chosen in turn; the people on the right are always those of the form."""
    await FieldService(stage.database).add_all(Actor.server(TENANT), CARS)
    async with stage.database.tenant(TENANT) as conn:
        ids = list(await conn.scalars(select(t.contact.c.id).order_by(t.contact.c.id)))
        for place, contact_id in enumerate(ids[:3]):
            custom = {"Выручка": str(place * 1000)}
            await conn.execute(update(t.contact).where(t.contact.c.id == contact_id).values(custom=custom))
        await fields_store.rewrite_values(conn, TENANT, ids[:3])
    person = await visit(Role.SUPERVISOR, locale="ru")
    await person.open("/segments/new")
    page = person.page
    count = page.locator(".count strong")
    assert await count.inner_text() == str(len(ids))
    await page.fill('[name="name"]', "Принесли много")
    await page.select_option('[name="g0.c0.field"]', "custom.revenue")
    await page.wait_for_selector('[name="g0.c0.op"] option[value="ge"]', state="attached")
    await page.select_option('[name="g0.c0.op"]', "ge")
    await page.fill('[name="g0.c0.value"]', "1 000")
    await page.press('[name="g0.c0.value"]', "Tab")
    await expect(count).to_have_text("2")
    await page.click('button[value="more:0"]')
    await page.wait_for_selector('[name="g0.c1.field"]')
    await page.select_option('[name="g0.c1.field"]', "attempts")
    await page.wait_for_selector('[name="g0.c1.op"] option[value="le"]', state="attached")
    assert await page.input_value('[name="g0.c0.value"]') == "1 000"
    await page.click('button[value="less:0:1"]')
    await page.wait_for_selector('[name="g0.c1.field"]', state="detached")
    assert await page.input_value('[name="name"]') == "Принесли много"
    await page.click("button.main")
    await page.wait_for_selector("text=Удалить сегмент")
    await expect(count).to_have_text("2")
    assert person.complaints == []


async def test_what_is_typed_while_the_server_counts_stays(visit: Visitors) -> None:
    """The answer to an earlier choice comes as the value is being typed: it is not typed over, and counts."""
    person = await visit(Role.SUPERVISOR)
    await person.open("/segments/new")
    page = person.page
    await page.select_option('[name="g0.c0.field"]', "attempts")
    await page.wait_for_selector('[name="g0.c0.op"] option[value="ge"]', state="attached")
    held = asyncio.Event()
    await page.route("**/segments/form", functools.partial(_held, held))
    async with page.expect_response("**/segments/form") as answer:
        async with page.expect_request("**/segments/form"):
            await page.select_option('[name="g0.c0.op"]', "ge")
        await page.fill('[name="g0.c0.value"]', "77")
        held.set()
    await (await answer.value).finished()
    await page.unroute("**/segments/form")
    await page.press('[name="g0.c0.value"]', "Tab")
    await expect(page.locator(".count strong")).to_have_text("0")
    assert await page.input_value('[name="g0.c0.value"]') == "77"
    assert person.complaints == []


async def _held(until: asyncio.Event, route: Route) -> None:
    await until.wait()
    await route.continue_()
