"""The web application: which middleware stands in which order, what runs beside, how it is served.

A request passes, from the outside in:

1. `observe`     names it, and logs one line at its end, whatever happens inside;
2. `problems`    turns every error raised inside into a reply;
3. `check_host`  answers only to our own names;
4. `identify`    finds out who asks;
5. `check_csrf`  refuses what another site's page made the browser send (needs to know the session);
6. the route: log-in, right, type and size of the body, fields, Idempotency-Key, handler (see `binding`).

Headers of security and the request's id are put on by a signal when the reply is sent, so that streams and
errors have them too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from dialer.db.listen import Listener
from dialer.db.session import Database
from dialer.httpkit import audit, openapi, stream
from dialer.httpkit.binding import mount
from dialer.httpkit.idempotency import forget_old
from dialer.httpkit.identity import IDENTITIES, Identities, identify
from dialer.httpkit.keys import DATABASE, SETTINGS
from dialer.httpkit.observe import add_request_id, observe
from dialer.httpkit.problems import problems
from dialer.httpkit.routes import Routes
from dialer.httpkit.security import CONNECT_SOURCES, add_headers, check_csrf, check_host, check_query
from dialer.httpkit.tls import Certificate
from dialer.settings import Settings

log = structlog.stdlib.get_logger(__name__)

#: Bytes of a form with a file from a person who is logged in; API routes have limits of their own.
FORM_LIMIT = 64 * 1024 * 1024
CLEAN_EVERY_S = 3600.0
RESTART_S = 1.0

Background = Callable[[], Awaitable[None]]


def build_application(
    settings: Settings,
    database: Database,
    listener: Listener,
    identities: Identities,
    tables: Sequence[Routes],
    *,
    services: Mapping[web.AppKey[Any], Any] | None = None,
    background: Mapping[str, Background] | None = None,
    connect_sources: Iterable[str] = (),
) -> web.Application:
    """The application of the web process, ready for pages to be added and to be started.

    `listener` must listen to the channel of events; who runs it is the caller's choice: give `listener.run`
    and other tasks (the numberer) in `background`, and they run while the application does. `tables` are
    the features' routes; the event stream and the log of changes are added here.
    """
    app = web.Application(
        middlewares=[observe, problems, check_host, check_query, identify, check_csrf],
        client_max_size=FORM_LIMIT,
    )
    app[SETTINGS] = settings
    app[DATABASE] = database
    app[IDENTITIES] = identities
    app[CONNECT_SOURCES] = tuple(connect_sources)
    for key, service in (services or {}).items():
        app[key] = service
    hub = app[stream.HUB] = stream.EventHub(database, listener)
    mounted = [*tables, audit.routes, stream.routes]
    mount(app, mounted)
    app[openapi.DOCUMENT] = openapi.document(mounted)
    app.router.add_get(openapi.PATH, openapi.serve_document, name="openapi")
    app.on_response_prepare.append(add_headers)
    app.on_response_prepare.append(add_request_id)

    async def clean() -> None:
        await _clean_often(database)

    beside = {**(background or {}), "event_hub": hub.run, "clean": clean}
    app.cleanup_ctx.append(lambda _app: _run_beside(beside))

    async def end_streams(_app: web.Application) -> None:
        hub.close()

    app.on_shutdown.append(end_streams)
    return app


async def _run_beside(tasks: Mapping[str, Background]) -> AsyncIterator[None]:
    """Own the background tasks for as long as the application runs."""
    running = [asyncio.create_task(_keep(name, run), name=name) for name, run in tasks.items()]
    yield
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _keep(name: str, run: Background) -> None:
    """Run a task that must not end; one that does is logged and begins again."""
    while True:
        try:
            await run()
            log.error("background_task_ended", task=name)
        except Exception:
            log.exception("background_task_failed", task=name)
        await asyncio.sleep(RESTART_S)


async def _clean_often(database: Database) -> None:
    """Forget what is over, every hour: time itself is the event."""
    while True:
        for tenant_id in await database.tenants():
            async with database.tenant(tenant_id) as conn:
                await forget_old(conn)
        await asyncio.sleep(CLEAN_EVERY_S)


@dataclass(frozen=True, slots=True)
class Site:
    """An application that is being served."""

    #: `http://127.0.0.1:8080`
    url: str
    runner: web.AppRunner
    #: follows the files of the certificate
    _renewing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End streams, finish requests, free the port."""
        if self._renewing is not None:
            self._renewing.cancel()
        await self.runner.cleanup()


async def serve(
    app: web.Application, host: str, port: int, *, certificate: Certificate | None = None
) -> Site:
    """Serve on `host`:`port` (0: any free one, see `Site.url`), by https where there is a `certificate`.
    aiohttp's own access log stays off: it would write query strings."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=5.0)
    await runner.setup()
    try:
        context = certificate.context if certificate else None
        await web.TCPSite(runner, host, port, ssl_context=context).start()
    except OSError:
        await runner.cleanup()
        raise
    bound = runner.addresses[0]
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    if certificate is None:
        return Site(f"http://{shown}:{bound[1]}", runner)
    return Site(f"https://{shown}:{bound[1]}", runner, asyncio.create_task(certificate.keep()))
