"""Makes backups: the database as one moment shows it, and the files that belong to that moment."""

from __future__ import annotations

import asyncio
import os
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import asyncpg

from dialer import __version__
from dialer.backup import archive, programs
from dialer.backup.archive import PIECE, Source, Target
from dialer.backup.model import DATABASE, FORMAT, SETTINGS, Head, Kind, Manifest, Part, inside
from dialer.db.embedded import Urls
from dialer.db.migrate import MIGRATION_LOCK
from dialer.db.session import CONNECTION_ERRORS, connect
from dialer.errors import BackupDamaged, BackupFailed, DatabaseUnavailable
from dialer.settings import CONFIG_FILE, Settings

#: How long a backup waits for a migration, s.
MIGRATION_S = 60

_SERVER = "SELECT current_setting('server_version_num')::integer / 10000"
_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    ORDER BY relname
"""


class Progress(Protocol):
    """Who is told how far a backup or a restore has come."""

    def step(self, what: str, size: int | None = None) -> None:
        """Something begins; `size` bytes long, where that is known."""

    def count(self, size: int) -> None:
        """So many more bytes of it are done."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a backup is asked for."""

    #: a folder of backups (it may be missing), or one file
    path: Path
    folder: bool
    recordings: bool = True
    secrets: bool = True
    #: of a folder: how many backups stay in it; None: all
    keep: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made."""

    path: Path
    manifest: Manifest
    #: bytes that were taken over from an earlier backup without a copy
    shared: int
    #: names of earlier backups that were removed
    removed: tuple[str, ...]
    #: what to tell about what is not in it
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a snapshot of the database shows beside its dump."""

    at: datetime
    #: major version of the server
    postgres: int
    revision: str
    counts: dict[str, int]
    recordings: list[str]
    #: recordings that are in the store
    stored: int
    sounds: list[str]


async def back_up(settings: Settings, urls: Urls, wish: Wish, progress: Progress) -> Made:
    """Make a backup; the server may work meanwhile. Nothing is left of one that fails.

    Raises BackupFailed, DatabaseUnavailable, PartMissing.
    """
    try:
        return await _Backup(settings, urls, wish, progress).make()
    except OSError as error:
        raise BackupFailed(reason=f"{error.filename or wish.path}: {error.strerror or error}") from error


async def check(path: Path, progress: Progress) -> Source:
    """Read a whole backup and hold it against its manifest. Raises BackupDamaged, RestoreRefused."""
    found = await asyncio.to_thread(archive.source, path)
    progress.step("checking", found.manifest.size)
    try:
        await asyncio.to_thread(archive.verify, found, progress.count)
    except OSError as error:
        raise BackupDamaged(reason=f"{error.filename or path}: {error.strerror or error}") from error
    return found


class _Backup:
    def __init__(self, settings: Settings, urls: Urls, wish: Wish, progress: Progress) -> None:
        self._settings, self._urls, self._wish, self._progress = settings, urls, wish, progress
        self._parts: list[Part] = []
        self._notes: list[str] = []
        self._shared = 0
        self._missing = 0

    async def make(self) -> Made:
        wish = self._wish
        target: Target | None = None
        try:
            async with _snapshot(self._urls.owner) as (connection, name):
                server = await connection.fetchval(_SERVER)
                tools = await programs.find(server, embedded=self._settings.database_url is None)
                at = (await connection.fetchval("SELECT now()")).astimezone(UTC)
                revision = await connection.fetchval("SELECT version_num FROM alembic_version")
                target = await asyncio.to_thread(archive.target, wish.path, at, folder=wish.folder)
                await self._database(target, tools, name)
                moment = await _moment(connection, at, server, revision)
            # The snapshot is over: recordings may take hours, and old rows are vacuumed meanwhile.
            await self._files(target, moment)
            manifest = Manifest(self._head(moment, tools), tuple(self._parts))
            path = await asyncio.to_thread(target.finish, manifest)
        finally:
            if target is not None:
                await asyncio.to_thread(target.abandon)
        removed: list[str] = []
        if wish.folder and wish.keep is not None:
            removed = await asyncio.to_thread(archive.prune, wish.path, wish.keep)
        return Made(path, manifest, self._shared, tuple(removed), tuple(self._notes))

    def _head(self, moment: Moment, tools: programs.Programs) -> Head:
        return Head(
            format=FORMAT,
            version=__version__,
            revision=moment.revision,
            made_at=moment.at,
            postgres=moment.postgres,
            dumped_by=tools.major,
            counts=moment.counts,
            without=tuple(self._without()),
            recordings_missing=self._missing,
            settings=_said(self._settings),
        )

    def _without(self) -> Iterator[str]:
        if not self._wish.recordings:
            yield Kind.RECORDINGS
        if not self._wish.secrets:
            yield Kind.SECRETS

    async def _database(self, target: Target, tools: programs.Programs, snapshot: str) -> None:
        self._progress.step("database")
        sink = await asyncio.to_thread(target.begin, DATABASE)

        def write(piece: bytes) -> None:
            sink.write(piece)
            self._progress.count(len(piece))

        await programs.dump(tools, self._urls.owner, snapshot, write)
        self._parts.append(await asyncio.to_thread(sink.end))

    async def _files(self, target: Target, moment: Moment) -> None:
        settings, wish = self._settings, self._wish
        sounds = await asyncio.to_thread(_sounds, settings.prompts_dir, moment.sounds)
        await self._copy_all(target, Kind.PROMPTS, settings.prompts_dir, sounds)
        if wish.secrets:
            folder = settings.data_dir / "secrets"
            await self._copy_all(target, Kind.SECRETS, folder, await asyncio.to_thread(_names, folder))
        await self._settings_file(target)
        if moment.stored:
            self._notes.append(f"{moment.stored} recordings are in the store, and not in this backup")
        if wish.recordings:
            folder = settings.recording_dir
            self._missing = await self._copy_all(target, Kind.RECORDINGS, folder, moment.recordings)
            if self._missing:
                self._notes.append(f"{self._missing} recordings that the database knows are not in {folder}")

    async def _settings_file(self, target: Target) -> None:
        file = settings_file()
        if file is None:
            return
        if not self._wish.secrets and await asyncio.to_thread(_holds_secrets, file):
            self._notes.append(f"{file} is left out: it holds secrets")
            return
        part = await asyncio.to_thread(self._copy, target, SETTINGS, file)
        assert part is not None
        self._parts.append(part)

    async def _copy_all(self, target: Target, kind: Kind, folder: Path, names: list[str]) -> int:
        """Copy files of a folder; how many of them are missing."""
        self._progress.step(f"{kind} ({len(names)})")
        missing = 0
        for name in filter(inside, names):
            part = await asyncio.to_thread(self._copy, target, f"{kind}/{name}", folder / name)
            if part is None:
                missing += 1
            else:
                self._parts.append(part)
        return missing

    def _copy(self, target: Target, name: str, file: Path) -> Part | None:
        """One file, or None where there is none."""
        try:
            opened = file.open("rb")
        except FileNotFoundError:
            return None
        with opened:
            found = file.stat()
            if name.startswith(Kind.RECORDINGS):
                same = target.again(name, found.st_size, found.st_mtime_ns)
                if same is not None:
                    self._shared += same.size
                    self._progress.count(same.size)
                    return same
            sink = target.begin(name, found.st_mtime_ns)
            while piece := opened.read(PIECE):
                sink.write(piece)
                self._progress.count(len(piece))
            return sink.end()


