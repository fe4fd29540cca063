"""Makes an installation of a backup: files first, then the database in one transaction.

Whoever was being called when the backup was made is on no line any more: the first start closes those
attempts as it does after a crash. What happened after the backup is not in it, so nothing is dialled before
somebody has looked: campaigns that ran are paused.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dialer.backup import archive, model, programs
from dialer.backup.archive import PIECE, Source
from dialer.backup.model import DATABASE, Kind, Manifest, Part
from dialer.backup.service import Progress, check
from dialer.db import migrate
from dialer.db.cluster import APP_ROLE
from dialer.db.embedded import Urls
from dialer.db.session import CONNECTION_ERRORS, connect
from dialer.errors import DatabaseUnavailable, PartMissing, RestoreRefused
from dialer.installation import Installation
from dialer.recordings.recorder import make_day
from dialer.settings import Settings

#: Beside the other files of the data folder: an installation's own settings are not replaced.
SETTINGS_COPY = "settings.from-backup.toml"

_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = $1 AND pid <> pg_backend_pid()
"""
_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
#: All of ours and nothing else: extensions in the same schema are the administrator's.
_DROP = """
DO $drop$
DECLARE it text;
BEGIN
    FOR it IN SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
        AND c.relkind IN ('r', 'p') AND c.relowner = current_user::regrole
    LOOP EXECUTE 'DROP TABLE ' || it || ' CASCADE'; END LOOP;
    -- Those of the tables went with them.
    FOR it IN SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
        AND c.relkind = 'S' AND c.relowner = current_user::regrole
    LOOP EXECUTE 'DROP SEQUENCE ' || it || ' CASCADE'; END LOOP;
    FOR it IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        AND p.proowner = current_user::regrole
    LOOP EXECUTE 'DROP FUNCTION ' || it || ' CASCADE'; END LOOP;
END $drop$;
"""
#: A row "table:rows" for each table.
_COUNTS = r"""
SELECT format('SELECT %L || count(*) FROM public.%I', relname || ':', relname) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \gexec
"""
#: What was said and done after the backup is not known: who asked not to be called, who was called.
_PAUSE = """
INSERT INTO public.audit (tenant_id, action, subject, details)
    SELECT tenant_id, 'campaign.pause', 'campaign:' || id, '{"why": "restored from a backup"}'
    FROM public.campaign WHERE status = 'running';
UPDATE public.campaign SET status = 'paused' WHERE status = 'running';
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done."""

    manifest: Manifest
    #: which backup it is made of: of a folder of backups the newest
    source: Path
    #: what was there before, in words
    replaced: tuple[str, ...]
    #: names of the campaigns that were running, and are paused
    paused: tuple[str, ...]
    #: where the settings file of the backup was put; None: it has none
    settings_copy: Path | None
    #: the revision that the database has now
    revision: str


async def restore(
    here: Installation, path: Path, progress: Progress, *, force: bool = False, keep_running: bool = False
) -> Restored:
    """Make the installation `here` what the backup at `path` is.

    What is there is replaced only with `force`; without, it is named and nothing is done. Raises
    BackupDamaged, RestoreRefused, DatabaseUnavailable, PartMissing, SettingsError.
    """
    found = await asyncio.to_thread(archive.source, path)
    head = found.manifest.head
    if refused := model.why_not(head, migrate.revisions(), migrate.OLDEST, migrate.OLDEST):
        raise RestoreRefused(reason=refused)
    if here.served:
        raise RestoreRefused(reason=f"a server is running in {here.settings.data_dir}; stop it first")
    await check(path, progress)
    try:
        return await _Restore(here.settings, await here.database(), found, progress).make(
            force=force, keep_running=keep_running
        )
    except CONNECTION_ERRORS as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise RestoreRefused(reason=f"{error.filename}: {error.strerror}") from error
        raise DatabaseUnavailable(reason=str(error) or type(error).__name__) from error


