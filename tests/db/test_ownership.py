"""Two servers on one database: who owns what, who takes over, and whose writes are refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import event, select, text, update
from support.floor import TENANT, Floor

from dialer.calls.journal import DatabaseJournal
from dialer.calls.model import Answered, Call, Rang
from dialer.calls.table import CallTable
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.errors import Conflict, DatabaseUnavailable
from dialer.servers import store
from dialer.servers.model import DEAD_AFTER_S, LeaseKey, LeaseKind
from dialer.servers.ownership import Gained, Ownership
from dialer.servers.store import sessions_of


class Server:
    """A server's ownership, with what it was told, and a clock that the test turns on."""

    now_s: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, database: Database, name: str) -> None:
        self.gained: list[Gained] = []
        self.lost: list[LeaseKey] = []
        self.ownership = Ownership(
            database,
            name,
            f"ami-{name}",
            gained=self._take,
            lost=self.lost.extend,
            now_s=self.now_s,
        )

    def _take(self, gained: Gained) -> None:
        self.gained.append(gained)
        self.ownership.settle(gained)


@pytest.fixture
async def server(database_url: str, floor: Floor) -> AsyncIterator[Callable[[str], Server]]:
    """Makes servers, each with a pool of its own as its engine has."""
    pools: list[Database] = []

    def make(name: str) -> Server:
        pools.append(Database.open(database_url, pool=3, application=sessions_of(name)))
        return Server(pools[-1], name)

    yield make
    for pool in pools:
        await pool.close()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Turns the clock of every server on."""
    ahead_s = 0.0

    def turn(seconds: float) -> None:
        nonlocal ahead_s
        ahead_s += seconds

    monkeypatch.setattr(Server, "now_s", staticmethod(lambda: time.monotonic() + ahead_s))
    return turn


async def dies(watcher: Server, later: Callable[[float], None]) -> None:
    """The watcher looks on, a second apart, for as long as a dead server is waited for."""
    for _ in range(int(DEAD_AFTER_S) + 2):
        later(1.0)
        await watcher.ownership.look()


async def more_campaigns(floor: Floor, count: int) -> list[int]:
    """So many more that run; their ids."""
    async with floor.database.tenant(TENANT) as conn:
        made = await conn.execute(
            text(
                "INSERT INTO campaign (tenant_id, name, status, policy)"
                " SELECT 1, 'more ' || n, 'running', 'default' FROM generate_series(1, :count) n RETURNING id"
            ),
            {"count": count},
        )
        return list(made.scalars())


async def test_a_running_campaign_has_one_owner(server: Callable[[str], Server], floor: Floor) -> None:
    """The first server takes it, the second one leaves it where it is."""
    first, second = server("first"), server("second")
    await first.ownership.begin()
    await second.ownership.begin()
    assert first.ownership.paces(TENANT, floor.campaign_id)
    assert second.ownership.campaigns(TENANT) == frozenset()


async def test_a_dead_servers_campaign_is_taken_and_its_writes_are_refused(
    server: Callable[[str], Server], floor: Floor, later: Callable[[float], None]
) -> None:
    """The new owner is told whose sessions to end; the old one may place nothing, and what it writes of its
    calls is left out."""
    first, second = server("first"), server("second")
    await first.ownership.begin()
    await second.ownership.begin()
    (lead_id,) = await floor.leads(1)
    call = await floor.place(lead_id)
    await dies(second, later)
    assert second.ownership.paces(TENANT, floor.campaign_id)
    assert [gained.former_users for gained in second.gained] == [{"ami-first"}]
    async with first.ownership.database.tenant(TENANT) as conn:
        assert await first.ownership.still(conn, TENANT, [floor.campaign_id]) == frozenset()
    journal = DatabaseJournal(first.ownership.database, first.ownership)
    saw_answer(journal, first, floor, call)
    await journal.finish()
    assert (await floor.row(t.attempt, call.attempt_id)).state == "dialling"
    await first.ownership.look()
    assert first.lost == [LeaseKey(TENANT, LeaseKind.CAMPAIGN, floor.campaign_id)]
    assert not first.ownership.paces(TENANT, floor.campaign_id)


def saw_answer(journal: DatabaseJournal, server: Server, floor: Floor, call: Call) -> None:
    """The server's journal has taken, and not written, that a call of its own rang and was answered."""
    table, line = CallTable(journal), floor.line(call)
    line.fence = server.ownership.fence(TENANT, floor.campaign_id)
    table.add(line)
    table.apply(call.attempt_id, Rang(utc_now()))
    table.apply(call.attempt_id, Answered(utc_now()))


