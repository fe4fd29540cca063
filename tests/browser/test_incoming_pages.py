"""Calls that came in, in a browser: filtered, with their ways, live."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from playwright.async_api import expect
from support.browser import Visitors
from support.flow_pages import BOSS, a_call, a_flow
from support.stage import TENANT, Stage

from dialer.clock import utc_now
from dialer.db import events
from dialer.httpkit.access import Role
from dialer.inbound.http import INBOUND

SALES, SERVICE = "74957770101", "74957770102"


async def numbers(stage: Stage) -> None:
    """Two numbers that lead to one flow."""
    service = stage.web.app[INBOUND]
    await a_flow(service)
    for number in (SALES, SERVICE):
        values: dict[str, Any] = {"number": number, "name": "", "campaign_id": stage.campaign_id, "queue": ""}
        await service.add_number(BOSS, "reception", {**values, "test": False, "active": True})


async def test_calls_are_found_and_each_has_its_way(visit: Visitors, stage: Stage) -> None:
    """By number, queue, result, caller and time; the newest first; the way with its keys, in the list and on
    the call's own page."""
    await numbers(stage)
    now = utc_now()
    hour_ago = (now - timedelta(hours=1)).astimezone(ZoneInfo("Europe/Moscow"))
    over: dict[str, Any] = {"state": "ended", "ended_at": now, "hung_up_at": now}
    left = await a_call(
        stage.database, SALES, ("greeting", "done"), ("menu", "hung_up"), at=now - timedelta(hours=2),
        result="left", collected={"menu": "7"}, **over,
    )  # fmt: skip
    spoke = await a_call(
        stage.database, SERVICE, ("greeting", "done"), ("menu", "1"), ("sales", "answered"),
        caller="+79165550102", result="answered", queue="sales", **over,
    )  # fmt: skip
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page, rows = person.page, person.page.locator("#incoming tbody tr")
    await person.open("/incoming")
    await expect(rows).to_have_count(2)
    assert await rows.first.get_attribute("id") == f"in-{spoke}"
    await expect(rows.first).to_contain_text("greeting → menu → sales (answered)")
    await expect(rows.last).to_contain_text("menu (hung up)")
    await expect(rows.last).to_contain_text("menu = 7")
    for asked, found in (
        (f"dialled={SALES}", left),
        ("queue=sales", spoke),
        ("result=left", left),
        ("number=89165550102", spoke),
        (f"until={hour_ago:%Y-%m-%dT%H:%M}", left),
        (f"from={hour_ago:%Y-%m-%dT%H:%M}", spoke),
    ):
        await person.open(f"/incoming?{asked}")
        await expect(rows).to_have_count(1)
        assert await rows.get_attribute("id") == f"in-{found}", asked
    await person.open("/incoming?number=12")
    await expect(page.locator(".filters .fault")).to_contain_text("too few digits")
    await person.open("/incoming")
    await rows.first.locator("a").click()
    way = page.locator("section", has_text="Way through the flow").locator("tbody tr")
    await expect(way).to_have_count(3)
    await expect(way.last).to_contain_text("answered")


async def test_the_list_follows_what_happens(visit: Visitors, stage: Stage) -> None:
    """A caller who comes stands on top without anybody asking, as the filter has it."""
    await numbers(stage)
    person = await visit(Role.SUPERVISOR)
    await person.open(f"/incoming?dialled={SALES}")
    rows = person.page.locator("#incoming tbody tr")
    await expect(person.page.locator("#incoming")).to_contain_text("No calls.")
    await a_call(stage.database, SERVICE, ("greeting", None))
    await a_call(stage.database, SALES, ("greeting", None))
    async with stage.database.tenant(TENANT) as conn:
        about = {"attempt_id": "", "state": "flow", "result": None}
        await events.emit(conn, "call.state", about, tenant_id=TENANT, campaign_id=stage.campaign_id)
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("in the IVR")
