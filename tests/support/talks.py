"""Talks of tests on a real Asterisk, and what is recorded of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from uuid import UUID

from dialer.agents.model import AgentState
from dialer.db.tables import recording
from dialer.demo.numbers import Behaviour, encode
from dialer.recordings.waveform import HEADER
from support.centre import Centre


async def talk(centre: Centre, agent_id: int, behaviour: Behaviour = Behaviour.HUMAN, **more: Any) -> UUID:
    """A campaign's only person talks with the agent."""
    await centre.campaign([encode(behaviour, ring_s=0.5).e164], **more)
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id is not None
    return shift.attempt_id


async def application(centre: Centre, context: str) -> str:
    """What Asterisk runs on the only channel in this context of the dialplan."""
    said = await centre.floor.asterisk.cli("core show channels concise")
    (line,) = [line for line in said.splitlines() if line.split("!")[1:2] == [context]]
    return line.split("!")[5]


async def recorded_file(centre: Centre) -> Path:
    """Where the only call is recorded."""

    async def there() -> Path | None:
        rows = await centre.rows(recording)
        return Path(centre.settings.recording_dir) / rows[0].path if rows else None

    found: Path = await centre.until_seen("a recording", there)
    return found


def size(file: Path) -> int:
    """Bytes of voice in it so far."""
    return file.stat().st_size - HEADER if file.exists() else 0


async def grown(centre: Centre, file: Path, seconds: float) -> tuple[int, int]:
    """So many seconds more of the recording: from which byte to which."""
    begin = size(file)

    async def there() -> int | None:
        end = size(file)
        return end if end >= begin + seconds * 16000 else None

    return begin, await centre.until_seen(f"{seconds} s of {file.name}", there)


def loudest(file: Path, begin: int, end: int) -> int:
    """Of the samples between these bytes of a recording."""
    data = file.read_bytes()[HEADER + begin : HEADER + end]
    return max(abs(int(sample)) for (sample,) in struct.iter_unpack("<h", data[: len(data) // 2 * 2]))
