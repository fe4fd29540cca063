"""Calls that agents promise to people who have called us, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from sqlalchemy import select, update
from support.came import CALLER, came_in
from support.floor import TENANT, Floor, Seat, seated
from support.promises import at_noon, open_floor, row
from support.web import Caller, Web, serving

from dialer.callbacks import http as callbacks_http
from dialer.callbacks import phoned
from dialer.callbacks.phoned import Phoned
from dialer.callbacks.service import CallbackService
from dialer.calls import http as calls_http
from dialer.calls.commands import CommandDesk
from dialer.calls.service import CallService
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.listen import REPLIES, Listener
from dialer.db.session import Database
from dialer.inbound import callers
from dialer.settings import load


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await open_floor(database)


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The API; no engine."""
    desk = CommandDesk(database, Listener(database_url, (REPLIES,)))
    services: Mapping[web.AppKey[Any], Any] = {
        calls_http.CALLS: CallService(database, desk, load()),
        callbacks_http.CALLBACKS: CallbackService(database),
    }
    tables = [calls_http.routes, callbacks_http.routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


async def caller(floor: Floor) -> int:
    """The contact whom nobody knew before they called from CALLER."""
    async with floor.database.tenant(TENANT) as conn:
        found = await callers.find(conn, TENANT, callers.number_of(CALLER, "RU"))
    assert found.contact_id is not None
    return found.contact_id


async def talked(floor: Floor, seat: Seat, contact_id: int | None, **columns: Any) -> UUID:
    """The agent has talked with a caller, and owes the disposition."""
    now = utc_now()
    talk = {
        "contact_id": contact_id, "session_id": seat.session_id, "agent_id": seat.agent_id,
        "state": "wrap_up", "result": "answered", "ended_at": None, "connected_at": now, "hung_up_at": now,
    }  # fmt: skip
    async with floor.database.tenant(TENANT) as conn:
        return await came_in(conn, floor.campaign_id, **talk | columns)


async def saved(agent: Caller, call_id: UUID, code: str, **more: Any) -> Any:
    """The call with this disposition."""
    reply = await agent.call("PUT", f"~/calls/{call_id}/disposition", {"code": code} | more)
    assert reply.status == 200, reply.text
    return reply.json


async def lead(floor: Floor) -> Any:
    """The only one."""
    async with floor.database.tenant(TENANT) as conn:
        return (await conn.execute(select(t.lead))).one()


async def test_a_caller_is_promised_a_call(floor: Floor, site: Web) -> None:
    """By the campaign of the number, of the agent, at the number that has called; said again there is one
    promise, said otherwise none, and the campaign does not dial somebody who was never on its list."""
    agent, seat = await seated(site, floor)
    contact_id = await caller(floor)
    call_id = await talked(floor, seat, contact_id)
    outlook = f"~/callbacks/outlook?campaign={floor.campaign_id}&contact={contact_id}"
    noon = at_noon()
    asked = await agent.call("GET", f"{outlook}&at={noon:%Y-%m-%dT%H:%M}Z")
    assert (asked.status, asked.json["due_at"][:16]) == (200, f"{noon:%Y-%m-%dT%H:%M}"), asked.text
    said = {"callback_at": noon.isoformat(), "callback_personal": True, "note": "about the price"}
    made = (await saved(agent, call_id, "callback", **said))["callback"]
    assert (made["campaign_id"], made["contact_id"], made["agent_id"]) == (
        floor.campaign_id, contact_id, seat.agent_id,
    )  # fmt: skip
    assert (made["made_in"], made["note"], made["stage"]) == (str(call_id), "about the price", "waiting")
    assert made["due_at"][:16] == f"{noon:%Y-%m-%dT%H:%M}"
    new = await lead(floor)
    assert (new.e164, new.hold, new.status) == (CALLER, "callback", "waiting")
    said["callback_at"] = (noon + timedelta(hours=1)).isoformat()
    again = (await saved(agent, call_id, "callback", **said))["callback"]
    states = [(await row(floor, one["id"])).state for one in (made, again)]
    assert states == ["canceled", "waiting"]
    assert (await saved(agent, call_id, "callback"))["callback"]["id"] == again["id"], "it stays"
    await saved(agent, call_id, "sale")
    assert (await row(floor, again["id"])).state == "canceled"
    over = await lead(floor)
    assert (over.status, over.hold) == ("closed", None)


async def test_a_caller_whom_the_campaign_has_is_called_back_at_the_number_that_has_called(
    floor: Floor, site: Web
) -> None:
    """Their lead turns to it. When the promise is taken back it is one of its list again, unless the talk has
    settled it."""
    agent, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    async with floor.database.tenant(TENANT) as conn:
        phone = {"position": 2, "e164": CALLER, "kind": "mobile", "timezones": ["Europe/Moscow"]}
        await conn.execute(t.contact_phone.insert().values(tenant_id=TENANT, contact_id=contact_id, **phone))
        await conn.execute(update(t.lead).values(status="closed", closed_reason="refusal"))
    call_id = await talked(floor, seat, contact_id)
    await saved(agent, call_id, "callback", callback_at=at_noon().isoformat())
    found = await lead(floor)
    assert (found.e164, found.status, found.hold) == (CALLER, "waiting", "callback")
    await saved(agent, call_id, "no-contact")
    found = await lead(floor)
    assert (found.status, found.hold) == ("waiting", None)
    await saved(agent, call_id, "callback", callback_at=at_noon().isoformat())
    await saved(agent, call_id, "sale")
    assert (await lead(floor)).status == "closed"


async def test_what_was_promised_in_the_talk_stays(floor: Floor, site: Web) -> None:
    """By its script or flow: a disposition that names no time leaves it be, but for one that rules it out."""
    agent, seat = await seated(site, floor)
    contact_id = await caller(floor)
    async with floor.database.tenant(TENANT) as conn:
        for position, kind in enumerate(("refusal", "wrong_person"), 5):
            named = {"code": kind, "kind": kind, "label_ru": kind, "label_en": kind, "position": position}
            values = {"tenant_id": TENANT, "campaign_id": floor.campaign_id, **named}
            await conn.execute(t.disposition.insert().values(values))
    ruled_out = ("refusal", "wrong_person", "do-not-call")
    for code, state in (("sale", "waiting"), *((code, "canceled") for code in ruled_out)):
        call_id = await talked(floor, seat, contact_id)
        async with floor.database.tenant(TENANT) as conn:
            who = Phoned(floor.campaign_id, contact_id, CALLER, call_id)
            made = await phoned.promise(conn, TENANT, who, at=at_noon(2 if code == "sale" else 1))
        await saved(agent, call_id, code)
        assert (await row(floor, made.id)).state == state, code


async def test_who_has_no_number_is_promised_nothing(floor: Floor, site: Web) -> None:
    """A withheld number: it is said, and nothing is saved."""
    agent, seat = await seated(site, floor)
    call_id = await talked(floor, seat, None, e164="")
    body = {"code": "callback", "callback_at": at_noon().isoformat()}
    refused = await agent.call("PUT", f"~/calls/{call_id}/disposition", body)
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "callback_at")
    assert (await agent.call("GET", f"~/calls/{call_id}")).json["disposition"] is None
    await saved(agent, call_id, "callback")
