"""The words of `dozvon servers` and `dozvon node`; what they do is in `servers_command`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

import typer
from rich.console import Console

from dialer import settings, telemetry


def servers() -> None:
    """Show the servers of this installation, what each owns, and the Asterisk servers they drive."""
    from dialer.servers_command import show_servers

    chosen = settings.load()
    telemetry.configure("warning", "console", "servers")
    _run(show_servers(chosen, Console()))


node = typer.Typer(help="The Asterisk servers that this installation drives.", no_args_is_help=True)

_Node = Annotated[str, typer.Argument(help="name of the node; `dozvon servers` lists them")]


@node.command()
def add(
    name: _Node,
    host: Annotated[str, typer.Argument(help="host of its manager interface, as every server reaches it")],
    port: Annotated[int, typer.Argument(min=1, max=65535, help="its TCP port")] = 5038,
) -> None:
    """Make an Asterisk server known, or say where it is now."""
    from dialer.servers_command import add_node

    telemetry.configure("warning", "console", "node")
    _run(add_node(settings.load(), Console(), name, host, port))


@node.command()
def drain(name: _Node) -> None:
    """Let it run empty: no new calls; agents without a call move to others."""
    from dialer.servers_command import drain_node

    telemetry.configure("warning", "console", "node")
    _run(drain_node(settings.load(), Console(), name, draining=True))


@node.command()
def resume(name: _Node) -> None:
    """Let it take part again."""
    from dialer.servers_command import drain_node

    telemetry.configure("warning", "console", "node")
    _run(drain_node(settings.load(), Console(), name, draining=False))


@node.command()
def remove(
    name: _Node,
    force: Annotated[
        bool, typer.Option("--force", help="though it takes part, or has calls or phones: they are lost")
    ] = False,
) -> None:
    """Forget it when it has run empty; drain it first."""
    from dialer.servers_command import remove_node

    telemetry.configure("warning", "console", "node")
    _run(remove_node(settings.load(), Console(), name, force=force))


@node.command()
def browsers() -> None:
    """Print the endpoints of people's browsers, for the pjsip.conf of an Asterisk of yours."""
    from dialer.servers_command import print_browsers

    telemetry.configure("warning", "console", "node")
    _run(print_browsers(settings.load(), Console(stderr=True)))


def _run(work: Coroutine[Any, Any, int | None]) -> None:
    if code := asyncio.run(work):
        raise typer.Exit(code)
