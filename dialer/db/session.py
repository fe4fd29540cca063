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
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
from sqlalchemy import event, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from dialer.clock import utc_now
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
DISK_FULL, READ_ONLY = "53100", "25006"
#: What SQLAlchemy's pool says of a connection that had ended, and its successor with it, before it was used.
CLOSED_TWICE = "This connection is closed"
#: A disk on which a write has found no room counts as full for so long, seconds: others may still find some.
FULL_FOR_S = 15.0


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


def _sqlstate(error: BaseException | None) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _passes(error: BaseException | None) -> bool:
    return _sqlstate(error).startswith(PASSING)


def _refused(error: Exception) -> exc.DBAPIError:
    """What SQLAlchemy would have made of what the driver has raised."""
    if _sqlstate(error).startswith("23"):
        return exc.IntegrityError(None, None, error)
    if _sqlstate(error).startswith("22") or isinstance(error, ValueError):
        return exc.DataError(None, None, error)
    return exc.DBAPIError(None, None, error)


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
    #: of these, the ones that lead to a server that is the primary no more
    _left: set[asyncpg.Connection] = field(default_factory=set)
    _coming: set[asyncio.Timeout] = field(default_factory=set)

    async def __call__(self) -> asyncpg.Connection:
        """A new connection. Raises DatabaseUnavailable."""
        made = None if self.shut else await self._connect()
        if made is not None and not self.shut:
            self._made.add(made)
            made.add_termination_listener(self._made.discard)
            made.add_termination_listener(self._left.discard)
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

    def leave(self) -> None:
        """Use none of the present connections again: they lead to a former primary."""
        self._left |= self._made

    def has_left(self, made: asyncpg.Connection) -> bool:
        """Whether the connection is not to be used again."""
        return made in self._left

    def shut_for(self, reason: str) -> None:
        """Break what waits for an answer, and what idles: nobody knows whether it still lives."""
        self.shut = reason
        for made in tuple(self._made):
            made.terminate()
        now_s = asyncio.get_running_loop().time()
        for bound in self._coming:
            if not bound.expired():
                bound.reschedule(now_s)


def create_engine(url: str, *, pool: int, application: str = "dozvon") -> AsyncEngine:
    """An engine of `pool` connections for who begins and ends transactions as SQLAlchemy does: migrations."""
    return _engine(Door(url, application), pool, "READ COMMITTED")


