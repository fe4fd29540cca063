"""The browser as a phone: real Chromium with a microphone, real Asterisk, real carrier."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect
from support.browser import Visitors
from support.browser_phone import (
    BACKGROUND,
    agent,
    at_browser,
    connected,
    ear,
    human,
    packets,
    quiet,
    tone_share,
    until_voice,
    visitor,
    voice,
)
from support.centre import Centre
from support.line import OPUS_USER
from support.talks import grown, loudest

from dialer.agents.model import AgentState
from dialer.db.tables import audit
from dialer.httpkit.access import Role


@pytest.mark.parametrize("codec", ["PCMA", "opus"])
async def test_an_agent_talks_with_a_customer_by_the_browser(
    centre: Centre, desk: Visitors, codec: str
) -> None:
    """Logged in once, the phone of the page picks up by itself; a customer is joined to it. The voice is
    encrypted, in the codec that is offered first; packets go both ways, and each hears the other: the tone
    at the agent's microphone arrives as that tone at the far end."""
    if codec == "opus":
        while (await desk.web.user(Role.OPERATOR)).id < OPUS_USER - 1:
            pass
    person, agent_id = await at_browser(centre, desk)
    await centre.campaign([human()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.browser
    heard = await ear(centre)
    begin, end = await grown(centre, heard, 3)
    await until_voice(centre, person.page, sent=50, received=50, said=0.001, heard=0.001)
    now = await voice(person.page)
    assert now["codec"] == f"audio/{codec}"
    assert now["dtls"] == "connected"
    assert now["cipher"]
    assert tone_share(heard, begin, end) > 0.8
    await expect(person.page.locator("#phone-link")).to_have_text("good connection")
    said = await centre.floor.asterisk.cli("pjsip show channelstats")
    (line,) = [line for line in said.splitlines() if "dozvon-web" in line]
    assert codec.replace("PCMA", "alaw") in line
    for asterisk, channel in ((centre.floor.asterisk, "dozvon-web"), (centre.floor.carrier, "dialer")):
        assert min(await packets(asterisk, channel)) > 50
    assert shift.attempt_id is not None
    await centre.calls.hang_up(centre.actor, shift.attempt_id)
    await centre.until_agent(agent_id, AgentState.WRAP_UP)


#: Until the level of the microphone is high. Not by `wait_for_function`, which looks again by `eval`: that
#: the page forbids.
LOUD = """() => new Promise((loud) => {
    const look = () => {
        if (document.getElementById('phone-level').value > 0.3) loud(); else requestAnimationFrame(look);
    };
    look();
})"""


async def test_the_sound_is_checked_before_the_log_in(centre: Centre, desk: Visitors) -> None:
    """The agent hears the own voice back from Asterisk, sees the level of the microphone, and chooses it;
    afterwards the microphone is let go."""
    user, _ = await agent(desk.web, 0)
    person = await desk(user)
    page = person.page
    await person.open("/desk")
    await page.get_by_text("Sound", exact=True).click()
    await page.get_by_role("button", name="Hear yourself").click()
    await expect(page.locator("#phone-heard")).to_have_text(
        "Speak: you should hear yourself.", timeout=30_000
    )
    assert await page.locator("#phone-microphone option").count() > 0
    async with asyncio.timeout(30):
        await page.evaluate(LOUD)
    await expect(page.locator("#phone-heard")).to_have_text("You are heard.", timeout=30_000)
    await expect(page.locator("#phone-state")).to_have_text("The phone in this browser is off.")
    await expect(page.locator("#phone-level")).to_have_js_property("value", 0)


async def test_two_pages_do_not_fight_for_the_phone(centre: Centre, desk: Visitors) -> None:
    """The page that was opened last has it, with the leg; the one before says so and leaves it. When the
    last one is closed, the one before has the phone again by itself."""
    person, agent_id = await at_browser(centre, desk)
    page = person.page
    second = await person.context.new_page()
    await second.goto(person.url + "/desk")
    await connected(second)
    await expect(page.locator("#phone-state")).to_have_text("The phone is in another window.")
    await centre.until_agent(agent_id, AgentState.READY)
    await page.get_by_role("button", name="Use the phone here").click()
    await connected(page)
    await expect(second.locator("#phone-state")).to_have_text("The phone is in another window.")
    await page.close()
    await expect(second.get_by_text("it is connected again by itself")).to_be_visible()
    await connected(second)
    await centre.until_agent(agent_id, AgentState.READY)


async def test_a_supervisor_listens_and_whispers_by_the_browser(centre: Centre, desk: Visitors) -> None:
    """Who is no agent listens in the browser: hears the agent, is heard by the agent when whispering, and
    by the customer never; when it is over the microphone is let go."""
    person, agent_id = await at_browser(centre, desk)
    await centre.campaign([quiet()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id is not None
    heard = await ear(centre)
    boss = await visitor(desk, await desk.web.user(Role.SUPERVISOR))
    page = boss.page
    await boss.open("/agents")
    await page.get_by_role("button", name="Listen", exact=True).click()
    await expect(page.locator("#listens")).to_contain_text("neither of the two hears you")
    await connected(page)
    await until_voice(centre, page, heard=0.001)
    await centre.controls.mute(await centre.person(agent_id), shift.attempt_id, on=True)
    before = await voice(person.page)
    await until_voice(centre, page, received=100)
    assert (await voice(person.page))["heard"] < before["heard"] + 0.0001
    await page.get_by_role("button", name="Whisper").click()
    await until_voice(centre, person.page, heard=0.001)
    assert loudest(heard, *await grown(centre, heard, 2)) < 100
    await page.get_by_role("button", name="Listen no longer").click()
    await expect(page.locator("#phone-state")).to_have_text("The phone in this browser is off.")
    await expect(page.locator("#phone-level")).to_have_js_property("value", 0)
    logged = [(row.action, row.details.get("mode")) for row in await centre.rows(audit)]
    assert [mode for action, mode in logged if action == "agent.listen"] == ["listen", "whisper"]
    await centre.until_agent(agent_id, AgentState.TALKING)


async def silent(centre: Centre, heard: Path) -> bool:
    """Whether nothing is heard any more: what was on its way when a microphone was muted comes still."""
    return loudest(heard, *await grown(centre, heard, 2)) < 100


async def test_a_supervisor_barges_in_and_takes_over_by_the_browser(centre: Centre, desk: Visitors) -> None:
    """The customer hears who barges in; taken over, they talk with the supervisor, who ends it by the button;
    the agent wraps up. Each step is in the log of changes."""
    _, agent_id = await at_browser(centre, desk)
    await centre.campaign([quiet()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id is not None
    heard = await ear(centre)
    boss = await visitor(desk, await desk.web.user(Role.SUPERVISOR))
    page = boss.page
    await boss.open("/agents")
    await page.get_by_role("button", name="Listen", exact=True).click()
    await connected(page)
    await centre.controls.mute(await centre.person(agent_id), shift.attempt_id, on=True)
    await centre.until_seen("silence of the muted agent", lambda: silent(centre, heard))
    await page.get_by_role("button", name="Speak with both").click()
    await expect(page.locator("#listens")).to_contain_text("both hear you")
    assert loudest(heard, *await grown(centre, heard, 4)) > 1000
    await page.get_by_role("button", name="Take over").click()
    await expect(page.locator("#listens")).to_contain_text("You have the customer of")
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    assert loudest(heard, *await grown(centre, heard, 4)) > 1000
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.locator("#phone-state")).to_have_text("The phone in this browser is off.")
    await centre.dispose(shift.attempt_id)
    await centre.until_attempt(shift.attempt_id, "ended")
    logged = [(row.action, row.details.get("mode")) for row in await centre.rows(audit)]
    assert [mode for action, mode in logged if action == "agent.listen"] == ["listen", "barge"]
    assert "call.take_over" in [action for action, _ in logged]


async def test_a_page_in_the_background_pops_and_answers(centre: Centre, desk: Visitors) -> None:
    """Its timers ring once a second and nothing is painted: the phone is picked up by itself when it is
    called again, and the card is there, with its name in the title."""
    person, agent_id = await at_browser(centre, desk)
    page = person.page
    await page.evaluate(BACKGROUND)
    shift = await centre.until_agent(agent_id, AgentState.READY)
    async with centre.manager() as link:
        await link.send({"Action": "Hangup", "Channel": str(shift.leg)})
    await centre.until_agent(agent_id, AgentState.LOST)
    await centre.until_agent(agent_id, AgentState.READY, within_s=30)
    await centre.campaign([human()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    await until_voice(centre, page, sent=50, received=50, heard=0.001)
    await expect(page).to_have_title("● Клиент 0", timeout=30_000)
    await expect(page.locator(".card")).to_have_attribute("data-card", str(shift.attempt_id))
