"""The call log: calls that we make and calls that came in, in one order."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from sqlalchemy import insert
from sqlalchemy.event import listen, remove
from support.came import CALLER, came_in, number_of
from support.floor import TENANT, Floor, seated
from support.web import Web, serving

from dialer.calls import call_log, card, proofs_http
from dialer.calls import http as calls_http
from dialer.calls.call_log import CallRow, Filter
from dialer.calls.commands import CommandDesk
from dialer.calls.model import Direction
from dialer.calls.proofs import Proofs
from dialer.calls.service import CallService
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.listen import REPLIES, Listener
from dialer.db.session import Database, connect
from dialer.httpkit.access import Role
from dialer.ids import new_id
from dialer.settings import load

MORNING = datetime.fromisoformat("2026-03-02T06:00:00+00:00")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application; no engine."""
    desk = CommandDesk(database, Listener(database_url, (REPLIES,)))
    services: dict[web.AppKey[Any], Any] = {
        calls_http.CALLS: CallService(database, desk, load()),
        proofs_http.PROOFS: Proofs(database),
    }
    tables = [calls_http.routes, proofs_http.routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


async def called(floor: Floor, at: datetime, **columns: Any) -> UUID:
    """A call of ours, to CALLER unless told else."""
    call_id = new_id()
    values = {
        "tenant_id": TENANT, "id": call_id, "campaign_id": floor.campaign_id, "e164": CALLER,
        "trunk_id": floor.trunk_id, "caller_id": "+74950000000", "mode": "power", "policy": "default/1",
        "state": "ended", "result": "busy", "created_at": at, "ended_at": at,
    }  # fmt: skip
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(insert(t.attempt).values(values | columns))
    return call_id


async def came(floor: Floor, at: datetime, **columns: Any) -> UUID:
    """A call that came in."""
    async with floor.database.tenant(TENANT) as conn:
        return await came_in(conn, floor.campaign_id, at, **columns)


async def pages(floor: Floor, which: Filter, limit: int, *, oldest_first: bool = False) -> list[CallRow]:
    """All calls, page by page."""
    found: list[CallRow] = []
    after = None
    async with floor.database.tenant(TENANT) as conn:
        while True:
            rows = await call_log.page(
                conn, TENANT, which, after=after, limit=limit, oldest_first=oldest_first
            )
            found += rows
            if len(rows) < limit:
                return found
            after = rows[-1].created_at, rows[-1].id


async def test_both_directions_stand_in_one_order(floor: Floor) -> None:
    """Page by page each call once, newest first and oldest first, also many of one moment."""
    made = []
    for n in range(8):
        at = MORNING + MINUTE * (n // 4)  # several at once
        made.append((at, await (came if n % 3 else called)(floor, at)))
    made.sort()
    for limit in (1, 3, 8, 50):
        rows = await pages(floor, Filter(), limit)
        assert [(row.created_at, row.id) for row in rows] == made[::-1]
        rows = await pages(floor, Filter(), limit, oldest_first=True)
        assert [(row.created_at, row.id) for row in rows] == made


async def test_a_call_that_came_in_says_its_queue_wait_and_reason(floor: Floor) -> None:
    """The wait is that until the agent, or until the caller left; an attempt has none."""
    seat = await floor.seat()
    later = {"answered": 30, "left": 12}
    ids = {}
    for result, wait_s in later.items():
        met = {"connected_at": MORNING + timedelta(seconds=10 + wait_s)} if result == "answered" else {}
        ids[result] = await came(
            floor,
            MORNING,
            result="answered" if met else "abandoned",
            queue="sales",
            reason="price",
            queued_at=MORNING + timedelta(seconds=10),
            hung_up_at=MORNING + timedelta(seconds=10 + wait_s + (60 if met else 0)),
            agent_id=seat.agent_id if met else None,
            **met,
        )
    ours = await called(floor, MORNING)
    rows = {row.id: row for row in await pages(floor, Filter(), 50)}
    talk, lost, attempt = rows[ids["answered"]], rows[ids["left"]], rows[ours]
    assert (talk.direction, talk.queue, talk.reason, talk.wait_s) == ("inbound", "sales", "price", 30)
    assert (talk.agent_id, talk.talk_s, lost.wait_s, lost.talk_s) == (seat.agent_id, 60, 12, None)
    assert (attempt.direction, attempt.queue, attempt.wait_s) == ("outbound", None, None)


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Filter(direction=Direction.INBOUND), ["abandoned", "contained", "answered"]),
        (Filter(direction=Direction.OUTBOUND), ["ours", "ours busy"]),
        (Filter(queue="sales"), ["abandoned"]),
        (Filter(queue="sales", direction=Direction.OUTBOUND), []),
        (Filter(result="answered"), ["answered", "ours"]),
        (Filter(result="contained"), ["contained"]),
        (Filter(result="busy"), ["ours busy"]),
        (Filter(e164="+79990000000"), ["answered"]),
        (Filter(since=MORNING + MINUTE * 2), ["answered", "ours", "ours busy"]),
        (Filter(until=MORNING + MINUTE), ["abandoned"]),
        (Filter(campaign_id=-1), []),
    ],
)
async def test_the_log_is_filtered(floor: Floor, which: Filter, found: Sequence[str]) -> None:
    """By direction, queue, result of either kind, number and time; both kinds of calls alike."""
    names = {
        await came(floor, MORNING, result="abandoned", queue="sales"): "abandoned",
        await came(floor, MORNING + MINUTE, result="contained"): "contained",
        await came(floor, MORNING + MINUTE * 2, result="answered", e164="+79990000000"): "answered",
        await called(floor, MORNING + MINUTE * 3, result="answered"): "ours",
        await called(floor, MORNING + MINUTE * 4): "ours busy",
    }
    rows = await pages(floor, which, 2, oldest_first=True)
    assert [names[row.id] for row in rows] == found


