"""Bring the database to the schema of this version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from dialer.db.session import create_engine

#: Two servers that start together must not migrate together ("dozm" in ASCII).
MIGRATION_LOCK = 0x646F7A6D


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

    Needs the role `dozvon_app` to exist. Raises DatabaseUnavailable.
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
    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, revision)