class _Restore:
    def __init__(self, settings: Settings, urls: Urls, backup: Source, progress: Progress) -> None:
        self._settings, self._urls, self._backup, self._progress = settings, urls, backup, progress
        self._folders = {
            Kind.RECORDINGS: settings.recording_dir,
            Kind.PROMPTS: settings.prompts_dir,
            Kind.SECRETS: settings.data_dir / "secrets",
        }

    async def make(self, *, force: bool, keep_running: bool) -> Restored:
        manifest = self._backup.manifest
        tables, server = await self._look()
        replaced = [*tables, *await asyncio.to_thread(lambda: list(self._in_the_way()))]
        if replaced and not force:
            raise RestoreRefused(
                reason="it would replace " + "; ".join(replaced) + ". Add --force if that is meant"
            )
        least = max(server, manifest.head.dumped_by)
        tools = await programs.find(least, embedded=self._settings.database_url is None)
        await asyncio.to_thread(self._files)
        self._progress.step("database")
        paused = await self._database(tools, server, keep_running=keep_running)
        self._progress.step("migrations")
        await migrate.upgrade(self._urls.owner)
        copy = self._settings.data_dir / SETTINGS_COPY if manifest.of(Kind.SETTINGS) else None
        return Restored(manifest, self._backup.path, tuple(replaced), tuple(paused), copy, migrate.head())

    # -- what is there -------------------------------------------------------------------------------------

    async def _look(self) -> tuple[list[str], int]:
        """What of the database would be replaced, and the server's major version."""
        owner = await connect(self._urls.owner, application="dozvon restore")
        try:
            server = await owner.fetchval("SELECT current_setting('server_version_num')::integer / 10000")
            if server < migrate.OLDEST:
                raise RestoreRefused(reason=f"PostgreSQL {server} is too old: {migrate.OLDEST} is needed")
            if not await owner.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", APP_ROLE):
                raise PartMissing(
                    part=f"the role {APP_ROLE}",
                    mend=f"run as superuser: CREATE ROLE {APP_ROLE} LOGIN PASSWORD '...'",
                )
            if others := await owner.fetchval(_OTHERS, APP_ROLE):
                raise RestoreRefused(
                    reason=f"{others} connections of a server are open to the database; stop it first"
                )
            tables = {row[0] for row in await owner.fetch(_TABLES)}
            if not tables:
                return [], server
            said = "the database"
            if {"attempt", "contact", "app_user"} <= tables:
                counts = [
                    f"{await owner.fetchval(f'SELECT count(*) FROM {table}')} {words}"  # noqa: S608  (ours)
                    for table, words in (("attempt", "calls"), ("contact", "contacts"), ("app_user", "users"))
                ]
                said += f" ({', '.join(counts)})"
        finally:
            owner.terminate()
        return [said], server

    def _in_the_way(self) -> Iterator[str]:
        """Files that are there, and are others than the backup's."""
        for kind, folder in self._folders.items():
            others = [part for part in self._backup.manifest.of(kind) if not self._same(folder, part)]
            if there := [part for part in others if (folder / part.path).exists()]:
                yield f"{len(there)} files in {folder}, such as {there[0].path}"

    def _same(self, folder: Path, part: Part) -> bool:
        file = folder / part.path
        try:
            return file.stat().st_size == part.size and _digest(file) == part.sha256
        except FileNotFoundError:
            return False

    # -- files ---------------------------------------------------------------------------------------------

    def _files(self) -> None:
        for kind, folder in self._folders.items():
            parts = self._backup.manifest.of(kind)
            self._progress.step(f"{kind} ({len(parts)})", sum(part.size for part in parts))
            for part in parts:
                if kind is Kind.SECRETS:
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                else:
                    make_day(folder, str(part.path))
                self._put(part, folder / part.path)
        for part in self._backup.manifest.of(Kind.SETTINGS):
            self._put(part, self._settings.data_dir / SETTINGS_COPY)

    def _put(self, part: Part, file: Path) -> None:
        """Write a file under another name first: what has its name is whole."""
        fd, new = tempfile.mkstemp(dir=file.parent, prefix=".restore-")  # 0600
        try:
            with os.fdopen(fd, "wb") as opened:
                for piece in archive.pieces(self._backup, part):
                    opened.write(piece)
                    self._progress.count(len(piece))
                if part.mtime_ns:
                    os.utime(opened.fileno(), ns=(part.mtime_ns, part.mtime_ns))
            Path(new).replace(file)
        except BaseException:
            Path(new).unlink(missing_ok=True)
            raise

    # -- the database --------------------------------------------------------------------------------------

    async def _database(self, tools: programs.Programs, server: int, *, keep_running: bool) -> list[str]:
        """Replace the database's content in one transaction; names of the campaigns that were paused."""
        with tempfile.TemporaryDirectory(dir=self._settings.data_dir, prefix=".restore-") as folder:
            dump, listed = Path(folder, DATABASE), Path(folder, "list")
            (part,) = self._backup.manifest.of(Kind.DATABASE)
            await asyncio.to_thread(self._put, part, dump)
            async with programs.transaction(tools, self._urls.owner) as script:
                await script.tell("SET LOCAL lock_timeout = '10s';")
                await script.tell(_DROP)
                await programs.read_dump(tools, dump, listed, server, script)
                await self._count(script)
                paused = await script.ask(
                    "SELECT name FROM public.campaign WHERE status = 'running' ORDER BY name;"
                )
                if not keep_running:
                    await script.tell(_PAUSE)
                await script.commit()
        await self._analyze()
        return [] if keep_running else paused

    async def _count(self, script: programs.Script) -> None:
        """Every row that the backup had must be there. Raises RestoreRefused."""
        wanted = self._backup.manifest.head.counts
        rows = await script.ask(_COUNTS)
        found = {table: int(count) for table, _, count in (row.rpartition(":") for row in rows)}
        wrong = [
            f"{table}: {found.get(table)} of {count}"
            for table, count in wanted.items()
            if found.get(table) != count
        ]
        if wrong:
            raise RestoreRefused(reason=f"rows are missing ({', '.join(wrong)})")

    async def _analyze(self) -> None:
        """The planner knows nothing of new tables, and the first call would wait for it to guess wrong."""
        owner = await connect(self._urls.owner, application="dozvon restore")
        try:
            await owner.execute("ANALYZE")
        finally:
            owner.terminate()


def _digest(file: Path) -> str:
    seen = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            seen.update(piece)
    return seen.hexdigest()
