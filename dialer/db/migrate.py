"""Bring the database to the schema of this version, while servers work on it.

All revisions of an upgrade are one transaction: it is done or not done. Servers of the version before go on
meanwhile, so a revision only adds (see migrations/README.md), and no revision waits in a queue for a table:
behind a waiting ALTER TABLE every reader waits too. It gives up after `LOCK_WAIT_MS` and tries again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import exc, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.cluster import APP_ROLE
from dialer.db.session import create_engine
from dialer.errors import DatabaseUnavailable, PartMissing

log = structlog.get_logger(__name__)
# Two lines at each start, and one for each look, that say nothing.
logging.getLogger("alembic").setLevel(logging.WARNING)

#: Two servers that start together must not migrate together, and none while a backup reads ("dozm" in ASCII).
MIGRATION_LOCK = 0x646F7A6D

#: The oldest major version of PostgreSQL that the SQL is written for.
OLDEST = 15

#: The longest that a migration may keep others waiting for one table, ms: an attempt must be sent within a
#: second of its commit.
LOCK_WAIT_MS = 300
#: How long to try before the upgrade is given up, s.
PATIENCE_S = 120.0
#: Between two tries, s.
AGAIN_S = (0.2, 0.5, 1.0, 2.0)
#: Alembic keeps what it is at in globals of the process (`op`, `context`), and a migration gives way at each
#: statement: two at once, of two databases, would run statements in each other's.
_ALEMBIC: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
#: A table is in use, or a deadlock was ended: the same transaction may succeed later.
IN_USE = ("55P03", "40P01")


@dataclass(frozen=True, slots=True)
class Step:
    """One revision that is not applied yet."""

    revision: str
    #: what it changes, in its own words
    title: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upgrade would do."""

    #: the database's revision; None: it is empty
    current: str | None
    #: in order; none: the database is up to date
    steps: tuple[Step, ...]


def config(*more: Path) -> Config:
    """Alembic's configuration, without a file of its own; `more` are folders of further revisions."""
    made = Config()
    own = Path(__file__).with_name("migrations")
    made.set_main_option("script_location", str(own).replace("%", "%%"))
    made.set_main_option("path_separator", "newline")
    places = "\n".join(str(folder).replace("%", "%%") for folder in (own / "versions", *more))
    made.set_main_option("version_locations", places)
    return made


def head(*more: Path) -> str:
    """The revision of this version of the server."""
    revision = ScriptDirectory.from_config(config(*more)).get_current_head()
    assert revision is not None
    return revision


def revisions(*more: Path) -> list[str]:
    """All revisions of this version, the first one first."""
    return [step.revision for step in _steps(*more)]


def _steps(*more: Path) -> list[Step]:
    scripts = ScriptDirectory.from_config(config(*more))
    return [Step(one.revision, one.doc) for one in reversed(list(scripts.walk_revisions()))]


async def current(url: str) -> str | None:
    """The revision of the database, None for an empty one; any role may ask."""
    engine = create_engine(url, pool=1)
    try:
        async with engine.connect() as conn:
            return await conn.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()


async def plan(url: str, *more: Path) -> Plan:
    """What `upgrade` would do. Raises DatabaseUnavailable for a database of a later version."""
    found = await current(url)
    steps = _steps(*more)
    if found is None:
        return Plan(None, tuple(steps))
    at = next((n for n, step in enumerate(steps) if step.revision == found), None)
    if at is None:
        raise _later(found)
    return Plan(found, tuple(steps[at + 1 :]))


async def upgrade(
    owner_url: str,
    revision: str = "head",
    *,
    more: Sequence[Path] = (),
    patience_s: float = PATIENCE_S,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Apply what is missing, as the owner of the database: all of it in one transaction, or nothing.

    Nobody waits longer for us than `LOCK_WAIT_MS` and the length of the transaction; a table in use is tried
    again for `patience_s`. Raises PartMissing where the server's role is missing or PostgreSQL is too old,
    DatabaseUnavailable where it cannot be reached, is in use for too long, or is of a later version.
    """
    if revision == "head" and not (await plan(owner_url, *more)).steps:
        return  # nothing to wait for
    engine = create_engine(owner_url, pool=1, application="dozvon migrate")
    deadline = asyncio.get_running_loop().time() + patience_s
    try:
        # One connection for all: whatever ends it ends the lock and the transaction together.
        async with engine.connect() as conn:
            await _alone(conn, patience_s, say)
            tries = 0
            while not await _once(conn, revision, more, say):
                pause_s = AGAIN_S[min(tries, len(AGAIN_S) - 1)] * random.uniform(0.7, 1.3)  # noqa: S311
                if asyncio.get_running_loop().time() + pause_s > deadline:
                    raise DatabaseUnavailable(
                        reason=f"it was not migrated: its tables were in use for {patience_s:g} s, by a "
                        "report or a program of your own (pg_stat_activity); nothing was changed"
                    )
                tries += 1
                await asyncio.sleep(pause_s)  # nothing tells when a table is free
    finally:
        await engine.dispose()


async def _alone(conn: AsyncConnection, patience_s: float, say: Callable[[str], None]) -> None:
    """Only one migrates, and nobody while a backup reads the schema; who comes second finds nothing to do.

    The lock is the connection's: it ends with it.
    """
    key = {"key": MIGRATION_LOCK}
    try:
        if not await conn.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
            say("another server migrates, or a backup is being made: waiting for it")
            await conn.execute(text(f"SET LOCAL lock_timeout = {int(patience_s * 1000)}"))
            await conn.execute(text("SELECT pg_advisory_lock(:key)"), key)
        await conn.commit()
    except exc.DBAPIError as error:
        if _state(error) not in IN_USE:
            raise
        raise DatabaseUnavailable(
            reason=f"another server migrates it, or a backup is being made, for more than {patience_s:g} s"
        ) from None


async def _once(
    conn: AsyncConnection, revision: str, more: Sequence[Path], say: Callable[[str], None]
) -> bool:
    """One try; False: a table was in use, and nothing was done."""
    alembic = _ALEMBIC.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    try:
        async with alembic, conn.begin():
            await conn.execute(text(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}"))
            await conn.run_sync(_upgrade, revision, more)
    except exc.DBAPIError as error:
        if _state(error) not in IN_USE:
            raise
        log.info("migration_waits", reason=str(error.orig))
        say("the tables are in use: trying again")
        return False
    log.info("migrated", revision=head(*more) if revision == "head" else revision)
    return True


def _state(error: exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _upgrade(connection: Connection, revision: str, more: Sequence[Path]) -> None:
    version = connection.scalar(text("SELECT current_setting('server_version_num')::integer / 10000"))
    if version < OLDEST:
        raise PartMissing(part=f"PostgreSQL {OLDEST} or later", mend=f"this server is {version}: upgrade it")
    if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE}):
        raise PartMissing(
            part=f"the role {APP_ROLE}", mend=f"run as superuser: CREATE ROLE {APP_ROLE} LOGIN PASSWORD '...'"
        )
    made = config(*more)
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in revisions(*more):
        raise _later(found)
    made.attributes["connection"] = connection
    command.upgrade(made, revision)


def _later(found: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        reason=f"it was migrated to revision {found} by a later version of Dozvon; start that version"
    )
