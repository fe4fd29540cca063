"""Campaigns in a browser: made from a form, refused with reasons, watched live."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from playwright.async_api import Route, expect
from sqlalchemy import insert, select, update
from support.browser import Visitor, Visitors
from support.stage import TENANT, Stage

from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.db import events
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role


async def watching(visit: Visitors, stage: Stage) -> Visitor:
    """A supervisor at the live page, whose stream of events is open."""
    person = await visit(Role.SUPERVISOR)
    async with person.page.expect_response(lambda reply: "/api/v1/events" in reply.url):
        await person.open(f"/campaigns/{stage.campaign_id}")
    # Would be lost by a reload.
    await person.page.evaluate("window.sameDocument = true")
    return person


async def test_a_campaign_without_agents_is_made_from_the_form(visit: Visitors, stage: Stage) -> None:
    """The flow is chosen among those that are published, with its lines and calls a second."""
    async with stage.database.tenant(TENANT) as conn:
        made = {"tenant_id": TENANT, "name": "survey", "live_version": 1}
        await conn.execute(insert(t.flow).values(made))
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/campaigns/new")
    await page.fill("#f-name", "Robot")
    await page.check("input[name=mode][value=flow]")
    await page.click("summary:has-text('Without agents')")
    await page.select_option("#f-flow", "survey")
    await page.fill("#f-flow_lines", "3")
    await page.fill("#f-flow_rate", "0.5")
    await page.click("button:has-text('Save')")
    await page.wait_for_url(lambda url: url.rstrip("0123456789").endswith("/campaigns/"))
    await page.goto(f"{page.url}/edit")
    assert await page.input_value("#f-flow") == "survey"
    assert [await page.input_value(f"#f-flow_{name}") for name in ("lines", "rate")] == ["3", "0.5"]


async def test_a_campaign_is_made_from_the_form_and_says_why_it_cannot_start(
    visit: Visitors, stage: Stage
) -> None:
    """A wrong field keeps its neighbours; the draft lists every reason; starting it says them."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    person.expected |= {409, 422}
    page = person.page
    await person.open("/campaigns/new")
    await page.fill("#f-name", "Зимние шины")
    await page.fill("#f-call_from", "22:00")
    await page.click("text=Сохранить")
    assert await page.input_value("#f-name") == "Зимние шины"
    assert "позже начала" in await page.inner_text("#fault-call_until")
    await page.fill("#f-call_from", "10:00")
    await page.click("text=Сохранить")
    await page.wait_for_url(lambda url: url.rstrip("0123456789").endswith("/campaigns/"))
    reasons = await page.locator(".reasons li").all_inner_texts()
    assert len(reasons) == 3
    assert any("транк" in reason for reason in reasons)
    await page.click("button:has-text('Запустить')")
    notice = page.locator("#notices .notice")
    await expect(notice).to_contain_text("Кампания не может начаться")
    for reason in reasons:
        await expect(notice).to_contain_text(reason.rstrip("."))
    assert await page.inner_text(".head .chip") == "черновик"


async def test_settings_are_changed_on_the_form(visit: Visitors, stage: Stage) -> None:
    """What is saved comes back; a box that is no longer ticked is off; what the form has not stays."""
    service, server = CampaignService(stage.database), Actor.server(TENANT)
    await service.pause(server, stage.campaign_id)
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open(f"/campaigns/{stage.campaign_id}/edit")
    assert await page.is_checked("#f-detect_machines")
    await page.uncheck("#f-detect_machines")
    await page.check("input[value=power]")
    await page.fill("#f-ratio", "2.5")
    await page.click("button:has-text('Save')")
    await page.wait_for_url(f"**/campaigns/{stage.campaign_id}")
    now = (await service.campaign(server, stage.campaign_id)).campaign
    assert (now.mode, now.ratio, now.detect_machines, now.record) == ("power", 2.5, False, True)
    assert (now.caller_name, now.policy) == ("Автосалон «Заря»", "ru-service")


