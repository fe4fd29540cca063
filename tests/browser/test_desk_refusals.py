"""What the agent's page refuses: said in the words of the form, and for no longer than it is so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import update
from support.browser import Visitors
from support.desk import at_desk, talk
from support.promises import ROUND_THE_CLOCK
from support.stage import TENANT, Stage

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.i18n import translator


async def promise(page: Page, days: float, until: float | None = None) -> None:
    """Choose a call back so many days from now."""
    now = utc_now()
    await page.fill("#callback-at", f"{now + timedelta(days=days):%Y-%m-%dT%H:%M}")
    await page.fill("#callback-until", f"{now + timedelta(days=until):%Y-%m-%dT%H:%M}" if until else "")


@pytest.mark.parametrize("locale", ["en", "ru"])
async def test_a_refused_time_is_named_until_it_is_mended(visit: Visitors, stage: Stage, locale: str) -> None:
    """By the words of the form; said once, however often it is tried; gone when a good time is saved."""
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(ROUND_THE_CLOCK))
    says = translator(locale).gettext
    person = await at_desk(visit, stage, locale=locale)
    page, notices = person.page, person.page.locator("#notices")
    await talk(stage, stage.agents[0])
    person.expected.add(422)
    await promise(page, -2)
    for _ in range(2):
        async with page.expect_response("**/desk/disposition"):
            await page.click("button[value=callback]")
    await expect(notices.locator(".bad")).to_have_count(1)
    await expect(notices).to_contain_text(says("Call back at") + ":")
    await promise(page, 2, until=1)
    await expect(page.locator("#promise-outlook .fault")).to_have_text(says("must be after the beginning"))
    await page.click("button[value=callback]")
    await expect(notices).to_contain_text(says("Call back until") + ":")
    await expect(notices.locator(".bad")).to_have_count(1)
    await promise(page, 2)
    await page.click("button[value=callback]")
    await expect(page.locator("button.chosen[value=callback]")).to_be_visible()
    await expect(notices.locator(".bad")).to_have_count(0)


async def test_a_refusal_goes_with_its_customer(visit: Visitors, stage: Stage) -> None:
    """What was wrong with one call's form does not stand beside the next call."""
    person = await at_desk(visit, stage)
    page, agent_id = person.page, stage.agents[0]
    attempt_id = await talk(stage, agent_id)
    person.expected.add(422)
    await promise(page, -2)
    await page.click("button[value=callback]")
    await expect(page.locator("#notices .bad")).to_have_count(1)
    await stage.put(agent_id, "ready", None)
    await stage.change(attempt_id, agent_id, state="ended", ended_at=utc_now())
    await expect(page.locator(".waiting")).to_be_visible()
    await expect(page.locator("#notices .bad")).to_have_count(0)
