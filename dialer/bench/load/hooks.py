"""Look-ups from a dialplan: how long one takes, over a base of contacts, at a steady rate of calls.

The same service and database behind each way: HTTP as the programs of agi_scripts/ speak it (without
the start of their Python), our FastAGI server, and panoramisk's with the same commands. pyst2's FastAGI
server does not work on Python 3. Who asks plays Asterisk in this process: a connection a call, every variable
acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from aiohttp import ClientSession, TCPConnector
from panoramisk import fast_agi
from sqlalchemy import text

from dialer.app.web import build_web
from dialer.bench.load import centre_data
from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.day import Books, open_books
from dialer.bench.load.model import Measured, Say, Wish, spread
from dialer.db.session import connect
from dialer.hooks.asking import ask
from dialer.hooks.fastagi import CALL_TOKEN, STATUS, TOKEN, HookAgi, lines, read
from dialer.hooks.http import HOOKS
from dialer.hooks.model import Hook
from dialer.hooks.service import HookService
from dialer.httpkit.access import Actor, Role, Scope
from dialer.httpkit.application import serve
from dialer.users.http import USERS
from dialer.users.service import UserService

#: What is asked of a look-up, 95th percentile, milliseconds.
MOST_MS: Final = 20.0
#: When a session that does not end is given up.
GIVEN_UP_S: Final = 10.0
PASSWORD: Final = "bench-of-hooks-1"  # noqa: S105 - of a database that lives for minutes

#: The base has leads; whom a look-up finds has a phone.
_PHONES: Final = """
    INSERT INTO contact_phone (tenant_id, contact_id, position, e164, kind, timezones)
    SELECT tenant_id, contact_id, 1, e164, 'mobile', timezones FROM lead
    RETURNING e164
"""

#: Ask of this number in that call; whether somebody was found.
Way = Callable[[str, int], Awaitable[bool]]


def _by_agi(port: int, token: str) -> Way:
    """FastAGI, as Asterisk speaks it."""

    async def asked(number: str, call: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        found = False
        try:
            writer.write(
                f"agi_network: yes\nagi_network_script: hooks/lookup\nagi_uniqueid: 1790000000.{call}\n"
                f"agi_callerid: {number}\nagi_channel: PJSIP/carrier-1\nagi_language: ru\n"
                f"agi_context: from-carrier\nagi_extension: s\nagi_priority: 3\n\n".encode()
            )
            while line := (await reader.readline()).decode():
                found = found or f"{STATUS}=OK" in line
                value = f"1 ({token})" if TOKEN in line else "0"
                writer.write(f"200 result={value}\n".encode())
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        return found

    return asked


def _by_http(http: ClientSession, url: str, token: str) -> Way:
    """HTTP with a connection a call, as a program has it."""

    async def asked(number: str, call: int) -> bool:
        body = {"channel": f"1790000000.{call}", "caller": number}
        headers = {"Authorization": f"Bearer {token}"}
        async with http.post(f"{url}/api/v1/hooks/lookup", json=body, headers=headers) as reply:
            return bool((await reply.json()).get("status") == "OK")

    return asked


async def _panoramisk(stack: AsyncExitStack, service: HookService, users: UserService) -> int:
    """Its server with the same service behind; the port."""

    async def value(request: fast_agi.Request, name: str) -> str:
        said = await request.send_command(f"GET VARIABLE {name}")
        found = said.get("result", ("", ""))
        return str(found[1] or "") if isinstance(found, tuple) else ""

    async def answer(request: fast_agi.Request) -> None:
        identity = await users.by_api_token(await value(request, TOKEN))
        assert identity is not None
        env = {name.removeprefix("agi_"): text for name, text in request.headers.items()}
        said = read(Hook.LOOKUP, {}, env, await value(request, CALL_TOKEN))
        told = await ask(service, identity.actor, Hook.LOOKUP, said)
        for line in lines({**told.variables, CALL_TOKEN: told.call_token, STATUS: told.status.value}):
            await request.send_command(f'EXEC MSet "{line}"')

    application = fast_agi.Application()
    application.add_route("hooks/lookup", answer)
    server = await asyncio.start_server(application.handler, "127.0.0.1", 0)
    stack.callback(server.close)
    return int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def _ways(books: Books) -> AsyncIterator[dict[str, Way]]:
    """The web process's parts over the base, and each way to ask them."""
    async with AsyncExitStack() as stack:
        app = build_web(books.settings.model_copy(update={"hooks_per_s": 10_000}), books.app_url)
        site = await serve(app, "127.0.0.1", 0)
        stack.push_async_callback(site.close)
        service, users = app[HOOKS], app[USERS]
        agi = HookAgi("127.0.0.1", 0, service, users)
        running = asyncio.create_task(agi.run())
        stack.callback(running.cancel)
        await agi.listening.wait()
        server = Actor.server(TENANT)
        user = await users.add(
            server, login="dialplan", name="dialplan", role=Role.SUPERVISOR, locale="en", password=PASSWORD
        )
        _, token = await users.add_token(server, "dialplan", user.id, Scope.HOOKS)
        http = await stack.enter_async_context(ClientSession(connector=TCPConnector(force_close=True)))
        theirs = await _panoramisk(stack, service, users)
        yield {
            "http": _by_http(http, site.url, token),
            "fastagi": _by_agi(int(agi.address.rpartition(":")[2]), token),
            "panoramisk": _by_agi(theirs, token),
        }