async def test_what_was_seen_before_a_campaign_was_lost_is_not_written_when_it_has_come_back(
    server: Callable[[str], Server], floor: Floor, later: Callable[[float], None]
) -> None:
    """In between it was another's, who knows better. Under the number of now it is written."""
    first, second = server("first"), server("second")
    await first.ownership.begin()
    await second.ownership.begin()
    (lead_id,) = await floor.leads(1)
    call = await floor.place(lead_id)
    journal = DatabaseJournal(first.ownership.database, first.ownership)
    saw_answer(journal, first, floor, call)
    await dies(second, later)
    await second.ownership.end()
    await first.ownership.look()  # it finds the loss and the return at once
    assert first.ownership.paces(TENANT, floor.campaign_id)
    await journal.finish()
    assert (await floor.row(t.attempt, call.attempt_id)).state == "dialling"
    journal = DatabaseJournal(first.ownership.database, first.ownership)
    saw_answer(journal, first, floor, call)
    await journal.finish()
    assert (await floor.row(t.attempt, call.attempt_id)).state == "answered"


async def test_a_lease_that_somebody_goes_by_is_not_taken(
    server: Callable[[str], Server], floor: Floor, database: Database
) -> None:
    """An attempt that is being committed under the old number is committed before the change of hands."""
    first = server("first")
    await first.ownership.begin()
    of = LeaseKey(TENANT, LeaseKind.CAMPAIGN, floor.campaign_id)

    async def take() -> dict[LeaseKey, int]:
        async with database.tenant(TENANT) as conn:
            standing = {each.of: each for each in await store.leases(conn, TENANT)}
            return await store.take(conn, "second", [of], standing)

    async with first.ownership.database.tenant(TENANT) as conn:
        assert await first.ownership.still(conn, TENANT, [floor.campaign_id])
        assert await take() == {}, "the lease changed hands under a transaction that goes by it"
    assert await take() == {of: first.ownership.fences[of] + 1}


async def test_one_stuck_campaign_holds_up_no_other(
    server: Callable[[str], Server],
    floor: Floor,
    database: Database,
    later: Callable[[float], None],
) -> None:
    """What a transaction that cannot be ended goes by is taken when it has ended, and all else at once."""
    stuck = await more_campaigns(floor, 1)
    first, second = server("first"), server("second")
    await first.ownership.begin()
    await second.ownership.begin()
    async with database.tenant(TENANT) as conn:  # a session that is not of the first server's engine
        await conn.execute(select(t.lease.c.fence).where(t.lease.c.key.in_(stuck)).with_for_update(read=True))
        async with asyncio.timeout(10):
            await dies(second, later)
        assert second.ownership.campaigns(TENANT) == {floor.campaign_id}
    await second.ownership.look()
    assert second.ownership.campaigns(TENANT) == {floor.campaign_id, *stuck}


async def test_many_campaigns_are_taken_by_a_few_statements(
    server: Callable[[str], Server], floor: Floor, later: Callable[[float], None]
) -> None:
    """A takeover is no longer work for three hundred campaigns than for one."""
    many = await more_campaigns(floor, 300)
    first, second = server("first"), server("second")
    await first.ownership.begin()
    await second.ownership.begin()
    statements: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    await first.ownership.end()
    event.listen(second.ownership.database.engine.sync_engine, "before_cursor_execute", note)
    await second.ownership.look()
    assert second.ownership.campaigns(TENANT) == {floor.campaign_id, *many}
    assert len(statements) < 20


