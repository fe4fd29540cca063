"""The commands of `dozvon flow`: their words; what they do is in `flow_command`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

flow = typer.Typer(help="IVR flows: check, draw and try them. No server is needed.", no_args_is_help=True)

FILE = typer.Argument(help="YAML or JSON; or the name of one that comes along: reception.ru, survey.en, ...")


@flow.command(name="check")
def flow_check(
    file: Annotated[str, FILE],
    prompts: Annotated[
        Path | None, typer.Option(help="folder of recordings: names that a flow may play")
    ] = None,
    flows: Annotated[Path | None, typer.Option(help="folder of flows that goto_flow may name")] = None,
    host: Annotated[list[str] | None, typer.Option(help="host that requests may go to")] = None,
    json_line: Annotated[bool, typer.Option("--json", help="one line of JSON on stdout")] = False,
) -> None:
    """Say all that is wrong with a flow, where, and how to mend it; exit status 1 where something is."""
    from dialer.flow_command import check_command

    _exit(check_command(Console(), file, prompts, flows, host, json_line=json_line))


@flow.command(name="show")
def flow_show(
    file: Annotated[str, FILE],
    svg: Annotated[Path | None, typer.Option(help="draw it into this file instead")] = None,
    json_line: Annotated[bool, typer.Option("--json", help="states and ways as one line of JSON")] = False,
) -> None:
    """Draw a flow: text for mermaid on stdout, or a picture. What is wrong with it does not matter."""
    from dialer.flow_command import show_command

    _exit(show_command(Console(), file, svg, json_line=json_line))


@flow.command(name="simulate")
def flow_simulate(
    file: Annotated[str, FILE],
    keys: Annotated[
        str | None,
        typer.Option(
            help="what happens, one after another: 1,2,# keys (123# several), - silence, ! hang-up, found or"
            " another event, found:name=Anna with values; then the call is hung up. Without: you are asked"
        ),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="a variable: contact.name=Anna; again for another")
    ] = None,
    at: Annotated[str | None, typer.Option(help="when: 2026-11-23T20:00+03:00 [now]")] = None,
    language: Annotated[str, typer.Option(help="ru or en [the flow's]")] = "",
    json_line: Annotated[
        bool, typer.Option("--json", help="a line of JSON for each action, and one for the end")
    ] = False,
) -> None:
    """Play a flow in the terminal: it says what would be heard and takes your keys. Nobody is called.

    Exit status 1 where the call was lost: the flow had nothing to go on with.
    """
    from dialer.flow_command import simulate_command

    _exit(simulate_command(Console(), file, keys, set_ or [], at, language, json_line=json_line))


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)
