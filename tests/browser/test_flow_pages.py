"""Flows in a browser: begun from one that comes along, mended, tried, published; callers seen in them."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect
from support.browser import Visitors
from support.flow_pages import BOSS, SKILL, a_call, a_flow, document
from support.stage import TENANT, Stage

from dialer.clock import utc_now
from dialer.db import events
from dialer.httpkit.access import Role
from dialer.inbound.http import INBOUND
from dialer.queues.fields import QueueIn
from dialer.queues.http import QUEUES
from ivr_flows.writing import yaml_of

NUMBER = "74957770101"
#: Of a call that is over.
GONE: dict[str, Any] = {"state": "ended", "result": "left", "ended_at": utc_now()}


async def a_number(stage: Stage, flow: str = "reception", **more: Any) -> None:
    """NUMBER leads to the flow."""
    values = {"number": NUMBER, "name": "", "campaign_id": stage.campaign_id, "queue": "", "test": False}
    await stage.web.app[INBOUND].add_number(BOSS, flow, {**values, "active": True, **more})


async def test_a_flow_is_begun_mended_and_published(visit: Visitors, stage: Stage) -> None:
    """What is wrong is told with its line while one types, and holds up the saving; the text keeps its
    comments; what is published is drawn as live."""
    await stage.web.app[QUEUES].create(BOSS, QueueIn(name="quality"))
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    await person.open("/flows")
    await expect(page.locator("#flows")).to_contain_text("There is no flow yet.")
    await page.click("text=New flow")
    await page.locator("section", has_text="Survey").locator("a:has-text('English')").click()
    text = page.locator("#f-yaml")
    whole = await text.input_value()
    await expect(page.locator("#problems")).to_contain_text("nothing is wrong")
    await text.fill(whole.replace("refused: no_survey", "refused: nowhere"))
    line = whole[: whole.index("refused: no_survey")].count("\n") + 1
    problem = page.locator("#problems li", has_text="nowhere")
    await expect(problem).to_contain_text(f"line {line}")
    await expect(problem).to_contain_text("states.consent.transitions.refused")
    await problem.locator("a").click()
    chosen = "one => one.value.slice(one.selectionStart, one.selectionEnd)"
    assert "nowhere" in await text.evaluate(chosen)
    await page.click("text=Save as a draft")
    await expect(page.locator("main")).to_contain_text("Not saved")
    await expect(page.locator("#lines")).to_contain_text("40")
    await text.fill(whole)
    await page.click("text=Save as a draft")
    await expect(page.locator("h1")).to_have_text("survey: version 1")
    await expect(page.locator("main")).to_contain_text("Nothing hinders it")
    await page.click("button:has-text('Publish')")
    await expect(page.locator("#traffic h2").first).to_contain_text("live")
    await expect(page.locator("#traffic svg")).to_contain_text("Quality")
    await page.click("text=Change and try it")
    assert await text.input_value() == whole
    assert whole.startswith("# ")


async def test_a_text_is_tried_on_its_page(visit: Visitors, stage: Stage) -> None:
    """What would be heard is shown, keys and outcomes are given, the end is told; nothing is saved."""
    await a_flow(stage.web.app[INBOUND])
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/flows/1/edit")
    await page.click("text=Call it")
    played = page.locator("#played")
    await expect(played).to_contain_text("Hello.")
    await expect(played).to_contain_text("Sales: 1. Service: 2.")
    await page.fill("#word", "1")
    await page.press("#word", "Enter")
    await expect(played).to_contain_text("Enqueue")
    await expect(played).to_contain_text(f"queue={SKILL}")
    await played.locator("button:has-text('waited too long')").click()
    await expect(played).to_contain_text("The call is over.")
    await page.click("text=From the beginning")
    await expect(page.locator("#word")).to_be_visible()
    await expect(played).not_to_contain_text("Enqueue")
    assert len(await stage.web.app[INBOUND].versions(BOSS, "reception")) == 1


async def test_a_text_is_tried_as_somebody_at_a_moment(visit: Visitors, stage: Stage) -> None:
    """Who calls, when, in which language and what the world answers is said beside it."""
    states = [
        {"name": "who", "type": "lookup", "transitions": {"default": "hello"}},
        {
            "name": "hello",
            "type": "say",
            "properties": {"prompt": "{contact.name} of {call.city} at {now|time}"},
            "transitions": {"default": "end"},
        },
        {"name": "end", "type": "hangup"},
    ]
    tried = {**document(), "initial_state": "who", "states": states}
    await stage.web.app[INBOUND].write(BOSS, yaml_of(tried))
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/flows/1/edit")
    await page.click("text=Who calls, when")
    await page.fill("#g-at", "2026-11-23T20:15")
    await page.fill("#g-variables", "call.city=Omsk")
    await page.fill("#g-answers", "who found")
    await page.click("text=Call it")
    played = page.locator("#played")
    await expect(played).to_contain_text("“who found” needs a name")
    await page.fill("#g-answers", "who: found:name=Anna")
    await page.click("text=From the beginning")
    await expect(played).to_contain_text("Anna of Omsk at")
    await expect(played).to_contain_text("20:15")
    await expect(played).to_contain_text("The call is over.")
    await page.fill("#g-answers", "")
    await page.click("text=From the beginning")
    await page.fill("#word", "found:name=Boris")
    await page.press("#word", "Enter")
    await expect(played).to_contain_text("Boris of Omsk")


async def test_callers_are_seen_where_they_are(visit: Visitors, stage: Stage) -> None:
    """On the drawing and in the table, as they come; who hung up stands at the state where they did."""
    await a_flow(stage.web.app[INBOUND])
    await a_number(stage)
    await a_call(stage.database, NUMBER, ("greeting", "done"), ("menu", "hung_up"), **GONE)
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/flows")
    row = page.locator("#flows tbody tr")
    await expect(row.locator("td").last).to_have_text("0")
    await expect(row).to_contain_text("777 01 01")
    await row.locator("a").first.click()
    menu = page.locator("#traffic tbody tr", has_text="menu")
    await expect(menu).to_contain_text("100.0%")
    assert await page.locator("#traffic svg g.lost").count() == 1
    await a_call(stage.database, NUMBER, ("greeting", "done"), ("menu", None))
    async with stage.database.tenant(TENANT) as conn:
        told = {"call_id": "", "flow": "reception", "state": "menu"}
        await events.emit(conn, "flow.step", told, tenant_id=TENANT, campaign_id=stage.campaign_id)
    await expect(menu).to_contain_text("50.0%")
    await expect(menu.locator("td").nth(2)).to_have_text("1")
    await expect(page.locator("#traffic svg g.here")).to_have_text("1")


async def test_a_version_says_what_would_break(visit: Visitors, stage: Stage) -> None:
    """A recording that is not there is told at its line, and there is no button to publish it; what it
    changes and whom it would lead stands there too."""
    service = stage.web.app[INBOUND]
    await a_flow(service)
    await a_number(stage)
    broken = document()
    broken["states"][0] |= {"type": "play", "properties": {"sound": "of-our-own"}}
    await service.write(BOSS, yaml_of(broken))
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/flows/1/versions/2")
    await expect(page.locator("main")).to_contain_text("It cannot be published")
    await expect(page.locator(".problems")).to_contain_text("The recording is missing")
    await expect(page.locator(".problems")).to_contain_text("states.greeting.properties.sound")
    await expect(page.locator(".problems")).to_contain_text("line ")
    await expect(page.locator("main")).to_contain_text("changed: greeting")
    await expect(page.locator("main")).to_contain_text("777 01 01")
    assert await page.locator("button:has-text('Publish')").count() == 0


async def test_names_that_are_not_there_are_told_in_russian(visit: Visitors, stage: Stage) -> None:
    """Each at its state, with what there is; the details are in the reader's language too."""
    states = [
        {
            "name": "look",
            "type": "schedule",
            "properties": {"hours": "Salon"},
            "transitions": {"default": "wait"},
        },
        {
            "name": "wait",
            "type": "enqueue",
            "properties": {"queue": "tyres"},
            "transitions": {"default": "ring"},
        },
        {
            "name": "ring",
            "type": "dial",
            "properties": {"targets": ["Moon"]},
            "transitions": {"default": "end"},
        },
        {"name": "end", "type": "hangup"},
    ]
    wrong = {**document(), "initial_state": "look", "states": states}
    await stage.web.app[INBOUND].write(BOSS, yaml_of(wrong))
    person = await visit(Role.SUPERVISOR, locale="ru")
    await person.open("/flows/1/versions/1")
    problems = person.page.locator(".problems li")
    await expect(problems).to_have_count(3)
    for n, (path, text) in enumerate(
        (
            ("states.look.properties.hours", "нет часов работы с именем «Salon»: пока нет ни одного"),
            (
                "states.wait.properties.queue",
                f"нет очереди «tyres», и ни у одного оператора нет такого навыка: есть {SKILL}",
            ),
            ("states.ring.properties.targets", "нет ни оператора, ни направления «Moon»: есть"),
        )
    ):
        await expect(problems.nth(n)).to_contain_text(path)
        await expect(problems.nth(n)).to_contain_text(text)
        await expect(problems.nth(n)).to_contain_text("строка")
    assert await person.page.locator("button:has-text('Опубликовать')").count() == 0
