"""Has talks recorded, and makes sure that a recording is whole before it is offered.

MixMonitor runs on the customer's channel, so a recording goes on when the customer is handed to another
agent. Asterisk says nothing when it has finished a file after a hang-up; the file says it itself: the length
in the header of a finished WAV is the length of what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import insert, or_, select, update

from dialer.asterisk.nodes import Nodes
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.db.tables import attempt, inbound_call, recording, voicemail
from dialer.errors import DatabaseUnavailable, DozvonError
from dialer.recordings import pauses, waveform
from dialer.recordings.waveform import HEADER

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Asterisk closes the file within milliseconds of the hang-up; a file not whole after this is lost.
WHOLE_WITHIN_S = 10.0
LOOK_S = 0.1
#: How often a database that is away is asked again, seconds.
AGAIN_S: Final = 2.0
#: 16-bit samples at 8000 a second.
BYTES_A_SECOND = 16000


def relative_path(call_id: UUID, at: datetime, message: UUID | None = None) -> str:
    """Where a talk is kept, or a message of the call: by day, under the call's id. No part of it comes from
    outside."""
    return f"{at:%Y/%m/%d}/{call_id}{f'-{message}' if message else ''}.wav"


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


async def whole_within(file: Path) -> float | None:
    """The length of a file that Asterisk is about to finish, seconds; None: it does not."""
    for _ in range(int(WHOLE_WITHIN_S / LOOK_S)):
        seconds = whole_seconds(file)
        if seconds is not None:
            return seconds
        await asyncio.sleep(LOOK_S)  # Asterisk says nothing when the file is finished
    log.error("recording_lost", file=file.name)
    return None


@dataclass(slots=True)
class Recorder:
    """The recordings of one engine."""

    database: Database
    nodes: Nodes
    folder: Path
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)
    #: being begun
    _beginning: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)

    def begin(self, tenant_id: int, call_id: UUID, at: datetime, node: str, channel: str = "") -> None:
        """Record from now until the customer's channel, which the node has, ends; returns at once. `channel`:
        its name, of a call that came in; else it is the attempt's id."""
        self._beginning[call_id] = task = self._spawn(self._begin(tenant_id, call_id, at, node, channel))
        task.add_done_callback(lambda _task: self._beginning.pop(call_id))

    async def pause(self, tenant_id: int, call_id: UUID, node: str, channel: str, *, on: bool) -> bool:
        """Write silence from now on, or voices again; the row says from when until when. False: the call is
        not recorded. Raises ActionFailed, AsteriskUnavailable, DatabaseUnavailable."""
        if (beginning := self._beginning.get(call_id)) is not None:
            await asyncio.wait({beginning})
        async with self.database.tenant(tenant_id) as conn:
            # First, and in one transaction: what is silent is marked.
            if not await pauses.mark(conn, tenant_id, call_id, utc_now(), on=on):
                return False
            await self.nodes.link(node).send(
                {
                    "Action": "MixMonitorMute",
                    "Channel": channel or str(call_id),
                    "Direction": "both",
                    "State": "1" if on else "0",
                }
            )
        return True

    def ended(self, tenant_id: int, call_id: UUID, at: datetime) -> None:
        """The channel has ended: see the file become whole."""
        self._spawn(self._finish(tenant_id, call_id, at))

    async def settle_left(
        self, tenant_id: int, campaign_ids: Collection[int], live: set[UUID], at: datetime
    ) -> None:
        """Of campaigns that are ours now: finish the recordings whose calls are over."""
        r = recording.c
        async with self.database.tenant(tenant_id) as conn:
            left = set[UUID]()
            writing, message = (r.tenant_id == tenant_id, r.status == "writing"), voicemail.c
            of_message = (r.tenant_id == message.tenant_id) & (r.voicemail_id == message.id)
            for table, whose, messages in (
                (attempt, r.attempt_id, message.attempt_id),
                (inbound_call, r.inbound_call_id, message.inbound_call_id),
            ):
                call, ours = table.c, table.c.campaign_id.in_(campaign_ids)
                talks = select(call.id).join(recording, (r.tenant_id == call.tenant_id) & (whose == call.id))
                left |= set(await conn.scalars(talks.where(*writing, ours)))
                spoken = (
                    select(call.id)
                    .join(voicemail, (message.tenant_id == call.tenant_id) & (messages == call.id))
                    .join(recording, of_message)
                )
                left |= set(await conn.scalars(spoken.where(*writing, ours)))
        for call_id in left - live:
            self.ended(tenant_id, call_id, at)

    async def close(self) -> None:
        """Wait for what was begun."""
        self._closing.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _begin(self, tenant_id: int, call_id: UUID, at: datetime, node: str, channel: str) -> None:
        path, whose = relative_path(call_id, at), "inbound_call_id" if channel else "attempt_id"
        file = self.folder / path
        try:
            await asyncio.to_thread(make_day, self.folder, path)
            async with self.database.tenant(tenant_id) as conn:
                await conn.execute(
                    insert(recording).values(
                        {"tenant_id": tenant_id, whose: call_id, "path": path, "started_at": at}
                    )
                )
            await self.nodes.link(node).send(
                {"Action": "MixMonitor", "Channel": channel or str(call_id), "File": str(file)}
            )
        except (DozvonError, OSError) as error:
            log.error("not_recorded", call=str(call_id), reason=str(error))  # noqa: TRY400

    async def _finish(self, tenant_id: int, call_id: UUID, at: datetime) -> None:
        r, messages = recording.c, voicemail.c
        of_call = or_(
            r.attempt_id == call_id,
            r.inbound_call_id == call_id,
            r.voicemail_id.in_(
                select(messages.id).where(messages.tenant_id == tenant_id, messages.call_id == call_id)
            ),
        )

        async def left() -> Sequence[str]:
            async with self.database.tenant(tenant_id) as conn:
                written = r.tenant_id == tenant_id, of_call, r.status == "writing"
                return (await conn.scalars(select(r.path).where(*written))).all()

        for path in await self._when_there(left) or ():
            await self._settle(tenant_id, path, at)

    async def _settle(self, tenant_id: int, path: str, at: datetime) -> None:
        seconds = await whole_within(self.folder / path)
        size = sha256 = None
        if seconds is not None:
            size = (self.folder / path).stat().st_size
            sha256 = await asyncio.to_thread(waveform.digest, self.folder / path)

        async def settle() -> None:
            async with self.database.tenant(tenant_id) as conn:
                await conn.execute(
                    update(recording)
                    .where(recording.c.tenant_id == tenant_id, recording.c.path == path)
                    .values(
                        status="lost" if seconds is None else "whole",
                        duration_s=seconds,
                        size_bytes=size,
                        sha256=sha256,
                        ended_at=at,
                    )
                )

        await self._when_there(settle)

    async def _when_there(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Do it as soon as the database is there; None: we end before, and `settle_left` finds it at the next
        start."""
        while True:
            try:
                return await work()
            except DatabaseUnavailable as error:
                if self._closing.is_set():
                    log.warning("recording_not_settled", reason=str(error))
                    return None
            with contextlib.suppress(TimeoutError):  # nothing tells when a database is back
                async with asyncio.timeout(AGAIN_S):
                    await self._closing.wait()
