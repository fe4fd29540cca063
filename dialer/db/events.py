"""What happened, told to the other processes: written with the fact, numbered after it.

An event is a row that `emit` inserts in the transaction of the fact: it exists if and only if the fact does.
Ids are given before commits and so become visible out of order; therefore a reader goes by `seq`, which one
writer at a time (`number_events` in the database) gives to rows that are already committed. Rows of one call
become visible together, and the next call begins after that: **who has seen seq n has seen every smaller one
that there will ever be.** Numbers may be missing, they are never filled in later.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.listen import BACK_OFF_MAX_S, ENGINE, OUTBOX
from dialer.db.prepared import Prepared
from dialer.db.session import CONNECTION_ERRORS, connect, encode_json
from dialer.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

#: How long events are kept: what a browser that was away may ask for by Last-Event-ID.
KEEP = timedelta(hours=24)
#: Only one numberer works at a time; others stand by in this lock ("dozv" in ASCII).
NUMBERER_LOCK = 0x646F7A76
BATCH = 1000
#: An outbox note can only be lost with its connection; this bounds the wait all the same.
LOOK_EVERY_S = 1.0
#: Numbers are given at most so often: what is committed meanwhile gets its numbers in one statement, and one
#: note wakes the streams for all of it. The first event after a silence waits for nothing.
EVERY_S = 0.05
STATEMENT_TIMEOUT_S = 30.0
CLEAN_EVERY_S = 600.0

_NUMBER = "SELECT number_events($1)"
_DROP = "SELECT drop_events($1, $2)"
_NOTIFY = Prepared("SELECT pg_notify(:channel, :payload)")
#: The row and the note that wakes the numberer in one statement: each one sent costs both sides more than
#: what it does.
_ROW = """
    WITH told AS (
        INSERT INTO event (tenant_id, kind, payload, campaign_id, agent_id)
        VALUES (:tenant_id, :kind, CAST(:payload AS jsonb), :campaign_id, :agent_id)
        RETURNING id
    )
"""
_EMIT = Prepared(f"{_ROW} SELECT pg_notify(:outbox, '') FROM told")  # noqa: S608 - no value is put in
_EMIT_AND_WAKE = Prepared(
    f"{_ROW} SELECT pg_notify(:outbox, ''), pg_notify(:engine, :note) FROM told"  # noqa: S608
)
_EMIT_ALL = Prepared(
    """
    WITH told AS (
        INSERT INTO event (tenant_id, kind, payload, campaign_id, agent_id)
        SELECT CAST(:tenant_id AS integer), kind, payload, campaign_id, agent_id
          FROM unnest(CAST(:kinds AS text[]), CAST(:payloads AS jsonb[]), CAST(:campaigns AS bigint[]),
                      CAST(:agents AS bigint[]))
               WITH ORDINALITY AS fact (kind, payload, campaign_id, agent_id, place)
         ORDER BY place
        RETURNING id
    )
    SELECT pg_notify(:outbox, '') FROM (SELECT FROM told LIMIT 1) AS any_of_them
    """
)
_AFTER = Prepared(
    """
    SELECT seq, at, kind, campaign_id, agent_id, payload FROM event WHERE seq > :seq ORDER BY seq LIMIT :limit
    """
)


@dataclass(frozen=True, slots=True)
class EventRow:
    """A numbered event."""

    #: Its place in the order of all tenants; the id of a server-sent event.
    seq: int
    #: When the fact's transaction began.
    at: datetime
    #: call.connected, agent.state, campaign.status, import.progress ...
    kind: str
    campaign_id: int | None
    agent_id: int | None
    payload: Mapping[str, Any]

    def __hash__(self) -> int:
        return self.seq  # a payload has none


@dataclass(frozen=True, slots=True)
class Span:
    """Which numbers are kept."""

    #: The smallest; who has seen less than `oldest - 1` may have missed events that were deleted. 0: none.
    oldest: int
    #: The largest that is readable. 0: none.
    newest: int


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened, to be told."""

    kind: str
    payload: Mapping[str, Any]
    campaign_id: int | None = None
    agent_id: int | None = None


