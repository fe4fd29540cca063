"""The link to Asterisk's manager on bad days: drops at each step, silence, a slow consumer, closing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from support.ami_links import NEVER_S, ORIGINATE, booted, failure, running, take, until
from support.fake_ami import Action, FakeAmi, FakePeer

from dialer.asterisk import ami_session
from dialer.asterisk.ami import SILENT_S, AmiEvent, AmiLink, LinkDown, LinkUp
from dialer.errors import AsteriskUnavailable


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAmi]:
    async with FakeAmi() as server:
        yield server


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


async def test_an_asterisk_of_which_not_a_byte_comes_is_left_long_before_its_deadlines(
    asterisk: FakeAmi,
) -> None:
    """Silence is no slowness: it does not matter what is asked meanwhile, nor how long that may take."""
    async with running(asterisk.address(), ping_s=0.05, action_timeout_s=NEVER_S) as link:
        await booted(link)
        asterisk.pongs = False
        asterisk.on("Originate", lambda _peer, _action: None)
        started = time.monotonic()
        with pytest.raises(AsteriskUnavailable) as caught:
            await link.send(ORIGINATE)
        assert caught.value.sent
        assert "not a byte" in (await until(link, LinkDown)).reason
        assert SILENT_S <= time.monotonic() - started < 2 * SILENT_S
        asterisk.pongs = True
        await until(link, LinkUp)


@pytest.mark.parametrize("step", ["Login", "banner"])
async def test_a_silent_login_is_tried_again(asterisk: FakeAmi, step: str) -> None:
    """A peer that accepts and says nothing, at once or after its greeting, is left in the same time."""
    if step == "Login":
        asterisk.on("Login", lambda _peer, _action: None)
    else:
        asterisk.speaks = False
    async with running(asterisk.address(), action_timeout_s=NEVER_S) as link:
        await asterisk.arrived()
        started = time.monotonic()
        await asterisk.arrived()
        assert time.monotonic() - started < 2 * SILENT_S
        asterisk.speaks = True
        asterisk.on("Login", asterisk.login)
        await link.wait_up(10)


async def test_a_busy_asterisk_is_not_left(asterisk: FakeAmi) -> None:
    """One that tells events, or was asked for something long, may be slow with its pongs."""

    async def slow(peer: FakePeer, action: Action) -> None:
        for _ in range(8):
            await asyncio.sleep(SILENT_S / 4)
            peer.event("Newstate")
        peer.reply(action, Ping="Pong")

    async def reload(peer: FakePeer, action: Action) -> None:
        await asyncio.sleep(1.5 * SILENT_S)
        peer.reply(action, Output="reloaded")

    asterisk.on("Ping", slow)
    asterisk.on("Command", reload)
    async with running(asterisk.address(), ping_s=0.05, action_timeout_s=NEVER_S) as link:
        await asterisk.heard("Ping", 2)
        assert await link.command("pjsip reload") == "reloaded"
        assert len(asterisk.peers) == 1


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
        await link.wait_up(5)
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
