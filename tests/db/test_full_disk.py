"""A PostgreSQL whose disk is full: what is said of it, and that it goes on by itself when there is room."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

#: What runs where the disk is small: prints what it finds as JSON.
PROGRAM = """
import asyncio, json, os, sys
from pathlib import Path
from sqlalchemy import insert, text
from dialer import telemetry
from dialer.db import migrate, tables as t
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.reports.live import LiveService

async def write(database, rows=200):
    try:
        async with database.tenant(1) as conn:
            names = [{"tenant_id": 1, "name": f"{os.urandom(200).hex()}"} for _ in range(rows)]
            await conn.execute(insert(t.contact_list), names)
    except DatabaseUnavailable as error:
        return error.id
    return "written"

async def main():
    telemetry.configure("error", "console", "test", sys.stderr)
    folder = Path(sys.argv[1])
    postgres = EmbeddedPostgres(folder)
    urls = await postgres.start()
    await migrate.upgrade(urls.owner)
    database = Database.open(urls.app, pool=2)
    async with database.system() as conn:
        values = {"name": "engine", "started_at": text("now()"), "seen_at": text("now() + interval '1 hour'")}
        await conn.execute(insert(t.process_status).values(status={"asterisk": True}, **values))
    live, said = LiveService(database), {}
    said["before"] = [await write(database), [one.code for one in await live.troubles()]]
    ballast = folder / "postgres" / "ballast"
    with ballast.open("wb") as file:
        disk = os.statvfs(ballast)
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize)
        said["full"] = [await write(database), [one.code for one in await live.troubles()]]
        await postgres.stop()
        try:
            await postgres.start()
        except DatabaseUnavailable as error:
            said["start"] = error.id
    ballast.unlink()
    await postgres.start()
    said["after"] = [await write(database)]
    said["mounts"] = str(folder) in Path("/proc/self/mounts").read_text()
    await database.close()
    await postgres.stop()
    print(json.dumps(said))

asyncio.run(main())
"""


async def on_a_small_disk(folder: Path) -> dict[str, Any]:
    """Run the program with a disk of 160 MB for PostgreSQL's files."""
    base = folder / "postgres"
    base.mkdir(mode=0o711)
    small = (sys.executable, "-m", "dialer.bench.small_disk", str(base), str(160 * 1024 * 1024))
    process = await asyncio.create_subprocess_exec(
        *small, sys.executable, "-c", PROGRAM, str(folder), stdout=PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found


async def test_a_full_disk_is_told_of_and_nobodys_hands_are_needed_after(data_folder: Path) -> None:
    """A write that finds no room is refused as that, pages know it, a start that finds none is an error like
    any other for who tries again; with room again all goes on. Nobody else sees the small disk."""
    said = await on_a_small_disk(data_folder)
    assert said["before"] == ["written", []]
    assert said["full"] == ["database-full", ["disk_full"]]
    assert said["start"] == "database-unavailable"
    assert said["after"] == ["written"]
    assert said["mounts"] is True
    assert str(data_folder) not in await asyncio.to_thread(Path("/proc/self/mounts").read_text)
    assert not (data_folder / "postgres/data").exists()
