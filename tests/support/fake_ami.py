"""An AMI server for tests, on a real loopback socket: polite by default, as rude as a test asks.

    async with FakeAmi() as asterisk:
        link = AmiLink(asterisk.address())
        ...
        peer = await asterisk.logged_in()
        peer.event("Hangup", Uniqueid="1", Cause="16")

It answers Login, Ping and Logoff itself and every other action with Success, or with what `on` set. All that
was received is in `received`, in order, over all connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from dialer.asterisk.ami import Address

#: One received action: headers in lower case; a repeated one holds its values a line each.
Action = dict[str, str]
Handler = Callable[["FakePeer", Action], Awaitable[None] | None]


def packet(*lines: tuple[str, str]) -> bytes:
    """A packet of these headers."""
    return "".join(f"{key}: {value}\r\n" for key, value in lines).encode() + b"\r\n"


class FakePeer:
    """One connection that a client made."""

    def __init__(self, server: FakeAmi, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        #: Set when the connection has ended, whoever ended it.
        self.gone = asyncio.Event()

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        if not self.writer.is_closing():
            self.writer.write(data)

    async def torn(self, data: bytes, at: Iterable[int]) -> None:
        """Write bytes in segments cut at these places, each sent before the next."""
        start = 0
        for end in [*at, len(data)]:
            self.raw(data[start:end])
            await self.writer.drain()
            # Loopback keeps two writes apart only if the reader runs in between.
            for _ in range(3):
                await asyncio.sleep(0)
            start = end

    def event(self, name: str, /, **fields: str) -> None:
        """Say an event."""
        self.raw(packet(("Event", name), ("Privilege", "call,all"), *fields.items()))

    def reply(self, action: Action, response: str = "Success", message: str = "", **fields: str) -> None:
        """Answer an action."""
        self.raw(
            packet(
                ("Response", response),
                ("ActionID", action["actionid"]),
                ("Message", message),
                *fields.items(),
            )
        )

    def item(self, action: Action, event: str, **fields: str) -> None:
        """Say an event that belongs to an action: an item of its list, or its later outcome."""
        self.raw(packet(("Event", event), ("ActionID", action["actionid"]), *fields.items()))

    def drop(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()

    def hang_up(self) -> None:
        """Close the connection politely."""
        self.writer.close()


class FakeAmi:
    """The server; see the module."""

    def __init__(self, *, user: str = "dozvon", secret: str = "right") -> None:
        self.user = user
        self.secret = secret
        self.banner = b"Asterisk Call Manager/11.0.0\r\n"
        self.received: list[Action] = []
        self.peers: list[FakePeer] = []
        #: Whether Ping is answered.
        self.pongs = True
        #: False: connections are accepted and nothing is ever read or said.
        self.speaks = True
        #: Called with each new connection before the banner.
        self.on_connect: Callable[[FakePeer], None] | None = None
        self._handlers: dict[str, Handler] = {}
        self._logins: asyncio.Queue[FakePeer] = asyncio.Queue()
        self._arrivals: asyncio.Queue[FakePeer] = asyncio.Queue()
        self._heard: asyncio.Condition = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> FakeAmi:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen, on the same port again after a `close`."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for peer in self.peers:
            peer.drop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def address(self, secret: str | None = None) -> Address:
        """Where a client finds it, and its login."""
        return Address("127.0.0.1", self.port, self.user, self.secret if secret is None else secret)

    def on(self, action: str, handler: Handler) -> None:
        """Answer this action by `handler`, Login included."""
        self._handlers[action.lower()] = handler

    async def logged_in(self, timeout_s: float = 10.0) -> FakePeer:
        """The next connection that logged in."""
        return await asyncio.wait_for(self._logins.get(), timeout_s)

    async def arrived(self, timeout_s: float = 10.0) -> FakePeer:
        """The next connection, logged in or not."""
        return await asyncio.wait_for(self._arrivals.get(), timeout_s)

    def actions(self, name: str) -> list[Action]:
        """The received actions of this name."""
        return [action for action in self.received if action["action"].lower() == name.lower()]

    async def heard(self, name: str, count: int = 1, timeout_s: float = 10.0) -> list[Action]:
        """Wait until `count` actions of this name were received."""
        async with asyncio.timeout(timeout_s), self._heard:
            await self._heard.wait_for(lambda: len(self.actions(name)) >= count)
        return self.actions(name)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = FakePeer(self, reader, writer)
        self.peers.append(peer)
        self._arrivals.put_nowait(peer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.on_connect is not None:
                self.on_connect(peer)
            if not self.speaks:
                await asyncio.Event().wait()
            peer.raw(self.banner)
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._take(peer, await reader.readuntil(b"\r\n\r\n"))
        except asyncio.CancelledError:
            pass  # only `close` cancels, and asyncio's streams would log it as a mistake
        finally:
            self._tasks.discard(task)
            peer.gone.set()
            writer.close()

    async def _take(self, peer: FakePeer, data: bytes) -> None:
        action: Action = {}
        for line in data.decode().strip("\r\n").split("\r\n"):
            key, _, value = line.partition(": ")
            key = key.lower()
            action[key] = f"{action[key]}\n{value}" if key in action else value
        async with self._heard:
            self.received.append(action)
            self._heard.notify_all()
        handler = self._handlers.get(action["action"].lower(), self._answer)
        done = handler(peer, action)
        if done is not None:
            await done

    def _answer(self, peer: FakePeer, action: Action) -> None:
        match action["action"].lower():
            case "login":
                self.login(peer, action)
            case "ping":
                if self.pongs:
                    peer.reply(action, Ping="Pong", Timestamp="1.000000")
            case "logoff":
                peer.reply(action | {"actionid": action.get("actionid", "")}, "Goodbye")
                peer.hang_up()
            case _:
                peer.reply(action)

    def login(self, peer: FakePeer, action: Action) -> None:
        """Answer a Login as Asterisk does."""
        if (action["username"], action["secret"]) != (self.user, self.secret):
            peer.reply(action, "Error", "Authentication failed")
            peer.hang_up()
            return
        peer.reply(action, message="Authentication accepted")
        peer.event("FullyBooted", Status="Fully Booted")
        self._logins.put_nowait(peer)
