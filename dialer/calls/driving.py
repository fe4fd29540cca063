"""Drives every node (Asterisk server) of the installation: a link and a consumer for each.

What is asked of several nodes is asked of all at once, and a node that does not answer holds up no other: its
link is dropped, and the resync after its next login does what was not done.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

import structlog

from dialer.asterisk.ami import AmiLink
from dialer.asterisk.nodes import Node, end_sessions
from dialer.calls.consumer import Books, Consumer
from dialer.calls.model import CallState
from dialer.calls.recovery import channels
from dialer.calls.table import Line
from dialer.calls.tracking import Leg
from dialer.errors import ActionFailed, AsteriskUnavailable, DatabaseUnavailable
from dialer.servers import store
from dialer.servers.store import NodeRow

log = structlog.get_logger(__name__)

#: Between two tries while the database is away.
AGAIN_S = 0.5
#: A node that has been away for so long while another is there is given up: its calls are closed.
LOST_S = 15.0
#: A node that has not answered for so long while calls are taken over is left to its resync.
ANSWERS_S = 2.0
#: A call that has not been answered so long after its ringing should have ended is asked after, so often.
OVERDUE_S = 10.0
ASK_S = 1.0


@dataclass(slots=True)
class Driving:
    """The nodes of one engine."""

    books: Books
    #: a link to a node
    link_to: Callable[[NodeRow], AmiLink]
    #: told when a node's books are in order, or what is known of the nodes has changed
    changed: Callable[[], None]
    _rows_changed: asyncio.Event = field(default_factory=asyncio.Event)
    _consumers: dict[str, Consumer] = field(default_factory=dict)
    _consuming: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """Events taken of the nodes that there are."""
        return sum(consumer.events for consumer in self._consumers.values())

    def look(self) -> None:
        """The nodes of the installation may be others now."""
        self._rows_changed.set()

    async def run(self) -> None:
        """Have a link to each node of the installation, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._rows_changed.wait()
                self._rows_changed.clear()
                try:
                    async with self.books.database.system() as conn:
                        rows = {row.name: row for row in await store.nodes(conn)}
                except DatabaseUnavailable as error:
                    log.warning("nodes_wait", reason=str(error))
                    await asyncio.sleep(AGAIN_S)  # nothing tells when a database is back
                    self._rows_changed.set()
                    continue
                for node in self.books.nodes:
                    if node.name not in rows:
                        await self._leave(node)
                for row in rows.values():
                    await self._drive(row, tasks)
                self.changed()

    async def _drive(self, row: NodeRow, tasks: asyncio.TaskGroup) -> None:
        node = self.books.nodes.get(row.name)
        if node is None:
            self.books.nodes.add(node := Node(row.name, self.link_to(row)))
            self._consume(node, tasks)
        elif (row.ami_host, row.ami_port) != (node.link.address.host, node.link.address.port):
            log.info("node_moves", node=node.name, host=row.ami_host, port=row.ami_port)
            await self._stop(node)
            # Its calls may well go on. Whether it is another machine is unknown: so is what its start says.
            node.link, node.started, node.away_since_s = self.link_to(row), None, time.monotonic()
            self._consume(node, tasks)
        node.draining = row.draining

    def _consume(self, node: Node, tasks: asyncio.TaskGroup) -> None:
        consumer = Consumer(node, self.books, self.changed)
        self._consumers[node.name] = consumer
        self._consuming[node.name] = tasks.create_task(consumer.run(), name=f"node-{node.name}")

    async def _stop(self, node: Node) -> None:
        task = self._consuming.pop(node.name)
        task.cancel()
        await asyncio.wait({task})
        del self._consumers[node.name]
        self.books.tracker.link_lost(node.name)

    async def _leave(self, node: Node) -> None:
        log.info("node_left", node=node.name)
        await self._stop(node)
        self.books.recovery.give_up(node, self.books.ownership.owns_phones)
        self.books.nodes.remove(node.name)

    def give_up_lost(self) -> None:
        """Only while another node carries on: where it is the only one, waiting costs nobody anything."""
        now_s = time.monotonic()
        for node in self.books.nodes:
            away_s = now_s - node.away_since_s
            gone = not node.ready and not node.link.up
            if gone and not node.lost and away_s > LOST_S and self.books.nodes.dialling():
                self.books.recovery.give_up(node, self.books.ownership.owns_phones)

    # -- asked of all nodes at once ----------------------------------------------------------------------

    async def end_sessions(self, users: Collection[str]) -> None:
        """End these users' sessions at each node that is ready; the resync of another does it."""
        if users:
            await self._at_each(lambda node: end_sessions(node.link, users))

    async def say_where_we_are(self) -> None:
        """Have the calls that come in come to us from each node that is ready; another's resync does it."""
        await self._at_each(lambda node: self._consumers[node.name].say_where_we_are())

    async def reconcile(self, lines: Sequence[Line], legs: Sequence[Leg]) -> None:
        """Hold these calls and phones against what their nodes have. Raises DatabaseUnavailable."""
        await self._at_each(
            lambda node: self._consumers[node.name].reconcile(
                [line for line in lines if line.node == node.name],
                [leg for leg in legs if leg.node == node.name],
            )
        )

    async def _at_each(self, work: Callable[[Node], Awaitable[object]]) -> None:
        """Do it at each node that is ready. Raises DatabaseUnavailable, when it is done at the others."""
        done = await asyncio.gather(*(self._at(node, work) for node in self.books.nodes if node.ready))
        if away := next(filter(None, done), None):
            raise away

    async def _at(self, node: Node, work: Callable[[Node], Awaitable[object]]) -> DatabaseUnavailable | None:
        try:
            async with asyncio.timeout(ANSWERS_S):
                await work(node)
        except DatabaseUnavailable as error:
            return error
        except (AsteriskUnavailable, ActionFailed, TimeoutError) as error:
            reason = str(error) or f"no answer within {ANSWERS_S:g} s"
            log.warning("node_left_to_its_resync", node=node.name, reason=reason)
            self.books.nodes.set_ready(node, ready=False)  # nothing new is dialled there before that
            node.link.drop(reason)
        return None

    # -- calls that should have ended --------------------------------------------------------------------

    async def ask_after_overdue(self) -> None:
        """Ask after calls that should have ended, until cancelled."""
        while True:
            await asyncio.sleep(ASK_S)
            now_s = time.monotonic()
            overdue = defaultdict[str, list[Line]](list)
            for line in self.books.calls:
                unanswered = line.call.state in (CallState.DIALLING, CallState.RINGING)
                if unanswered and now_s - line.placed_s > line.terms.ring_timeout_s + OVERDUE_S:
                    overdue[line.node].append(line)
            nodes = [node for node in self.books.nodes if node.ready and overdue[node.name]]
            await asyncio.gather(*(self._ask_after(node, overdue[node.name]) for node in nodes))

    async def _ask_after(self, node: Node, lines: Sequence[Line]) -> None:
        try:
            self.books.recovery.missing(lines, (), await channels(node.link))
        except (AsteriskUnavailable, ActionFailed) as error:
            log.warning("overdue_not_asked", node=node.name, reason=str(error))
