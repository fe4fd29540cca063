"""The lines of one engine: which carriers can be reached, and how many calls the trunks may still take.

What a trunk carries is in the database, where the calls of all servers take its lines (`trunks.loads`). The
engine remembers what it last read of that, as a hint for pacing; whether a call is placed is decided by the
UPDATE alone. What only this engine can know is which endpoints answer its Asterisk.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db import events
from dialer.trunks import loads
from dialer.trunks.caps import CENT, IDLE, Load, Refusal
from dialer.trunks.model import Ask, Book, Choice, Refused, Trunk, choose, lines_left, nearest, placed

log = structlog.get_logger(__name__)

#: A hint lives so long: a line that another server gave back is found by then.
HINT_S = 0.2
#: That a cap was reached is told once in so long, for each trunk and reason.
TELL_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class _Hint:
    """What a trunk carried when it was last read."""

    load: Load
    #: the database's time then, and our monotonic one
    at: datetime
    at_s: float

    @property
    def now(self) -> datetime:
        """The database's time, as far as our own clock's passing tells."""
        return self.at + timedelta(seconds=time.monotonic() - self.at_s)

    @property
    def old(self) -> bool:
        """Whether it says too little of the present."""
        return time.monotonic() - self.at_s > HINT_S


@dataclass(frozen=True, slots=True)
class Look:
    """The trunks of a campaign at one moment of a transaction."""

    #: as they are set, in the campaign's order
    trunks: Sequence[Trunk]
    #: what they carry
    book: Book


@dataclass(slots=True)
class TrunkLines:
    """The lines of one engine, by trunk."""

    #: endpoints that do not answer the OPTIONS of Asterisk, by the Asterisk that asks (its node's name), and
    #: since when; one that is not asked is taken for reachable
    unreachable: dict[tuple[str, str], datetime] = field(default_factory=dict)
    #: endpoints of trunks, as far as anybody wanted to dial over them: others are agents' phones
    _carriers: set[str] = field(default_factory=set)
    _hints: dict[int, _Hint] = field(default_factory=dict)
    #: when it was last told that a cap was reached, by tenant, trunk and reason
    _told_s: dict[tuple[int, int | None, Refusal], float] = field(default_factory=dict)

    def contact(self, node: str, endpoint: str, reachable: bool) -> None:
        """An Asterisk says that the carrier behind an endpoint answers, or no longer does."""
        if not reachable and (node, endpoint) not in self.unreachable:
            log.warning("endpoint_unreachable", endpoint=endpoint, node=node)
            self.unreachable[node, endpoint] = utc_now()
        elif reachable and (node, endpoint) in self.unreachable:
            log.info("endpoint_reachable", endpoint=endpoint, node=node)
            del self.unreachable[node, endpoint]

    def reachable(self, endpoint: str, node: str) -> bool:
        """Whether the carrier behind the endpoint answers that Asterisk, as far as it asks."""
        self._carriers.add(endpoint)
        return (node, endpoint) not in self.unreachable

    def silent_carriers(self, node: str) -> dict[str, datetime]:
        """The endpoints of trunks that do not answer that Asterisk, each with since when."""
        gone = self.unreachable.items()
        return {endpoint: at for (of, endpoint), at in gone if of == node and endpoint in self._carriers}

    def left(self, trunks: Sequence[Trunk], node: str) -> int:
        """Calls of the node that these trunks can take now, by their channels and calls a second: a hint.

        Where nothing was read of late as many as can follow each other at once: placing will read it.
        """
        return sum(self._left(trunk, node) for trunk in trunks)

    def _left(self, trunk: Trunk, node: str) -> int:
        hint = self._hints.get(trunk.id)
        if hint is None or hint.old:
            load, now = IDLE, hint.now if hint else datetime.min.replace(tzinfo=UTC)
        else:
            load, now = hint.load, hint.now
        load = replace(load, reachable=self.reachable(trunk.endpoint, node))
        return lines_left([trunk], {trunk.id: load}, now)

    def likely(self, trunks: Sequence[Trunk], node: str) -> list[Trunk]:
        """The trunks in the order in which the node's next calls will try them, as far as is known: those
        that would take none now come last."""
        return sorted(trunks, key=lambda trunk: not self._takes(trunk, node))

    def _takes(self, trunk: Trunk, node: str) -> bool:
        if not trunk.enabled or not self.reachable(trunk.endpoint, node):
            return False
        hint = self._hints.get(trunk.id)
        if hint is None:
            return True
        # What was read last, however long ago: nothing better is known before the next call.
        load, today = hint.load, hint.load.spend_day or date.min
        return not load.bad and load.refusal(trunk.caps, hint.now, today, CENT) is None

    def freed(self, trunk_id: int) -> None:
        """A call of ours has ended: its line will be given back with its row."""
        hint = self._hints.get(trunk_id)
        if hint is not None and hint.load.channels:
            load = replace(hint.load, channels=hint.load.channels - 1)
            self._hints[trunk_id] = replace(hint, load=load)

    # -- in the transaction that places ----------------------------------------------------------------

    async def look(self, conn: AsyncConnection, tenant_id: int, trunks: Sequence[Trunk], node: str) -> Look:
        """The trunks as they are set now, and what they carry; some that were removed are left out."""
        set_now, book = await loads.read(conn, tenant_id, trunks)
        carried = {
            trunk.id: replace(book.loads[trunk.id], reachable=self.reachable(trunk.endpoint, node))
            for trunk in set_now
        }
        book = replace(book, loads=carried)
        self._remember(book)
        return Look(set_now, book)

    async def shut(self, conn: AsyncConnection, tenant_id: int, look: Look) -> Refusal | None:
        """Why no trunk takes any call now, whatever the number; None: they may."""
        refused = nearest(look.trunks, look.book)
        if refused is None:
            return None
        await self.tell(conn, tenant_id, refused)
        return refused.reason

    async def take(
        self, conn: AsyncConnection, tenant_id: int, look: Look, asks: Sequence[Ask]
    ) -> list[tuple[Choice, date] | Refused]:
        """Take a line for each of these calls, in their order; who gets none is refused with the reason.
        With each choice the day, by the tenant's clock, whose money it reserves.

        The lines are taken when the transaction commits, and given back by the end of the call.
        """
        set_now, book = look.trunks, look.book
        tariffs = await loads.rates(conn, tenant_id, set_now, [ask.e164 for ask in asks])
        answers: list[Choice | Refused] = []
        for ask in asks:
            answer = choose(set_now, book, ask, tariffs.get(ask.e164))
            if isinstance(answer, Choice):
                book = placed(book, answer)
            answers.append(answer)
        chosen = [n for n, answer in enumerate(answers) if isinstance(answer, Choice)]
        if chosen:
            await self._take(conn, tenant_id, answers, chosen)
        self._remember(book)
        return [(answer, book.today) if isinstance(answer, Choice) else answer for answer in answers]

    async def _take(
        self, conn: AsyncConnection, tenant_id: int, answers: list[Choice | Refused], chosen: Sequence[int]
    ) -> None:
        """Ask the rows: what another server took meanwhile is refused after all."""
        picked = {n: answer for n in chosen if isinstance(answer := answers[n], Choice)}
        many = await loads.take_of_tenant(conn, tenant_id, [each.reserve for each in picked.values()])
        for n in list(picked)[many:]:
            del picked[n]
            answers[n] = Refused(Refusal.TENANT_CHANNELS)
        unused = []
        for trunk_id in sorted({each.trunk.id for each in picked.values()}):
            mine = {n: each for n, each in picked.items() if each.trunk.id == trunk_id}
            reserves = [each.reserve for each in mine.values()]
            many = await loads.take_of_trunk(conn, tenant_id, trunk_id, reserves)
            for n in list(mine)[many:]:
                answers[n] = Refused(Refusal.CHANNELS, trunk_id=trunk_id)
            unused += reserves[many:]
        await loads.untake_of_tenant(conn, tenant_id, unused)

    async def tell(self, conn: AsyncConnection, tenant_id: int, refused: Refused) -> None:
        """Tell that a cap was reached, unless that was told of late."""
        key = (tenant_id, refused.trunk_id, refused.reason)
        now_s = time.monotonic()
        if not refused.reason.cap or now_s - self._told_s.get(key, -TELL_EVERY_S) < TELL_EVERY_S:
            return
        self._told_s[key] = now_s
        log.warning("cap_reached", tenant=tenant_id, trunk=refused.trunk_id, cap=refused.reason)
        payload = {"trunk_id": refused.trunk_id, "cap": refused.reason}
        await events.emit(conn, "trunk.cap_reached", payload, tenant_id=tenant_id)

    def _remember(self, book: Book) -> None:
        at_s = time.monotonic()
        self._hints |= {trunk_id: _Hint(load, book.now, at_s) for trunk_id, load in book.loads.items()}
