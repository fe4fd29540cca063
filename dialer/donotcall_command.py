"""`dozvon dnc`: who is not to be called, at the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from dialer.contacts.imports_http import error_out
from dialer.db import migrate
from dialer.db.session import Database
from dialer.donotcall.model import Entry, ImportStatus, NumbersImport, Refusal, Source
from dialer.donotcall.service import DoNotCallService
from dialer.errors import RegistryShrunk
from dialer.httpkit.access import Actor
from dialer.installation import Installation
from dialer.settings import Settings

#: The tenant of an installation that has one company.
TENANT = 1


@asynccontextmanager
async def _service(settings: Settings, console: Console) -> AsyncIterator[DoNotCallService]:
    """The service over the installation's database, which is started if need be."""
    async with Installation(settings, lambda line: console.print(line, style="dim", highlight=False)) as here:
        urls = await here.database()
        if not here.served:
            await migrate.upgrade(urls.owner)
        database = Database.open(urls.app, pool=4)
        try:
            yield DoNotCallService(database, settings)
        finally:
            await database.close()


async def add_command(
    settings: Settings, console: Console, numbers: list[str], prefixes: list[str], reason: str
) -> int:
    """Have nobody call these numbers, and all that begin so. Raises Invalid and what a database can raise."""
    async with _service(settings, console) as service:
        said = Refusal(Source.OPERATOR, reason=reason)
        added = await service.add(Actor.server(TENANT), numbers, prefixes, said)
    console.print(f"{len(added.ids)} added, {added.known} known", highlight=False)
    return 0


async def check_command(settings: Settings, console: Console, number: str) -> int:
    """Say what is said of a number; 1 where no campaign may call it, else 0. Raises BadNumber."""
    async with _service(settings, console) as service:
        found = await service.check(Actor.server(TENANT), number)
    table = Table(title=f"{found.e164}: {'not to be called' if found.forbidden else 'may be called'}")
    for column in ("entry", "for", "campaign", "from", "why", "since", "until"):
        table.add_column(column)
    for entry in found.entries:
        table.add_row(*_row(entry))
    if found.erased:
        console.print("its owner was erased and had asked not to be called")
    console.print(table)
    return int(found.forbidden)


def _row(entry: Entry) -> tuple[str, ...]:
    until = f"{entry.valid_until:%Y-%m-%d %H:%M}" if entry.valid_until else ""
    if entry.removed_at:
        until = f"removed {entry.removed_at:%Y-%m-%d %H:%M}: {entry.removed_reason}"
    return (
        str(entry.id),
        entry.number + ("*" if entry.kind == "prefix" else ""),
        str(entry.campaign_id or "all"),
        entry.registry or entry.source.value,
        entry.reason,
        f"{entry.valid_from or entry.added_at:%Y-%m-%d %H:%M}",
        until,
    )


async def import_command(
    settings: Settings, console: Console, file: Path, registry: str | None, reason: str, *, fewer: bool
) -> int:
    """Bring a file in and wait for it; 1 when it failed, else 0. Raises UnreadableFile, OSError."""
    async with _service(settings, console) as service:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as shown:
            task = shown.add_task(file.name)

            def show(job: NumbersImport) -> None:
                shown.update(task, description=f"{job.counts.rows} rows")

            said = Refusal(Source.IMPORT, reason=reason)
            job = await service.import_file(
                Actor.server(TENANT), file, said, registry=registry, fewer=fewer, progress=show
            )
    counts = job.counts
    console.print(
        f"{counts.rows} rows: {counts.added} added, {counts.known} known, {counts.removed} removed, "
        f"{counts.rejected} no numbers",
        highlight=False,
    )
    if job.status is ImportStatus.FAILED:
        error = error_out(job.error, "en")
        told = f"The import failed: {error.message if error else 'nobody knows why'}"
        if error is not None and error.id == RegistryShrunk.id:
            told += " At the command line: --fewer."
        console.print(told, style="bold red", highlight=False, soft_wrap=True)
        return 1
    return 0
