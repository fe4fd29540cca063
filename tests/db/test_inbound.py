"""Flows, numbers and inbound calls in the database: publishing, callers, talks, what an erasure leaves."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from support.arrivals import BOSS, NUMBER, arrived, document, published, signals, talked
from support.floor import NODE, TENANT, Floor
from support.web import Caller, Web, serving

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.calls import on_lines, wrapup_store
from dialer.calls.commands import CommandDesk
from dialer.calls.model import (
    Call,
    HungUp,
    HungUpBy,
    Queued,
    Result,
    Served,
)
from dialer.calls.service import CallService
from dialer.calls.wrapup_store import WrapUps
from dialer.clock import utc_now
from dialer.contacts import forgotten
from dialer.contacts.erasure import ErasureService
from dialer.db import tables as t
from dialer.db.listen import REPLIES, Listener
from dialer.db.session import Database
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Source
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from dialer.inbound import callers, deeds, http, store
from dialer.inbound.deeds import Speaker
from dialer.inbound.service import InboundService
from dialer.settings import load
from ivr_flows.model import Came, Failed, OptOut, Passed, RecordConsent


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database)


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application; no engine."""
    services = {http.INBOUND: InboundService(database)}
    async with serving(database, database_url, tables=[http.routes], services=services) as running:
        yield running


async def row_of(floor: Floor, call: Call) -> Any:
    """The call as it stands."""
    return await floor.row(t.inbound_call, call.attempt_id)


async def test_a_flow_is_written_tried_out_and_published(floor: Floor, site: Web) -> None:
    """Each writing is a draft of its own; a version that another takes the place of is retired."""
    boss = await site.program(Role.SUPERVISOR)
    for n in (1, 2):
        made = await boss.call("POST", "~/inbound/flows", {"document": document(f"word{n}")})
        assert (made.status, made.json["version"], made.json["state"]) == (201, n, "draft"), made.text
    states = {}
    for version, use in ((1, "live"), (2, "test"), (2, "live")):
        done = await boss.call("POST", f"~/inbound/flows/reception/versions/{version}/publish", {"use": use})
        assert done.status == 200, done.text
        states[use] = done.json["live_version"], done.json["test_version"]
    assert states == {"live": (2, 2), "test": (1, 2)}
    found = [
        (await boss.call("GET", f"~/inbound/flows/reception/versions/{n}")).json["state"] for n in (1, 2)
    ]
    assert found == ["retired", "live"]
    assert [one["name"] for one in (await boss.call("GET", "~/inbound/flows")).json] == ["reception"]
    missing = await boss.call("POST", "~/inbound/flows/reception/versions/9/publish", {"use": "live"})
    assert missing.status == 404


async def test_a_flow_that_cannot_run_is_refused(floor: Floor, site: Web) -> None:
    """With what is wrong; nothing is written."""
    boss = await site.program(Role.SUPERVISOR)
    wrong = {**document(), "initial_state": "nowhere"}
    refused = await boss.call("POST", "~/inbound/flows", {"document": wrong})
    assert refused.status == 422
    assert "nowhere" in refused.text
    assert (await boss.call("GET", "~/inbound/flows")).json == []


async def test_an_agent_changes_no_flow_and_no_number(floor: Floor, site: Web) -> None:
    """Nor does one see who has called."""
    agent = await site.program(Role.OPERATOR)
    replies = [
        await agent.call("POST", "~/inbound/flows", {"document": document()}),
        await agent.call("GET", "~/inbound/numbers"),
        await agent.call("GET", "~/inbound/calls"),
        await agent.call("GET", f"~/inbound/calls/{new_id()}"),
    ]
    assert [reply.status for reply in replies] == [403] * 4


