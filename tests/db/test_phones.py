"""Agents' phones that come and go, and what becomes of the shift: without an Asterisk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.floor import NODE, TENANT, Floor, Seat

from dialer.agents import people, store
from dialer.agents.model import AgentState
from dialer.agents.service import AgentService
from dialer.asterisk.ami import AmiEvent
from dialer.asterisk.nodes import Node, Nodes
from dialer.calls import phones as phones_module
from dialer.calls.journal import DatabaseJournal
from dialer.calls.phones import Phones
from dialer.calls.table import CallTable
from dialer.calls.tracking import Leg, Tracker
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import ActionTimeout
from dialer.ids import new_id
from scheduler import hopper


@dataclass(slots=True)
class Silent:
    """A link to an Asterisk that takes an action and never says what came of it."""

    asked: list[Mapping[str, Any]] = field(default_factory=list)
    up: bool = True

    async def send(self, action: Mapping[str, Any]) -> None:
        """Take an action."""
        self.asked.append(action)
        raise ActionTimeout(action=action["Action"], seconds=5, sent=True)


@pytest.fixture
def asterisk() -> Silent:
    """What the phones speak to."""
    return Silent()


@pytest.fixture
def phones(database: Database, asterisk: Silent) -> Phones:
    """The phones of an engine."""
    link: Any = asterisk
    nodes = Nodes()
    nodes.add(Node(NODE, link, ready=True))
    tracker = Tracker(CallTable(DatabaseJournal(database)))
    return Phones(
        database,
        nodes,
        tracker,
        lambda tenant_id: tenant_id == TENANT,
        lambda: None,
        lambda session_id: False,
    )


@pytest.fixture
async def tracker(phones: Phones) -> AsyncIterator[Tracker]:
    """Hears of phones; what it tells is followed by running phones."""
    running = asyncio.create_task(phones.run())
    yield phones.tracker
    assert not running.done(), "the phones fell"
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def leg_of(seat: Seat, tracker: Tracker) -> Leg:
    """The seat's phone, up."""
    assert seat.shift is not None
    assert seat.shift.leg is not None
    leg = Leg(seat.shift.leg, TENANT, seat.session_id, seat.agent_id, seat.shift.endpoint, NODE, up=True)
    tracker.legs[leg.id] = leg
    return leg


async def reaches(floor: Floor, seat: Seat, state: AgentState) -> None:
    """Wait until the shift is in this state."""
    async with asyncio.timeout(30):
        while (await floor.shift(seat)).state is not state:  # noqa: ASYNC110 another process writes it
            await asyncio.sleep(0.02)


async def test_a_phone_that_drops_while_its_agent_passes_a_lead_on(floor: Floor, tracker: Tracker) -> None:
    """Who takes both takes the lead before the shift: the two never wait for each other."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    leg = leg_of(seat, tracker)
    async with floor.database.tenant(TENANT) as conn:
        await hopper.offered(conn, TENANT, lead_id)
        await store.move(conn, TENANT, seat.session_id, AgentState.RESERVED, utc_now(), lead_id=lead_id)
    async with asyncio.timeout(0.9):  # a deadlock is found after a second
        async with floor.database.tenant(TENANT) as conn:
            await hopper.lock(conn, TENANT, lead_id)
            tracker.lose(leg)
            await asyncio.sleep(0.2)  # the phones are at it
            await store.shift_of_agent(conn, TENANT, seat.agent_id, lock=True)
    await reaches(floor, seat, AgentState.LOST)
    async with floor.database.tenant(TENANT) as conn:
        assert await hopper.claim_one(conn, TENANT, floor.campaign_id, lead_id)


async def test_who_wanted_to_go_home_is_not_called_back(
    floor: Floor, tracker: Tracker, database: Database
) -> None:
    """A log-out asked for in a call stands when the phone is lost before it: the phone's return ends the
    shift, it gives the agent no customer."""
    seat = await floor.seat()
    leg = leg_of(seat, tracker)
    await floor.place(agent=seat)
    await AgentService(database, managed=True).log_out(seat.actor, seat.agent_id)
    tracker.lose(leg)
    await reaches(floor, seat, AgentState.LOST)
    async with database.tenant(TENANT) as conn:
        await store.set_leg(conn, TENANT, seat.session_id, leg.id, was=None, node=NODE)
    tracker.legs[leg.id] = leg
    leg.up = False
    tracker.raise_leg(leg)
    await reaches(floor, seat, AgentState.OFFLINE)


async def test_a_phone_of_which_nothing_is_heard_is_called_again(
    floor: Floor, phones: Phones, tracker: Tracker, asterisk: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call of a phone whose answer was lost leaves nobody waiting for it for ever."""
    for name in ("RING_S", "OVERDUE_S", "CALL_AGAIN_S"):
        monkeypatch.setattr(phones_module, name, 0)
    seat = await floor.seat(AgentState.CALLING)
    async with floor.database.tenant(TENANT) as conn:
        await store.set_leg(conn, TENANT, seat.session_id, None, was=seat.assignee.leg)
    phones.look(TENANT)
    async with asyncio.timeout(30):
        while sum(action["Action"] == "Originate" for action in asterisk.asked) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    first = asterisk.asked[0]["ChannelId"]
    assert {"Action": "Hangup", "Channel": first, "Cause": "16"} in asterisk.asked
    assert (await floor.shift(seat)).state is AgentState.CALLING