@asynccontextmanager
async def _snapshot(owner_url: str) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """A connection that sees one moment, and its name for others; no migration comes in between.

    Raises BackupFailed when the database goes away inside the block.
    """
    connection = await connect(owner_url, application="dozvon backup")
    try:
        # Before the transaction: its first statement decides what it sees.
        await connection.execute(
            f"SET lock_timeout = '{MIGRATION_S}s'; SET statement_timeout = 0; "
            "SET idle_in_transaction_session_timeout = 0"
        )
        await connection.execute("SELECT pg_advisory_lock_shared($1)", MIGRATION_LOCK)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection, await connection.fetchval("SELECT pg_export_snapshot()")
    except asyncpg.LockNotAvailableError:
        raise BackupFailed(reason="the database is being migrated; try again afterwards") from None
    except asyncpg.UndefinedTableError:
        raise BackupFailed(reason="the database is empty: there is nothing to keep") from None
    except CONNECTION_ERRORS as error:
        if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
            raise  # of the backup's own disk
        raise DatabaseUnavailable(reason=f"it went away: {error or type(error).__name__}") from error
    finally:
        connection.terminate()


async def _moment(connection: asyncpg.Connection, at: datetime, server: int, revision: str) -> Moment:
    return Moment(
        at=at,
        revision=revision,
        postgres=server,
        counts={
            table: await connection.fetchval(f'SELECT count(*) FROM "{table}"')  # noqa: S608  (a catalogue's name)
            for (table,) in await connection.fetch(_TABLES)
        },
        recordings=[
            row[0]
            for row in await connection.fetch(
                "SELECT path FROM recording WHERE status = 'whole' AND here ORDER BY path"
            )
        ],
        stored=await connection.fetchval(
            "SELECT count(*) FROM recording WHERE status = 'whole' AND NOT here"
        ),
        sounds=[
            row[0]
            for row in await connection.fetch(
                "SELECT DISTINCT abandon_sound FROM campaign WHERE abandon_sound IS NOT NULL"
            )
        ],
    )


def settings_file() -> Path | None:
    """The file that settings are read from."""
    file = Path(os.environ.get("DOZVON_CONFIG") or CONFIG_FILE)
    return file if file.is_file() else None


def _sounds(folder: Path, named: list[str]) -> list[str]:
    """Messages that were spoken, tenants' prompts and sounds that campaigns name; not all of the folder.

    It may be Asterisk's own; and texts that flows had spoken are spoken again.
    """
    found = {name for part in ("messages", "own") for name in _names(folder / part, folder)}
    for name in named:
        sound = folder / name
        if sound.is_relative_to(folder):
            found |= {file.relative_to(folder).as_posix() for file in sound.parent.glob(f"{sound.name}.*")}
    return sorted(found)


def _names(folder: Path, below: Path | None = None) -> list[str]:
    """Paths of the regular files in a folder, relative to it or to a folder above."""
    return sorted(
        file.relative_to(below or folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
    )


def _secret_names() -> set[str]:
    return {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}


def _holds_secrets(file: Path) -> bool:
    return bool(tomllib.loads(file.read_text(encoding="utf-8")).keys() & _secret_names())


def _said(settings: Settings) -> dict[str, str]:
    """The settings that are in force and not the default, secrets left out."""
    hidden = _secret_names()
    return {
        name: str(value)
        for name in sorted(settings.model_fields_set - hidden)
        if (value := getattr(settings, name)) is not None
    }
