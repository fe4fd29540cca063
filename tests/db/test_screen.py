"""What an agent's screen is told of a caller, and why people call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from sqlalchemy import insert, update
from support.came import CALLER, came_in
from support.floor import TENANT, Floor, Seat, seated
from support.web import Caller, Web, serving

from dialer.clock import utc_now
from dialer.db import events
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Forbidden
from dialer.httpkit import stream
from dialer.httpkit.access import Role
from dialer.inbound import http, reasons_http
from dialer.inbound.reasons import ReasonService
from dialer.inbound.screen import Screens
from dialer.inbound.service import InboundService

MASKED = "+7916*****33"


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application; no engine."""
    screens = Screens(database)
    services: dict[web.AppKey[Any], Any] = {
        http.INBOUND: InboundService(database),
        http.SCREENS: screens,
        stream.TELLERS: {"call.assigned": screens.tell},
        reasons_http.REASONS: ReasonService(database),
    }
    tables = [reasons_http.routes, http.routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


async def waiting(floor: Floor, seat: Seat) -> UUID:
    """A caller who has been through two states of the flow and is the agent's next."""
    async with floor.database.tenant(TENANT) as conn:
        (lead_id,) = await floor.leads(1)
        contact_id = (await floor.row(t.lead, lead_id)).contact_id
        await conn.execute(
            update(t.contact).where(t.contact.c.id == contact_id).values(last_name="Белов", first_name="Пётр")
        )
        call_id = await came_in(
            conn, floor.campaign_id, state="waiting", result=None, ended_at=None, contact_id=contact_id,
            collected={"order": "4412"}, reason="order", queue="sales", queued_at=utc_now(),
            session_id=seat.session_id, agent_id=seat.agent_id,
        )  # fmt: skip
        for n, state in enumerate(("menu", "sales")):
            step = {"call_id": call_id, "n": n, "flow": "reception", "state": state, "at": utc_now()}
            await conn.execute(insert(t.flow_step).values(tenant_id=TENANT, **step))
    return call_id


async def popped(caller: Caller, floor: Floor, call_id: UUID, agent_id: int) -> dict[str, Any]:
    """The payload of the screen pop, as this reader is told it."""
    payload = {"attempt_id": str(call_id), "direction": "inbound", "waited_s": 12.5}
    address = f"{caller.url}/api/v1/events"
    async with caller.http.get(address, headers=caller.headers) as reply, asyncio.timeout(15):
        await reply.content.readuntil(b"\r\n\r\n")  # it has begun
        async with floor.database.tenant(TENANT) as conn:
            await events.emit(conn, "call.assigned", payload, tenant_id=TENANT, agent_id=agent_id)
        while True:
            said = (await reply.content.readuntil(b"\r\n\r\n")).decode()
            if "event: call.assigned" in said:
                told: dict[str, Any] = json.loads(said.partition("data: ")[2])["payload"]
                return told


async def test_the_screen_pop_tells_who_calls_and_why(floor: Floor, site: Web) -> None:
    """Customer, way, digits by name, reason, wait and queue; the number as the reader may see it."""
    agent, seat = await seated(site, floor)
    boss = await site.browser(Role.SUPERVISOR)
    call_id = await waiting(floor, seat)
    seen = {
        role: await popped(reader, floor, call_id, seat.agent_id)
        for role, reader in (("agent", agent), ("boss", boss))
    }
    assert (seen["agent"]["number"], seen["boss"]["number"]) == (MASKED, CALLER)
    for told in seen.values():
        assert (told["customer"], told["path"]) == ("Белов Пётр", ["menu", "sales"])
        assert (told["collected"], told["reason"]) == ({"order": "4412"}, "order")
        assert (told["queue"], told["waited_s"], told["dialled"]) == ("sales", 12.5, "74957770101")


async def test_an_analyst_hears_of_a_pop_and_not_of_whom(floor: Floor, site: Web) -> None:
    """The stream has every call, and tells the person of none."""
    call_id = await waiting(floor, seat := await floor.seat())
    told = await popped(await site.browser(Role.ANALYST), floor, call_id, seat.agent_id)
    assert told == {"attempt_id": str(call_id), "direction": "inbound", "waited_s": 12.5}


async def test_no_event_has_the_number_or_the_digits_in_its_row(floor: Floor, site: Web) -> None:
    """They are told as they are sent, and are gone with the person."""
    agent, seat = await seated(site, floor)
    call_id = await waiting(floor, seat)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.inbound_call).values(collected={}, e164="erased-1"))
    told = await popped(agent, floor, call_id, seat.agent_id)
    assert (told["collected"], told["number"]) == ({}, "erase*-1")
    async with floor.database.tenant(TENANT) as conn:
        rows = await conn.execute(t.event.select().where(t.event.c.kind == "call.assigned"))
        assert "4412" not in str(rows.all())


async def test_the_screen_is_for_the_agent_of_the_call_and_for_supervisors(floor: Floor, site: Web) -> None:
    """Nobody else sees it."""
    seat, stranger = await floor.seat(), await floor.seat()
    call_id = await waiting(floor, seat)
    screens = Screens(floor.database)
    screen = await screens.of_call(seat.actor, call_id)
    assert (screen.number, screen.collected, screen.waited_s) == (MASKED, {"order": "4412"}, None)
    assert (await screens.of_call(await floor.user(Role.SUPERVISOR), call_id)).number == CALLER
    with pytest.raises(Forbidden):
        await screens.of_call(stranger.actor, call_id)


async def test_an_agent_says_why_somebody_has_called(floor: Floor, site: Web) -> None:
    """From the tenant's list, during the call and afterwards; of others' calls only a supervisor."""
    agent, seat = await seated(site, floor)
    stranger, _ = await seated(site, floor)
    boss = await site.browser(Role.SUPERVISOR)
    call_id = await waiting(floor, seat)
    address = f"~/inbound/calls/{call_id}/reason"
    assert (await agent.call("PUT", "~/inbound/reasons", {"reasons": ["a"]})).status == 403
    names = ["Цена и наличие", "Запись на сервис"]
    assert (await boss.call("PUT", "~/inbound/reasons", {"reasons": names})).json == {"reasons": names}
    for wrong in (["a", "A"], [""], ["x" * 101], ["a\nb"]):
        assert (await boss.call("PUT", "~/inbound/reasons", {"reasons": wrong})).status == 422
    assert (await agent.call("GET", "~/inbound/reasons")).json == {"reasons": names}

    assert (await agent.call("PUT", address, {"reason": names[1]})).status == 204
    assert (await floor.row(t.inbound_call, call_id)).reason == names[1]
    assert (await stranger.call("PUT", address, {"reason": names[0]})).status == 403
    refused = await agent.call("PUT", address, {"reason": "погода"})
    assert (refused.status, "Цена и наличие" in refused.text) == (422, True)
    async with floor.database.tenant(TENANT) as conn:
        ended = {"state": "ended", "result": "answered", "ended_at": utc_now()}
        await conn.execute(update(t.inbound_call).values(ended))
    assert (await agent.call("PUT", address, {"reason": names[0]})).status == 204
    await boss.call("PUT", "~/inbound/reasons", {"reasons": names[1:]})
    assert (await floor.row(t.inbound_call, call_id)).reason == names[0]
    assert (await boss.call("PUT", address, {"reason": None})).status == 204
    assert (await floor.row(t.inbound_call, call_id)).reason is None
