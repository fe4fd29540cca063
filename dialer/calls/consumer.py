"""Takes what one Asterisk server says, one event after another, and puts the books in order after each login.

What a node said while its link was down is not known. So after each login, before anything new is dialled
there: the leases are read again (a server that was frozen or cut off may have lost them meanwhile), sessions
of dead servers are ended (what they wrote too late must not arrive), and every call on the books is held
against what the node has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from dialer.agents import store as agents
from dialer.asterisk.ami import AmiEvent, Incoming, LinkDown, LinkUp
from dialer.asterisk.nodes import Node, Nodes, end_sessions
from dialer.calls.placing import Placer
from dialer.calls.recovery import Recovery, carrier_reached, channels, phones_reached
from dialer.calls.table import CallTable, Line
from dialer.calls.tracking import Leg, Tracker
from dialer.db.session import Database
from dialer.errors import ActionFailed, AsteriskUnavailable, DatabaseUnavailable
from dialer.servers.ownership import Ownership
from dialer.trunks import store as trunks

log = structlog.get_logger(__name__)

#: Between two tries to put the books in order.
AGAIN_S = 0.5


@dataclass(slots=True)
class Books:
    """What is put in order: shared by the consumers of all nodes."""

    database: Database
    nodes: Nodes
    ownership: Ownership
    calls: CallTable
    tracker: Tracker
    placer: Placer
    recovery: Recovery
    #: of the installation, as far as known
    tenants: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Consumer:
    """The one reader of a node's link."""

    node: Node
    books: Books
    #: told when the node's books are in order: something may be dialled there
    resynced: Callable[[], None]
    #: events taken since the start
    events: int = 0
    #: taken from the inbox and not yet looked at, in order
    _held: deque[Incoming] = field(default_factory=deque)

    async def run(self) -> None:
        """Keep the link up and read it, until cancelled."""
        link = asyncio.create_task(self.node.link.run(), name=f"ami-{self.node.name}")
        reading = asyncio.create_task(self._read(), name=f"consumer-{self.node.name}")
        try:
            done, _ = await asyncio.wait({link, reading}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            reading.cancel()
            await self.node.link.close()
            await asyncio.gather(link, reading, return_exceptions=True)
            self.books.nodes.set_ready(self.node, ready=False)

    async def _read(self) -> None:
        while True:
            if not self._held:
                # A takeover may look ahead meanwhile: what it holds back came first.
                self._held.append(await self.node.link.inbox.get())
            match item := self._held.popleft():
                case AmiEvent(name="FullyBooted"):
                    # Said once a login, when modules are loaded: earlier nothing can be dialled.
                    await self._resync()
                case AmiEvent():
                    self._take(item)
                case LinkUp():
                    pass
                case LinkDown():
                    self.books.nodes.set_ready(self.node, ready=False)
                    self.books.tracker.link_lost(self.node.name)

    def _take(self, event: AmiEvent) -> None:
        self.events += 1
        try:
            self.books.tracker.handle(event, self.node.name)
        except (ValueError, KeyError):
            # A field that is none: one event less is a doubt that the next resync settles.
            log.exception("event_not_understood", event_name=event.name, node=self.node.name)

    def _catch_up(self) -> None:
        """Take the events that have come so far, up to the next login or loss of the link."""
        inbox = self.node.link.inbox
        while not self._held and not inbox.empty():
            item = inbox.get_nowait()
            if isinstance(item, AmiEvent) and item.name != "FullyBooted":
                self._take(item)
            else:
                self._held.append(item)

    async def _resync(self) -> None:
        """Put the books in order before anything new is dialled."""
        while self.node.link.up:
            try:
                await self._put_in_order()
            except (AsteriskUnavailable, ActionFailed, DatabaseUnavailable) as error:
                log.warning("resync_again", node=self.node.name, reason=str(error))
                await asyncio.sleep(AGAIN_S)  # the database is away: nothing tells when it is back
                self._catch_up()
                if self._held and isinstance(self._held[0], LinkDown):
                    return  # the link that is up now is another one: its own login asks for this again
            else:
                self.resynced()
                return

    async def _put_in_order(self) -> None:
        books, node = self.books, self.node
        await books.ownership.look()
        await end_sessions(node.link, books.ownership.dead_users)
        await books.placer.settled(node.name)
        status = await node.link.send({"Action": "CoreStatus"})
        started = f"{status.get('CoreStartupDate')} {status.get('CoreStartupTime')}"
        # Only of an Asterisk that we have seen ourselves is it certain that nobody answered since.
        died = node.started not in (None, started)
        carriers = set[str]()
        for tenant_id in books.tenants:
            async with books.database.tenant(tenant_id) as conn:
                books.recovery.expect(await agents.open_shifts(conn, tenant_id))
                carriers |= {trunk.endpoint for trunk in await trunks.trunks(conn, tenant_id)}
        node.contacts.clear()
        reached = await phones_reached(node.link)
        reached |= {endpoint: await carrier_reached(node.link, endpoint) for endpoint in carriers}
        books.tracker.reached(node.name, reached, died=died)
        held = set[UUID]()
        await self.reconcile(*self._standing(held), asterisk_died=died)
        # What was taken over meanwhile of a server that has died: who took it leaves this node to us.
        while any(later := self._standing(held)):
            await end_sessions(node.link, books.ownership.dead_users)
            await self.reconcile(*later, asterisk_died=died)
        node.started = started
        await self.say_where_we_are()
        if node.link.up:
            books.nodes.set_ready(node, ready=True)

    async def say_where_we_are(self) -> None:
        """Tell the node's dialplan who takes the calls that come in: the server that has said so last, which
        sends those on that are another's. Raises AsteriskUnavailable, ActionFailed."""
        said = {"DOZVON_NODE": self.node.name, "DOZVON_INBOUND": self.books.placer.agi_address}
        for name, value in said.items():
            await self.node.link.send({"Action": "Setvar", "Variable": name, "Value": value})

    def _standing(self, held: set[UUID]) -> tuple[list[Line], list[Leg]]:
        """The calls and phones that are on the books of this node, but for those in `held`; now they are."""
        name, books = self.node.name, self.books
        lines = [line for line in books.calls if line.node == name and line.call.attempt_id not in held]
        legs = [leg for leg in books.tracker.legs.values() if leg.node == name and leg.id not in held]
        held |= {line.call.attempt_id for line in lines} | {leg.id for leg in legs}
        return lines, legs

    async def reconcile(
        self, suspects: Sequence[Line], phones: Sequence[Leg], *, asterisk_died: bool = False
    ) -> None:
        """Hold these calls and phones against what the node has; what it does not have is ended.

        Raises AsteriskUnavailable, DatabaseUnavailable.
        """
        books, node = self.books, self.node
        present = await channels(node.link, books.calls.names(node.name))
        books.recovery.found(suspects, list(books.tracker.legs.values()), present)
        # What ended before Asterisk made its list was said before it, and waits in the inbox: who is not on
        # the list is gone unseen only if that did not say so.
        self._catch_up()
        detail = "asterisk_restarted" if asterisk_died else "not_seen_to_end"
        books.recovery.missing(suspects, phones, present, asterisk_died=asterisk_died, detail=detail)
        await books.recovery.end_ghosts(node, present, await books.database.tenants())
        log.info(
            "resynced",
            node=node.name,
            channels=len(present),
            calls=len(suspects),
            asterisk_died=asterisk_died,
        )
