"""Messages in the prompts of a test's tenant."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import insert

from dialer.db.tables import prompt
from support.centre import TENANT, Centre


def _copy(sound: Path, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.wav").write_bytes(sound.read_bytes())


async def add_prompt(centre: Centre, name: str) -> None:
    """A message of some seconds."""
    folder = Path(centre.settings.prompts_dir)
    await asyncio.to_thread(_copy, Path(f"{centre.floor.message}.wav"), folder, name)
    values = {"name": name, "language": "ru", "path": name, "length_s": 3.0, "size_bytes": 1, "checksum": "-"}
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(insert(prompt).values(tenant_id=TENANT, filename="", text="", **values))
