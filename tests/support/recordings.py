"""Recordings of talks that tests write themselves."""

from __future__ import annotations

import asyncio
import math
from array import array
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.demo.voices import RATE_HZ, write_wav
from dialer.recordings import waveform
from dialer.recordings.recorder import make_day, relative_path

TENANT = 1


def voice(seconds: float, *, loud: int = 12000) -> bytes:
    """Words of half a second with half a second of silence between them, 16 bits a sample."""
    return array(
        "h",
        [
            round(loud * math.sin(n / 3)) if n * 2 // RATE_HZ % 2 == 0 else 0
            for n in range(round(seconds * RATE_HZ))
        ],
    ).tobytes()


async def keep(
    database: Database,
    folder: Path,
    call_id: UUID,
    *,
    at: datetime | None = None,
    seconds: float = 4.0,
    inbound: bool = False,
    **columns: Any,
) -> int:
    """A whole recording of a call, as the engine leaves it; its id."""
    at = at or utc_now()
    path = relative_path(call_id, at)
    file, data = folder / path, voice(seconds)
    await asyncio.to_thread(make_day, folder, path)
    await asyncio.to_thread(write_wav, file, data)
    values = {
        "inbound_call_id" if inbound else "attempt_id": call_id,
        "path": path,
        "status": "whole",
        "started_at": at,
        "ended_at": at,
        "duration_s": seconds,
        "size_bytes": file.stat().st_size,
        "sha256": await asyncio.to_thread(waveform.digest, file),
    }
    async with database.tenant(TENANT) as conn:
        made = await conn.scalar(
            insert(t.recording).values({"tenant_id": TENANT, **values, **columns}).returning(t.recording.c.id)
        )
    assert isinstance(made, int)
    return made
