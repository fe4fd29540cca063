"""A shift by the browser and the keyboard alone: real calls from the log-in to the log-out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from playwright.async_api import Page, expect
from support.browser import Visitors
from support.browser_phone import agent, ear, human, packets, tone_share, until_voice, visitor
from support.centre import Centre
from support.keyboard import pointers, tab_to
from support.prompts_of import add_prompt
from support.talk_scripts import published
from support.talks import grown
from support.web import PASSWORD

from dialer.agents.model import AgentState, Shift, Takes
from dialer.httpkit.access import Actor
from dialer.httpkit.i18n import translator
from dialer.web.words import word


@dataclass(slots=True)
class Desk:
    """An agent at work, and who works beside."""

    centre: Centre
    page: Page
    locale: str
    colleague: int
    #: the present talk
    call_id: UUID

    def says(self, text: str) -> str:
        """A text of the page in its language."""
        return translator(self.locale).gettext(text)

    async def press(self, *keys: str) -> None:
        """These keys; with Alt they work in a field, too."""
        for key in keys:
            await self.page.keyboard.press(key)

    async def state(self, name: str) -> None:
        """Wait until the page shows the agent in this state."""
        shown = word(self.locale, "agents", name)
        await expect(self.page.locator("#my-state")).to_have_text(shown)

    async def third(self, name: str) -> None:
        """Wait until the page shows the third party at this stage."""
        stage = word(self.locale, "third", name)
        await expect(self.page.locator("#third")).to_contain_text(stage)

    async def colleague_ends_it(self) -> None:
        """The colleague, who has the customer now, ends the call and is free again."""
        centre = self.centre

        async def has_them() -> bool:
            (call,) = [one for one in await centre.attempts() if one.id == self.call_id]
            return (call.state, call.agent_id) == ("connected", self.colleague)

        await centre.until("the colleague has the customer", has_them)
        await centre.until_agent(self.colleague, AgentState.TALKING)
        await centre.calls.hang_up(centre.actor, self.call_id)
        await centre.until_agent(self.colleague, AgentState.WRAP_UP)
        await centre.dispose(self.call_id)
        await centre.until_agent(self.colleague, AgentState.READY)


async def far_end(desk: Desk) -> bool:
    """The agent's tone is what the customer hears, and packets come and go at the carrier, too."""
    heard = await ear(desk.centre)
    assert tone_share(heard, *await grown(desk.centre, heard, 3)) > 0.8
    received, sent = await packets(desk.centre.floor.carrier, "dialer")
    assert min(received, sent) > 50
    return True


async def script(desk: Desk) -> bool:
    """Two steps of it."""
    await expect(desk.page.locator("#script button[data-first]")).to_be_visible()
    await desk.press("Shift+N")
    await expect(desk.page.locator("#say")).to_have_text("Is it convenient to talk?")
    await desk.press("Shift+Digit1")
    collected = desk.says("required: %(many)s of %(whole)s") % {"many": 1, "whole": 2}
    await expect(desk.page.locator("#collected")).to_contain_text(collected)
    return True


async def hold(desk: Desk) -> bool:
    """The customer is on hold, and the state says so; then they hear each other again."""
    await desk.press("Alt+h")
    await desk.state("hold")
    await desk.press("Alt+h")
    await desk.state("talking")
    await until_voice(desk.centre, desk.page, received=25, heard=0.0001)
    return True


async def transfer(desk: Desk) -> bool:
    """Blind, to a colleague; the agent is free at once."""
    await desk.press("Alt+t", "Tab", "Enter")
    await desk.colleague_ends_it()
    return False


async def attended(desk: Desk) -> bool:
    """The colleague is asked first, and then left with the customer."""
    await desk.press("Alt+t", "Alt+a")
    await desk.third("talking")
    await desk.press("Alt+o")
    await desk.colleague_ends_it()
    return False


async def conference(desk: Desk) -> bool:
    """All three talk; then the colleague is let go."""
    await desk.press("Alt+t", "Alt+a")
    await desk.third("talking")
    await desk.press("Alt+j")
    await desk.third("joined")
    await until_voice(desk.centre, desk.page, sent=25, received=25, heard=0.0001)
    await desk.press("Alt+b")
    await desk.centre.until_agent(desk.colleague, AgentState.READY)
    await desk.third("left")
    await until_voice(desk.centre, desk.page, sent=25, received=25, heard=0.0001)
    return True


async def message(desk: Desk) -> bool:
    """A recorded message plays on without the agent, who says what it came to."""
    await desk.press("Alt+l", "Tab", "Enter")
    await desk.state("wrap_up")
    await desk.press("Alt+Digit1")
    return False


