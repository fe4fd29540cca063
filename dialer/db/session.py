"""Transactions: each names its tenant, and row security shows it no other's rows.

Take a connection by `Database.tenant(id)`, use it, leave: that was one transaction, committed when the block
ends normally and rolled back when it raises. Nothing else in the server opens a transaction.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import event, exc, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from dialer.db import tables as t
from dialer.errors import DatabaseUnavailable

CONNECT_TIMEOUT_S = 10.0
#: What the network, the server's refusal and a broken conversation raise.
CONNECTION_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
#: Classes of SQLSTATE that say "not now": a deadlock, a full disk, a lock or a statement given up, a server
#: that stops. The transaction was rolled back; the same one may succeed later.
PASSING = ("40", "53", "55", "57", "58")

_SET_TENANT = text("SELECT set_config('dozvon.tenant', :tenant, true)")


async def connect(url: str, *, application: str = "dozvon") -> asyncpg.Connection:
    """One connection outside the pool: for waiting, locks and migrations. Raises DatabaseUnavailable."""
    try:
        # jit: asyncpg's look at types is a large query that compiling makes slower, not faster.
        settings = {"application_name": application, "timezone": "UTC", "jit": "off"}
        return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, server_settings=settings)
    except CONNECTION_ERRORS as error:
        raise DatabaseUnavailable(reason=str(error) or type(error).__name__) from error


def encode_json(value: object) -> str:
    """JSON of a payload: times in ISO 8601, UUIDs as text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_json_default)


def _passes(error: exc.DBAPIError) -> bool:
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(PASSING)


def _json_default(value: object) -> str:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON")


def create_engine(url: str, *, pool: int, application: str = "dozvon") -> AsyncEngine:
    """An engine of `pool` connections; none is opened before it is needed."""

    async def connection() -> asyncpg.Connection:
        return await connect(url, application=application)

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

    return engine


class Database:
    """The pool of one process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str, *, pool: int) -> Database:
        """A pool of at most `pool` connections to `url` (postgresql://...); connects when first used."""
        return cls(create_engine(url, pool=pool))

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
            if not (error.connection_invalidated or _passes(error)):
                raise
            raise DatabaseUnavailable(reason=str(error.orig)) from error
        except exc.TimeoutError as error:
            raise DatabaseUnavailable(reason="all connections of the pool are in use") from error

    async def tenants(self) -> list[int]:
        """The ids of all tenants, in order."""
        async with self.system() as conn:
            return list(await conn.scalars(select(t.tenant.c.id).order_by(t.tenant.c.id)))

    async def close(self) -> None:
        """Close the pool's connections."""
        await self.engine.dispose()
