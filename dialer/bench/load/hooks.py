"""Look-ups from a dialplan: how long one takes, over a base of contacts, at a steady rate of calls, many in
one moment, and beside clients that are no Asterisk.

The same service and database behind each way: the programs of agi_scripts/, HTTP as they speak it (without
the start of their Python), our FastAGI server, panoramisk's and pyst2's (`hook_servers`). Who asks plays
Asterisk in this process: a connection or a program a call, every variable acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, TCPConnector
from sqlalchemy import text

import agi_scripts
from dialer.bench.load import centre_data, hook_servers
from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.day import Books, open_books
from dialer.bench.load.hook_servers import SCRIPT, Ports
from dialer.bench.load.model import Measured, Say, Wish, spread
from dialer.db.session import connect
from dialer.hooks.fastagi import STATUS, TOKEN
from dialer.httpkit.access import Actor, Role, Scope
from dialer.users.service import UserService

#: What is asked of a look-up, 95th percentile, milliseconds.
MOST_MS: Final = 20.0
#: When a session that does not end is given up.
GIVEN_UP_S: Final = 10.0
PASSWORD: Final = "bench-of-hooks-1"  # noqa: S105 - of a database that lives for minutes

#: The program of agi_scripts/ that looks up.
PROGRAM: Final = str(Path(agi_scripts.__file__).with_name("lookup.py"))
#: Clients that are no Asterisk.
SILENT, HALF = "silent clients", "half lines"
#: So many programs a second: Python starts for each.
PROGRAM_RATE: Final = 5
AT_ONCE: Final = 200
#: Connections that say nothing and stay.
_KEPT: Final = list[asyncio.StreamWriter]()

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
        try:
            return await _answered(reader, writer, number, call, token)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    return asked


async def _answered(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: str, call: int, token: str
) -> bool:
    """Play Asterisk to the end of a session; whether somebody was found."""
    writer.write(
        f"agi_network: yes\nagi_network_script: {SCRIPT}\nagi_uniqueid: 1790000000.{call}\n"
        f"agi_callerid: {number}\nagi_channel: PJSIP/carrier-1\nagi_language: ru\n"
        f"agi_context: from-carrier\nagi_extension: s\nagi_priority: 3\n\n".encode()
    )
    found = False
    while line := (await reader.readline()).decode():
        # A program says `SET VARIABLE "DOZVON_STATUS" "OK"`.
        found = found or f"{STATUS}=OK" in line or (STATUS in line and '"OK"' in line)
        value = f"1 ({token})" if TOKEN in line else "0"
        writer.write(f"200 result={value}\n".encode())
    return found


def _by_http(http: ClientSession, url: str, token: str) -> Way:
    """HTTP with a connection a call, as a program has it."""

    async def asked(number: str, call: int) -> bool:
        body = {"channel": f"1790000000.{call}", "caller": number}
        headers = {"Authorization": f"Bearer {token}"}
        async with http.post(f"{url}/api/v1/hooks/lookup", json=body, headers=headers) as reply:
            return bool((await reply.json()).get("status") == "OK")

    return asked


def _by_program(url: str, token: str) -> Way:
    """A program of agi_scripts/, started for the call, as Asterisk starts it."""
    env = {"PATH": os.environ["PATH"], "DOZVON_HOOKS_URL": url, "DOZVON_HOOKS_TOKEN": token}

    async def asked(number: str, call: int) -> bool:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, PROGRAM), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=env
        )
        assert program.stdin is not None
        assert program.stdout is not None
        try:
            return await _answered(program.stdout, program.stdin, number, call, "")
        except BaseException:
            program.kill()
            raise
        finally:
            await program.wait()

    return asked


@asynccontextmanager
async def _asking(name: str, books: Books, token: str) -> AsyncIterator[tuple[Way, Ports]]:
    """A way of NAMES, with the server behind it."""
    server = name if name in hook_servers.NAMES else hook_servers.OURS
    async with hook_servers.running(server, books.settings, books.app_url) as ports:
        url = f"http://127.0.0.1:{ports.http}"
        if name == "http":
            async with ClientSession(connector=TCPConnector(force_close=True)) as http:
                yield _by_http(http, url, token), ports
        elif name == "agi_scripts":
            yield _by_program(url, token), ports
        else:
            yield _by_agi(ports.agi, token), ports


async def _token(books: Books) -> str:
    """Of the dialplan."""
    users, server = UserService(books.engine.database, session_hours=1), Actor.server(TENANT)
    user = await users.add(
        server, login="dialplan", name="dialplan", role=Role.SUPERVISOR, locale="en", password=PASSWORD
    )
    _, token = await users.add_token(server, "dialplan", user.id, Scope.HOOKS)
    users.close()
    return token


async def _say_nothing(port: int, wrong: str) -> None:
    """Connect as clients do that are no Asterisk: 20 without a word, of which ten stay, or with half a
    line."""
    for n in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        if wrong == HALF:
            writer.write(b"agi_network: yes\nagi_network_scr")
            await writer.drain()
        if n % 2:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        else:
            _KEPT.append(writer)


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement of the row."""

    way: str
    #: look-ups a second; 0: AT_ONCE in one moment
    rate: int
    #: who has connected before
    beside: str = ""

    @property
    def name(self) -> str:
        """In the table."""
        begun = f"rate={self.rate}" if self.rate else f"{AT_ONCE} at once"
        return f"{begun} {self.way}" + (f" after {self.beside}" if self.beside else "")

    @property
    def ours(self) -> bool:
        """Whether what does not hold is our fault."""
        return self.way not in (hook_servers.PANORAMISK, hook_servers.PYST2)


