"""What comes next in a campaign, as a program sets it over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select, update
from support.floor import TENANT, Floor
from support.web import Web, serving

from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.http import routes as campaign_routes
from dialer.campaigns.leads import LeadService
from dialer.campaigns.leads_http import LEADS
from dialer.campaigns.leads_http import routes as lead_routes
from dialer.campaigns.service import CampaignService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.db.tables import contact
from dialer.httpkit.access import Role


@pytest.fixture
async def centre(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The web process with the routes of campaigns and of their leads."""
    services: dict[web.AppKey[Any], Any] = {
        CAMPAIGNS: CampaignService(database),
        LEADS: LeadService(database, "RU"),
    }
    async with serving(
        database, database_url, tables=[campaign_routes, lead_routes], services=services
    ) as running:
        yield running


async def test_shares_quotas_priorities_and_recycling(centre: Web, database: Database) -> None:
    """Each is set and read back; a running campaign too."""
    floor = await Floor.open(database)
    leads = await floor.leads(3)
    boss, path = await centre.program(Role.SUPERVISOR), f"~/campaigns/{floor.campaign_id}"
    shares = {"items": [{"list_id": floor.list_id, "share": 3}]}
    assert (await boss.call("PUT", f"{path}/lists", shares)).status == 200
    (shown,) = (await boss.call("GET", f"{path}/lists")).json
    assert shown == {"list_id": floor.list_id, "name": "A", "share": 3, "dialled": 0, "leads": 3}
    async with database.tenant(TENANT) as conn:
        await conn.execute(update(contact).values(custom={"city": "Тверь"}))
    quotas = {"items": [{"field": "city", "value": "Москва", "wanted": 0, "counts": ["sale", "interest"]}]}
    assert (await boss.call("PUT", f"{path}/quotas", quotas)).status == 200
    (kept,) = (await boss.call("GET", f"{path}/quotas")).json
    assert (kept["counts"], kept["reached"], kept["full"]) == (["interest", "sale"], 0, True)
    given = await boss.call("POST", f"{path}/leads/priority", {"priority": 7, "leads": leads[:2]})
    assert given.json == {"leads": 2}
    # A number as people write it.
    async with database.tenant(1) as conn:
        e164 = await conn.scalar(select(t.lead.c.e164).where(t.lead.c.id == leads[0]))
    assert e164 is not None
    numbers = {"priority": 8, "numbers": [f"8 ({e164[2:5]}) {e164[5:]}"]}
    assert (await boss.call("POST", f"{path}/leads/priority", numbers)).json == {"leads": 1}
    rule = {"reasons": ["max_attempts"], "older_than_s": 60}
    assert (await boss.call("POST", f"{path}/recycle/preview", rule)).json == {"leads": 0}
    asked = await boss.call("POST", f"{path}/recycle", rule)
    assert (asked.status, asked.json["leads"], asked.json["finished_at"]) == (202, 0, None)
    assert [one["id"] for one in (await boss.call("GET", f"{path}/recycle")).json] == [asked.json["id"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "lists", {"items": [{"list_id": 1, "share": 0}]}, "items.0.share"),
        ("PUT", "lists", {"items": [{"list_id": 999, "share": 1}]}, "items"),
        ("PUT", "quotas", {"items": [{"field": "a", "value": "b", "wanted": -1}]}, "items.0.wanted"),
        ("PUT", "quotas", {"items": [{"field": "a", "value": "b", "wanted": 1}] * 2}, "items"),
        ("PUT", "quotas", {"items": [{"field": "nope", "value": "b", "wanted": 1}]}, "items.0.field"),
        ("POST", "leads/priority", {"priority": 1001, "leads": [1]}, "priority"),
        ("POST", "leads/priority", {"priority": 1, "list_id": 999}, "list_id"),
        ("POST", "leads/priority", {"priority": 1, "numbers": ["нет"]}, "numbers"),
        ("POST", "recycle", {"reasons": ["do_not_call"]}, "reasons.0"),
        ("POST", "recycle", {"results": ["bored"]}, "results"),
    ],
)
async def test_what_cannot_be_is_refused(
    centre: Web, database: Database, method: str, path: str, body: Any, field: str
) -> None:
    """With the field that is wrong."""
    floor = await Floor.open(database)
    await floor.leads(1)
    boss = await centre.program(Role.SUPERVISOR)
    reply = await boss.call(method, f"~/campaigns/{floor.campaign_id}/{path}", body)
    assert reply.status == 422
    told = reply.json
    assert field in {one["field"] for one in told.get("errors", [])} | {told.get("field")}


async def test_retry_rules_are_of_dispositions_that_there_are(centre: Web, database: Database) -> None:
    """A rule for a code that the campaign does not have is refused when it is made and when it is changed."""
    await Floor.open(database)
    boss = await centre.program(Role.SUPERVISOR)
    rules = {"dispositions": {"no-such": {"after_s": 60}}}
    assert (await boss.call("POST", "~/campaigns", {"name": "Новая", "retries": rules})).status == 422
    made = await boss.call("POST", "~/campaigns", {"name": "Новая", "lead_order": "random"})
    assert (made.json["lead_order"], made.json["retries"]) == ("random", {"results": {}, "dispositions": {}})
    path = f"~/campaigns/{made.json['id']}"
    assert (await boss.call("PATCH", path, {"retries": rules})).status == 422
    own = {"results": {"busy": {"after_s": 60}}, "dispositions": {"no-contact": {"after_s": -1}}}
    changed = await boss.call("PATCH", path, {"retries": own, "most_per_day": 2, "lead_order": "newest"})
    assert changed.json["retries"]["results"]["busy"]["after_s"] == 60
    assert (changed.json["most_per_day"], changed.json["lead_order"]) == (2, "newest")
