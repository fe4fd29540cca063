"""A page of the server as a browser keeps it live: a stream of events, and parts that are asked for anew when
events say so, no oftener than the page asks (see app.js)."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Final

from aiohttp import ClientSession, ClientTimeout, TCPConnector

#: As app.js has it: events of a moment renew a part once.
GATHER_S: Final = 0.025


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a page."""

    #: the kinds of events that renew it, by how they begin
    kinds: tuple[str, ...]
    #: data-every
    every_s: float


@dataclass(slots=True)
class _Ask:
    """That a part is to be asked for."""

    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    #: at once
    soon: asyncio.Event = field(default_factory=asyncio.Event)


class LivePage:
    """One page that is looked at; what is measured of it, a subclass does."""

    #: the parts by their paths
    parts: ClassVar[Mapping[str, Part]] = {}
    #: what is asked of the stream
    query = ""
    #: this kind of event is not waited with
    at_once = ""

    def __init__(self, http: ClientSession, token: str, url: str) -> None:
        self._http, self._headers, self._url = http, {"Authorization": f"Bearer {token}"}, url
        #: bytes that have come: of the stream, of the parts
        self.stream_bytes = self.part_bytes = 0
        self.opened = asyncio.Event()
        self._asks = {path: _Ask() for path in self.parts}

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            for path in self.parts:
                group.create_task(self._renew(path))

    def heard(self, kind: str, data: bytes) -> None:
        """An event has come."""

    def asked(self, path: str) -> None:
        """A part is about to be asked for."""

    def shown(self, path: str, text: str) -> None:
        """A part has come."""

    async def _listen(self) -> None:
        kind = ""
        async with self._http.get(f"{self._url}/api/v1/events{self.query}", headers=self._headers) as reply:
            reply.raise_for_status()
            async for raw in reply.content:
                self.stream_bytes += len(raw)
                if raw.startswith(b"event: "):
                    kind = raw[7:].decode().strip()
                    self.opened.set()
                elif raw.startswith(b"data: {") and kind != "alive":
                    self.heard(kind, raw[6:])
                    for path, part in self.parts.items():
                        if kind.startswith(part.kinds):
                            self._asks[path].wanted.set()
                            if kind == self.at_once:
                                self._asks[path].soon.set()

    async def _renew(self, path: str) -> None:
        loop, last_s = asyncio.get_running_loop(), float("-inf")
        ask, every_s = self._asks[path], self.parts[path].every_s
        while True:
            await ask.wanted.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(GATHER_S, last_s + every_s - loop.time())):
                    await ask.soon.wait()
            ask.wanted.clear()
            ask.soon.clear()
            last_s = loop.time()
            self.asked(path)
            self.shown(path, await self._fetch(path))

    async def _fetch(self, path: str) -> str:
        headers = self._headers | {"Accept-Encoding": "gzip, deflate", "HX-Request": "true"}
        async with self._http.get(self._url + path, headers=headers) as reply:
            reply.raise_for_status()
            body = await reply.read()
            self.part_bytes += len(body) + sum(
                len(name) + len(value) + 4 for name, value in reply.raw_headers
            )
            packed = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
            how = reply.headers.get("Content-Encoding")
            return (zlib.decompress(body, packed[how]) if how else body).decode()


def browsers() -> ClientSession:
    """A client that holds any number of pages, and leaves packed what comes packed."""
    timeout = ClientTimeout(total=None, sock_read=60)
    return ClientSession(connector=TCPConnector(limit=0), timeout=timeout, auto_decompress=False)
