"""Calls as people look at them: the log by pages and as CSV, a card, a recording; and how the log is read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.event import listen, remove
from support.fake_engine import FakeEngine, asked_by_a_desk, wrapped_up
from support.floor import TENANT, Floor, seated
from support.plans import steps
from support.web import Web, serving

from dialer.agents import store as agents
from dialer.calls import call_log, wrapup_store
from dialer.calls import http as calls_http
from dialer.calls.call_log import Filter
from dialer.calls.commands import CommandDesk
from dialer.calls.model import Call, HungUp, Result
from dialer.calls.service import CallService
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.httpkit.access import Role
from dialer.ids import new_id
from dialer.recordings import http as recordings_http
from dialer.recordings.service import RecordingService
from dialer.settings import load


@pytest.fixture
async def engine(database: Database, database_url: str) -> AsyncIterator[tuple[FakeEngine, CommandDesk]]:
    """A fake engine that is running, and the desk that asks it."""
    async with asked_by_a_desk(database, database_url) as both:
        yield both


@pytest.fixture
def service(database: Database, engine: tuple[FakeEngine, CommandDesk]) -> CallService:
    """What can be done with calls."""
    return CallService(database, engine[1], load())


@pytest.fixture
async def site(
    database: Database, database_url: str, service: CallService, tmp_path: Path
) -> AsyncIterator[Web]:
    """The web process with calls and recordings."""
    async with serving(
        database,
        database_url,
        tables=[calls_http.routes, recordings_http.routes],
        services={
            calls_http.CALLS: service,
            recordings_http.RECORDINGS: RecordingService(database, tmp_path / "recordings"),
        },
    ) as running:
        yield running


async def test_the_log_by_pages(floor: Floor, site: Web) -> None:
    """Supervisors see all attempts, newest first, page by page and filtered; agents those of their talks,
    with masked numbers."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    leads = await floor.leads(5)
    calls = [await floor.place(lead_id) for lead_id in leads[:4]]
    await floor.signals(calls[0], HungUp(utc_now(), result=Result.BUSY))
    talk = await floor.talk(seat, leads[4])

    seen, cursor = [], ""
    while True:
        page = (await boss.call("GET", f"~/calls?limit=2{cursor}")).json
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [str(call.attempt_id) for call in (talk, *reversed(calls))]
    busy = (await boss.call("GET", "~/calls?result=busy")).json["items"]
    assert [(one["id"], one["number"]) for one in busy] == [(str(calls[0].attempt_id), "+79160000000")]
    one = (await boss.call("GET", "~/calls?number=8(916)000-00-02")).json["items"]
    assert [each["lead_id"] for each in one] == [leads[2]]
    assert (await boss.call("GET", f"~/calls?agent={seat.agent_id}")).json["items"][0]["id"] == seen[0]
    assert (await boss.call("GET", "~/calls?until=2020-01-01T00:00:00Z")).json["items"] == []
    assert (await boss.call("GET", "~/calls?result=nice")).status == 422
    own = (await agent.call("GET", "~/calls")).json["items"]
    assert [(each["id"], each["number"]) for each in own] == [(str(talk.attempt_id), "+7916*****04")]


