"""The link to Asterisk's manager against a fake one on a real socket: good days, and each bad one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_ami import Action, FakeAmi, FakePeer

from dialer.asterisk import ami_session
from dialer.asterisk.ami import Address, AmiEvent, AmiLink, LinkDown, LinkUp
from dialer.asterisk.ami_framing import checked
from dialer.asterisk.ami_session import PendingAction
from dialer.errors import ActionFailed, ActionTimeout, AsteriskUnavailable, UnsafeValue

#: Long enough never to pass on a busy machine.
NEVER_S = 60.0
ORIGINATE = {"Action": "Originate", "Channel": "PJSIP/1@t", "ChannelId": "a-1", "Async": "true"}


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAmi]:
    async with FakeAmi() as server:
        yield server


@asynccontextmanager
async def running(address: Address, **options: Any) -> AsyncIterator[AmiLink]:
    """A link that runs; at the end it is closed and must leave no task and no entry behind."""
    before = asyncio.all_tasks()
    link = AmiLink(address, **{"action_timeout_s": 10.0, "ping_s": NEVER_S} | options)
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        await asyncio.wait_for(link.close(), 5)
        await asyncio.wait_for(task, 5)
        assert not link.up
        left = {each for each in asyncio.all_tasks() - before if "ami-link" in each.get_name()}
        assert not left


async def take(link: AmiLink, timeout_s: float = 10.0) -> Any:
    return await asyncio.wait_for(link.inbox.get(), timeout_s)


async def until(link: AmiLink, kind: type) -> Any:
    while not isinstance(item := await take(link), kind):
        pass
    return item


async def failure(call: Awaitable[object]) -> AsteriskUnavailable:
    with pytest.raises(AsteriskUnavailable) as caught:
        await call
    return caught.value


async def booted(link: AmiLink) -> LinkUp:
    """Take the login's mark and the event that Asterisk says at each login."""
    up = await take(link)
    assert isinstance(up, LinkUp)
    assert (await take(link)).name == "FullyBooted"
    return up


# -- login -----------------------------------------------------------------------------------------


async def test_a_login_enters_the_inbox_before_its_events(asterisk: FakeAmi) -> None:
    """LinkUp comes first even when login reply and events arrive in one segment."""
    async with running(asterisk.address()) as link:
        first, second = await take(link), await take(link)
        assert first == LinkUp(1, "11.0.0")
        assert (second.name, second["status"]) == ("FullyBooted", "Fully Booted")
        assert link.up
        assert link.trouble is None
        await link.wait_up(0.1)


async def test_what_comes_before_the_login_is_not_ours(asterisk: FakeAmi) -> None:
    """An event that is said before the login was accepted never enters the inbox."""

    def login(peer: FakePeer, action: Action) -> None:
        peer.event("Early")
        peer.item(action, "Early")
        asterisk.login(peer, action)

    asterisk.on("Login", login)
    async with running(asterisk.address()) as link:
        await booted(link)


async def test_a_wrong_secret_is_a_clear_state_that_is_retried_slowly(asterisk: FakeAmi) -> None:
    """The link stays down, says why, and does not knock again soon; the inbox stays empty."""
    async with running(asterisk.address("wrong")) as link:
        await asterisk.heard("Login")
        with pytest.raises(TimeoutError):
            await asterisk.heard("Login", 2, timeout_s=0.6)
        with pytest.raises(AsteriskUnavailable) as caught:
            await link.send({"Action": "Ping"})
        assert not caught.value.sent
        for waited in (caught.value, await failure(link.wait_up(0.01))):
            assert "Authentication failed" in str(waited)
        assert link.inbox.empty()


async def test_a_mended_secret_is_found_by_the_slow_retry(asterisk: FakeAmi) -> None:
    """After the operator sets the right secret in Asterisk, the link comes up by itself."""
    async with running(asterisk.address("new"), refused_retry_s=0.1) as link:
        await asterisk.heard("Login", 2)
        asterisk.secret = "new"
        assert (await until(link, LinkUp)).login == 1


