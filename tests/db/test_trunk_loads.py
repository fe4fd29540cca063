"""Lines of trunks and tenants: taken and given back in the database, by any number of servers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from support.floor import NODE, TENANT, Floor

from dialer.calls import store
from dialer.calls.model import Call, HungUp, Rang, Result
from dialer.calls.store import NewAttempt
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.ids import new_id
from dialer.trunks import loads
from dialer.trunks.caps import Caps, Load
from dialer.trunks.health import Said, Verdict
from dialer.trunks.model import Trunk

NOW = datetime(2026, 5, 4, 20, 59, 30, tzinfo=UTC)  # half a minute before midnight in Moscow
TODAY = datetime(2026, 5, 4, tzinfo=UTC).date()
FAULT = Said(Verdict.FAULT, "503")


@pytest.fixture
async def eight(database_url: str) -> AsyncIterator[Database]:
    """Eight connections."""
    opened = Database.open(database_url, pool=8)
    yield opened
    await opened.close()


async def put(floor: Floor, load: Load, caps: Caps) -> None:
    """Let the trunk, and the tenant, carry this under these caps."""
    row = {
        "channels": load.channels,
        "tokens": load.tokens,
        "filled_at": load.filled_at,
        "spent": load.spent,
        "spend_day": load.spend_day,
    }
    sick = {
        "health": "bad" if load.bad else "good",
        "probe_at": load.probe_at,
        "probe_every_s": load.probe_every_s,
    }
    limits = {
        "max_channels": caps.max_channels,
        "max_cps": caps.max_cps,
        "max_spend_per_day": caps.max_spend,
    }
    async with floor.database.tenant(TENANT) as conn:
        for table, key, values in (
            (t.trunk_load, {"trunk_id": floor.trunk_id}, row | sick),
            (t.tenant_load, {}, row),
            (t.tenant_cap, {}, limits),
        ):
            await conn.execute(
                upsert(table)
                .values(tenant_id=TENANT, **key, **values)
                .on_conflict_do_update(constraint=table.primary_key, set_=values)
            )
        if caps.max_channels is not None and caps.max_cps is not None:
            await conn.execute(update(t.trunk).values(limits))


async def load_of(floor: Floor, table: Any = t.trunk_load) -> Load:
    """What stands in the row."""
    async with floor.database.tenant(TENANT) as conn:
        row = (await conn.execute(select(table))).one()
    sick = {}
    if table is t.trunk_load:
        sick = {
            "bad": row.health == "bad",
            "probe_at": row.probe_at,
            "probe_every_s": row.probe_every_s,
        }
    return Load(row.channels, row.tokens, row.filled_at, row.spent, row.spend_day, **sick)


def case(rng: random.Random, *, tenants: bool) -> tuple[Load, Caps, datetime, list[Decimal]]:
    """A row, its caps, a moment and calls."""

    def maybe(value: Any) -> Any:
        return None if tenants and rng.random() < 0.3 else value

    caps = Caps(
        maybe(rng.randint(1, 12)),
        maybe(rng.choice([0.3, 4.0, 7.5, 14.0, 40.0, 40.0])),
        rng.choice([None, Decimal(rng.randint(0, 40)) / 4]),
    )
    new = rng.random() < 0.15
    bad = not tenants and rng.random() < 0.3
    load = Load(
        channels=rng.randint(0, 13),
        tokens=None if new else rng.choice([0.0, 0.25, 0.999999, 1.0, 2.5, 9.0, 12.0]),
        filled_at=None if new else NOW - timedelta(seconds=rng.choice([-3600, -5, -0.4, 0, 0.1, 0.7, 3, 90])),
        spent=Decimal(rng.randint(0, 48)) / 4,
        spend_day=rng.choice([None, TODAY, TODAY, TODAY - timedelta(days=1), TODAY + timedelta(days=1)]),
        bad=bad,
        probe_at=NOW + timedelta(seconds=rng.choice([-1, 0, 2])) if bad else None,
        probe_every_s=rng.choice([5, 10, 300]) if bad else 0,
    )
    calls = [Decimal(rng.randint(0, 8)) / 4 for _ in range(rng.randint(1, 9))]
    return load, caps, NOW + timedelta(seconds=rng.choice([0, 0, 60])), calls


@pytest.mark.parametrize("tenants", [False, True])
async def test_the_update_does_what_the_rule_says(floor: Floor, tenants: bool) -> None:
    """The same random cases through both: as many lines, and the same row afterwards."""
    rng = random.Random(11)
    granted = set()
    for _ in range(250):
        load, caps, now, calls = case(rng, tenants=tenants)
        await put(floor, load, caps)
        if tenants:
            load, table = replace(load, bad=False, probe_at=None, probe_every_s=0), t.tenant_load
        else:
            table = t.trunk_load
        today = (now + timedelta(hours=3)).date()
        async with floor.database.tenant(TENANT) as conn:
            if tenants:
                n = await loads.take_of_tenant(conn, TENANT, calls, now=now)
            else:
                n = await loads.take_of_trunk(conn, TENANT, floor.trunk_id, calls, now=now)
        wanted, after = load.taken(caps, now, today, loads.sums(calls))
        assert n == wanted, (load, caps, now, calls)
        granted.add(n)
        found = await load_of(floor, table)
        if n:
            assert found == after, (load, caps, now, calls)
        else:  # a full trunk's row is not even written
            assert found.channels == load.channels
            assert found.spent in (load.spent, after.spent)
    assert granted >= {0, 1, 2, 3, 4}


async def place(floor: Floor, database: Database, *, reserved: Decimal = Decimal(0)) -> Call | None:
    """Take a line as a server does, with the row of its attempt; None when there is none."""
    attempt_id, now = new_id(), utc_now()
    async with database.tenant(TENANT) as conn:
        if not await loads.take_of_tenant(conn, TENANT, [reserved]):
            return None
        if not await loads.take_of_trunk(conn, TENANT, floor.trunk_id, [reserved]):
            await loads.untake_of_tenant(conn, TENANT, [reserved])
            return None
        new = NewAttempt(
            attempt_id,
            floor.campaign_id,
            "+79160000000",
            floor.trunk_id,
            NODE,
            "+74950000000",
            "progressive",
            "default/1",
            holds_line=True,
            reserved=reserved,
            rate_per_minute=reserved / 2,
            rate_per_call=Decimal(0),
            reserved_on=await conn.scalar(select(t.tenant_load.c.spend_day)),
        )
        await store.add(conn, TENANT, [new], now)
    return Call(attempt_id, TENANT, floor.campaign_id, screens=False, abandon_after_s=2.0, created_at=now)


async def limit(floor: Floor, **trunk: Any) -> None:
    """Set the trunk's caps, and know its rows."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.trunk).values(trunk))
        any_trunk = Trunk(floor.trunk_id, "carrier", "carrier", "+74950000000", 1, 1.0, ("+7",))
        await loads.read(conn, TENANT, [any_trunk])


