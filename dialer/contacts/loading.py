"""Files on their way into the base: one after another, each by one process, and to an end whatever is in it.

The claim of a file is a transaction that stays open while others load it, so that it ends with the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable, DozvonError, ImportInterrupted, UnreadableFile

log = structlog.stdlib.get_logger(__name__)


class Loading(Protocol):
    """A file that this process has claimed."""

    @property
    def import_id(self) -> int:
        """Of the import."""
        ...

    @property
    def path(self) -> Path:
        """Where the file lies until the import has ended."""
        ...

    async def load(self) -> None:
        """Load what is left of the file. Raises ImportInterrupted: another process has it now."""
        ...

    async def finish(self, error: DozvonError | None) -> None:
        """Write the end: all is loaded, or what has ended it."""
        ...


#: Between two looks at a file that another process loads.
FOLLOW_EVERY_S = 0.5


class Job(Protocol):
    """An import as its feature shows it."""

    @property
    def finished_at(self) -> datetime | None:
        """When it ended; None: it has not."""
        ...


AnyJob = TypeVar("AnyJob", bound=Job)

#: Takes the oldest file that waits, or that a killed process left half done; None: there is none.
Claim = Callable[[AsyncConnection], Awaitable[Loading | None]]


async def load_next(database: Database, claim_of: Callable[[int], Claim]) -> bool:
    """Load a file of any tenant; False: none waits. `claim_of` gives a tenant's claim.

    A file that cannot be read ends as a failed import. Raises DatabaseUnavailable; the import then goes on
    with the next call. Needs two connections of the pool.
    """
    for tenant_id in await database.tenants():
        if await load_one(database, tenant_id, claim_of(tenant_id)):
            return True
    return False


async def load_one(database: Database, tenant_id: int, claim: Claim) -> bool:
    """As `load_next`, of one tenant."""
    async with database.tenant(tenant_id) as conn:
        loading = await claim(conn)
        if loading is None:
            return False
        error: DozvonError | None = None
        try:
            await loading.load()
        except DatabaseUnavailable:
            raise  # the file stays, and the import is not over
        except ImportInterrupted:
            # The claim's connection was lost, and another process has taken over: the import is its own now.
            log.warning("import_taken_over", import_id=loading.import_id)
            return True
        except DozvonError as raised:
            error = raised
        except OSError as raised:
            log.exception("import_file_lost", import_id=loading.import_id)
            error = UnreadableFile(reason=raised.strerror or "the disk refuses it")
        except Exception:
            # Our own fault: without an end it would be tried again for ever, and hold up those behind it.
            log.exception("import_failed", import_id=loading.import_id)
            error = DozvonError()
        await loading.finish(error)
        await asyncio.to_thread(loading.path.unlink, missing_ok=True)
    return True


async def load_now(
    run: Callable[[], Awaitable[bool]],
    look: Callable[[], Awaitable[AnyJob]],
    progress: Callable[[AnyJob], None],
) -> AnyJob:
    """Load a file here by `run`, or follow the process that was faster: for a person who waits. The import as
    it ended; `progress` is told what is seen of another process."""
    while True:
        ran = await run()
        job = await look()
        if not ran:
            progress(job)
        if job.finished_at is not None:
            return job
        if not ran:
            await asyncio.sleep(FOLLOW_EVERY_S)
