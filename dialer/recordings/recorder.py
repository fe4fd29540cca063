"""Has talks recorded, and makes sure that a recording is whole before it is offered.

MixMonitor runs on the customer's channel, so a recording goes on when the customer is handed to another
agent. Asterisk says nothing when it has finished a file after a hang-up; the file says it itself: the length
in the header of a finished WAV is the length of what follows.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import insert, select, update

from dialer.asterisk.nodes import Nodes
from dialer.db.session import Database
from dialer.db.tables import attempt, recording
from dialer.errors import DatabaseUnavailable, DozvonError

log = structlog.get_logger(__name__)

#: Asterisk closes the file within milliseconds of the hang-up; a file not whole after this is lost.
WHOLE_WITHIN_S = 10.0
LOOK_S = 0.1
#: 44 bytes of header, then 16-bit samples at 8000 a second.
HEADER = 44
BYTES_A_SECOND = 16000


def relative_path(attempt_id: UUID, at: datetime) -> str:
    """Where a talk is kept: by day, under the attempt's id. No part of it comes from outside."""
    return f"{at:%Y/%m/%d}/{attempt_id}.wav"


def make_day(folder: Path, path: str) -> None:
    """Make the folders above a recording, each as open as the folder of all: ours alone, or a group's."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = folder.stat().st_mode & 0o777
    for part in reversed(Path(path).parents):
        (folder / part).mkdir(exist_ok=True, mode=mode)


def whole_seconds(path: Path) -> float | None:
    """The length of a finished WAV in seconds; None while it is being written or where there is none."""
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    if len(header) < HEADER or header[:4] != b"RIFF":
        return None
    (length,) = struct.unpack("<I", header[40:44])
    if length != size - HEADER or length == 0:
        return None
    return float(length) / BYTES_A_SECOND


@dataclass(slots=True)
class Recorder:
    """The recordings of one engine."""

    database: Database
    nodes: Nodes
    folder: Path
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(self, tenant_id: int, attempt_id: UUID, at: datetime, node: str) -> None:
        """Record from now until the customer's channel, which the node has, ends; returns at once."""
        self._spawn(self._begin(tenant_id, attempt_id, at, node))

    def ended(self, tenant_id: int, attempt_id: UUID, at: datetime) -> None:
        """The channel has ended: see the file become whole."""
        self._spawn(self._finish(tenant_id, attempt_id, at))

    async def settle_left(
        self, tenant_id: int, campaign_ids: Collection[int], live: set[UUID], at: datetime
    ) -> None:
        """Of campaigns that are ours now: finish the recordings whose calls are over."""
        async with self.database.tenant(tenant_id) as conn:
            rows = await conn.execute(
                select(recording.c.attempt_id)
                .join(
                    attempt,
                    (attempt.c.tenant_id == recording.c.tenant_id) & (attempt.c.id == recording.c.attempt_id),
                )
                .where(
                    recording.c.tenant_id == tenant_id,
                    recording.c.status == "writing",
                    attempt.c.campaign_id.in_(campaign_ids),
                )
            )
            left = {row.attempt_id for row in rows} - live
        for attempt_id in left:
            self.ended(tenant_id, attempt_id, at)

    async def close(self) -> None:
        """Wait for what was begun."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, tenant_id: int, attempt_id: UUID, at: datetime, node: str) -> None:
        path = relative_path(attempt_id, at)
        file = self.folder / path
        try:
            await asyncio.to_thread(make_day, self.folder, path)
            async with self.database.tenant(tenant_id) as conn:
                await conn.execute(
                    insert(recording).values(
                        tenant_id=tenant_id, attempt_id=attempt_id, path=path, started_at=at
                    )
                )
            await self.nodes.link(node).send(
                {"Action": "MixMonitor", "Channel": str(attempt_id), "File": str(file)}
            )
        except (DozvonError, OSError) as error:
            log.error("not_recorded", attempt=str(attempt_id), reason=str(error))  # noqa: TRY400

    async def _finish(self, tenant_id: int, attempt_id: UUID, at: datetime) -> None:
        try:
            async with self.database.tenant(tenant_id) as conn:
                path = await conn.scalar(
                    select(recording.c.path).where(
                        recording.c.tenant_id == tenant_id, recording.c.attempt_id == attempt_id
                    )
                )
            if path is None:
                return
            seconds = await self._whole(self.folder / path)
            size = (self.folder / path).stat().st_size if seconds is not None else None
            async with self.database.tenant(tenant_id) as conn:
                await conn.execute(
                    update(recording)
                    .where(recording.c.tenant_id == tenant_id, recording.c.path == path)
                    .values(
                        status="lost" if seconds is None else "whole",
                        duration_s=seconds,
                        size_bytes=size,
                        ended_at=at,
                    )
                )
        except DatabaseUnavailable as error:
            # `settle_left` finds it at the next start.
            log.warning("recording_not_settled", attempt=str(attempt_id), reason=str(error))

    async def _whole(self, file: Path) -> float | None:
        for _ in range(int(WHOLE_WITHIN_S / LOOK_S)):
            seconds = whole_seconds(file)
            if seconds is not None:
                return seconds
            await asyncio.sleep(LOOK_S)  # Asterisk says nothing when the file is finished
        log.error("recording_lost", file=file.name)
        return None