async def test_one_call_and_its_card(floor: Floor, site: Web) -> None:
    """The card of a talk names the person and the choices; the call shows its steps, not to strangers."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    stranger, _ = await seated(site, floor)
    assert (await agent.call("GET", "~/agents/me/card")).json == {"card": None}
    (lead_id,) = await floor.leads(1)
    talk = await floor.talk(seat, lead_id)
    card = (await agent.call("GET", "~/agents/me/card")).json["card"]
    assert card["person"]["last_name"] == "Петров0"
    assert card["person"]["phones"] == [{"number": "+7916*****00", "kind": "mobile"}]
    assert [one["code"] for one in card["choices"]] == ["sale", "callback", "no-contact", "do-not-call"]
    details = (await boss.call("GET", f"~/calls/{talk.attempt_id}")).json
    assert details["number"] == details["card"]["number"] == "+79160000000"
    assert [one["what"] for one in details["timeline"]] == ["created", "answered", "assigned", "connected"]
    assert (await stranger.call("GET", f"~/calls/{talk.attempt_id}")).status == 403
    assert (await boss.call("GET", f"~/calls/{new_id()}")).status == 404

    await floor.hang_up(talk)
    saved = await agent.call("PUT", f"~/calls/{talk.attempt_id}/disposition", {"code": "sale", "note": "да"})
    assert saved.status == 200, saved.text
    assert saved.json["disposition"]["note"] == "да"
    again = {"code": "callback", "callback_at": (utc_now() + timedelta(days=1)).isoformat()}
    assert (await agent.call("PUT", f"~/calls/{talk.attempt_id}/disposition", again)).status == 200
    assert (await agent.call("GET", "~/agents/me/card")).json == {"card": None}


async def test_the_log_as_csv(floor: Floor, site: Web, service: CallService) -> None:
    """Every attempt once over more than one piece, headers in the reader's language, formulas defused."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    call = await wrapped_up(floor, seat, lead_id)
    await service.dispose(seat.actor, call.attempt_id, "sale", '=HYPERLINK("http://x")\n+1')
    async with floor.database.tenant(TENANT) as conn:
        many = [
            {
                "tenant_id": TENANT,
                "id": new_id(),
                "campaign_id": floor.campaign_id,
                "e164": f"+7495{n:07}",
                "trunk_id": floor.trunk_id,
                "caller_id": "+74950000000",
                "mode": "power",
                "policy": "default/1",
                "state": "ended",
                "result": "busy",
                # Many of one moment: the pieces must not lose or repeat any.
                "created_at": datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
                "ended_at": utc_now(),
            }
            for n in range(2500)
        ]
        await conn.execute(insert(t.attempt), many)
    reply = await boss.call("GET", "~/calls.csv")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.text.removeprefix("\ufeff"))))
    assert len(rows) == len({row["id"] for row in rows}) == 2501
    talk = rows[-1]
    assert (talk["e164"], talk["result"], talk["disposition"]) == ("+79160000000", "answered", "sale")
    assert talk["disposition_note"].startswith("'=HYPERLINK")
    assert (await agent.call("GET", "~/calls.csv")).status == 403
    old = await boss.call("GET", "~/calls.csv?from=2026-01-02T00:00:00Z&result=answered")
    assert len(old.text.strip().split("\r\n")) == 2
    pieces = [piece async for piece in service.log_file(await floor.user(Role.SUPERVISOR), Filter(), "ru")]
    assert pieces[0].decode("utf-8-sig").startswith("Звонок,Создан,Кампания")


async def test_an_analyst_takes_the_log_out_without_people(
    floor: Floor, site: Web, service: CallService
) -> None:
    """The calls with their times, results, agents and dispositions; no name, no whole number, no word, and no
    search for a number. The download is in the log of changes."""
    analyst = await site.browser(Role.ANALYST)
    _, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    call = await wrapped_up(floor, seat, lead_id)
    await service.dispose(seat.actor, call.attempt_id, "sale", "ask for Maria")
    reply = await analyst.call("GET", "~/calls.csv")
    (row,) = csv.DictReader(io.StringIO(reply.text.removeprefix("\ufeff")))
    assert (row["result"], row["disposition"], row["agent"]) == ("answered", "sale", seat.actor.name)
    assert row["e164"].lstrip("'") == "+*********00"
    assert {row[name] for name in ("last_name", "first_name", "disposition_note", "collected")} == {""}
    assert (await analyst.call("GET", "~/calls.csv?number=%2B79160000000")).status == 403
    assert (await analyst.call("GET", "~/calls")).status == 403
    async with floor.database.tenant(TENANT) as conn:
        by = await conn.scalar(select(t.audit.c.user_id).where(t.audit.c.action == "calls.export"))
    assert analyst.user is not None
    assert by == analyst.user.id


