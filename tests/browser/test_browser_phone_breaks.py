"""The browser as a phone, when its page or its network is away: real Chromium, Asterisk and carrier."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect
from support.browser import Visitors
from support.browser_phone import Wire, at_browser, connected, ear, human, quiet, until_voice
from support.centre import Centre
from support.talks import grown, loudest, size
from yarl import URL

from dialer.agents.model import AgentState
from dialer.clock import utc_now

CUT_S = 10.0
#: All that the page says to Asterisk goes so many seconds late.
LATE_S = 3.5
LATE = """(ms) => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (said) {
    setTimeout(() => { send.call(this, said); document.body.dataset.answered = "late"; }, ms);
  };
}"""


async def test_a_page_that_is_loaded_again_in_a_talk_has_it_back(centre: Centre, desk: Visitors) -> None:
    """Within five seconds the agent talks with the same customer."""
    person, agent_id = await at_browser(centre, desk)
    await centre.campaign([human()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    began = utc_now()
    await person.page.reload()
    await centre.until_agent(agent_id, AgentState.LOST, within_s=3)
    back = await centre.until_agent(agent_id, AgentState.TALKING, within_s=8)
    assert back.attempt_id == shift.attempt_id
    assert (back.state_since - began).total_seconds() < 5
    await until_voice(centre, person.page, sent=50, received=50)


async def test_a_network_that_is_away_for_ten_seconds_in_a_talk(centre: Centre, desk: Visitors) -> None:
    """The connection of the page is dead: within seconds the customer hears music, and is kept though
    another agent is free. It is whole again: the agent talks with the same customer within five seconds, and
    nobody has touched the page."""
    assert centre.engine is not None
    centre.engine.switchboard.keep_s = 15.0
    port = URL(desk.web.url).port
    assert port is not None
    wire = Wire(port)
    async with await asyncio.start_server(wire.take, "127.0.0.1", 0) as between:
        through = between.sockets[0].getsockname()[1]
        person, agent_id = await at_browser(centre, desk, f"http://127.0.0.1:{through}")
        await centre.campaign([quiet()])
        shift = await centre.until_agent(agent_id, AgentState.TALKING)
        (other,) = await centre.add_agents(phones=["agent-1"])
        heard = await ear(centre)
        wire.whole.clear()
        cut_s = asyncio.get_running_loop().time()
        await centre.until_agent(agent_id, AgentState.LOST, within_s=9)
        music = size(heard)
        await asyncio.sleep(cut_s + CUT_S - asyncio.get_running_loop().time())
        assert loudest(heard, music, size(heard)) > 500
        began = utc_now()
        wire.whole.set()
        back = await centre.until_agent(agent_id, AgentState.TALKING, within_s=8)
        assert back.attempt_id == shift.attempt_id
        assert (back.state_since - began).total_seconds() < 5
        await connected(person.page)
        await until_voice(centre, person.page, sent=50, received=50)
        await centre.until_agent(other, AgentState.READY)
    # What the page asked for while nothing came through.
    person.complaints[:] = [one for one in person.complaints if not one.startswith("htmx:")]


async def test_a_page_that_answers_late_keeps_its_talk(centre: Centre, desk: Visitors) -> None:
    """The machine or the network is slow: Asterisk asks the page whether it is there and waits for the
    answer, and the talk goes on."""
    assert centre.engine is not None
    person, agent_id = await at_browser(centre, desk)
    await centre.campaign([quiet()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.node is not None
    await person.page.evaluate(LATE, LATE_S * 1000)
    link = centre.engine.nodes.link(shift.node)
    await link.send({"Action": "PJSIPQualify", "Endpoint": shift.endpoint})
    await expect(person.page.locator("body[data-answered]")).to_be_attached()
    stands = await centre.shift(agent_id)
    assert stands is not None
    assert (stands.state, stands.leg) == (AgentState.TALKING, shift.leg)


async def test_a_browser_that_never_comes_back(centre: Centre, desk: Visitors) -> None:
    """The customer hears music, is kept for a while, and then talks with another agent."""
    person, agent_id = await at_browser(centre, desk)
    await centre.campaign([quiet()])
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    (other,) = await centre.add_agents(phones=["agent-1"])
    heard = await ear(centre)
    await person.page.close()
    lost = await centre.until_agent(agent_id, AgentState.LOST, within_s=3)
    assert loudest(heard, *await grown(centre, heard, 2)) > 500
    taken = await centre.until_agent(other, AgentState.TALKING)
    assert taken.attempt_id == shift.attempt_id
    kept_s = (taken.state_since - lost.state_since).total_seconds()
    assert kept_s > centre.settings.keep_customer_s - 0.5
    await centre.until_agent(agent_id, AgentState.LOST)
