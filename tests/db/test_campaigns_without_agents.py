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
from support.web import Web, serving

from dialer.calls.placing import Placed
from dialer.campaigns.automatic import Begun
from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.http import routes as campaign_routes
from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts import consents
from dialer.contacts.agreed import NewConsent
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.pacing.model import DialMode, plan

END = {"name": "end", "type": "hangup"}
OUT = {"name": "out", "type": "opt_out", "transitions": {"default": "end"}}


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
