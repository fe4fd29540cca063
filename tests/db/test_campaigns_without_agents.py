"""Campaigns without agents in the database: what keeps one from starting, whom it may call, how it begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert
from support.callers import document
from support.floor import NODE, TENANT, Floor
from support.placer import Line, placer_of, terms_of
from support.plans import steps
from support.web import Web, serving

from dialer.calls import outcomes
from dialer.calls.model import Answered
from dialer.calls.placing import Placed
from dialer.campaigns import store
from dialer.campaigns.automatic import Begun
from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.http import routes as campaign_routes
from dialer.campaigns.model import usual_dispositions
from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts import consents
from dialer.contacts.agreed import NewConsent
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.httpkit.access import Role
from dialer.pacing.model import DialMode, plan

END = {"name": "end", "type": "hangup"}
OUT = {"name": "out", "type": "opt_out", "transitions": {"default": "end"}}


def says(code: str) -> dict[str, Any]:
    """A state in which a flow says what its call came to."""
    values = {"values": {"disposition": code}}
    return {"name": "says", "type": "set", "properties": values, "transitions": {"done": "end"}}


@pytest.fixture
async def centre(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The web process with the routes of campaigns."""
    services = {CAMPAIGNS: CampaignService(database)}
    async with serving(database, database_url, tables=[campaign_routes], services=services) as running:
        yield running


async def publish(database: Database, name: str, states: list[dict[str, Any]]) -> None:
    """A flow of these states, live."""
    async with database.tenant(TENANT) as conn:
        made = insert(t.flow).values(tenant_id=TENANT, name=name, live_version=1).returning(t.flow.c.id)
        flow_id = await conn.scalar(made)
        version = {"flow_id": flow_id, "version": 1, "document": document(states, name), "state": "live"}
        await conn.execute(insert(t.flow_version).values(tenant_id=TENANT, **version))


async def test_what_keeps_a_campaign_without_agents_from_starting(centre: Web, database: Database) -> None:
    """No flow, one that is not published, advertising that no key ends: each has its reason."""
    await publish(database, "robot", [END])
    await publish(database, "advert", [OUT, END])
    boss = await centre.program(Role.SUPERVISOR)
    made = await boss.call("POST", "~/campaigns", {"name": "Опрос", "mode": "flow"})
    assert (made.status, made.json["flow_lines"], made.json["flow_rate"]) == (201, 10, 1.0)

    async def reasons(**fields: Any) -> set[str]:
        reply = await boss.call("PATCH", f"~/campaigns/{made.json['id']}", fields)
        assert reply.status == 200
        return {one["code"] for one in reply.json["ready_reasons"] if one["code"].startswith("flow")} | (
            {"no-flow"} & {one["code"] for one in reply.json["ready_reasons"]}
        )

    assert await reasons() == {"no-flow"}
    assert await reasons(flow="nobody") == {"flow-not-live"}
    assert await reasons(flow="robot") == set()
    assert await reasons(purpose="advertising") == {"flow-without-opt-out"}
    assert await reasons(flow="advert") == set()
    await publish(database, "visit", [says("visit-confirmed"), OUT, END])
    await publish(database, "own", [says("our-word"), OUT, END])
    assert await reasons(flow="visit") == set()
    assert await reasons(flow="own") == {"flow-disposition"}


async def test_a_campaign_that_is_to_have_no_agents_gets_what_flows_say(centre: Web) -> None:
    """Behind its own dispositions, which stay as they are; its rules of retries may name them."""
    boss = await centre.program(Role.SUPERVISOR)
    made = await boss.call("POST", "~/campaigns", {"name": "Опрос", "mode": "progressive"})
    url = f"~/campaigns/{made.json['id']}"
    own = {"code": "sale", "label_ru": "Купил", "label_en": "Bought", "kind": "sale"}
    assert (await boss.call("PUT", f"{url}/dispositions", {"items": [own]})).status == 200
    retries = {"dispositions": {"survey-partial": {"after_s": 3600}}}
    changed = await boss.call("PATCH", url, {"mode": "flow", "retries": retries})
    assert changed.status == 200, changed.text
    found = (await boss.call("GET", f"{url}/dispositions")).json
    assert found[0]["label_en"] == "Bought"
    assert [one["code"] for one in found].count("sale") == 1
    assert {"survey-partial", "visit-moved"} <= {one["code"] for one in found}


