"""Server-sent events: what happens in the tenant, numbered, resumable, filtered by right and wish.

`GET /api/v1/events` begins after `Last-Event-ID`, else after `?after=` (a page puts the number there that it
had before it read its data, see `newest`), else now. No event is missed and none comes twice:

- a client registers for new events first and reads the table from its number afterwards, so the two overlap,
  and what has come already is skipped by its number;
- its queue is bounded; when it overflows, the client goes back to reading the table.

What is a person's stands in no event's row. A feature that has more to say of a kind of event to a reader who
may know it gives a `Teller`, which is asked as the event is sent.

Besides the events themselves a client gets `alive` (every 15 s, with the number up to which it has seen
all) and `reset` (events after its number are deleted already: load the page again).
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse
from pydantic import Field
from sqlalchemy import select

from dialer.db import tables
from dialer.db.events import EventRow, read_after, span
from dialer.db.listen import EVENTS, Listener
from dialer.db.session import Database, encode_json
from dialer.errors import BadRequest, DatabaseUnavailable, DozvonError
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import find_identity
from dialer.httpkit.keys import ACTOR, DATABASE
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, form

log = structlog.stdlib.get_logger(__name__)
routes = Routes("events")

QUEUE = 500
PAGE = 200
ALIVE_S = 15.0
SEND_TIMEOUT_S = 30.0
RETRY_S = 1.0


@dataclass(eq=False, slots=True)
class Client:
    """One open stream."""

    tenant_id: int
    #: Whether the client is to see the event.
    wants: Callable[[EventRow], bool]
    queue: asyncio.Queue[EventRow | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    #: The queue does not have all: the table must be read. So it is at the beginning.
    lagging: bool = True

    def offer(self, row: EventRow) -> None:
        """Take a new event into the queue; without room the client falls back to the table."""
        if self.lagging or not self.wants(row):
            return
        try:
            self.queue.put_nowait(row)
        except asyncio.QueueFull:
            self.lagging = True


@dataclass(eq=False, slots=True)
class _Feed:
    """The clients of a tenant."""

    #: All events up to this one were offered to them.
    cursor: int
    clients: set[Client] = field(default_factory=set)


class EventHub:
    """Reads each tenant's new events once and offers them to all its streams."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._feeds: dict[int, _Feed] = {}
        self._news = asyncio.Event()
        self._closing = False
        listener.subscribe(EVENTS, lambda _payload: self._news.set())

    async def run(self) -> None:
        """Offer new events until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                for tenant_id, feed in list(self._feeds.items()):
                    await self._read(tenant_id, feed)
            except DatabaseUnavailable as error:
                # The listener may stand while the pool does not: nobody would wake us again.
                log.warning("event_hub_cannot_read", reason=str(error))
                await asyncio.sleep(RETRY_S)
                self._news.set()

    async def _read(self, tenant_id: int, feed: _Feed) -> None:
        while True:
            async with self._database.tenant(tenant_id) as conn:
                rows = await read_after(conn, feed.cursor, PAGE)
            for row in rows:
                for client in feed.clients:
                    client.offer(row)
                feed.cursor = row.seq
            if len(rows) < PAGE:
                return

    async def join(self, client: Client) -> None:
        """Offer the client every event from now on."""
        newest = await self.newest()
        feed = self._feeds.setdefault(client.tenant_id, _Feed(newest))
        feed.clients.add(client)
        if self._closing:
            self._end(client)
        # A note that came before the feed existed woke nobody for it.
        self._news.set()

    def leave(self, client: Client) -> None:
        """The stream has ended."""
        feed = self._feeds[client.tenant_id]
        feed.clients.discard(client)
        if not feed.clients:
            del self._feeds[client.tenant_id]

    def seen(self, client: Client) -> int:
        """The number up to which a client with an empty queue, that does not lag, has seen all."""
        return self._feeds[client.tenant_id].cursor

    async def newest(self) -> int:
        """The last number given: what `?after=` of a page is."""
        async with self._database.system() as conn:
            return (await span(conn)).newest

    def close(self) -> None:
        """End every stream: the server stops."""
        self._closing = True
        for feed in self._feeds.values():
            for client in feed.clients:
                self._end(client)

    @staticmethod
    def _end(client: Client) -> None:
        # Room for the end; what is dropped is read again by Last-Event-ID.
        while client.queue.full():
            client.queue.get_nowait()
        client.queue.put_nowait(None)


HUB = web.AppKey("event_hub", EventHub)

#: The event as this reader is told it.
Teller = Callable[[Actor, EventRow], Awaitable[EventRow]]
#: By the kind of event.
TELLERS: web.AppKey[Mapping[str, Teller]] = web.AppKey("event_tellers")


AGENT = form(r"^(me|[1-9][0-9]{0,17})$", "must be the id of an agent, or me")


class EventQuery(In):
    """What a stream is limited to."""

    campaign: int | None = Field(None, ge=1, le=MAX_ID, description="events of this campaign only")
    agent: Annotated[str, Field(pattern=AGENT)] | None = Field(
        None, description="events of this agent only; `me`: of one's own"
    )
    after: int | None = Field(None, ge=0, le=MAX_ID, description="begin after this event")


@routes.get("/events", raw="text/event-stream")
async def listen(call: Call, query: EventQuery) -> web.StreamResponse:
    """Stream the tenant's events.

    Each has its number as `id`, its kind as `event`, and JSON with seq, at, kind, campaign_id, agent_id and
    payload. Without the right events_read only the events of one's own agent are seen.
    """
    hub = call.app[HUB]
    agent_id = await _agent(call, query.agent)

    def wants(row: EventRow) -> bool:
        return (query.campaign is None or row.campaign_id == query.campaign) and (
            agent_id is None or row.agent_id == agent_id
        )

    start = _start(call.request, query.after)
    reply = _Stream(send_timeout=SEND_TIMEOUT_S, ping_interval=ALIVE_S)
    reply.headers["Cache-Control"] = "no-store"
    client = Client(call.actor.tenant_id, wants)
    await hub.join(client)
    try:
        await reply.prepare(call.request)
        async with reply:
            tellers = call.app.get(TELLERS, {})
            writer = _Writer(call.app[DATABASE], hub, client, reply, call.actor, tellers)
            await writer.run(call.request, start)
    except (ConnectionError, TimeoutError):
        # The browser went away, or reads no more: its next connection goes on after its last event.
        log.debug("stream_ended_by_peer")
    finally:
        hub.leave(client)
    return reply


async def _agent(call: Call, wish: str | None) -> int | None:
    """Which agent's events are sent; None: all. Who has no agent gets those of an id that nobody has."""
    if wish is None and call.actor.may(Right.EVENTS_READ):
        return None
    if wish is not None and wish != "me":
        call.actor.require(Right.EVENTS_READ)
        return int(wish)
    query = select(tables.agent.c.id).where(tables.agent.c.user_id == call.actor.user_id)
    async with call.app[DATABASE].tenant(call.actor.tenant_id) as conn:
        return await conn.scalar(query) or 0


