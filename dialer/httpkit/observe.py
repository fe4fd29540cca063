"""One log line a request: its id, route, status, time and user; no path and no query string, which may hold
phone numbers."""

from __future__ import annotations

import re
import time
from secrets import token_hex

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from dialer.httpkit.keys import REQUEST_ID

log = structlog.stdlib.get_logger(__name__)

HEADER = "X-Request-Id"


async def add_request_id(request: web.Request, reply: web.StreamResponse) -> None:
    """A signal of aiohttp: every reply names its request."""
    if REQUEST_ID in request:
        reply.headers[HEADER] = request[REQUEST_ID]


def route_of(request: web.Request) -> str:
    """The pattern that was matched (`/api/v1/campaigns/{campaign_id}`), never what it was matched with."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request, log its end."""
    given = request.headers.get(HEADER, "")
    request[REQUEST_ID] = given if re.fullmatch(r"[A-Za-z0-9_-]{8,64}", given) else token_hex(8)
    started = time.perf_counter()
    # aiohttp serves the requests of one connection in one task: what the last one bound must go.
    structlog.contextvars.unbind_contextvars("user_id")
    status = 0
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]):
        try:
            reply = await handler(request)
            status = reply.status
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        else:
            return reply
        finally:
            log.info(
                "request",
                method=request.method,
                route=route_of(request),
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
