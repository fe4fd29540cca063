"""Looks at all Asterisk servers of the installation: which of them the servers that live reach."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from dialer.check.model import Finding, Findings, fail, names, note, ok
from dialer.db.session import Database
from dialer.servers import store
from dialer.servers.store import NodeRow, Seen
from dialer.servers.view import NodeView, alive, node_views

#: A server says once a second what it reaches; one that has just started, or is busy, says it late.
SAYS_S = 5.0


async def look(database: Database) -> Findings:
    """All findings of nodes. Raises DatabaseUnavailable."""
    servers, nodes = await _seen(database)
    deadline = asyncio.get_running_loop().time() + SAYS_S
    while _may_come(servers, nodes) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.5)  # what a server says of itself is told to nobody
        servers, nodes = await _seen(database)
    for finding in judge(servers, nodes):
        yield finding


async def _seen(database: Database) -> tuple[list[Seen], list[NodeRow]]:
    async with database.system() as conn:
        return await store.seen(conn), await store.nodes(conn)


def _may_come(servers: Collection[Seen], nodes: Sequence[NodeRow]) -> bool:
    """Whether a server that lives has not said yet that it reaches some node."""
    return any(map(alive, servers)) and not all(view.reached for view in node_views(servers, nodes))


# -- judgement --------------------------------------------------------------------------------------------


def judge(servers: Collection[Seen], nodes: Sequence[NodeRow]) -> list[Finding]:
    """Is every node reached by a server? Nothing is said before the first start of a server."""
    if not servers:
        return []
    if not nodes:
        return [fail("nodes", "no node is known", "dozvon node add NAME HOST [PORT]")]
    known = names(node.name for node in nodes)
    if not any(map(alive, servers)):
        return [note("nodes", f"no server runs that would reach {known}")]
    views = node_views(servers, nodes)
    if lost := [view for view in views if not view.reached]:
        return [_unreached(view) for view in lost]
    return [ok("nodes", f"servers reach {known}")]


def _unreached(view: NodeView) -> Finding:
    node = view.node
    return fail(
        "node",
        f"{node.name} ({node.ami_host}:{node.ami_port}) is reached by no server: {view.trouble}",
        "see that Asterisk runs there and lets every server's user in; where its address is another: dozvon "
        f"node add {node.name} HOST PORT; where it is gone: dozvon node remove {node.name}",
    )
