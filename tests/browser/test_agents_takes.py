"""Which calls an agent takes, in a browser."""

from __future__ import annotations

from playwright.async_api import expect
from support.browser import Visitors
from support.stage import Stage

from dialer.httpkit.access import Role


async def test_a_supervisor_gives_an_agent_incoming_calls_only(visit: Visitors, stage: Stage) -> None:
    """Chosen in the row of the agent, and there after the next look."""
    person = await visit(Role.SUPERVISOR)
    await person.open("/agents")
    row = person.page.locator(f"#row-{stage.agents[0]}")
    await row.locator("select[name=takes]").select_option("inbound")
    await row.locator("form[action$='/takes'] button").click()
    await expect(row.locator("form[data-keep$='-inbound']")).to_have_count(1)
    await person.open("/agents")
    await expect(row.locator("select[name=takes]")).to_have_value("inbound")


async def test_a_new_agent_is_given_outgoing_calls_only(visit: Visitors, stage: Stage) -> None:
    """In the form with which a user is made an agent."""
    await stage.web.user(Role.OPERATOR)
    person = await visit(Role.SUPERVISOR)
    await person.open("/agents")
    await person.page.fill("#f-name", "Nina")
    await person.page.fill("#f-endpoint", "agent-nina")
    await person.page.select_option("#f-takes", "outbound")
    await person.page.click("form[action='/agents'] button:has-text('Add')")
    row = person.page.locator("tr", has_text="Nina")
    await expect(row.locator("select[name=takes]")).to_have_value("outbound")
