"""The link to Asterisk's manager interface (AMI): the only place of the server that speaks it.

One link, one consumer. Everything Asterisk says of its calls enters `AmiLink.inbox` in the order it was said,
between a `LinkUp` and a `LinkDown`; after each LinkUp the consumer asks Asterisk what it has (nothing said
while the link was down is known), after each LinkDown it knows that it knows nothing.

An action has one of these ends, and its caller learns which:

    AmiReply                         Asterisk did it (or, for Async actions, began it)
    ActionFailed                     Asterisk refused it
    AsteriskUnavailable, sent=False  it was never written
    AsteriskUnavailable, sent=True   the link was lost after it was written: Asterisk may have acted on it
    ActionTimeout                    written, no answer in time: the same doubt
    UnsafeValue, Invalid             not written, because it would not have arrived as it is

Nothing is ever sent twice: a doubt is settled by asking Asterisk, not by asking again.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from dialer.asterisk import ami_framing
from dialer.asterisk.ami_framing import MAX_PACKET, Packet, checked, variable
from dialer.asterisk.ami_session import MAX_LIST, PendingAction, SessionManager
from dialer.errors import ActionFailed, ActionTimeout, AsteriskUnavailable

__all__ = ["Address", "AmiEvent", "AmiLink", "AmiReply", "LinkDown", "LinkUp", "variable"]

log = structlog.stdlib.get_logger(__name__)

BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 2.0
#: Not a byte for so long from an Asterisk that was asked something: it is gone, or as good as gone.
SILENT_S = 2.0
#: How long to wait after a refused login: the secret will not mend itself, and Asterisk counts tries.
REFUSED_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where Asterisk's manager listens, and who we are there."""

    host: str
    port: int
    #: The section of manager.conf.
    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AmiEvent:
    """One event, as Asterisk said it; a repeated header holds its values a line each."""

    name: str
    #: Headers in Asterisk's own case.
    fields: Mapping[str, str] = field(repr=False)
    #: `time.monotonic()` when its bytes came.
    received_at: float

    def __getitem__(self, key: str) -> str:
        """The value of a header, whatever the case of its name. Raises KeyError."""
        return ami_framing.field(self.fields, key)

    def get(self, key: str, default: str = "") -> str:
        """The value of a header, whatever the case of its name, or `default`."""
        try:
            return ami_framing.field(self.fields, key)
        except KeyError:
            return default


@dataclass(frozen=True, slots=True)
class AmiReply:
    """Asterisk's answer to an action that it accepted."""

    #: Headers in Asterisk's own case.
    fields: Mapping[str, str] = field(repr=False)

    def __getitem__(self, key: str) -> str:
        """The value of a header, whatever the case of its name. Raises KeyError."""
        return ami_framing.field(self.fields, key)

    def get(self, key: str, default: str = "") -> str:
        """The value of a header, whatever the case of its name, or `default`."""
        try:
            return ami_framing.field(self.fields, key)
        except KeyError:
            return default


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Logged in; the events of this login follow."""

    #: The how manieth login of this link it is, from 1.
    login: int
    #: The version of AMI that Asterisk speaks ("11.0.0" is Asterisk 22).
    version: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link of the last LinkUp is lost; events may have been missed."""

    #: "overflow" (the consumer was too slow), "closed" (by us), else a sentence for the log.
    reason: str


Incoming = AmiEvent | LinkUp | LinkDown