async def test_a_number_leads_to_a_flow(floor: Floor, site: Web) -> None:
    """Kept as its digits, once; switched off it is none of ours."""
    await published(floor)
    boss = await site.program(Role.SUPERVISOR)
    body = {"number": "74957770101", "flow": "reception", "campaign_id": floor.campaign_id}
    assert (await boss.call("POST", "~/inbound/numbers", body)).status == 409
    for wrong in ({"number": "x"}, {"flow": "none"}, {"campaign_id": 999}):
        assert (await boss.call("POST", "~/inbound/numbers", body | wrong)).status in (404, 422)
    (number,) = (await boss.call("GET", "~/inbound/numbers")).json
    assert (number["number"], number["flow"], number["active"]) == ("74957770101", "reception", True)
    edit = {"flow": "reception", "campaign_id": floor.campaign_id, "active": False, "queue": "sales"}
    changed = await boss.call("PUT", f"~/inbound/numbers/{number['id']}", edit)
    assert (changed.status, changed.json["queue"]) == (200, "sales"), changed.text
    async with floor.database.tenant(TENANT) as conn:
        assert await store.called(conn, TENANT, "74957770101") is None


async def test_a_test_number_has_the_version_that_is_tried_out(floor: Floor) -> None:
    """The others have the live one."""
    await published(floor)
    service = InboundService(floor.database)
    await service.write(BOSS, document("hello"))
    await service.publish(BOSS, "reception", 2, "test")
    more = {"name": "", "campaign_id": floor.campaign_id, "queue": "", "active": True}
    await service.add_number(BOSS, "reception", {"number": "74957770102", "test": True, **more})
    async with floor.database.tenant(TENANT) as conn:
        versions = [
            found.version if (found := await store.called(conn, TENANT, f"7495777010{n}")) else None
            for n in (1, 2)
        ]
    assert versions == [1, 2]


async def test_of_several_people_with_the_number_the_latest_called_is_the_caller(floor: Floor) -> None:
    """Calls of ours and theirs count alike; of nobody who was called, the newest."""
    called = await published(floor)
    lead_ids = await floor.leads(2)
    async with floor.database.tenant(TENANT) as conn:
        ids = [
            (await conn.execute(select(t.lead.c.contact_id).where(t.lead.c.id == one))).scalar_one()
            for one in lead_ids
        ]
        for contact_id in ids:
            await conn.execute(
                t.contact_phone.insert().values(
                    tenant_id=TENANT,
                    contact_id=contact_id,
                    position=2,
                    e164=NUMBER.e164,
                    kind="mobile",
                    timezones=["Europe/Moscow"],
                )
            )
        assert (await callers.find(conn, TENANT, NUMBER)).contact_id == max(ids)
    await floor.hang_up(await floor.place(lead_ids[0]))
    async with floor.database.tenant(TENANT) as conn:
        assert (await callers.find(conn, TENANT, NUMBER)).contact_id == min(ids)
    call = await arrived(floor, called)
    assert (await row_of(floor, call)).contact_id == min(ids)


async def test_nobody_is_made_whose_number_we_were_asked_to_forget(floor: Floor) -> None:
    """The call is there, and nobody's."""
    async with floor.database.tenant(TENANT) as conn:
        await forgotten.forget_numbers(conn, TENANT, [NUMBER.e164])
        assert await callers.find(conn, TENANT, NUMBER) == callers.Caller(NUMBER.e164, None)
        assert await callers.find(conn, TENANT, None) == callers.Caller("", None)


