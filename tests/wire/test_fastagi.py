"""The FastAGI server as Asterisk meets it, on real sockets: requests, replies, hang-ups, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog
from support.agi_peers import Floor, agi_of_a_channel, floor_of

from dialer.asterisk.fastagi import AgiCall
from dialer.errors import ActionFailed, ActionTimeout, AgiHangup, Invalid, UnsafeValue


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with floor_of() as running:
        yield running


# -- a call that goes well ---------------------------------------------------------------------------------


async def test_the_dialplan_asks_and_is_answered(floor: Floor) -> None:
    """A request with query and arguments reaches its handler, whose variables reach the dialplan."""

    async def bridge(call: AgiCall) -> object:
        await call.set_variable("DOZVON_NEXT", "bridge")
        await call.set_variable("DOZVON_NOTE", 'say "hi" \\ bye')
        return await agi_of_a_channel(call), await call.get_variable("A"), await call.get_variable("B")

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
    floor.handle(agi_of_a_channel)
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


async def test_what_asterisk_refuses_is_no_fault_of_the_handler(floor: Floor) -> None:
    """A handler that goes by no refusal is over: the dialplan hears `failure`, the log has no traceback."""
    floor.handle(lambda call: call.command("EXEC", "MSet", "A=1"))
    peer = await floor.peer()
    await peer.ask(channel="attempt-7")
    assert await peer.line() == 'EXEC MSet "A=1"\n'
    with structlog.testing.capture_logs() as logs:
        await peer.say("510 Invalid or unknown command\n")
        assert await peer.rest() == "failure\n"
    [entry] = logs
    assert (entry["log_level"], entry["channel"]) == ("warning", "attempt-7")


async def test_a_route_has_one_handler(floor: Floor) -> None:
    """A second handler for a name is refused when it is given."""
    floor.handle(agi_of_a_channel)
    with pytest.raises(ValueError, match="customer"):
        floor.handle(agi_of_a_channel)


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