async def test_what_calls_came_to_is_counted(centre: Web, floor: Floor, owner_url: str) -> None:
    """By the word of the flow: each disposition of the campaign with its calls, read from the index alone."""
    await add_dispositions(floor)
    first, second, _ = [await floor.place(lead) for lead in await floor.leads(3)]
    async with floor.database.tenant(TENANT) as conn:
        for call, code in ((first, "visit-confirmed"), (second, "visit-moved"), (second, "visit-confirmed")):
            assert await outcomes.by_flow(conn, TENANT, call.attempt_id, code, utc_now())
        assert not await outcomes.by_flow(conn, TENANT, first.attempt_id, "nobody-knows", utc_now())
    boss = await centre.program(Role.SUPERVISOR)
    told = (await boss.call("GET", f"~/campaigns/{floor.campaign_id}/outcomes")).json
    assert {one["code"]: one["calls"] for one in told if one["calls"]} == {"visit-confirmed": 2}
    assert {"visit-moved", "survey-completed"} <= {one["code"] for one in told}
    owner = await connect(owner_url)
    try:
        await owner.execute(
            """
            INSERT INTO attempt (tenant_id, id, campaign_id, e164, trunk_id, caller_id, mode, policy, state,
                                 result, created_at, ended_at, disposition_id)
            SELECT 1, gen_random_uuid(), $1, '+7495' || n, $2, '+7495', 'flow', 'default/1', 'ended',
                   'answered', now() - n * interval '1 second', now(),
                   CASE WHEN n % 10 = 0 THEN (SELECT min(id) FROM disposition WHERE campaign_id = $1) END
              FROM generate_series(1, 20000) n
            """,
            floor.campaign_id,
            floor.trunk_id,
        )
        await owner.execute("VACUUM (ANALYZE) attempt")
    finally:
        await owner.close()
    async with floor.database.tenant(TENANT) as conn:
        (plan,) = await store.OUTCOMES.explain(conn, tenant_id=TENANT, campaign_id=floor.campaign_id)
    (read,) = [step for step in steps(plan["Plan"]) if step.get("Relation Name") == "attempt"]
    assert (read["Node Type"], read["Index Name"]) == ("Index Only Scan", "attempt_disposition_idx")


async def add_dispositions(floor: Floor) -> None:
    """Those that a campaign without agents has."""
    async with floor.database.tenant(TENANT) as conn:
        await store.add_dispositions(conn, TENANT, floor.campaign_id, usual_dispositions("flow"))


@pytest.mark.parametrize(
    ("code", "status", "hold"),
    [
        ("survey-completed", "closed", None),
        ("survey-partial", "waiting", "retry"),  # by the campaign's own rule
        ("visit-moved", "waiting", "retry"),
        ("visit-cancelled", "closed", None),
        ("no-contact", "waiting", "retry"),
    ],
)
async def test_what_the_flow_says_decides_what_becomes_of_the_lead(
    floor: Floor, code: str, status: str, hold: str | None
) -> None:
    """As an agent's word does: by the kind, over which a campaign's own rule for the code goes."""
    await add_dispositions(floor)
    own = {"results": {}, "dispositions": {"survey-partial": {"after_s": 3600}}}
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(t.campaign.update().values(retries=own, max_attempts=5))
    (lead_id,) = await floor.leads(1)
    call = await floor.hang_up(await floor.signals(await floor.place(lead_id), Answered(utc_now())))
    async with floor.database.tenant(TENANT) as conn:
        assert await outcomes.by_flow(conn, TENANT, call.attempt_id, code, utc_now())
    lead = await floor.row(t.lead, lead_id)
    assert (lead.status, lead.hold) == (status, hold)


async def test_a_machine_advertises_only_to_who_has_agreed(floor: Floor) -> None:
    """Under a policy that asks agents for no consent at all; and no agent is asked for."""
    first, second = await floor.leads(2)
    terms = replace(terms_of(floor, mode=DialMode.FLOW), purpose=Purpose.ADVERTISING)
    assert not terms.policy.asks_consent
    placer = placer_of(floor, Line(floor.database))
    assert await placer.next_leads(terms, 1, NODE) == Placed(0, "no_leads")
    assert (await floor.row(t.lead, first)).hold == "consent"
    contact_id = (await floor.row(t.lead, second)).contact_id
    async with floor.database.tenant(TENANT) as conn:
        agreed = NewConsent(contact_id, Purpose.ADVERTISING, "form", utc_now(), None, "")
        await consents.add_many(conn, TENANT, [agreed], None)
        await conn.execute(
            t.lead.update().where(t.lead.c.id == second).values(hold=None, open_from=utc_now())
        )
    assert await placer.next_leads(terms, 1, NODE) == Placed(1)
    (line,) = placer.calls
    assert (line.call.automatic, line.call.agent) == (True, None)


async def test_calls_begin_by_lines_and_by_calls_a_second(floor: Floor) -> None:
    """The first at once, the next when its time has come, and none when all lines are in use."""
    terms = replace(terms_of(floor, mode=DialMode.FLOW), flow_lines=1, flow_rate=0.5)
    begun = Begun()
    first = begun.snapshot(terms, [], 5, now_s=100.0)
    assert first is not None
    assert plan(first, utc_now()).dial == 1
    begun.begun(terms, 1, now_s=100.0)
    assert begun.snapshot(terms, [], 5, now_s=101.9) is None
    assert begun.snapshot(terms, [], 5, now_s=102.0) is not None
    placer = placer_of(floor, Line(floor.database))
    await floor.leads(1)
    assert await placer.next_leads(terms, 1, NODE) == Placed(1)
    full = begun.snapshot(terms, placer.calls, 5, now_s=102.0)
    assert full is not None
    assert (plan(full, utc_now()).dial, plan(full, utc_now()).why) == (0, "lines_in_use")
