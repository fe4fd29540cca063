"""Figures of queues, counted in the database as the plain rules count them."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import AsyncIterator
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert
from support.came import came_in
from support.floor import TENANT, Floor
from support.plans import steps
from support.web import Web, serving

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.queues import figures, figures_http
from dialer.queues.figures import QueueFigures, count_stays
from dialer.queues.service_level import Counts, Ended, Interval, Stay, Target, by_interval
from dialer.reports import live_store

#: How a stay's end in the database counts.
ENDS = {
    None: Ended.WAITING, "answered": Ended.ANSWERED, "abandoned": Ended.ABANDONED,
    "voicemail": Ended.VOICEMAIL, "callback": Ended.CALLBACK, "timeout": Ended.OVERFLOWED,
    "full": Ended.OVERFLOWED, "empty": Ended.OVERFLOWED, "overflow": Ended.OVERFLOWED,
    "key": Ended.OVERFLOWED, "lost": Ended.OVERFLOWED,
}  # fmt: skip
#: The clocks are put back in it.
NIGHT = datetime(2026, 10, 24, 20, tzinfo=UTC)
BOSS = Actor(TENANT, None, Role.SUPERVISOR, "Supervisor", "en")


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application; no engine."""
    services = {figures_http.QUEUE_FIGURES: QueueFigures(database)}
    tables = [figures_http.routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


async def add_queue(floor: Floor, name: str, target: Target) -> int:
    """A queue with this target."""
    async with floor.database.tenant(TENANT) as conn:
        made = await conn.scalar(
            insert(t.queue)
            .values(
                tenant_id=TENANT,
                name=name,
                target_s=target.target_s,
                short_abandon_s=target.short_abandon_s,
            )
            .returning(t.queue.c.id)
        )
    assert isinstance(made, int)
    return made


def stay(call_id: UUID, n: int, queue_id: int | None, name: str, at: datetime, **more: Any) -> dict[str, Any]:
    """A row of a stay."""
    row = {"tenant_id": TENANT, "call_id": call_id, "n": n, "queue_id": queue_id, "queue": name, "since": at}
    return row | {"priority": 5, "entered_at": at, "left_at": None, "ended": None, "agent_id": None} | more


def rounded(counts: Counts) -> tuple[float, ...]:
    """The counts, sums of seconds to the millisecond."""
    return tuple(round(value, 3) for value in astuple(counts))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"])
async def test_the_database_counts_as_the_plain_rules_do(floor: Floor, seed: int, zone: str) -> None:
    """Every count and sum, by queue and interval of each length, in zones whose clocks are changed; waits of
    exactly the target are within it; a queue that is gone has the usual target under its old name."""
    dice, seat = random.Random(seed), await floor.seat()
    targets = {1: Target(20, 5), 2: Target(7.0, 3)}
    ids = {n: await add_queue(floor, f"queue {n}", target) for n, target in targets.items()}
    targets[3] = Target()
    now = NIGHT + timedelta(hours=20)
    rows, stays = [], []
    async with floor.database.tenant(TENANT) as conn:
        call_id = await came_in(conn, floor.campaign_id, NIGHT)
        for n in range(400):
            which, ended = dice.randrange(1, 4), dice.choice(list(ENDS))
            at = NIGHT + timedelta(seconds=dice.choice((dice.randrange(68_400), dice.randrange(19) * 3600)))
            if ended is None:
                at = now - timedelta(seconds=dice.choice((3, 7, 20, 21, 300)))
            left_at = at + timedelta(seconds=dice.choice((0, 2, 3, 5, 7, 20, dice.uniform(0, 90))))
            over = {"left_at": left_at, "ended": ended} if ended else {}
            agent = {"agent_id": seat.agent_id} if ended == "answered" else {}
            rows.append(stay(call_id, n, ids.get(which), f"queue {which}", at, **over, **agent))
            kind = ENDS[ended]
            met = kind is Ended.ANSWERED
            stays.append(
                Stay(which, at, left_at if met else None, left_at if ended and not met else None, kind)
            )
        await conn.execute(insert(t.queue_stay), rows)
        for interval in Interval:
            found = await count_stays(
                conn, TENANT, NIGHT, NIGHT + timedelta(days=1), now, interval, ZoneInfo(zone)
            )
            plain = by_interval(stays, targets, now, interval=interval, zone=ZoneInfo(zone))
            assert {key: rounded(counts) for key, counts in found.items()} == {
                (f"queue {queue}", start): rounded(counts) for (queue, start), counts in plain.items()
            }


async def test_figures_over_http(floor: Floor, site: Web) -> None:
    """By queue and interval with totals, every formula, containment and reasons; as CSV; for supervisors."""
    seat = await floor.seat()
    queue_id = await add_queue(floor, "=Sales", Target(20, 5))
    begin = utc_now() - timedelta(hours=3)
    async with floor.database.tenant(TENANT) as conn:
        talk = await came_in(conn, floor.campaign_id, begin, result="answered", reason="price")
        for result in ("contained", "contained", "left", "failed"):
            await came_in(conn, floor.campaign_id, begin, result=result)
        for n, (wait_s, ended) in enumerate(((10, "answered"), (30, "answered"), (2, "abandoned"))):
            over = {"left_at": begin + timedelta(seconds=wait_s), "ended": ended}
            agent = {"agent_id": seat.agent_id} if ended == "answered" else {}
            one = stay(talk, n, queue_id, "=Sales", begin, **over, **agent)
            await conn.execute(insert(t.queue_stay).values(one))
        late = stay(talk, 9, None, "gone", begin + timedelta(hours=2), ended="timeout")
        await conn.execute(insert(t.queue_stay).values(late | {"left_at": late["entered_at"]}))
    boss, agent_there = await site.program(Role.SUPERVISOR), await site.program(Role.OPERATOR)
    span = f"from={(begin - timedelta(minutes=1)).isoformat().replace('+00:00', 'Z')}"
    said = (await boss.call("GET", f"~/figures/queues?{span}&interval=15")).json
    assert [(row["queue"], row["offered"]) for row in said["rows"]] == [("=Sales", 3), ("gone", 1)]
    sales = said["queues"][0]
    assert (sales["answered"], sales["short_abandoned"], sales["asa_s"]) == (2, 1, 20)
    assert (sales["service_level"], sales["service_levels"]["icmi_2"]) == (pytest.approx(1 / 3), 0.5)
    assert (said["total"]["offered"], said["total"]["overflowed"]) == (4, 1)
    assert (said["containment"], said["reasons"]) == (0.5, {"price": 1})
    (told,) = said["flows"]
    assert (told["entered"], told["contained"], told["containment"]) == (4, 2, 0.5)
    assert (
        datetime.fromisoformat(told["start"])
        <= begin
        < datetime.fromisoformat(told["start"]) + timedelta(minutes=15)
    )
    only = (await boss.call("GET", f"~/figures/queues?{span}&queue=gone")).json
    assert [row["queue"] for row in only["rows"]] == ["gone"]
    lines = list(csv.DictReader(io.StringIO((await boss.call("GET", f"~/figures/queues.csv?{span}")).text)))
    assert [line["offered"] for line in lines] == ["3", "1"]
    assert "'=Sales" in str(lines[0])
    for wrong in ("interval=7", "from=2020-01-01T00:00:00Z", "from=2099-01-01T00:00:00Z"):
        assert (await boss.call("GET", f"~/figures/queues?{wrong}")).status == 422
    assert (await agent_there.call("GET", "~/figures/queues")).status == 403


async def test_of_a_long_past_the_day_alone_is_read(floor: Floor) -> None:
    """By an index, or figures would take longer from day to day."""
    queue_id = await add_queue(floor, "sales", Target())
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    async with floor.database.tenant(TENANT) as conn:
        call_id = await came_in(conn, floor.campaign_id, begin)
        rows = [
            stay(call_id, n, queue_id, "sales", begin + timedelta(minutes=10 * n), ended="abandoned")
            for n in range(10 * 144)
        ]
        many = [row | {"left_at": row["entered_at"] + timedelta(seconds=30)} for row in rows]
        await conn.execute(insert(t.queue_stay), many)
    async with floor.database.tenant(TENANT) as conn:
        await conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        day = {"since": begin + timedelta(days=3), "until": begin + timedelta(days=4), "now": utc_now()}
        (plan,) = await figures.COUNTS.explain(conn, tenant_id=TENANT, target_s=20.0, short_s=5.0, **day)
    (read,) = [step for step in steps(plan["Plan"]) if step.get("Relation Name") == "queue_stay"]
    assert (read["Actual Rows"], read.get("Rows Removed by Filter", 0)) == (144, 0)
    assert "entered_at" in read["Index Cond"]


async def test_the_board_has_those_who_wait(floor: Floor) -> None:
    """By queue, with the one who waits longest, and who has kept a place; who has left is not there."""
    now = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        call_id = await came_in(conn, floor.campaign_id, now)
        for n, (name, ago_s) in enumerate((("a", 5), ("a", 50), ("b", 7))):
            one = stay(call_id, n, None, name, now - timedelta(seconds=ago_s))
            await conn.execute(insert(t.queue_stay).values(one))
        gone = stay(call_id, 9, None, "a", now - timedelta(hours=1), ended="key", left_at=now)
        await conn.execute(insert(t.queue_stay).values(gone))
        for name in ("a", "c"):
            call = await came_in(conn, floor.campaign_id, now)
            place = {
                "tenant_id": TENANT, "call_id": call, "queue": name, "campaign_id": floor.campaign_id,
                "e164": f"+7916000000{ord(name)}", "priority": 5, "since": now, "kept_at": now,
            }  # fmt: skip
            await conn.execute(insert(t.kept_place).values(place))
        waiting = await live_store.waiting_callers(conn, TENANT)
    longest = {one.queue: one.since and (now - one.since).total_seconds() for one in waiting}
    assert longest == {"a": 50, "b": 7, "c": None}
    assert [(one.many, one.kept) for one in waiting] == [(2, 1), (1, 0), (0, 1)]
