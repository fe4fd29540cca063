"""A real S3 server for tests (moto's), with a door in front of it that can be slow, wrong or shut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
import pytest
from aiohttp import web
from moto.server import ThreadedMotoServer

from dialer.settings import Settings, load

__all__ = ["s3"]

BUCKET = "talks"
#: What stands in no log and on no page.
KEY, SECRET = "AKIAKEYOFTESTS", "secret-of-tests"
REFUSED = (
    "<?xml version='1.0'?><Error><Code>InvalidAccessKeyId</Code><Message>No such key</Message>"
    f"<AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>"
)


@dataclass(slots=True)
class S3:
    """The store, as this server reaches it."""

    #: of the server itself
    behind: str
    http: aiohttp.ClientSession
    url: str = ""
    #: shut: nobody answers; corrupt: other bytes come back; slow: it takes until `let`; refuses: the key
    door: Literal["open", "shut", "corrupt", "slow", "refuses"] = "open"
    let: asyncio.Event = field(default_factory=asyncio.Event)
    #: methods and paths that came through
    asked: list[str] = field(default_factory=list)

    def settings(self, **more: object) -> Settings:
        """A server that has this store."""
        return load(
            **{
                "recordings_s3_bucket": BUCKET,
                "recordings_s3_endpoint": self.url,
                "recordings_s3_key": KEY,
                "recordings_s3_secret": SECRET,
                "recordings_s3_prefix": "dozvon",
            }
            | more
        )

    async def make_bucket(self) -> None:
        """The bucket is there."""
        async with self.http.put(f"{self.behind}/{BUCKET}") as reply:
            assert reply.status == 200

    async def drop_bucket(self) -> None:
        """The bucket is gone, with what was in it."""
        async with self.http.post(f"{self.behind}/moto-api/reset") as reply:
            assert reply.status == 200

    async def keys(self) -> list[str]:
        """What is in the bucket."""
        async with self.http.get(f"{self.behind}/{BUCKET}?list-type=2") as reply:
            text = await reply.text()
        return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Pass a question on, as the door lets."""
        self.asked.append(f"{request.method} {request.path}")
        if self.door == "shut":
            assert request.transport is not None
            request.transport.abort()
            raise web.HTTPServiceUnavailable
        if self.door == "refuses":
            return web.Response(status=403, text=REFUSED, content_type="application/xml")
        if self.door == "slow":
            await self.let.wait()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        body = await request.read()
        async with self.http.request(
            request.method, self.behind + request.path_qs, data=body or None, headers=headers
        ) as reply:
            said = await reply.read()
            if self.door == "corrupt" and request.method == "GET" and said:
                said = bytes([said[0] ^ 1]) + said[1:]
            kept = {
                name: value
                for name, value in reply.headers.items()
                if name.lower() not in ("transfer-encoding", "connection", "server", "date")
            }
            if request.method != "HEAD":
                kept["Content-Length"] = str(len(said))
            return web.Response(status=reply.status, body=said or None, headers=kept)


@pytest.fixture
async def s3() -> AsyncIterator[S3]:
    """A store with an empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    await asyncio.to_thread(server.start)
    host, port = server.get_host_and_port()
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        store = S3(f"http://{host}:{port}", http)
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{path:.*}", store.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        store.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with http.post(f"{store.behind}/moto-api/reset"):  # another test's, in this process
            pass
        await store.make_bucket()
        try:
            yield store
        finally:
            store.let.set()
            await runner.cleanup()
    await asyncio.to_thread(server.stop)
