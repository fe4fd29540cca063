"""Imports of files of every kind by `dozvon import`, each beside plain COPY of the same rows."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import insert, select

from dialer.bench.importing import people
from dialer.bench.importing.memory import Memory
from dialer.bench.load.cpu import spent
from dialer.bench.load.model import Measured
from dialer.bench.site_reaper import folder_of_its_own
from dialer.db import migrate
from dialer.db import tables as t
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database, connect
from dialer.errors import UnreadableFile

ROW: Final = "import"
#: What an import of a million rows may take.
MOST_S, MOST_MB, MILLION = 90.0, 500.0, 1_000_000
SEED: Final = 1
COLUMNS: Final = (
    ("rows", "rows"),
    ("file_mb", "file, MB"),
    ("seconds", "seconds"),
    ("rows_per_s", "rows/s"),
    ("peak_mb", "memory, MB"),
    ("processes", "processes"),
    ("cpu_s", "CPU s, ours"),
    ("db_cpu_s", "PostgreSQL"),
    ("copy_s", "plain COPY, s"),
    ("times_copy", "times COPY"),
    ("load", "load before"),
)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One way of bringing a file in."""

    #: csv, xlsx, ods
    kind: str
    #: csv, again, dry run, ...
    name: str
    #: the same file as before, into the same list
    again: bool = False
    dry_run: bool = False


CASES: Final = (
    Case("csv", "csv"),
    Case("csv", "csv, the same file again", again=True),
    Case("csv", "csv, dry run", dry_run=True),
    Case("xlsx", "xlsx"),
    Case("ods", "ods"),
)


async def measure(rows: int, *, short: bool, only: tuple[str, ...], say: Say) -> AsyncIterator[Measured]:
    """Each case, as soon as it is known. Nothing is left behind."""
    with folder_of_its_own("dozvon-import-") as folder:
        made: Path | None = None
        for case in CASES:
            if only and case.name.split(",")[0] not in only:
                continue
            path = folder / f"people.{case.kind}"
            if made != path:
                if made is not None:
                    await asyncio.to_thread(made.unlink)
                say(f"{case.kind}: writing {rows:,} rows")
                await asyncio.to_thread(people.write, path, case.kind, rows, SEED)
                made = path
            yield await _case(folder / "data", case, path, rows, short=short)


async def _case(data: Path, case: Case, path: Path, rows: int, *, short: bool) -> Measured:
    postgres = EmbeddedPostgres(data)
    urls = await postgres.start()
    try:
        await migrate.upgrade(urls.owner)
        database = Database.open(urls.app, pool=2)
        try:
            if not case.again:
                await _empty(urls.owner)
            campaign_id = await _campaign(database)
            figures, said = await _run(data, postgres, case, path, campaign_id)
            async with database.tenant(1) as conn:
                newest = select(t.import_job).order_by(t.import_job.c.id.desc()).limit(1)
                job = (await conn.execute(newest)).one_or_none()
        finally:
            await database.close()
        copy_s = await _plain_copy(urls.owner, path, rows)
    finally:
        await postgres.stop()
    figures |= {
        "rows": rows,
        "file_mb": (await asyncio.to_thread(path.stat)).st_size / 1e6,
        "rows_per_s": rows / figures["seconds"],
        "copy_s": copy_s,
        "times_copy": figures["seconds"] / copy_s,
    }
    faults = []
    if not case.dry_run and (job is None or job.status != "done" or job.rows != rows):
        faults.append(f"it did not end well: {said[-300:]}")
    elif not case.dry_run and job is not None:
        figures |= {"loaded": job.loaded, "duplicates": job.duplicates, "rejected": job.rejected}
        if case.again and job.loaded:
            faults.append(f"{job.loaded} came in twice")
    if rows >= MILLION and figures["seconds"] > MOST_S:
        faults.append(f"over {MOST_S:g} s")
    if figures["peak_mb"] > MOST_MB:
        faults.append(f"over {MOST_MB:g} MB")
    return Measured(ROW, case.name, SEED, short, figures, broken="; ".join(faults))


async def _empty(owner_url: str) -> None:
    """An empty base, as large a one as a fresh installation's."""
    connection = await connect(owner_url)
    try:
        await connection.execute("TRUNCATE contact_list, contact, campaign CASCADE")
    finally:
        await connection.close()


async def _campaign(database: Database) -> int:
    async with database.tenant(1) as conn:
        found = await conn.scalar(select(t.campaign.c.id).limit(1))
        if found is None:
            made = (
                insert(t.campaign).values(tenant_id=1, name="bench", policy="ru").returning(t.campaign.c.id)
            )
            found = await conn.scalar(made)
    assert isinstance(found, int)
    return found


async def _run(
    data: Path, postgres: EmbeddedPostgres, case: Case, path: Path, campaign_id: int
) -> tuple[dict[str, float], str]:
    """The command as a person gives it, with what it took."""
    argv = [
        sys.executable,
        "-m",
        "dialer",
        "import",
        str(path),
        "--list",
        "bench",
        "--campaign",
        str(campaign_id),
    ]
    argv += ["--dry-run"] if case.dry_run else []
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DOZVON_DATABASE")
    } | {"DOZVON_DATA_DIR": str(data)}
    server = {"db": [postgres.pid or 0]}
    before, children, began = spent(server), _children_s(), time.perf_counter()
    load = os.getloadavg()[0]
    process = await asyncio.create_subprocess_exec(
        *argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with Memory(process.pid) as memory:
        output, _ = await process.communicate()
    seconds, said = time.perf_counter() - began, output.decode()
    if process.returncode:
        raise UnreadableFile(reason=said[-500:])
    return {
        "load": load,
        "seconds": seconds,
        "peak_mb": memory.peak_mb,
        "processes": memory.processes,
        "cpu_s": _children_s() - children,
        "db_cpu_s": spent(server).since(before)["db"],
    }, said


def _children_s() -> float:
    """CPU of the children of this process that have ended."""
    now = os.times()
    return now.children_user + now.children_system


async def _plain_copy(owner_url: str, path: Path, rows: int) -> float:
    """Seconds of COPY of the same rows as CSV, into a table without keys and row security."""
    plain = path
    if path.suffix != ".csv":
        plain = path.with_name("plain.csv")
        await asyncio.to_thread(people.write, plain, "csv", rows, SEED)
    columns = ", ".join(f"c{n} text" for n in range(len(people.HEADER)))
    connection = await connect(owner_url)
    try:
        await connection.execute(f"CREATE TABLE plain ({columns})")
        began = time.perf_counter()
        await connection.copy_to_table(
            "plain", source=str(plain), format="csv", delimiter=";", header=True, encoding="win1251"
        )
        took = time.perf_counter() - began
        await connection.execute("DROP TABLE plain")
    finally:
        await connection.close()
        if plain != path:
            await asyncio.to_thread(plain.unlink)
    return took


def summary(every: list[Measured]) -> str:
    """What the last line of stdout says, for programs."""
    cases = {one.case: dict(one.figures) for one in every}
    return json.dumps(
        {"cases": cases, "broken": [f"{one.case}: {one.broken}" for one in every if one.broken]}
    )
