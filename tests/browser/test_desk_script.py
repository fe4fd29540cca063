"""The script at the agent's desk: led by the keyboard alone, kept at each answer, in a real talk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import select, update
from support.browser import Visitor, Visitors
from support.centre import TENANT, Centre
from support.stage import Stage
from support.talk_scripts import INVITATION, published
from support.web import whole_site

from dialer.agents.model import AgentState
from dialer.agents.service import AgentService
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.demo.numbers import Behaviour, encode
from dialer.httpkit.access import Actor, Role
from dialer.knowledge.service import KnowledgeService

SERVER = Actor.server(TENANT)


async def kept(database: Database, call_id: UUID) -> dict[str, object]:
    """The answers of a talk, as they stand in the database."""
    async with database.tenant(TENANT) as conn:
        query = select(t.script_run.c.answers).where(t.script_run.c.call_id == call_id)
        return dict(await conn.scalar(query) or {})


async def at_talk(
    visit: Visitors, stage: Stage, locale: str = "en", text: str = INVITATION
) -> tuple[Visitor, UUID]:
    """The first agent in a talk of a campaign that has a script."""
    await published(stage.database, SERVER, text)
    async with stage.database.tenant(TENANT) as conn:
        mine = t.campaign.c.id == stage.campaign_id
        await conn.execute(update(t.campaign).where(mine).values(script="visit"))
    call_id = await stage.assign(stage.agents[0])
    user = await visit.web.users.get(SERVER, stage.users[0])
    person = await visit(user, locale=locale)
    async with person.page.expect_response(lambda reply: "agent=me" in reply.url):
        await person.open("/desk")
    return person, call_id


async def answered(stage: Stage, call_id: UUID) -> None:
    """The customer is on the line."""
    await stage.put(stage.agents[0], "talking", call_id)
    await stage.change(call_id, stage.agents[0], state="connected", connected_at=utc_now(), result="answered")


async def typed(page: Page, text: str) -> None:
    """Type into the field that has the focus."""
    await expect(page.locator("#script input:focus")).to_have_count(1)
    await page.keyboard.type(text)


async def test_a_script_is_led_by_the_keyboard_alone(visit: Visitors, stage: Stage) -> None:
    """It stands there before the voice and begins with it; keys answer, an objection is met from within a
    field, and each answer is in the database when the next step shows."""
    person, call_id = await at_talk(visit, stage)
    page, say = person.page, person.page.locator("#say")
    await expect(say).to_contain_text("Hello, this is")
    await expect(page.locator("#script button")).to_have_count(0)
    await answered(stage, call_id)
    await expect(page.locator("#script button[data-first]")).to_be_visible()
    await page.keyboard.press("Shift+N")
    await expect(say).to_have_text("Is it convenient to talk?")
    await page.keyboard.press("Shift+Digit1")
    await expect(say).to_have_text("How old is your car?")
    assert await kept(stage.database, call_id) == {"convenient": "yes"}
    await expect(page.locator("#collected")).to_contain_text("1 of 2")
    await typed(page, "7")
    await page.keyboard.press("Alt+Shift+Q")
    await expect(say).to_have_text("It costs no more than your car does now.")
    await page.keyboard.press("Shift+N")
    await expect(say).to_have_text("How old is your car?")
    await typed(page, "7")
    await page.keyboard.press("Enter")
    await expect(say).to_have_text("What would you change?")
    await expect(page.locator("#collected")).to_contain_text("2 of 2")
    assert await kept(stage.database, call_id) == {"convenient": "yes", "age": 7}
    await page.keyboard.press("Alt+Shift+B")
    await expect(say).to_have_text("How old is your car?")
    await expect(page.locator("#answer-age")).to_have_value("7")


async def test_a_half_typed_answer_outlives_every_renewal_and_the_talk(visit: Visitors, stage: Stage) -> None:
    """The page is renewed while the agent types; after the hang-up the answer is finished and saved."""
    person, call_id = await at_talk(visit, stage)
    page, agent_id = person.page, stage.agents[0]
    await answered(stage, call_id)
    await page.locator("#script button[data-first]").click()
    await page.locator("#script .answers button", has_text="Yes").click()
    await typed(page, "1")
    await stage.put(agent_id, "wrap_up", call_id)
    await stage.change(call_id, agent_id, state="wrap_up", hung_up_at=utc_now())
    await expect(page.locator("#my-state")).to_have_text("Wrap-up")
    await expect(page.locator("#answer-age")).to_be_focused()
    await page.keyboard.type("2")
    await page.keyboard.press("Enter")
    await expect(page.locator("#say")).to_have_text("What would you change?")
    assert await kept(stage.database, call_id) == {"convenient": "yes", "age": 12}


async def test_script_and_card_stand_one_above_the_other_on_a_narrow_screen(
    visit: Visitors, stage: Stage
) -> None:
    """Side by side a phone's width would leave neither of them room for a word."""
    person, call_id = await at_talk(visit, stage)
    await answered(stage, call_id)
    page = person.page
    for width, above in ((1366, False), (1024, True), (390, True)):
        await page.set_viewport_size({"width": width, "height": 844})
        script = await page.locator(".beside #script").bounding_box()
        about = await page.locator(".beside .about").bounding_box()
        assert script is not None
        assert about is not None
        assert (about["y"] >= script["y"] + script["height"]) is above, width


