"""Scripts in a browser: begun from the one that comes along, mended, rehearsed, published, chosen."""

from __future__ import annotations

from datetime import timedelta

from playwright.async_api import expect
from sqlalchemy import select
from support.browser import Visitors
from support.stage import TENANT, Stage
from support.talk_scripts import INVITATION, published

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role
from dialer.scripts import shipped
from dialer.scripts.walking import Answered, Went
from dialer.visits import booking
from dialer.visits.model import Booking

SERVER = Actor.server(TENANT)


async def test_a_script_is_begun_mended_and_published(visit: Visitors, stage: Stage) -> None:
    """What is wrong is told with its line while one types, and holds up the saving; the text keeps its
    comments; what is published can be chosen for a campaign."""
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    await person.open("/scripts")
    await expect(page.locator("main")).to_contain_text("There is no script yet")
    await page.click("text=New script")
    text, whole = page.locator("#f-yaml"), shipped.text("en")
    await expect(text).to_have_value(whole)
    await expect(page.locator("#problems")).to_contain_text("nothing is wrong")
    await text.fill(whole.replace("next: bye\n", "next: bey\n", 1))
    line = whole[: whole.index("next: bye\n")].count("\n") + 1
    problem = page.locator("#problems li", has_text="did you mean “bye”?")
    await expect(problem).to_contain_text(f"line {line}")
    await problem.locator("a").click()
    chosen = "one => one.value.slice(one.selectionStart, one.selectionEnd)"
    assert "bey" in await text.evaluate(chosen)
    await page.click("text=Save as a draft")
    await expect(page.locator("main")).to_contain_text("Not saved")
    await text.fill(whole)
    await page.click("text=Save as a draft")
    await expect(page.locator("h1")).to_have_text("visit: version 1")
    await expect(page.locator("main")).to_contain_text("Nothing hinders it")
    await page.click("button:has-text('Publish')")
    await expect(page.locator("main")).to_contain_text("No campaign has chosen it yet")
    await person.open("/campaigns/new")
    await page.fill("#f-name", "Invitations")
    await page.select_option("#f-script", "visit")
    await page.click("button:has-text('Save')")
    await page.wait_for_url(lambda url: url.rstrip("0123456789").endswith("/campaigns/"))
    await page.goto(f"{page.url}/edit")
    await expect(page.locator("#f-script")).to_have_value("visit")
    await person.open("/scripts")
    await expect(page.locator("#script-1")).to_contain_text("Invitations")