async def test_a_talk_is_owed_its_disposition(floor: Floor, database_url: str, tmp_path: Path) -> None:
    """The agent wraps up, sees the caller's card, saves what it came to, and is free."""
    called = await published(floor)
    seat = await floor.seat()
    call = await talked(floor, seat, called)
    row = await row_of(floor, call)
    assert (row.state, row.result, row.agent_id) == ("wrap_up", "answered", seat.agent_id)
    assert (await floor.shift(seat)).state is AgentState.WRAP_UP
    desk = CommandDesk(floor.database, Listener(database_url, (REPLIES,)))
    service = CallService(floor.database, desk, load(data_dir=tmp_path))
    card = await service.card(seat.actor)
    assert card is not None
    assert card.person is not None
    assert (card.call.id if card.call else None, card.person.id) == (call.attempt_id, row.contact_id)
    view = await service.dispose(seat.actor, call.attempt_id, "sale", "перезвонила сама")
    assert (view.call.mode, view.call.state, view.call.disposition_code) == ("inbound", "ended", "sale")
    assert (await row_of(floor, call)).disposition_note == "перезвонила сама"
    assert (await floor.shift(seat)).state is AgentState.READY


async def test_a_wrap_up_over_its_limit_ends_and_is_still_owed(floor: Floor) -> None:
    """As after a call of ours."""
    seat = await floor.seat()
    call = await talked(floor, seat, await published(floor))
    timed = WrapUps(over=[call.attempt_id])
    async with floor.database.tenant(TENANT) as conn:
        await wrapup_store.end_overdue(conn, TENANT, [floor.campaign_id], utc_now(), timed)
        over = await wrapup_store.shifts_over(conn, TENANT, [floor.campaign_id], utc_now(), timed)
        assert over == [(call.attempt_id, seat.session_id)]
        assert await agents.owes_disposition(conn, TENANT, seat.session_id) == call.attempt_id
    assert (await row_of(floor, call)).state == "ended"


async def test_a_call_on_the_line_is_taken_over(floor: Floor) -> None:
    """Its next owner reads all that the transition table needs of it; what is over is not read."""
    called = await published(floor)
    ended = await arrived(floor, called)
    over = HungUp(utc_now(), result=Result.LEFT, by=HungUpBy.CUSTOMER)
    await signals(floor, ended, Served(utc_now(), outcome=Result.CONTAINED), over)
    assert (await row_of(floor, ended)).result == "contained"
    call = await signals(
        floor, await arrived(floor, called), Served(utc_now(), outcome=Result.CALLBACK), Queued(utc_now())
    )
    async with floor.database.tenant(TENANT) as conn:
        (left,) = await on_lines.calls_on_lines(conn, TENANT, [floor.campaign_id])
    assert left.call == call
    assert (left.e164, left.node) == (NUMBER.e164, NODE)


async def test_a_reason_of_any_length_is_written(floor: Floor) -> None:
    """A flow may put a long one together of what it was told; its beginning is kept, and the call goes on."""
    call = await arrived(floor, await published(floor))
    said = "".join(
        random.Random(1).choices("абвгдежзиклмн🙂😀опрст", k=2_000)
    )  # nothing that could be packed
    async with floor.database.tenant(TENANT) as conn:
        await store.tell(conn, TENANT, call.attempt_id, {}, reason=said)
        kept = await conn.scalar(select(t.inbound_call.c.reason))
    assert kept == said[:500]


async def test_who_has_called_and_the_way_through_the_flow(floor: Floor, site: Web) -> None:
    """For supervisors whole; for the agent who talked with the number masked."""
    called = await published(floor)
    agent = await site.browser(Role.OPERATOR)
    assert agent.user is not None
    seat = await floor.seat(user=Actor(TENANT, agent.user.id, Role.OPERATOR, "x", "en"))
    call = await talked(floor, seat, called)
    async with floor.database.tenant(TENANT) as conn:
        first, then = [Passed("menu", "1", {"choice": "1"})], [Passed("order", "done", {"order": "777"})]
        await store.stepped(conn, TENANT, call.attempt_id, "reception", 0, first, "order", utc_now())
        await store.stepped(conn, TENANT, call.attempt_id, "reception", 1, then, None, utc_now())
        await store.tell(conn, TENANT, call.attempt_id, {"order": "777"}, reason="service")
    boss = await site.program(Role.SUPERVISOR)
    (listed,) = (await boss.call("GET", "~/inbound/calls")).json["items"]
    assert (listed["number"], listed["reason"], listed["collected"]) == (
        NUMBER.e164, "service", {"order": "777"},
    )  # fmt: skip
    way = (await agent.call("GET", f"~/inbound/calls/{call.attempt_id}")).json
    assert [(one["state"], one["event"], one["collected"]) for one in way["steps"]] == [
        ("menu", "1", {"choice": "1"}),
        ("order", "done", {"order": "777"}),
    ]
    assert way["call"]["number"] != NUMBER.e164
    other: Caller = await site.browser(Role.OPERATOR)
    assert (await other.call("GET", f"~/inbound/calls/{call.attempt_id}")).status == 403


