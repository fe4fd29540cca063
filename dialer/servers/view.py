"""Servers and nodes as people see them: who lives, and which node is reached by whom."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dialer.clock import SILENT_S
from dialer.servers.store import NodeRow, Seen


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node, by what the living servers say of it."""

    node: NodeRow
    #: some server drives it
    reached: bool
    #: why none does, in words; empty: one does
    trouble: str
    #: calls of all servers there
    calls: int
    #: agents' phones that are up there
    phones: int


def alive(server: Seen) -> bool:
    """Whether it speaks; the others take over what a silent one owned."""
    return not server.stopped and server.silent_s < SILENT_S


def node_views(servers: Collection[Seen], nodes: Sequence[NodeRow]) -> list[NodeView]:
    """All nodes, as `servers` see them."""
    living = [each.status.get("nodes", {}) for each in servers if alive(each)]
    return [_view(node, [known[node.name] for known in living if node.name in known]) for node in nodes]


def _view(node: NodeRow, views: Sequence[dict[str, object]]) -> NodeView:
    reached = any(view.get("ready") for view in views)
    troubles = [str(view["trouble"]) for view in views if view.get("trouble")]
    return NodeView(
        node=node,
        reached=reached,
        trouble="" if reached else (troubles or [_untold(views)])[0],
        calls=sum(_number(view, "calls") for view in views),
        # Each server hears all phones of a node.
        phones=max((_number(view, "phones") for view in views), default=0),
    )


def _untold(views: Collection[object]) -> str:
    return "a server looks at what it has" if views else "no server drives it"


def _number(view: dict[str, object], name: str) -> int:
    said = view.get(name, 0)
    return said if isinstance(said, int) else 0
