"""Looks at the database: version, roles, migrations, row security, clock, connections."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from sqlalchemy.exc import DBAPIError

from dialer.check.model import Finding, Findings, count, fail, names, ok, warn
from dialer.clock import utc_now
from dialer.db import migrate
from dialer.db.embedded import Urls
from dialer.db.session import CONNECTION_ERRORS, connect
from dialer.errors import DatabaseUnavailable
from dialer.settings import Settings

#: Two clocks that differ by more give times in the call log that do not fit together.
CLOCKS_WARN_S = 1.0
CLOCKS_FAIL_S = 30.0
#: Connections of the server besides the pools of engine and web: listeners, numberer, jobs, watcher.
CONNECTIONS_BESIDE = 10

ROLES = """
    SELECT rolname AS name, rolsuper AS super, rolbypassrls AS bypasses
    FROM pg_roles WHERE rolname = current_user
"""
UNPROTECTED = """
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND a.attname = 'tenant_id' AND NOT a.attisdropped
      AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
"""
PROTECTED = """
    SELECT count(*) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relrowsecurity
"""
UNKNOWN_ZONES = """
    SELECT timezone FROM tenant WHERE timezone NOT IN (SELECT name FROM pg_timezone_names)
"""
CONNECTIONS = """
    SELECT current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
"""


async def look(settings: Settings, urls: Urls) -> Findings:
    """All findings of the database; those that need a migrated one only where it is."""
    try:
        app = await connect(urls.app, application="dozvon check")
    except DatabaseUnavailable as error:
        yield unreachable(settings, str(error.details["reason"]))
        return
    try:
        async for finding in _connected(settings, urls, app):
            yield finding
    except CONNECTION_ERRORS as error:
        yield unreachable(settings, str(error) or type(error).__name__)
    finally:
        await app.close(timeout=5)


async def _connected(settings: Settings, urls: Urls, app: asyncpg.Connection) -> Findings:
    yield judge_version(await app.fetchval("SHOW server_version"), embedded=settings.database_url is None)
    for what, url in (("app role", urls.app), ("owner role", urls.owner)):
        yield await _role(what, url)
    head = migrate.head()
    current = await revision(urls)
    yield judge_migrations(current, head, migrate.revisions())
    if current is not None:
        protected = await app.fetchval(PROTECTED)
        yield judge_security([row[0] for row in await app.fetch(UNPROTECTED)], protected)
    if current == head:
        yield judge_zones([row[0] for row in await app.fetch(UNKNOWN_ZONES)])
    before = utc_now()
    theirs = await app.fetchval("SELECT clock_timestamp()")
    after = utc_now()
    # The answer was true somewhere between the question and its arrival.
    yield judge_clock((theirs - before - (after - before) / 2).total_seconds())
    yield judge_connections(await app.fetchval(CONNECTIONS), settings.database_pool)


async def revision(urls: Urls) -> str | None:
    """The revision of the database; None where it is empty, or nobody of ours may read it."""
    for url in (urls.owner, urls.app):  # a half-made one tells only its owner
        try:
            return await migrate.current(url)
        except (DatabaseUnavailable, DBAPIError):
            continue
    return None


async def _role(what: str, url: str) -> Finding:
    try:
        connection = await connect(url, application="dozvon check")
    except DatabaseUnavailable as error:
        return fail(
            what,
            str(error.details["reason"]),
            "look at the user and the password in DOZVON_DATABASE_OWNER_URL",
        )
    try:
        row = await connection.fetchrow(ROLES)
    finally:
        await connection.close(timeout=5)
    return judge_role(what, row["name"], superuser=row["super"], bypasses=row["bypasses"])


# -- judgement --------------------------------------------------------------------------------------------


def unreachable(settings: Settings, reason: str) -> Finding:
    """No connection."""
    if settings.database_url is None:
        mend = f"read {settings.data_dir / 'postgres/postgres.log'}"
    else:
        mend = (
            "see that PostgreSQL runs, and that address, user and password in DOZVON_DATABASE_URL are right"
        )
    return fail("database", f"cannot be reached: {reason}", mend)


def judge_version(version: str, *, embedded: bool) -> Finding:
    """Is it new enough?"""
    found = f"PostgreSQL {version.split(maxsplit=1)[0]}{', embedded' if embedded else ''}"
    if int(version.split(".", maxsplit=1)[0].split(maxsplit=1)[0]) < migrate.OLDEST:
        return fail("database", found, f"upgrade it: the server needs PostgreSQL {migrate.OLDEST} or later")
    return ok("database", found)


def judge_role(what: str, name: str, *, superuser: bool, bypasses: bool) -> Finding:
    """Row security is nothing to a superuser."""
    found = [
        said for has, said in ((superuser, "is a superuser"), (bypasses, "bypasses row security")) if has
    ]
    if not found:
        return ok(what, f"{name}, bound by row security")
    said = f"{name} {' and '.join(found)}"
    mend = f"run as superuser: ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS"
    # The owner only migrates; what the app's role does is what people see.
    return fail(what, said, mend) if what == "app role" else warn(what, said, mend)


def judge_migrations(current: str | None, head: str, known: Sequence[str]) -> Finding:
    """Is the schema that of this version? `known` are its revisions, the first one first."""
    mend = "start the server, it brings the database up to date: dozvon serve"
    if current == head:
        return ok("migrations", f"at {head}, the newest")
    if current is None:
        return warn("migrations", "the database is empty", mend)
    if current not in known:
        return fail(
            "migrations",
            f"at {current}, which this version does not know",
            "start the later version of the server that made it",
        )
    behind = len(known) - 1 - known.index(current)
    return warn("migrations", f"at {current}, {count(behind, 'step')} behind {head}", mend)


def judge_security(unprotected: Sequence[str], protected: int) -> Finding:
    """Every table with a tenant must have row security, forced on its owner too."""
    if unprotected:
        return fail(
            "row security",
            f"not forced on {names(unprotected)}",
            "run as the owner, for each: ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        )
    return ok("row security", f"forced on {count(protected, 'table')}")


def judge_zones(unknown: Sequence[str]) -> Finding:
    """Does the database know the time zones of the tenants?"""
    if unknown:
        return fail(
            "zone names",
            f"the database does not know {names(set(unknown))}",
            "update the time zone data of PostgreSQL's machine (package tzdata)",
        )
    return ok("zone names", "the database knows them")


def judge_clock(ahead_s: float) -> Finding:
    """How far the database's clock is ahead of ours."""
    found = f"the database's is {abs(ahead_s):.3f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
    mend = "have both machines set their clocks by NTP (systemctl enable --now systemd-timesyncd)"
    if abs(ahead_s) > CLOCKS_FAIL_S:
        return fail("clock", found, mend)
    if abs(ahead_s) > CLOCKS_WARN_S:
        return warn("clock", found, mend)
    return ok("clock", found)


def judge_connections(allowed: int, pool: int) -> Finding:
    """Are there enough connections for the server's processes?"""
    wanted = 2 * pool + CONNECTIONS_BESIDE
    found = f"the server uses {wanted} at most, the database allows {allowed}"
    if allowed < wanted:
        return warn(
            "connections", found, f"set max_connections to {wanted + 10} or DOZVON_DATABASE_POOL lower"
        )
    return ok("connections", found)
