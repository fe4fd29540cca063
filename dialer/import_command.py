"""`dozvon import`: a CSV file into a list, at the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dialer.contacts.model import ContactList, ImportJob, ImportStatus
from dialer.contacts.service import ContactService
from dialer.db import migrate
from dialer.db.session import Database
from dialer.errors import DozvonError
from dialer.httpkit.access import Actor
from dialer.installation import Installation
from dialer.settings import Settings

#: The tenant of an installation that has one company.
TENANT = 1


async def import_command(
    settings: Settings, console: Console, file: Path, list_name: str, campaign_id: int | None
) -> int:
    """Bring `file` into the list, which is made if it is new; 1 when the import failed, else 0.

    The server may be running or not; an embedded database is started for it if need be. Bad rows go into a
    file beside `file`. Raises NotFound (of the campaign), UnreadableFile, and what a database can raise.
    """
    async with Installation(settings, lambda line: console.print(line, style="dim", highlight=False)) as here:
        urls = await here.database()
        if not here.served:
            await migrate.upgrade(urls.owner)
        database = Database.open(urls.app, pool=4)
        try:
            return await bring(
                ContactService(database, settings),
                console,
                Actor.server(TENANT),
                file,
                list_name,
                campaign_id,
            )
        finally:
            await database.close()


async def bring(
    service: ContactService,
    console: Console,
    actor: Actor,
    file: Path,
    list_name: str,
    campaign_id: int | None,
) -> int:
    """As `import_command`, with a service at hand."""
    into, made = await _list(service, actor, list_name)
    rows = await asyncio.to_thread(_rows, file)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(file.name, total=rows)

        def show(job: ImportJob) -> None:
            bar.update(task, completed=job.counts.rows)

        try:
            job = await service.import_file(actor, into.id, file, campaign_id, show)
        except DozvonError:
            if made:  # it would only stand there, empty
                await service.remove_list(actor, into.id)
            raise
    content = await _rejects(service, actor, job)
    rejects = await asyncio.to_thread(_put, content, file, job.id) if content else None
    console.print(_summary(job, into, rejects))
    if job.status is ImportStatus.FAILED:
        console.print("The import failed; rows loaded before that are kept.", style="bold red")
        return 1
    return 0


async def _list(service: ContactService, actor: Actor, name: str) -> tuple[ContactList, bool]:
    """The list of this name, and whether it was made now."""
    before: int | None = None
    while page := await service.lists(actor, before=before):
        for one in page:
            if one.name == name:
                return one, False
        before = page[-1].id
    return await service.add_list(actor, name), True


def _rows(file: Path) -> int:
    """About how many rows: a quoted cell with line breaks counts for more than one."""
    with file.open("rb") as opened:
        pieces = iter(lambda: opened.read(1 << 20), b"")
        return max(1, sum(piece.count(b"\n") for piece in pieces) - 1)


async def _rejects(service: ContactService, actor: Actor, job: ImportJob) -> bytes:
    """The rejects file; empty where there are none."""
    head, *rows = [piece async for piece in service.rejects_file(actor, job.id)]
    return head + b"".join(rows) if rows else b""


def _put(content: bytes, file: Path, import_id: int) -> Path:
    """Write the rejects beside `file`, else into the current folder, under a name of no other import."""
    name = f"{file.stem}.rejects-{import_id}.csv"
    beside = file.resolve().parent / name
    try:
        beside.write_bytes(content)
    except OSError:  # the file lies where we may only read
        beside = Path.cwd() / name
        beside.write_bytes(content)
    return beside


def _summary(job: ImportJob, into: ContactList, rejects: Path | None) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim", overflow="fold")
    counts = job.counts
    for name, number, meaning in (
        ("rows", counts.rows, f"in {job.filename}"),
        ("loaded", counts.loaded, f"new contacts of the list {into.name} (id {into.id})"),
        ("known", counts.joined, "contacts of other lists, which are in this one too now"),
        ("duplicates", counts.duplicates, "their number is on the list already, or stood higher in the file"),
        ("rejected", counts.rejected, "no number that can be called"),
        ("blank", counts.blank, "every cell is empty"),
    ):
        table.add_row(name, f"{number:,}".replace(",", " "), meaning)
    if rejects is not None:
        table.add_row("rejects", "", f"each with its row, column, code and value: {rejects}")
    return table
