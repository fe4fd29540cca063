"""What flows name, in a browser: hours, offers, servers and destinations are kept, and go with a warning."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect
from support.browser import Visitors
from support.flow_pages import BOSS, document
from support.kept_things import kept_things
from support.stage import Stage

from dialer.hours.http import HOURS
from dialer.httpkit.access import Role
from dialer.inbound.http import INBOUND


def naming_flow() -> dict[str, Any]:
    """The flow `reception` that looks at the hours `Salon`, asks, offers, and rings the head office."""
    ways = {"default": "end"}
    states: tuple[dict[str, Any], ...] = (
        {"type": "schedule", "properties": {"hours": "Salon"}},
        {"type": "http_request", "properties": {"url": "https://crm.example.org/who"}},
        {"type": "offer", "properties": {"place": "after", "prompt": "One is yes."}},
        {"type": "dial", "properties": {"targets": ["head office"]}},
    )
    named = [{"name": f"s{n}", "transitions": ways, **one} for n, one in enumerate(states)]
    for n, one in enumerate(named[:-1]):
        one["transitions"] = {"default": f"s{n + 1}"}
    return {**document(), "initial_state": "s0", "states": [*named, {"name": "end", "type": "hangup"}]}


async def test_hours_are_made_and_changed(visit: Visitors, stage: Stage) -> None:
    """A field a day; what is wrong stands there with what was typed; days that are alike are kept as one."""
    person = await visit(Role.SUPERVISOR)
    person.expected |= {409, 422}
    page = person.page
    await person.open("/hours")
    await expect(page.locator("main")).to_contain_text("There are no hours yet.")
    await page.click("text=New hours")
    await page.fill("#f-name", "Salon")
    await page.fill("#f-mon", "9-18")
    await page.click("button:has-text('Save')")
    await expect(page.locator("#fault-week")).to_contain_text("write it as 09:30")
    await expect(page.locator("#f-mon")).to_have_value("9-18")
    await page.fill("#f-mon", "09:00-18:00")
    await page.fill("#f-exceptions", "2026-12-31 closed")
    await page.click("button:has-text('Save')")
    await expect(page.locator("#fault-exceptions")).to_contain_text("a colon")
    await page.fill("#f-exceptions", "2026-12-31: closed")
    await page.click("button:has-text('Save')")
    row = page.locator("tbody tr")
    await expect(row).to_contain_text("Monday – Friday: 09:00-18:00")
    await expect(row).to_contain_text("1 date")
    (kept,) = await stage.web.app[HOURS].hours(BOSS)
    assert (kept.opening.week, kept.opening.exceptions) == (
        {"mon-fri": "09:00-18:00"},
        {"2026-12-31": "closed"},
    )
    await row.locator("a").click()
    await page.fill("#f-wed", "")
    await page.click("button:has-text('Save')")
    await expect(row).to_contain_text("Thursday – Friday: 09:00-18:00")


@pytest.mark.parametrize("where", ["hours", "offers", "hosts", "destinations"])
async def test_what_flows_name_goes_with_a_warning(visit: Visitors, stage: Stage, where: str) -> None:
    """The page says which flows name it; it is deleted when that is meant all the same."""
    await kept_things(stage.web.app)
    service = stage.web.app[INBOUND]
    await service.publish(BOSS, "reception", (await service.write(BOSS, naming_flow())).version, "live")
    person = await visit(Role.ADMINISTRATOR)
    person.expected.add(409)
    page = person.page
    await person.open(f"/{where}")
    row = page.locator("tbody tr", has_text="reception")
    await row.locator("a").first.click()
    await page.click("button:has-text('Delete')")
    await expect(page.locator("main .strip.bad")).to_contain_text("reception")
    await page.click("button:has-text('Delete all the same')")
    await page.wait_for_url(f"**/{where}")
    await expect(page.locator("tbody tr", has_text="reception")).to_have_count(0)


async def test_another_name_is_a_warning_too(visit: Visitors, stage: Stage) -> None:
    """Flows go by the old one; the form has a button for whoever means it."""
    await kept_things(stage.web.app)
    service = stage.web.app[INBOUND]
    await service.publish(BOSS, "reception", (await service.write(BOSS, naming_flow())).version, "live")
    person = await visit(Role.SUPERVISOR)
    person.expected.add(409)
    page = person.page
    await person.open("/hours/1")
    await page.fill("#f-name", "Office")
    await page.click("button:has-text('Save')")
    await expect(page.locator("main .strip.bad")).to_contain_text("reception")
    await page.click("button:has-text('Save all the same')")
    await expect(page.locator("tbody tr")).to_contain_text("Office")


async def test_a_secret_never_comes_back(visit: Visitors, stage: Stage) -> None:
    """Neither in the list nor in the form; left empty it stays."""
    await kept_things(stage.web.app)
    person = await visit(Role.ADMINISTRATOR)
    page = person.page
    await person.open("/hosts")
    await page.locator("tbody a").click()
    await expect(page.locator("#f-secret")).to_have_value("")
    await page.check("#f-inside")
    await page.click("button:has-text('Save')")
    await expect(page.locator("tbody tr")).to_contain_text("with a secret")
    await expect(page.locator("tbody tr")).to_contain_text("in your own network")
    assert "s3cret" not in await page.content()


async def test_a_supervisor_looks_at_what_only_an_administrator_changes(
    visit: Visitors, stage: Stage
) -> None:
    """Servers and destinations: the form is shut, and has no button."""
    await kept_things(stage.web.app)
    person = await visit(Role.SUPERVISOR)
    for where in ("hosts", "destinations"):
        await person.open(f"/{where}/1")
        assert await person.page.locator("main button").count() == 0
        assert await person.page.locator("fieldset[disabled]").count() == 1
