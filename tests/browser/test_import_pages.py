"""A file brought in by a person at a browser: looked at, mapped, started, watched, its rejects fetched."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import expect
from support.browser import Visitor, Visitors
from support.soundness import faults
from support.stage import Stage

from dialer.contacts.importing import run_next_import
from dialer.httpkit.access import Role

CSV = """Куда звонить;ФИО;Авто;Заметки
8 (916) 555-01-01;Карпова Вера;Volvo;
+7 916 555 01 02;Карпов Пётр;Kia;перезвонить
нет;Без Номера;Lada;
=7916;Ошибка;;
"""


async def looked_at(person: Visitor, stage: Stage, folder: Path) -> None:
    """Upload the file into the stage's list, to look at it."""
    file = folder / "осень.csv"
    file.write_text(CSV, encoding="cp1251")
    await person.open(f"/lists/{stage.list_id}")
    await person.page.set_input_files("#f-file", file)
    await person.page.click("button[value=look]")
    await person.page.wait_for_url("**/imports/*")


async def test_a_file_is_mapped_started_and_watched(visit: Visitors, stage: Stage, tmp_path: Path) -> None:
    """A column that nobody knows is named; while it loads the page follows; the rejects say how to mend."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    page = person.page
    await looked_at(person, stage, tmp_path)
    await expect(page.locator("main p.strip.bad")).to_contain_text("телефон")
    await page.select_option("select[name=word-0]", "phone")
    await page.fill("input[name=key-2]", "car")
    await page.select_option("select[name=word-3]", "skip")
    await page.click("button[value=look]")
    trial = page.locator("#trial dd")
    await expect(trial.first).to_have_text("4")
    assert (await trial.all_inner_texts())[1] == "2"
    await expect(page.locator("#refused")).to_contain_text("буквы в номере")
    await page.fill("#save_as", "Автосалон")
    await page.click("button[value=save]")
    await expect(page.locator("#saved option:checked")).to_have_text("Автосалон")

    async with page.expect_response(lambda reply: "/api/v1/events" in reply.url):
        await page.click("button[value=start]")
    await expect(page.locator(".head .chip")).to_contain_text("в очереди")
    await page.evaluate("window.sameDocument = true")
    while await run_next_import(stage.database, stage.web.settings):
        pass
    await expect(page.locator(".head .chip")).to_contain_text("загружен", timeout=10000)
    assert await page.evaluate("window.sameDocument") is True
    await expect(page.locator("#rejects")).to_contain_text("нет")
    await expect(page.locator(".kinds")).to_contain_text("Оставьте только цифры")
    async with page.expect_download() as download:
        await page.click("text=Скачать CSV")
    saved = await (await download.value).path()
    rejects = await asyncio.to_thread(saved.read_text, encoding="utf-8-sig")
    assert "'=7916" in rejects


async def test_the_pages_of_an_import_are_sound(visit: Visitors, stage: Stage, tmp_path: Path) -> None:
    """No serious accessibility fault, no sideways scroll at a phone's width; preview, columns, result."""
    for locale, dark in (("ru", False), ("en", True)):
        person = await visit(Role.SUPERVISOR, locale=locale, dark=dark)
        page = person.page
        await looked_at(person, stage, tmp_path)
        preview = page.url
        await page.select_option("select[name=word-0]", "phone")
        await page.fill("#save_as", f"Автосалон {locale}")
        async with page.expect_navigation():
            await page.click("button[value=save]")
        addresses = [preview, f"{stage.web.url}/lists/mappings", preview]
        for step, address in enumerate(addresses):
            if step == 2:
                await page.goto(preview)
                async with page.expect_navigation():
                    await page.click("button[value=start]")
                while await run_next_import(stage.database, stage.web.settings):
                    pass
            await page.set_viewport_size({"width": 1366, "height": 768})
            await page.goto(address)
            assert await faults(person) == [], address
            await page.set_viewport_size({"width": 390, "height": 844})
            assert await page.evaluate("document.documentElement.scrollWidth") <= 390, address


async def test_the_funnel_comes_by_itself(visit: Visitors, stage: Stage) -> None:
    """The list's page shows what campaigns have made of it, without being asked."""
    person = await visit(Role.SUPERVISOR)
    await person.open(f"/lists/{stage.list_id}")
    funnel = person.page.locator("#funnel-of-list")
    await expect(funnel).to_contain_text("What has become of it", timeout=5000)
    await expect(funnel.locator(f"a[href='/campaigns/{stage.campaign_id}']")).to_have_count(1)
