"""Peers of the FastAGI server on real sockets, which say what a test has them say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from dialer.asterisk.fastagi import AgiCall, FastAgiServer

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


async def agi_of_a_channel(call: AgiCall) -> object:
    return call.script, dict(call.query), call.args, call.channel_id
