"""/metrics and /healthz over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, select, update
from support.web import Caller, Web, second_tenant, serving

from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.monitoring import http, model
from dialer.monitoring.service import MonitoringService

#: Noon in Moscow, and when it is asked: the figures of today are the same at whatever hour the test runs.
NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
ASKED = NOW + timedelta(minutes=1)


@pytest.fixture
async def watched(database: Database, database_url: str) -> AsyncIterator[Web]:
    """A web process with both paths."""
    async with serving(
        database,
        database_url,
        pages=lambda app: http.add(app, MonitoringService(database, clock=lambda: ASKED)),
    ) as running:
        yield running


async def engine_says(database: Database, *, ago_s: float = 0.0, **status: Any) -> None:
    """An engine that spoke so long ago."""
    said = {"asterisk": True, "phones": 3, "journal_behind": 0, "events": 70, **status}
    seen = datetime.now(UTC) - timedelta(seconds=ago_s)
    async with database.system() as conn:
        await conn.execute(t.process_status.delete())
        await conn.execute(
            insert(t.process_status).values(
                name="engine", started_at=NOW - timedelta(hours=1), seen_at=seen, status=said
            )
        )


async def campaign(database: Database, tenant_id: int = 1, **values: Any) -> int:
    """A running campaign with a trunk, whose id is the campaign's."""
    async with database.tenant(tenant_id) as conn:
        made = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=tenant_id, policy="ru", **{"name": "Весна", "status": "running", **values})
            .returning(t.campaign.c.id)
        )
        assert isinstance(made, int)
        return made


async def attempts(
    database: Database, campaign_id: int, *rows: tuple[str, str | None], created_at: datetime = NOW
) -> None:
    """Attempts of (state, result)."""
    async with database.tenant(1) as conn:
        trunk_id = await conn.scalar(select(t.trunk.c.id)) or await conn.scalar(
            insert(t.trunk)
            .values(tenant_id=1, name="T", endpoint="t", caller_id="+74951234567", allowed_prefixes=["+7"])
            .returning(t.trunk.c.id)
        )
        live = {"answered", "abandoned", "machine"}
        for state, result in rows:
            await conn.execute(
                insert(t.attempt).values(
                    tenant_id=1,
                    id=uuid4(),
                    campaign_id=campaign_id,
                    e164="+79161234567",
                    trunk_id=trunk_id,
                    caller_id="+74951234567",
                    mode="progressive",
                    policy="ru",
                    state=state,
                    result=result,
                    created_at=created_at,
                    sent_at=created_at,
                    answered_at=created_at if result in live else None,
                    ended_at=created_at if state == "ended" else None,
                )
            )


async def leads(database: Database, campaign_id: int, many: int) -> None:
    """So many more leads, each a person of its own."""
    async with database.tenant(1) as conn:
        for _ in range(many):
            mark = uuid4().hex
            list_id = await conn.scalar(
                insert(t.contact_list).values(tenant_id=1, name=mark).returning(t.contact_list.c.id)
            )
            contact_id = await conn.scalar(insert(t.contact).values(tenant_id=1).returning(t.contact.c.id))
            await conn.execute(
                insert(t.lead).values(
                    tenant_id=1,
                    campaign_id=campaign_id,
                    list_id=list_id,
                    contact_id=contact_id,
                    e164=f"+7{int(mark, 16) % 10**10:010}",
                    timezones=[],
                    open_from=NOW,
                    open_until=NOW,
                )
            )


async def scraped(caller: Caller) -> dict[tuple[str, frozenset[str]], float]:
    """Samples by name and label values."""
    reply = await caller.call("GET", "/metrics")
    assert reply.status == 200, reply.text
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


