"""A shift by the browser alone: twenty real calls, by the keyboard."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.async_api import expect
from support.browser import Visitors
from support.browser_phone import at_browser, human, until_voice
from support.centre import Centre
from support.talk_scripts import published

from dialer.agents.model import AgentState, Shift, Takes

CALLS = 20


@pytest.mark.timeout(600)
async def test_an_agent_takes_twenty_calls_by_the_browser(centre: Centre, desk: Visitors) -> None:
    """Each pops with its person, is heard both ways, and is disposed of by a key; in one the script is
    walked, one customer is held, and one is handed over. The phone is called once in all of it."""
    await published(centre.database, centre.actor)
    person, agent_id = await at_browser(centre, desk)
    (other,) = await centre.add_agents(phones=["agent-1"], takes=Takes.INBOUND)
    page, keyboard = person.page, person.page.keyboard
    await centre.campaign([human(n) for n in range(CALLS)], script="visit")
    legs: set[UUID | None] = set()
    talks: set[UUID] = set()
    for n in range(CALLS):
        shift = await talking_again(centre, agent_id, talks)
        assert shift.attempt_id is not None
        legs.add(shift.leg)
        talks.add(shift.attempt_id)
        await expect(page.locator(".card")).to_have_attribute("data-card", str(shift.attempt_id))
        await expect(page.locator("#customer")).to_have_text(f"Клиент {n}")
        await until_voice(centre, page, sent=25, received=25, said=0.0001, heard=0.0001)
        match n:
            case 1:  # the script
                await expect(page.locator("#script button[data-first]")).to_be_visible()
                await keyboard.press("Shift+N")
                await expect(page.locator("#say")).to_have_text("Is it convenient to talk?")
                await keyboard.press("Shift+Digit1")
                await expect(page.locator("#collected")).to_contain_text("1 of 2")
            case 2:  # hold
                await keyboard.press("h")
                await expect(page.locator("#on-hold")).to_be_visible()
                await keyboard.press("h")
                await expect(page.locator("#on-hold")).to_be_hidden()
                await until_voice(centre, page, received=25, heard=0.0001)
            case 3:  # transfer
                await keyboard.press("t")
                await keyboard.press("Tab")
                await keyboard.press("Enter")
                await centre.until_agent(other, AgentState.TALKING)
                await centre.calls.hang_up(centre.actor, shift.attempt_id)
                await centre.until_agent(other, AgentState.WRAP_UP)
                await centre.dispose(shift.attempt_id)
                continue
        await page.get_by_role("button", name="End the call").press("Enter")
        await centre.until_agent(agent_id, AgentState.WRAP_UP)
        await expect(page.locator("#my-state")).to_have_text("Wrap-up")
        await keyboard.press("1")
    await centre.until_agent(agent_id, AgentState.READY)
    assert len(legs) == 1
    assert len(talks) == CALLS
    ended = await centre.until_attempts(CALLS, "ended")
    assert {(one.result, one.disposed_at is not None) for one in ended} == {("answered", True)}


async def talking_again(centre: Centre, agent_id: int, before: set[UUID]) -> Shift:
    """Wait for a talk that is none of those before."""

    async def there() -> Shift | None:
        shift = await centre.shift(agent_id)
        talks = shift is not None and shift.state is AgentState.TALKING and shift.attempt_id not in before
        return shift if talks else None

    found: Shift = await centre.until("the next talk", there, within_s=30)
    return found
