"""Moves recordings that are whole to the store, in the process for long work, and sees that they are there.

A file stays on the disk until the store has given it back, byte for byte: its length and its SHA-256 are
counted from what was read there. Before the first byte is sent the row says which store may have it, so
whatever deletes a recording deletes it in both places. A server that dies between two steps is gone on from.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable, NotFound, StoreUnavailable
from dialer.recordings import store as recordings
from dialer.recordings import waveform
from dialer.vault.files import Vault
from dialer.vault.store import Store

log = structlog.get_logger(__name__)

#: Between two looks for recordings that have become whole; the longest pause while the store is away.
EVERY_S: Final = 10.0
LONGEST_S: Final = 900.0
#: Rows that are read at once.
BATCH: Final = 100

_NEXT = Prepared(
    """
    SELECT id, path, place, sha256, peaks IS NULL AS unseen FROM recording
     WHERE tenant_id = :tenant_id AND status = 'whole' AND here AND id > :after
     ORDER BY id LIMIT :limit
    """
)
_CLAIM = Prepared(
    """
    UPDATE recording SET place = :place
     WHERE tenant_id = :tenant_id AND id = :id AND status = 'whole' AND here
    """
)
_IS_WHOLE = Prepared(
    "SELECT EXISTS (SELECT FROM recording WHERE tenant_id = :tenant_id AND id = :id AND status = 'whole')"
)
_MOVED = Prepared("UPDATE recording SET here = false WHERE tenant_id = :tenant_id AND id = :id")


class _NotTheSame(Exception):
    """A file that is other than it must be: here, or as the store gives it back."""


@dataclass(slots=True)
class _Again:
    """A recording that could not be moved."""

    tries: int = 0
    #: monotonic seconds before which it is not tried again
    at_s: float = 0.0


@dataclass(slots=True)
class Moving:
    """The moving of one installation's recordings."""

    database: Database
    vault: Vault
    every_s: float = EVERY_S
    _again: dict[tuple[int, int], _Again] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled. While the store is away the pauses grow."""
        fails = 0
        while True:
            try:
                await self.sweep()
                fails = 0
            except StoreUnavailable as error:
                fails += 1
                log.warning("recordings_not_moved", reason=str(error.details["reason"]))
            except DatabaseUnavailable as error:
                log.warning("recordings_not_moved", reason=str(error))
            await asyncio.sleep(grown(self.every_s, fails))  # nothing tells when a store is back

    async def sweep(self) -> int:
        """Move all that can be moved now; how many were. Raises StoreUnavailable, DatabaseUnavailable."""
        to, moved = self.vault.store, 0
        if to is None:
            return 0
        for tenant_id in await self.database.tenants():
            after = 0
            while True:
                async with self.database.tenant(tenant_id) as conn:
                    rows: Sequence[Any] = await _NEXT.rows(
                        conn, tenant_id=tenant_id, after=after, limit=BATCH
                    )
                if not rows:
                    break
                after = rows[-1].id
                for row in rows:
                    moved += await self._try(tenant_id, row, to)
        return moved

    async def _try(self, tenant_id: int, row: Any, to: Store) -> bool:
        key = tenant_id, row.id
        again = self._again.get(key, _Again())
        if time.monotonic() < again.at_s:
            return False
        try:
            moved = await self._move(tenant_id, row, to)
        except (_NotTheSame, OSError) as error:
            again.tries += 1
            again.at_s = time.monotonic() + grown(self.every_s, again.tries)
            self._again[key] = again
            log.error("recording_not_moved", recording=row.id, tries=again.tries, reason=str(error))  # noqa: TRY400
            return False
        self._again.pop(key, None)
        return moved

    async def _move(self, tenant_id: int, row: Any, to: Store) -> bool:
        """Move one; False: it is on no disk of ours, or was deleted meanwhile."""
        file = await asyncio.to_thread(self.vault.here, row.path)
        at = self.vault.store_at(row.place) if row.place is not None else to
        if file is None:
            if row.place is None or not await _has(at, row.path):
                return False  # on the disk of another server
            return await self._done(tenant_id, row.id)
        try:
            digest = await asyncio.to_thread(waveform.digest, file)
            if row.sha256 not in (None, digest):
                raise _NotTheSame("the file is not what it was when the talk ended")
            peaks = await asyncio.to_thread(waveform.peaks, file) if row.unseen else None
            if not await self._claim(tenant_id, row.id, at, peaks):
                return False
            size = (await asyncio.to_thread(file.stat)).st_size
            await at.put(file, row.path)
        except FileNotFoundError:
            return False  # another server has moved it
        await self._prove(at, row.path, size, digest)
        async with self.database.tenant(tenant_id) as conn:
            whole = await _IS_WHOLE.value(conn, tenant_id=tenant_id, id=row.id)
        if not whole:  # deleted while it was sent: perhaps before the store had it
            await at.delete(row.path)
            return False
        await asyncio.to_thread(file.unlink, missing_ok=True)
        return await self._done(tenant_id, row.id)

    async def _claim(self, tenant_id: int, recording_id: int, at: Store, peaks: bytes | None) -> bool:
        """Say which store may have it, and how loud it is while that is cheap to count; False: it goes."""
        async with self.database.tenant(tenant_id) as conn:
            if peaks is not None:
                await recordings.keep_peaks(conn, tenant_id, recording_id, peaks)
            return await _CLAIM.run(conn, tenant_id=tenant_id, id=recording_id, place=at.place) > 0

    @staticmethod
    async def _prove(at: Store, key: str, size: int, digest: str) -> None:
        """Read it back."""
        try:
            found = await at.found(key)
        except NotFound:
            raise _NotTheSame("the store does not have what it has taken") from None
        if found.size != size:
            raise _NotTheSame(f"the store gives back {found.size} bytes of {size}")
        if found.sha256 != digest:
            raise _NotTheSame("the store gives back other bytes")

    async def _done(self, tenant_id: int, recording_id: int) -> bool:
        async with self.database.tenant(tenant_id) as conn:
            return await _MOVED.run(conn, tenant_id=tenant_id, id=recording_id) > 0


async def _has(at: Store, key: str) -> bool:
    try:
        await at.size(key)
    except NotFound:
        return False
    return True


def grown(pause_s: float, fails: int) -> float:
    """The pause after so many failures one after another, seconds."""
    return min(LONGEST_S, pause_s * 2.0 ** min(fails, 30))
