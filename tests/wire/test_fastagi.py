"""The FastAGI server against peers on real sockets: proper ones, torn ones, silent ones and hostile ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import structlog

from dialer.asterisk.fastagi import AgiCall, FastAgiServer
from dialer.errors import ActionFailed, ActionTimeout, AgiHangup, AsteriskUnavailable, Invalid, UnsafeValue

#: Longest wait for anything that should happen at once, seconds.
SOON_S = 5.0


@dataclass
class Peer:
    """An Asterisk of our own: says what a test tells it to, and reads whole lines."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, script: str = "customer", *args: str, channel: str = "attempt-1") -> None:
        lines = ["agi_network: yes", f"agi_network_script: {script}", f"agi_uniqueid: {channel}"]
        lines += [f"agi_arg_{at}: {arg}" for at, arg in enumerate(args, 1)]
        await self.say("\n".join([*lines, "", ""]))

    async def say(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def line(self) -> str:
        async with asyncio.timeout(SOON_S):
            return (await self.reader.readline()).decode()

    async def rest(self) -> str:
        """Everything until the server has closed; a reset says nothing more."""
        async with asyncio.timeout(SOON_S):
            with contextlib.suppress(ConnectionError):
                return (await self.reader.read()).decode()
        return ""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Floor:
    """A running server, its peers, and what its handlers saw."""

    server: FastAgiServer
    peers: list[Peer] = field(default_factory=list)
    seen: asyncio.Queue[object] = field(default_factory=asyncio.Queue)

    async def peer(self) -> Peer:
        host, _, port = self.server.address.rpartition(":")
        peer = Peer(*await asyncio.open_connection(host, int(port)))
        self.peers.append(peer)
        return peer

    def handle(self, handler: Callable[[AgiCall], Awaitable[object]], name: str = "customer") -> None:
        """Route `name` to `handler`; what it returns or raises is put into `seen`."""

        async def seeing(call: AgiCall) -> None:
            try:
                self.seen.put_nowait(await handler(call))
            except BaseException as error:
                self.seen.put_nowait(error)
                raise

        self.server.route(name, seeing)

    async def outcome(self) -> object:
        async with asyncio.timeout(SOON_S):
            return await self.seen.get()

    async def emptied(self) -> None:
        """Until the server has no session left."""
        async with asyncio.timeout(SOON_S):
            while self.server.sessions:  # noqa: ASYNC110  the server has no event for it
                await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def floor_of(**options: float) -> AsyncIterator[Floor]:
    floor = Floor(FastAgiServer("127.0.0.1", 0, **options))  # type: ignore[arg-type]
    await floor.server.start()
    try:
        yield floor
    finally:
        await floor.server.close()
        for peer in floor.peers:
            await peer.close()
    assert floor.server.sessions == 0
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("agi ")] == []


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with floor_of() as running:
        yield running


async def _agi_of_a_channel(call: AgiCall) -> object:
    return call.script, dict(call.query), call.args, call.channel_id


# -- a call that goes well ---------------------------------------------------------------------------------


async def test_the_dialplan_asks_and_is_answered(floor: Floor) -> None:
    """A request with query and arguments reaches its handler, whose variables reach the dialplan."""

    async def bridge(call: AgiCall) -> object:
        await call.set_variable("DOZVON_NEXT", "bridge")
        await call.set_variable("DOZVON_NOTE", 'say "hi" \\ bye')
        return await _agi_of_a_channel(call), await call.get_variable("A"), await call.get_variable("B")

    floor.handle(bridge)
    peer = await floor.peer()
    await peer.ask("customer?y=1", "HUMAN", "", "x y")
    assert await peer.line() == "SET VARIABLE DOZVON_NEXT bridge\n"
    await peer.say("200 result=1\n")
    assert await peer.line() == 'SET VARIABLE DOZVON_NOTE "say \\"hi\\" \\\\ bye"\n'
    await peer.say("200 result=1\n")
    assert await peer.line() == "GET VARIABLE A\n"
    await peer.say("200 result=1 (one (two) three)\n")
    assert await peer.line() == "GET VARIABLE B\n"
    await peer.say("200 result=0\n")
    assert await peer.rest() == ""
    assert await floor.outcome() == (
        ("customer", {"y": "1"}, ["HUMAN", "", "x y"], "attempt-1"),
        "one (two) three",
        None,
    )