class Stuck(Silent):
    """A link to an Asterisk that takes an action and does not answer."""

    async def send(self, action: Mapping[str, Any]) -> None:
        """Take an action."""
        self.asked.append(action)
        await asyncio.Event().wait()


async def test_a_silent_node_keeps_no_phone_of_another_from_being_called(
    floor: Floor, phones: Phones, tracker: Tracker, asterisk: Silent
) -> None:
    """Two phones are called at a node that does not answer, a third at one that does: none waits."""
    stuck = Stuck()
    link: Any = stuck
    there, here = Node("b", link, ready=True), phones.nodes.get(NODE)
    assert here is not None
    phones.nodes.add(there)
    for node in (there, there, here):
        seat = await floor.seat(None)
        async with floor.database.tenant(TENANT) as conn:
            made = await people.find_agent(conn, TENANT, seat.agent_id)
            assert made is not None
            node.contacts[made.endpoint] = True
            await store.open_shift(conn, TENANT, seat.agent_id, new_id(), utc_now())
    phones.look(TENANT)
    async with asyncio.timeout(30):
        while len(stuck.asked) < 2 or not asterisk.asked:  # noqa: ASYNC110 a list tells nobody
            await asyncio.sleep(0.02)


async def test_a_phone_that_registers_while_its_old_address_is_called(
    floor: Floor, phones: Phones, tracker: Tracker, asterisk: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone that was started again is called where it is now, without a wait until the call to where it was
    is given up; that Asterisk finds it there does not end the new call."""
    monkeypatch.setattr(phones_module, "CALL_AGAIN_S", 0)
    seat = await floor.seat(AgentState.CALLING)
    assert seat.shift is not None
    async with floor.database.tenant(TENANT) as conn:
        await store.set_leg(conn, TENANT, seat.session_id, None, was=seat.assignee.leg)
    tracker.reached(NODE, {seat.shift.endpoint: {"old": True}})
    phones.look(TENANT)
    first = await called(asterisk, 1)
    for status, address in (("Created", "new"), ("Removed", "old"), ("Reachable", "new")):
        said = {"EndpointName": seat.shift.endpoint, "URI": address, "ContactStatus": status}
        tracker.handle(AmiEvent("ContactStatus", said, 0.0), NODE)
    second = await called(asterisk, 2)
    assert first != second
    assert [action["Channel"] for action in asterisk.asked if action["Action"] == "Hangup"] == [first]
    assert set(map(str, tracker.legs)) == {second}


async def called(asterisk: Silent, times: int) -> str:
    """Wait until a phone has been called so often; the channel of the last call."""
    async with asyncio.timeout(30):
        while True:
            calls = [action["ChannelId"] for action in asterisk.asked if action["Action"] == "Originate"]
            if len(calls) == times:
                return str(calls[-1])
            await asyncio.sleep(0.02)  # a link that never answers tells nobody that it was asked
