"""`/metrics` and `/healthz`: for machines that watch, beside the API and not part of it."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram

from dialer.errors import NotLoggedIn
from dialer.httpkit.access import Right
from dialer.httpkit.identity import is_loopback
from dialer.httpkit.keys import ACTOR
from dialer.httpkit.observe import route_of
from dialer.monitoring.model import exposition, request_histogram
from dialer.monitoring.service import MonitoringService

MONITORING = web.AppKey("monitoring", MonitoringService)
REQUESTS = web.AppKey("request_registry", CollectorRegistry)
#: What a proxy adds: behind one, everybody comes from this machine.
PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


def add(app: web.Application, service: MonitoringService) -> None:
    """Add both paths, and the clock of requests, to an application that has not started."""
    app[MONITORING] = service
    app[REQUESTS], histogram = request_histogram()
    app.middlewares.insert(0, _clock(histogram))
    app.router.add_get("/metrics", metrics, name="metrics")
    app.router.add_get("/healthz", health, name="healthz")


async def metrics(request: web.Request) -> web.Response:
    """Everything for Prometheus. Raises NotLoggedIn, Forbidden."""
    if ACTOR in request:
        request[ACTOR].require(Right.REPORTS_READ)
        tenant_id = request[ACTOR].tenant_id
    elif from_this_machine(request):
        tenant_id = None
    else:
        raise NotLoggedIn
    samples = await request.app[MONITORING].samples(tenant_id)
    body = exposition(samples, request.app[REQUESTS])
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


async def health(request: web.Request) -> web.Response:
    """Which parts work: 200 when all do, else 503."""
    parts = await request.app[MONITORING].health()
    good = all(said == "ok" for said in parts.values())
    body = {"status": "ok" if good else "down", "parts": dict(parts)}
    return web.json_response(body, status=200 if good else 503, headers={"Cache-Control": "no-store"})


def from_this_machine(request: web.Request) -> bool:
    """Whether a program of this machine asks us directly, not through a proxy of ours."""
    if any(name in request.headers for name in PROXY_HEADERS):
        return False
    # A proxy that adds nothing still passes the name on that people use.
    return is_loopback(request.remote or "") and is_loopback(request.url.host or "")


def _clock(histogram: Histogram) -> Middleware:
    """The outermost middleware: how long each request took."""

    @web.middleware
    async def clock(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        status, stream = 500, False
        try:
            reply = await handler(request)
            status, stream = reply.status, reply.content_type == "text/event-stream"
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        else:
            return reply
        finally:
            route = route_of(request)
            # A stranger's made-up methods and paths must not each make a series.
            method = request.method if route != "unmatched" else "-"
            if not stream:
                histogram.labels(method, route, str(status)).observe(time.perf_counter() - started)

    return clock
