"""The FastAGI server against peers that are no Asterisk, silent ones and floods, and at its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import structlog
from support.agi_peers import SOON_S, Floor, agi_of_a_channel, floor_of

from dialer.asterisk.fastagi import AgiCall, FastAgiServer
from dialer.errors import AgiHangup, AsteriskUnavailable


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with floor_of() as running:
        yield running


# -- peers that are not Asterisk ---------------------------------------------------------------------------


async def test_clients_that_connect_and_close_cost_nothing(floor: Floor) -> None:
    """A hundred of them, before and amid the environment: the loop turns and a call is answered."""
    floor.handle(agi_of_a_channel)
    for number in range(100):
        peer = await floor.peer()
        if number % 2:
            await peer.say("agi_network: yes\nagi_netw")
        await peer.close()
    peer = await floor.peer()
    await peer.ask()
    assert await peer.rest() == ""
    await floor.emptied()


async def test_a_silent_client_is_put_out_at_the_deadline() -> None:
    """Nothing said, and lines that drip in without end, both end by one deadline."""
    async with floor_of(env_timeout_s=0.1) as floor:
        silent, dripping = await floor.peer(), await floor.peer()
        with structlog.testing.capture_logs() as logs, contextlib.suppress(ConnectionError):
            for _ in range(200):
                await dripping.say("agi_x: 1\n")
                await asyncio.sleep(0.01)
        assert await silent.rest() == ""
        assert [entry["event"] for entry in logs] == ["agi_request_late"] * 2
        await floor.emptied()


@pytest.mark.parametrize(
    "flood",
    [
        b"x" * 100_000,
        b"agi_x: y\n" * 100_000,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\n",
        b"\0" * 100 + b"\n",
        b"\xff\n\n",
    ],
    ids=["line", "environment", "http", "empty", "nul", "no text"],
)
async def test_what_is_not_agi_is_put_out(floor: Floor, flood: bytes) -> None:
    """A flood and a stranger are closed at once, and a call beside them is answered."""
    floor.handle(agi_of_a_channel)
    stranger, peer = await floor.peer(), await floor.peer()
    stranger.writer.write(flood)
    assert await stranger.rest() == ""
    await peer.ask()
    assert await peer.rest() == ""
    await floor.emptied()


@pytest.mark.parametrize("extra", ["200 result=1\n", "what?\n", "\n", "HANGUP\n" * 1_000, "x" * 100_000])
async def test_a_line_that_nobody_waits_for_ends_the_session(floor: Floor, extra: str) -> None:
    """A reply without a command, and garbage, can only mean that replies no longer fit: the handler hears."""

    async def wait(call: AgiCall) -> object:
        await call.hung_up.wait()
        return "hung up"

    floor.handle(wait)
    peer = await floor.peer()
    await peer.ask()
    await peer.say(extra)
    assert await floor.outcome() == "hung up"
    assert await peer.rest() == ""
    await floor.emptied()


@pytest.mark.parametrize(
    "flood", ["100 Trying...\n", "HANGUP\n", "200 result=1 (\n", "520-x\n", "520-x\ny", "200 result=1 ("]
)
async def test_a_flood_instead_of_a_reply_never_stops_the_loop(floor: Floor, flood: str) -> None:
    """A peer that sends without end beside a waiting command is put out; other work hardly waits."""
    floor.handle(lambda call: call.get_variable("A"))
    peer = await floor.peer()
    await peer.ask()
    await peer.line()
    loop = asyncio.get_running_loop()
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = loop.time()
            await asyncio.sleep(0)
            longest = max(longest, loop.time() - before)

    watching = asyncio.create_task(watch())
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(SOON_S):
            while True:
                await peer.say(flood * 1_000)
    watching.cancel()
    assert isinstance(await floor.outcome(), AgiHangup)
    assert longest < 0.2  # about 0.01 measured; the rest is room for a busy machine


async def test_one_session_too_many_is_told_so() -> None:
    """Over the limit the dialplan hears `failure`; when a place is free again, it is served."""
    async with floor_of(max_sessions=2) as floor:
        floor.handle(lambda call: call.hung_up.wait())
        first, second = await floor.peer(), await floor.peer()
        await first.ask()
        await second.ask()
        with structlog.testing.capture_logs() as logs:
            for _ in range(10):
                third = await floor.peer()
                assert await third.rest() in ("failure\n", "")
        assert len(logs) == 1
        assert floor.server.refused == 10
        await first.close()
        await floor.outcome()
        fourth = await floor.peer()
        await fourth.ask()
        await fourth.say("HANGUP\n")
        assert await floor.outcome() is True


# -- start and close ---------------------------------------------------------------------------------------


async def test_close_ends_everything_and_leaves_nothing() -> None:
    """Calls that wait, commands in flight, half requests: handlers are cancelled, peers told."""
    async with floor_of() as floor:
        floor.handle(lambda call: call.hung_up.wait(), "wait")
        floor.handle(lambda call: call.get_variable("A"), "command")
        waiting = [await floor.peer() for _ in range(20)]
        for number, peer in enumerate(waiting):
            await peer.ask("wait" if number % 2 else "command")
        for peer in waiting[::2]:
            assert await peer.line() == "GET VARIABLE A\n"
        half = await floor.peer()
        await half.say("agi_network: yes\n")
        silent = await floor.peer()
        await floor.server.close()
        assert floor.server.sessions == 0
        for peer in [*waiting, half, silent]:
            assert await peer.rest() in ("failure\n", "")
        for _ in waiting:
            assert isinstance(await floor.outcome(), asyncio.CancelledError)
        with pytest.raises(ConnectionError):
            await floor.peer()


async def test_close_lets_a_handler_finish_its_cleaning_up(floor: Floor) -> None:
    """What a handler does after its cancellation is waited for."""
    cleaned: list[str] = []
    begun = asyncio.Event()

    async def tidy(call: AgiCall) -> object:
        begun.set()
        try:
            return await call.hung_up.wait()
        finally:
            await asyncio.sleep(0.05)
            cleaned.append(call.channel_id)

    floor.handle(tidy)
    peer = await floor.peer()
    await peer.ask()
    await begun.wait()
    await floor.server.close()
    assert cleaned == ["attempt-1"]


async def test_close_without_a_start_and_twice_does_nothing() -> None:
    """The server may be closed whatever has become of its start."""
    server = FastAgiServer("127.0.0.1", 0)
    await server.close()
    await server.close()


async def test_an_address_in_use_is_named(floor: Floor) -> None:
    """A second server on the same port says so in one line."""
    host, _, port = floor.server.address.rpartition(":")
    with pytest.raises(AsteriskUnavailable, match=f"{host}:{port}"):
        await FastAgiServer(host, int(port)).start()


async def test_close_does_not_wait_for_ever_for_a_handler_that_will_not_end(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that swallows its cancellation is named in the log, and its connection is ended."""
    monkeypatch.setattr("dialer.asterisk.fastagi.CLOSE_S", 0.1)
    begun, allowed = asyncio.Event(), asyncio.Event()

    async def stubborn(call: AgiCall) -> object:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await call.hung_up.wait()
        await allowed.wait()
        return "ended"

    floor.handle(stubborn)
    peer = await floor.peer()
    await peer.ask(channel="attempt-7")
    await begun.wait()
    with structlog.testing.capture_logs() as logs:
        await floor.server.close()
    assert [entry["channel"] for entry in logs if entry["log_level"] == "error"] == ["attempt-7"]
    assert await peer.rest() == ""
    allowed.set()
    assert await floor.outcome() == "ended"
    await floor.emptied()
