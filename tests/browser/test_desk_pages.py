"""The agent's page: the card before the voice, dispositions by key, preview, a typed number."""

from __future__ import annotations

import asyncio
import json
import random
import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect
from sqlalchemy import insert, select, update
from support.browser import Visitors
from support.desk import at_desk, talk
from support.keyboard import tab_to
from support.promises import ROUND_THE_CLOCK
from support.stage import TENANT, Stage, add_person

from dialer.clock import utc_now
from dialer.contacts import fields_store
from dialer.contacts.fields import FieldSpec, FieldType
from dialer.db import events
from dialer.db import tables as t
from dialer.httpkit.i18n import translator
from dialer.web.words import word


async def test_the_card_is_there_before_the_voice(visit: Visitors, stage: Stage) -> None:
    """On the choice of the agent: name, masked number, local time, the list's own columns."""
    person = await at_desk(visit, stage, locale="ru")
    page = person.page
    await expect(page.locator(".waiting")).to_contain_text("Ждём клиента")
    await stage.assign(stage.agents[0], surname="Жуков")
    await expect(page.locator("#customer")).to_contain_text("Жуков")
    card = await page.inner_text(".card")
    assert "+7 916 ••• •• " in card.replace("\xa0", " ")
    assert "местное время" in card
    assert "Автомобиль" in card
    assert "Осенний тест-драйв" in card
    await expect(page).to_have_title(re.compile("^● Жуков"))
    assert await page.evaluate("window.sameDocument") is True


async def test_fields_are_called_as_on_the_contact_card(visit: Visitors, stage: Stage) -> None:
    """By the tenant's labels in the reader's language, on the desk and with the call; what the tenant has no
    field for keeps the header of its file."""
    own = FieldSpec("car", "Машина", "Car of theirs", FieldType.TEXT, ("Автомобиль",))
    async with stage.database.tenant(TENANT) as conn:
        await fields_store.add_field(conn, TENANT, own)
    person = await at_desk(visit, stage)
    attempt_id = await stage.assign(stage.agents[0], surname="Жуков")
    facts = person.page.locator(".card dl.facts").first
    await expect(facts).to_contain_text("Car of theirs")
    assert "Автомобиль" not in await facts.inner_text()
    await person.open(f"/calls/{attempt_id}")
    await expect(person.page.locator("main")).to_contain_text("Car of theirs")
    assert "Автомобиль" not in await person.page.inner_text("main")
    russian = await at_desk(visit, stage, locale="ru")
    await expect(russian.page.locator(".card dl.facts").first).to_contain_text("Машина")


async def test_a_disposition_is_saved_by_its_key_with_the_note(visit: Visitors, stage: Stage) -> None:
    """The note survives every change of the page; in it digits are digits; outside, 4 saves the fourth."""
    person = await at_desk(visit, stage)
    page, agent_id = person.page, stage.agents[0]
    attempt_id = await talk(stage, agent_id)
    await page.wait_for_selector(".choices")
    await page.fill("#note", "просил 2 варианта")
    await page.press("#note", "4")
    now = utc_now()
    await stage.put(agent_id, "wrap_up", attempt_id)
    await stage.change(attempt_id, agent_id, state="wrap_up", hung_up_at=now)
    await expect(page.locator("#my-state")).to_have_text("Wrap-up")
    assert await page.input_value("#note") == "просил 2 варианта4"
    label = (await page.locator("button[data-key='4']").inner_text()).split("\n")[-1].split(" ", 1)[-1]
    await page.locator("h2", has_text="What it came to").click()
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("4")
    await expect(page.locator("#my-state")).to_have_text("Ready")
    async with stage.database.tenant(TENANT) as conn:
        kept = (
            await conn.execute(
                select(t.disposition.c.label_en, t.attempt.c.disposition_note, t.attempt.c.disposed_by)
                .join(t.disposition, t.disposition.c.id == t.attempt.c.disposition_id)
                .where(t.attempt.c.id == attempt_id)
            )
        ).one()
    assert kept.label_en in label
    assert (kept.disposition_note, kept.disposed_by) == ("просил 2 варианта4", stage.users[0])


