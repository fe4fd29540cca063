"""`/phone`: the way of a browser to Asterisk, at the address of the pages.

A WebSocket of SIP for who is logged in with a browser, and is an agent or listens to agents. Frames are
passed on to Asterisk, which listens on its own machine only, and back. It ends with the log-in, and when the
same person's next page opens one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, WSMsgType, web

from dialer.agents.http import PHONES
from dialer.errors import (
    AsteriskUnavailable,
    BadCsrfToken,
    BadRequest,
    DatabaseUnavailable,
    DozvonError,
    NotLoggedIn,
)
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import find_identity, page_actor
from dialer.httpkit.keys import CSRF, SETTINGS
from dialer.httpkit.security import same_origin
from dialer.web.sip_frames import LONGEST, fault

log = structlog.get_logger(__name__)

#: A browser is asked so often, seconds, and given half of that to answer: a network that has broken is known,
#: and the customer hears music, in 6 s.
HEARTBEAT_S = 4.0
#: Between two looks whether who has opened it is still logged in.
CHECK_S = 15.0
CONNECT_S = 5.0
#: Why it was closed, for the page (4000 to 4999 are ours, RFC 6455 7.4.2): the log-in is over; another page
#: of the same person has the phone; what was sent is not the phone's; Asterisk is away.
LOGGED_OUT: Final = 4001
ELSEWHERE: Final = 4002
NOT_YOURS: Final = 4003
AWAY: Final = 4004

_CLIENT: web.AppKey[ClientSession] = web.AppKey("phone_client")
#: the open connections by user: the newest is the phone
_OPEN: web.AppKey[dict[int, Connection]] = web.AppKey("phone_connections")

routes = web.RouteTableDef()


class Connection:
    """One browser's way to Asterisk."""

    def __init__(self, endpoint: str, page: web.WebSocketResponse, asterisk: ClientWebSocketResponse) -> None:
        self.endpoint = endpoint
        #: set when whoever has opened it may be logged in no longer
        self.doubtful = asyncio.Event()
        self._page = page
        self._asterisk = asterisk

    async def run(self) -> None:
        """Pass frames on until one side is gone. Asterisk hears of it first: its phone is lost at once."""
        passing = [asyncio.create_task(self._to_asterisk()), asyncio.create_task(self._to_page())]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in passing:
                one.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            with contextlib.suppress(ClientError, ConnectionError):
                await self._asterisk.close()
            await self.end(AWAY)

    async def end(self, code: int) -> None:
        """Close it, if it is open, and tell the page why."""
        if not self._page.closed:
            with contextlib.suppress(ConnectionError):
                await self._page.close(code=code)

    async def _to_asterisk(self) -> None:
        async for message in self._page:
            wrong = fault(message.data, self.endpoint) if message.type is WSMsgType.TEXT else "it is no text"
            if wrong is not None:
                log.warning("phone_frame_refused", endpoint=self.endpoint, reason=wrong)
                await self.end(NOT_YOURS)
                return
            await self._asterisk.send_str(message.data)

    async def _to_page(self) -> None:
        async for message in self._asterisk:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                data = message.data
                await self._page.send_str(data if isinstance(data, str) else data.decode(errors="replace"))


@routes.get("/phone")
async def phone(request: web.Request) -> web.StreamResponse:
    """Open the way. Raises NotLoggedIn, Forbidden, NotFound (neither of these), BadCsrfToken (a page of
    another site), AsteriskUnavailable."""
    actor = page_actor(request, Right.WORK)
    if CSRF not in request:
        raise NotLoggedIn  # an API token is no browser
    if not same_origin(request):
        raise BadCsrfToken
    page = web.WebSocketResponse(
        protocols=("sip",), heartbeat=HEARTBEAT_S, max_msg_size=4 * LONGEST, compress=False
    )
    if not page.can_prepare(request).ok:
        raise BadRequest(reason="this address is for WebSockets")
    user_id, endpoint = await request.app[PHONES].endpoint(actor)
    url = request.app[SETTINGS].phone_url
    try:
        asterisk = await request.app[_CLIENT].ws_connect(url, protocols=("sip",), max_msg_size=4 * LONGEST)
    except (ClientError, TimeoutError, OSError) as error:
        raise AsteriskUnavailable(reason=f"no WebSocket at {url} ({error})") from None
    opened = request.app[_OPEN]
    connection = Connection(endpoint, page, asterisk)
    former, opened[user_id] = opened.get(user_id), connection
    try:
        if former is not None:
            await former.end(ELSEWHERE)
        await page.prepare(request)
        watching = asyncio.create_task(_watch(request, actor, user_id, connection))
        try:
            await connection.run()
        finally:
            watching.cancel()
    finally:
        await asterisk.close()
        if opened.get(user_id) is connection:
            del opened[user_id]
    return page


def look(app: web.Application) -> None:
    """Somebody has logged out: look at all who have a phone open."""
    for connection in app[_OPEN].values():
        connection.doubtful.set()


async def _watch(request: web.Request, actor: Actor, user_id: int, connection: Connection) -> None:
    """Keep the phone's secret good while its page is connected, and end it with the log-in."""
    while True:
        connection.doubtful.clear()  # before it is asked: a log-out meanwhile is looked at again
        with contextlib.suppress(DatabaseUnavailable):  # nobody is cut off for that
            if not await _still_valid(request, actor):
                await connection.end(LOGGED_OUT)
                return
            await request.app[PHONES].keep(actor.tenant_id, user_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_S):
                await connection.doubtful.wait()


async def _still_valid(request: web.Request, actor: Actor) -> bool:
    try:
        found = await find_identity(request)
    except DatabaseUnavailable:
        raise
    except DozvonError:
        return False
    return found is not None and found.actor.role == actor.role


async def _client(app: web.Application) -> AsyncIterator[None]:
    app[_OPEN] = {}
    app[_CLIENT] = ClientSession(timeout=ClientTimeout(total=None, connect=CONNECT_S))
    yield
    await app[_CLIENT].close()


async def _end_all(app: web.Application) -> None:
    for connection in list(app[_OPEN].values()):
        await connection.end(AWAY)


def add(app: web.Application) -> None:
    """Add it to the application, which has the service of browsers' phones."""
    app.cleanup_ctx.append(_client)
    app.on_shutdown.append(_end_all)
    app.add_routes(routes)