async def test_bytes_may_come_one_by_one(floor: Floor) -> None:
    """Half lines are put together: no byte border matters."""
    floor.handle(lambda call: call.get_variable("A"))
    peer = await floor.peer()
    for character in "agi_network_script: customer\nagi_uniqueid: 1\n\n":
        await peer.say(character)
        await asyncio.sleep(0)
    assert await peer.line() == "GET VARIABLE A\n"
    for character in "200 result=1 (ключ)\n":
        await peer.say(character)
        await asyncio.sleep(0)
    assert await floor.outcome() == "ключ"


async def test_two_hundred_calls_at_once_are_not_mixed_up(floor: Floor) -> None:
    """Each of 200 sessions that are open together gets the answers of its own channel."""
    all_in = asyncio.Barrier(200)

    async def echo(call: AgiCall) -> object:
        await all_in.wait()
        return call.channel_id, await call.get_variable("A"), await call.get_variable("B")

    async def ring(number: int) -> None:
        peer = await floor.peer()
        await peer.ask(channel=f"c{number}")
        for name in "AB":
            assert await peer.line() == f"GET VARIABLE {name}\n"
            await peer.say(f"200 result=1 ({name}{number})\n")
        assert await peer.rest() == ""

    floor.handle(echo)
    await asyncio.gather(*(ring(number) for number in range(200)))
    outcomes = {floor.seen.get_nowait() for _ in range(200)}
    assert outcomes == {(f"c{number}", f"A{number}", f"B{number}") for number in range(200)}
    await floor.emptied()


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("510 Invalid or unknown command\n", "510 Invalid or unknown command"),
        ("520-Wrong syntax.\nUsage: GET VARIABLE <x>\n520 End of proper usage.\n", "520 Wrong syntax."),
        ("520-Wrong syntax.\nUsage: GET VARIABLE <x>520 End of proper usage.\n", "520 Wrong syntax."),
        ("503 result=-2 Memory allocation failure\n", "503 result=-2 Memory allocation failure"),
    ],
)
async def test_a_refusal_is_an_error_and_the_next_reply_is_the_next_commands(
    floor: Floor, reply: str, reason: str
) -> None:
    """A refusal of one line or of many ends with its own command."""

    async def twice(call: AgiCall) -> object:
        with pytest.raises(ActionFailed) as caught:
            await call.get_variable("A")
        return caught.value.details, await call.get_variable("B")

    floor.handle(twice)
    peer = await floor.peer()
    await peer.ask()
    await peer.line()
    await peer.say(reply)
    await peer.line()
    await peer.say("200 result=1 (second)\n")
    assert await floor.outcome() == ({"action": "GET VARIABLE", "reason": reason}, "second")


async def test_several_variables_are_set_by_one_question(floor: Floor) -> None:
    """Words only: what MSet would take for another variable, or for part of a value, is not sent."""

    async def words(call: AgiCall) -> object:
        for value in ("", "a,B=c", "a=b", "a b", '"a"', "a\n", "${A}"):
            with pytest.raises(Invalid):
                await call.set_words(A="a", B=value)
        await call.set_words(DOZVON_AGENT="3f0e-1", DOZVON_NEXT="bridge")
        return await call.get_variable("A")

    floor.handle(words)
    peer = await floor.peer()
    await peer.ask()
    assert await peer.line() == 'EXEC MSet "DOZVON_AGENT=3f0e-1,DOZVON_NEXT=bridge"\n'
    await peer.say("200 result=0\n")
    assert await peer.line() == "GET VARIABLE A\n"
    await peer.say("200 result=0\n")
    assert await floor.outcome() is None


