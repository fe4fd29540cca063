"""Agents who leave as a caller comes to them, on a real Asterisk: the caller is lost by none of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from support.callers import (
    END,
    GOODBYE,
    add_number,
    add_queue,
    call_in,
    calls,
    gone_afterwards,
    path,
    stays,
    until_call,
)
from support.centre import Centre
from support.line import MORTALS, PASSWORD
from support.sip_phone import SipPhone

from dialer.agents.model import AgentState
from dialer.calls.model import Assignee
from dialer.calls.switchboard import Switchboard
from dialer.calls.tickets import Ticket

SECOND = "79161112244"
#: Straight into the queue of sales.
FLOW = [
    {
        "name": "sales",
        "type": "enqueue",
        "properties": {"queue": "sales"},
        "transitions": {"default": "goodbye"},
    },
    GOODBYE,
    END,
]


def before_the_first(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]]) -> None:
    """Between the reservation of an agent and the bridge something happens, once."""
    choose = Switchboard._choose
    happened: list[Assignee] = []

    async def chosen(board: Switchboard, ticket: Ticket, agent: Assignee) -> None:
        if not happened:
            happened.append(agent)
            await happens()
        await choose(board, ticket, agent)

    monkeypatch.setattr(Switchboard, "_choose", chosen)


async def end_talk(centre: Centre, call_id: UUID, n: int = 0) -> None:
    """The talk is over, and its disposition is saved."""
    await centre.calls.hang_up(centre.actor, call_id)
    await until_call(centre, "wrap_up", n=n)
    await centre.dispose(call_id)


async def until_logged_out(centre: Centre, agent_id: int) -> None:
    """The agent has no shift."""

    async def gone() -> bool:
        return await centre.shift(agent_id) is None

    await centre.until("the agent is logged out", gone)


async def test_a_log_out_as_the_caller_comes_waits_for_the_talk(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a supervisor, between the reservation and the bridge: the two talk, and then the agent is out."""
    await add_queue(centre, "sales")
    await add_number(centre, FLOW)
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    before_the_first(monkeypatch, lambda: centre.agents.log_out(centre.actor, agent_id))
    async with gone_afterwards(centre):
        await call_in(centre)
        call = await until_call(centre, "connected")
        shift = await centre.shift(agent_id)
        assert shift is not None
        assert (call.agent_id, shift.next_state) == (agent_id, AgentState.OFFLINE)
        await end_talk(centre, call.id)
        await until_logged_out(centre, agent_id)
    assert await stays(centre, call.id) == [("sales", "answered")]


async def test_a_phone_that_is_gone_as_the_caller_comes_costs_no_place(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller waits on, before who came later, and is the first for whom the phone is back."""
    await add_queue(centre, "sales")
    await add_number(centre, FLOW)

    async def drops() -> None:
        await call_in(centre, SECOND)
        await until_call(centre, "waiting", n=1)
        await centre.floor.phones.hangup("agent-0")
        await centre.until_agent(agent_id, AgentState.LOST)

    before_the_first(monkeypatch, drops)
    async with gone_afterwards(centre):
        (agent_id,) = await centre.add_agents(1, skills=["sales"])
        await call_in(centre)
        first = await until_call(centre, "connected")
        second = (await calls(centre))[1]
        assert (first.agent_id, second.state) == (agent_id, "waiting")
        assert await path(centre, first.id) == [("sales", None)]
        await end_talk(centre, first.id)
        assert (await until_call(centre, "connected", n=1)).id == second.id
        for call in (first, second):
            assert await stays(centre, call.id) == [("sales", "answered")]


async def test_of_two_callers_the_second_waits_for_who_comes_next(centre: Centre) -> None:
    """The only agent logs out in the talk with the first, and goes after it; the second keeps the place until
    another agent is there."""
    await add_queue(centre, "sales")
    await add_number(centre, FLOW)
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    async with gone_afterwards(centre):
        await call_in(centre)
        first = await until_call(centre, "connected")
        await call_in(centre, SECOND)
        second = await until_call(centre, "waiting", n=1)
        await centre.agents.log_out(centre.actor, agent_id)
        await end_talk(centre, first.id)
        await until_logged_out(centre, agent_id)
        assert (await calls(centre))[1].state == "waiting"
        (other,) = await centre.add_agents(phones=["agent-1"], skills=["sales"])
        assert (await until_call(centre, "connected", n=1)).agent_id == other
    assert await stays(centre, second.id) == [("sales", "answered")]


class Declines(SipPhone):
    """A phone that is set to take no calls: 603, as an app of a mobile phone says it."""

    declined = 0

    def datagram_received(self, data: bytes, addr: tuple[str | None, int]) -> None:
        """As any phone, but for calls."""
        text = data.decode()
        if not text.startswith("INVITE "):
            super().datagram_received(data, addr)
            return
        self.declined += 1
        kept = re.findall(r"^(?:Via|From|To|Call-ID|CSeq):.*$", text, re.MULTILINE | re.IGNORECASE)
        lines = [line.rstrip("\r") for line in kept]
        lines = [f"{line};tag=no" if line.lower().startswith("to:") else line for line in lines]
        reply = "\r\n".join(["SIP/2.0 603 Decline", *lines, "Content-Length: 0", "", ""])
        self._transport.sendto(reply.encode(), addr)


async def test_an_agent_whose_phone_takes_no_calls_gets_no_callers(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is called again and again while the agent logs in; the caller is not tried on it, and has the agent
    whose phone does answer. After the time for a log-in the agent is out."""
    monkeypatch.setattr("dialer.calls.phones.CALL_AGAIN_S", 0.1)
    await add_queue(centre, "sales")
    await add_number(centre, FLOW)
    phone = Declines(MORTALS[0], PASSWORD, centre.floor.settings.sip_port)
    await phone.open()
    try:
        assert await phone.register() == 200
        (first,) = await centre.add_agents(phones=["agent-0"], skills=["sales"], ready=False)
        deaf = await _logs_in(centre, MORTALS[0])
        async with gone_afterwards(centre):
            await call_in(centre)
            call = await until_call(centre, "waiting")

            async def ten_times() -> bool:
                return phone.declined >= 10

            await centre.until_seen("ten calls to the phone", ten_times, within_s=60)
            shift = await centre.shift(deaf)
            assert shift is not None
            assert (shift.state, (await calls(centre))[0].state) == (AgentState.CALLING, "waiting")
            await centre.agents.ready(centre.actor, first)
            assert (await until_call(centre, "connected")).agent_id == first
        assert await stays(centre, call.id) == [("sales", "answered")]
        monkeypatch.setattr("dialer.calls.phones.LOGIN_WITHIN_S", 0.0)
        await until_logged_out(centre, deaf)
    finally:
        await phone.register(expires_s=0)
        phone.close()


async def _logs_in(centre: Centre, endpoint: str) -> int:
    """An agent at this phone, who waits for it to be called."""
    (made,) = await centre.new_agents([endpoint], skills=["sales"])
    await centre.agents.log_in(centre.actor, made)
    return made
