"""Transactions: each names its tenant, and row security shows it no other's rows.

Take a connection by `Database.tenant(id)`, use it, leave: that was one transaction, committed when the block
ends normally and rolled back when it raises. Nothing else in the server opens a transaction.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ExceptionContext, event, exc, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.errors import DatabaseFull, DatabaseUnavailable

CONNECT_TIMEOUT_S = 10.0
#: What the network, the server's refusal and a broken conversation raise. The last: asyncpg has lost its
#: place, as it does where a connection ends between the two halves of a question.
CONNECTION_ERRORS = (
    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
)  # fmt: skip
#: Beginnings of SQLSTATE that say "not now": a lost connection, a server that may only read (it has just been
#: made the standby), a deadlock, a full disk, a lock or a statement given up, a server that stops. The
#: transaction was rolled back; the same one may succeed later.
PASSING = ("08", "25006", "40", "53", "55", "57", "58")
DISK_FULL = "53100"
READ_ONLY = "25006"
#: What SQLAlchemy's pool says of a connection that had ended, and its successor with it, before it was used.
CLOSED_TWICE = "This connection is closed"
#: A disk on which a write has found no room counts as full for so long, seconds: others may still find some.
FULL_FOR_S = 15.0

_SET_TENANT = text("SELECT set_config('dozvon.tenant', :tenant, true)")


async def connect(
    url: str, *, application: str = "dozvon", timeout_s: float = CONNECT_TIMEOUT_S
) -> asyncpg.Connection:
    """One connection outside the pool: for waiting, locks and migrations. Raises DatabaseUnavailable."""
    try:
        # jit: asyncpg's look at types is a large query that compiling makes slower, not faster.
        settings = {"application_name": application, "timezone": "UTC", "jit": "off"}
        return await asyncpg.connect(url, timeout=timeout_s, server_settings=settings)
    except CONNECTION_ERRORS as error:
        raise DatabaseUnavailable(reason=str(error) or type(error).__name__) from error


def encode_json(value: object) -> str:
    """JSON of a payload: times in ISO 8601, UUIDs as text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_json_default)


def _sqlstate(error: exc.DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _json_default(value: object) -> str:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON")


@dataclass(slots=True, eq=False)
class Door:
    """Makes the connections of a pool; shut, it makes none and breaks those that there are."""

    url: str
    application: str = "dozvon"
    #: why it is shut; empty: it is open
    shut: str = ""
    _made: set[asyncpg.Connection] = field(default_factory=set)
    _coming: set[asyncio.Timeout] = field(default_factory=set)

    async def __call__(self) -> asyncpg.Connection:
        """A new connection. Raises DatabaseUnavailable."""
        made = None if self.shut else await self._connect()
        if made is not None and not self.shut:
            self._made.add(made)
            made.add_termination_listener(self._made.discard)
            return made
        if made is not None:
            made.terminate()  # it came too late
        raise DatabaseUnavailable(reason=self.shut)

    async def _connect(self) -> asyncpg.Connection:
        bound = asyncio.timeout(CONNECT_TIMEOUT_S)
        try:
            async with bound:
                self._coming.add(bound)
                return await connect(self.url, application=self.application)
        except TimeoutError:
            raise DatabaseUnavailable(reason=self.shut or "no connection in time") from None
        finally:
            self._coming.discard(bound)

    def shut_for(self, reason: str) -> None:
        """Break what waits for an answer, and what idles: nobody knows whether it still lives."""
        self.shut = reason
        for made in tuple(self._made):
            made.terminate()
        now_s = asyncio.get_running_loop().time()
        for bound in self._coming:
            if not bound.expired():
                bound.reschedule(now_s)


def create_engine(
    url: str, *, pool: int, application: str = "dozvon", door: Door | None = None
) -> AsyncEngine:
    """An engine of `pool` connections; none is opened before it is needed."""
    connection = door or Door(url, application)
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connection,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        json_serializer=encode_json,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def living(raw: Any, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        # A server that went away has told the socket so: no question over the network is needed.
        if raw.driver_connection.is_closed():
            raise exc.DisconnectionError

    @event.listens_for(engine.sync_engine, "handle_error")
    def demoted(context: ExceptionContext) -> None:
        # A former primary will not write again soon: the pool's connections to it are made anew, elsewhere.
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True

    return engine


class Database:
    """The pool of one process."""

    def __init__(self, engine: AsyncEngine, door: Door) -> None:
        self.engine = engine
        self._door = door
        #: since when it is known not to answer, see `dialer.db.pulse`; None: it answers, or nobody asks
        self.silent_since: datetime | None = None
        #: when a write of this process last found no room (monotonic)
        self._full_at_s = -math.inf

    @classmethod
    def open(cls, url: str, *, pool: int, application: str = "dozvon") -> Database:
        """A pool of at most `pool` connections to `url` (postgresql://...), which call themselves
        `application`; connects when first used."""
        door = Door(url, application)
        return cls(create_engine(url, pool=pool, door=door), door)

    @property
    def is_full(self) -> bool:
        """Whether its disk has lately had no room for what this process wanted to write."""
        return time.monotonic() - self._full_at_s < FULL_FOR_S

    def fall_silent(self, reason: str) -> None:
        """The database does not answer: end what waits for it, and refuse what is asked until `answers`."""
        self.silent_since = self.silent_since or utc_now()
        self._door.shut_for(reason)

    def answers(self) -> None:
        """The database answers again."""
        self.silent_since = None
        self._door.shut = ""

    @asynccontextmanager
    async def tenant(self, tenant_id: int) -> AsyncIterator[AsyncConnection]:
        """ONE transaction that sees and writes the rows of `tenant_id` only.

        Raises DatabaseUnavailable when no connection can be had, when it breaks, or when the database gives
        the transaction up (a deadlock): then it was rolled back, unless the connection broke in the commit
        itself, which may have happened.
        """
        async with self.system() as conn:
            await conn.execute(_SET_TENANT, {"tenant": str(tenant_id)})
            yield conn

    @asynccontextmanager
    async def system(self) -> AsyncIterator[AsyncConnection]:
        """ONE transaction with no tenant: it sees tables without tenants, and may call the functions that
        cross tenants (`find_login` and its like, see the migrations)."""
        try:
            async with self.engine.begin() as conn:
                yield conn
        except exc.DBAPIError as error:
            if _sqlstate(error) == DISK_FULL:
                self._full_at_s = time.monotonic()
                raise DatabaseFull(reason=str(error.orig)) from error
            if not (error.connection_invalidated or _sqlstate(error).startswith(PASSING)):
                raise
            raise DatabaseUnavailable(reason=self._door.shut or str(error.orig)) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise DatabaseUnavailable(reason=self._door.shut or str(error)) from error
        except exc.InvalidRequestError as error:
            if str(error) != CLOSED_TWICE:
                raise
            raise DatabaseUnavailable(reason=self._door.shut or "it ends each new connection") from error
        except exc.TimeoutError as error:
            raise DatabaseUnavailable(reason="all connections of the pool are in use") from error

    async def tenants(self) -> list[int]:
        """The ids of all tenants, in order."""
        async with self.system() as conn:
            return list(await conn.scalars(select(t.tenant.c.id).order_by(t.tenant.c.id)))

    async def close(self) -> None:
        """Close the pool's connections."""
        await self.engine.dispose()
