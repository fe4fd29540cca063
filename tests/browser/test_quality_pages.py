"""Duplicates, dead numbers and cleaning in a browser."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import func, select
from support.base import Base
from support.browser import Visitors
from support.floor import Floor
from support.stage import TENANT, Stage

from dialer.contacts.cleaning_service import Cleaning
from dialer.contacts.dead_numbers_service import DeadNumberService
from dialer.contacts.duplicates_search import DuplicateSearch
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role
from dialer.settings import load

#: A folder where pictures of the pages are put, to be looked at; unset: none are made.
SHOTS = os.environ.get("TEST_SHOTS", "")


async def shot(page: Page, name: str) -> None:
    """A picture of the page, if they are wanted."""
    if SHOTS:
        await page.screenshot(path=Path(SHOTS, f"{name}.png"), full_page=True)


@pytest.fixture
async def base(stage: Stage) -> Base:
    """The centre's contacts, and some that stand in the base twice."""
    floor = Floor(stage.database, stage.campaign_id, stage.trunk_id, stage.list_id)
    base = Base(stage.database, floor)
    await base.contact(
        "Ильинский", "+79161112233", first_name="Иван", middle_name="Петрович", email="ivan@b.example",
        custom={"VIN": "XTA210990Y2766389", "Город": "Омск"},
    )  # fmt: skip
    await base.contact(
        "ИЛЬИНСКИЙ", "+79161112233", "+74957778899", first_name="Ваня", email="Ivan.P@B.example",
        custom={"VIN": "xta210990y2766389", "Автомобиль": "Lada Vesta"},
    )  # fmt: skip
    await base.contact("Скворцова", "+79264445566", first_name="Ольга", middle_name="Ильинична")
    await base.contact("Skvortsova", "+79264445566", first_name="Olga")
    await DuplicateSearch(stage.database, settled_s=-1).round()
    return base


async def test_a_pair_is_looked_at_side_by_side(visit: Visitors, base: Base) -> None:
    """Differing fields are marked, the values chosen survive, the next pair comes at once; the keyboard is
    enough. A merge can be undone where it is listed."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    page = person.page
    await person.open("/lists")
    await page.click("text=Качество базы")
    await expect(page.locator(".states")).to_contain_text("2 пар")
    await shot(page, "quality")
    await page.click("a[href='/lists/duplicates']")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await shot(page, "duplicates")
    await page.click("tr:has-text('Ваня') >> text=Сравнить")
    await expect(page.locator("tr.differs", has_text="Имя")).to_contain_text("Ваня")
    await expect(page.locator("tr.differs", has_text="Город")).to_have_count(0)
    await shot(page, "duplicate")
    await page.check("input[name='take.email'][value='second']")
    await page.locator("input[name='survivor'][value='first']").focus()
    await page.keyboard.press("Alt+1")
    await expect(page.locator("h1")).to_have_text("Это один человек?")
    await expect(page.locator("table")).to_contain_text("Skvortsova")
    await page.keyboard.press("Alt+2")
    await expect(page.locator("h1")).to_have_text("Возможные дубли")
    rows = await base.rows(t.contact, "first_name", "email", last_name="Ильинский")
    assert rows == [("Иван", "Ivan.P@B.example")]
    await shot(page, "merged")
    await page.click("text=Отменить")
    await expect(page.locator("tr", has_text="отменено")).to_be_visible()
    assert len(await base.rows(t.contact, "id", last_name="ИЛЬИНСКИЙ")) == 1


async def test_dead_numbers_are_looked_through(visit: Visitors, base: Base) -> None:
    """They are counted by list; a person revives and confirms them, and says how many calls it takes."""
    service = DeadNumberService(base.database, load())
    for number in ("+79161112233", "+74957778899"):
        await service.confirm(Actor.server(1), number)
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/lists/quality")
    await page.fill("#f-in-a-row", "3")
    await page.click("form[action='/lists/dead-numbers/rule'] button")
    await expect(page.locator("#f-in-a-row")).to_have_value("3")
    await page.click("#dead a[href^='/lists/dead-numbers?list=']")
    await expect(page.locator("tbody tr")).to_have_count(3)
    await shot(page, "dead-numbers")
    await page.click("tr:has-text('Ваня') >> nth=0 >> text=It is alive")
    await expect(page.locator("tbody tr")).to_have_count(2)


async def test_cleaning_is_seen_before_it_is_done(visit: Visitors, base: Base) -> None:
    """A look says what would change, with examples; then it is changed, and the page follows by itself."""
    person = await visit(Role.SUPERVISOR)
    page, work = person.page, Cleaning(base.database)
    await person.open("/lists/quality")
    await page.click("text=See what would change")
    while await work.step(1) is not None:
        pass
    await expect(page.locator("#cleaning")).to_contain_text("would be changed")
    await expect(page.locator("#cleaning tr", has_text="VINs")).to_contain_text("XTA210990Y2766389")
    await shot(page, "cleaning")
    await page.click("text=Change them")
    while await work.step(1) is not None:
        pass
    await expect(page.locator("#cleaning")).to_contain_text("were changed")
    assert await base.rows(t.contact, "id", last_name="ИЛЬИНСКИЙ") == []


async def test_who_may_only_look(visit: Visitors, base: Base) -> None:
    """An agent has none of these pages."""
    person = await visit(Role.OPERATOR)
    person.expected.add(403)
    await person.open("/lists/quality")
    await expect(person.page.locator("main")).to_contain_text("403")


async def test_who_still_waits_to_be_compared_is_told(visit: Visitors, stage: Stage) -> None:
    """ "No two look alike" is said when all were compared; before it, how many were not."""
    person = await visit(Role.SUPERVISOR)
    page, waiting = person.page, "still to be compared with the others"
    await person.open("/lists/duplicates")
    number = re.search(r"(\d+) contacts? (?:are|is) " + waiting, await page.inner_text("main"))
    async with stage.database.tenant(TENANT) as conn:
        contacts = await conn.scalar(select(func.count()).select_from(t.contact))
    assert number is not None
    assert int(number[1]) == contacts
    assert "No two contacts look like one person" not in await page.inner_text("main")
    await shot(page, "duplicates-wait")
    await DuplicateSearch(stage.database, settled_s=-1).round()
    await person.open("/lists/duplicates")
    assert waiting not in await page.inner_text("main")


async def test_who_is_entered_is_looked_for_while_typing(visit: Visitors, base: Base) -> None:
    """Before the card is made: who has the number, or the name and the car, with the reason, in both
    languages."""
    words = {
        "ru": ("Возможно, уже есть", "номер: совпадает"),
        "en": ("May be in the base", "number: the same"),
    }
    for locale, (said, why) in words.items():
        person = await visit(Role.SUPERVISOR, locale=locale)
        page = person.page
        await person.open("/contacts")
        await page.click("details summary")
        await page.fill("#f-last_name", "Ильинский")
        await page.press("#f-last_name", "Tab")
        await expect(page.locator("#alike")).to_be_empty()
        await page.fill("#f-number", "8 (916) 111-22-33")
        await page.press("#f-number", "Tab")
        alike = page.locator("#alike")
        await expect(alike).to_contain_text(said)
        await expect(alike).to_contain_text("Иван Петрович")
        await expect(alike).to_contain_text(why)
        await shot(page, f"alike-{locale}")
        await page.fill("#f-number", "8 (916) 111-22-00")
        await page.press("#f-number", "Tab")
        await expect(alike).to_be_empty()
