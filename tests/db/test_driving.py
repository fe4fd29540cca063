"""Several Asterisk servers under one engine: one that moves, and one that is silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update
from support.driven import Asterisk, working
from support.floor import NODE, TENANT, Floor

from dialer.calls.commands import CommandDesk
from dialer.calls.driving import ANSWERS_S
from dialer.calls.model import Call
from dialer.db import tables as t
from dialer.db.listen import REPLIES, Listener
from dialer.engine import Engine
from dialer.errors import AsteriskUnavailable
from dialer.httpkit.access import Actor
from dialer.servers import store
from dialer.servers.model import LeaseKey, LeaseKind
from dialer.servers.ownership import Gained


@pytest.fixture
async def asterisk() -> AsyncIterator[Asterisk]:
    server = Asterisk()
    async with server:
        yield server


@pytest.fixture
async def another() -> AsyncIterator[Asterisk]:
    server = Asterisk()
    async with server:
        yield server


async def ready(engine: Engine, name: str, *, port: int) -> None:
    """Until the node is driven there, and its books are in order."""
    async with asyncio.timeout(20):
        while (node := engine.nodes.get(name)) is None or not node.ready or node.link.address.port != port:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # an engine has no news for tests


async def join(floor: Floor, engine: Engine, name: str, port: int) -> None:
    async with floor.database.system() as conn:
        await store.put_node(conn, name, "127.0.0.1", port)
    await ready(engine, name, port=port)


async def test_calls_of_a_node_that_moves_go_on(
    floor: Floor, database_url: str, tmp_path: Path, asterisk: Asterisk, another: Asterisk
) -> None:
    """Another address of its manager interface is no end of its calls; what it has is asked anew there."""
    call, gone = await floor.place(), await floor.place()
    asterisk.channels = {call.attempt_id, gone.attempt_id}
    another.channels = {call.attempt_id}
    async with working(database_url, tmp_path, asterisk.port) as engine:
        assert engine.calls.get(call.attempt_id) is not None
        await join(floor, engine, NODE, another.port)
        assert not any(peer.writer.is_closing() for peer in another.peers)
        assert engine.calls.get(call.attempt_id) is not None
        await engine.journal.drain()
    assert (await floor.row(t.attempt, call.attempt_id)).state == "ringing"
    # Whether that is another machine is unknown, and so is what became of this one.
    assert (await floor.row(t.attempt, gone.attempt_id)).result == "unknown"


async def test_a_silent_node_holds_up_no_takeover(
    floor: Floor, database_url: str, tmp_path: Path, asterisk: Asterisk, another: Asterisk
) -> None:
    """What is taken over is dialled on at the other nodes; the silent one is not dialled at before its resync
    has done what it did not answer to."""
    async with working(database_url, tmp_path, asterisk.port) as engine:
        await join(floor, engine, "b", another.port)
        call = await floor.place()
        of = LeaseKey(TENANT, LeaseKind.CAMPAIGN, floor.campaign_id)
        engine.ownership.settled.clear()
        another.fall_silent()
        asterisk.channels = {call.attempt_id}
        began_s = time.monotonic()
        engine.ownership.gained(Gained(frozenset({of}), frozenset({"ami-of-the-dead"})))
        async with asyncio.timeout(20):
            while not engine.ownership.paces(TENANT, floor.campaign_id):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # an engine has no news for tests
        assert time.monotonic() - began_s < 2 * ANSWERS_S
        assert [node.name for node in engine.nodes.dialling()] == [NODE]
        assert engine.calls.get(call.attempt_id) is not None


async def test_a_silent_node_holds_up_no_command_for_another(
    floor: Floor, database_url: str, tmp_path: Path, asterisk: Asterisk, another: Asterisk
) -> None:
    """A call that is to end at a node which does not answer is no reason for a call elsewhere to go on."""
    here, there = await floor.place(), await floor.place()
    asterisk.channels, another.channels = {here.attempt_id}, {there.attempt_id}
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.attempt).where(t.attempt.c.id == there.attempt_id).values(node="b"))
    listener = Listener(database_url, (REPLIES,))
    desk = CommandDesk(floor.database, listener)
    listening = asyncio.create_task(listener.run())
    async with working(database_url, tmp_path, asterisk.port) as engine:
        await join(floor, engine, "b", another.port)
        another.fall_silent()
        stuck = asyncio.create_task(hang_up(desk, floor, there))
        async with asyncio.timeout(20):
            await another.heard("Hangup")
        assert await hang_up(desk, floor, here) == {}
        assert not stuck.done()
        engine.nodes.link("b").drop("enough")
        with pytest.raises(AsteriskUnavailable):
            await stuck
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def hang_up(desk: CommandDesk, floor: Floor, call: Call) -> object:
    """Ask for the end of a call, as a page does."""
    payload = {"attempt_id": str(call.attempt_id), "by": "agent"}
    return await desk.ask(Actor.server(TENANT), "hang_up", payload, campaign_id=floor.campaign_id)


async def test_what_is_taken_over_while_a_node_is_resynced_is_resynced_too(
    floor: Floor, database_url: str, tmp_path: Path, asterisk: Asterisk
) -> None:
    """Who takes a call over leaves a node that is not ready to its resync, wherever that has got to."""
    async with working(database_url, tmp_path, asterisk.port) as engine:
        call = await floor.place()
        terms = await engine.terms.terms(TENANT, floor.campaign_id)
        fence = engine.ownership.fence(TENANT, floor.campaign_id)
        late = replace(floor.line(call), terms=terms, fence=fence)

        def take_over() -> None:
            asterisk.asked = lambda: None
            engine.calls.add(late)

        asterisk.asked = take_over
        engine.nodes.link(NODE).drop("to be resynced")
        async with asyncio.timeout(20):
            while late.call.live:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # an engine has no news for tests
