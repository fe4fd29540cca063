"""Policies and hours in a browser: one's own with versions, hours by weekday, what a policy forbids."""

from __future__ import annotations

from playwright.async_api import expect
from support.browser import Visitors
from support.stage import TENANT, Stage

from dialer.campaigns.service import CampaignService
from dialer.httpkit.access import Actor, Role


async def test_a_policy_of_ones_own_is_made_and_changed(visit: Visitors, stage: Stage) -> None:
    """From one that comes along; a wrong hour is named; the next version stands above the first."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    person.expected |= {422}
    page = person.page
    await person.open("/policies")
    await page.click("h2 a:has-text('взыскание задолженности')")
    await page.click("text=Сделать из них свои")
    assert await page.input_value("#f-working") == "08:00-22:00"
    await page.fill("#f-code", "our-debts")
    await page.fill("#f-working", "20:00-10:00")
    await page.click("button:has-text('Сохранить')")
    await expect(page.locator("#fault-working")).to_contain_text("часы пишут как")
    await page.fill("#f-working", "10:00-13:00, 14:00-19:00")
    await page.click("button:has-text('Сохранить')")
    await page.wait_for_url("**/policies/our-debts")
    await expect(page.locator("main")).to_contain_text("10:00-13:00, 14:00-19:00")
    await page.click("text=Изменить: новая версия")
    await page.fill("#f-per_week", "1")
    await page.fill("#f-moved", "2027-02-20 working")
    await page.click("button:has-text('Сохранить')")
    await page.wait_for_url("**/policies/our-debts")
    await expect(page.locator("main")).to_contain_text("our-debts/2")
    await expect(page.locator("details")).to_have_count(2)


async def test_hours_by_weekday_and_what_a_policy_forbids(visit: Visitors, stage: Stage) -> None:
    """The form says at once that advertising under the Russian policy is not predictive; hours come back."""
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/campaigns/new")
    await page.fill("#f-name", "Winter")
    await page.select_option("#f-policy", "ru-38fz")
    await page.select_option("#f-purpose", "advertising")
    await page.check("input[value=predictive]")
    told = page.locator("#rules-check")
    await expect(told).to_contain_text("38-FZ, article 18, part 2")
    await page.check("input[value=preview]")
    await expect(told).not_to_contain_text("38-FZ")
    await page.click("summary:has-text('Other hours')")
    await page.fill("#f-week-sat", "10:00-13:00, 14:00-16:00")
    await page.fill("#f-week-sun", "-")
    await page.fill("#f-exceptions", "2026-12-31 09:00-15:00\n2027-01-08 -")
    await page.uncheck("#f-on_holidays")
    await page.click("button:has-text('Save')")
    await page.wait_for_url(lambda url: url.rstrip("0123456789").endswith("/campaigns/"))
    campaign_id = int(page.url.rsplit("/", 1)[1])
    made = (await CampaignService(stage.database).campaign(Actor.server(TENANT), campaign_id)).campaign
    assert made.week == {"sat": ["10:00-13:00", "14:00-16:00"], "sun": []}
    assert made.exceptions == {"2026-12-31": ["09:00-15:00"], "2027-01-08": []}
    assert (made.purpose, made.on_holidays) == ("advertising", False)
    await person.open(f"/campaigns/{campaign_id}/edit")
    assert await page.input_value("#f-week-sun") == "-"
    assert await page.input_value("#f-exceptions") == "2026-12-31 09:00-15:00\n2027-01-08 -"
