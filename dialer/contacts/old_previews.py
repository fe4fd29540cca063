"""Files that nobody has started are thrown away after a day: they are people's data."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import structlog

from dialer.clock import utc_now
from dialer.contacts import importstore
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.settings import Settings

log = structlog.stdlib.get_logger(__name__)

EVERY_S = 3600.0
KEPT = timedelta(days=1)
#: A file that waits for its import: tenant and import.
_NAME = re.compile(r"(\d{1,9})-(\d{1,18})\.\w+")


class OldPreviews:
    """What nobody has started; each server looks after the files of its own data folder."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._folder = settings.data_dir / "imports"

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again an hour later."""
        while True:
            try:
                if count := await self.sweep():
                    log.info("old_previews_deleted", count=count)
            except DatabaseUnavailable as error:
                log.warning("old_previews_wait", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def sweep(self) -> int:
        """Remove what is over, rows and files; how many rows."""
        gone = 0
        for tenant_id in await self._database.tenants():
            async with self._database.tenant(tenant_id) as conn:
                gone += await importstore.drop_previews(conn, tenant_id, utc_now() - KEPT)
        for tenant_id, files in (await asyncio.to_thread(_old_files, self._folder)).items():
            async with self._database.tenant(tenant_id) as conn:
                needed = await importstore.needed(conn, tenant_id, sorted(files))
            for import_id, path in files.items():
                if import_id not in needed:
                    await asyncio.to_thread(path.unlink, missing_ok=True)
        return gone


def _old_files(folder: Path) -> dict[int, dict[int, Path]]:
    """Files as old as that, by tenant and import. A younger one may be ahead of its row."""
    found: dict[int, dict[int, Path]] = defaultdict(dict)
    for path in folder.glob("*-*.*"):
        name = _NAME.fullmatch(path.name)
        if name and time.time() - path.stat().st_mtime > KEPT.total_seconds():
            found[int(name[1])][int(name[2])] = path
    return found