async def test_figures(watched: Web, database: Database) -> None:
    """What is told is what the tables hold; shares are of today."""
    await engine_says(database)
    one = await campaign(database)
    last_night = NOW - timedelta(hours=13)
    await attempts(database, one, ("ended", "abandoned"), ("ended", "busy"), created_at=last_night)
    await attempts(
        database,
        one,
        ("ringing", None),
        ("ringing", None),
        ("connected", None),
        ("wrap_up", "answered"),
        ("ended", "answered"),
        ("ended", "answered"),
        ("ended", "abandoned"),
        ("ended", "busy"),
        ("ended", "machine"),
    )
    told = await scraped(await watched.stranger())

    def of(name: str, *labels: str) -> float | None:
        return told.get((name, frozenset(labels)))

    number = str(one)
    assert of("dozvon_calls", number, "ringing") == 2
    assert of("dozvon_calls", number, "connected") == 1
    assert of("dozvon_calls", number, "wrap_up") == 1
    assert of("dozvon_calls", number, "dialling") == 0
    assert of("dozvon_attempts_total", number, "answered") == 3
    assert of("dozvon_attempts_total", number, "busy") == 1
    # 3 answered and 1 abandoned live; 6 have a result.
    assert of("dozvon_abandon_ratio", number) == pytest.approx(1 / 4)
    assert of("dozvon_connect_ratio", number) == pytest.approx(4 / 6)
    assert of("dozvon_campaign_info", number, "Весна", "progressive", "running") == 1
    assert of("dozvon_leads_left", number) == 0
    assert of("dozvon_engine_up") == of("dozvon_asterisk_up") == of("dozvon_database_up") == 1
    assert of("dozvon_asterisk_events_total") == 70
    assert of("dozvon_agents", "ready") == 0


async def test_trunks_tell_what_they_carry(watched: Web, database: Database) -> None:
    """Lines, health and the money of today, by trunk."""
    await engine_says(database)
    await attempts(database, await campaign(database))
    async with database.tenant(1) as conn:
        trunk_id = await conn.scalar(select(t.trunk.c.id))
        await conn.execute(
            insert(t.trunk_load).values(
                tenant_id=1, trunk_id=trunk_id, channels=4, health="bad", spent=12.5, spend_day=NOW.date()
            )
        )
    told = await scraped(await watched.stranger())
    key = frozenset({str(trunk_id)})
    assert told["dozvon_trunk_channels", key] == 4
    assert told["dozvon_trunk_bad", key] == 1
    assert told["dozvon_trunk_spent_today", key] == 12.5
    async with database.tenant(1) as conn:
        await conn.execute(update(t.trunk_load).values(spend_day=NOW.date() - timedelta(days=1)))
    told = await scraped(await watched.stranger())
    assert told["dozvon_trunk_spent_today", key] == 0


async def test_counter_begins_with_the_engine(watched: Web, database: Database) -> None:
    """Attempts of before the engine's start are another engine's: a counter that starts anew is no surprise
    to Prometheus, one that falls in the middle is."""
    await engine_says(database)
    one = await campaign(database)
    await attempts(database, one, ("ended", "busy"), created_at=NOW - timedelta(hours=2))
    await attempts(database, one, ("ended", "busy"), created_at=NOW - timedelta(minutes=59))
    told = await scraped(await watched.stranger())
    assert told["dozvon_attempts_total", frozenset({str(one), "busy"})] == 1


async def test_leads_are_counted_once_a_minute(database: Database) -> None:
    """A count of millions is not made at each scrape; a campaign that has started is told at once."""
    now = 0.0
    service = MonitoringService(database, seconds=lambda: now)

    async def left() -> dict[Sequence[str], float]:
        return dict((await service.samples(None))["dozvon_leads_left"])

    one = await campaign(database)
    await leads(database, one, 2)
    assert await left() == {(str(one),): 2}
    await leads(database, one, 3)
    now = 59.9
    assert await left() == {(str(one),): 2}
    two = await campaign(database, name="Лето", status="paused")
    assert await left() == {(str(one),): 5, (str(two),): 0}
    await leads(database, two, 1)
    now = 119.9
    assert await left() == {(str(one),): 5, (str(two),): 1}