async def test_eight_servers_at_once_never_pass_the_channels(floor: Floor, eight: Database) -> None:
    """While each takes and gives back as fast as it can, the trunk carries what the attempts say, never more
    than it may; at the end nothing is left."""
    await limit(floor, max_channels=5, max_cps=500)
    most = refused = done = 0

    async def server(seed: int) -> None:
        nonlocal most, refused, done
        rng = random.Random(seed)
        mine: list[Call] = []
        for _ in range(40):
            call = await place(floor, eight)
            if call is None:
                refused += 1
            else:
                mine.append(call)
                done += 1
            async with eight.tenant(TENANT) as conn:
                held = await conn.scalar(
                    text("SELECT count(*) FROM attempt WHERE holds_line AND ended_at IS NULL")
                )
                most = max(most, held or 0)
            if mine and (call is None or rng.random() < 0.5):
                async with eight.tenant(TENANT) as conn:
                    ended = [loads.Ended(mine.pop(rng.randrange(len(mine))).attempt_id)]
                    await loads.give_back(conn, TENANT, ended)
        async with eight.tenant(TENANT) as conn:
            await loads.give_back(conn, TENANT, [loads.Ended(call.attempt_id) for call in mine])

    await asyncio.gather(*(server(seed) for seed in range(8)))
    assert most == 5
    assert refused > 0
    assert done > 40
    assert (await load_of(floor)).channels == (await load_of(floor, t.tenant_load)).channels == 0


async def test_eight_servers_at_once_keep_the_calls_a_second(floor: Floor, eight: Database) -> None:
    """By the database's own clock, over every span: the burst, and the rate times the span."""
    cps = 20.0
    await limit(floor, max_channels=10_000, max_cps=cps)
    async with floor.database.tenant(TENANT) as conn:
        began = await conn.scalar(text("SELECT clock_timestamp()"))

    async def server() -> list[datetime]:
        taken = []
        for _ in range(60):
            async with eight.tenant(TENANT) as conn:
                if await loads.take_of_trunk(conn, TENANT, floor.trunk_id, [Decimal(0)] * 3):
                    row = (await conn.execute(select(t.trunk_load.c.granted, t.trunk_load.c.filled_at))).one()
                    taken += [row.filled_at] * row.granted
        return taken

    taken = sorted(at for each in await asyncio.gather(*(server() for _ in range(8))) for at in each)
    assert began is not None
    assert len(taken) > 5
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            span_s = (taken[last] - taken[first]).total_seconds()
            assert last - first + 1 <= 6 + cps * span_s + 1e-3
    assert (await load_of(floor)).channels == len(taken)