async def digits(desk: Desk) -> bool:
    """For the far end; the field is empty when they are sent."""
    await desk.press("Alt+k")
    await desk.page.keyboard.type("12#")
    await desk.press("Enter")
    await expect(desk.page.locator("#keys")).to_have_value("")
    return True


async def correct(desk: Desk) -> bool:
    """The name on the card, which is another one at once."""
    await desk.press("Alt+c", "Control+a")
    await desk.page.keyboard.type("Новиков")
    await desk.press("Tab")
    await expect(desk.page.locator("#customer")).to_have_text("Новиков")
    return True


#: What is done in a talk; whether the agent has to end it.
Deed = Callable[[Desk], Awaitable[bool]]
ALL: tuple[Deed, ...] = (
    far_end, script, hold, transfer, attended, conference, message, digits, correct
)  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("locale", "calls", "deeds"),
    [("en", 20, ALL), ("ru", 4, (script, hold, conference, attended))],
    ids=["twenty calls", "in Russian"],
)
async def test_a_shift_without_a_mouse(
    centre: Centre, desk: Visitors, locale: str, calls: int, deeds: tuple[Deed, ...]
) -> None:
    """Log in, be ready, and each call pops with its person, is heard both ways, and is disposed of by a key;
    in between is done what can be done in a talk. The phone is called once in all of it. Then log out. No
    pointer has touched a page."""
    await published(centre.database, centre.actor)
    await add_prompt(centre, "bye")
    user, agent_id = await agent(desk.web, 0)
    await desk.web.users.change(Actor.server(1), user.id, locale=locale)
    person = await visitor(desk, None, locale=locale)
    page, keyboard, pointed = person.page, person.page.keyboard, await pointers(person.context)
    (colleague,) = await centre.add_agents(phones=["agent-1"], takes=Takes.INBOUND)
    at = Desk(centre, page, locale, colleague, UUID(int=0))

    await person.open("/login")
    await expect(page.locator("#login")).to_be_focused()
    await keyboard.type(user.login)
    await keyboard.press("Tab")
    await keyboard.type(PASSWORD)
    await keyboard.press("Enter")
    await tab_to(page, page.get_by_role("button", name=at.says("Log in with this browser")))
    await keyboard.press("Enter")
    await centre.until_agent(agent_id, AgentState.PAUSED)
    await expect(page.locator("#phone")).to_have_attribute("data-state", "up")
    await at.state("paused")
    await keyboard.press("g")
    await centre.until_agent(agent_id, AgentState.READY)

    await centre.campaign([human(n) for n in range(calls)], script="visit")
    legs: set[UUID | None] = set()
    talks: set[UUID] = set()
    for n in range(calls):
        shift = await talking_again(centre, agent_id, talks)
        assert shift.attempt_id is not None
        legs.add(shift.leg)
        talks.add(shift.attempt_id)
        at.call_id = shift.attempt_id
        await expect(page.locator(".card")).to_have_attribute("data-card", str(shift.attempt_id))
        await expect(page.locator("#customer")).to_have_text(f"Клиент {n}")
        await until_voice(centre, page, sent=25, received=25, said=0.0001, heard=0.0001)
        if n < len(deeds) and not await deeds[n](at):
            continue
        await keyboard.press("Alt+e")
        await at.state("wrap_up")
        await keyboard.press("Alt+Digit1")

    await centre.until_agent(agent_id, AgentState.READY)
    assert len(legs) == 1
    assert len(talks) == calls
    ended = await centre.until_attempts(calls, "ended")
    assert {(one.result, one.disposed_at is not None) for one in ended} == {("answered", True)}

    await tab_to(page, page.get_by_role("button", name=at.says("Log out of the phone")))
    await keyboard.press("Enter")
    await at.state("offline")
    await tab_to(page, page.get_by_role("button", name=at.says("Log out"), exact=True))
    await keyboard.press("Enter")
    await page.wait_for_url("**/login*")
    assert await centre.shift(agent_id) is None
    assert pointed == []


async def talking_again(centre: Centre, agent_id: int, before: set[UUID]) -> Shift:
    """Wait for a talk that is none of those before."""

    async def there() -> Shift | None:
        shift = await centre.shift(agent_id)
        talks = shift is not None and shift.state is AgentState.TALKING and shift.attempt_id not in before
        return shift if talks else None

    found: Shift = await centre.until("the next talk", there, within_s=30)
    return found