def _cases(short: bool) -> list[Case]:
    servers = hook_servers.NAMES
    if short:
        return [
            *(Case(way, 20) for way in ("http", *servers)),
            Case("agi_scripts", PROGRAM_RATE),
            Case(hook_servers.OURS, 20, SILENT),
        ]
    return [
        Case("agi_scripts", PROGRAM_RATE),
        *(Case(way, rate) for rate in (50, 200) for way in ("http", *servers)),
        *(Case(way, 0) for way in servers),
        *(Case(way, 50, beside) for beside in (SILENT, HALF) for way in servers),
    ]


class Hooks:
    """A look-up from the dialplan to its last variable."""

    name = "hooks"
    title = (
        "A look-up of a caller from a dialplan, over 100,000 contacts, from before the connection to its end "
        "with all variables set: so many a second, 200 in one moment, and after 20 clients that say nothing "
        "or half a line, of which 10 stay. agi_scripts: our programs; http: as they ask; fastagi: our "
        "server; panoramisk and pyst2: theirs, with the same service behind each. p95 of ours is to be under "
        "20 ms at 50 a second"
    )
    columns = (
        ("calls_per_s", "look-ups/s"),
        ("asked", "in all"),
        ("found", "answered"),
        ("ms_p50", "p50, ms"),
        ("ms_p95", "p95"),
        ("ms_p99", "p99"),
        ("contacts", "contacts"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """Each case with a server of its own."""
        contacts, seconds = (2_000, 2.0) if wish.short else (100_000, 10.0)
        left = [one for one in _cases(wish.short) if (self.name, one.name, wish.short) not in wish.known]
        if not left:
            return
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
            token = await _token(books)
            for case in left:
                async with _asking(case.way, books, token) as (way, ports):
                    yield await self._at(way, ports, case, seconds, numbers, wish)

    async def _at(
        self, way: Way, ports: Ports, case: Case, seconds: float, numbers: list[str], wish: Wish
    ) -> Measured:
        await asyncio.gather(*(way(numbers[n], n) for n in range(5)))  # connections to the database
        if case.beside:
            await _say_nothing(ports.agi, case.beside)
        took, found = list[float](), 0

        async def one(n: int, due: float) -> None:
            nonlocal found
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(GIVEN_UP_S):
                    ok = await way(numbers[n % len(numbers)], n)
                found += ok  # not in one line: `found` would be read before the wait
                # From when it was due: a late start is part of the wait.
                took.append((time.perf_counter() - due) * 1000)

        many, began = round(case.rate * seconds) or AT_ONCE, time.perf_counter()
        calls = set[asyncio.Task[None]]()
        for n in range(many):
            due = began + (n / case.rate if case.rate else 0.0)
            if (early_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            calls.add(asyncio.create_task(one(n, due)))
        await asyncio.gather(*calls)
        passed = time.perf_counter() - began
        while _KEPT:
            _KEPT.pop().close()
        figures = {
            "calls_per_s": many / passed,
            "asked": many,
            "found": found,
            "contacts": len(numbers),
            **spread(took, "ms"),
        }
        broken = [] if found == many else [f"{found} of {many} were answered"]
        late = case.rate == 50 and figures.get("ms_p95", MOST_MS) >= MOST_MS and case.way != "agi_scripts"
        if late:
            broken.append(f"p95 over {MOST_MS:g} ms")
        # What another's server does not do stands in the figures, and is no fault of ours.
        said = "; ".join(broken) if case.ours else ""
        return Measured(self.name, case.name, wish.seed, wish.short, figures, broken=said)


LOOKUPS = Hooks()
