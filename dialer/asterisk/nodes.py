"""The Asterisk servers that one engine drives: a link to each, and what can be said of it now."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import structlog

from dialer.asterisk.ami import AmiLink
from dialer.errors import AsteriskUnavailable

log = structlog.get_logger(__name__)

#: A line of `manager show connected`: user, address, start, elapsed, file descriptor, ...
_SESSION = re.compile(r"^\s*(?P<user>\S+)\s+(?P<address>\S+)\s+\d+\s+\d+\s+(?P<fd>\d+)\s", re.MULTILINE)
#: It shows so much of a user's name.
_SHOWN = 15


@dataclass(slots=True, eq=False)
class Node:
    """One Asterisk server."""

    name: str
    link: AmiLink
    #: takes no new calls and no agents
    draining: bool = False
    #: what it has is known, since the login of now: something new may be dialled there
    ready: bool = False
    #: it was away for too long: its calls and phones were given up
    lost: bool = False
    #: when it was started, as it says; None: never seen
    started: str | None = None
    #: endpoints with whether they can be reached from it, as far as it has said
    contacts: dict[str, bool] = field(default_factory=dict)
    #: monotonic time since which it is not ready
    away_since_s: float = field(default_factory=time.monotonic)

    def reaches(self, endpoint: str) -> bool | None:
        """Whether a phone or carrier can be reached from here; None where it has not said."""
        return self.contacts.get(endpoint)


@dataclass(slots=True)
class Nodes:
    """All of them, by name."""

    _all: dict[str, Node] = field(default_factory=dict)
    #: set while one at least is ready
    some_ready: asyncio.Event = field(default_factory=asyncio.Event)

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self._all.values()))

    def get(self, name: str | None) -> Node | None:
        """The node of that name, if it is known."""
        return self._all.get(name) if name is not None else None

    def add(self, node: Node) -> None:
        """Take a node in."""
        self._all[node.name] = node

    def remove(self, name: str) -> None:
        """Forget a node."""
        self._all.pop(name, None)
        self._say()

    def set_ready(self, node: Node, *, ready: bool) -> None:
        """What the node has is known; or no longer, or not yet."""
        if node.ready and not ready:
            node.away_since_s = time.monotonic()
        node.ready = ready
        if ready:
            node.lost = False
        self._say()

    def dialling(self) -> list[Node]:
        """Those on which something new may be dialled, by name."""
        usable = [node for node in self._all.values() if node.ready and node.link.up and not node.draining]
        return sorted(usable, key=lambda node: node.name)

    def link(self, name: str | None) -> AmiLink:
        """The link to the node. Raises AsteriskUnavailable where there is no such node."""
        node = self.get(name)
        if node is None:
            raise AsteriskUnavailable(reason=f"no Asterisk server of the name {name!r} is known")
        return node.link

    def trouble(self) -> str:
        """Why nothing can be dialled, in words for people."""
        said = [
            f"{node.name}: {node.link.trouble or 'looking at what it has'}" for node in self if not node.ready
        ]
        return "; ".join(said) or "every Asterisk server is being drained"

    def _say(self) -> None:
        if any(node.ready for node in self._all.values()):
            self.some_ready.set()
        else:
            self.some_ready.clear()


async def end_sessions(link: AmiLink, users: Collection[str]) -> int:
    """End every session of these users at the manager interface; how many there were.

    What they wrote before has been read by Asterisk or never will be. Raises AsteriskUnavailable,
    ActionFailed.
    """
    ended, shown = 0, {user[:_SHOWN] for user in users}
    for found in _SESSION.finditer(await link.command("manager show connected")):
        if found["user"] in shown:
            await link.command(f"manager kick session {found['fd']}")
            log.warning("ami_session_ended", user=found["user"])
            ended += 1
    return ended