async def test_the_secret_is_in_no_log_line_and_no_representation(
    asterisk: FakeAmi, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the logs of the link nor panoramisk's, at any level, nor a printed value hold the secret."""
    address = asterisk.address("s3cret-value")
    with caplog.at_level(logging.DEBUG):
        async with running(address, refused_retry_s=0.05):
            await asterisk.heard("Login", 2)
        login = PendingAction({"Action": "Login", "Secret": address.secret}, is_list=False, timeout_s=1)
        print(address, repr(login))
    out = capsys.readouterr()
    assert "s3cret-value" not in caplog.text + out.out + out.err
    assert "Login" in out.out


async def test_a_secret_that_would_break_the_login_is_refused_at_once() -> None:
    """A secret with a line end is an error of set-up, before anything connects."""
    with pytest.raises(UnsafeValue):
        AmiLink(Address("127.0.0.1", 1, "dozvon", "a\r\nAction: Originate"))


async def test_another_service_is_not_told_the_secret(asterisk: FakeAmi) -> None:
    """Where no AMI banner comes, nothing is sent."""
    asterisk.banner = b"SSH-2.0-OpenSSH_9.2\r\n"
    async with running(asterisk.address()) as link:
        await asterisk.arrived()
        await asterisk.arrived()
        assert not asterisk.received
        assert "another service" in (link.trouble or "")


# -- actions ---------------------------------------------------------------------------------------


async def test_replies_find_their_actions_in_any_order(asterisk: FakeAmi) -> None:
    """Replies out of order, twice, or of nobody reach the right caller once."""
    held: list[Action] = []

    def shuffle(peer: FakePeer, action: Action) -> None:
        held.append(action)
        if len(held) == 10:
            peer.reply({"actionid": "nobody/1"}, message="stray")
            for each in reversed(held):
                peer.reply(each, message=each["key"])
                peer.reply(each, "Error", "the second answer")

    asterisk.on("DBGet", shuffle)
    async with running(asterisk.address()) as link:
        await link.wait_up(5)
        replies = await asyncio.gather(*(link.send({"Action": "DBGet", "Key": str(i)}) for i in range(10)))
        assert [reply["message"] for reply in replies] == [str(i) for i in range(10)]
        assert (await link.send({"Action": "Ping"}))["Ping"] == "Pong"


async def test_a_refused_action_says_what_asterisk_said(asterisk: FakeAmi) -> None:
    """Response: Error becomes ActionFailed, for a plain action and for a list."""
    asterisk.on("Bridge", lambda peer, action: peer.reply(action, "Error", "No such channel"))
    async with running(asterisk.address()) as link:
        await link.wait_up(5)
        for call in (link.send, link.send_list):
            with pytest.raises(ActionFailed, match="Bridge: No such channel"):
                await call({"Action": "Bridge"})


async def test_an_action_has_a_deadline_and_its_late_reply_harms_nobody(asterisk: FakeAmi) -> None:
    """ActionTimeout says that the action was sent; the reply that comes later is thrown away."""
    late: list[Action] = []
    asterisk.on("Redirect", lambda _peer, action: late.append(action))
    async with running(asterisk.address()) as link:
        peer = await asterisk.logged_in()
        await booted(link)
        with pytest.raises(ActionTimeout) as caught:
            await link.send({"Action": "Redirect"}, timeout_s=0.05)
        assert caught.value.sent
        assert link._manager
        assert not link._manager.session.responses
        await asterisk.heard("Redirect")
        peer.reply(late[0])
        assert (await link.send({"Action": "Ping"}))["Ping"] == "Pong"


async def test_a_cancelled_action_leaves_nothing_behind(asterisk: FakeAmi) -> None:
    """Cancelling callers in mid-action leaves no entry, for plain actions and lists."""
    asterisk.on("Hold", lambda _peer, _action: None)
    async with running(asterisk.address()) as link:
        await link.wait_up(5)
        calls = [call({"Action": "Hold"}) for call in (link.send, link.send_list) for _ in range(20)]
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(call) for call in calls]
        await asterisk.heard("Hold", 40)
        assert link._manager
        assert len(link._manager.session.responses) == 40
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert not link._manager.session.responses