def _start(request: web.Request, after: int | None) -> int | None:
    given = request.headers.get("Last-Event-ID")
    if given is None:
        return after
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise BadRequest(reason="Last-Event-ID is not the number of an event")
    return int(given)


@functools.lru_cache(maxsize=QUEUE)
def _text(row: EventRow) -> str:
    """An event as a stream has it; made once, however many streams are open."""
    body = {
        "seq": row.seq,
        "at": row.at,
        "kind": row.kind,
        "campaign_id": row.campaign_id,
        "agent_id": row.agent_id,
        "payload": row.payload,
    }
    # Neither a kind nor JSON has a line end in it.
    return f"id: {row.seq}\r\nevent: {row.kind}\r\ndata: {encode_json(body)}\r\n\r\n"


class _Stream(EventSourceResponse):
    """A stream that takes several events at once."""

    async def send_together(self, events: Iterable[str]) -> None:
        """Write events, each as `_text` has it. Raises as `send`: a client that reads no more is cut off."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.write("".join(events).encode())
        except ConnectionResetError:
            self.stop_streaming()
            raise
        except TimeoutError:
            self.stop_streaming()
            self._abort_transport()
            raise


class _Writer:
    """Writes one stream."""

    def __init__(
        self,
        database: Database,
        hub: EventHub,
        client: Client,
        reply: _Stream,
        reader: Actor,
        tellers: Mapping[str, Teller],
    ) -> None:
        self._database = database
        self._reader = reader
        self._tellers = tellers
        self._hub = hub
        self._client = client
        self._reply = reply
        #: All that the client wants up to this number was sent.
        self._last = 0

    async def run(self, request: web.Request, start: int | None) -> None:
        begun = False
        while True:
            try:
                if not begun:
                    await self._begin(start)
                    begun = True
                await self._write(request)
            except DatabaseUnavailable:
                # Who looks keeps the stream: nothing happens that could be told, and afterwards the table is
                # read from the last number.
                self._client.lagging = True
                if begun:
                    await self._reply.send("{}", id=str(self._last), event="alive")
                await asyncio.sleep(RETRY_S)  # nothing tells when a database is back
            else:
                return

    async def _write(self, request: web.Request) -> None:
        check_at = time.monotonic() + ALIVE_S
        while True:
            if self._client.lagging:
                await self._catch_up()
            try:
                async with asyncio.timeout(max(0.0, check_at - time.monotonic())):
                    row = await self._client.queue.get()
            except TimeoutError:
                if not await self._still_valid(request):
                    return
                check_at = time.monotonic() + ALIVE_S
                if self._client.queue.empty() and not self._client.lagging:
                    self._last = max(self._last, self._hub.seen(self._client))
                await self._reply.send("{}", id=str(self._last), event="alive")
                continue
            waiting = [row]
            while row is not None and not self._client.queue.empty() and len(waiting) < PAGE:
                waiting.append(row := self._client.queue.get_nowait())
            await self._send([each for each in waiting if each is not None])
            if row is None:
                return

    async def _begin(self, start: int | None) -> None:
        """Settle the number to begin after, and tell a client that comes too late."""
        async with self._database.system() as conn:
            kept = await span(conn)
        if start is None:
            start = kept.newest
        # Deleted after a day; or a number from another database that ran further than this one.
        elif start > kept.newest or (kept.oldest and start < kept.oldest - 1):
            start = kept.newest
            await self._reply.send("{}", id=str(start), event="reset")
        self._last = start
        await self._reply.send("{}", id=str(start), event="alive")

    async def _catch_up(self) -> None:
        # First the flag: what the hub offers from here on is kept; what it offered before is in the table.
        self._client.lagging = False
        while not self._client.queue.empty():
            if self._client.queue.get_nowait() is None:
                self._client.queue.put_nowait(None)
                return
        while True:
            async with self._database.tenant(self._client.tenant_id) as conn:
                rows = await read_after(conn, self._last, PAGE)
            await self._send([row for row in rows if self._client.wants(row)])
            self._last = max([self._last, *(row.seq for row in rows)])
            if len(rows) < PAGE:
                return

    async def _send(self, rows: Sequence[EventRow]) -> None:
        """Send those that were not sent yet, in one write: what happens in a moment comes together."""
        new = [row for row in rows if row.seq > self._last]
        if new:
            await self._reply.send_together([_text(await self._told(row)) for row in new])
            self._last = new[-1].seq

    async def _told(self, row: EventRow) -> EventRow:
        teller = self._tellers.get(row.kind)
        return row if teller is None else await teller(self._reader, row)

    @staticmethod
    async def _still_valid(request: web.Request) -> bool:
        """Whether who opened the stream is still logged in with the same role; a stream may last for days."""
        try:
            found = await find_identity(request)
        except DatabaseUnavailable:
            raise
        except DozvonError as error:
            log.info("stream_ended", reason=error.id)
            return False
        return found is not None and found.actor.role == request[ACTOR].role
