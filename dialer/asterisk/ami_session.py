"""One connection to Asterisk's manager, on panoramisk 1.4: its Manager, protocol, actions and messages.

panoramisk parses, renders, numbers and dispatches. What it does on a bad day is replaced here by its own
hooks, each because it was seen to fail:

- segments: it decodes each one by itself, so a letter split over two is lost -> bytes are framed first;
- a drop: it sends unanswered actions again after the next login, so an Originate dials twice, and a list cut
  in two never resolves -> everything pending fails at once and nothing is kept;
- an `OriginateResponse` is folded into the reply of its Originate -> an event stays an event;
- an error reply to a list action never resolves, a reply that is an error resolves as if it were none;
- an exception in a callback closes the link -> it is logged, the link lives;
- its reconnect timer survives `close()` -> one Manager serves one connection, the link makes the next;
- its log lines hold whole actions, with the secret -> they are not reached.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

import structlog
from panoramisk import Manager
from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol

from dialer.asterisk.ami_framing import EOL, PACKETS, Framer, FramingError, Packet, event_name
from dialer.errors import AsteriskUnavailable

log = structlog.stdlib.get_logger(__name__)

#: Bytes that may wait for a slow Asterisk before further actions are refused.
MAX_UNSENT = 1024 * 1024
#: The most items of one list (CoreShowChannels...); more cannot be a true answer.
MAX_LIST = 200_000

#: Never sent again by panoramisk, were it ever asked to: here the link never asks.
FORGETABLE = ("ping", "login", "originate")


class PendingAction(Action):  # type: ignore[misc]
    """An action on its way: its reply, the items of its list, and whether it may have reached Asterisk."""

    def __init__(self, fields: dict[str, str | list[str]], *, is_list: bool, timeout_s: float) -> None:
        super().__init__({key: value for key, value in fields.items() if key.lower() != "actionid"})
        self.is_list = is_list
        #: How long its caller waits, and the `time.monotonic()` at which it stops.
        self.timeout_s = timeout_s
        self.deadline = time.monotonic() + timeout_s
        #: Set once the socket has it.
        self.sent = False
        self.reply: Packet | None = None
        self.items_seen: list[tuple[Packet, float]] = []
        self._complete = not is_list

    def __str__(self) -> str:
        # As panoramisk writes it; its walk over its own kind of dict costs ten times as much.
        lines = []
        for key, value in sorted(self._store.values()):
            lines += [f"{key}: {value}"] if isinstance(value, str) else [f"{key}: {each}" for each in value]
        return "\r\n".join((*lines, "\r\n"))

    def __repr__(self) -> str:
        # panoramisk's shows every value, the secret of a Login too.
        return f"<PendingAction {self['action']}>"

    def add_message(self, message: Packet, received_at: float = 0.0) -> bool:
        """Take a packet of this action; True when it was the last one. The order does not matter."""
        if message.event:
            if message.event.endswith("Complete") or message.get("EventList") == "Complete":
                self._complete = True
            else:
                self.items_seen.append((message, received_at))
        elif self.reply is None:
            self.reply = message
        done = self.reply is not None and (self._complete or not self.reply.success)
        return (done or len(self.items_seen) > MAX_LIST) and self._finish()

    def _finish(self) -> bool:
        if not self.future.done():
            self.future.set_result(None)
        return True

    def fail(self, reason: str) -> None:
        """The link is lost: wake the caller at once."""
        if not self.future.done():
            self.future.set_exception(AsteriskUnavailable(reason=reason, sent=self.sent))

    def forget(self) -> None:
        """Nobody waits any more."""
        if not self.future.done():
            self.future.cancel()
        elif not self.future.cancelled():
            self.future.exception()  # marks it as seen: the caller left in the same turn of the loop


class Session(AMIProtocol):  # type: ignore[misc]
    """The protocol of one connection, from TCP to its loss; never used again after that."""

    def __init__(self, manager: SessionManager, wanted: Collection[str] | None, max_packet: int) -> None:
        self.factory = manager
        self.transport: asyncio.Transport | None = None
        self.closed = False
        #: Actions without a full answer, by ActionID.
        self.responses: dict[str, PendingAction] = {}
        self.framer = Framer(max_packet)
        #: Done with the banner read; the secret is not sent to a service that has not said it.
        self.greeted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        #: Done when the socket is closed.
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Done with the reason as soon as this connection is of no more use.
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.login: PendingAction | None = None
        #: Whether the login was accepted; events before it are not ours.
        self.ready = False
        #: `time.monotonic()` of the last bytes.
        self.received_at = 0.0
        self._wanted = None if wanted is None else frozenset(name.encode() for name in wanted)
        self._may_write = True

    # -- called by asyncio ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none by class, only by what they do.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=MAX_UNSENT)
        if self.closed:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.received_at = time.monotonic()
        try:
            packets = self.framer.feed(data)
        except FramingError as error:
            self.fail(str(error))
            return
        if self.framer.version is not None and not self.greeted.done():
            self.greeted.set_result(self.framer.version)
        wanted = self._wanted
        for packet in packets:
            if self.closed:
                return
            if not (said := packet.lstrip(EOL)).startswith(PACKETS) and said:
                # Dirt has no end of its own: the packet behind it is in it, and may be the end of a call.
                self.fail("what it says is neither an event nor a response")
                return
            # Names are cheap, parsing is not. An event with an ActionID may be an item of a list.
            if (
                wanted is not None
                and (name := event_name(packet)) is not None
                and name not in wanted
                and b"\r\nActionID: " not in packet
            ):
                continue
            message = Packet.parse(packet)
            if message is not None:
                self.handle_message(message)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True

    def connection_lost(self, exc: BaseException | None) -> None:
        self.fail("the connection was lost" if exc else "Asterisk closed the connection")
        if not self.gone.done():
            self.gone.set_result(None)

    # -- called by panoramisk's Manager and by the link ----------------------------------------------

    def send(self, data: PendingAction, as_list: bool | None = None) -> asyncio.Future[None]:
        """Write an action. Raises AsteriskUnavailable where it was not written."""
        self.send_all([data])
        return data.future  # type: ignore[no-any-return]

    def send_all(self, actions: Sequence[PendingAction]) -> None:
        """Write actions, all at once. Raises AsteriskUnavailable where none of them was written."""
        if self.closed or self.transport is None or self.transport.is_closing():
            raise AsteriskUnavailable(reason="the connection was lost", sent=False)
        if not self._may_write:
            raise AsteriskUnavailable(reason="it takes no more actions at the moment", sent=False)
        for action in actions:
            self.responses[action.id] = action
            action.sent = True
        self.transport.write("".join(map(str, actions)).encode())

    def say_goodbye(self) -> None:
        """Log off, without an answer awaited."""
        if self.transport is not None and self._may_write and not self.transport.is_closing():
            self.transport.write(b"Action: Logoff\r\n\r\n")

    def handle_message(self, message: Packet) -> None:
        """Give a packet to the action that it answers, else to the callbacks if it is an event."""
        action = self.responses.get(message.headers.get("ActionID", ""))
        if message.event and (action is None or not action.is_list):
            # An event of a plain action (OriginateResponse) is an event like any other.
            if self.ready:
                self.factory.dispatch(message)
            return
        if action is None:
            return  # the second of two replies, or one that its caller no longer waits for
        if action.add_message(message, self.received_at):
            self.responses.pop(action.id, None)
            if action is self.login and message.success:
                # Here and now, not by a callback of the future: events may follow in this very segment.
                self.ready = True
                self.factory.on_login(self.factory)

    def fail(self, reason: str) -> None:
        """End this connection now: wake all who wait, then close the socket without waiting for anyone."""
        if self.closed:
            return
        self.closed = True
        for action in self.responses.values():
            action.fail(reason)
        self.responses.clear()
        self.lost.set_result(reason)
        self.greeted.cancel()
        if self.transport is not None:
            # Not close(): that waits until a peer which may be silent has taken what is buffered.
            self.transport.abort()
        else:
            self.gone.set_result(None)
        self.factory.connection_lost(reason)

    def close(self) -> None:
        self.fail("closed")


class SessionManager(Manager):  # type: ignore[misc]
    """panoramisk's Manager for one connection: it connects, sends, and dispatches events to callbacks."""

    session: Session

    def __init__(
        self,
        host: str,
        port: int,
        *,
        wanted: Collection[str] | None,
        max_packet: int,
        on_login: Callable[[SessionManager], None],
        on_loss: Callable[[SessionManager, str], None],
    ) -> None:
        super().__init__(
            host=host,
            port=port,
            loop=asyncio.get_running_loop(),
            protocol_factory=lambda: self.session,
            forgetable_actions=FORGETABLE,
            on_login=on_login,
        )
        # What Manager subscribes for itself is the sending again of actions after a reconnect.
        self.callbacks.clear()
        self.patterns.clear()
        self._on_loss = on_loss
        self.session = self.protocol = Session(self, wanted, max_packet)

    def connection_made(self, f: asyncio.Future[Any]) -> None:
        """Nothing of panoramisk's: the session is ready by itself, the link connects again and pings."""

    def connection_lost(self, exc: str) -> None:
        self._on_loss(self, exc)

    def dispatch(self, event: Packet) -> list[str]:
        """Run the callbacks of an event; one that raises costs its own work, not the link."""
        try:
            return super().dispatch(event)  # type: ignore[no-any-return]
        except Exception:
            log.exception("ami.callback_failed", event_name=event.event)
            return []
