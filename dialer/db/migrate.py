"""Bring the database to the schema of this version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from dialer.db.cluster import APP_ROLE
from dialer.db.session import create_engine
from dialer.errors import DatabaseUnavailable, PartMissing

#: Two servers that start together must not migrate together ("dozm" in ASCII).
MIGRATION_LOCK = 0x646F7A6D

#: The oldest major version of PostgreSQL that the SQL is written for.
OLDEST = 15


def config() -> Config:
    """Alembic's configuration, without a file of its own."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def head() -> str:
    """The revision of this version of the server."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision


def revisions() -> list[str]:
    """All revisions of this version, the first one first."""
    scripts = ScriptDirectory.from_config(config())
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


async def current(url: str) -> str | None:
    """The revision of the database, None for an empty one; any role may ask."""
    engine = create_engine(url, pool=1)
    try:
        async with engine.connect() as conn:
            return await conn.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()


async def upgrade(owner_url: str, revision: str = "head") -> None:
    """Apply what is missing, as the owner of the database: all of it in one transaction, or nothing.

    Raises PartMissing where the server's role is missing or PostgreSQL is too old, DatabaseUnavailable where
    it cannot be reached or was migrated by a later version of the server.
    """
    engine = create_engine(owner_url, pool=1, application="dozvon migrate")
    try:
        async with engine.begin() as conn:
            # Until the end of the transaction; who comes second finds nothing left to do.
            await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            await conn.run_sync(_upgrade, revision)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, revision: str) -> None:
    version = connection.scalar(text("SELECT current_setting('server_version_num')::integer / 10000"))
    if version < OLDEST:
        raise PartMissing(part=f"PostgreSQL {OLDEST} or later", mend=f"this server is {version}: upgrade it")
    if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE}):
        raise PartMissing(
            part=f"the role {APP_ROLE}", mend=f"run as superuser: CREATE ROLE {APP_ROLE} LOGIN PASSWORD '...'"
        )
    made = config()
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(made).walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseUnavailable(
            reason=f"it was migrated to revision {found} by a later version of Dozvon; start that version"
        )
    made.attributes["connection"] = connection
    command.upgrade(made, revision)
