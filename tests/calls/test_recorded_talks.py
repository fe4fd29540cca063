"""A talk that a real Asterisk has recorded, as people find, see and check it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import Row
from support.centre import Centre
from support.talks import grown, recorded_file, talk

from dialer.db.tables import recording
from dialer.demo.numbers import Behaviour
from dialer.httpkit.access import Actor, Role
from dialer.recordings.model import Which
from dialer.recordings.service import RecordingService, silences


async def test_a_recorded_talk_is_found_drawn_and_checked(centre: Centre) -> None:
    """It is whole when the talk has ended, with the digest of its file; the wave shows the agent's voice, and
    none where the recording was paused."""
    (agent_id,) = await centre.add_agents(1)
    call_id = await talk(centre, agent_id, Behaviour.SILENT, record=True)
    person, file = await centre.person(agent_id), await recorded_file(centre)
    await grown(centre, file, 3.0)
    await centre.controls.pause_recording(person, call_id, on=True)
    await grown(centre, file, 4.0)
    await centre.controls.pause_recording(person, call_id, on=False)
    await grown(centre, file, 3.0)
    await centre.calls.hang_up(person, call_id)

    async def whole() -> Row[Any] | None:
        (row,) = await centre.rows(recording)
        return row if row.status == "whole" else None

    row = await centre.until_seen("the whole recording", whole)
    data = await asyncio.to_thread(file.read_bytes)
    assert (row.sha256, row.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    service = RecordingService(centre.database, Path(centre.settings.recording_dir))
    quality = Actor(1, None, Role.QUALITY, "Q", "en")
    (found,) = await service.recordings(quality, Which(agent_id=agent_id, direction="outbound"))
    assert (found.id, found.call_id, found.duration_s) == (row.id, call_id, row.duration_s)
    assert (await service.check(quality, found.id)).intact is True
    wave = await service.peaks(quality, found.id)
    ((begin, until),) = silences(found)
    a_point_s = found.duration_s / len(wave)
    # A second either way: what was under way.
    quiet = wave[int((begin + 1) / a_point_s) : int((until - 1) / a_point_s)]
    assert max(quiet) < 2
    assert max(wave[: int(begin / a_point_s)]) > 10 < max(wave[int((until + 1) / a_point_s) :])