async def test_the_log_over_http(floor: Floor, site: Web) -> None:
    """Both kinds by the API and as CSV; an agent sees the own talks of both kinds, with masked numbers, and
    proofs are those of calls that we make."""
    boss = await site.program(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    own = await came(floor, MORNING, result="answered", queue="sales", reason="price", agent_id=seat.agent_id)
    other = await came(floor, MORNING + MINUTE, result="contained")
    ours = await called(floor, MORNING + MINUTE * 2)
    log = (await boss.call("GET", "~/calls")).json["items"]
    assert [one["id"] for one in log] == [str(ours), str(other), str(own)]
    assert [one["direction"] for one in log] == ["outbound", "inbound", "inbound"]
    assert (log[2]["queue"], log[2]["reason"], log[2]["number"]) == ("sales", "price", CALLER)
    seen = (await agent.call("GET", "~/calls")).json["items"]
    assert [(one["id"], one["number"]) for one in seen] == [(str(own), "+*********33")]
    for wrong in ("direction=up", "queue=", "result=lost"):
        assert (await boss.call("GET", f"~/calls?{wrong}")).status == 422
    text = (await boss.call("GET", "~/calls.csv?direction=inbound")).text.removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["direction"], row["queue"], row["result"], row["reason"]) for row in rows] == [
        ("inbound", "sales", "answered", "price"),
        ("inbound", "", "contained", ""),
    ]
    proofs = (await boss.call("GET", "~/evidence.csv")).text
    assert (str(ours) in proofs, str(own) in proofs) == (True, False)
    assert (await boss.call("GET", f"~/calls/{own}/evidence")).status == 404
    details = await boss.call("GET", f"~/calls/{other}")
    assert (details.status, details.json["result"]) == (200, "contained")


async def test_a_card_shows_earlier_calls_of_both_directions(floor: Floor) -> None:
    """Newest first; who withheld the number has no earlier ones."""
    first = await called(floor, MORNING)
    then = await came(floor, MORNING + MINUTE, reason="price")
    this = await came(floor, MORNING + MINUTE * 2)
    await came(floor, MORNING, e164="")
    async with floor.database.tenant(TENANT) as conn:
        earlier = await card.earlier(conn, TENANT, CALLER, but=this)
        assert await card.earlier(conn, TENANT, "") == []
        assert await card.person(conn, TENANT, None, "", whole=True) is None
    assert [(one.attempt_id, one.direction, one.reason) for one in earlier] == [
        (then, "inbound", "price"),
        (first, "outbound", None),
    ]


async def test_no_page_of_the_log_reads_a_whole_table(
    floor: Floor, database_url: str, owner_url: str
) -> None:
    """Of neither kind of calls, under row security."""
    seat = await floor.seat()
    async with floor.database.tenant(TENANT) as conn:
        number_id, flow_id = await number_of(conn, floor.campaign_id)
    owner = await connect(owner_url)
    try:
        await owner.execute(
            """
            INSERT INTO attempt (
                tenant_id, id, campaign_id, e164, trunk_id, caller_id, mode, policy, state, result,
                created_at, ended_at
            )
            SELECT 1, gen_random_uuid(), $1, '+7495' || n, $2, '+7495', 'power', 'default/1', 'ended',
                   'busy', now() - n * interval '1 second', now()
              FROM generate_series(1, 20000) n
            """,
            floor.campaign_id,
            floor.trunk_id,
        )
        await owner.execute(
            """
            INSERT INTO inbound_call (
                tenant_id, id, number_id, dialled, flow_id, flow_version, campaign_id, e164, node, channel,
                state, result, created_at, answered_at, ended_at
            )
            SELECT 1, gen_random_uuid(), $2, '7495', $3, 1, $1, '+7495' || n, 'main', 'x' || n, 'ended',
                   'left', now() - n * interval '1 second', now(), now()
              FROM generate_series(1, 20000) n
            """,
            floor.campaign_id,
            number_id,
            flow_id,
        )
        await owner.execute("ANALYZE attempt, inbound_call")
    finally:
        await owner.close()
    asked: list[tuple[str, tuple[Any, ...]]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: tuple[Any, ...], *_: Any) -> None:
        asked.append((statement, parameters))

    engine = floor.database.engine.sync_engine
    listen(engine, "before_cursor_execute", note)
    filters = (
        Filter(),
        Filter(agent_id=seat.agent_id),
        Filter(campaign_id=floor.campaign_id),
        Filter(e164="+74959"),
        Filter(direction=Direction.INBOUND, result="left"),
    )
    try:
        async with floor.database.tenant(TENANT) as conn:
            for which in filters:
                after = utc_now() - timedelta(hours=1), new_id()
                await call_log.page(conn, TENANT, which, after=after, limit=51)
    finally:
        remove(engine, "before_cursor_execute", note)
    assert len(asked) == len(filters)
    app = await connect(database_url)
    try:
        await app.execute("SELECT set_config('dozvon.tenant', '1', false)")
        for statement, parameters in asked:
            plan = "\n".join(row[0] for row in await app.fetch(f"EXPLAIN {statement}", *parameters))
            assert "Seq Scan on attempt" not in plan, plan
            assert "Seq Scan on inbound_call" not in plan, plan
    finally:
        await app.close()
