"""A server of somebody's that flows ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from dialer.hosts.model import Host

__all__ = ["Server", "server"]


@dataclass
class Server:
    """A server of somebody's, with what it was asked."""

    port: int = 0
    asked: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def host(self, *, inside: bool = True, name: str = "127.0.0.1", **more: str) -> Host:
        """It in the list."""
        return Host(1, f"{name}:{self.port}", inside=inside, **({"header": "", "secret": ""} | more))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Write down, and answer."""
        body = await request.text()
        self.asked.append((request.method, request.raw_path, body, dict(request.headers)))
        if self.answer is not None:
            return await self.answer(request)
        return web.json_response({"balance": 12.5})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """It works."""
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
