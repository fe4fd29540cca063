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
from yarl import URL

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

#: Three seconds of voice, 8000 samples a second of 2 bytes.
TALK_BYTES = 3 * 8000 * 2


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


class Wire:
    """The network between the browser and the server, which can be cut: nothing passes then, and nobody is
    told."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self.whole = asyncio.Event()
        self.whole.set()
        self._passing: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection of the browser."""
        there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        for one in (self._pass(reader, back), self._pass(there, writer)):
            self._passing.add(task := asyncio.create_task(one))
            task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65536):
                await self.whole.wait()
                writer.write(piece)
                await writer.drain()
            await self.whole.wait()
        except ConnectionError:
            await self.whole.wait()
        writer.close()


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


async def at_browser(centre: Centre, desk: Visitors, url: str = "") -> tuple[Visitor, int]:
    """An agent who has logged in with the browser, and takes calls."""
    user, agent_id = await agent(desk.web, 0)
    person = await desk(user)
    person.url = url or person.url
    # Two Asterisks, PostgreSQL, engine, pages and browser on one machine: a page may take its time.
    person.context.set_default_timeout(30_000)
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
    the other over a connection that the page calls good."""
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
    async with asyncio.timeout(15):
        while True:
            if all(path.exists() and path.stat().st_size > TALK_BYTES for path in (rx, tx)):
                break
            await asyncio.sleep(0.1)
    await expect(person.page.locator("#phone-link")).to_have_text("good connection")
    assert shift.attempt_id is not None
    await centre.calls.hang_up(centre.actor, shift.attempt_id)
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


async def test_a_network_that_breaks_in_a_talk(centre: Centre, desk: Visitors) -> None:
    """The connection of the page is dead: within seconds the customer hears music. It is whole again: the
    agent talks with the same customer within five seconds, and nobody has touched the page."""
    port = URL(desk.web.url).port
    assert port is not None
    wire = Wire(port)
    async with await asyncio.start_server(wire.take, "127.0.0.1", 0) as between:
        through = between.sockets[0].getsockname()[1]
        person, agent_id = await at_browser(centre, desk, f"http://127.0.0.1:{through}")
        await centre.campaign([human()])
        shift = await centre.until_agent(agent_id, AgentState.TALKING)
        wire.whole.clear()
        await centre.until_agent(agent_id, AgentState.LOST, within_s=9)
        began = utc_now()
        wire.whole.set()
        back = await centre.until_agent(agent_id, AgentState.TALKING, within_s=8)
        assert back.attempt_id == shift.attempt_id
        assert (back.state_since - began).total_seconds() < 5
        await expect(person.page.locator("#phone-state")).to_have_text("The phone is connected.")


async def test_the_sound_is_checked_before_the_log_in(centre: Centre, desk: Visitors) -> None:
    """The agent hears the own voice back from Asterisk, sees the level of the microphone, and chooses it;
    afterwards the microphone is let go."""
    user, _ = await agent(desk.web, 0)
    person = await desk(user)
    page = person.page
    await person.open("/desk")
    await page.get_by_text("Sound", exact=True).click()
    await page.get_by_role("button", name="Hear yourself").click()
    await expect(page.locator("#phone-heard")).to_have_text("Speak: you should hear yourself.")
    assert await page.locator("#phone-microphone option").count() > 0
    await page.wait_for_function("document.getElementById('phone-level').value > 0.3")
    await expect(page.locator("#phone-heard")).to_have_text("You are heard.", timeout=15_000)
    await expect(page.locator("#phone-state")).to_have_text("The phone in this browser is off.")
    await expect(page.locator("#phone-level")).to_have_js_property("value", 0)


async def test_two_pages_do_not_fight_for_the_phone(centre: Centre, desk: Visitors) -> None:
    """The page that was opened last has it, with the leg; the one before says so and leaves it."""
    person, agent_id = await at_browser(centre, desk)
    second = await person.context.new_page()
    await second.goto(person.url + "/desk")
    await expect(second.locator("#phone-state")).to_have_text("The phone is connected.")
    await expect(person.page.locator("#phone-state")).to_have_text("The phone is in another window.")
    await centre.until_agent(agent_id, AgentState.READY)
    await person.page.get_by_role("button", name="Use the phone here").click()
    await expect(person.page.locator("#phone-state")).to_have_text("The phone is connected.")
    await expect(second.locator("#phone-state")).to_have_text("The phone is in another window.")