async def test_two_who_save_the_same_form_lose_nothing_of_each_other(visit: Visitors, stage: Stage) -> None:
    """What one has not touched stays as the other has saved it; what both have changed is said and asked."""
    service, server = CampaignService(stage.database), Actor.server(TENANT)
    await service.pause(server, stage.campaign_id)
    path = f"/campaigns/{stage.campaign_id}"
    first, second = await visit(Role.SUPERVISOR), await visit(Role.SUPERVISOR)
    second.expected.add(409)
    for person in (first, second):
        await person.open(f"{path}/edit")
    await first.page.fill("#f-caller_name", "Заря-Юг")
    await first.page.fill("#f-ring_timeout_s", "40")
    await first.page.fill("#f-abandon_target", "2.5")
    await first.page.click("button:has-text('Save')")
    await first.page.wait_for_url(f"**{path}")
    await second.page.fill("#f-ring_timeout_s", "20")
    await second.page.fill("#f-max_attempts", "7")
    async with second.page.expect_navigation():
        await second.page.click("button:has-text('Save')")
    await expect(second.page.locator("main p.strip.bad")).to_contain_text("somebody else has changed")
    await expect(second.page.locator("#fault-ring_timeout_s")).to_contain_text("40")
    assert await second.page.locator(".fault").count() == 1
    kept = (await service.campaign(server, stage.campaign_id)).campaign
    assert (kept.ring_timeout_s, kept.max_attempts) == (40, 3)
    await second.page.click("button:has-text('Save')")
    await second.page.wait_for_url(f"**{path}")
    now = (await service.campaign(server, stage.campaign_id)).campaign
    assert (now.caller_name, now.abandon_target) == ("Заря-Юг", 0.025)
    assert (now.ring_timeout_s, now.max_attempts) == (20, 7)


async def test_the_settings_of_a_running_campaign_say_what_waits_for_a_pause(
    visit: Visitors, stage: Stage
) -> None:
    """Its pace is set at once; another field is marked, and nothing is saved."""
    path = f"/campaigns/{stage.campaign_id}"
    person = await visit(Role.SUPERVISOR)
    person.expected.add(409)
    page = person.page
    await person.open(path)
    await page.click("a:has-text('Settings')")
    await expect(page.locator("main p.strip")).to_contain_text("The campaign runs")
    await page.fill("#f-priority", "5")
    await page.click("button:has-text('Save')")
    await page.wait_for_url(f"**{path}")
    await person.open(f"{path}/edit")
    await page.fill("#f-priority", "6")
    await page.fill("#f-ring_timeout_s", "40")
    async with page.expect_navigation():
        await page.click("button:has-text('Save')")
    assert await page.locator(".fault").all_inner_texts() == ["is changed while the campaign is paused"]
    await expect(page.locator("#fault-ring_timeout_s")).to_be_visible()
    now = (await CampaignService(stage.database).campaign(Actor.server(TENANT), stage.campaign_id)).campaign
    assert (now.priority, now.ring_timeout_s) == (5, 25)