async def test_a_slow_look_is_not_taken_for_death(
    server: Callable[[str], Server], floor: Floor, owner_url: str
) -> None:
    """A server whose look stands still goes on to say that it lives."""
    first = server("first")
    await first.ownership.begin()
    owner = await connect(owner_url)
    beats: list[int] = []
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        async with owner.transaction():
            await owner.execute("LOCK TABLE campaign IN ACCESS EXCLUSIVE MODE")
            works = [tasks.create_task(first.ownership.look())]
            works.append(tasks.create_task(first.ownership.keep_beat()))
            while len(beats) < 3:
                if (beat := await owner.fetchval("SELECT beat FROM server")) not in beats:
                    beats.append(beat)
                await asyncio.sleep(0.05)  # a row that changes tells nobody
            assert not works[0].done()
        await works[0]
        works[1].cancel()
    await owner.close()


async def test_what_a_frozen_server_holds_in_the_database_is_ended(
    server: Callable[[str], Server], floor: Floor, later: Callable[[float], None]
) -> None:
    """A server that stands still in the middle of a transaction does not keep its lease by that."""
    first, second = server("first"), server("second")
    await first.ownership.begin()
    await second.ownership.begin()
    with pytest.raises(DatabaseUnavailable):
        async with first.ownership.database.tenant(TENANT) as conn:
            assert await first.ownership.still(conn, TENANT, [floor.campaign_id])
            async with asyncio.timeout(10):
                await dies(second, later)
            await conn.execute(select(t.lease.c.fence))
    assert second.ownership.paces(TENANT, floor.campaign_id)


async def test_a_server_that_ends_in_order_is_not_waited_for(
    server: Callable[[str], Server], floor: Floor
) -> None:
    """The next look of another takes what it had."""
    first, second = server("first"), server("second")
    await first.ownership.begin()
    await second.ownership.begin()
    await first.ownership.end()
    await second.ownership.look()
    assert second.ownership.paces(TENANT, floor.campaign_id)


async def test_a_restart_keeps_what_it_had_under_a_new_number(
    server: Callable[[str], Server], floor: Floor
) -> None:
    """What the earlier start has begun to write is refused from then on; that start learns of it and ends."""
    of = LeaseKey(TENANT, LeaseKind.CAMPAIGN, floor.campaign_id)
    before, after = server("main"), server("main")
    await before.ownership.begin()
    await after.ownership.begin()
    assert after.ownership.fences[of] == before.ownership.fences[of] + 1
    async with before.ownership.database.tenant(TENANT) as conn:
        assert await before.ownership.still(conn, TENANT, [floor.campaign_id]) == frozenset()
    with pytest.raises(Conflict):
        await before.ownership.look()


async def test_a_paused_campaign_is_owned_as_long_as_it_has_calls(
    server: Callable[[str], Server], floor: Floor
) -> None:
    """Somebody answers for them; a draft is nobody's."""
    (lead_id,) = await floor.leads(1)
    await floor.place(lead_id)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(status="paused"))
    first = server("first")
    await first.ownership.begin()
    assert first.ownership.paces(TENANT, floor.campaign_id)


async def test_an_idle_tenant_is_nobodys(server: Callable[[str], Server], floor: Floor) -> None:
    """A campaign that does not run and has no call is not taken, and no phones where nobody is logged in."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(status="draft"))
        assert await store.wanted(conn, TENANT) == []
    first = server("first")
    await first.ownership.begin()
    assert first.ownership.fences == {}
    await floor.seat()
    await first.ownership.look()
    assert first.ownership.owns_phones(TENANT)


async def test_two_that_begin_at_once_share_without_a_quarrel(
    server: Callable[[str], Server], floor: Floor
) -> None:
    """Of many campaigns each is taken by one of them, and no number is given twice."""
    await more_campaigns(floor, 30)
    pair = [server("first"), server("second")]
    await asyncio.gather(*(each.ownership.begin() for each in pair))
    await asyncio.gather(*(each.ownership.look() for each in pair))
    owned = [each.ownership.campaigns(TENANT) for each in pair]
    assert not owned[0] & owned[1]
    assert len(owned[0] | owned[1]) == 31
