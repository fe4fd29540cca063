"""What-if by page and API, with a simulator that is really asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import expect
from sqlalchemy import update
from support.browser import Visitors
from support.stage import TENANT, Stage, set_stage
from support.web import Web, second_tenant

from dialer.boards.what_if_http import WHAT_IF
from dialer.db import tables as t
from dialer.httpkit.access import Role


@pytest.fixture
async def busy(pages: Web) -> Stage:
    """A campaign with a morning of calls that tell of its people, and a time for answers that a test has."""
    found = await set_stage(pages, calls=160)
    service = pages.app[WHAT_IF]
    service._bound_s = 6.0
    return found


async def test_two_agents_more_are_simulated_beside_what_is(visit: Visitors, busy: Stage) -> None:
    """By the API and on the page: more talks an hour, from the campaign's own figures."""
    path = f"/campaigns/{busy.campaign_id}/what-if"
    program = await visit.web.program(Role.SUPERVISOR)
    reply = await program.call("POST", f"~{path}", {"agents_more": 2})
    assert reply.status == 200, reply.text
    now, then = reply.json["now"], reply.json["then"]
    assert (now["agents"], then["agents"], now["mode"]) == (5, 7, "progressive")
    assert then["contacts_per_hour"] > now["contacts_per_hour"] > 0
    assert then["ends_in_s"] < now["ends_in_s"]
    assert (reply.json["abandon_limit"], reply.json["talks"] >= 20) == (0.03, True)
    person = await visit(Role.SUPERVISOR, locale="ru")
    await person.open(f"/campaigns/{busy.campaign_id}")
    await expect(person.page.locator(f"a[href='{path}']")).to_have_text("Что если?")
    await person.open(path)
    await person.page.fill("#f-agents_more", "-1")
    await person.page.click("text=Смоделировать")
    answer = person.page.locator("#answer table")
    await expect(answer).to_contain_text("Разговоров в час", timeout=30_000)
    await expect(person.page.locator("#answer h2")).to_have_text("4 оператора, прогрессивный")


async def test_a_running_campaign_is_tuned(visit: Visitors, busy: Stage) -> None:
    """By the answer's button and by the form, as it runs; what the policy forbids is refused, and what is not
    its pace."""
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open(f"/campaigns/{busy.campaign_id}/what-if")
    await page.select_option("#f-mode", "power")
    await page.fill("#f-ratio", "1.8")
    await page.get_by_role("button", name="Simulate").click()
    await page.get_by_role("button", name="Set it so").click(timeout=30_000)
    await expect(page.locator("#answer")).to_contain_text("So it dials from now on: power, 1.8 calls")
    program = await visit.web.program(Role.SUPERVISOR)
    path = f"~/campaigns/{busy.campaign_id}"
    now = (await program.call("GET", path)).json
    assert (now["status"], now["mode"], now["ratio"]) == ("running", "power", 1.8)
    await page.select_option("#f-mode", "predictive")
    await page.fill("#f-ratio", "")
    await page.fill("#f-abandon_target", "2")
    await page.get_by_role("button", name="Set it now").click()
    await expect(page.locator("#answer")).to_contain_text("predictive, 2.0% abandoned at most")
    refused = await program.call("PATCH", path, {"abandon_target": 0.5})
    assert (refused.status, refused.json["type"]) == (409, "/problems/campaign-not-ready")
    for change in ({"name": "Other"}, {"mode": "manual"}):
        refused = await program.call("PATCH", path, change)
        assert (refused.status, refused.json["type"]) == (409, "/problems/wrong-state")
    assert (await program.call("GET", path)).json["abandon_target"] == 0.02


async def test_what_makes_no_sense_is_refused_at_once(pages: Web, busy: Stage, owner_url: str) -> None:
    """Nothing changed, nobody left, more abandoned than the law allows, a mode that is not paced; a campaign
    of another tenant is not there, and an operator does not ask."""

    async def none(*_asked: Any) -> list[Any]:
        raise AssertionError("it was simulated")

    pages.app[WHAT_IF]._simulate = none
    path = f"~/campaigns/{busy.campaign_id}/what-if"
    program = await pages.program(Role.SUPERVISOR)
    for body in ({}, {"agents_more": -5}, {"abandon_target": 0.04}, {"mode": "manual"}, {"ratio": 0}):
        assert (await program.call("POST", path, body)).status == 422, body
    operator = await pages.browser(Role.OPERATOR)
    assert (await operator.call("POST", path, {"agents_more": 1})).status == 403
    assert (await operator.call("GET", path[1:])).status == 403
    other = await pages.program(Role.SUPERVISOR, tenant_id=await second_tenant(owner_url))
    assert (await other.call("POST", path, {"agents_more": 1})).status == 404
    async with busy.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(mode="preview"))
    assert (await program.call("POST", path, {"agents_more": 1})).status == 409


async def test_who_asks_while_another_does_is_told_so(pages: Web, busy: Stage) -> None:
    """At once, before anything is read: not even that there is no such campaign is looked up."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def slow(*_asked: Any) -> list[Any]:
        begun.set()
        await over.wait()
        return []

    pages.app[WHAT_IF]._simulate = slow
    program = await pages.program(Role.SUPERVISOR)
    first = asyncio.create_task(
        program.call("POST", f"~/campaigns/{busy.campaign_id}/what-if", {"agents_more": 1})
    )
    async with asyncio.timeout(60):
        await begun.wait()
    assert (await program.call("POST", "~/campaigns/999/what-if", {"agents_more": 1})).status == 409
    over.set()
    assert "no time" in (await first).json["detail"]
    assert (await program.call("POST", "~/campaigns/999/what-if", {"agents_more": 1})).status == 404


async def test_a_young_campaign_is_told_that_it_is_too_early(pages: Web, stage: Stage) -> None:
    """Forty calls tell nothing."""
    program = await pages.program(Role.SUPERVISOR)
    reply = await program.call("POST", f"~/campaigns/{stage.campaign_id}/what-if", {"agents_more": 1})
    assert (reply.status, "100 calls" in reply.json["detail"]) == (409, True)