async def test_what_cannot_be_sent_safely_is_refused_before_it_is_sent(floor: Floor) -> None:
    """A line end in a value, a function for a name, a command too long: errors, and the session goes on."""

    async def unsafe(call: AgiCall) -> object:
        with pytest.raises(UnsafeValue, match="DOZVON_NOTE"):
            await call.set_variable("DOZVON_NOTE", "a\nEXEC System x")
        with pytest.raises(Invalid):
            await call.set_variable("SHELL(id)", "x")
        with pytest.raises(Invalid):
            await call.get_variable("SHELL(id)")
        with pytest.raises(Invalid):
            await call.set_variable("A", "x" * 3_000)
        return await call.get_variable("A")

    floor.handle(unsafe)
    peer = await floor.peer()
    await peer.ask()
    assert await peer.line() == "GET VARIABLE A\n"
    await peer.say("200 result=0\n")
    assert await floor.outcome() is None


async def test_an_unknown_route_fails_in_the_dialplan_and_shows_no_number(floor: Floor) -> None:
    """The peer is told `failure`; the log names channel and route, without the digits that it may hold."""
    peer = await floor.peer()
    with structlog.testing.capture_logs() as logs:
        await peer.ask("call/79161234567?n=79161234567", "79161234567", channel="attempt-7")
        assert await peer.rest() == "failure\n"
    [entry] = logs
    assert entry["channel"] == "attempt-7"
    assert entry["route"].startswith("call/#")
    assert "7916" not in str(logs)


async def test_a_handler_that_fails_is_logged_with_its_channel_and_ends_its_session_only(
    floor: Floor,
) -> None:
    """The dialplan is told `failure`, and the server goes on."""

    async def broken(call: AgiCall) -> object:
        raise RuntimeError("a fault")

    floor.handle(broken, "broken")
    floor.handle(_agi_of_a_channel)
    peer = await floor.peer()
    with structlog.testing.capture_logs() as logs:
        await peer.ask("broken", channel="attempt-7")
        assert await peer.rest() == "failure\n"
    [entry] = [entry for entry in logs if entry["log_level"] == "error"]
    assert entry["channel"] == "attempt-7"
    assert entry["exc_info"]
    assert isinstance(await floor.outcome(), RuntimeError)
    other = await floor.peer()
    await other.ask()
    assert await other.rest() == ""


async def test_a_route_has_one_handler(floor: Floor) -> None:
    """A second handler for a name is refused when it is given."""
    floor.handle(_agi_of_a_channel)
    with pytest.raises(ValueError, match="customer"):
        floor.handle(_agi_of_a_channel)


# -- the call hangs up -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["HANGUP", "EOF", "reset"])
async def test_a_hangup_is_known_while_the_handler_waits_for_something_else(
    floor: Floor, ending: str
) -> None:
    """HANGUP, a closed and a reset connection all set `hung_up`; a command after that is not sent."""

    async def wait(call: AgiCall) -> object:
        await call.hung_up.wait()
        await call.set_variable("A", "1")
        return None

    floor.handle(wait)
    peer = await floor.peer()
    await peer.ask()
    if ending == "HANGUP":
        await peer.say("HANGUP\n")
        assert await peer.rest() == ""  # no command, and no `failure` for a call that is gone
    elif ending == "EOF":
        await peer.close()
    else:
        peer.writer.transport.abort()
    error = await floor.outcome()
    assert isinstance(error, AgiHangup)
    assert error.details["command"] == "SET VARIABLE"
    await floor.emptied()


async def test_a_hangup_between_command_and_reply_moves_no_reply(floor: Floor) -> None:
    """The command in flight gets its own reply; the next one raises."""

    async def twice(call: AgiCall) -> object:
        first = await call.get_variable("A")
        with pytest.raises(AgiHangup):
            await call.get_variable("B")
        return first, call.hung_up.is_set()

    floor.handle(twice)
    peer = await floor.peer()
    await peer.ask()
    assert await peer.line() == "GET VARIABLE A\n"
    await peer.say("HANGUP\n")
    await peer.say("200 result=1 (first)\n")
    assert await floor.outcome() == ("first", True)