async def test_dates_are_written_as_people_write_them(visit: Visitors, stage: Stage) -> None:
    """Day first too; a date that stands twice is refused, and what was typed stays."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    person.expected.add(422)
    page = person.page
    await person.open("/campaigns/new")
    await page.fill("#f-name", "Зима")
    await page.click("summary:has-text('Другие часы')")
    twice = "31.12.2026 10:00-14:00\n2026-12-31 -"
    await page.fill("#f-exceptions", twice)
    async with page.expect_navigation():
        await page.click("text=Сохранить")
    assert "2026-12-31 указано дважды" in await page.inner_text("#fault-exceptions")
    assert await page.input_value("#f-exceptions") == twice
    await page.fill("#f-exceptions", "31.12.2026 10:00-14:00")
    await page.click("text=Сохранить")
    await page.wait_for_url(lambda url: url.rstrip("0123456789").endswith("/campaigns/"))
    await page.goto(f"{page.url}/edit")
    assert await page.input_value("#f-exceptions") == "2026-12-31 10:00-14:00"


async def test_the_live_page_follows_an_event(visit: Visitors, stage: Stage) -> None:
    """An agent's state and a call's end come to the page by themselves, without a reload."""
    person = await watching(visit, stage)
    row = person.page.locator(f"#agent-{stage.agents[0]}")
    await expect(row).to_contain_text("ready")
    await stage.put(stage.agents[0], "wrap_up")
    await expect(row).to_contain_text("wrap-up", timeout=10000)
    attempt_id = await stage.assign(stage.agents[5], surname="Жуков")
    call = person.page.locator(f"#call-{attempt_id}")
    await expect(call).to_contain_text("Жуков", timeout=10000)
    now = utc_now()
    await stage.change(
        attempt_id, stage.agents[5], state="ended", result="caller_hung_up", hung_up_at=now, ended_at=now
    )
    await expect(call).to_contain_text("hung up before an agent", timeout=10000)
    assert await person.page.evaluate("window.sameDocument") is True


async def test_what_a_person_has_opened_stays_open_while_the_page_lives(
    visit: Visitors, stage: Stage
) -> None:
    """A formula that was opened is still open, and the same element, after the figures were renewed."""
    person = await watching(visit, stage)
    page = person.page
    figure = page.locator("details.figure").first
    await figure.click()
    assert "answered live / attempts" in await figure.inner_text()
    await figure.evaluate("element => { element.marked = true }")
    attempts = page.get_by_title("attempts with a known result").locator(".value")
    before = int(await attempts.inner_text())
    attempt_id = await stage.assign(stage.agents[0])
    now = utc_now()
    await stage.change(attempt_id, None, state="ended", result="caller_hung_up", hung_up_at=now, ended_at=now)
    await expect(attempts).to_have_text(str(before + 1), timeout=10000)
    assert await figure.evaluate("element => element.open && element.marked")


async def test_a_flood_of_events_costs_few_requests(visit: Visitors, stage: Stage) -> None:
    """However fast they come, the board is renewed four times a second at most; the last is not missed."""
    person = await watching(visit, stage)
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url) if "/board" in request.url else None)
    begun = time.monotonic()
    for n in range(100):
        await stage.put(stage.agents[0], ("paused", "ready")[n % 2])
    await stage.put(stage.agents[0], "wrap_up")
    await expect(person.page.locator(f"#agent-{stage.agents[0]}")).to_contain_text("wrap-up", timeout=10000)
    took = time.monotonic() - begun
    assert len(asked) <= 4 * (took + 1)


async def test_an_event_that_comes_during_a_renewal_is_not_missed(visit: Visitors, stage: Stage) -> None:
    """The reply under way is older than the event: the board is read once more after it."""
    person = await watching(visit, stage)
    page, read, known = person.page, asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        reply = await route.fetch()
        read.set()
        await known.wait()
        await route.fulfill(response=reply)

    await page.route(f"**/campaigns/{stage.campaign_id}/board", hold)
    await stage.put(stage.agents[0], "paused")
    await asyncio.wait_for(read.wait(), 30)
    async with page.expect_request("**/figures"):  # so the page has seen the event before it, too
        await stage.put(stage.agents[0], "wrap_up")
        async with stage.database.tenant(TENANT) as conn:
            await stage.tell(conn, "call.state")
    known.set()
    await expect(page.locator(f"#agent-{stage.agents[0]}")).to_contain_text("wrap-up", timeout=10000)


async def test_a_supervisor_pauses_and_resumes(visit: Visitors, stage: Stage) -> None:
    """The buttons act at once, in place; the page says why nothing is dialled."""
    async with stage.database.tenant(TENANT) as conn:
        # The sound of the message is there already: no voice is needed to resume.
        await conn.execute(update(t.campaign).values(abandon_sound="campaigns/1"))
    person = await watching(visit, stage)
    page = person.page
    await page.click("button:has-text('Pause')")
    await expect(page.locator(".head .chip")).to_have_text("campaign paused", timeout=10000)
    await expect(page.locator(".pace")).to_contain_text("does not run", timeout=10000)
    await page.click("button:has-text('Resume')")
    await expect(page.locator(".head .chip")).to_have_text("running", timeout=10000)
    assert await page.evaluate("window.sameDocument") is True


async def test_the_abandon_rate_over_its_limit_is_marked(visit: Visitors, stage: Stage) -> None:
    """The share is of the policy's window and turns red above the policy's line."""
    person = await watching(visit, stage)
    figure = person.page.locator("details.figure", has_text="Abandon rate")
    assert "over" not in (await figure.get_attribute("class") or "")
    now = utc_now()
    async with stage.database.tenant(TENANT) as conn:
        for _ in range(3):
            await stage.attempt(
                conn, at=now - timedelta(seconds=20), e164="+79160000001", state="ended", result="abandoned",
                answered_at=now - timedelta(seconds=9), hung_up_at=now, ended_at=now,
            )  # fmt: skip
        await stage.tell(conn, "call.state")
    await expect(person.page.locator("details.figure.over")).to_contain_text("limit 3%", timeout=10000)


async def test_what_calls_came_to_is_counted(visit: Visitors, stage: Stage) -> None:
    """Each disposition that a call has, most of them as they stand in the campaign; a new one is counted."""
    person = await watching(visit, stage)
    rows = person.page.locator("#outcomes tbody tr")
    before = await person.page.locator("#outcomes h2 .muted").inner_text()
    await expect(rows.first).to_contain_text("Sale")
    async with stage.database.tenant(TENANT) as conn:
        c = t.disposition.c
        sale = await conn.scalar(select(c.id).where(c.campaign_id == stage.campaign_id, c.code == "sale"))
        now = utc_now()
        ended = {"state": "ended", "result": "answered", "ended_at": now, "disposition_id": sale}
        made = await stage.attempt(conn, at=now, e164="+79161234567", **ended)
        told = {"attempt_id": str(made), "campaign_id": stage.campaign_id, "agent_id": None, "code": "sale"}
        await events.emit(conn, "call.disposed", told, tenant_id=TENANT, campaign_id=stage.campaign_id)
    await expect(person.page.locator("#outcomes h2 .muted")).to_have_text(
        str(int(before) + 1), timeout=10_000
    )
    ru = await visit(Role.SUPERVISOR, locale="ru")
    await ru.open(f"/campaigns/{stage.campaign_id}")
    await expect(ru.page.locator("#outcomes h2")).to_contain_text("Итоги")


async def test_calls_are_filtered_and_each_has_its_steps(visit: Visitors, stage: Stage) -> None:
    """The log narrows by result and number, offers the same as CSV, and a call shows how it went."""
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open(f"/calls?campaign={stage.campaign_id}&result=machine")
    shown = await page.locator("table.calls tbody tr td:nth-child(4)").all_inner_texts()
    assert shown and set(shown) == {"answering machine"}
    assert "result=machine" in (await page.get_attribute("text=Download as CSV", "href") or "")
    await page.select_option("#result", "answered")
    await page.click("button:has-text('Show')")
    await page.locator("table.calls tbody tr a").last.click()
    await page.wait_for_url("**/calls/*-*")
    steps = await page.locator(".timeline li").all_inner_texts()
    assert "written down" in steps[0]
    assert any("Connected with the agent" in step for step in steps)
    person.expected.add(422)
    await person.open("/calls?number=12")
    assert await page.locator(".fault").count() == 1


async def test_an_engine_that_is_away_is_told_of(visit: Visitors, stage: Stage) -> None:
    """A strip says that nothing is dialled, and goes when the engine is back."""
    person = await watching(visit, stage)
    strip = person.page.locator("#status .strip")
    await expect(strip).to_have_count(0)
    async with stage.database.system() as conn:
        await conn.execute(update(t.process_status).values(seen_at=utc_now() - timedelta(minutes=1)))
    await expect(strip).to_contain_text("The engine does not work", timeout=5000)
    async with stage.database.system() as conn:
        status = {"asterisk": False, "trouble": "connection refused"}
        seen = utc_now() + timedelta(hours=1)
        await conn.execute(update(t.process_status).values(seen_at=seen, status=status))
    await expect(strip).to_contain_text("No connection with Asterisk", timeout=5000)
    await expect(strip).to_contain_text("connection refused")
