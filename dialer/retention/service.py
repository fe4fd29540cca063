"""Deletes what is over, every hour, in the process for long work: so slowly that nobody feels it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts.erasure import delete_recordings
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.retention import store
from dialer.retention.model import Terms, before
from dialer.settings import Settings
from dialer.vault.files import Vault

log = structlog.get_logger(__name__)

EVERY_S = 3600.0
#: Rows of one transaction: milliseconds of work.
BATCH = 500
#: Between two of them: a backlog of a million rows takes half an hour, and a fraction of a core.
PAUSE_S = 0.5

Drop = Callable[[AsyncConnection], Awaitable[int]]


def terms(settings: Settings) -> Terms:
    """The terms that were set."""
    return Terms(
        commands=settings.keep_commands_days,
        pacing=settings.keep_pacing_days,
        agent_time=settings.keep_agent_time_days,
        audit=settings.keep_audit_days,
        recordings=settings.keep_recordings_days,
    )


class Retention:
    """The retention of one installation; of several servers one works at a time."""

    def __init__(
        self,
        database: Database,
        kept: Terms,
        *,
        recordings: Path | Vault | None = None,
        batch: int = BATCH,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._database = database
        self._kept = kept
        self._recordings = recordings
        self._batch = batch
        self._pause_s = pause_s

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again an hour later."""
        while True:
            try:
                if deleted := {name: count for name, count in (await self.sweep()).items() if count}:
                    log.info("old_rows_deleted", **deleted)
            except DatabaseUnavailable as error:
                log.warning("retention_waits", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def sweep(self) -> Mapping[str, int]:
        """Delete all that is over, of every tenant; how many rows of which table."""
        deleted: dict[str, int] = {}
        for tenant_id in await self._database.tenants():
            for table, drop in self._drops(tenant_id).items():
                deleted.setdefault(table, 0)
                while (count := await self._batch_of(tenant_id, drop)) > 0:
                    deleted[table] += count
                    if count < self._batch:
                        break
                    await asyncio.sleep(self._pause_s)  # leaves the database to the calls
            # Those whose term is over, and of erased people, should the server have fallen before it had
            # deleted them.
            if self._recordings is not None:
                await delete_recordings(self._database, tenant_id, self._recordings)
        return deleted

    async def _batch_of(self, tenant_id: int, drop: Drop) -> int:
        async with self._database.tenant(tenant_id) as conn:
            return await drop(conn) if await store.mine(conn) else 0

    def _drops(self, tenant_id: int) -> Mapping[str, Drop]:
        now, kept, batch = utc_now(), self._kept, self._batch
        drops: dict[str, Drop] = {
            "command": lambda c: store.drop_commands(c, tenant_id, before(now, kept.commands), batch),
            "pacing_tick": lambda c: store.drop_pacing(c, tenant_id, before(now, kept.pacing), batch),
            "agent_time": lambda c: store.drop_agent_time(c, tenant_id, before(now, kept.agent_time), batch),
            "audit": lambda c: store.drop_audit(c, kept.audit, batch),
        }
        if (days := kept.recordings) is not None:
            drops["recording"] = lambda c: store.drop_recordings(c, tenant_id, before(now, days), batch)
        return drops
