"""The commands of `dozvon dnc`: their words; what they do is in `donotcall_command`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dialer import settings, telemetry

dnc = typer.Typer(help="Who is not to be called.", no_args_is_help=True)


@dnc.command(name="add")
def dnc_add(
    numbers: Annotated[list[str] | None, typer.Argument(help="numbers, written in any way")] = None,
    prefix: Annotated[list[str] | None, typer.Option(help="all numbers that begin so: +7495")] = None,
    reason: Annotated[str, typer.Option(help="why")] = "",
) -> None:
    """Have nobody call these numbers; the server may be running or not."""
    from dialer.donotcall_command import add_command

    chosen = settings.load()
    telemetry.configure("warning", "console", "dnc")
    _exit(asyncio.run(add_command(chosen, Console(), numbers or [], prefix or [], reason)))


@dnc.command(name="check")
def dnc_check(number: Annotated[str, typer.Argument(help="written in any way")]) -> None:
    """Say what is said of a number, and was; exit status 1 where no campaign may call it."""
    from dialer.donotcall_command import check_command

    chosen = settings.load()
    telemetry.configure("warning", "console", "dnc")
    _exit(asyncio.run(check_command(chosen, Console(), number)))


@dnc.command(name="import")
def dnc_import(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, XLSX, ODS or a plain list")],
    registry: Annotated[str | None, typer.Option(help="whose numbers the file replaces")] = None,
    reason: Annotated[str, typer.Option(help="why")] = "",
    fewer: Annotated[bool, typer.Option(help="the registry may lose more than half of its numbers")] = False,
) -> None:
    """Bring in a file of numbers that are not to be called, or a new file of a registry."""
    from dialer.donotcall_command import import_command

    chosen = settings.load()
    telemetry.configure("warning", "console", "dnc")
    _exit(asyncio.run(import_command(chosen, Console(), file, registry, reason, fewer=fewer)))


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)
