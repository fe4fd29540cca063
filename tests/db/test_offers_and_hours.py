"""Offers and hours over HTTP, and in the database: what was said is kept, and decides the next offer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select
from support.floor import TENANT, Floor
from support.people import Ground, person
from support.web import Web, second_tenant, serving

from dialer.db import tables as t
from dialer.db.session import Database
from dialer.hours import http as hours_http
from dialer.hours.service import HoursService
from dialer.httpkit.access import Role
from dialer.ids import new_id
from dialer.offers import http as offers_http
from dialer.offers.service import ListedOffers, OfferService

OFFER = {"place": "after", "name": "Tyres", "text_ru": "Шины", "position": 10}
SALON = {"name": "Salon", "week": {"mon-sun": "24h"}}


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application with both lists."""
    services: dict[Any, Any] = {
        hours_http.HOURS: HoursService(database),
        offers_http.OFFERS: OfferService(database),
    }
    tables = [hours_http.routes, offers_http.routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


async def test_hours_are_kept_under_a_name(site: Web, owner_url: str) -> None:
    """With what they say now; wrong ones are refused with the field's name."""
    boss = await site.program(Role.SUPERVISOR)
    made = await boss.call("POST", "~/hours", SALON)
    assert (made.status, made.json["now"]) == (201, "open"), made.text
    assert (await boss.call("POST", "~/hours", SALON)).status == 409
    path = f"~/hours/{made.json['id']}"
    changed = await boss.call("PUT", path, {**SALON, "week": {}, "zone": "Asia/Omsk"})
    assert (changed.json["now"], changed.json["zone"]) == ("closed", "Asia/Omsk")
    wrong = await boss.call("PUT", path, {**SALON, "week": {"mon": "9-18"}})
    assert wrong.status == 422
    assert "week" in wrong.text
    other = await site.program(Role.ADMINISTRATOR, tenant_id=await second_tenant(owner_url))
    assert (await other.call("GET", "~/hours")).json == []
    assert [(await boss.call("DELETE", path)).status for _ in range(2)] == [204, 404]
    agent = await site.program(Role.OPERATOR)
    assert (await agent.call("POST", "~/hours", SALON)).status == 403


async def test_an_answer_decides_the_next_offer(site: Web, floor: Floor) -> None:
    """A person is not offered again what they have declined or have; whom nobody knows is. Each is kept with
    its reason."""
    boss = await site.program(Role.SUPERVISOR)
    tyres = (await boss.call("POST", "~/offers", OFFER)).json["id"]
    polish = (await boss.call("POST", "~/offers", {**OFFER, "name": "Polish", "position": 20})).json["id"]
    decisions = ListedOffers(floor.database)
    async with floor.database.tenant(TENANT) as conn:
        anna = await person(
            conn, Ground(floor.list_id, (floor.campaign_id,), floor.trunk_id), ["+79160000001"]
        )
    said = []
    for who, answer in (
        (anna, "declined"),
        (anna, "accepted"),
        (anna, ""),
        (None, "declined"),
        (None, "shown"),
    ):
        call_id = new_id()
        offered = await decisions.offer(TENANT, "after", call_id, who, "en")
        said.append(offered and (int(offered[0]), offered[1]))
        if offered:
            assert await decisions.answered(TENANT, call_id, offered[0], answer)
    assert said == [(tyres, "Шины"), (polish, "Шины"), None, (tyres, "Шины"), (tyres, "Шины")]
    assert not await decisions.answered(TENANT, new_id(), str(tyres), "accepted")
    kept = (await boss.call("GET", "~/offers/answers")).json["items"]
    assert [(one["offer_id"], one["answer"], one["contact_id"]) for one in kept] == [
        (tyres, "shown", None),
        (tyres, "declined", None),
        (polish, "accepted", anna),
        (tyres, "declined", anna),
    ]
    assert kept[2]["reason"] == {"skipped": {str(tyres): "declined"}}
    figures = (await boss.call("GET", "~/offers/figures")).json
    assert figures == [
        {"offer_id": tyres, "made": 3, "accepted": 0, "declined": 2, "share": 0.0},
        {"offer_id": polish, "made": 1, "accepted": 1, "declined": 0, "share": 1.0},
    ]
    assert (await boss.call("GET", "~/offers/figures?until=2026-01-01T00:00:00Z")).json == []
    assert (await boss.call("DELETE", f"~/offers/{tyres}")).status == 409
    off = await boss.call("PUT", f"~/offers/{tyres}", {**OFFER, "active": False})
    assert off.status == 200, off.text
    assert await decisions.offer(TENANT, "after", new_id(), anna, "ru") is None
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(t.contact.delete().where(t.contact.c.id == anna))
        rows = await conn.execute(select(t.offer_answer.c.contact_id))
        assert {row.contact_id for row in rows} == {None}


async def test_an_offer_without_words_or_days_is_refused(site: Web) -> None:
    """With the field's name."""
    boss = await site.program(Role.SUPERVISOR)
    for field, wrong in (
        ("text_ru", {"text_ru": ""}),
        ("active_until", {"active_from": "2026-12-02T00:00:00Z", "active_until": "2026-12-01T00:00:00Z"}),
    ):
        refused = await boss.call("POST", "~/offers", OFFER | wrong)
        assert refused.status == 422
        assert field in refused.text
