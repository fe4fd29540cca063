"""`dozvon servers` and `dozvon node`: the servers of an installation, and the Asterisks they drive."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from rich.console import Console
from rich.table import Table

from dialer.agents import people
from dialer.asterisk.browsers import endpoint_of
from dialer.asterisk.config import render_browser
from dialer.db.session import Database
from dialer.errors import Conflict, NotFound
from dialer.installation import database_of
from dialer.servers import store
from dialer.servers.model import check_node
from dialer.servers.store import NodeRow, Seen
from dialer.servers.view import alive, node_views
from dialer.settings import Settings


def _database(settings: Settings, console: Console) -> AbstractAsyncContextManager[Database]:
    return database_of(settings, lambda line: console.print(line, style="dim", highlight=False))


async def show_servers(settings: Settings, console: Console) -> int:
    """Print servers and nodes; 1 where no server lives, or a node is reached by none. Raises what a database
    can raise."""
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
    table = Table(title="Asterisk servers (nodes)")
    for column in ("name", "manager interface", "state", "calls", "phones"):
        table.add_column(column, overflow="fold")
    views = node_views(servers, nodes)
    for view in views:
        node = view.node
        state = view.trouble or ("draining" if node.draining else "ready")
        where = f"{node.ami_host}:{node.ami_port}"
        table.add_row(node.name, where, state, str(view.calls), str(view.phones))
    console.print(table)
    if not nodes:
        console.print("no node is known: dozvon node add NAME HOST [PORT]", highlight=False)
    works = any(map(alive, servers)) and bool(views) and all(view.reached for view in views)
    return 0 if works else 1


async def add_node(settings: Settings, console: Console, name: str, host: str, port: int) -> int:
    """Make an Asterisk known to all servers, or say where it is now. Raises Invalid."""
    check_node(name, host, port)
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


async def remove_node(settings: Settings, console: Console, name: str, *, force: bool = False) -> int:
    """Forget a node that has run empty; with `force` any but the last one, then its calls are closed in the
    books. Raises NotFound, Conflict."""
    async with _database(settings, console) as database:
        calls, phones = await _use(database, name)
        async with database.system() as conn:
            nodes = {node.name: node for node in await store.lock_nodes(conn)}
            if name not in nodes:
                raise NotFound(what="node", key=name)
            if len(nodes) == 1:
                raise Conflict(
                    reason=f"node {name} is the last one: nothing could be dialled without it. Add another "
                    "first: dozvon node add NAME HOST [PORT]"
                )
            if not force:
                _empty(nodes[name], calls, phones)
            await store.drop_node(conn, name)
    console.print(f"node {name} is forgotten", highlight=False)
    if calls or phones:
        console.print(_lost(calls, phones), style="yellow", highlight=False)
    return 0


async def _use(database: Database, name: str) -> tuple[int, int]:
    """Calls and phones of all tenants at the node."""
    calls = phones = 0
    for tenant_id in await database.tenants():
        async with database.tenant(tenant_id) as conn:
            its_calls, its_phones = await store.node_use(conn, tenant_id, name)
        calls, phones = calls + its_calls, phones + its_phones
    return calls, phones


def _empty(node: NodeRow, calls: int, phones: int) -> None:
    """See that nothing is lost with the node. Raises Conflict."""
    force = "--force forgets it all the same"
    if not node.draining:
        raise Conflict(
            reason=f"node {node.name} takes part: let it run empty first (dozvon node drain {node.name}); "
            f"{force}. It has {_has(calls, phones)} now"
        )
    if calls or phones:
        raise Conflict(
            reason=f"node {node.name} is draining and has {_has(calls, phones)} yet: wait until they have "
            f"ended or moved (dozvon servers shows them); {force}"
        )


def _has(calls: int, phones: int) -> str:
    return (
        f"{calls} {'call' if calls == 1 else 'calls'} and {phones} {'phone' if phones == 1 else 'phones'} of "
        "agents"
    )


def _lost(calls: int, phones: int) -> str:
    return (
        f"lost with it: {_has(calls, phones)}. The calls end in the books as lost with the node, while its "
        "Asterisk may still carry them; the agents' phones are called from other nodes"
    )


def _state(server: Seen) -> str:
    if server.stopped:
        return "ended"
    return "alive" if alive(server) else f"silent for {server.silent_s:.0f} s"


async def print_browsers(settings: Settings, console: Console) -> int:
    """Write to stdout the PJSIP sections of all browsers that can be phones; `console` is for what is done
    meanwhile."""
    async with _database(settings, console) as database:
        for tenant_id in await database.tenants():
            async with database.tenant(tenant_id) as conn:
                for user_id in await people.at_browsers(conn, tenant_id):
                    print(render_browser(endpoint_of(user_id), settings.browser_codec))
    return 0
