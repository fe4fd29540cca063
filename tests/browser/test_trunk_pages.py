"""Caps, tariffs and the health of trunks in a browser."""

from __future__ import annotations

from playwright.async_api import expect
from sqlalchemy import func, insert
from support.browser import Visitors
from support.stage import TENANT, Stage

from dialer.db import tables as t
from dialer.httpkit.access import Role


async def test_an_administrator_sets_caps_and_a_tariff(visit: Visitors, stage: Stage) -> None:
    """A line that is no tariff is named at its field; an emptied field takes the cap away."""
    person = await visit(Role.ADMINISTRATOR)
    person.expected.add(422)
    page = person.page
    await person.open("/trunks")
    await page.fill("#cap-channels", "40")
    await page.fill("#cap-spend", "5000,50")
    await page.click("form[action='/trunks/caps'] button")
    await expect(page.locator("#cap-channels")).to_have_value("40")
    await expect(page.locator("#cap-spend")).to_have_value("5000.5000")
    await page.fill("#cap-channels", "")
    await page.click("form[action='/trunks/caps'] button")
    await expect(page.locator("#cap-channels")).to_have_value("")

    own = f"form[action='/trunks/{stage.trunk_id}/caps']"
    await page.click("summary:has-text('Money and tariff')")
    await page.fill(f"{own} textarea", "+7 1,20\n+7916")
    await page.click(f"{own} button")
    await expect(page.locator("#fault-rates")).to_contain_text("each line has a prefix")
    await page.fill(f"{own} textarea", "+7 1,20\n+7916 0.95 0.1")
    await page.fill(f"#spend-{stage.trunk_id}", "300")
    await page.click(f"{own} button")
    await page.click("summary:has-text('Money and tariff')")
    await expect(page.locator(f"{own} textarea")).to_have_value("+7 1.2000 0.0000\n+7916 0.9500 0.1000\n")
    await expect(page.locator("tr", has_text="МТТ")).to_contain_text("0.00 / 300.00")


async def test_a_bad_trunk_and_refused_calls_are_seen(visit: Visitors, stage: Stage) -> None:
    """By a supervisor, in words and with the reason; who may not change caps has no form for them."""
    async with stage.web.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.trunk_load).values(
                tenant_id=TENANT,
                trunk_id=stage.trunk_id,
                channels=7,
                health="bad",
                health_since=func.now(),
                health_why="503",
            )
        )
        for _ in range(3):
            await conn.execute(
                insert(t.audit).values(
                    tenant_id=TENANT,
                    user_id=stage.users[0],
                    action="call.refused",
                    subject="campaign:1",
                    details={"reason": "no trunk of the campaign may call such numbers"},
                )
            )
    person = await visit(Role.SUPERVISOR, locale="ru")
    page = person.page
    await person.open("/trunks")
    below = page.locator("tr", has_text="МТТ").locator("xpath=following-sibling::tr[1]")
    await expect(below).to_contain_text("не работает с")
    await expect(below).to_contain_text("503")
    room = await below.bounding_box()
    assert room is not None
    assert room["height"] < 40, "the reason has a line to itself"
    await expect(
        page.locator("tr", has_text="транкам кампании на такие номера звонить нельзя")
    ).to_contain_text("3")
    assert await page.locator("#cap-channels").count() == 0
