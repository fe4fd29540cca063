"""The list of those who are not to be called, in a browser."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import expect
from sqlalchemy import insert, select
from support.browser import Visitors
from support.stage import TENANT, Stage

from dialer.db import tables as t
from dialer.donotcall.importing import run_next_import
from dialer.httpkit.access import Role


async def test_a_supervisor_adds_finds_and_removes(visit: Visitors, stage: Stage) -> None:
    """What is no number is named at its field; a removed entry stays, with who removed it and why."""
    person = await visit(Role.SUPERVISOR)
    person.expected.add(422)
    page = person.page
    await person.open("/do-not-call")
    await page.click("summary:has-text('Add numbers')")
    await page.fill("#f-numbers", "8 916 123-45-67\nабв")
    await page.fill("#f-prefixes", "+7 495")
    await page.click("button:has-text('Add')")
    await expect(page.locator("#fault-numbers")).to_contain_text("абв is no phone number")
    await page.fill("#f-numbers", "8 916 123-45-67")
    await page.fill("#f-prefixes", "+7495")
    await page.fill("#f-reason", "by letter")
    await page.click("button:has-text('Add')")
    await expect(page.locator("tbody tr", has_text="+7 916 123 45 67")).to_contain_text("by letter")
    await expect(page.locator("tbody tr", has_text="all that begin with +7495")).to_be_visible()

    await page.fill("#number", "8 (916) 123-45-67")
    await page.click("button:has-text('Show')")
    await expect(page.locator("main")).to_contain_text("No campaign calls it.")
    await page.click("td summary:has-text('Remove')")
    await page.fill("td input[name=reason]", "asked for calls again")
    await page.click("td button:has-text('Remove')")
    await expect(page.locator("tbody tr", has_text="+7 916 123 45 67")).to_have_count(0)
    await person.open("/do-not-call?number=%2B79161234567")
    await expect(page.locator("main")).to_contain_text("Nothing keeps every campaign from calling it.")
    row = page.locator("tbody tr", has_text="+7 916 123 45 67")
    await expect(row).to_contain_text("asked for calls again")
    assert person.complaints == []


async def test_a_beginning_that_may_have_had_no_plus_is_marked(visit: Visitors, stage: Stage) -> None:
    """The list says what else it can mean, until that stands there too."""
    async with stage.database.tenant(TENANT) as conn:
        old = {"tenant_id": TENANT, "kind": "prefix", "mark": "+8495*", "source": "operator"}
        await conn.execute(insert(t.do_not_call).values(old))
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/do-not-call")
    row = page.locator("tbody tr", has_text="all that begin with +8495")
    await expect(row).to_contain_text("If +7495 was meant: add it, and remove this one.")
    await page.click("summary:has-text('Add numbers')")
    await page.fill("#f-prefixes", "+7495")
    await page.click("button:has-text('Add')")
    await expect(page.locator("tbody tr", has_text="all that begin with +7495")).to_be_visible()
    await expect(row).not_to_contain_text("was meant")
    assert person.complaints == []


async def test_a_registry_is_brought_in(visit: Visitors, stage: Stage, tmp_path: Path) -> None:
    """The file shows as queued, and as loaded when it is, with no reload by hand."""
    person = await visit(Role.SUPERVISOR)
    page = person.page
    file = tmp_path / "june.txt"
    await asyncio.to_thread(file.write_text, "89160000001\n89160000002\nнет\n")
    await person.open("/do-not-call")
    await page.click("summary:has-text('Bring in a file')")
    await page.set_input_files("#f-file", file)
    await page.fill("#f-registry", "FTC")
    await page.click("button:has-text('Upload')")
    row = page.locator("#files tr", has_text="june.txt")
    await expect(row).to_contain_text("queued")
    web = stage.web
    assert await run_next_import(web.database, web.settings)
    await expect(row).to_contain_text("loaded")
    await expect(page.locator("#files tr", has_text="FTC").first).to_contain_text("2")
    async with web.database.tenant(TENANT) as conn:
        sources = list(await conn.scalars(select(t.do_not_call.c.source)))
    assert sources == ["registry", "registry"]
    assert person.complaints == []


async def test_who_may_not_change_it_only_looks(visit: Visitors, stage: Stage) -> None:
    """An operator has no such page."""
    person = await visit(Role.OPERATOR)
    person.expected.add(403)
    await person.open("/do-not-call")
    await expect(person.page.locator("main")).not_to_contain_text("Add numbers")
