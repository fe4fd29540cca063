"""`dozvon check`: what is wrong with an installation, line by line, and how to mend it.

Nothing is changed. Where the server runs, it is looked at as it runs; where it does not, its embedded
PostgreSQL and its managed Asterisk are started for the look and stopped again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import aiohttp
from rich.console import Console

from dialer import __version__
from dialer.check import browsers, hooks, letters, lines, machine, manager, nodes, proof, vault
from dialer.check import database as the_database
from dialer.check.model import Finding, Findings, Level, fail, ok
from dialer.check.screen import Screen
from dialer.db import migrate
from dialer.db.embedded import Urls
from dialer.db.session import Database
from dialer.errors import ActionFailed, AsteriskUnavailable, DatabaseUnavailable, DozvonError
from dialer.installation import Installation
from dialer.letters.mail import MailServer
from dialer.settings import Settings

HTTP_S = 5.0


async def run_checks(settings: Settings, console: Console) -> int:
    """Look at everything and say it; 1 when something must be mended, else 0."""
    with Screen(console) as screen:
        screen.title(f"Dozvon {__version__}", str(settings.data_dir))
        screen.heading("This machine")
        _show(screen, await asyncio.to_thread(lambda: list(machine.machine(settings))))
        if screen.counts[Level.FAIL]:
            screen.end("The rest was not looked at.")
            return 1
        async with Installation(settings, screen.doing) as installation:
            await _parts(settings, installation, screen)
            started = " and ".join(installation.started)
            screen.doing(f"stopping {started}")
        screen.end(f"{started} ran for this check only." if started else "")
    return 1 if screen.counts[Level.FAIL] else 0


async def _parts(settings: Settings, installation: Installation, screen: Screen) -> None:
    screen.heading("Server")
    if installation.served:
        screen.doing("asking the server")
        screen.line(await _health(settings))
    else:
        screen.line(machine.free_port(settings))
    _show(screen, filter(None, [machine.exposure(settings)]))
    if (mail := MailServer.of(settings)) is not None:
        screen.doing("asking the mail server")
        screen.line(await letters.look(mail))
    screen.doing("asking the store of recordings")
    await _each(screen, vault.look(settings))
    screen.heading("Database")
    urls = await _database(settings, installation, screen)
    database = Database.open(urls.app, pool=2) if urls else None
    try:
        screen.heading("Asterisk")
        if database is not None:
            screen.doing("asking what the servers reach")
            await _nodes(database, screen)
        try:
            await installation.asterisk(database)
            screen.doing("asking Asterisk")
            async with manager.linked(settings) as link:
                await _each(screen, manager.look(settings, link))
                screen.doing("making a call to itself")
                await _each(screen, proof.look(settings, link, served=installation.served))
                screen.doing("asking as a browser")
                await _each(screen, browsers.look(settings, link))
                screen.doing("asking the hooks")
                await _each(screen, hooks.look(link, served=installation.served))
                screen.heading("Lines")
                screen.doing("asking the carriers")
                await _each(screen, lines.look(settings, database, link))
        except (AsteriskUnavailable, ActionFailed) as error:
            screen.line(manager.judge_no_login(settings, str(error.details.get("reason", error))))
        except DozvonError as error:
            screen.line(fail("Asterisk", str(error), "mend this, then run the check again"))
    finally:
        if database is not None:
            await database.close()


async def _database(settings: Settings, installation: Installation, screen: Screen) -> Urls | None:
    """Look at it; its addresses where it is of this version."""
    try:
        urls = await installation.database()
        screen.doing("asking the database")
        await _each(screen, the_database.look(settings, urls))
        return urls if await the_database.revision(urls) == migrate.head() else None
    except DatabaseUnavailable as error:
        # Said already where the look found it so; what did not even start has had no line yet.
        if screen.counts[Level.FAIL] == 0:
            mend = f"read {settings.data_dir / 'postgres/postgres.log'}"
            screen.line(fail("database", str(error.details["reason"]), mend))
    except DozvonError as error:
        screen.line(fail("database", str(error), "mend this, then run the check again"))
    return None


async def _nodes(database: Database, screen: Screen) -> None:
    try:
        await _each(screen, nodes.look(database))
    except DatabaseUnavailable as error:
        screen.line(fail("database", str(error), "mend this, then run the check again"))


async def _health(settings: Settings) -> Finding:
    """What the running server says of itself."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.http_host, settings.http_host)  # noqa: S104
    scheme = "https" if settings.tls_certificate else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.http_port}"
    mend = "read the server's log"
    if settings.http_port == 0:
        return ok("pages", "the server runs on a port of its own choice")
    try:
        timeout = aiohttp.ClientTimeout(total=HTTP_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(
                f"{url}/healthz",
                ssl=False,  # its certificate is for another name than this machine has for itself
            ) as reply,
        ):
            parts = (await reply.json())["parts"]
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        return fail("pages", f"the server runs, but {url}/healthz does not answer: {error!r}", mend)
    wrong = [f"{name} {said}" for name, said in parts.items() if said != "ok"]
    if wrong:
        return fail("pages", f"{url} answers; {', '.join(wrong)}", mend)
    return ok("pages", f"{url} answers; {', '.join(parts)} work")


def _show(screen: Screen, findings: Iterable[Finding]) -> None:
    for finding in findings:
        screen.line(finding)


async def _each(screen: Screen, findings: Findings) -> None:
    async for finding in findings:
        screen.line(finding)