class Inbox(asyncio.Queue[Incoming]):
    """The ordered queue of a link: bounded for events, with room for the link's own marks at any time."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._roomy = asyncio.Event()
        self._roomy.set()

    def offer(self, event: AmiEvent) -> bool:
        """Put an event; False, and no more until half is drained, where it is full."""
        if self.qsize() >= self._limit:
            self._roomy.clear()
            return False
        self.put_nowait(event)
        return True

    async def room(self) -> None:
        """Wait until the consumer has taken half of an overflow."""
        await self._roomy.wait()

    def _get(self) -> Incoming:
        item: Incoming = super()._get()
        if self.qsize() <= self._limit // 2:
            self._roomy.set()
        return item


class LoginRefused(Exception):
    """Asterisk does not take the user and its secret."""


class AmiLink:
    """Keeps one login to Asterisk up and carries events in and actions out."""

    def __init__(
        self,
        address: Address,
        *,
        action_timeout_s: float = 5.0,
        ping_s: float = 1.0,
        queue_size: int = 50_000,
        wanted: Collection[str] | None = None,
        refused_retry_s: float = REFUSED_RETRY_S,
        max_packet: int = MAX_PACKET,
    ) -> None:
        """Nothing happens before `run`.

        `wanted` names the events that enter the inbox (None: all); the others are dropped before they are
        parsed. `action_timeout_s` bounds an action, and the wait for a pong of an Asterisk that says
        something else meanwhile.
        Raises UnsafeValue where the user or the secret cannot be sent.
        """
        self.address = address
        self._login_fields = checked(
            {"Action": "Login", "Username": address.user, "Secret": address.secret, "Events": "on"}
        )
        self._action_timeout_s = action_timeout_s
        self._ping_s = ping_s
        self._wanted = wanted
        self._refused_retry_s = refused_retry_s
        self._max_packet = max_packet
        self._inbox = Inbox(queue_size)
        self._manager: SessionManager | None = None
        self._logins = 0
        self._up = asyncio.Event()
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        #: Why the link is down, for `dozvon check` and the log; None while it is up.
        self.trouble: str | None = "not connected yet"

    @property
    def inbox(self) -> asyncio.Queue[Incoming]:
        """What Asterisk says, in order. One consumer."""
        return self._inbox

    @property
    def up(self) -> bool:
        """Whether actions can be sent now."""
        return self._up.is_set()

    async def wait_up(self, timeout_s: float) -> None:
        """Wait until the link is up. Raises AsteriskUnavailable with what is wrong."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            raise AsteriskUnavailable(reason=self.trouble or "not connected yet") from None

    # -- actions -------------------------------------------------------------------------------------

    async def send(
        self, action: Mapping[str, str | Sequence[str]], *, timeout_s: float | None = None
    ) -> AmiReply:
        """Send one action and wait for its reply; see the module for what can be raised.

        Cancelled, it may have been sent. Its `ActionID` is always the link's own.
        """
        pending = await self._ask(action, timeout_s, is_list=False)
        assert pending.reply is not None
        return AmiReply(pending.reply.headers)

    async def send_list(
        self, action: Mapping[str, str | Sequence[str]], *, timeout_s: float | None = None
    ) -> list[AmiEvent]:
        """Send an action that answers with a list (CoreShowChannels...): its items, without the last mark.

        Raises as `send`; a list cut by a loss of the link is an AsteriskUnavailable, never a short list.
        """
        pending = await self._ask(action, timeout_s, is_list=True)
        return [AmiEvent(item.event, item.headers, at) for item, at in pending.items_seen]

    async def send_each(
        self, actions: Iterable[Mapping[str, str | Sequence[str]]], *, timeout_s: float | None = None
    ) -> list[AmiReply | None]:
        """Write several plain actions at once and wait for all replies, in the order of the actions; None for
        one that Asterisk has refused.

        For what is asked of many channels again and again: one by one, each costs a write and a task. Raises
        as `send`, but for ActionFailed; then nothing is known of any of them.
        """
        fields = [checked(action) for action in actions]
        if not fields:
            return []
        manager = self._logged_in_manager()
        seconds = self._action_timeout_s if timeout_s is None else timeout_s
        asked = [PendingAction(each, is_list=False, timeout_s=seconds) for each in fields]
        try:
            manager.session.send_all(asked)
            await asyncio.wait({each.future for each in asked}, timeout=seconds)
            if not all(each.future.done() for each in asked):
                raise ActionTimeout(action=str(asked[0]["action"]), seconds=seconds, sent=True)
            for each in asked:
                each.future.result()
        finally:
            for each in asked:
                manager.session.responses.pop(each.id, None)
                each.forget()
        return [
            AmiReply(reply.headers) if (reply := each.reply) and reply.success else None for each in asked
        ]

    async def command(self, cli: str) -> str:
        """What Asterisk's command line answers to `cli`, lines joined. Raises as `send`."""
        reply = await self.send({"Action": "Command", "Command": cli})
        return reply.get("Output")

    async def _ask(
        self, action: Mapping[str, str | Sequence[str]], timeout_s: float | None, *, is_list: bool
    ) -> PendingAction:
        fields = checked(action)
        manager = self._logged_in_manager()
        seconds = self._action_timeout_s if timeout_s is None else timeout_s
        return await self._exchange(manager, PendingAction(fields, is_list=is_list, timeout_s=seconds))

    def _logged_in_manager(self) -> SessionManager:
        manager = self._manager
        if manager is None or not self.up:
            raise AsteriskUnavailable(reason=self.trouble or "not connected", sent=False)
        return manager

    async def _exchange(self, manager: SessionManager, pending: PendingAction) -> PendingAction:
        """Send and wait; whatever the end, nothing of the action stays behind."""
        name = str(pending["action"])
        try:
            manager.send_action(pending)
            # asyncio.wait, not wait_for: a reply that came in one turn of the loop with the deadline counts.
            await asyncio.wait({pending.future}, timeout=pending.timeout_s)
            if not pending.future.done():
                raise ActionTimeout(action=name, seconds=pending.timeout_s, sent=True)
            pending.future.result()
        finally:
            manager.session.responses.pop(pending.id, None)
            pending.forget()
        if len(pending.items_seen) > MAX_LIST:
            raise ActionFailed(action=name, reason=f"its list is longer than {MAX_LIST}")
        reply = pending.reply
        assert reply is not None
        if not reply.success:
            raise ActionFailed(action=name, reason=reply.get("Message") or "no reason given")
        return pending

    # -- the life of the link ------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, log in, supervise, and connect again after each loss, until cancelled or closed."""
        if self._running:
            raise RuntimeError("a link runs once")
        self._running = True
        keeper = asyncio.create_task(self._keep(), name="ami-link")
        closing = asyncio.create_task(self._closing.wait(), name="ami-link-closing")
        try:
            await asyncio.wait({keeper, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            keeper.cancel()
            closing.cancel()
            ends = await asyncio.gather(keeper, closing, return_exceptions=True)
            self.trouble = "closed"
            self._ended.set()
        if isinstance(ends[0], Exception):
            raise ends[0]  # a mistake of ours; the owner of this task decides

    def drop(self, reason: str) -> None:
        """End the login of now, if there is one; the next one follows."""
        if self._manager is not None:
            self._manager.session.fail(reason)

    async def close(self) -> None:
        """Log off and close, at whatever step the link is; it never connects again."""
        self._closing.set()
        if self._running:
            await self._ended.wait()

    async def _keep(self) -> None:
        delay_s = BACKOFF_MIN_S
        while True:
            # After an overflow a login would only overflow again: the consumer first.
            await self._inbox.room()
            started = time.monotonic()
            try:
                reason, pause_s = await self._attend(), delay_s
            except LoginRefused as error:
                reason, pause_s = str(error), self._refused_retry_s
                log.error("ami.login_refused", user=self.address.user, reason=reason)  # noqa: TRY400
            except socket.gaierror as error:
                unknown = error.errno == socket.EAI_NONAME
                why = "is not known" if unknown else f"cannot be looked up: {error.strerror}"
                reason, pause_s = f"the name {self.address.host} {why}", delay_s
                log.warning("ami.unreachable", host=self.address.host, port=self.address.port, reason=reason)
            except (OSError, AsteriskUnavailable) as error:
                reason, pause_s = str(error) or type(error).__name__, delay_s
                log.warning("ami.unreachable", host=self.address.host, port=self.address.port, reason=reason)
            self.trouble = reason
            if time.monotonic() - started > BACKOFF_MAX_S:
                delay_s = BACKOFF_MIN_S  # it had been up: the first try again comes soon
            else:
                delay_s = min(delay_s * 2, BACKOFF_MAX_S)
            # Half to whole, so that the servers of one Asterisk do not all come at once.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311

    async def _attend(self) -> str:
        """One connection, from TCP to its loss; returns why it was lost."""
        manager = SessionManager(
            self.address.host,
            self.address.port,
            wanted=self._wanted,
            max_packet=self._max_packet,
            on_login=self._logged_in,
            on_loss=self._lost,
        )
        manager.register_event("*", self._event)
        session = manager.session
        try:
            greets_s = min(SILENT_S, self._action_timeout_s)
            try:
                async with asyncio.timeout(greets_s):
                    await manager.connect()
                    await asyncio.wait({session.greeted, session.lost}, return_when=asyncio.FIRST_COMPLETED)
            except TimeoutError:
                raise AsteriskUnavailable(reason=f"it did not greet within {greets_s:g} s") from None
            if session.lost.done():
                raise AsteriskUnavailable(reason=session.lost.result())
            session.login = PendingAction(self._login_fields, is_list=False, timeout_s=self._action_timeout_s)
            try:
                await self._exchange_unless_silent(manager, session.login)
            except ActionFailed as error:
                raise LoginRefused(str(error)) from None
            await self._supervise(manager)
            return session.lost.result()
        finally:
            if session.ready and not session.closed:
                # Closing on purpose: say so, as far as the socket takes it at once.
                session.say_goodbye()
            session.fail("closed")
            if session.transport is not None:
                await session.gone

    async def _supervise(self, manager: SessionManager) -> None:
        """Ping until the connection is lost; silence ends it, or a pong that is late.

        A half-open connection (Asterisk's machine gone, a firewall that forgot us) is found in this way only.
        There is not a byte of it any more. A busy Asterisk has events to tell before it comes to our ping: so
        it is given more time as long as it speaks.
        """
        session = manager.session
        lost, late = session.lost, 0
        while not lost.done():
            await asyncio.wait({lost}, timeout=self._ping_s)
            if lost.done():
                return
            # Asterisk answers a session's actions one after another: a pong waits behind those before it.
            now = time.monotonic()
            before = max((each.deadline for each in session.responses.values()), default=now)
            ping = PendingAction(
                {"Action": "Ping"}, is_list=False, timeout_s=max(before - now, 0) + self._action_timeout_s
            )
            try:
                await self._exchange_unless_silent(manager, ping)
                late = 0
            except ActionTimeout:
                late += 1
                # Events came meanwhile: it lives, and the pong may stand behind them (a burst, or this loop
                # was kept from reading). A second late pong means that actions are no longer served.
                if session.received_at > now and late == 1:
                    continue
                session.fail(f"no pong within {ping.timeout_s:.3g} s")
            except ActionFailed as error:
                # No right to ping is a poor manager.conf, but an answer all the same.
                log.debug("ami.ping_refused", reason=str(error))
            except AsteriskUnavailable as error:
                session.fail(str(error))

    async def _exchange_unless_silent(self, manager: SessionManager, asked: PendingAction) -> None:
        """Send and wait, and end the connection when nothing at all comes for SILENT_S."""
        session = manager.session
        # Some actions keep Asterisk's end of the connection busy while it has nothing to say: a reload does.
        until_s = max((one.deadline for one in session.responses.values() if self._is_long(one)), default=0.0)
        exchange = asyncio.create_task(self._exchange(manager, asked), name="ami-ask")
        try:
            heard_s, silent = session.received_at, 0
            while not exchange.done():
                # Twice half the time: when it was we who stood still, the answer is there at the second look.
                await asyncio.wait({exchange}, timeout=SILENT_S / 2)
                silent = silent + 1 if session.received_at == heard_s else 0
                heard_s = session.received_at
                if silent >= 2 and not exchange.done() and time.monotonic() >= until_s:
                    session.fail(f"not a byte within {SILENT_S:g} s")
            exchange.result()
        finally:
            exchange.cancel()
            await asyncio.gather(exchange, return_exceptions=True)

    def _is_long(self, action: PendingAction) -> bool:
        return action.timeout_s > self._action_timeout_s or action["action"] == "Command"

    # -- called by the session, synchronously and in the order of the bytes --------------------------

    def _logged_in(self, manager: SessionManager) -> None:
        self._logins += 1
        self._manager = manager
        self.trouble = None
        version = manager.session.framer.version or ""
        self._inbox.put_nowait(LinkUp(self._logins, version))
        self._up.set()
        log.info("ami.up", login=self._logins, version=version)

    def _event(self, manager: SessionManager, packet: Packet) -> None:
        event = AmiEvent(packet.event, packet.headers, manager.session.received_at)
        if not self._inbox.offer(event):
            log.error("ami.overflow", waiting=self._inbox.qsize())
            manager.session.fail("overflow")

    def _lost(self, manager: SessionManager, reason: str) -> None:
        if not manager.session.ready:
            return  # no LinkUp, no LinkDown
        self._up.clear()
        self._manager = None
        self.trouble = reason
        self._inbox.put_nowait(LinkDown(reason))
        log.warning("ami.down", reason=reason)