async def test_a_dead_channel_is_a_hangup(floor: Floor) -> None:
    """511 comes where the dialplan has switched HANGUP lines off."""

    async def ask(call: AgiCall) -> object:
        with pytest.raises(AgiHangup):
            await call.command("ANSWER")
        return call.hung_up.is_set()

    floor.handle(ask)
    peer = await floor.peer()
    await peer.ask()
    await peer.line()
    await peer.say("511 Command Not Permitted on a dead channel or intercept routine\n")
    assert await floor.outcome() is True


@pytest.mark.parametrize("half", ["", "200 resu", "520-Wrong.\nUsage"])
async def test_an_end_in_the_middle_of_a_reply_is_a_hangup(floor: Floor, half: str) -> None:
    """A command whose reply never becomes whole raises AgiHangup."""
    floor.handle(lambda call: call.get_variable("A"))
    peer = await floor.peer()
    await peer.ask()
    await peer.line()
    await peer.say(half)
    await peer.close()
    assert isinstance(await floor.outcome(), AgiHangup)


# -- deadlines, and callers that give up -------------------------------------------------------------------


async def test_a_command_without_reply_ends_the_session_at_its_deadline(floor: Floor) -> None:
    """ActionTimeout for the command, AgiHangup for the next: a late reply can be taken for nobody's."""

    async def ask(call: AgiCall) -> object:
        with pytest.raises(ActionTimeout):
            await call.command("GET", "VARIABLE", "A", timeout_s=0.05)
        await call.hung_up.wait()
        with pytest.raises(AgiHangup):
            await call.get_variable("B")
        return "done"

    floor.handle(ask)
    peer = await floor.peer()
    await peer.ask()
    assert await peer.line() == "GET VARIABLE A\n"
    assert await floor.outcome() == "done"
    assert await peer.rest() == ""


async def test_after_hangup_a_missing_reply_is_a_hangup(floor: Floor) -> None:
    """A command in flight when the call hung up does not report a slow Asterisk."""

    async def ask(call: AgiCall) -> object:
        with pytest.raises(AgiHangup):
            await call.command("GET", "VARIABLE", "A", timeout_s=0.05)
        return "done"

    floor.handle(ask)
    peer = await floor.peer()
    await peer.ask()
    await peer.say("HANGUP\n")
    await peer.line()
    assert await floor.outcome() in ("done",)


async def test_a_caller_that_gives_up_leaves_its_reply_to_nobody(floor: Floor) -> None:
    """After a cancelled command the next one waits for the old reply, and gets its own."""
    given_up = asyncio.Event()

    async def ask(call: AgiCall) -> object:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call.get_variable("A"), 0.02)
        given_up.set()
        return await call.get_variable("B")

    floor.handle(ask)
    peer = await floor.peer()
    await peer.ask()
    assert await peer.line() == "GET VARIABLE A\n"
    await given_up.wait()
    await peer.say("200 result=1 (old)\n")
    assert await peer.line() == "GET VARIABLE B\n"
    await peer.say("200 result=1 (new)\n")
    assert await floor.outcome() == "new"


async def test_commands_given_together_go_one_by_one(floor: Floor) -> None:
    """Each is written only when the one before it has its reply."""

    async def together(call: AgiCall) -> object:
        return await asyncio.gather(*(call.get_variable(name) for name in "ABC"))

    floor.handle(together)
    peer = await floor.peer()
    await peer.ask()
    for name in "ABC":
        assert await peer.line() == f"GET VARIABLE {name}\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.reader.readline(), 0.02)
        await peer.say(f"200 result=1 ({name.lower()})\n")
    assert await floor.outcome() == ["a", "b", "c"]


# -- peers that are not Asterisk ---------------------------------------------------------------------------


async def test_clients_that_connect_and_close_cost_nothing(floor: Floor) -> None:
    """A hundred of them, before and amid the environment: the loop turns and a call is answered."""
    floor.handle(_agi_of_a_channel)
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
    floor.handle(_agi_of_a_channel)
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
