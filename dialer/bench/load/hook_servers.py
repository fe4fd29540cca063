"""Servers of FastAGI that are measured side by side, each in a process of its own: ours with the HTTP hooks,
panoramisk's, pyst2's. All ask the same service of the same database.

pyst2 has a FastAGI module that Python 3 cannot import, and its AGI takes a signal, which a thread may not.
What is measured is its AGI in a thread for each connection, without the signal.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any, Final, cast

import structlog
from asterisk import agi as pyst2
from panoramisk import fast_agi

from dialer.app.web import build_web
from dialer.hooks.asking import ask
from dialer.hooks.fastagi import CALL_TOKEN, STATUS, TOKEN, HookAgi, lines, read
from dialer.hooks.http import HOOKS
from dialer.hooks.model import Hook
from dialer.hooks.service import HookService
from dialer.httpkit.application import serve
from dialer.settings import Settings
from dialer.users.http import USERS
from dialer.users.service import UserService

OURS, PANORAMISK, PYST2 = NAMES = ("fastagi", "panoramisk", "pyst2")
#: A process that has not begun to listen after this does not.
STARTED_S: Final = 60.0
#: The script that all of them answer to.
SCRIPT: Final = "hooks/lookup"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a process listens."""

    agi: int
    #: of the HTTP hooks beside it
    http: int


@dataclass(frozen=True, slots=True)
class Lookups:
    """What all servers ask."""

    service: HookService
    users: UserService

    async def answer(self, token: str, env: dict[str, str], before: str) -> Iterator[str]:
        """The lines of variables that the dialplan is told."""
        identity = await self.users.by_api_token(token)
        assert identity is not None
        said = read(Hook.LOOKUP, {}, env, before)
        told = await ask(self.service, identity.actor, Hook.LOOKUP, said)
        return iter(lines({**told.variables, CALL_TOKEN: told.call_token, STATUS: told.status.value}))


@asynccontextmanager
async def running(name: str, settings: Settings, app_url: str) -> AsyncIterator[Ports]:
    """One of NAMES at work; gone with the context, and with us."""
    spawn = get_context("spawn")
    heard, says = spawn.Pipe(duplex=False)
    alive, held = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(name, settings, app_url, says, alive), daemon=True)
    process.start()
    says.close()
    alive.close()
    try:
        if not await asyncio.to_thread(heard.poll, STARTED_S):
            raise TimeoutError(name)
        yield heard.recv()
    finally:
        held.close()
        process.kill()
        await asyncio.to_thread(process.join)


def _work(name: str, settings: Settings, app_url: str, says: Connection, alive: Connection) -> None:
    """Serve until whoever has started us is gone."""

    def watch() -> None:
        with suppress(EOFError, OSError):
            alive.recv()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the bench that is meant
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.ERROR)
    asyncio.run(_serve(name, settings, app_url, says))


async def _serve(name: str, settings: Settings, app_url: str, says: Connection) -> None:
    async with AsyncExitStack() as stack:
        app = build_web(settings.model_copy(update={"hooks_per_s": 10_000}), app_url)
        site = await serve(app, "127.0.0.1", 0)
        stack.push_async_callback(site.close)
        lookups = Lookups(app[HOOKS], app[USERS])
        if name == PANORAMISK:
            port = await _panoramisk(lookups)
        elif name == PYST2:
            port = _pyst2(lookups)
        else:
            agi = HookAgi("127.0.0.1", 0, lookups.service, lookups.users)
            working = asyncio.create_task(agi.run())
            stack.callback(working.cancel)
            await agi.listening.wait()
            port = int(agi.address.rpartition(":")[2])
        says.send(Ports(port, int(site.url.rpartition(":")[2])))
        await asyncio.get_running_loop().create_future()


async def _panoramisk(lookups: Lookups) -> int:
    """Its application under asyncio's stream server; the port."""

    async def value(request: fast_agi.Request, name: str) -> str:
        said = await request.send_command(f"GET VARIABLE {name}")
        found = said.get("result", ("", ""))
        return str(found[1] or "") if isinstance(found, tuple) else ""

    async def answer(request: fast_agi.Request) -> None:
        env = {name.removeprefix("agi_"): text for name, text in request.headers.items()}
        token, before = await value(request, TOKEN), await value(request, CALL_TOKEN)
        for line in await lookups.answer(token, env, before):
            await request.send_command(f'EXEC MSet "{line}"')

    application = fast_agi.Application()
    application.add_route(SCRIPT, answer)
    server = await asyncio.start_server(application.handler, "127.0.0.1", 0, backlog=512)
    return int(server.sockets[0].getsockname()[1])


def _pyst2(lookups: Lookups) -> int:
    """Its AGI in a thread for each connection; the port."""
    loop = asyncio.get_running_loop()
    pyst2.signal = SimpleNamespace(SIGHUP=signal.SIGHUP, signal=lambda *_: None)

    class Session(socketserver.StreamRequestHandler):
        timeout = 5  # as in its module

        def handle(self) -> None:
            sent, said = cast(Any, self.rfile), cast(Any, self.wfile)
            reader = io.TextIOWrapper(sent, encoding="utf-8")
            writer = io.TextIOWrapper(said, encoding="utf-8", write_through=True)
            call: Any = pyst2.AGI(reader, writer, io.StringIO())
            env = {name.removeprefix("agi_"): text for name, text in call.env.items()}
            token, before = call.get_variable(TOKEN), call.get_variable(CALL_TOKEN)
            asked = asyncio.run_coroutine_threadsafe(lookups.answer(token, env, before), loop)
            for line in asked.result():
                call.appexec("MSet", line)

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 512
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Of a session that has broken off nothing is printed."""

    server = Server(("127.0.0.1", 0), Session)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])