async def test_a_wrong_answer_is_said_and_stays(visit: Visitors, stage: Stage) -> None:
    """In Russian too; nothing of it is kept."""
    person, call_id = await at_talk(visit, stage, "ru")
    person.expected.add(422)
    page = person.page
    await answered(stage, call_id)
    await page.locator("#script button[data-first]").click()
    await page.locator("#script .answers button", has_text="Да").click()
    await typed(page, "старая")
    await page.keyboard.press("Enter")
    await expect(page.locator("#notices")).to_contain_text("Ответ: должно быть числом")
    await expect(page.locator("#answer-age")).to_have_value("старая")
    assert await kept(stage.database, call_id) == {"convenient": "yes"}


async def test_articles_are_found_in_a_talk(visit: Visitors, stage: Stage) -> None:
    """The step's words are looked for at once; words of the agent's own, and what they found, outlive the
    renewals of the page."""
    knowledge = KnowledgeService(stage.database)
    await knowledge.write(SERVER, "Гарантия", "На двигатель гарантия три года.")
    await knowledge.write(SERVER, "Рассрочка", "Без переплаты до двенадцати месяцев.")
    text = INVITATION.replace("first: hello", "first: look").replace(
        "steps:\n",
        "steps:\n  - {name: look, type: knowledge, text: Look it up, query: гарантии, next: hello}\n",
    )
    person, call_id = await at_talk(visit, stage, text=text)
    page = person.page
    await answered(stage, call_id)
    await expect(page.locator(".found")).to_contain_text("три года")
    await page.fill("#script input[type=search]", "двенадцать месяцев")
    await expect(page.locator(".found")).to_contain_text("Без переплаты")
    async with page.expect_response(lambda reply: reply.url.endswith("/desk/panel")):
        await stage.change(call_id, stage.agents[0], muted=True)
    await expect(page.locator("#muted")).to_be_visible()
    await expect(page.locator("#script input[type=search]")).to_have_value("двенадцать месяцев")
    await expect(page.locator(".found")).to_contain_text("Без переплаты")
    await page.locator("#script button[data-first]").click()
    await expect(page.locator("#say")).to_contain_text("Hello, this is")
    await expect(page.locator(".found")).to_have_count(0)


async def test_two_tabs_of_one_agent_show_one_script(visit: Visitors, stage: Stage) -> None:
    """What is answered in one is seen in the other, from which the talk goes on."""
    person, call_id = await at_talk(visit, stage)
    await answered(stage, call_id)
    second = await person.context.new_page()
    async with second.expect_response(lambda reply: "agent=me" in reply.url):
        await second.goto(person.url + "/desk")
    await person.page.locator("#script button[data-first]").click()
    await expect(second.locator("#say")).to_have_text("Is it convenient to talk?")
    await second.locator("#script .answers button", has_text="No").click()
    await expect(person.page.locator("#say")).to_have_text("Thank you, goodbye!")
    await second.close()


@pytest.fixture
async def desk(_frontend: None, browser: Browser, centre: Centre) -> AsyncIterator[Visitors]:
    """The pages of a centre that is at work."""
    async with whole_site(centre.database, centre.database_url, centre.settings) as site:
        visitors = Visitors(browser, site)
        yield visitors
        for visitor in visitors.made:
            await visitor.context.close()
        assert [line for visitor in visitors.made for line in visitor.complaints] == []


async def test_an_agent_walks_the_script_in_a_real_talk(centre: Centre, desk: Visitors) -> None:
    """A real customer is on the line of a real phone: the script begins, is led to its end, goes on after the
    hang-up, and the disposition is saved beside it."""
    await published(centre.database, SERVER)
    user = await desk.web.user(Role.OPERATOR)
    made = await AgentService(centre.database, managed=False).create(
        SERVER, user_id=user.id, name="Ольга", endpoint="agent-0", skills=[]
    )
    person = await desk(user)
    page, agent_id = person.page, made.agent.id
    await person.open("/desk")
    await page.get_by_role("button", name="Log in with the phone").click()
    await centre.until_agent(agent_id, AgentState.PAUSED)
    await page.get_by_role("button", name="Ready", exact=True).click()
    await centre.campaign([encode(Behaviour.HUMAN, ring_s=0.5).e164], script="visit")
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id is not None
    await expect(page.locator("#say")).to_have_text("Hello, this is Ольга.")
    await expect(page.locator("#script button[data-first]")).to_be_visible()
    await page.keyboard.press("Shift+N")
    await expect(page.locator("#say")).to_have_text("Is it convenient to talk?")
    await page.keyboard.press("Shift+Digit1")
    await typed(page, "7")
    await page.keyboard.press("Enter")
    await expect(page.locator("#say")).to_have_text("What would you change?")
    await page.get_by_role("button", name="End the call").click()
    await centre.until_agent(agent_id, AgentState.WRAP_UP)
    await page.locator("#answer-wish").fill("more room")
    await page.keyboard.press("Enter")
    await expect(page.locator("#say")).to_have_text("Thank you, goodbye!")
    await page.locator(".choices button", has_text="Sale").click()
    await centre.until_agent(agent_id, AgentState.READY, AgentState.PAUSED)
    (run,) = await centre.rows(t.script_run)
    assert run.call_id == shift.attempt_id
    assert run.answers == {"convenient": "yes", "age": 7, "wish": "more room"}
    assert (run.collected, run.required, run.ended_at is not None) == (2, 2, True)
