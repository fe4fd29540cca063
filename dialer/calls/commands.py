"""What the web asks of the engine: written as a row, done by the one process that speaks to Asterisk.

A command lives for seconds: one that the engine did not take in time is refused, not done late. Who asks
waits for the answer, which comes as the row's `reply` or as the error that was raised, itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from dialer.clock import utc_now
from dialer.db import events
from dialer.db.listen import REPLIES, Listener
from dialer.db.prepared import Prepared, Row
from dialer.db.session import Database, encode_json
from dialer.errors import AsteriskUnavailable, DatabaseUnavailable, DozvonError
from dialer.httpkit.access import Actor

log = structlog.get_logger(__name__)

#: A command older than this is refused.
FRESH = timedelta(seconds=5)
WAIT_S = 6.0

#: Ours is what is for a campaign of ours, for none, or for one that nobody owns nor will, since it does not
#: run; and what we took and did not write down. Its age is reckoned by the clock that has stamped it: ours
#: may be another machine's.
_TAKE = Prepared(
    """
    UPDATE command SET taken_by = :server
     WHERE tenant_id = :tenant_id AND id = (
        SELECT c.id FROM command c
         WHERE c.tenant_id = :tenant_id AND c.done_at IS NULL
           AND (c.taken_by IS NULL OR c.taken_by = :server)
           AND c.id <> ALL (CAST(:doing AS bigint[]))
           AND (c.campaign_id IS NULL OR c.campaign_id = ANY (:ours) OR NOT EXISTS (
                SELECT FROM lease l
                 WHERE l.tenant_id = c.tenant_id AND l.kind = 'campaign' AND l.key = c.campaign_id
                UNION ALL
                SELECT FROM campaign r
                 WHERE r.tenant_id = c.tenant_id AND r.id = c.campaign_id AND r.status = 'running'))
         ORDER BY c.id LIMIT 1
           FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, payload, clock_timestamp() - created_at < :fresh AS fresh
    """
)

_ASK = Prepared(
    """
    INSERT INTO command (tenant_id, kind, campaign_id, payload, created_by)
    VALUES (:tenant_id, :kind, :campaign_id, :payload, :created_by)
    RETURNING id
    """
)
_REPLY = Prepared("SELECT done_at, reply, error FROM command WHERE tenant_id = :tenant_id AND id = :id")
_DONE = Prepared(
    """
    WITH done AS (
        UPDATE command SET done_at = :now, payload = payload - 'digits',
               reply = nullif(CAST(:reply AS jsonb), 'null'),
               error = nullif(CAST(:error AS jsonb), 'null')
         WHERE tenant_id = :tenant_id AND id = :id
        RETURNING id
    )
    SELECT pg_notify(:channel, CAST(id AS text)) FROM done
    """
)

Handler = Callable[[int, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class CommandDesk:
    """The asking side."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._waiting: dict[int, asyncio.Event] = {}
        listener.subscribe(REPLIES, self._noted)

    async def ask(
        self, actor: Actor, kind: str, payload: Mapping[str, Any], *, campaign_id: int | None
    ) -> Mapping[str, Any]:
        """Have the engine that owns the campaign do something; any engine where none does, or none is named
        (None). Raises what the
        engine raised, or AsteriskUnavailable when none answers."""
        async with self._database.tenant(actor.tenant_id) as conn:
            command_id: int = await _ASK.value(
                conn,
                tenant_id=actor.tenant_id,
                kind=kind,
                campaign_id=campaign_id,
                payload=encode_json(payload),
                created_by=actor.user_id,
            )
            self._waiting[command_id] = done = asyncio.Event()
            await events.wake(conn, "commands", tenant_id=actor.tenant_id)
        try:
            row = await self._answer(actor, command_id, done)
        finally:
            del self._waiting[command_id]
        if row.done_at is None:
            log.warning("command_without_answer", command=command_id, kind=kind)
            raise AsteriskUnavailable(reason="the engine does not answer")
        if row.error is not None:
            raise _error(row.error)
        reply: Mapping[str, Any] = row.reply
        return reply

    async def _answer(self, actor: Actor, command_id: int, done: asyncio.Event) -> Row:
        """The command's row once it is done, or as it is after WAIT_S."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await done.wait()
            done.clear()
            async with self._database.tenant(actor.tenant_id) as conn:
                row: Row = await _REPLY.row(conn, tenant_id=actor.tenant_id, id=command_id)
            # Not done before the deadline: a note that others may have been missed, and ours was not.
            if row.done_at is not None or loop.time() >= deadline:
                return row

    def _noted(self, payload: str) -> None:
        if payload:
            if (done := self._waiting.get(int(payload))) is not None:
                done.set()
            return
        for done in self._waiting.values():  # notes may have been missed: look at the rows
            done.set()


@dataclass(slots=True)
class CommandRunner:
    """The doing side: one handler for each kind."""

    database: Database
    #: the server's name
    server: str
    #: the tenant's campaigns that are ours, and settled
    ours: Callable[[int], Collection[int]]
    handlers: Mapping[str, Handler]
    #: kinds that wait for an Asterisk to answer: done beside the others, of which none waits for a node
    asks_asterisk: Collection[str] = ()
    #: what was done and could not be written down: (reply, error) by id. Nothing is done twice.
    _done: dict[int, tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]] = field(default_factory=dict)
    #: being done beside the others, by id
    _doing: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    async def run_all(self, tenant_id: int) -> None:
        """Do every command that is waiting, one after another; those that ask Asterisk are begun."""
        while (taken := await self._next(tenant_id)) is not None:
            command_id, kind, payload, fresh = taken
            work = self._finish(tenant_id, command_id, kind, payload, fresh=fresh)
            if kind in self.asks_asterisk:
                self._doing[command_id] = task = asyncio.create_task(self._aside(command_id, work))
                task.add_done_callback(functools.partial(self._was_done, command_id))
            else:
                await work

    def _was_done(self, command_id: int, _task: asyncio.Task[None]) -> None:
        del self._doing[command_id]

    async def _aside(self, command_id: int, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except DatabaseUnavailable as error:  # it is written with the next look at all that waits
            log.warning("command_not_written", command=command_id, reason=str(error))

    async def _finish(
        self, tenant_id: int, command_id: int, kind: str, payload: Mapping[str, Any], *, fresh: bool
    ) -> None:
        if command_id not in self._done:
            self._done[command_id] = await self._do(tenant_id, command_id, kind, payload, fresh=fresh)
        reply, error = self._done[command_id]
        async with self.database.tenant(tenant_id) as conn:
            await _DONE.run(
                conn,
                tenant_id=tenant_id,
                id=command_id,
                now=utc_now(),
                reply=encode_json(reply),
                error=encode_json(error),
                channel=REPLIES,
            )
        del self._done[command_id]

    async def _do(
        self, tenant_id: int, command_id: int, kind: str, payload: Mapping[str, Any], *, fresh: bool
    ) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        if not fresh:
            return None, _kept(AsteriskUnavailable(reason="the engine was away"))
        try:
            return await self.handlers[kind](tenant_id, payload), None
        except DozvonError as refused:
            log.info("command_refused", command=command_id, kind=kind, reason=str(refused))
            return None, _kept(refused)
        except Exception:
            # A mistake of ours in one command must not end the engine, and every talk's care with it.
            log.exception("command_failed", command=command_id, kind=kind)
            return None, _kept(DozvonError())

    async def _next(self, tenant_id: int) -> tuple[int, str, Mapping[str, Any], bool] | None:
        """Take the oldest command that is ours: nobody else does it then."""
        async with self.database.tenant(tenant_id) as conn:
            row = await _TAKE.row(
                conn,
                tenant_id=tenant_id,
                server=self.server,
                ours=sorted(self.ours(tenant_id)),
                doing=sorted(self._doing),
                fresh=FRESH,
            )
        if row is None:
            return None
        return row.id, row.kind, row.payload, row.fresh


def _kept(error: DozvonError) -> Mapping[str, Any]:
    return {"id": error.id, "details": error.details}


def _error(kept: Mapping[str, Any]) -> DozvonError:
    """The error that the engine raised, by its id."""
    kinds = {DozvonError.id: DozvonError}
    todo: list[type[DozvonError]] = [DozvonError]
    while todo:
        for kind in todo.pop().__subclasses__():
            kinds.setdefault(kind.id, kind)
            todo.append(kind)
    return kinds.get(str(kept["id"]), DozvonError)(**kept["details"])
