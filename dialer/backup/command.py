"""`dozvon backup`, `dozvon restore` and `dozvon upgrade` in the terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from dialer.backup.model import Kind, Manifest
from dialer.backup.restore import restore
from dialer.backup.service import Wish, back_up, check
from dialer.db import migrate
from dialer.errors import BackupFailed
from dialer.installation import Installation
from dialer.settings import Settings

#: Calls come first: what a backup computes gives way to them.
NICE = 10


class Screen:
    """A bar for each step in a terminal, a line for each elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    @contextmanager
    def shown(self) -> Iterator[Screen]:
        """While something is shown."""
        if not self._console.is_terminal:
            yield self
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Bars(*columns, console=self._console, transient=True) as self._bars:
            yield self

    def step(self, what: str, size: int | None = None) -> None:
        """See Progress."""
        if self._bars is None:
            self._console.print(what, style="dim", highlight=False)
        else:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task = self._bars.add_task(what, total=size)

    def count(self, size: int) -> None:
        """See Progress."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, size)


def wish_of(target: str, *, recordings: bool, secrets: bool, keep: int | None) -> Wish:
    """What was asked for: a folder of backups where there is one or a slash says so, else a file.

    Raises BackupFailed.
    """
    path = Path(target)
    folder = path.is_dir() or target.endswith("/")
    if keep is not None and not folder:
        raise BackupFailed(reason=f"--keep is for a folder of backups, and {path} is none")
    return Wish(path, folder, recordings, secrets, keep)


async def backup_command(settings: Settings, console: Console, wish: Wish) -> int:
    """Make a backup, while the server runs or not. Raises BackupFailed, DatabaseUnavailable, PartMissing."""
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    begun = time.monotonic()
    async with _installation(settings, console) as here:
        with Screen(console).shown() as screen:
            made = await back_up(settings, await here.database(), wish, screen)
    console.print(_summary(made.manifest, made.path))
    for note in (*made.notes, *(f"removed the older backup {name}" for name in made.removed)):
        console.print(note, style="yellow", highlight=False)
    shared = f", {_bytes(made.shared)} of it shared with the one before" if made.shared else ""
    console.print(f"made in {time.monotonic() - begun:.1f} s{shared}", highlight=False)
    return 0


async def verify_command(console: Console, path: Path) -> int:
    """Read a backup and hold it against its manifest. Raises BackupDamaged, RestoreRefused."""
    with Screen(console).shown() as screen:
        found = await check(path, screen)
    console.print(_summary(found.manifest, found.path))
    console.print("whole: every part is what was written", style="green")
    return 0


async def restore_command(
    settings: Settings, console: Console, path: Path, *, force: bool, keep_running: bool
) -> int:
    """Make this installation what the backup is. Raises what `restore` does."""
    async with _installation(settings, console) as here:
        with Screen(console).shown() as screen:
            done = await restore(here, path, screen, force=force, keep_running=keep_running)
    console.print(_summary(done.manifest, done.source))
    for was in done.replaced:
        console.print(f"replaced: {was}", style="yellow", highlight=False)
    if done.paused:
        console.print(
            f"paused, to be looked at first: {', '.join(done.paused)}", style="yellow", highlight=False
        )
    if done.settings_copy is not None:
        console.print(f"the settings file of the backup: {done.settings_copy}", highlight=False)
    console.print("restored; next: dozvon check, then dozvon serve", style="green")
    return 0


async def upgrade_command(
    settings: Settings, console: Console, *, dry_run: bool, backup: bool, into: Path | None
) -> int:
    """Bring the database to this version, after a backup of it. Raises what `back_up` and `upgrade` do."""
    async with _installation(settings, console) as here:
        urls = await here.database()
        plan = await migrate.plan(urls.owner)
        if not plan.steps:
            console.print(f"up to date: revision {plan.current}", style="green")
            return 0
        console.print(f"from {plan.current or 'an empty database'} to {plan.steps[-1].revision}:")
        for step in plan.steps:
            console.print(f"  {step.revision}  {step.title}", highlight=False)
        if dry_run:
            return 0
        if backup and plan.current is not None:
            # Recordings are no part of the database, and stay as they are.
            folder = into or settings.data_dir / "backups"
            with Screen(console).shown() as screen:
                made = await back_up(settings, urls, Wish(folder, True, recordings=False), screen)
            console.print(f"backup: {made.path}", highlight=False)
        await migrate.upgrade(urls.owner, say=lambda line: console.print(line, style="dim"))
        console.print(f"done: revision {plan.steps[-1].revision}", style="green")
        if here.served:
            console.print("the server that runs goes on; start it anew to have the new version")
    return 0


def _installation(settings: Settings, console: Console) -> Installation:
    return Installation(settings, lambda line: console.print(line, style="dim", highlight=False))


def _summary(manifest: Manifest, path: Path) -> Table:
    head = manifest.head
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    recordings = len(manifest.of(Kind.RECORDINGS))
    for name, value in (
        ("backup", str(path)),
        ("of", f"{head.made_at:%Y-%m-%d %H:%M:%S} UTC, Dozvon {head.version}, revision {head.revision}"),
        (
            "database",
            f"{sum(head.counts.values())} rows in {len(head.counts)} tables, PostgreSQL {head.postgres}",
        ),
        ("recordings", "left out" if Kind.RECORDINGS in head.without else str(recordings)),
        ("secrets", "left out" if Kind.SECRETS in head.without else str(len(manifest.of(Kind.SECRETS)))),
        ("size", _bytes(manifest.size)),
    ):
        table.add_row(name, value)
    return table


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
