"""How fast a CSV file comes into a list, beside the same rows by plain COPY.

    python tests/bench/bench_import.py [--rows 50000]

Starts a PostgreSQL of its own (durable, as a server's), writes a file of invented people, brings it in as
`dozvon import` does (encoding and delimiter found, numbers read, duplicates looked for, leads made, a commit
for each batch), and then loads the same file's bytes by COPY into a table without keys or row security, in
the same run: what the disk and the wire alone would take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import insert

from dialer.contacts.columns import read_header
from dialer.contacts.csvfile import inspect, open_text, read_records
from dialer.contacts.rows import read_row
from dialer.contacts.service import ContactService
from dialer.db import migrate
from dialer.db import tables as t
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database, connect
from dialer.httpkit.access import Actor
from dialer.settings import load

HEADER = "Фамилия;Имя;Отчество;Телефон;Доп. телефон;E-mail;Город;Автомобиль"
LAST = ("Иванов", "Смирнов", "Кузнецов", "Попов", "Васильев", "Петров", "Соколов", "Михайлов")
FIRST = ("Александр", "Дмитрий", "Максим", "Сергей", "Андрей", "Алексей")
MIDDLE = ("Александрович", "Дмитриевич", "Сергеевич", "Андреевич")


def write_file(path: Path, rows: int, seed: int) -> None:
    """So many invented people: one in five with a second number, one in fifty with a bad one."""
    dice = random.Random(seed)
    with path.open("w", encoding="cp1251") as file:
        file.write(HEADER + "\n")
        for n in range(rows):
            digits = f"{n:07}"
            phone = f"8 (916) {digits[:3]}-{digits[3:5]}-{digits[5:]}" if n % 50 else "нет"
            second = f"+7495{n:07}" if n % 5 == 1 else ""
            name = f"{dice.choice(LAST)};{dice.choice(FIRST)};{dice.choice(MIDDLE)}"
            file.write(f"{name};{phone};{second};u{n}@example.com;Тверь;Лада Веста\n")


def parse_only(path: Path) -> float:
    """Seconds of reading alone: no database."""
    began = time.perf_counter()
    layout = inspect(path)
    assert list(layout.columns) == read_header(HEADER.split(";"))
    with open_text(path, layout.encoding) as text:
        for record in read_records(text, layout):
            read_row(record, layout.columns, "RU")
    return time.perf_counter() - began


async def plain_copy(owner_url: str, path: Path) -> float:
    """Seconds of COPY of the same file."""
    columns = ", ".join(f"c{n} text" for n in range(HEADER.count(";") + 1))
    connection = await connect(owner_url)
    try:
        await connection.execute(f"CREATE TABLE plain ({columns})")
        began = time.perf_counter()
        await connection.copy_to_table(
            "plain", source=str(path), format="csv", delimiter=";", header=True, encoding="win1251"
        )
        return time.perf_counter() - began
    finally:
        await connection.close()


async def run(rows: int, seed: int) -> dict[str, float | int]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="dozvon-bench-") as name:
        folder = Path(name)
        await asyncio.to_thread(folder.chmod, 0o711)  # PostgreSQL runs as another user under root
        path = folder / "people.csv"
        write_file(path, rows, seed)
        parse_s = parse_only(path)
        cluster = EmbeddedPostgres(folder / "data")
        urls = await cluster.start()
        try:
            await migrate.upgrade(urls.owner)
            database = Database.open(urls.app, pool=4)
            service = ContactService(database, load(data_dir=folder / "data"))
            actor = Actor.server(1)
            async with database.tenant(1) as conn:
                made = insert(t.campaign).values(tenant_id=1, name="bench", policy="ru")
                campaign_id = await conn.scalar(made.returning(t.campaign.c.id))
            found = await service.add_list(actor, "bench")
            began = time.perf_counter()
            job = await service.import_file(actor, found.id, path, campaign_id)
            import_s = time.perf_counter() - began
            began = time.perf_counter()
            again = await service.import_file(actor, found.id, path, campaign_id)
            again_s = time.perf_counter() - began
            await database.close()
            copy_s = await plain_copy(urls.owner, path)
        finally:
            await cluster.stop()
    bad = rows // 50 + (rows % 50 > 0)
    assert job.counts.loaded + job.counts.rejected == rows, job
    assert again.counts.loaded == 0, again
    assert job.counts.rejected <= bad
    return {
        "rows": rows,
        "import_s": round(import_s, 2),
        "import_rows_per_s": round(rows / import_s),
        "again_rows_per_s": round(rows / again_s),
        "reading_alone_rows_per_s": round(rows / parse_s),
        "copy_rows_per_s": round(rows / copy_s),
        "max_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Read the options, print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=50_000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    sys.stdout.write(json.dumps(asyncio.run(run(chosen.rows, chosen.seed))) + "\n")


if __name__ == "__main__":
    main()
