"""The browser as an agent's phone: real Chromium with a microphone, real Asterisk, real carrier."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy
import pytest
from playwright.async_api import Browser, async_playwright, expect
from support.browser import FLAGS, Chromium, Visitor, Visitors
from support.centre import TENANT, Centre
from support.web import Web, whole_site

from dialer.agents.model import AgentState
from dialer.agents.service import AgentService
from dialer.clock import utc_now
from dialer.demo.numbers import Behaviour, encode
from dialer.httpkit.access import Actor, Role
from dialer.users.model import User

#: A microphone that nobody need allow, and voice over the machine's own loopback.
TALKING = [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
]


def human(ring_s: float = 0.5) -> str:
    return encode(Behaviour.HUMAN, ring_s=ring_s).e164


@pytest.fixture
async def talking(chromium: Chromium, centre: Centre) -> AsyncIterator[Browser]:
    """A browser whose microphone says the same sentence again and again."""
    spoken = f"--use-file-for-fake-audio-capture={centre.floor.message}.wav"
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=chromium.path,
            args=[*FLAGS, *TALKING, spoken],
            env={**os.environ, **chromium.environment},
        )
        yield started
        await started.close()


@pytest.fixture
async def desk(_frontend: None, centre: Centre, talking: Browser) -> AsyncIterator[Visitors]:
    """The pages of a centre that is at work, in that browser."""
    async with whole_site(centre.database, centre.database_url, centre.settings) as site:
        visitors = Visitors(talking, site)
        yield visitors
        complaints = [line for visitor in visitors.made for line in visitor.complaints]
        for visitor in visitors.made:
            await visitor.context.close()
        assert complaints == []


async def agent(web: Web, n: int) -> tuple[User, int]:
    """The n-th agent of the centre, from 0: the user, and the agent's id."""
    user = await web.user(Role.OPERATOR)
    made = await AgentService(web.database, managed=False).create(
        Actor.server(TENANT), user_id=user.id, name=f"Оператор {n}", endpoint=f"agent-{n}", skills=[]
    )
    return user, made.agent.id


async def at_browser(centre: Centre, desk: Visitors) -> tuple[Visitor, int]:
    """An agent who has logged in with the browser, and takes calls."""
    user, agent_id = await agent(desk.web, 0)
    person = await desk(user)
    await person.open("/desk")
    await person.page.get_by_role("button", name="Log in with this browser").click()
    await centre.until_agent(agent_id, AgentState.PAUSED, within_s=10)
    await expect(person.page.locator("#phone-state")).to_have_text("The phone is connected.")
    await person.page.get_by_role("button", name="Ready", exact=True).click()
    await centre.until_agent(agent_id, AgentState.READY)
    return person, agent_id


def loudness(path: Path) -> float:
    """Of a recording: the root of the mean square, full scale is 1."""
    with wave.open(str(path)) as file:
        samples = numpy.frombuffer(file.readframes(file.getnframes()), dtype=numpy.int16)
    return float(numpy.sqrt(numpy.mean((samples / 32768) ** 2))) if len(samples) else 0.0


async def test_an_agent_talks_with_a_customer_by_the_browser(centre: Centre, desk: Visitors) -> None:
    """Logged in once, the phone of the page picks up by itself; a customer is joined to it, and each hears
    the other, without a packet lost."""
    person, agent_id = await at_browser(centre, desk)
    await centre.campaign([human()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.browser
    rx, tx = centre.floor.folder / "customer.wav", centre.floor.folder / "agent.wav"
    async with centre.manager() as link:
        await link.send(
            {
                "Action": "MixMonitor",
                "Channel": str(shift.attempt_id),
                "File": str(centre.floor.folder / "both.wav"),
                "Options": f"r({rx})t({tx})",
            }
        )
    await asyncio.sleep(4)  # of the talk
    await expect(person.page.locator("#phone-link")).to_have_text("good connection")
    await person.page.get_by_role("button", name="End the call").click()
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    assert loudness(rx) > 0.005
    assert loudness(tx) > 0.005


async def test_a_page_that_is_loaded_again_in_a_talk_has_it_back(centre: Centre, desk: Visitors) -> None:
    """Within five seconds the agent talks with the same customer, who has heard music meanwhile."""
    person, agent_id = await at_browser(centre, desk)
    await centre.campaign([human()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    began = utc_now()
    await person.page.reload()
    await centre.until_agent(agent_id, AgentState.LOST, within_s=3)
    back = await centre.until_agent(agent_id, AgentState.TALKING, within_s=8)
    assert back.attempt_id == shift.attempt_id
    assert (back.state_since - began).total_seconds() < 5
