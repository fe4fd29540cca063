"""What this server owns: it beats, sees who else lives, and takes what nobody living has.

One task keeps the beat and another looks, so that nobody takes us for dead while we take over what is much
or slow; `look` may be called by others too, and one look happens at a time. What is gained and lost is told
to the engine, which takes calls over or lets them go; between the two it is the fencing number in each
transaction, not this object, that keeps two servers from writing about one call.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.session import Database
from dialer.errors import Conflict, DatabaseUnavailable
from dialer.servers import store
from dialer.servers.model import BEAT_S, Beat, Lease, LeaseKey, LeaseKind, Watch, to_take

log = structlog.get_logger(__name__)

#: Looks that are asked for follow each other no faster.
CALM_S = 0.1


class Leases(Protocol):
    """What a writer asks before it writes for a campaign."""

    def fence(self, tenant_id: int, campaign_id: int) -> int:
        """The number under which the campaign is ours; 0: it is not, as far as we have heard."""

    async def still(
        self, conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int]
    ) -> frozenset[int]:
        """Those of the campaigns that are ours; until the transaction of `conn` ends nobody takes them."""

    async def held(
        self, conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int]
    ) -> Mapping[int, int]:
        """Those of the campaigns that are ours by their rows, with the numbers that these have; until the
        transaction of `conn` ends nobody takes them."""

    async def elsewhere(self, conn: AsyncConnection, tenant_id: int, campaign_id: int) -> str | None:
        """Where Asterisk reaches the other server that owns the campaign; None: no living one does."""


class Sole:
    """The leases of who is alone with a database, and owns all of it without asking: benches, tests."""

    def fence(self, tenant_id: int, campaign_id: int) -> int:
        """None is needed."""
        return 0

    async def still(
        self, conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int]
    ) -> frozenset[int]:
        """All of them."""
        return frozenset(campaign_ids)

    async def held(
        self, conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int]
    ) -> Mapping[int, int]:
        """All of them."""
        return dict.fromkeys(campaign_ids, 0)

    async def elsewhere(self, conn: AsyncConnection, tenant_id: int, campaign_id: int) -> str | None:
        """There is no other."""
        return None


@dataclass(frozen=True, slots=True)
class Gained:
    """What has come to this server in one look."""

    leases: frozenset[LeaseKey]
    #: the users at Asterisk's manager interface of those who had it and may still be there
    former_users: frozenset[str]

    def campaigns(self) -> Mapping[int, set[int]]:
        """The campaigns among it, by tenant."""
        found = defaultdict[int, set[int]](set)
        for of in self.leases:
            if of.kind is LeaseKind.CAMPAIGN:
                found[of.tenant_id].add(of.key)
        return found


@dataclass(slots=True)
class Ownership:
    """The leases of one server."""

    database: Database
    #: of the server, among those of the database
    name: str
    ami_user: str
    #: told what has come, in the order it comes; returns at once
    gained: Callable[[Gained], None] = lambda gained: None
    #: told what another has taken: nothing of it may be written any more
    lost: Callable[[frozenset[LeaseKey]], None] = lambda lost: None
    #: told when another server has died, or has said that it ends; returns at once
    died: Callable[[], None] = lambda: None
    #: seconds that run evenly, whatever is done to the machine's clock
    now_s: Callable[[], float] = time.monotonic
    #: what is ours, with its fencing number
    fences: dict[LeaseKey, int] = field(default_factory=dict)
    #: campaigns of ours whose calls of before are accounted for: they may be dialled
    settled: set[LeaseKey] = field(default_factory=set)
    #: users at Asterisk of the servers that are dead, as of the last look
    dead_users: frozenset[str] = frozenset()
    _epoch: int = 0
    _watch: Watch = field(init=False)
    #: of all servers, and which of them are dead, as of the last beat of ours
    _beats: Sequence[Beat] = ()
    _dead: frozenset[str] = frozenset()
    #: what the last look found locked, or taken by another in that moment
    _missed: frozenset[LeaseKey] = frozenset()
    _beating: asyncio.Lock = field(default_factory=asyncio.Lock)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _soon: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._watch = Watch(self.name)

    # -- what others ask --------------------------------------------------------------------------------

    def paces(self, tenant_id: int, campaign_id: int) -> bool:
        """Whether the campaign is ours, and what an earlier owner left is accounted for."""
        return LeaseKey(tenant_id, LeaseKind.CAMPAIGN, campaign_id) in self.settled

    def owns_phones(self, tenant_id: int) -> bool:
        """Whether we keep the tenant's phones up, and what an earlier keeper left is accounted for."""
        return LeaseKey(tenant_id, LeaseKind.PHONES, 0) in self.settled

    def campaigns(self, tenant_id: int) -> frozenset[int]:
        """The tenant's campaigns that are ours."""
        return frozenset(
            of.key for of in self.fences if of.tenant_id == tenant_id and of.kind is LeaseKind.CAMPAIGN
        )

    def paced(self, tenant_id: int) -> frozenset[int]:
        """Those of them of which what an earlier owner left is accounted for."""
        return frozenset(one for one in self.campaigns(tenant_id) if self.paces(tenant_id, one))

    def fence(self, tenant_id: int, campaign_id: int) -> int:
        """The number under which the campaign is ours; 0: it is not, as far as we have heard."""
        return self.fences.get(LeaseKey(tenant_id, LeaseKind.CAMPAIGN, campaign_id), 0)

    async def still(
        self, conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int]
    ) -> frozenset[int]:
        """Those of the campaigns that are ours; until the transaction of `conn` ends nobody takes them."""
        ours = self.campaigns(tenant_id).intersection(campaign_ids)
        if not ours:
            return frozenset()
        held = await self.held(conn, tenant_id, ours)
        return frozenset(key for key, fence in held.items() if fence == self.fence(tenant_id, key))

    async def held(
        self, conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int]
    ) -> Mapping[int, int]:
        """Those of the campaigns that are ours by their rows, with the numbers that these have; until the
        transaction of `conn` ends nobody takes them."""
        return await store.held(conn, tenant_id, LeaseKind.CAMPAIGN, self.name, campaign_ids)

    async def elsewhere(self, conn: AsyncConnection, tenant_id: int, campaign_id: int) -> str | None:
        """Where Asterisk reaches the other server that owns the campaign; None: no living one does."""
        owner = await store.owner(conn, LeaseKey(tenant_id, LeaseKind.CAMPAIGN, campaign_id))
        if owner is None or owner[0] in self._dead | {self.name}:
            return None
        return owner[1]

    def settle(self, gained: Gained) -> None:
        """What an earlier owner left of these is accounted for."""
        self.settled |= gained.leases & self.fences.keys()

    # -- the beat ---------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Begin a start of this server. What its earlier start owned is its own still, under a new number."""
        async with self.database.system() as conn:
            self._epoch = await store.begin(conn, self.name, self.ami_user)
        log.info("server_begins", server=self.name, epoch=self._epoch)
        await self.look()

    async def say_address(self, agi_address: str) -> None:
        """Say where this server is reached by Asterisk. Raises DatabaseUnavailable."""
        async with self.database.system() as conn:
            await store.say_address(conn, self.name, self._epoch, agi_address)

    async def keep_beat(self) -> None:
        """Beat until cancelled. Raises Conflict when another server has taken our name."""
        while True:
            try:
                await self._beat()
            except DatabaseUnavailable as error:
                log.warning("no_beat", reason=str(error))
            await asyncio.sleep(BEAT_S)

    async def _beat(self) -> None:
        async with self._beating:
            async with self.database.system() as conn:
                if not await store.beat(conn, self.name, self._epoch):
                    raise Conflict(reason=f"another server has begun under the name {self.name}")
                self._beats = await store.beats(conn)
            before, self._dead = self._dead, self._watch.look(self._beats, self.now_s())
            if self._dead - before:
                self.died()
            dead_users = {each.ami_user for each in self._beats if each.server in self._dead}
            self.dead_users = frozenset(dead_users) - self._living_users()

    def _living_users(self) -> frozenset[str]:
        living = {each.ami_user for each in self._beats if each.server not in self._dead}
        return frozenset(living | {self.ami_user})

    async def run(self) -> None:
        """Look until cancelled. Raises Conflict when another server has taken our name."""
        while True:
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._soon.wait()
            except TimeoutError:
                pass
            self._soon.clear()
            try:
                await self.look()
            except DatabaseUnavailable as error:
                log.warning("no_look", reason=str(error))
            await asyncio.sleep(CALM_S)

    def look_soon(self) -> None:
        """Something may be there to be owned: do not wait for the next beat."""
        self._soon.set()

    async def end(self) -> None:
        """Say that this server ends, so that others need not wait to be sure."""
        self.fences.clear()
        self.settled.clear()
        if not self._epoch:
            return
        try:
            async with self.database.system() as conn:
                await store.stop(conn, self.name, self._epoch)
        except DatabaseUnavailable as error:
            log.warning("end_not_said", reason=str(error))  # its beat stands still: the others will see

    async def look(self) -> None:
        """Beat once, read all leases anew, take what falls to us.

        Raises DatabaseUnavailable: nothing is known then, and what we own is as before. Raises Conflict.
        """
        async with self._looking:
            await self._beat()
            missed, gained = set[LeaseKey](), dict[LeaseKey, Lease | None]()
            try:
                for tenant_id in await self.database.tenants():
                    missed |= await self._look_at(tenant_id, gained)
            finally:  # what was taken before something failed is ours all the same
                if gained:
                    self._tell_gained(gained)
            if missed - self._missed:
                self.look_soon()  # who goes by a lease is about to end; where not, a beat later will do
            self._missed = frozenset(missed)

    async def _look_at(self, tenant_id: int, gained: dict[LeaseKey, Lease | None]) -> frozenset[LeaseKey]:
        """Take what of the tenant falls to us, all at once, into `gained`, as it stood before. What could not
        be taken."""
        async with self.database.tenant(tenant_id) as conn:
            standing = {each.of: each for each in await store.leases(conn, tenant_id)}
            wanted = await store.wanted(conn, tenant_id)
        self._let_go(tenant_id, standing)
        living = {each.server for each in self._beats} - self._dead | {self.name}
        # Of an earlier start of ours: nobody else has taken it, and it is ours under a new number.
        ours = {of for of, lease in standing.items() if lease.server == self.name and of not in self.fences}
        taking = ours | set(to_take(self.name, wanted, standing.values(), living))
        if not taking:
            return frozenset()
        former = {standing[of].server for of in taking if of in standing} - {self.name}
        if former:
            async with self.database.system() as conn:
                if ended := await store.end_database_sessions(conn, former):
                    log.warning("sessions_ended", servers=sorted(former), sessions=ended)
        async with self.database.tenant(tenant_id) as conn:
            fences = await store.take(conn, self.name, taking, standing)
        self.fences |= fences
        gained |= {of: standing.get(of) for of in fences}
        return frozenset(taking - fences.keys())

    def _tell_gained(self, before: Mapping[LeaseKey, Lease | None]) -> None:
        """Tell what has come, given how it stood before."""
        former = {lease.server for lease in before.values() if lease is not None} - {self.name}
        log.info("leases_gained", leases=_words(before), from_servers=sorted(former))
        taken_from = {each.ami_user for each in self._beats if each.server in former}
        living_users = self._living_users()
        if taken_from & living_users:
            log.warning("ami_user_shared", reason="each server needs a user of its own in manager.conf")
        self.gained(Gained(frozenset(before), frozenset(taken_from - living_users)))

    def _let_go(self, tenant_id: int, standing: Mapping[LeaseKey, Lease]) -> None:
        lost = frozenset(
            of
            for of, fence in self.fences.items()
            if of.tenant_id == tenant_id
            and ((lease := standing.get(of)) is None or lease.server != self.name or lease.fence != fence)
        )
        for of in lost:
            del self.fences[of]
        self.settled -= lost
        if lost:
            log.warning("leases_lost", leases=_words(lost))
            self.lost(lost)


def _words(leases: Iterable[LeaseKey]) -> list[str]:
    return [f"{of.tenant_id}:{of.kind}:{of.key}" for of in sorted(leases)]