async def test_eight_servers_at_once_never_reserve_more_than_the_days_money(
    floor: Floor, eight: Database
) -> None:
    """Of 64 calls at 3 each a cap of 50 lets 16 through; what they cost is booked in place of that."""
    await limit(floor, max_channels=1000, max_cps=500, max_spend_per_day=Decimal(50))

    async def server() -> list[Call]:
        made = []
        for _ in range(8):
            call = None
            while call is None and (await load_of(floor)).spent <= 47:
                call = await place(floor, eight, reserved=Decimal(3))
            made += [call] if call else []
        return made

    calls = [call for each in await asyncio.gather(*(server() for _ in range(8))) for call in each]
    assert len(calls) == 16
    assert (await load_of(floor)).spent == (await load_of(floor, t.tenant_load)).spent == 48
    async with floor.database.tenant(TENANT) as conn:  # at 1.5 a minute: nothing, a minute, ten minutes
        ended = [loads.Ended(call.attempt_id) for call in calls[:14]]
        ended += [loads.Ended(calls[14].attempt_id, 60.0), loads.Ended(calls[15].attempt_id, 600.0)]
        await loads.give_back(conn, TENANT, ended)
    for table in (t.trunk_load, t.tenant_load):
        load = await load_of(floor, table)
        assert (load.channels, load.spent) == (0, Decimal("16.5"))
    assert (await floor.row(t.attempt, calls[14].attempt_id)).cost == Decimal("1.5")


async def test_a_line_is_given_back_once(floor: Floor, eight: Database) -> None:
    """However many servers say at once that the call has ended."""
    await limit(floor, max_channels=10, max_cps=500)
    calls = [call for call in [await place(floor, eight) for _ in range(3)] if call]
    assert (await load_of(floor)).channels == len(calls) == 3

    async def ended() -> None:
        async with eight.tenant(TENANT) as conn:
            await loads.give_back(conn, TENANT, [loads.Ended(calls[0].attempt_id)])

    await asyncio.gather(*(ended() for _ in range(8)))
    assert (await load_of(floor)).channels == 2


