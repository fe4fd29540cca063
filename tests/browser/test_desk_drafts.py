"""What an agent has typed of a call, and a page that is loaded again."""

from __future__ import annotations

from datetime import timedelta

from playwright.async_api import expect
from support.browser import Visitors
from support.desk import at_desk, talk
from support.stage import Stage

from dialer.clock import utc_now


async def test_a_note_outlives_the_page_and_not_its_call(visit: Visitors, stage: Stage) -> None:
    """Loaded again in the talk and in the wrap-up, the page has the note, the time of the promise and who
    keeps it.
    When it is said what the talk came to, the browser keeps nothing of it."""
    person = await at_desk(visit, stage)
    page, agent_id = person.page, stage.agents[0]
    call_id = await talk(stage, agent_id)
    at = f"{utc_now() + timedelta(days=2):%Y-%m-%dT%H:%M}"
    await page.fill("#note", "просил <b>Kia</b> 😀")
    await page.fill("#callback-at", at)
    await page.select_option("#callback-by", "")
    await page.reload()
    await expect(page.locator("#note")).to_have_value("просил <b>Kia</b> 😀")
    await stage.put(agent_id, "wrap_up", call_id)
    await stage.change(call_id, agent_id, state="wrap_up", hung_up_at=utc_now())
    await expect(page.locator("#my-state")).to_have_text("Wrap-up")
    await page.reload()
    await expect(page.locator("#note")).to_have_value("просил <b>Kia</b> 😀")
    await expect(page.locator("#callback-at")).to_have_value(at)
    await expect(page.locator("#callback-by")).to_have_value("")
    await page.locator("button.k-refusal").first.click()
    await expect(page.locator("#my-state")).to_have_text("Ready")
    await expect(page.locator(".waiting")).to_be_visible()
    assert "Kia" not in await page.evaluate("JSON.stringify({ ...sessionStorage })")


async def test_a_note_outlives_a_lost_phone(visit: Visitors, stage: Stage) -> None:
    """While the phone is gone the agent is shown no call, also on a page that is loaded again or that was
    made as the phone went; with the customer the note is back, and what is typed since then stays. The next
    call begins without it."""
    person = await at_desk(visit, stage)
    page, agent_id = person.page, stage.agents[0]
    call_id = await talk(stage, agent_id)
    await page.fill("#note", "в четверг")
    for state in ("lost", "talking"):
        await stage.put(agent_id, state)
        await expect(page.locator(".waiting")).to_be_visible()
        await stage.put(agent_id, "talking", call_id)
        await expect(page.locator("#note")).to_have_value("в четверг")
    await stage.put(agent_id, "lost")
    await expect(page.locator(".waiting")).to_be_visible()
    async with page.expect_response(lambda reply: "agent=me" in reply.url):
        await page.reload()
    await stage.put(agent_id, "talking", call_id)
    await expect(page.locator("#note")).to_have_value("в четверг")
    await page.fill("#note", "в пятницу")
    await stage.put(agent_id, "talking", call_id)
    await expect(page.locator("#note")).to_have_value("в пятницу")
    await talk(stage, agent_id)
    await expect(page.locator("#note")).to_have_value("")
    assert "пятницу" not in await page.evaluate("JSON.stringify({ ...sessionStorage })")
