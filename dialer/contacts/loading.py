"""Files on their way into the base: one after another, each by one process, and to an end whatever is in it.

The claim of a file is a transaction that stays open while others load it, so that it ends with the process.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import statistics
from dialer.db.session import Database, driver_of, encode_json
from dialer.errors import DatabaseUnavailable, DozvonError, ImportInterrupted, UnreadableFile
from dialer.settings import Settings

log = structlog.stdlib.get_logger(__name__)

#: Between two looks at a file that another process loads.
FOLLOW_EVERY_S = 0.5


class Job(Protocol):
    """An import as its feature shows it."""

    @property
    def id(self) -> int:
        """Of the import."""
        ...

    @property
    def finished_at(self) -> datetime | None:
        """When it ended; None: it has not."""
        ...


AnyJob = TypeVar("AnyJob", bound=Job)
#: Is told how far an import is.
Progress: TypeAlias = Callable[[AnyJob], None]


@dataclass(slots=True)
class Loading(ABC, Generic[AnyJob]):
    """A file that this process has claimed."""

    _database: Database
    _settings: Settings
    _tenant_id: int
    #: as it was written last
    _job: AnyJob
    _progress: Progress[AnyJob]
    #: rows that came since PostgreSQL has looked at the tables
    _grown: int = field(default=0, init=False)

    async def _look(self) -> None:
        """From here on statements are planned for the tables as they are now."""
        grown = self._grown
        async with self._database.tenant(self._tenant_id) as conn:
            if await statistics.refresh(conn, grown):
                self._grown -= grown

    @property
    @abstractmethod
    def path(self) -> Path:
        """Where the file lies until the import has ended."""

    @abstractmethod
    async def load(self) -> None:
        """Load what is left of the file. Raises ImportInterrupted: another process has it now."""

    @abstractmethod
    async def finish(self, error: str | None) -> None:
        """Write the end: all is loaded, or {id, details} of what has ended it, as JSON."""


@dataclass(frozen=True, slots=True)
class Loader(Generic[AnyJob]):
    """How one feature's files are loaded."""

    #: takes a tenant's oldest file that waits, or that a killed process left half done, or (import_id) just
    #: that one; None: there is none
    claim: Callable[[AsyncConnection, int, int | None], Awaitable[AnyJob | None]]
    begin: Callable[[Database, Settings, int, AnyJob, Progress[AnyJob]], Loading[AnyJob]]

    async def next(self, database: Database, settings: Settings) -> bool:
        """Load a file of any tenant; False: none waits.

        A file that cannot be read ends as a failed import. Raises DatabaseUnavailable; the import then goes
        on with the next call. Needs three connections of the pool.
        """
        for tenant_id in await database.tenants():
            if await self.one(database, settings, tenant_id):
                return True
        return False

    async def one(
        self,
        database: Database,
        settings: Settings,
        tenant_id: int,
        import_id: int | None = None,
        progress: Progress[AnyJob] | None = None,
    ) -> bool:
        """As `next`, of one tenant; of one import, if named. `progress` is called after each batch."""
        async with database.tenant(tenant_id) as conn:
            job = await self.claim(conn, tenant_id, import_id)
            if job is None:
                return False
            # It is silent while the file is loaded, which may be longer than a transaction may be silent.
            await driver_of(conn).execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            loading = self.begin(database, settings, tenant_id, job, progress or (lambda _job: None))
            error: DozvonError | None = None
            try:
                await loading.load()
            except DatabaseUnavailable:
                raise  # the file stays, and the import is not over
            except ImportInterrupted:
                # The claim's connection was lost, and another process has taken the import over.
                log.warning("import_taken_over", import_id=job.id)
                return True
            except DozvonError as raised:
                error = raised
            except OSError as raised:
                log.exception("import_file_lost", import_id=job.id)
                error = UnreadableFile(reason=raised.strerror or "the disk refuses it")
            except Exception:
                # Our own fault: without an end it would be tried again for ever, and hold up those behind it.
                log.exception("import_failed", import_id=job.id)
                error = DozvonError()
            await loading.finish(encode_json({"id": error.id, "details": error.details}) if error else None)
            await asyncio.to_thread(loading.path.unlink, missing_ok=True)
        return True

    async def now(
        self,
        database: Database,
        settings: Settings,
        tenant_id: int,
        import_id: int,
        look: Callable[[], Awaitable[AnyJob]],
        progress: Progress[AnyJob] | None = None,
    ) -> AnyJob:
        """Load a file here, or follow the process that was faster: for a person who waits. The import as it
        ended, as `look` shows it; `progress` is told what is seen of another process as well."""
        while True:
            ran = await self.one(database, settings, tenant_id, import_id, progress)
            job = await look()
            if not ran and progress is not None:
                progress(job)
            if job.finished_at is not None:
                return job
            if not ran:
                await asyncio.sleep(FOLLOW_EVERY_S)