async def test_an_erased_person_has_never_called(floor: Floor, tmp_path: Path) -> None:
    """The call stays, for figures, without the number and what was pressed."""
    seat = await floor.seat()
    call = await talked(floor, seat, await published(floor))
    async with floor.database.tenant(TENANT) as conn:
        passed = [Passed("order", "done", {"order": "777"})]
        await store.stepped(conn, TENANT, call.attempt_id, "reception", 0, passed, None, utc_now())
        await store.tell(conn, TENANT, call.attempt_id, {"order": "777"}, reason="service")
        timed = WrapUps(over=[call.attempt_id])
        await wrapup_store.end_overdue(conn, TENANT, [floor.campaign_id], utc_now(), timed)
    before = await row_of(floor, call)
    await ErasureService(floor.database, tmp_path).erase(BOSS, before.contact_id, never_again=False)
    row = await row_of(floor, call)
    assert (row.e164, row.collected, row.reason) == (f"erased-{before.contact_id}", {}, None)
    assert row.result == "answered"
    async with floor.database.tenant(TENANT) as conn:
        (step,) = await store.steps(conn, TENANT, call.attempt_id)
    assert (step.state, step.event, step.collected) == ("order", "done", {})


async def test_a_key_has_the_number_called_no_more(floor: Floor) -> None:
    """By nobody, or not by the campaign of the called number; the entry names the call."""
    call = await arrived(floor, await published(floor))
    row = await row_of(floor, call)
    who = Speaker(call, row.contact_id, "Europe/Moscow")
    async with floor.database.tenant(TENANT) as conn:
        for scope in ("campaign", "all"):
            assert await deeds.opt_out(conn, who, OptOut(scope, NUMBER.e164), NUMBER) == Came("done")
        assert isinstance(await deeds.opt_out(conn, who, OptOut("all", ""), None), Failed)
    async with floor.database.tenant(TENANT) as conn:
        found = await donotcall.entries_of(conn, TENANT, [NUMBER.e164])
    said = {(entry.campaign_id, entry.source, entry.attempt_id) for entry in found}
    assert said == {(one, Source.KEY_PRESS, call.attempt_id) for one in (floor.campaign_id, None)}


async def test_a_key_consents(floor: Floor) -> None:
    """In the ledger, to the end of the day in the flow's zone; a refusal is none, nobody's is not kept."""
    call = await arrived(floor, await published(floor))
    row = await row_of(floor, call)
    who = Speaker(call, row.contact_id, "Europe/Moscow")
    async with floor.database.tenant(TENANT) as conn:
        refused = RecordConsent("advertising", given=False)
        assert await deeds.record_consent(conn, who, refused) == Came("done")
        given = RecordConsent("advertising", given=True, until=date(2099, 12, 31))
        assert await deeds.record_consent(conn, who, given) == Came("done")
        assert isinstance(await deeds.record_consent(conn, Speaker(call, None, ""), given), Failed)
        (kept,) = await conn.execute(select(t.consent))
    assert (kept.contact_id, kept.purpose, kept.proof) == (
        row.contact_id, "advertising", f"call {call.attempt_id}",
    )  # fmt: skip
    assert kept.valid_until == datetime(2099, 12, 31, 20, 59, 59, tzinfo=UTC)
