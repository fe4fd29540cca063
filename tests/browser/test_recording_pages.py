"""Recordings in a browser: found, played, gone along by mouse and keys, marked, kept, checked."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import expect
from sqlalchemy import select, update
from support.browser import Visitors
from support.recordings import keep
from support.stage import TENANT, Stage

from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role

LENGTH_S = 20.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings lie in the test's own folder."""
    monkeypatch.setenv("DOZVON_RECORDINGS_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
async def talk(folder: Path, stage: Stage) -> UUID:
    """A recorded talk of the first agent, in which the recording was paused for three seconds."""
    async with stage.database.tenant(TENANT) as conn:
        a = t.attempt.c
        call_id = await conn.scalar(
            select(a.id).where(a.agent_id == stage.agents[0], a.disposition_id.is_not(None)).limit(1)
        )
        assert isinstance(call_id, UUID)
    pauses = [{"from_s": 8.0, "until_s": 11.0}]
    await keep(stage.database, folder, call_id, seconds=LENGTH_S, pauses=pauses)
    return call_id


async def test_a_recording_is_found_and_played(visit: Visitors, stage: Stage, talk: UUID) -> None:
    """Its sound comes with the first play; speed, clicks into the wave and keys lead along it."""
    person = await visit(Role.SUPERVISOR)
    page = person.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await person.open("/recordings")
    row = page.locator("tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("pause 0:03")
    await page.select_option("#agent", label="Власов Игорь")
    await page.click("button:has-text('Show')")
    await expect(page.locator("main")).to_contain_text("There are no such recordings.")
    await page.click("text=Reset")
    await row.locator("a").click()
    await expect(page.locator(".player[data-drawn]")).to_be_visible()
    assert not [url for url in asked if url.endswith("/recording")]
    canvas = page.locator(".player canvas")
    colours = await canvas.evaluate(
        "one => new Set(new Uint32Array("
        "one.getContext('2d').getImageData(0, 0, one.width, one.height).data.buffer)).size"
    )
    assert colours > 3
    await page.click("[data-play]")
    await expect(page.locator("[data-when=playing]")).to_be_visible()
    await expect(canvas).not_to_have_attribute("aria-valuenow", "0.0")
    await page.click("[data-play]")
    await expect(page.locator("[data-when=paused]")).to_be_visible()
    await page.select_option("[data-speed]", "1.5")
    assert await page.evaluate("document.querySelector('audio').playbackRate") == 1.5
    box = await canvas.bounding_box()
    assert box is not None
    await canvas.click(position={"x": box["width"] / 2, "y": 20})
    await expect(canvas).to_have_attribute("aria-valuetext", "0:10")
    await canvas.focus()
    for key, place in (("ArrowRight", "0:15"), ("ArrowLeft", "0:10"), ("End", "0:20"), ("Home", "0:00")):
        await page.keyboard.press(key)
        await expect(canvas).to_have_attribute("aria-valuetext", place)
    await page.keyboard.press(">")
    assert await page.evaluate("document.querySelector('audio').playbackRate") == 1.75
    await page.keyboard.press("Space")
    await expect(page.locator("[data-when=playing]")).to_be_visible()


async def test_a_moment_is_marked_and_the_recording_kept_and_checked(
    visit: Visitors, stage: Stage, talk: UUID
) -> None:
    """At the place where the player is, which stays there; what is wrong is said in its place."""
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open(f"/calls/{talk}")
    canvas, notes = page.locator(".player canvas"), page.locator("#recording-notes")
    await canvas.focus()
    await page.keyboard.press("ArrowRight")
    await page.fill("#mark-text", "Interrupts the customer")
    await page.click("button:text-is('Mark')")
    mark = notes.locator(".marks li")
    await expect(mark).to_contain_text("Interrupts the customer")
    await expect(canvas).to_have_attribute("aria-valuetext", "0:05")
    await expect(notes.locator("[data-at-now]")).to_have_value("5.0")
    await canvas.focus()
    await page.keyboard.press("End")
    await mark.locator("[data-jump]").click()
    await expect(canvas).to_have_attribute("aria-valuetext", "0:05")
    await mark.locator("button:has-text('Remove')").click()
    await expect(mark).to_have_count(0)
    person.expected.add(422)
    await page.fill("input[name=reason]", "x")
    await page.evaluate("document.querySelector('input[name=reason]').value = ' '")
    await page.click("button:has-text('Keep past its term')")
    await expect(notes.locator(".fault")).to_be_visible()
    await page.fill("input[name=reason]", "A claim")
    await page.click("button:has-text('Keep past its term')")
    await expect(notes).to_contain_text("A claim")
    await page.click("button:has-text('Check the file')")
    await expect(notes).to_contain_text("the file is unchanged")
    await page.click("button:has-text('Take off the hold')")
    await expect(notes.locator("input[name=reason]")).to_be_visible()


async def test_an_agent_hears_the_own_talks_and_notes_nothing(
    visit: Visitors, stage: Stage, talk: UUID
) -> None:
    """Nobody else's are in the list."""
    owner, other = [await visit.web.users.get(Actor.server(1), user) for user in stage.users[:2]]
    mine, others = await visit(owner), await visit(other)
    await mine.open("/recordings")
    await mine.page.click("tbody tr a")
    await expect(mine.page.locator(".player[data-drawn]")).to_be_visible()
    await expect(mine.page.locator("#mark-text, input[name=reason]")).to_have_count(0)
    await others.open("/recordings")
    await expect(others.page.locator("main")).to_contain_text("There are no recordings.")


async def test_a_file_that_is_gone_is_told(visit: Visitors, stage: Stage, talk: UUID, folder: Path) -> None:
    """Instead of a player that does nothing."""
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.recording).values(path="2026/none.wav"))
    person = await visit(Role.QUALITY)
    person.expected.add(404)
    await person.open(f"/calls/{talk}")
    await expect(person.page.locator("[data-lost]")).to_be_visible()
