"""A caller on the agent's page, and the reasons of calls in a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from playwright.async_api import expect
from sqlalchemy import insert, select, update
from support.browser import Visitors
from support.came import CALLER, came_in
from support.promises import ROUND_THE_CLOCK
from support.stage import TENANT, Stage

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role
from dialer.inbound import callers
from dialer.inbound.reasons import ReasonService
from ivr_flows import shipped, yamlfile

REASONS = ["Цена и наличие", "Запись на сервис", "Жалоба"]


async def talking(stage: Stage, states: Sequence[str] = ("menu", "order", "sales"), **columns: Any) -> UUID:
    """The first agent talks with a caller who has come by three states and waited 30 s."""
    now, agent_id = utc_now(), stage.agents[0]
    queued_at, met_at = now - timedelta(seconds=50), now - timedelta(seconds=20)
    async with stage.database.tenant(TENANT) as conn:
        people = select(t.attempt.c.contact_id).where(t.attempt.c.contact_id.is_not(None)).limit(1)
        call: dict[str, Any] = {
            "contact_id": await conn.scalar(people), "result": None, "state": "connected", "ended_at": None,
            "collected": {"order": "4412"}, "agent_id": agent_id, "session_id": stage.shifts[agent_id],
            "queue": "Продажи", "queued_at": queued_at, "assigned_at": met_at, "connected_at": met_at,
        }  # fmt: skip
        call_id = await came_in(conn, stage.campaign_id, now - timedelta(seconds=60), **call | columns)
        for n, state in enumerate(states):
            step = {"call_id": call_id, "n": n, "flow": "reception", "state": state, "at": now}
            await conn.execute(insert(t.flow_step).values(tenant_id=TENANT, **step))
        await conn.execute(
            update(t.agent_session)
            .where(t.agent_session.c.id == stage.shifts[agent_id])
            .values(state="talking", state_since=met_at, attempt_id=call_id)
        )
    return call_id


async def test_an_agent_sees_who_calls_and_says_why(visit: Visitors, stage: Stage) -> None:
    """Queue, wait, way and digits stand on the page; a reason is saved as it is chosen, and stays."""
    await ReasonService(stage.database).write(Actor.server(TENANT), REASONS)
    call_id = await talking(stage)
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[0])
    person = await visit(user)
    await person.open("/desk")
    about = person.page.locator("#came-in")
    for text in ("Продажи", "waited 0:30", "reception: menu → order → sales", "4412", "+7 495 777 01 01"):
        await expect(about).to_contain_text(text.replace(" 4", "\u00a04") if text[0] == "+" else text)
    async with person.page.expect_response(lambda reply: reply.url.endswith("/desk/reason")) as answered:
        await person.page.select_option("#reason", label="Жалоба")
    assert (await answered.value).status == 204
    async with stage.database.tenant(TENANT) as conn:
        query = select(t.inbound_call.c.reason).where(t.inbound_call.c.id == call_id)
        assert await conn.scalar(query) == "Жалоба"


async def test_an_agent_reads_the_titles_of_a_flow(visit: Visitors, stage: Stage) -> None:
    """Where the caller has been, what they were asked and chose, and why they call, in the words of the
    flow's titles."""
    call_id = await talking(
        stage, states=("hours", "departments", "sales"), collected={"reason": "sales"}, reason="sales"
    )
    document = yamlfile.read(shipped.text("reception", "ru"), "reception").value
    async with stage.database.tenant(TENANT) as conn:
        flow_id = select(t.inbound_call.c.flow_id).where(t.inbound_call.c.id == call_id).scalar_subquery()
        whose = t.flow_version.c.flow_id == flow_id
        await conn.execute(update(t.flow_version).where(whose).values(document=document))
    person = await visit(await visit.web.users.get(Actor.server(TENANT), stage.users[0]))
    await person.open("/desk")
    about = person.page.locator("#came-in")
    await expect(about).to_contain_text("Приёмная дилера: Открыто ли → Выбор отдела → Очередь продаж")
    await expect(about.locator("dt", has_text="Выбор отдела")).to_be_visible()
    await expect(about.locator("dt", has_text="Reason of the call")).to_be_visible()
    await expect(about.locator("dd", has_text=re.compile("^Очередь продаж$"))).to_have_count(2)


async def test_a_caller_is_promised_a_call(visit: Visitors, stage: Stage) -> None:
    """Somebody whom no list has, by their own clock: the page says when they would be called before it is
    saved."""
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(ROUND_THE_CLOCK))
        found = await callers.find(conn, TENANT, callers.number_of(CALLER, "RU"))
    call_id = await talking(stage, contact_id=found.contact_id)
    person = await visit(await visit.web.users.get(Actor.server(TENANT), stage.users[0]))
    await person.open("/desk")
    page = person.page
    await expect(page.locator(".card .sub")).to_contain_text("local time")
    await page.fill("#callback-at", f"{utc_now() + timedelta(days=2):%Y-%m-%dT12:00}")
    await page.press("#callback-at", "Tab")
    await expect(page.locator("#promise-outlook")).to_contain_text("12:00 there")
    await page.click("button[value=callback]")
    await expect(page.locator("button[value=callback].chosen")).to_be_visible()
    async with stage.database.tenant(TENANT) as conn:
        made = (await conn.execute(select(t.callback))).one()
    assert (made.agent_id, made.made_in, made.contact_id) == (stage.agents[0], call_id, found.contact_id)
    await person.open(f"/callbacks/{made.id}")
    await expect(page.locator("h1")).to_have_text("•••\u00a0••\u00a033")  # nobody knows the name


async def test_who_has_no_number_is_offered_no_call(visit: Visitors, stage: Stage) -> None:
    """A withheld number: the disposition is there, the time is not."""
    await talking(stage, contact_id=None, e164="")
    person = await visit(await visit.web.users.get(Actor.server(TENANT), stage.users[0]))
    await person.open("/desk")
    await expect(person.page.locator("button[value=callback]")).to_be_visible()
    await expect(person.page.locator("#promise")).to_have_count(0)


async def test_a_supervisor_writes_the_reasons(visit: Visitors, stage: Stage) -> None:
    """One a line; a list with one twice is refused, and stays as it was typed."""
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    await person.open("/queues")
    await page.fill("#reasons-list", "Цена\nцена")
    await page.click("#reasons button")
    await expect(page.locator("#reasons .fault")).to_be_visible()
    await expect(page.locator("#reasons-list")).to_have_value("Цена\nцена")
    await page.fill("#reasons-list", "Цена\n\n  Жалоба ")
    await page.click("#reasons button")
    await expect(page.locator("#reasons-list")).to_have_value("Цена\nЖалоба")
    assert await ReasonService(stage.database).reasons(Actor.server(TENANT)) == ["Цена", "Жалоба"]
