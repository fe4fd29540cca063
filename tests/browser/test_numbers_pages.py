"""Numbers that people call, in a browser: led to a flow, changed, deleted or switched off."""

from __future__ import annotations

from playwright.async_api import expect
from support.browser import Visitors
from support.flow_pages import BOSS, a_call, a_flow
from support.stage import Stage

from dialer.httpkit.access import Role
from dialer.inbound.http import INBOUND


async def test_a_supervisor_leads_a_number_to_a_flow(visit: Visitors, stage: Stage) -> None:
    """What is wrong stands at its field, the form keeps what was typed, the list says what is unpublished."""
    service = stage.web.app[INBOUND]
    await a_flow(service, "reception", publish=False)
    person = await visit(Role.SUPERVISOR)
    person.expected |= {409, 422}
    page = person.page
    await person.open("/numbers")
    await expect(page.locator("main")).to_contain_text("There is no number yet.")
    await page.click("text=New number")
    await page.fill("#f-number", "seven")
    await page.fill("#f-name", "Sales")
    await page.select_option("#f-flow", "reception")
    await page.select_option("#f-campaign_id", str(stage.campaign_id))
    await page.click("button:has-text('Save')")
    await expect(page.locator("#fault-number")).to_contain_text("2 to 20 digits")
    await expect(page.locator("#f-name")).to_have_value("Sales")
    await page.fill("#f-number", "+7 495 777-01-01")
    await page.fill("#f-queue", "sales")
    await page.click("button:has-text('Save')")
    row = page.locator("tbody tr")
    await expect(row).to_contain_text("777 01 01")
    await expect(row).to_contain_text("nothing is published")
    await service.publish(BOSS, "reception", 1, "live")
    await person.open("/numbers")
    await expect(row).to_contain_text("version 1")

    await page.click("text=New number")
    await page.fill("#f-number", "7 495 7770101")
    await page.select_option("#f-flow", "reception")
    await page.select_option("#f-campaign_id", str(stage.campaign_id))
    await page.click("button:has-text('Save')")
    await expect(page.locator("form .strip.bad")).to_contain_text("is taken")


async def test_a_number_that_was_called_is_switched_off(visit: Visitors, stage: Stage) -> None:
    """It is not deleted, since calls name it; one that nobody called goes."""
    service = stage.web.app[INBOUND]
    await a_flow(service, "reception")
    for number in ("74957770101", "74957770102"):
        values = {"number": number, "name": "", "campaign_id": stage.campaign_id, "queue": ""}
        await service.add_number(BOSS, "reception", {**values, "test": False, "active": True})
    await a_call(stage.database, "74957770101")
    person = await visit(Role.SUPERVISOR)
    person.expected.add(409)
    page = person.page
    await person.open("/numbers")
    await page.locator("tbody a[href^='/numbers/']").first.click()
    await page.click("button:has-text('Delete the number')")
    await expect(page.locator("form .strip.bad")).to_contain_text("switch it off")
    await page.uncheck("#f-active")
    await page.check("#f-test")
    await page.click("button:has-text('Save')")
    first = page.locator("tbody tr").first
    await expect(first).to_contain_text("off")
    await expect(first).to_contain_text("test")
    await page.locator("tbody a[href^='/numbers/']").last.click()
    await page.click("button:has-text('Delete the number')")
    await expect(page.locator("tbody tr")).to_have_count(1)


async def test_one_rule_of_missed_calls_for_all_numbers(visit: Visitors, stage: Stage) -> None:
    """Numbers that say nothing of their own go by it, and their form says what it is."""
    await a_flow(stage.web.app[INBOUND])
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    await person.open("/numbers")
    await page.select_option("#f-rule", "queue")
    await page.evaluate("document.querySelector('#missed form').noValidate = true")
    await page.fill("#f-after_s", "4000")
    await page.click("#missed button")
    await expect(page.locator("#fault-after_s")).to_be_visible()
    await expect(page.locator("#f-rule")).to_have_value("queue")
    await page.fill("#f-after_s", "20")
    await page.click("#missed button")
    await expect(page.locator("#fault-after_s")).to_have_count(0)
    await expect(page.locator("#f-after_s")).to_have_value("20")
    await page.click("text=New number")
    await expect(page.locator("#f-missed_rule option:checked")).to_have_text("as for all numbers")
    await expect(page.locator("main")).to_contain_text("for all numbers: who waited in a queue")