async def test_calls_of_several_trunks_end_and_answer_together(floor: Floor, eight: Database) -> None:
    """Each trunk gets its own lines back and hears its own calls, the tenant all; who frees the one and hears
    of the other waits for nobody who does it the other way round."""
    async with floor.database.tenant(TENANT) as conn:
        second = await conn.scalar(
            insert(t.trunk)
            .values(
                tenant_id=TENANT, name="b", endpoint="b", caller_id="+74950000001", allowed_prefixes=["+7"]
            )
            .returning(t.trunk.c.id)
        )
    assert second is not None
    floors = [floor, replace(floor, trunk_id=second)]
    for each in floors:
        await limit(each, max_channels=100, max_cps=500)
    async with floor.database.tenant(TENANT) as conn:  # not known to work: what is answered is heard
        await conn.execute(update(t.trunk_load).values(faults=1, fault_share=0.4))

    async def server(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(10):
            calls = [await place(each, eight) for each in floors]
            freed, heard = rng.sample([call.attempt_id for call in calls if call is not None], 2)
            async with eight.tenant(TENANT) as conn:
                await loads.give_back(conn, TENANT, [loads.Ended(freed)], [heard])
            said = [loads.Ended(heard, said=FAULT)] if rng.random() < 0.1 else [loads.Ended(heard)]
            async with eight.tenant(TENANT) as conn:
                await loads.give_back(conn, TENANT, said, [freed, heard])

    await asyncio.gather(*(server(seed) for seed in range(8)))
    async with floor.database.tenant(TENANT) as conn:
        rows = (await conn.execute(select(t.trunk_load).order_by(t.trunk_load.c.trunk_id))).all()
    assert [(row.trunk_id, row.channels) for row in rows] == [(floor.trunk_id, 0), (second, 0)]
    assert all(row.fault_share < 0.2 for row in rows)
    assert (await load_of(floor, t.tenant_load)).channels == 0


async def test_what_is_rolled_back_was_never_taken(floor: Floor) -> None:
    """A server that dies between taking a line and its commit has taken none."""
    await limit(floor, max_channels=10, max_cps=500)
    with pytest.raises(ZeroDivisionError):
        async with floor.database.tenant(TENANT) as conn:
            assert await loads.take_of_trunk(conn, TENANT, floor.trunk_id, [Decimal(0)]) == 1
            raise ZeroDivisionError
    assert (await load_of(floor)).channels == 0


async def test_the_journal_gives_the_line_back_with_the_end(floor: Floor) -> None:
    """In the transaction of the end, whatever comes twice; the cost is what was answered."""
    await limit(floor, max_channels=10, max_cps=500)
    call = await place(floor, floor.database, reserved=Decimal(2))
    assert call is not None
    await floor.signals(call, Rang(utc_now()))
    assert (await load_of(floor)).channels == 1
    end = HungUp(utc_now(), result=Result.BUSY, cause=17, sip_code=486)
    for _ in range(2):  # the second time as a server that knows nothing of the first
        await floor.signals(call, end)
    assert (await load_of(floor)) == replace(await load_of(floor), channels=0, spent=Decimal(0))
    row = await floor.row(t.attempt, call.attempt_id)
    assert (row.holds_line, row.cost, row.trunk_fault) == (False, 0, False)


async def test_a_reserve_of_yesterday_is_not_taken_off_today(floor: Floor) -> None:
    """A call over midnight costs the day on which it ends."""
    await limit(floor, max_channels=10, max_cps=500)
    call = await place(floor, floor.database, reserved=Decimal(4))
    assert call is not None
    async with floor.database.tenant(TENANT) as conn:  # as if it had been placed yesterday
        for table in (t.trunk_load, t.tenant_load):
            await conn.execute(update(table).values(spend_day=table.c.spend_day - 1, spent=70))
        await conn.execute(update(t.attempt).values(reserved_on=t.attempt.c.reserved_on - 1))
        await loads.give_back(conn, TENANT, [loads.Ended(call.attempt_id, 90.0)])
    for table in (t.trunk_load, t.tenant_load):
        assert (await load_of(floor, table)).spent == 3


async def test_faults_make_a_trunk_bad_for_every_server(floor: Floor) -> None:
    """Five calls that the carrier fails: no further line but that of a probe, and an event; an answer of the
    probe makes it good again."""
    await limit(floor, max_channels=10, max_cps=500)
    calls = [call for call in [await place(floor, floor.database) for _ in range(6)] if call]
    for call in calls[:5]:
        async with floor.database.tenant(TENANT) as conn:
            await loads.give_back(conn, TENANT, [loads.Ended(call.attempt_id, said=FAULT)])
    assert (await load_of(floor)).bad
    assert await place(floor, floor.database) is None
    async with floor.database.tenant(TENANT) as conn:
        await loads.give_back(conn, TENANT, [], [calls[5].attempt_id])  # under way when it was found bad
        await conn.execute(update(t.trunk_load).values(probe_at=text("clock_timestamp()")))
    assert (await load_of(floor)).bad
    probe = await place(floor, floor.database)
    assert probe is not None
    assert await place(floor, floor.database) is None
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.attempt).where(t.attempt.c.id == probe.attempt_id).values(probe=True))
        await loads.give_back(conn, TENANT, [], [probe.attempt_id])
        assert await loads.take_of_trunk(conn, TENANT, floor.trunk_id, [Decimal(0)] * 3) == 3
        told = await conn.scalars(
            select(t.event.c.payload).where(t.event.c.kind == "trunk.state").order_by(t.event.c.id)
        )
    assert [(each["trunk_id"], each["health"], each["why"]) for each in told] == [
        (floor.trunk_id, "bad", "503"),
        (floor.trunk_id, "good", None),
    ]


async def test_the_dearest_tariff_breaks_no_end_of_a_call(floor: Floor) -> None:
    """A talk of a day at the highest price that the API takes is booked like any other."""
    await limit(floor, max_channels=10_000, max_cps=500)
    call = await place(floor, floor.database, reserved=Decimal(2_000_000))
    assert call is not None
    async with floor.database.tenant(TENANT) as conn:
        await loads.give_back(conn, TENANT, [loads.Ended(call.attempt_id, 86_400.0)])
    assert (await load_of(floor)).spent == 1_440_000_000


async def test_tariffs_are_found_by_the_longest_prefix(floor: Floor) -> None:
    """One question for all numbers and trunks."""
    async with floor.database.tenant(TENANT) as conn:
        for prefix, price in (("+7", 1), ("+7916", 2), ("+8", 9)):
            await conn.execute(
                insert(t.trunk_rate).values(
                    tenant_id=TENANT, trunk_id=floor.trunk_id, prefix=prefix, per_minute=price
                )
            )
        trunk = Trunk(floor.trunk_id, "carrier", "carrier", "+74950000000", 1, 1.0, ("+7",))
        (trunk,), book = await loads.read(conn, TENANT, [trunk])
        found = await loads.rates(conn, TENANT, [trunk], ["+79161234567", "+79991234567", "+12025550123"])
    assert trunk.priced
    assert trunk.max_channels == 30
    assert not book.loads[trunk.id].channels
    prices = {number: (rate := rates[trunk.id]) and rate.per_minute for number, rates in found.items()}
    assert prices == {"+79161234567": 2, "+79991234567": 1, "+12025550123": None}