async def test_every_metric_is_documented_and_told(watched: Web, database: Database) -> None:
    """The page's table and what a full server tells are the same, in name, type and labels; nothing that is
    told holds a telephone number."""
    await engine_says(database)
    await attempts(database, await campaign(database), ("ended", "answered"))
    async with database.tenant(1) as conn:
        trunk_id = await conn.scalar(select(t.trunk.c.id))
        await conn.execute(insert(t.trunk_load).values(tenant_id=1, trunk_id=trunk_id))
    caller = await watched.stranger()
    await caller.call("GET", "/healthz")
    reply = await caller.call("GET", "/metrics")
    told = {}
    for family in text_string_to_metric_families(reply.text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        told[name] = (family.type, frozenset(labels))
    written = {
        name: (described.kind, frozenset(described.labels)) for name, described in model.METRICS.items()
    }
    assert told == written
    assert "7916" not in reply.text and "7495" not in reply.text


async def test_who_may_read(watched: Web, database: Database) -> None:
    """This machine; a supervisor's token; not an operator's, and nobody through a proxy."""
    stranger = await watched.stranger()
    assert (await stranger.call("GET", "/metrics")).status == 200
    for header in ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"):
        reply = await stranger.call("GET", "/metrics", headers={header: "203.0.113.9"})
        assert reply.status == 401, header
    boss, operator = await watched.program(Role.SUPERVISOR), await watched.program(Role.OPERATOR)
    assert (await boss.call("GET", "/metrics", headers={"Via": "proxy"})).status == 200
    assert (await operator.call("GET", "/metrics")).status == 403


async def test_token_sees_its_own_tenant(watched: Web, database: Database, owner_url: str) -> None:
    """A client company reads its own campaigns; this machine reads all."""
    await engine_says(database)
    other = await second_tenant(owner_url)
    ours, theirs = await campaign(database), await campaign(database, other, name="Чужая")
    boss, here = await watched.program(Role.SUPERVISOR), await watched.stranger()

    def campaigns(told: dict[tuple[str, frozenset[str]], float]) -> set[str]:
        return {next(iter(labels)) for name, labels in told if name == "dozvon_leads_left"}

    assert campaigns(await scraped(boss)) == {str(ours)}
    assert campaigns(await scraped(here)) == {str(ours), str(theirs)}


async def test_requests_are_timed(watched: Web) -> None:
    """By pattern, method and status; what matches nothing is told by its status alone."""
    caller = await watched.stranger()
    await caller.call("GET", "/healthz")
    for method, path in (("GET", "/a"), ("PATCH", "/b")):
        await caller.call(method, path)
    told = await scraped(caller)
    name = "dozvon_http_request_duration_seconds_count"
    assert told[name, frozenset({"GET", "/healthz", "503"})] == 1
    of_nothing = {
        labels: many for (which, labels), many in told.items() if which == name and "unmatched" in labels
    }
    assert sum(of_nothing.values()) == 2
    assert all("-" in labels for labels in of_nothing)


@pytest.mark.parametrize(
    ("ago_s", "asterisk", "status", "parts"),
    [
        (0, True, 200, {"database": "ok", "engine": "ok", "asterisk": "ok"}),
        (0, False, 503, {"database": "ok", "engine": "ok", "asterisk": "down"}),
        (6, True, 503, {"database": "ok", "engine": "down", "asterisk": "down"}),
    ],
)
async def test_health(
    watched: Web, database: Database, ago_s: float, asterisk: bool, status: int, parts: dict[str, str]
) -> None:
    """The engine is down when it has been silent, and Asterisk with it."""
    await engine_says(database, ago_s=ago_s, asterisk=asterisk)
    reply = await (await watched.stranger()).call("GET", "/healthz")
    assert (reply.status, reply.json["parts"]) == (status, parts)


async def test_database_that_is_away(database_url: str, database: Database, owner_url: str) -> None:
    """/healthz says so, and /metrics still tells what this process knows by itself."""
    nowhere = Database.open("postgresql://dozvon_app@127.0.0.1:1/dozvon", pool=1)
    async with serving(
        database, database_url, pages=lambda app: http.add(app, MonitoringService(nowhere))
    ) as running:
        caller = await running.stranger()
        reply = await caller.call("GET", "/healthz")
        assert (reply.status, reply.json["parts"]["database"]) == (503, "down")
        told = await scraped(caller)
        assert told["dozvon_database_up", frozenset()] == 0
        assert not [name for name, _ in told if name.startswith("dozvon_engine")]
    await nowhere.close()
