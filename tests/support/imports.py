"""Files brought into lists, as the jobs process loads them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from dialer.contacts.importing import run_next_import
from dialer.contacts.model import Counts, ImportJob
from dialer.contacts.service import ContactService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.settings import Settings, load

BOSS = Actor(1, None, Role.SUPERVISOR, "Supervisor", "ru")


async def pieces(content: bytes, size: int = 7) -> AsyncIterator[bytes]:
    """An upload that comes in small pieces."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def bring(
    service: ContactService,
    database: Database,
    settings: Settings,
    list_id: int,
    content: bytes,
    campaign_id: int | None = None,
) -> ImportJob:
    """Upload a file and have the jobs process load it."""
    job = await service.add_import(BOSS, list_id, "весна.csv", pieces(content, 4096), campaign_id)
    assert await run_next_import(database, settings)
    return await service.get_import(BOSS, job.id)


async def count(database: Database, table: str) -> int:
    """Rows of a table."""
    async with database.tenant(1) as conn:
        found = await conn.scalar(select(func.count()).select_from(t.metadata.tables[table]))
    assert found is not None
    return found


def many(rows: int) -> bytes:
    """A clean file of so many people."""
    return ("phone;name\n" + "".join(f"+7916{n:07};Человек {n}\n" for n in range(rows))).encode()


@dataclass(frozen=True, slots=True)
class Lists:
    """Two lists that files can be brought into."""

    database: Database
    settings: Settings
    service: ContactService
    #: ids
    spring: int
    summer: int

    @classmethod
    async def open(cls, database: Database, folder: Path) -> Lists:
        """Two empty lists."""
        settings = load(data_dir=folder)
        service = ContactService(database, settings)
        spring, summer = [(await service.add_list(BOSS, name)).id for name in ("Весна", "Лето")]
        return cls(database, settings, service, spring, summer)

    async def bring(self, list_id: int, rows: str, campaign_id: int | None = None) -> Counts:
        """Bring in rows of `phone;phone2;name`; how they ended."""
        content = f"phone;phone2;name\n{rows}".encode()
        return (await bring(self.service, self.database, self.settings, list_id, content, campaign_id)).counts

    async def names(self, list_id: int) -> list[str]:
        """The last names of a list's contacts."""
        return [one.last_name for one in await self.service.contacts(BOSS, list_id=list_id)]
