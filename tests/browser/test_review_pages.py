"""The quality of talks in a browser: a form is made, a talk is scored beside its recording, scorers are
calibrated."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import select
from support.browser import Visitors
from support.recordings import keep
from support.stage import TENANT, Stage

from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role
from dialer.reviews.http import REVIEW_FORMS
from dialer.reviews.model import shipped


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings lie in the test's own folder."""
    monkeypatch.setenv("DOZVON_RECORDINGS_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
async def talk(folder: Path, stage: Stage) -> UUID:
    """A recorded talk of the first agent."""
    async with stage.database.tenant(TENANT) as conn:
        a = t.attempt.c
        call_id = await conn.scalar(
            select(a.id).where(a.agent_id == stage.agents[0], a.disposition_id.is_not(None)).limit(1)
        )
    assert isinstance(call_id, UUID)
    await keep(stage.database, folder, call_id)
    return call_id


async def score(page: Page, *points: int | None) -> None:
    """Tick points of the shipped criteria, and save."""
    for key, one in zip(("speech", "confidence", "listening", "conflict"), points, strict=True):
        await page.check(f'[name="score-{key}"][value="{"" if one is None else one}"]')
    await page.click(".scoring button.main")


async def test_a_form_is_made_and_a_talk_is_scored_by_it(visit: Visitors, stage: Stage, talk: UUID) -> None:
    """A new form begins with four criteria, takes a fifth; the agent sees what the own talk was scored."""
    person = await visit(Role.QUALITY)
    page = person.page
    await person.open(f"/calls/{talk}")
    await page.click("text=Make a form to score by")
    await page.fill("[name=name]", "Talks")
    rows = page.locator("tbody tr")
    await expect(rows.first.locator("[name=title]")).to_have_value("Speech")
    await rows.nth(4).locator("[name=title]").fill("Greeting")
    await rows.nth(4).locator("[name=weight]").fill("100")
    await page.click("button:text-is('Save')")
    await expect(page.locator("main")).to_contain_text("Greeting")
    await person.open(f"/calls/{talk}")
    await expect(page.locator(".player")).to_be_visible()
    await page.check('[name="score-c1"][value="5"]')
    await score(page, 0, 5, 5, None)
    await expect(page.locator(".reviewed summary")).to_contain_text("86 of 100")
    await page.check('[name="score-conflict"][value="0"]')
    await page.fill("#score-comment", "Calm")
    await page.click("text=Save the scores anew")
    await expect(page.locator(".reviewed summary")).to_contain_text("75 of 100")
    await expect(page.locator(".reviewed")).to_have_count(1)
    agent = await visit(await visit.web.users.get(Actor.server(1), stage.users[0]))
    await agent.open("/reviews")
    await expect(agent.page.locator("main")).to_contain_text("Calm")
    await agent.page.click("main a[href*='#reviews']")
    await expect(agent.page.locator(".reviewed summary")).to_contain_text("75 of 100")
    await expect(agent.page.locator(".scoring")).to_have_count(0)
    boss = await visit(Role.SUPERVISOR)
    await boss.open("/reviews")
    await expect(boss.page.locator(".figures-of")).to_contain_text("Белова Дарья")
    await boss.page.click("text=Forms and plans")
    await expect(boss.page.locator("text=New form")).to_have_count(0)


async def test_a_supervisor_scores_talks_of_others(visit: Visitors, stage: Stage, talk: UUID) -> None:
    """Beside the recording; of a talk of one's own there is nothing to fill in."""
    await stage.web.app[REVIEW_FORMS].add(Actor.server(TENANT), "Talks", shipped("en"))
    boss = await visit(Role.SUPERVISOR)
    await boss.open(f"/calls/{talk}")
    await score(boss.page, 5, 5, 5, 5)
    await expect(boss.page.locator(".reviewed summary")).to_contain_text("100 of 100")
    await expect(boss.page.locator("text=Calibrate on this call")).to_have_count(0)
    talker = await visit.web.users.change(Actor.server(TENANT), stage.users[0], role=Role.ADMINISTRATOR)
    own = await visit(talker)
    await own.open(f"/calls/{talk}")
    await expect(own.page.locator(".reviewed summary")).to_contain_text("100 of 100")
    await expect(own.page.locator(".scoring")).to_have_count(0)
    await expect(own.page.locator("text=Make a form to score by")).to_have_count(0)


async def test_scorers_see_each_other_when_the_calibration_is_closed(
    visit: Visitors, stage: Stage, talk: UUID
) -> None:
    """And how far they are apart; before, each sees the own scores."""
    await stage.web.app[REVIEW_FORMS].add(Actor.server(TENANT), "Talks", shipped("en"))
    first, second = await visit(Role.QUALITY), await visit(Role.QUALITY)
    await first.open(f"/calls/{talk}")
    await first.page.click("text=Calibrate on this call")
    await first.page.fill("#calibration-reason", "May")
    await first.page.click("text=Open the calibration")
    await expect(first.page.locator(".player[data-drawn]")).to_be_visible()
    await score(first.page, 5, 5, 5, 5)
    await expect(first.page.locator("main")).to_contain_text("1 person has scored.")
    await second.open("/reviews")
    await second.page.click("main a[href*='/calibrations/']")
    await expect(second.page.locator("input:checked")).to_have_count(0)
    await score(second.page, 1, 5, 5, None)
    await expect(second.page.locator("main")).to_contain_text("2 people have scored.")
    await second.page.click("text=Close and show all scores")
    row = second.page.locator("tbody tr").first
    await expect(row.locator("td")).to_have_text(["5", "1", "3.0", "4"])


async def test_calls_are_drawn_by_a_plan_that_is_made_on_the_page(
    visit: Visitors, stage: Stage, talk: UUID
) -> None:
    """It can be stopped and taken away; what is wrong in it is said at its field."""
    await stage.web.app[REVIEW_FORMS].add(Actor.server(TENANT), "Talks", shipped("en"))
    person = await visit(Role.QUALITY)
    page = person.page
    person.expected.add(422)
    await person.open("/reviews/forms")
    await page.fill("#calls", "0")
    await page.click("text=Draw calls")
    await expect(page.locator("#fault-calls")).to_be_visible()
    await page.fill("#calls", "3")
    await page.click("text=Draw calls")
    await page.click("text=Draw no more")
    await expect(page.locator("main")).to_contain_text("put aside")
    await page.click("text=Delete")
    await expect(page.locator("text=Draw again")).to_have_count(0)
