"""The link to Asterisk's manager against a fake one on a real socket: logins, actions, bytes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ami_links import ORIGINATE, booted, failure, running, take, until
from support.fake_ami import Action, FakeAmi, FakePeer

from dialer.asterisk import ami_session
from dialer.asterisk.ami import Address, AmiLink, LinkUp
from dialer.asterisk.ami_framing import checked
from dialer.asterisk.ami_session import PendingAction
from dialer.errors import ActionFailed, ActionTimeout, AsteriskUnavailable, UnsafeValue


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAmi]:
    async with FakeAmi() as server:
        yield server


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


async def test_what_is_asked_at_once_has_its_replies_in_the_order_of_the_questions(asterisk: FakeAmi) -> None:
    """Of several actions in one write each gets its own reply, a refused one none, in whatever order."""
    held: list[Action] = []

    def shuffle(peer: FakePeer, action: Action) -> None:
        held.append(action)
        if len(held) == 4:
            for each in reversed(held):
                peer.reply(each, "Error" if each["key"] == "2" else "Success", each["key"])

    asterisk.on("DBGet", shuffle)
    async with running(asterisk.address()) as link:
        await link.wait_up(5)
        assert await link.send_each([]) == []
        replies = await link.send_each({"Action": "DBGet", "Key": str(number)} for number in range(4))
        assert [reply and reply["message"] for reply in replies] == ["0", "1", None, "3"]


async def test_one_that_is_not_answered_in_time_ends_all_that_was_asked_at_once(asterisk: FakeAmi) -> None:
    """What is missing is a doubt, and nothing is kept for its late reply."""
    asterisk.on("DBGet", lambda peer, action: peer.reply(action) if action["key"] == "0" else None)
    async with running(asterisk.address()) as link:
        await link.wait_up(5)
        actions = [{"Action": "DBGet", "Key": str(number)} for number in range(2)]
        with pytest.raises(ActionTimeout):
            await link.send_each(actions, timeout_s=0.1)
        assert link._manager is not None
        assert not link._manager.session.responses


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


async def test_stray_line_ends_and_letters_of_another_encoding_cost_no_event(asterisk: FakeAmi) -> None:
    """Empty packets, and letters that are no UTF-8, leave the link up and all events in order."""
    async with running(asterisk.address()) as link:
        peer = await asterisk.logged_in()
        await booted(link)
        peer.raw(b"\r\n\r\n\r\nEvent: One\r\nName: \xcf\xf0\r\nN: 1\r\n\r\n")
        peer.raw(b"\r\nEvent: Two\r\nEvent: Three\r\n\r\nResponse: Success\r\nResponse: Error\r\n\r\n")
        peer.event("Last")
        one, two, last = await take(link), await take(link), await take(link)
        assert (one.name, one["N"], set(one["Name"])) == ("One", "1", {"�"})
        assert two.name.startswith("Two")
        assert last.name == "Last"


@pytest.mark.parametrize("dirt", [b"\x00\xff", b"what is this\r\n\r\n", b": \r\n\r\n", b"X: 1\r\n"])
async def test_bytes_that_are_no_packet_end_the_link(asterisk: FakeAmi, dirt: bytes) -> None:
    """They may have swallowed the packet behind them, the end of a call say: a login asks for it."""
    async with running(asterisk.address()) as link:
        peer = await asterisk.logged_in()
        await booted(link)
        peer.raw(dirt + b"Event: Hangup\r\nUniqueid: 1\r\n\r\n")
        assert "neither an event nor a response" in (await take(link)).reason
        assert (await take(link)) == LinkUp(2, "11.0.0")


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


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (socket.EAI_NONAME, "the name pbx.example.com is not known"),
        (socket.EAI_AGAIN, "the name pbx.example.com cannot be looked up: later"),
    ],
)
async def test_a_host_without_an_address_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    """What the resolver says has a number and no name in it; people see the name that they have given."""

    def look_up(*_asked: object, **_how: object) -> None:
        raise socket.gaierror(code, "later")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with running(Address("pbx.example.com", 5038, "dozvon", "right")) as link:
        async with asyncio.timeout(10):
            while link.trouble == "not connected yet":  # noqa: ASYNC110 - a failed try is told to nobody
                await asyncio.sleep(0.02)
        assert link.trouble == said
