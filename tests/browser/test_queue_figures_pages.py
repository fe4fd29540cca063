"""Figures of queues in a browser, and those who wait on the live board."""

from __future__ import annotations

from datetime import timedelta

from playwright.async_api import expect
from sqlalchemy import insert
from support.browser import Visitors
from support.came import came_in
from support.stage import TENANT, Stage

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Role


async def waits(stage: Stage) -> None:
    """Waits of three hours in two queues, in one of which somebody waits still."""
    now = utc_now()
    async with stage.database.tenant(TENANT) as conn:
        call_id = await came_in(conn, stage.campaign_id, now, result="contained", reason="Цена")
        for n in range(60):
            at = now - timedelta(minutes=3 * n, seconds=40)
            ended = None if n == 0 else "abandoned" if n % 5 == 0 else "answered"
            over = {"left_at": at + timedelta(seconds=n % 35), "ended": ended} if ended else {}
            agent = {"agent_id": stage.agents[0]} if ended == "answered" else {}
            row = {
                "tenant_id": TENANT, "call_id": call_id, "n": n, "priority": 5, "entered_at": at, "since": at,
                "queue": "Продажи" if n % 3 == 0 else "Сервис",
            }  # fmt: skip
            await conn.execute(insert(t.queue_stay).values(row | over | agent))


async def test_a_supervisor_reads_what_queues_did(visit: Visitors, stage: Stage) -> None:
    """By queue and by interval, with a drawing, the formulas and the file; who waits is on the board."""
    await waits(stage)
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    begin = (utc_now() - timedelta(days=1)).strftime("%Y-%m-%dT00:00")
    address = f"/queues/figures?from={begin}&interval=60"
    await person.open(address)
    await expect(page.locator("#by-queue tbody tr", has_text="Сервис").locator("td").first).to_have_text("40")
    await expect(page.locator("#by-queue tfoot td").first).to_have_text("60")
    await expect(page.locator("#by-interval tbody tr").nth(1)).to_be_visible()
    await expect(page.locator("#containment b")).to_have_text("100.0%")
    await expect(page.locator("#by-flow tbody tr").first).to_contain_text("100.0%")
    await expect(page.locator("#by-reason")).to_contain_text("Цена 1")
    await expect(page.locator("#formulas tr")).to_have_count(7)
    href = await page.locator("a[download]").get_attribute("href")
    assert href is not None
    reply = await page.request.get(person.url + href)
    assert reply.ok
    assert "Сервис" in await reply.text()
    await person.open("/queues/figures?interval=7")
    await expect(page.locator("#fault-interval")).to_be_visible()
    await person.open(f"/campaigns/{stage.campaign_id}")
    await expect(page.locator("#waiting-callers li")).to_contain_text("1 Продажи")