async def test_a_call_back_is_kept_with_its_time(visit: Visitors, stage: Stage) -> None:
    """The time is of the person's place; the lead waits for it."""
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(ROUND_THE_CLOCK))
    person = await at_desk(visit, stage)
    page, agent_id = person.page, stage.agents[0]
    attempt_id = await talk(stage, agent_id)
    moscow = ZoneInfo("Europe/Moscow")
    wanted = (utc_now() + timedelta(days=2)).astimezone(moscow).replace(second=0, microsecond=0)
    await page.fill("#callback-at", wanted.strftime("%Y-%m-%dT%H:%M"))
    await page.click("button[value=callback]")
    await expect(page.locator("button.chosen")).to_contain_text("Call back")
    async with stage.database.tenant(TENANT) as conn:
        opens = await conn.scalar(
            select(t.lead.c.open_from)
            .join(t.attempt, t.attempt.c.lead_id == t.lead.c.id)
            .where(t.attempt.c.id == attempt_id)
        )
    assert opens == wanted


async def test_the_page_is_worked_without_a_mouse(visit: Visitors, stage: Stage) -> None:
    """With Tab and Enter: pause with a reason, be ready again."""
    person = await at_desk(visit, stage)
    page = person.page
    await page.focus("#pause-code")
    await page.keyboard.type("Lunch")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#my-state")).to_have_text("On pause")
    await expect(page.locator(".me")).to_contain_text("Lunch")
    await page.focus(".me button.main")
    await page.keyboard.press("Enter")
    await expect(page.locator("#my-state")).to_have_text("Ready")


async def test_a_shift_begins_and_ends_on_the_page(visit: Visitors, stage: Stage) -> None:
    """Log out, log in again: the page says that the phone rings now."""
    person = await at_desk(visit, stage)
    page = person.page
    await page.click("text=Log out of the phone")
    await expect(page.locator("#my-state")).to_have_text("Logged out")
    await page.click("text=Log in with the phone")
    await expect(page.locator("#my-state")).to_have_text("Phone is called")
    await expect(page.locator(".me")).to_contain_text("agent-1")


async def test_an_offered_lead_can_be_called_or_skipped(visit: Visitors, stage: Stage) -> None:
    """Preview: the page says so, a pause begins at once. The card has Call and Skip, and keys for them;
    skipping passes the lead on, the refusal of a call is told."""
    person = await at_desk(visit, stage)
    page, agent_id = person.page, stage.agents[0]
    async with stage.database.tenant(TENANT) as conn:
        _, lead_id, _ = await add_person(
            conn,
            stage.list_id,
            stage.campaign_id,
            random.Random(3),
            surname="Беляев",
            lead={"status": "offered"},
        )
        await conn.execute(
            update(t.agent_session)
            .where(t.agent_session.c.id == stage.shifts[agent_id])
            .values(state="reserved", lead_id=lead_id)
        )
        await stage.tell(conn, "lead.offered", agent_id, lead_id=lead_id)
    await expect(page.locator("#customer")).to_contain_text("Беляев")
    await expect(page.locator("#my-state")).to_have_text("Preview")
    await expect(page.locator(".me .hint")).to_have_text("Look at the card, then call or skip.")
    await expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    person.expected.add(409)  # the campaign is progressive: nobody calls its leads by hand
    await page.keyboard.press("d")
    await expect(page.locator("#notices")).to_contain_text("progressive")
    await page.keyboard.press("s")
    await expect(page.locator("#my-state")).to_have_text("Ready")
    async with stage.database.tenant(TENANT) as conn:
        assert await conn.scalar(select(t.lead.c.status).where(t.lead.c.id == lead_id)) == "waiting"


async def test_a_manual_campaign_gives_a_field_for_the_number(visit: Visitors, stage: Stage) -> None:
    """It is there while such a campaign runs; a number that is none is refused in words."""
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(mode="manual"))
    person = await at_desk(visit, stage)
    person.expected.add(422)
    await person.page.fill("#dial-number", "12")
    await person.page.press("#dial-number", "Enter")
    await expect(person.page.locator("#notices")).to_contain_text("The phone number cannot be used")