async def test_a_draft_is_rehearsed_and_nothing_is_kept(visit: Visitors, stage: Stage) -> None:
    """The talk is led as at the desk, by keys too; a wrong answer is said; an action is not carried out."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    page = person.page
    await person.open("/scripts/new?from=ru")
    await page.click("button:has-text('Начать')")
    say = page.locator("#say")
    await expect(say).to_contain_text("Здравствуйте, Анна!")
    await page.locator("#script button[data-first]").click()
    await expect(say).to_have_text("Вам удобно сейчас говорить?")
    await page.keyboard.press("Shift+Digit1")
    await expect(say).to_have_text("Сколько лет вашей машине?")
    await expect(page.locator("#answer-car")).to_be_focused()
    await page.keyboard.type("сто")
    await page.keyboard.press("Enter")
    await expect(page.locator("#played .fault")).to_contain_text("должно быть числом")
    await page.fill("#answer-car", "7")
    await page.press("#answer-car", "Enter")
    await expect(say).to_contain_text("Чего вам не хватает")
    await page.keyboard.press("Shift+W")
    await expect(say).to_contain_text("Больше мы вам звонить не будем")
    await page.keyboard.press("Shift+Digit1")
    await expect(page.locator("#played")).to_contain_text("Скрипт пройден до конца.")
    await expect(page.locator("#collected")).to_contain_text("2 из 4")
    await page.click("button:has-text('С начала')")
    await expect(say).to_contain_text("Здравствуйте, Анна!")
    async with stage.database.tenant(TENANT) as conn:
        for table in (t.script, t.script_run, t.do_not_call):
            assert (await conn.execute(select(table))).all() == []


async def test_a_script_says_what_it_brings_and_what_has_changed(visit: Visitors, stage: Stage) -> None:
    """The share of required answers is a figure; a later draft names the steps that are different."""
    scripts = await published(stage.database, SERVER)
    call_id = await stage.assign(stage.agents[0])
    await stage.change(call_id, stage.agents[0], state="connected", connected_at=utc_now())
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(t.campaign.update().values(script="visit"))
    await scripts.act(SERVER, call_id, "hello", Went())
    await scripts.act(SERVER, call_id, "convenient", Answered("yes"))
    await scripts.write(SERVER, INVITATION.replace("How old is your car?", "What age has your car?"))
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/scripts")
    await expect(page.locator("#script-1")).to_contain_text("50%")
    await page.click("#script-1 td:first-child a")
    await expect(page.locator("#figures tr", has_text="7 days")).to_contain_text("1 of 2")
    await expect(page.locator("main")).to_contain_text("changed: age")
    await page.get_by_role("region", name="Versions").get_by_role("link", name="2", exact=True).click()
    await expect(page.locator(".publishing")).to_contain_text("changed: age")
    await expect(page.locator("#step-age")).to_contain_text("What age has your car?")


async def test_agents_do_not_see_the_pages_of_scripts(visit: Visitors, stage: Stage) -> None:
    """They see their talk's script at the desk."""
    await published(stage.database, SERVER)
    agent = await visit(Role.OPERATOR)
    for path in ("/scripts", "/scripts/new", "/scripts/1", "/scripts/1/edit", "/scripts/1/versions/1"):
        assert (await agent.context.request.get(agent.url + path)).status == 403


async def test_who_comes_stands_on_the_page_of_visits(visit: Visitors, stage: Stage) -> None:
    """A visit that is booked while one looks appears; who came is said by a button."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    page = person.page
    async with page.expect_response(lambda reply: "/api/v1/events" in reply.url):
        await person.open("/visits")
    await expect(page.locator("#visits")).to_contain_text("На эти дни никто не записан.")
    call_id = await stage.assign(stage.agents[0], surname="Жуков")
    async with stage.database.tenant(TENANT) as conn:
        contact_id = await conn.scalar(select(t.attempt.c.contact_id).where(t.attempt.c.id == call_id))
        assert contact_id is not None
        at = utc_now() + timedelta(days=2)
        wanted = Booking(contact_id, stage.campaign_id, call_id, stage.agents[0], at, "Салон на Мира")
        await booking.book(conn, TENANT, wanted, by=None, now=utc_now())
    row = page.locator("#visits tbody tr")
    await expect(row).to_contain_text("Жуков")
    await expect(row).to_contain_text("Салон на Мира")
    await row.get_by_role("button", name="не пришёл").click()
    await expect(row.locator("td:nth-child(5)")).to_have_text("не пришёл")


async def test_an_article_is_written_found_and_forgotten(visit: Visitors, stage: Stage) -> None:
    """By another form of its words; agents read it and cannot change it."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    page = person.page
    await person.open("/knowledge")
    await page.click("text=Новая статья")
    await page.fill("#f-title", "Гарантия")
    await page.fill("#f-body", "На двигатель - три года.")
    await page.click("button:has-text('Сохранить')")
    await page.fill("#q", "о гарантии на двигатели")
    await page.press("#q", "Enter")
    await expect(page.locator(".article")).to_contain_text("три года")
    agent = await visit(Role.OPERATOR)
    await agent.open("/knowledge?q=двигатель")
    await expect(agent.page.locator(".article")).to_contain_text("три года")
    await expect(agent.page.locator("text=New article")).to_have_count(0)
    assert (await agent.context.request.get(agent.url + "/knowledge/1")).status == 403
    await page.click(".article a")
    await page.click("button:has-text('Удалить')")
    await expect(page.locator("main")).to_contain_text("Статей пока нет.")