class Hooks:
    """A look-up from the dialplan to its last variable."""

    name = "hooks"
    title = (
        "A look-up of a caller from a dialplan at so many calls a second, over 100,000 contacts, from before "
        "the connection to its end with all variables set: HTTP, our FastAGI, panoramisk's FastAGI with the "
        "same service behind (pyst2's does not work on Python 3); p95 is to be under 20 ms at 50 a second"
    )
    columns = (
        ("calls_per_s", "look-ups/s"),
        ("asked", "in all"),
        ("found", "found"),
        ("ms_p50", "p50, ms"),
        ("ms_p95", "p95"),
        ("ms_p99", "p99"),
        ("contacts", "contacts"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a way and a rate."""
        contacts, seconds = (2_000, 2.0) if wish.short else (100_000, 20.0)
        rates = [20] if wish.short else [50, 200]
        every = [(rate, way) for rate in rates for way in ("http", "fastagi", "panoramisk")]
        if all((self.name, f"rate={rate} {way}", wish.short) in wish.known for rate, way in every):
            return
        logging.getLogger("panoramisk").setLevel(logging.WARNING)
        async with open_books() as books:
            await centre_data.add_leads(books.data, contacts)
            async with books.engine.database.tenant(TENANT) as conn:
                numbers = list(await conn.scalars(text(_PHONES)))
            owner = await connect(books.owner_url)
            try:
                await owner.execute("ANALYZE contact, contact_phone")
            finally:
                await owner.close()
            say(f"hooks: {len(numbers):,} numbers")
            random.Random(wish.seed).shuffle(numbers)  # noqa: S311
            async with _ways(books) as ways:
                for rate, name in every:
                    if (self.name, f"rate={rate} {name}", wish.short) not in wish.known:
                        yield await self._at(ways[name], name, rate, seconds, numbers, wish)

    async def _at(
        self, way: Way, name: str, rate: int, seconds: float, numbers: list[str], wish: Wish
    ) -> Measured:
        await asyncio.gather(*(way(numbers[n], n) for n in range(5)))  # connections to the database
        took, found = list[float](), 0

        async def one(n: int, due: float) -> None:
            nonlocal found
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(GIVEN_UP_S):
                    ok = await way(numbers[n % len(numbers)], n)
                found += ok  # not in one line: `found` would be read before the wait
                # From when it was due: a late start is part of the wait.
                took.append((time.perf_counter() - due) * 1000)

        many, began = round(rate * seconds), time.perf_counter()
        calls = set[asyncio.Task[None]]()
        for n in range(many):
            due = began + n / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            calls.add(asyncio.create_task(one(n, due)))
        await asyncio.gather(*calls)
        passed = time.perf_counter() - began
        figures = {
            "calls_per_s": many / passed,
            "asked": many,
            "found": found,
            "contacts": len(numbers),
            **spread(took, "ms"),
        }
        broken = [] if found == many else [f"{found} of {many} were found"]
        slow = figures.get("ms_p95", MOST_MS) >= MOST_MS
        if slow and rate == 50 and name != "panoramisk":
            broken.append(f"p95 over {MOST_MS:g} ms")
        return Measured(
            self.name, f"rate={rate} {name}", wish.seed, wish.short, figures, broken="; ".join(broken)
        )


LOOKUPS = Hooks()