async def test_the_outcome_of_an_originate_is_an_event(asterisk: FakeAmi) -> None:
    """The reply ends `send`; OriginateResponse, even one that comes before it, reaches the inbox."""

    def originate(peer: FakePeer, action: Action) -> None:
        peer.item(action, "OriginateResponse", Response="Success", Uniqueid="early")
        peer.reply(action, message="Originate successfully queued")
        peer.item(action, "OriginateResponse", Response="Failure", Uniqueid="late")

    asterisk.on("Originate", originate)
    async with running(asterisk.address()) as link:
        await booted(link)
        reply = await link.send(ORIGINATE)
        assert reply["Message"] == "Originate successfully queued"
        events = [await take(link), await take(link)]
        assert [(e.name, e["Uniqueid"]) for e in events] == [
            ("OriginateResponse", "early"),
            ("OriginateResponse", "late"),
        ]


async def test_a_list_holds_its_items_and_no_other_event(asterisk: FakeAmi) -> None:
    """Items go to the caller, live events between them to the inbox, in whatever order the reply comes."""

    def channels(peer: FakePeer, action: Action) -> None:
        peer.item(action, "CoreShowChannel", Uniqueid="1")
        peer.reply(action, message="Channels will follow", EventList="start")
        peer.event("Hangup", Uniqueid="9")
        peer.item(action, "CoreShowChannel", Uniqueid="2")
        peer.item(action, "CoreShowChannelsComplete", EventList="Complete", ListItems="2")

    asterisk.on("CoreShowChannels", channels)
    async with running(asterisk.address(), wanted=["Hangup"]) as link:
        assert isinstance(await take(link), LinkUp)
        items = await link.send_list({"Action": "CoreShowChannels"})
        assert [(item.name, item["Uniqueid"]) for item in items] == [
            ("CoreShowChannel", "1"),
            ("CoreShowChannel", "2"),
        ]
        assert (await take(link))["Uniqueid"] == "9"