async def test_listening(floor: Floor, site: Web, tmp_path: Path) -> None:
    """A whole recording is played, also in parts, to its agent and to supervisors; nothing outside the folder
    ever is."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    stranger, _ = await seated(site, floor)
    folder = tmp_path / "recordings"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026/talk.wav").write_bytes(bytes(range(200)))
    (tmp_path / "secret.wav").write_bytes(b"secret")
    talks = [await wrapped_up(floor, seat) for _ in range(1)]

    async def recorded(call: Call, path: str, status: str) -> str:
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(t.recording.delete())
            await conn.execute(
                insert(t.recording).values(
                    tenant_id=TENANT,
                    attempt_id=call.attempt_id,
                    path=path,
                    status=status,
                    started_at=utc_now(),
                )
            )
        return f"~/calls/{call.attempt_id}/recording"

    url = await recorded(talks[0], "2026/talk.wav", "writing")
    assert (await boss.call("GET", url)).status == 409
    await recorded(talks[0], "2026/talk.wav", "whole")
    for caller in (boss, agent):
        async with caller.http.get(
            caller.url + "/api/v1" + url[1:], headers={**caller.headers, "Range": "bytes=10-19"}
        ) as part:
            assert part.status == 206
            assert part.headers["Content-Type"] == "audio/wav"
            assert await part.read() == bytes(range(10, 20))
    assert (await stranger.call("GET", url)).status == 403
    details = (await agent.call("GET", f"~/calls/{talks[0].attempt_id}")).json
    assert details["recording_url"] == f"/api/v1{url[1:]}"
    for path in ("../secret.wav", str(tmp_path / "secret.wav"), "2026/none.wav", "2026"):
        await recorded(talks[0], path, "whole")
        assert (await boss.call("GET", url)).status == 404


async def test_the_questions_asked_often_use_an_index(
    floor: Floor, database_url: str, owner_url: str
) -> None:
    """Under row security the log, what is owed and overdue wrap-ups read no whole table of attempts."""
    owner = await connect(owner_url)
    try:
        await owner.execute(
            """
            INSERT INTO attempt (
                tenant_id, id, campaign_id, e164, trunk_id, caller_id, mode, policy, state, result,
                created_at, ended_at, connected_at, hung_up_at, disposed_at, session_id
            )
            SELECT 1, gen_random_uuid(), $1, '+7495' || n, $2, '+7495', 'power', 'default/1', 'ended',
                   'answered', now() - n * interval '1 second', now(), now(), now(), now(),
                   gen_random_uuid()
              FROM generate_series(1, 20000) n
            """,
            floor.campaign_id,
            floor.trunk_id,
        )
        await owner.execute("ANALYZE attempt")
    finally:
        await owner.close()
    asked: list[tuple[str, tuple[Any, ...]]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: tuple[Any, ...], *_: Any) -> None:
        asked.append((statement, parameters))

    seat = await floor.seat()
    engine = floor.database.engine.sync_engine
    listen(engine, "before_cursor_execute", note)
    try:
        async with floor.database.tenant(TENANT) as conn:
            after = utc_now() - timedelta(hours=1), new_id()
            await call_log.page(conn, TENANT, Filter(), after=after, limit=51)
            await call_log.page(conn, TENANT, Filter(agent_id=seat.agent_id), limit=51)
            await agents.owes_disposition(conn, TENANT, seat.session_id)
            limit: dict[str, Any] = {"now": utc_now(), "running": [], "over": []}
            wrap_ups = await wrapup_store.END_OVERDUE.explain(
                conn, tenant_id=TENANT, campaigns=[floor.campaign_id], **limit
            )
    finally:
        remove(engine, "before_cursor_execute", note)
    app = await connect(database_url)
    try:
        await app.execute("SELECT set_config('dozvon.tenant', '1', false)")
        plans = []
        for statement, parameters in asked:
            rows = await app.fetch(f"EXPLAIN {statement}", *parameters)
            plans.append("\n".join(row[0] for row in rows))
    finally:
        await app.close()
    assert len(plans) == 3
    for plan in plans:
        assert "Seq Scan on attempt" not in plan, plan
    looks = list(steps(wrap_ups[0]["Plan"]))
    assert any(node.get("Relation Name") == "attempt" for node in looks)
    assert ("Seq Scan", "attempt") not in {(node["Node Type"], node.get("Relation Name")) for node in looks}
