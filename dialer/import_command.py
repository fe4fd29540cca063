"""`dozvon import`: a CSV, XLSX or ODS file into a list, at the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dialer.contacts import files
from dialer.contacts.agreed import Agreed
from dialer.contacts.dryrun import Change, DryRun, Person, dry_run
from dialer.contacts.files import Kind, Layout
from dialer.contacts.model import ContactList, Counts, ImportJob, ImportStatus, Wins
from dialer.contacts.reading import Reading, check, check_headers
from dialer.contacts.service import ContactService
from dialer.db import migrate
from dialer.db.session import Database
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Actor
from dialer.installation import Installation
from dialer.said import Said
from dialer.settings import Settings

#: The tenant of an installation that has one company.
TENANT = 1
#: Examples of each kind that a dry run shows.
EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of the command."""

    file: Path
    #: the list, which is made if it is new; None: of the file's name
    list_name: str | None = None
    campaign_id: int | None = None
    reading: Reading = field(default_factory=Reading)
    wins: Wins = Wins.BASE
    #: say what it would do, and do nothing
    dry_run: bool = False

    @property
    def into(self) -> str:
        """The name of the list."""
        return self.list_name or self.file.stem


def wish_of(
    file: Path,
    list_name: str | None,
    campaign_id: int | None,
    columns: Sequence[str],
    sheet: str | None,
    *,
    file_wins: bool,
    dry_run: bool,
) -> Wish:
    """The options as they are written. Raises Invalid."""
    reading = Reading(sheet=sheet, mapping=mapping_of(columns))
    return Wish(file, list_name, campaign_id, reading, Wins.FILE if file_wins else Wins.BASE, dry_run)


def mapping_of(columns: Sequence[str]) -> dict[str, str]:
    """`["Тел.=phone", "№=skip"]` as a mapping. Raises Invalid."""
    found = {}
    for one in columns:
        header, mark, word = one.rpartition("=")
        if not mark:
            raise Invalid(field="--column", reason=Said("{one}: write HEADER=FIELD", one=one))
        found[header] = word
    return found


async def import_command(settings: Settings, console: Console, wish: Wish) -> int:
    """Bring a file into a list, or say what it would do; 1 when the import failed, else 0.

    The server may be running or not; an embedded database is started for it if need be. Bad rows go into a
    file beside the file. Raises NotFound (of the campaign), UnreadableFile, Invalid, and what a database can
    raise.
    """
    check(wish.reading)
    if wish.reading.mapping:
        layout = await asyncio.to_thread(files.look, wish.file, wish.reading)
        check_headers(wish.reading.mapping, [column.name for column in layout.columns], "--column")
    async with Installation(settings, lambda line: console.print(line, style="dim", highlight=False)) as here:
        urls = await here.database()
        if not here.served:
            await migrate.upgrade(urls.owner)
        database = Database.open(urls.app, pool=4)
        try:
            service = ContactService(database, settings)
            actor = Actor.server(TENANT)
            if wish.dry_run:
                return await look(service, database, settings, console, actor, wish)
            return await bring(service, console, actor, wish)
        finally:
            await database.close()


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


async def bring(service: ContactService, console: Console, actor: Actor, wish: Wish) -> int:
    """As `import_command`, with a service at hand."""
    into = await _find(service, actor, wish.into)
    made = into is None
    into = into or await service.add_list(actor, wish.into)
    with _bar(console) as bar:
        task = bar.add_task(escape(wish.file.name), total=None)

        def show(job: ImportJob) -> None:
            total = max(job.about_rows or 0, job.counts.rows) or None
            bar.update(task, completed=job.counts.rows, total=total)

        try:
            job = await service.import_file(
                actor, into.id, wish.file, wish.campaign_id, show, reading=wish.reading, wins=wish.wins
            )
        except DozvonError:
            if made:  # it would only stand there, empty
                await service.remove_list(actor, into.id)
            raise
    content = await _rejects(service, actor, job)
    rejects = await asyncio.to_thread(_put, content, wish.file, job.id) if content else None
    console.print(_counts(job.counts, wish, f"{into.name} (id {into.id})", rejects))
    if job.status is ImportStatus.DONE and not job.counts.rows:
        console.print("The file has a header and no rows.", style="yellow")
    if job.status is ImportStatus.FAILED:
        console.print("The import failed; rows loaded before that are kept.", style="bold red")
        return 1
    return 0


async def _find(service: ContactService, actor: Actor, name: str) -> ContactList | None:
    """The list of this name."""
    before: int | None = None
    while page := await service.lists(actor, before=before):
        for one in page:
            if one.name == name:
                return one
        before = page[-1].id
    return None


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