async def test_an_endless_list_ends(asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list without an end fails by its deadline, one past the limit by that, and the link stays up."""
    monkeypatch.setattr(ami_session, "MAX_LIST", 50)
    monkeypatch.setattr("dialer.asterisk.ami.MAX_LIST", 50)
    count = 10

    def endless(peer: FakePeer, action: Action) -> None:
        peer.reply(action, EventList="start")
        for _ in range(count):
            peer.item(action, "Status", Uniqueid="1")

    asterisk.on("Status", endless)
    async with running(asterisk.address()) as link:
        await link.wait_up(5)
        with pytest.raises(ActionTimeout):
            await link.send_list({"Action": "Status"}, timeout_s=0.1)
        count = 60
        with pytest.raises(ActionFailed, match="longer than 50"):
            await link.send_list({"Action": "Status"})
        assert (await link.send({"Action": "Ping"}))["Ping"] == "Pong"


async def test_a_command_gives_its_lines(asterisk: FakeAmi) -> None:
    """`Output` headers are joined, blanks kept; a command without output gives an empty string."""

    def command(peer: FakePeer, action: Action) -> None:
        head = f"Response: Success\r\nActionID: {action['actionid']}\r\nMessage: Command output follows\r\n"
        out = "" if action["command"] == "quiet" else "Output: Name  Value\r\nOutput:   a: 1\r\nOutput: \r\n"
        peer.raw(f"{head}{out}\r\n".encode())

    asterisk.on("Command", command)
    async with running(asterisk.address()) as link:
        await link.wait_up(5)
        assert await link.command("core show settings") == "Name  Value\n  a: 1\n"
        assert await link.command("quiet") == ""


async def test_an_injection_is_refused_before_the_socket(asterisk: FakeAmi) -> None:
    """Line ends and second variables never leave the process; the next action is unharmed."""
    async with running(asterisk.address()) as link:
        await link.wait_up(5)
        for bad in (
            {"Action": "Ping\r\nAction: Originate"},
            {"Action": "Originate", "Channel": "PJSIP/1\nApplication: System"},
            {"Action": "Originate", "Exten\r\nApplication": "x"},
            {"Action": "Originate", "Variable": ["A=1", "B=2,C=3"]},
            {"Action": "Originate", "CallerID": "a\0b"},
        ):
            for call in (link.send, link.send_list):
                with pytest.raises(UnsafeValue):
                    await call(bad)
        with pytest.raises(UnsafeValue):
            await link.command("core show channels\r\n\r\nAction: Logoff")
        await link.send({"Action": "Originate", "Variable": ["A=1", "B=2"], "ActionID": "mine"})
        sent = [action for action in asterisk.received if action["action"] != "Login"]
        assert [(action["action"], action["variable"]) for action in sent] == [("Originate", "A=1\nB=2")]
        assert sent[0]["actionid"] != "mine"


text = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.text("ABab-1", min_size=1, max_size=4), st.one_of(text, st.lists(text, max_size=3)))
)
async def test_the_bytes_of_an_action_are_its_own_headers(fields: dict[str, str | list[str]]) -> None:
    """Whatever the values, what reaches the socket is one packet with the asked headers and an ActionID."""
    fields = {key.lower(): value for key, value in fields.items()}
    try:
        action = PendingAction(checked({"action": "X", **fields}), is_list=False, timeout_s=1)
    except UnsafeValue:
        return
    wire = str(action).encode()
    head, end, rest = wire.partition(b"\r\n\r\n")
    assert (end, rest) == (b"\r\n\r\n", b"")
    asked = [(k, v) for k, vs in fields.items() for v in ([vs] if isinstance(vs, str) else vs)]
    asked += [("action", "X"), ("ActionID", action.id)]
    assert sorted(tuple(line.decode().split(": ", 1)) for line in head.split(b"\r\n")) == sorted(asked)


# -- bytes -----------------------------------------------------------------------------------------


async def test_events_torn_at_every_byte_arrive_whole(asterisk: FakeAmi) -> None:
    """Segments cut inside letters and line ends, on the wire: the same event each time."""
    async with running(asterisk.address()) as link:
        peer = await asterisk.logged_in()
        await booted(link)
        data = "Event: Newstate\r\nCallerIDName: Ёж 📞\r\nX: \r\n\r\n".encode()
        for cut in range(1, len(data)):
            await peer.torn(data, [cut])
            event = await take(link)
            assert dict(event.fields) == {"Event": "Newstate", "CallerIDName": "Ёж 📞", "X": ""}, cut
        await peer.torn(data, range(1, len(data)))
        assert (await take(link))["calleridname"] == "Ёж 📞"
        assert link.inbox.empty()


async def test_garbage_is_skipped_and_no_event_is_lost(asterisk: FakeAmi) -> None:
    """Bytes that are no packet, and letters that are no UTF-8, leave the link up and the rest in order."""
    async with running(asterisk.address()) as link:
        peer = await asterisk.logged_in()
        await booted(link)
        peer.raw(
            b"\x00\xff garbage\r\n\r\n: \r\n\r\n\r\n\r\nEvent\r\n\r\n"
            b"Event: One\r\nName: \xcf\xf0\r\nN: 1\r\n\r\n"
        )
        peer.raw(b"\r\nEvent: Two\r\nEvent: Three\r\n\r\nResponse: Success\r\nResponse: Error\r\n\r\n")
        peer.event("Last")
        one, two, last = await take(link), await take(link), await take(link)
        assert (one.name, one["N"], set(one["Name"])) == ("One", "1", {"�"})
        assert two.name.startswith("Two")
        assert last.name == "Last"


async def test_a_packet_without_an_end_ends_the_link(asterisk: FakeAmi) -> None:
    """Memory is bounded; the link comes up again by itself."""
    async with running(asterisk.address(), max_packet=100_000) as link:
        peer = await asterisk.logged_in()
        await booted(link)
        peer.raw(b"Event: X\r\nA: " + b"a" * 300_000)
        assert "100000 bytes" in (await take(link)).reason
        assert (await take(link)) == LinkUp(2, "11.0.0")


async def test_only_wanted_events_enter_the_inbox(asterisk: FakeAmi) -> None:
    """The filter drops by name before parsing; outcomes and lists pass it."""
    async with running(asterisk.address(), wanted={"Hangup"}) as link:
        peer = await asterisk.logged_in()
        for name in ("VarSet", "Hangup", "RTCPSent", "HangupRequest"):
            peer.event(name)
        peer.event("Hangup", Last="1")
        await until(link, LinkUp)
        assert [(await take(link)).name, (await take(link)).get("Last")] == ["Hangup", "1"]


# -- losses ----------------------------------------------------------------------------------------


async def lose(link: AmiLink, peer: FakePeer) -> LinkDown:
    peer.drop()
    down: LinkDown = await until(link, LinkDown)
    return down


async def test_marks_alternate_and_events_stand_between_their_own(asterisk: FakeAmi) -> None:
    """Over many losses: up, its events, down, up... with no event of a dead login after its mark."""
    seen: list[object] = []
    async with running(asterisk.address()) as link:
        for login in range(1, 6):
            peer = await asterisk.logged_in()
            peer.event("Mine", Login=str(login))
            while not (isinstance(item := await take(link), AmiEvent) and item.name == "Mine"):
                seen.append(item)
            seen.append(item)
            assert item["Login"] == str(login)
            (peer.drop if login % 2 else peer.hang_up)()
        seen.append(await until(link, LinkDown))
    while not link.inbox.empty():
        seen.append(link.inbox.get_nowait())
    marks = [item for item in seen if isinstance(item, LinkUp | LinkDown)]
    assert [type(mark) for mark in marks][:10] == [LinkUp, LinkDown] * 5
    assert [mark.login for mark in marks if isinstance(mark, LinkUp)][:5] == [1, 2, 3, 4, 5]
    kinds = [item.name if isinstance(item, AmiEvent) else type(item).__name__ for item in seen]
    assert kinds[:8] == ["LinkUp", "FullyBooted", "Mine", "LinkDown"] * 2


@pytest.mark.parametrize(
    "step", ["before the banner", "in the banner", "before the login's reply", "in its reply"]
)
async def test_a_drop_before_the_login_is_no_loss_and_is_tried_again(asterisk: FakeAmi, step: str) -> None:
    """Dropped at any step of connecting: nothing enters the inbox, and the next try comes up."""
    banner, drops = asterisk.banner, 3

    def connected(peer: FakePeer) -> None:
        nonlocal drops
        if step in ("before the banner", "in the banner") and drops:
            drops -= 1
            if step == "in the banner":
                peer.raw(banner[:10])
                peer.hang_up()
            else:
                peer.drop()

    def login(peer: FakePeer, action: Action) -> None:
        nonlocal drops
        if not drops:
            asterisk.login(peer, action)
            return
        drops -= 1
        if step == "in its reply":
            peer.raw(b"Response: Success\r\nAct")
        peer.hang_up()

    asterisk.on_connect = connected
    asterisk.on("Login", login)
    async with running(asterisk.address()) as link:
        assert await take(link) == LinkUp(1, "11.0.0")
        assert not drops


async def test_an_asterisk_that_accepts_and_says_nothing_is_left(asterisk: FakeAmi) -> None:
    """The greeting has a deadline, and the link says what it waits for."""
    asterisk.speaks = False
    async with running(asterisk.address(), action_timeout_s=0.1) as link:
        await asterisk.arrived()
        await asterisk.arrived()
        assert "did not greet" in (link.trouble or "")
        assert link.inbox.empty()


async def test_a_login_that_is_never_answered_is_left(asterisk: FakeAmi) -> None:
    """The login has a deadline too."""
    asterisk.on("Login", lambda _peer, _action: None)
    async with running(asterisk.address(), action_timeout_s=0.1) as link:
        await asterisk.heard("Login", 2)
        assert "no answer to Login" in (link.trouble or "")


async def test_everything_pending_fails_at_once_at_a_drop_and_says_that_it_was_sent(
    asterisk: FakeAmi,
) -> None:
    """Mid-action and mid-list: AsteriskUnavailable with sent=True long before the deadline."""

    def half_a_list(peer: FakePeer, action: Action) -> None:
        peer.reply(action, EventList="start")
        peer.item(action, "CoreShowChannel", Uniqueid="1")

    asterisk.on("Originate", lambda _peer, _action: None)
    asterisk.on("CoreShowChannels", half_a_list)
    async with running(asterisk.address(), action_timeout_s=NEVER_S) as link:
        peer = await asterisk.logged_in()
        await link.wait_up(5)
        calls: list[asyncio.Task[Any]] = [
            asyncio.create_task(link.send(ORIGINATE)),
            asyncio.create_task(link.send_list({"Action": "CoreShowChannels"})),
        ]
        await asterisk.heard("CoreShowChannels")
        peer.drop()
        for call in calls:
            end = await asyncio.wait_for(failure(call), 5)
            assert (type(end), end.sent) == (AsteriskUnavailable, True)


async def test_an_action_while_the_link_is_down_is_never_sent_and_says_so(asterisk: FakeAmi) -> None:
    """It fails at once with sent=False, and is not kept for the next login."""
    await asterisk.close()
    async with running(asterisk.address()) as link:
        with pytest.raises(AsteriskUnavailable) as caught:
            await link.send(ORIGINATE)
        assert not caught.value.sent
        await asterisk.start()
        await link.wait_up(10)
        await link.send({"Action": "Ping"})
        assert not asterisk.actions("Originate")


async def test_an_unanswered_originate_is_never_sent_again(asterisk: FakeAmi) -> None:
    """The double dial of the library: after the reconnect Asterisk has still seen one Originate."""
    asterisk.on("Originate", lambda peer, _action: peer.drop())
    async with running(asterisk.address()) as link:
        await asterisk.logged_in()
        await link.wait_up(5)
        with pytest.raises(AsteriskUnavailable) as caught:
            await link.send(ORIGINATE)
        assert caught.value.sent
        peer = await asterisk.logged_in()
        peer.event("FullyBooted", Again="1")
        while not (isinstance(item := await take(link), AmiEvent) and item.get("Again")):
            pass
        await link.send({"Action": "Ping"})
        assert len(asterisk.actions("Originate")) == 1


async def test_a_silent_asterisk_is_found_by_the_ping(asterisk: FakeAmi) -> None:
    """A peer that stops answering (half-open link) is left after the deadline; callers are woken by it."""
    async with running(asterisk.address(), ping_s=0.05, action_timeout_s=0.3) as link:
        await booted(link)
        await asterisk.heard("Ping", 3)
        assert link.up
        asterisk.pongs = False
        asterisk.on("Originate", lambda _peer, _action: None)
        started = time.monotonic()
        with pytest.raises(AsteriskUnavailable) as caught:
            await link.send(ORIGINATE, timeout_s=0.5)
        assert caught.value.sent
        assert "no pong" in (await until(link, LinkDown)).reason
        assert time.monotonic() - started < 5
        asterisk.pongs = True
        assert (await until(link, LinkUp)).login == 2


async def test_events_without_pongs_do_not_hide_a_dead_asterisk_for_long(asterisk: FakeAmi) -> None:
    """One late pong is forgiven while events come, a second is not."""
    async with running(asterisk.address(), ping_s=0.05, action_timeout_s=0.2) as link:
        peer = await asterisk.logged_in()
        asterisk.pongs = False

        async def chatter() -> None:
            while True:
                peer.event("Newstate")
                await asyncio.sleep(0.02)

        task = asyncio.create_task(chatter())
        try:
            assert "no pong" in (await until(link, LinkDown)).reason
            assert len(asterisk.actions("Ping")) == 2
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_long_action_before_the_ping_does_not_end_the_link(asterisk: FakeAmi) -> None:
    """Asterisk answers one action after another: a pong may wait behind one with a longer deadline."""

    async def slow(peer: FakePeer, action: Action) -> None:
        await asyncio.sleep(0.6)
        peer.reply(action, message="done")

    asterisk.on("Command", slow)
    async with running(asterisk.address(), ping_s=0.05, action_timeout_s=0.2) as link:
        await link.wait_up(5)
        assert (await link.send({"Action": "Command", "Command": "x"}, timeout_s=10))["Message"] == "done"
        await asterisk.heard("Ping", 3)
        assert len(asterisk.peers) == 1


async def test_an_asterisk_that_stops_reading_gets_no_more_actions(
    asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past a bound of unsent bytes actions are refused as not sent, instead of filling the memory."""
    monkeypatch.setattr(ami_session, "MAX_UNSENT", 50_000)

    async def stuck(_peer: FakePeer, _action: Action) -> None:
        await asyncio.Event().wait()

    asterisk.on("Stuck", stuck)
    async with running(asterisk.address(), action_timeout_s=NEVER_S) as link:
        await link.wait_up(5)
        action = {"Action": "Stuck", "Variable": [f"V{i}=" + "x" * 900 for i in range(50)]}
        tasks = []
        refused: AsteriskUnavailable | None = None
        for _ in range(1000):
            tasks.append(asyncio.create_task(link.send(action)))
            await asyncio.sleep(0)
            if tasks[-1].done():
                refused = tasks.pop().exception()  # type: ignore[assignment]
                break
        assert refused is not None
        assert not refused.sent
        assert "no more actions" in str(refused)
        # Closing does not wait until the stuck one has read what is left.
        await asyncio.wait_for(link.close(), 5)
        assert all([(await failure(task)).sent for task in tasks])


# -- the consumer ----------------------------------------------------------------------------------


async def test_a_slow_consumer_gets_all_events_in_order(asterisk: FakeAmi) -> None:
    """Below the bound a slow consumer loses nothing and delays no reply."""
    async with running(asterisk.address(), queue_size=5_000) as link:
        peer = await asterisk.logged_in()
        for i in range(3_000):
            peer.event("Newstate", N=str(i))
        assert (await link.send({"Action": "Ping"}))["Ping"] == "Pong"
        await booted(link)
        assert [int((await take(link))["N"]) for _ in range(3_000)] == list(range(3_000))


async def test_an_overflow_ends_the_link_and_waits_for_the_consumer(asterisk: FakeAmi) -> None:
    """What came before is kept in order, then LinkDown('overflow'); the next login waits for room."""
    async with running(asterisk.address(), queue_size=100) as link:
        peer = await asterisk.logged_in()
        for i in range(500):
            peer.event("Newstate", N=str(i))
        await asyncio.wait_for(peer.gone.wait(), 10)
        assert not link.up
        with pytest.raises(TimeoutError):
            await asterisk.logged_in(timeout_s=0.5)
        assert link.inbox.qsize() == 101  # 100 and the mark; LinkUp was among the 100
        await booted(link)
        assert [int((await take(link))["N"]) for _ in range(98)] == list(range(98))
        assert await take(link) == LinkDown("overflow")
        assert (await take(link)) == LinkUp(2, "11.0.0")


async def test_a_callback_that_raises_costs_one_event_and_not_the_link(
    asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours in handling one event is logged and contained."""
    handled = AmiLink._event

    def fragile(self: AmiLink, manager: Any, packet: Any) -> None:
        if packet.event == "Poison":
            raise KeyError("poison")
        handled(self, manager, packet)

    monkeypatch.setattr(AmiLink, "_event", fragile)
    async with running(asterisk.address()) as link:
        peer = await asterisk.logged_in()
        await booted(link)
        peer.event("Before")
        peer.event("Poison")
        peer.event("After")
        assert [(await take(link)).name, (await take(link)).name] == ["Before", "After"]
        assert link.up


# -- closing ---------------------------------------------------------------------------------------


async def test_close_logs_off_and_marks_the_loss(asterisk: FakeAmi) -> None:
    """A closed link says so to Asterisk and to its consumer, and its run ends without an error."""
    async with running(asterisk.address()) as link:
        await booted(link)
        await link.close()
        assert await take(link) == LinkDown("closed")
        await asterisk.heard("Logoff")
        with pytest.raises(AsteriskUnavailable, match="closed"):
            await link.send({"Action": "Ping"})


async def test_close_wakes_whoever_waits(asterisk: FakeAmi) -> None:
    """An action that is under way when the link is closed fails at once."""
    asterisk.on("Originate", lambda _peer, _action: None)
    async with running(asterisk.address(), action_timeout_s=NEVER_S) as link:
        await link.wait_up(5)
        task = asyncio.create_task(link.send(ORIGINATE))
        await asterisk.heard("Originate")
        await link.close()
        with pytest.raises(AsteriskUnavailable):
            await asyncio.wait_for(task, 5)


async def test_close_during_the_back_off_stays_closed(asterisk: FakeAmi) -> None:
    """No connection comes after close, whatever timer was running."""
    async with running(asterisk.address()) as link:
        peer = await asterisk.logged_in()
        await lose(link, peer)
        await link.close()
        with pytest.raises(TimeoutError):
            await asterisk.logged_in(timeout_s=0.5)
        assert len(asterisk.peers) == 1


@pytest.mark.parametrize("step", ["never run", "connecting", "no banner", "login", "waiting for room"])
async def test_close_ends_every_step(asterisk: FakeAmi, step: str) -> None:
    """Closed at any step, the link ends within moments and stays closed."""
    if step == "no banner":
        asterisk.speaks = False
    if step == "login":
        asterisk.on("Login", lambda _peer, _action: None)
    link = AmiLink(asterisk.address(), queue_size=1, action_timeout_s=NEVER_S)
    task = asyncio.create_task(link.run())
    if step == "no banner":
        await asterisk.arrived()
    elif step == "login":
        await asterisk.heard("Login")
    elif step == "waiting for room":
        peer = await asterisk.logged_in()  # FullyBooted overflows the queue of one
        await asyncio.wait_for(peer.gone.wait(), 5)
    elif step == "connecting":
        await asyncio.sleep(0)
    await asyncio.wait_for(link.close(), 5)
    await asyncio.wait_for(task, 5)
    assert not link.up


async def test_a_cancelled_run_is_cancelled_and_leaves_nothing(asterisk: FakeAmi) -> None:
    """The owner's cancellation ends it as a cancellation, with the socket closed and the loss marked."""
    before = asyncio.all_tasks()
    link = AmiLink(asterisk.address())
    task = asyncio.create_task(link.run())
    peer = await asterisk.logged_in()
    await booted(link)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await take(link) == LinkDown("closed")
    await asyncio.wait_for(peer.gone.wait(), 5)
    assert not {each for each in asyncio.all_tasks() - before if "ami-link" in each.get_name()}