def _engine(
    connection: Door, pool: int, isolation_level: Literal["AUTOCOMMIT", "READ COMMITTED"]
) -> AsyncEngine:
    # None is opened before it is needed.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connection,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        json_serializer=encode_json,
        isolation_level=isolation_level,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def living(raw: Any, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        # A server that went away has told the socket so: no question over the network is needed.
        driver = raw.driver_connection
        if connection.has_left(driver):
            driver.terminate()
        if driver.is_closed():
            raise exc.DisconnectionError

    @event.listens_for(engine.sync_engine, "checkin")
    def at_rest(raw: Any, _entry: ConnectionPoolEntry) -> None:
        # Whoever was cancelled twice may have left a transaction open: nobody else must find himself in it.
        driver = raw.driver_connection if raw is not None else None
        if driver is not None and not driver.is_closed() and driver.is_in_transaction():
            driver.terminate()

    return engine


def driver_of(conn: AsyncConnection) -> asyncpg.Connection:
    """The driver's own connection that `conn` speaks by: what it is asked is part of the same transaction."""
    assert conn.sync_connection is not None
    return conn.sync_connection.connection.driver_connection


async def _roll_back(driver: asyncpg.Connection) -> None:
    if not driver.is_closed():
        with suppress(*CONNECTION_ERRORS):  # it is lost: what raised before says more
            await driver.execute("ROLLBACK")


@asynccontextmanager
async def _begun(driver: asyncpg.Connection, begin: str | None) -> AsyncIterator[None]:
    """A transaction, begun and ended by the driver: one question each, and a tenth of the CPU that SQLAlchemy
    takes. None: there is none, and each statement stands for itself."""
    if begin is None:
        yield
        return
    await driver.execute(begin)
    try:
        yield
    except BaseException:
        await _roll_back(driver)
        raise
    await driver.execute("COMMIT")


async def _close(conn: AsyncConnection) -> None:
    """Back into SQLAlchemy's pool, to the end though we be cancelled: as `async with` does."""
    await conn.__aexit__(None, None, None)


class Database:
    """The pool of one process."""

    def __init__(self, door: Door, pool: int) -> None:
        #: begins and ends no transaction: we do, see `_transaction`
        self.engine = _engine(door, pool, "AUTOCOMMIT")
        self._door = door
        #: connections between two transactions, the last used last: what SQLAlchemy does to take one from its
        #: pool and to put it back costs twice as much as a transaction
        self._idle: list[AsyncConnection] = []
        #: who waits for a connection of SQLAlchemy's pool: what comes free meanwhile goes there
        self._waiting = 0
        self._closed = False
        #: since when it is known not to answer, see `dialer.db.pulse`; None: it answers, or nobody asks
        self.silent_since: datetime | None = None
        #: when a write of this process last found no room (monotonic)
        self._full_at_s = -math.inf

    @classmethod
    def open(cls, url: str, *, pool: int, application: str = "dozvon") -> Database:
        """A pool of at most `pool` connections to `url` (postgresql://...), which call themselves
        `application`; connects when first used."""
        return cls(Door(url, application), pool)

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

    def tenant(self, tenant_id: int) -> AbstractAsyncContextManager[AsyncConnection]:
        """ONE transaction that sees and writes the rows of `tenant_id` only.

        Raises DatabaseUnavailable when no connection can be had, when it breaks, or when the database gives
        the transaction up (a deadlock): then it was rolled back, unless the connection broke in the commit
        itself, which may have happened. Raises SQLAlchemy's DBAPIError where a statement was refused
        (IntegrityError: by a constraint).
        """
        return self._transaction(f"BEGIN; SET LOCAL dozvon.tenant = '{tenant_id:d}'")

    def system(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """ONE transaction with no tenant: it sees tables without tenants, and may call the functions that
        cross tenants (`find_login` and its like, see the migrations)."""
        return self._transaction("BEGIN")

    def one_question(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """As `system`, for ONE statement, which is a transaction by itself: a third of the questions."""
        return self._transaction(None)

    @asynccontextmanager
    async def _transaction(self, begin: str | None) -> AsyncIterator[AsyncConnection]:
        try:
            conn = await self._take()
            try:
                driver = driver_of(conn)
                async with _begun(driver, begin):
                    yield conn
                if conn.in_transaction():  # in SQLAlchemy's eyes, since it has run a statement itself
                    await conn.rollback()
            except BaseException:
                await _close(conn)
                raise
            await self._put_back(conn)
        except exc.DBAPIError as error:
            if not (error.connection_invalidated or _passes(error.orig)):
                raise
            raise self._unavailable(error.orig) from error
        except asyncpg.PostgresError as error:
            if not _passes(error):
                raise _refused(error) from error
            raise self._unavailable(error) from error
        except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if isinstance(error, ValueError):  # a value that is not of its column's type
                raise _refused(error) from error
            raise self._unavailable(error) from error
        except exc.InvalidRequestError as error:
            if str(error) != CLOSED_TWICE:
                raise
            raise DatabaseUnavailable(reason=self._door.shut or "it ends each new connection") from error
        except exc.TimeoutError as error:
            raise DatabaseUnavailable(reason="all connections of the pool are in use") from error

    async def _take(self) -> AsyncConnection:
        """A connection for one transaction."""
        while self._idle:
            conn = self._idle.pop()
            driver = driver_of(conn)
            if not driver.is_closed() and not self._door.has_left(driver):
                return conn
            await _close(conn)
        self._waiting += 1
        try:
            return await self.engine.connect()
        finally:
            self._waiting -= 1

    async def _put_back(self, conn: AsyncConnection) -> None:
        """Keep it for the next transaction, unless somebody waits for it or it is of no more use."""
        driver = driver_of(conn)
        if self._waiting or self._closed or driver.is_closed() or driver.is_in_transaction():
            await _close(conn)
        else:
            self._idle.append(conn)

    def _unavailable(self, error: BaseException | None) -> DatabaseUnavailable:
        state = _sqlstate(error)
        if state == DISK_FULL:
            self._full_at_s = time.monotonic()
            return DatabaseFull(reason=str(error))
        if state == READ_ONLY:
            self._door.leave()  # it will not write again soon: the primary is asked
        return DatabaseUnavailable(reason=self._door.shut or str(error) or type(error).__name__)

    async def tenants(self) -> list[int]:
        """The ids of all tenants, in order."""
        async with self.one_question() as conn:  # several times a second, see `dialer.db.prepared`
            return [row[0] for row in await driver_of(conn).fetch("SELECT id FROM tenant ORDER BY id")]

    async def close(self) -> None:
        """Close the pool's connections."""
        self._closed = True
        while self._idle:
            await _close(self._idle.pop())
        await self.engine.dispose()
