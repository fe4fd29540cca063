"""Prompts in a browser: uploaded, listened to, spoken, removed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import soundfile
from playwright.async_api import expect
from support.browser import Visitors
from support.flow_pages import BOSS, document
from support.stage import Stage

from dialer.httpkit.access import Role
from dialer.inbound.http import INBOUND
from dialer.prompts.http import PROMPTS


async def test_a_supervisor_uploads_listens_and_removes(
    visit: Visitors, stage: Stage, tmp_path: Path
) -> None:
    """What is no sound is named at the file; the language that is missing is said to be."""
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    good, bad = tmp_path / "greeting.ogg", tmp_path / "letter.wav"
    tone = 0.1 * np.sin(np.arange(44100) / 20)
    await asyncio.to_thread(soundfile.write, good, tone, 44100)
    await asyncio.to_thread(bad.write_text, "Dear all,")
    await person.open("/prompts")
    await expect(page.locator("main")).to_contain_text("There are no prompts of your own yet")
    await page.fill("#f-name", "greeting")
    await page.select_option("#f-language", "ru")
    await page.set_input_files("#f-file", bad)
    await page.click("button:has-text('Upload')")
    await expect(page.locator(".fault")).to_contain_text("no sound that can be read")
    await page.set_input_files("#f-file", good)
    await page.fill("#f-text", "Здравствуйте!")
    await page.click("button:has-text('Upload')")
    row = page.locator("tbody tr", has_text="greeting")
    await expect(row).to_contain_text("Здравствуйте!")
    await expect(row).to_contain_text("greeting.ogg")
    await expect(row.locator("td").nth(1)).to_contain_text("missing")
    audio = row.locator("audio")
    seconds = await audio.evaluate(
        "one => new Promise(done => { one.onloadedmetadata = () => done(one.duration); one.load(); })"
    )
    assert 0.9 < seconds < 1.1
    await row.locator("button", has_text="Remove").click()
    await expect(page.locator("main")).to_contain_text("There are no prompts of your own yet")
    assert person.complaints == []


async def test_a_text_is_spoken(visit: Visitors, stage: Stage) -> None:
    """By the server's voice; a bad name is told at its field, and the text stays."""
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    await person.open("/prompts")
    await page.click("summary:has-text('Have a text spoken')")
    await page.fill("#s-name", "two words")
    await page.select_option("#s-language", "en")
    await page.fill("#s-text", "We are open from nine to six.")
    await page.click("button:has-text('Speak')")
    await expect(page.locator("#fault-name")).to_contain_text("may hold letters")
    await expect(page.locator("#s-text")).to_have_value("We are open from nine to six.")
    await page.fill("#s-name", "hours")
    await page.click("button:has-text('Speak')")
    row = page.locator("tbody tr", has_text="hours")
    await expect(row).to_contain_text("We are open from nine to six.")
    await expect(row).to_contain_text("spoken by the server")
    assert person.complaints == []


async def test_a_prompt_that_flows_play_goes_with_a_warning(visit: Visitors, stage: Stage) -> None:
    """The list says which play it, the warning too; it is removed when that is meant all the same."""
    await stage.web.app[PROMPTS].speak(BOSS, "welcome", "en", "Welcome.")
    flow = document()
    flow["states"][0] |= {"type": "play", "properties": {"sound": "welcome"}}
    service = stage.web.app[INBOUND]
    await service.publish(BOSS, "reception", (await service.write(BOSS, flow)).version, "live")
    person = await visit(Role.SUPERVISOR)
    person.expected.add(409)
    page = person.page
    await person.open("/prompts")
    row = page.locator("tbody tr", has_text="welcome")
    await expect(row.locator("td").last).to_have_text("reception")
    await row.locator("button", has_text="Remove").click()
    await expect(page.locator("main .strip.bad")).to_contain_text("welcome, In English. Callers are led by")
    await page.click("button:has-text('Remove all the same')")
    await expect(page.locator("main")).to_contain_text("There are no prompts of your own yet")