async def emit(
    conn: AsyncConnection,
    kind: str,
    payload: Mapping[str, Any],
    *,
    tenant_id: int,
    campaign_id: int | None = None,
    agent_id: int | None = None,
    look: str | None = None,
) -> None:
    """Tell what happened, in the transaction of the fact. Emit after the fact's row is locked or written:
    then two events about one row are numbered in the order of their transactions.

    `look`: what the engine is to look at for it, see `wake`.
    """
    statement = _EMIT if look is None else _EMIT_AND_WAKE
    await statement.run(
        conn,
        tenant_id=tenant_id,
        kind=kind,
        payload=encode_json(payload),
        campaign_id=campaign_id,
        agent_id=agent_id,
        outbox=OUTBOX,
        engine=ENGINE,
        note=note(look, tenant_id) if look else "",
    )


async def emit_all(conn: AsyncConnection, facts: Sequence[Fact], *, tenant_id: int) -> None:
    """Tell several things in their order, as `emit` does, in one statement."""
    if not facts:
        return
    await _EMIT_ALL.run(
        conn,
        tenant_id=tenant_id,
        kinds=[fact.kind for fact in facts],
        payloads=[encode_json(fact.payload) for fact in facts],
        campaigns=[fact.campaign_id for fact in facts],
        agents=[fact.agent_id for fact in facts],
        outbox=OUTBOX,
    )


async def wake(conn: AsyncConnection, what: str, *, tenant_id: int, shift_id: UUID | None = None) -> None:
    """Tell the engine, when the transaction commits, to look at `what`: campaigns, shifts, agents (one may
    have become free), busy (agents of whom none has), commands, trunks, phones, nodes, do_not_call,
    callbacks, places. `shift_id`: of shifts, agents and busy the only one that was changed."""
    await _NOTIFY.run(conn, channel=ENGINE, payload=note(what, tenant_id, shift_id))


def note(what: str, tenant_id: int, shift_id: UUID | None = None) -> str:
    """What the engine is told, see `wake`."""
    only = {} if shift_id is None else {"shift": str(shift_id)}
    return encode_json({"tenant": tenant_id, "what": what, **only})


async def read_after(conn: AsyncConnection, seq: int, limit: int) -> list[EventRow]:
    """The tenant's next events after `seq`, in order, at most `limit`."""
    return [EventRow(*row) for row in await _AFTER.rows(conn, seq=seq, limit=limit)]


async def span(conn: AsyncConnection) -> Span:
    """The numbers that are kept, over all tenants: where a new reader begins, and what an old one missed."""
    row = (await conn.execute(text("SELECT oldest, newest FROM event_span()"))).one()
    return Span(row.oldest, row.newest)


class Numberer:
    """The writer of `seq`: waits for the outbox, numbers what is committed, tells `dozvon_events`, and
    deletes what is older than `KEEP`. Several may run; one works."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def run(self) -> None:
        """Number until cancelled, over any loss of the database."""
        back_off_s = 0.1
        while True:
            try:
                await self._work()
                back_off_s = 0.1
            except (DatabaseUnavailable, *CONNECTION_ERRORS) as error:
                log.warning("numberer_lost", reason=str(error) or type(error).__name__)
            await asyncio.sleep(back_off_s * random.uniform(0.5, 1.0))  # noqa: S311
            back_off_s = min(back_off_s * 2, BACK_OFF_MAX_S)

    async def _work(self) -> None:
        connection = await connect(self._url, application="dozvon numberer")
        try:
            lost, outbox = asyncio.Event(), asyncio.Event()

            def end(_connection: object) -> None:
                lost.set()
                outbox.set()

            connection.add_termination_listener(end)
            await connection.add_listener(OUTBOX, lambda *_: outbox.set())
            # Asked again and again: a statement that waited for the lock would hold back vacuum for hours.
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", NUMBERER_LOCK, timeout=10):
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await lost.wait()
            loop = asyncio.get_running_loop()
            clean_at = loop.time()
            while not lost.is_set():
                outbox.clear()
                while await connection.fetchval(_NUMBER, BATCH, timeout=STATEMENT_TIMEOUT_S) == BATCH:
                    log.debug("events_numbered", count=BATCH)
                if loop.time() >= clean_at:
                    await self._clean(connection)
                    clean_at = loop.time() + CLEAN_EVERY_S
                not_before = loop.time() + EVERY_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await outbox.wait()
                await asyncio.sleep(max(0.0, not_before - loop.time()))
        finally:
            connection.terminate()

    async def _clean(self, connection: asyncpg.Connection) -> None:
        while await connection.fetchval(_DROP, KEEP, BATCH, timeout=STATEMENT_TIMEOUT_S) == BATCH:
            log.debug("events_dropped", count=BATCH)