# -- the dry run ------------------------------------------------------------------------------------------


async def look(
    service: ContactService,
    database: Database,
    settings: Settings,
    console: Console,
    actor: Actor,
    wish: Wish,
) -> int:
    """Say what bringing the file in would do, and do nothing."""
    into = await _find(service, actor, wish.into)
    with _bar(console) as bar:
        task = bar.add_task(escape(wish.file.name), total=None)
        found = await dry_run(
            database,
            settings,
            actor.tenant_id,
            wish.file,
            list_id=into.id if into else None,
            campaign_id=wish.campaign_id,
            reading=wish.reading,
            wins=wish.wins,
            limit=EXAMPLES,
            progress=lambda counts: bar.update(task, completed=counts.rows),
        )
    name = f"{into.name} (id {into.id})" if into else f"{wish.into}, which would be made"
    console.print(_columns(found.layout))
    console.print(_counts(found.counts, wish, name, None))
    for title, table in _examples(found, wish.wins):
        console.print(f"\n{escape(title)}", style="bold")
        console.print(table)
    console.print("\nNothing was written: leave out --dry-run to bring the file in.", style="bold")
    return 0


def _columns(layout: Layout) -> Table:
    written = (
        f"CSV, {layout.encoding}, delimiter {_DELIMITERS[layout.delimiter]}"
        if layout.kind is Kind.CSV
        else f"{layout.kind.upper()}, sheet {layout.sheet}"
    )
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("file", escape(written))
    for column in layout.columns:
        word = column.field.value + (f":{column.key}" if column.key else "")
        table.add_row("column", escape(f"{column.name} = {word}"))
    return table


_DELIMITERS = {";": "semicolon", "\t": "tab", ",": "comma"}


def _examples(found: DryRun, wins: Wins) -> Iterable[tuple[str, Table]]:
    whom: tuple[tuple[str, Sequence[Person]], ...] = (
        ("new", found.new),
        ("known, of other lists", found.joining),
    )
    for title, people in whom:
        if people:
            yield _table(
                f"{title}: the first {len(people)}",
                ("row", "name", "numbers"),
                [(str(one.row), one.name, ", ".join(one.phones)) for one in people],
            )
    differing = "the file's would stand" if wins is Wins.FILE else "the base's would stay"
    what: tuple[tuple[str, Sequence[Change]], ...] = (
        ("filled or changed in known people", found.filled),
        (f"differing values, {differing}", found.differing),
    )
    for title, changes in what:
        if changes:
            yield _table(
                f"{title}: the first {len(changes)}",
                ("row", "name", "column", "base", "file"),
                [(str(one.row), one.name, one.column, one.before, one.after) for one in changes],
            )
    if found.agreements:
        yield _table(
            f"consents that would be written down: the first {len(found.agreements)}",
            ("row", "name", "to", "given at", "from", "until"),
            [
                (str(one.row), one.name, one.agreed.purpose, one.agreed.source, *_days(one.agreed))
                for one in found.agreements
            ],
        )
    if found.rejects:
        codes = ", ".join(f"{code} {count}" for code, count in sorted(found.codes.items()))
        yield _table(
            f"not taken ({codes}): the first {len(found.rejects)}",
            ("row", "column", "code", "value"),
            [(str(one.row), one.column, one.code.value, one.value) for one in found.rejects],
        )


def _days(agreed: Agreed) -> tuple[str, str]:
    return str(agreed.since or "now"), str(agreed.until or "it is withdrawn")


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[str, Table]:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, justify="right" if head == "row" else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return title, table


# -- both -------------------------------------------------------------------------------------------------


def _counts(counts: Counts, wish: Wish, into: str, rejects: Path | None) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim", overflow="fold")
    for name, number, meaning in (
        ("rows", counts.rows, f"in {wish.file.name}"),
        ("loaded", counts.loaded, f"new contacts of the list {into}"),
        ("known", counts.joined, "contacts of other lists, which are in this one too now"),
        ("duplicates", counts.duplicates, "their number is on the list already, or stood higher in the file"),
        ("rejected", counts.rejected, "no number that can be called"),
        ("blank", counts.blank, "every cell is empty"),
        ("filled", counts.filled, "of the known and the duplicates: people who gained something"),
        ("consents", counts.consents, "written down, of the new and of the known"),
    ):
        if name == "consents" and not number:
            continue
        table.add_row(name, f"{number:,}".replace(",", " "), escape(meaning))
    if rejects is not None:
        table.add_row("rejects", "", escape(f"each with its row, column, code and value: {rejects}"))
    return table