async def test_another_agents_events_do_not_reach_the_page(visit: Visitors, stage: Stage) -> None:
    """An agent's stream holds the own events only."""
    person = await at_desk(visit, stage)
    devtools = await person.context.new_cdp_session(person.page)
    heard, mine = list[int](), asyncio.Event()

    def told(message: dict[str, Any]) -> None:
        if message["eventName"] == "agent.state":
            heard.append(json.loads(message["data"])["agent_id"])
        if stage.agents[0] in heard:
            mine.set()

    devtools.on("Network.eventSourceMessageReceived", told)
    await devtools.send("Network.enable")
    await stage.put(stage.agents[1], "paused")
    async with person.page.expect_response("**/desk/panel"), stage.database.tenant(TENANT) as conn:
        await events.emit(conn, "agent.state", {}, tenant_id=TENANT, agent_id=stage.agents[0])
    async with asyncio.timeout(30):
        await mine.wait()
    assert heard == [stage.agents[0]]


@pytest.mark.parametrize("locale", ["en", "ru"])
async def test_the_card_tells_what_is_known_and_is_changed_field_by_field(
    visit: Visitors, stage: Stage, locale: str
) -> None:
    """Attempts, consent and the promised call stand beside the columns. By the keyboard alone a field is
    saved as one leaves it, the history has old and new value; what is refused stays as it was typed."""
    says = translator(locale).gettext
    own = FieldSpec("car", "Машина", "Car of theirs", FieldType.TEXT, ("Автомобиль",))
    async with stage.database.tenant(TENANT) as conn:
        await fields_store.add_field(conn, TENANT, own)
    person = await at_desk(visit, stage, locale=locale)
    page = person.page
    call_id = await talk(stage, stage.agents[0])
    async with stage.database.tenant(TENANT) as conn:
        call = (await conn.execute(select(t.attempt).where(t.attempt.c.id == call_id))).one()
        said = {"purpose": "advertising", "source": "form", "valid_from": utc_now() - timedelta(days=1)}
        await conn.execute(insert(t.consent).values(tenant_id=TENANT, contact_id=call.contact_id, **said))
    await stage.change(call_id, stage.agents[0], muted=True)
    about = page.locator("#about")
    await expect(about).to_contain_text(word(locale, "purpose", "advertising"))
    await expect(about).to_contain_text(says("the first call"))
    await page.keyboard.press("c")
    await expect(page.get_by_label(word(locale, "card_field", "last_name"))).to_be_focused()
    await page.keyboard.press("Control+a")
    await page.keyboard.type("Новикова")
    await page.keyboard.press("Tab")
    await expect(page.locator("#customer")).to_contain_text("Новикова")
    saved = says("Saved: %(field)s") % {"field": word(locale, "card_field", "last_name")}
    await expect(page.locator(".edit [role=status]")).to_contain_text(saved)
    car = page.get_by_label("Машина" if locale == "ru" else "Car of theirs")
    await tab_to(page, car)
    await page.keyboard.press("Control+a")
    await page.keyboard.type("Lada Niva")
    await page.keyboard.press("Enter")
    await expect(page.locator(".card dl.facts").first).to_contain_text("Lada Niva")
    person.expected.add(422)
    zone = page.get_by_label(word(locale, "card_field", "timezone"))
    await zone.fill("Марс")
    await zone.press("Tab")
    await expect(page.locator("#notices")).to_contain_text(word(locale, "card_field", "timezone"))
    await expect(zone).to_have_value("Марс")
    async with stage.database.tenant(TENANT) as conn:
        story = await conn.scalars(
            select(t.contact_event.c.detail)
            .where(t.contact_event.c.contact_id == call.contact_id)
            .order_by(t.contact_event.c.id)
        )
        told = [{name: new for name, (_, new) in detail.items()} for detail in story]
    assert told == [{"last_name": "Новикова"}, {"custom.Автомобиль": "Lada Niva"}]
