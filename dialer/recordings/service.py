"""What can be done with the recordings of talks: search, listen, mark, hold, check.

Who may listen to all has all; an agent has those of the own talks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts.numbers import number_of
from dialer.db.session import Database
from dialer.errors import Invalid, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.recordings import store, waveform
from dialer.recordings.model import Checked, Listening, Mark, Recording, Which
from dialer.telemetry import mask_number
from dialer.vault.files import Kept, Stored, Vault

#: Within this the same user listens on: it is written down once.
SAME_LISTENING: Final = timedelta(minutes=15)
#: Those who have listened that are shown.
LISTENERS: Final = 100


class RecordingService:
    """The recordings of a tenant, in the vault or below one folder. `region`: the country of numbers that are
    given without one."""

    def __init__(self, database: Database, files: Path | Vault, region: str = "RU") -> None:
        self._database = database
        self._vault = Vault.at(files)
        self._region = region
        #: whoever asks for the wave or the digest of a file waits for the one before: each takes a processor
        self._reading = asyncio.Lock()

    # -- looking -----------------------------------------------------------------------------------------

    def e164(self, written: str) -> str:
        """The number as people write it, in E.164. Raises BadNumber."""
        return number_of(written, self._region).e164

    async def recordings(
        self, actor: Actor, which: Which, *, after: tuple[datetime, int] | None = None, limit: int = 50
    ) -> list[Recording]:
        """Recordings that are whole, newest first; without the right to listen to all, of the own talks.
        Raises Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            if not actor.may(Right.RECORDINGS_LISTEN):
                actor.require(Right.WORK)
                own = await store.agent_of(conn, actor.tenant_id, actor.user_id)
                if own is None or which.agent_id not in (None, own):
                    return []
                which = replace(which, agent_id=own)
            rows = await store.page(conn, actor.tenant_id, which, after=after, limit=limit)
        return [_shown(actor, row) for row in rows]

    async def dispositions(self, actor: Actor) -> list[tuple[str, str, str]]:
        """What may be searched for: code, label in Russian, in English."""
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.dispositions(conn, actor.tenant_id)

    async def get(self, actor: Actor, recording_id: int) -> Recording:
        """One recording. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            return _shown(actor, await self._readable(conn, actor, recording_id))

    async def of_call(self, actor: Actor, call_id: UUID) -> Recording | None:
        """The whole recording of a talk that the actor may listen to."""
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.of_call(conn, actor.tenant_id, call_id)
        return _shown(actor, found) if found and _may_hear(actor, found.agent_user_id) else None

    async def marks(self, actor: Actor, recording_id: int) -> list[Mark]:
        """In their order in the talk. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._readable(conn, actor, recording_id)
            return await store.marks(conn, actor.tenant_id, recording_id)

    async def listeners(self, actor: Actor, recording_id: int) -> list[Listening]:
        """Who has listened or taken the file, newest first. Raises NotFound, Forbidden."""
        actor.require(Right.AUDIT_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await self._readable(conn, actor, recording_id)
            return await store.listeners(
                conn, actor.tenant_id, f"attempt:{row.call_id}", row.started_at, LISTENERS
            )

    # -- listening ---------------------------------------------------------------------------------------

    async def file(self, actor: Actor, call_id: UUID, *, download: bool = False) -> Path | Stored:
        """The file of a talk's recording, to be listened to or taken away: both are written into the log of
        changes. Raises NotFound, Forbidden, WrongState while it is written, StoreUnavailable."""
        subject = f"attempt:{call_id}"
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await store.row_of(conn, actor.tenant_id, call_id)
            if not _may_hear(actor, row.user_id if row else None):
                actor.require(Right.RECORDINGS_LISTEN)
            if row is None or row.status in {"lost", "erasing"}:
                raise NotFound(what="recording of the call", key=call_id)
            if row.status != "whole":
                raise WrongState(what="The recording", state="being written", allowed="whole")
            if download:
                await audit.record(conn, actor, store.DOWNLOAD, subject)
            elif not await store.heard_since(
                conn, actor.tenant_id, actor.user_id, subject, utc_now() - SAME_LISTENING
            ):
                await audit.record(conn, actor, store.LISTEN, subject)
        try:
            return await self._vault.open(Kept(row.path, row.place))
        except NotFound:
            raise NotFound(what="recording of the call", key=call_id) from None

    async def peaks(self, actor: Actor, recording_id: int) -> bytes:
        """How loud it is in each of up to 1,000 equal parts, 0 to 255. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._readable(conn, actor, recording_id)
            _, known = await store.file_of(conn, actor.tenant_id, recording_id)
        return known if known is not None else await self._count_peaks(actor.tenant_id, recording_id)

    async def _count_peaks(self, tenant_id: int, recording_id: int) -> bytes:
        async with self._reading:
            async with self._database.tenant(tenant_id) as conn:
                kept, known = await store.file_of(conn, tenant_id, recording_id)
            if known is not None:  # who was before has counted them
                return known
            file = await self._vault.open(kept)
            if isinstance(file, Stored):  # they were counted before it was moved there
                raise NotFound(what="recording", key=recording_id)
            found = await asyncio.to_thread(waveform.peaks, file)
            async with self._database.tenant(tenant_id) as conn:
                await store.keep_peaks(conn, tenant_id, recording_id, found)
            return found

    async def check(self, actor: Actor, recording_id: int) -> Checked:
        """Whether the file is what it was when the talk ended. Raises NotFound, Forbidden,
        StoreUnavailable."""
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await self._readable(conn, actor, recording_id)
            kept, _ = await store.file_of(conn, actor.tenant_id, recording_id)
        try:
            file = await self._vault.open(kept)
            async with self._reading:
                if isinstance(file, Stored):
                    return Checked(row.sha256, (await file.store.found(file.key)).sha256)
                return Checked(row.sha256, await asyncio.to_thread(waveform.digest, file))
        except (NotFound, FileNotFoundError):
            return Checked(row.sha256, None)

    # -- noting ------------------------------------------------------------------------------------------

    async def mark(self, actor: Actor, recording_id: int, at_s: float, text: str) -> Mark:
        """Mark a moment. Raises NotFound, Forbidden, Invalid where it is after the end."""
        actor.require(Right.RECORDINGS_MARK)
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await self._readable(conn, actor, recording_id)
            if not 0 <= at_s <= row.duration_s:
                raise Invalid(field="at_s", reason="must be within the recording")
            made = await store.mark(conn, actor.tenant_id, recording_id, at_s, text, actor.user_id)
            await audit.record(
                conn, actor, "recording.mark", f"recording:{recording_id}", mark=made, at_s=at_s
            )
            (found,) = [
                one for one in await store.marks(conn, actor.tenant_id, recording_id) if one.id == made
            ]
        return found

    async def unmark(self, actor: Actor, recording_id: int, mark_id: int) -> None:
        """Take a mark away. Raises NotFound, Forbidden."""
        actor.require(Right.RECORDINGS_MARK)
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._readable(conn, actor, recording_id)
            if not await store.unmark(conn, actor.tenant_id, recording_id, mark_id):
                raise NotFound(what="mark", key=mark_id)
            await audit.record(conn, actor, "recording.unmark", f"recording:{recording_id}", mark=mark_id)

    async def hold(self, actor: Actor, recording_id: int, reason: str | None) -> Recording:
        """Keep it past its term, and why; None: not any more. Raises NotFound, Forbidden."""
        actor.require(Right.RECORDINGS_HOLD)
        async with self._database.tenant(actor.tenant_id) as conn:
            await self._readable(conn, actor, recording_id)
            at = utc_now() if reason is not None else None
            if not await store.hold(conn, actor.tenant_id, recording_id, at, actor.user_id, reason or ""):
                raise NotFound(what="recording", key=recording_id)
            what = "recording.release" if reason is None else "recording.hold"
            await audit.record(conn, actor, what, f"recording:{recording_id}", reason=reason or "")
            return _shown(actor, await self._readable(conn, actor, recording_id))

    @staticmethod
    async def _readable(conn: AsyncConnection, actor: Actor, recording_id: int) -> Recording:
        row = await store.find(conn, actor.tenant_id, recording_id)
        if not _may_hear(actor, row.agent_user_id if row else None):
            actor.require(Right.RECORDINGS_LISTEN)
        if row is None:
            raise NotFound(what="recording", key=recording_id)
        return row


def silences(recording: Recording) -> Sequence[tuple[float, float]]:
    """The parts of it in which nothing was written: from and until, seconds."""
    found = []
    for one in recording.pauses:
        begin, until = one["from_s"] or 0.0, one["until_s"]
        found.append((begin, recording.duration_s if until is None else until))
    return found


def _may_hear(actor: Actor, user_id: int | None) -> bool:
    """Whether the actor may listen to a talk of the agent who is this user."""
    own = user_id is not None and user_id == actor.user_id and actor.may(Right.WORK)
    return own or actor.may(Right.RECORDINGS_LISTEN)


def _shown(actor: Actor, row: Recording) -> Recording:
    """The number as the actor may see it."""
    return row if actor.may(Right.CALLS_READ) else replace(row, e164=mask_number(row.e164))
