"""`dozvon clean`: contacts' values in their one form, at the command line."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from dialer.contacts.cleaning_service import Cleaning, CleaningRun, CleaningService
from dialer.contacts.tidying import MARKS, WHAT
from dialer.db import migrate
from dialer.db.session import Database
from dialer.httpkit.access import Actor
from dialer.installation import Installation
from dialer.settings import Settings

#: The tenant of an installation that has one company.
TENANT = 1

_SAID = {
    "name": "names in their one form",
    "split": "full names taken apart",
    "email": "e-mail addresses in their one form",
    "vin": "VINs in their one form",
    "plate": "number plates in their one form",
    "email_form": "no e-mail address: left as it is",
    "email_domain": "a slip in the domain, perhaps: left as it is",
    "email_letters": "Cyrillic letters in an e-mail address: left as it is",
    "vin_length": "a VIN that has not 17 characters: left as it is",
    "vin_letters": "a VIN with characters that none has: left as it is",
    "plate_form": "no Russian number plate: left as it is",
}


async def clean_command(settings: Settings, console: Console, *, dry_run: bool) -> int:
    """Look through all contacts, and change them unless `dry_run`; the server may be running or not.

    Raises Conflict while a pass is under way, and what a database can raise.
    """
    async with Installation(settings, lambda line: console.print(line, style="dim", highlight=False)) as here:
        urls = await here.database()
        if not here.served:
            await migrate.upgrade(urls.owner)
        database = Database.open(urls.app, pool=4)
        try:
            console.print(_summary(await look_through(database, dry_run=dry_run)))
        finally:
            await database.close()
    return 0


async def look_through(database: Database, *, dry_run: bool) -> CleaningRun:
    """Do a whole pass, beside a running server or without one."""
    service, actor = CleaningService(database), Actor.server(TENANT)
    run = await service.begin(actor, dry=dry_run)
    work = Cleaning(database)
    while run.status in ("queued", "running"):
        # None: the server's own process has this batch.
        run = await work.step(TENANT) or await service.get(actor, run.id)
    return run


def _summary(run: CleaningRun) -> Table:
    verb = "would be changed" if run.dry else "changed"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column(style="bold")
    table.add_column(style="dim", overflow="fold")
    table.add_row(f"{run.looked:,}".replace(",", " "), "contacts", f"{run.changed} {verb}")
    for what in (*WHAT, *MARKS):
        if many := run.counts.get(what):
            old, new = run.examples[what][0][1:]
            example = f"{old} → {new}" if new else old
            table.add_row(f"{many:,}".replace(",", " "), _SAID[what], example)
    return table
