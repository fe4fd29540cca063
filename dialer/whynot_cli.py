"""The words of `dozvon why`; what it does is in `whynot_command`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from dialer import settings, telemetry
from dialer.errors import BadNumber, NotFound


def why(
    number: Annotated[str | None, typer.Argument(help="a phone number, written in any way")] = None,
    campaign: Annotated[
        int | None, typer.Option(help="id of the campaign that is asked; without a number: all its leads")
    ] = None,
    json_line: Annotated[bool, typer.Option("--json", help="one line of JSON on stdout")] = False,
) -> None:
    """Say why a number is not dialled, or what stops the leads of a campaign; the server may run or not.

    Exit status: 0 where it is dialled in its turn (of a campaign: somebody is), 1 where not, 2 for wrong
    words: no number, a campaign that there is not.
    """
    from dialer.whynot_command import why_command

    if number is None and campaign is None:
        raise typer.BadParameter("give a number, or --campaign ID, or both")
    chosen = settings.load()
    telemetry.configure("warning", "console", "why")
    try:
        code = asyncio.run(why_command(chosen, Console(), number, campaign, json_line=json_line))
    except (BadNumber, NotFound) as error:
        typer.echo(f"dozvon: {error}", err=True)
        raise typer.Exit(2) from None
    if code:
        raise typer.Exit(code)
