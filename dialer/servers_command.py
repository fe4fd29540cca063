"""`dozvon servers` and `dozvon node`: the servers of an installation, and the Asterisks they drive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.table import Table

from dialer.db.session import Database
from dialer.errors import NotFound
from dialer.installation import Installation
from dialer.servers import store
from dialer.servers.store import Seen
from dialer.settings import Settings

#: A server that has not spoken for so long is shown as silent; the others take over what it owned.
SILENT_S = 5.0


@asynccontextmanager
async def _database(settings: Settings, console: Console) -> AsyncIterator[Database]:
    async with Installation(settings, lambda line: console.print(line, style="dim", highlight=False)) as here:
        urls = await here.database()
        database = Database.open(urls.app, pool=1)
        try:
            yield database
        finally:
            await database.close()


async def show_servers(settings: Settings, console: Console) -> int:
    """Print servers and nodes; 1 where none of either works. Raises what a database can raise."""
    async with _database(settings, console) as database, database.system() as conn:
        servers, nodes = await store.seen(conn), await store.nodes(conn)
    table = Table(title="Servers")
    for column in ("name", "state", "starts", "calls", "phones", "campaigns"):
        table.add_column(column, overflow="fold")
    for each in servers:
        said = each.status
        campaigns = ", ".join(str(number) for number in said.get("campaigns", ()))
        table.add_row(
            each.name,
            _state(each),
            str(each.epoch),
            str(said.get("calls", "")),
            str(said.get("phones", "")),
            campaigns,
        )
    console.print(table)
    living = [each for each in servers if _alive(each)]
    table = Table(title="Asterisk servers (nodes)")
    for column in ("name", "manager interface", "state", "calls", "phones"):
        table.add_column(column, overflow="fold")
    ready = 0
    for node in nodes:
        views = [each.status.get("nodes", {}).get(node.name, {}) for each in living]
        reached = any(view.get("ready") for view in views)
        ready += reached
        trouble = next((str(view["trouble"]) for view in views if view.get("trouble")), "no server drives it")
        state = ("draining" if node.draining else "ready") if reached else trouble
        calls = sum(view.get("calls", 0) for view in views)
        # Each server hears all phones of a node.
        phones = max((view.get("phones", 0) for view in views), default=0)
        table.add_row(node.name, f"{node.ami_host}:{node.ami_port}", state, str(calls), str(phones))
    console.print(table)
    return 0 if living and ready else 1


async def add_node(settings: Settings, console: Console, name: str, host: str, port: int) -> int:
    """Make an Asterisk known to all servers, or say where it is now."""
    async with _database(settings, console) as database, database.system() as conn:
        await store.put_node(conn, name, host, port)
    console.print(f"node {name}: {host}:{port}; every server logs in there as its own user", highlight=False)
    return 0


async def drain_node(settings: Settings, console: Console, name: str, *, draining: bool) -> int:
    """Let a node run empty, or take part again. Raises NotFound."""
    async with _database(settings, console) as database, database.system() as conn:
        if not await store.set_draining(conn, name, draining=draining):
            raise NotFound(what="node", key=name)
    said = "takes no new calls; agents without a call move to other nodes" if draining else "takes part again"
    console.print(f"node {name} {said}", highlight=False)
    return 0


async def remove_node(settings: Settings, console: Console, name: str) -> int:
    """Forget a node; its calls are closed in the books. Raises NotFound."""
    async with _database(settings, console) as database, database.system() as conn:
        if not await store.drop_node(conn, name):
            raise NotFound(what="node", key=name)
    console.print(f"node {name} is forgotten", highlight=False)
    return 0


def _alive(server: Seen) -> bool:
    return not server.stopped and server.silent_s < SILENT_S


def _state(server: Seen) -> str:
    if server.stopped:
        return "ended"
    return "alive" if _alive(server) else f"silent for {server.silent_s:.0f} s"
