"""A wire between the engine and Asterisk's manager that can be cut, stopped, torn and dirtied at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum

_READ = 65_536


class Way(StrEnum):
    """A direction on the wire."""

    #: from the engine to Asterisk
    TO_ASTERISK = "to_asterisk"
    FROM_ASTERISK = "from_asterisk"


@dataclass(slots=True)
class Cut:
    """Cut the connection `after` so many bytes of the next thing on this way that begins with `begins`."""

    way: Way
    begins: bytes
    after: int
    #: the other side gets a reset in place of an end
    reset: bool = False
    #: only once this was said to Asterisk on the same connection
    once_asked: bytes = b""
    _asked: bytearray = field(default_factory=bytearray)
    _seen: bytearray = field(default_factory=bytearray)
    _owner: object = None

    def feed(self, wire: object, way: Way, data: bytes) -> int | None:
        """How many bytes of `data` are still let through; None: all, and no cut."""
        if self._owner is not None and self._owner is not wire:
            self._asked.clear()
            self._seen.clear()
        self._owner = wire
        if self.once_asked and self.once_asked not in self._asked:
            if way is Way.TO_ASTERISK:
                self._asked += data
            return None
        if way is not self.way:
            return None
        had = len(self._seen)
        self._seen += data
        at = self._seen.find(self.begins)
        if at < 0 or at + self.after > len(self._seen):
            return None
        return max(0, at + self.after - had)


class AmiProxy:
    """Listens on a port of its own and passes everything on to Asterisk's manager. Use `running`."""

    def __init__(self, target_port: int, seed: int) -> None:
        self.target_port = target_port
        self.port = 0
        #: the present fault, if it is a cut
        self.cut: Cut | None = None
        #: set when `cut` was made
        self.was_cut = asyncio.Event()
        #: a new connection is accepted and nothing else happens to it
        self.silent = False
        #: (what begins, dirt): the dirt is put before the next packet from Asterisk that begins so
        self.dirt: tuple[bytes, bytes] | None = None
        self.was_dirty = asyncio.Event()
        #: bytes go in pieces of one to three
        self.torn = False
        #: connections, and logins, so far
        self.accepted = 0
        self._rng = random.Random(seed)  # noqa: S311
        self._wires: set[_Wire] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[AmiProxy]:
        """Listen inside the block."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for wire in list(self._wires):
                wire.end(reset=True)
            await server.wait_closed()

    @property
    def wire(self) -> _Wire | None:
        """The newest open connection."""
        return max(self._wires, key=lambda wire: wire.number, default=None)

    def arm(self, cut: Cut) -> None:
        """Make this cut at the next chance."""
        self.was_cut.clear()
        self.cut = cut

    def drop(self, *, reset: bool) -> None:
        """Cut what is open now."""
        for wire in list(self._wires):
            wire.end(reset=reset)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        wire = _Wire(self.accepted, self, reader, writer)
        self._wires.add(wire)
        try:
            # An error is an end of the wire that the other side has made; a cancellation is the bench's end,
            # and asyncio's own streams do not take one.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await wire.run()
        finally:
            self._wires.discard(wire)
            wire.gone.set()
            wire.end(reset=False)


class _Wire:
    """One connection of the engine, and ours to Asterisk for it."""

    def __init__(
        self, number: int, proxy: AmiProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.proxy = proxy
        #: both ways are swallowed, the sockets stay
        self.half_open = False
        #: the engine has closed it
        self.gone = asyncio.Event()
        self._reader, self._writer = reader, writer
        self._far: asyncio.StreamWriter | None = None
        self._ended = False

    async def run(self) -> None:
        """Carry until either side ends."""
        if self.proxy.silent:
            while await self._reader.read(_READ):
                pass
            return
        reader, self._far = await asyncio.open_connection("127.0.0.1", self.proxy.target_port)
        ways = {
            asyncio.create_task(self._carry(self._reader, self._far, Way.TO_ASTERISK)),
            asyncio.create_task(self._carry(reader, self._writer, Way.FROM_ASTERISK)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def inject(self, data: bytes) -> None:
        """Say something to the engine as if Asterisk had said it."""
        self._writer.write(data)

    def end(self, *, reset: bool) -> None:
        """Close both sockets, with a reset of the engine's if wished."""
        if self._ended:
            return
        self._ended = True
        for writer in (self._writer, self._far):
            if writer is None:
                continue
            if reset:
                with contextlib.suppress(OSError):
                    # No time to linger: close(2) sends a reset (socket(7)).
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                writer.transport.abort()
            else:
                writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        while data := await reader.read(_READ):
            if self.half_open:
                # Asterisk's end may go; the engine's socket says nothing of it.
                continue
            if way is Way.FROM_ASTERISK and self.proxy.dirt is not None:
                data = self._soiled(data, *self.proxy.dirt)
            cut = self.proxy.cut
            keep = cut.feed(self, way, data) if cut is not None else None
            if cut is not None and keep is not None:
                self.proxy.cut = None
                writer.write(data[:keep])
                await asyncio.sleep(0)  # what was let through leaves before the end does
                self.end(reset=cut.reset)
                self.proxy.was_cut.set()
                return
            if self.proxy.torn:
                await self._tear(writer, data)
            else:
                writer.write(data)
                await writer.drain()
        if self.half_open and way is Way.FROM_ASTERISK:
            await asyncio.Event().wait()  # the engine is not told of the end

    def _soiled(self, data: bytes, begins: bytes, dirt: bytes) -> bytes:
        at = data.find(begins)
        if at < 0 or (at > 0 and not data[:at].endswith(b"\r\n\r\n")):
            return data
        self.proxy.dirt = None
        self.proxy.was_dirty.set()
        return data[:at] + dirt + data[at:]

    async def _tear(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        # TCP_NODELAY is asyncio's own default: each write is a segment.
        while data and self.proxy.torn:
            size = self.proxy._rng.randint(1, 3)
            writer.write(data[:size])
            data = data[size:]
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(data)
