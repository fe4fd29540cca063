"""Lists, agents, trunks, users and tokens: what is kept for the campaigns."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import expect
from sqlalchemy import insert
from support.browser import Visitors
from support.stage import Stage

from dialer.contacts.importing import run_next_import
from dialer.db.tables import api_token
from dialer.httpkit.access import Role
from dialer.web.views.users import SHOWN

CSV = """Фамилия;Имя;Телефон;Автомобиль
Карпова;Ольга;+7 916 555-01-01;Volvo XC60
Карпов;Пётр;8 (916) 555-01-02;Kia Rio
Без;Номера;нет;Lada
"""


async def test_a_file_is_loaded_while_one_watches(visit: Visitors, stage: Stage, tmp_path: Path) -> None:
    """An upload is queued, its progress comes by itself, the bad row can be fetched."""
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/lists")
    await page.fill("#f-name", "Осень")
    await page.click("button:has-text('Make a list')")
    await page.wait_for_url("**/lists/*")
    file = tmp_path / "осень.csv"
    file.write_text(CSV, encoding="cp1251")
    async with page.expect_response(lambda reply: "/api/v1/events" in reply.url):
        await page.set_input_files("#f-file", file)
        await page.click("button:has-text('Load at once')")
    row = page.locator("tr[id^=import-]")
    await expect(row).to_contain_text("queued")
    while await run_next_import(stage.database, stage.web.settings):
        pass
    await expect(row).to_contain_text("loaded", timeout=10000)
    assert (await row.locator("td.num").all_inner_texts()) == ["3", "2", "0", "0", "1"]
    async with page.expect_download() as download:
        await row.locator("a[download]").click()
    saved = await (await download.value).path()
    rejects = await asyncio.to_thread(saved.read_text, encoding="utf-8-sig")
    assert rejects.splitlines()[1].startswith("3,")
    await expect(page.locator("main")).to_contain_text("2 contacts")


async def test_a_phones_password_is_shown_once(visit: Visitors, stage: Stage) -> None:
    """An administrator makes a user and an agent of it; after that nobody sees the passwords again."""
    person = await visit(Role.ADMINISTRATOR)
    page = person.page
    await person.open("/users")
    await page.fill("#f-name", "Новикова Инна")
    await page.fill("#f-login", "novikova")
    await page.click("button:has-text('Add')")
    password = await page.inner_text("#new-password")
    assert len(password) >= 20
    await person.open("/agents")
    await page.select_option("#f-user_id", label="Новикова Инна (novikova)")
    await page.fill("#f-name", "Новикова Инна")
    await page.fill("#f-endpoint", "agent-7")
    await page.fill("#f-skills", "продажи, vip")
    await page.click("button:has-text('Add')")
    sip_password = await page.inner_text("#sip-password")
    assert len(sip_password) >= 16
    await expect(page.locator("table")).to_contain_text("vip, продажи")
    for path in ("/agents", "/users"):
        await person.open(path)
        text = await page.content()
        assert password not in text
        assert sip_password not in text


async def test_a_taken_phone_is_refused_and_the_form_keeps_its_values(visit: Visitors, stage: Stage) -> None:
    """The reason stands on the page, what was typed is not lost."""
    await stage.web.user(Role.OPERATOR)
    person = await visit(Role.SUPERVISOR, locale="ru")
    person.expected.add(409)
    await person.open("/agents")
    await person.page.fill("#f-name", "Второй")
    await person.page.fill("#f-endpoint", "agent-1")
    await person.page.click("button:has-text('Добавить')")
    assert "agent-1" in await person.page.inner_text(".fault")
    assert await person.page.input_value("#f-name") == "Второй"


async def test_a_supervisor_pauses_an_agent(visit: Visitors, stage: Stage) -> None:
    """With a reason; the agent's row says so by itself."""
    person = await visit(Role.SUPERVISOR)
    await person.open("/agents")
    row = person.page.locator(f"#row-{stage.agents[0]}")
    await row.locator("select[name=code]").select_option("training")
    await row.locator("button:has-text('Pause')").click()
    # Not the word alone: it stands in the list of reasons too.
    await expect(row).to_contain_text("on pause Training", timeout=10000)
    await row.locator("button:has-text('Log out')").click()
    await expect(row).to_contain_text("logged out", timeout=10000)


async def test_a_supervisor_sets_a_rank(visit: Visitors, stage: Stage) -> None:
    """The new rank stands on the page, and for whoever comes to it."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    await person.open("/agents")
    row = person.page.locator(f"#row-{stage.agents[0]}")
    await expect(row.locator("select[name=rank]")).to_have_value("5")
    await row.locator("select[name=rank]").select_option("8")
    async with person.page.expect_response("**/rank"):
        await row.locator("form[action$='/rank'] button").click()
    other = await visit(Role.SUPERVISOR)
    await other.open("/agents")
    await expect(other.page.locator(f"#row-{stage.agents[0]} select[name=rank]")).to_have_value("8")


async def test_a_trunk_is_added_and_switched_off(visit: Visitors, stage: Stage) -> None:
    """A wrong caller id is marked at its field; the password is in no page."""
    person = await visit(Role.ADMINISTRATOR)
    person.expected.add(422)
    page = person.page
    await person.open("/trunks")
    await page.fill("#f-name", "Reserve")
    await page.fill("#f-caller_id", "12")
    await page.fill("#f-sip_host", "sip.example.org")
    await page.fill("#f-sip_user", "dozvon")
    await page.fill("#f-sip_secret", "carrier-secret-1")
    await page.fill("#f-allowed_prefixes", "+7")
    await page.click("button:has-text('Add')")
    assert "must be a number like" in await page.inner_text("#fault-caller_id")
    await page.fill("#f-caller_id", "+74951112233")
    await page.fill("#f-sip_secret", "carrier-secret-1")
    await page.click("button:has-text('Add')")
    row = page.locator("tr", has_text="Reserve")
    await expect(row).to_contain_text("sip.example.org:5060")
    assert "carrier-secret-1" not in await page.content()
    await row.locator("button:has-text('Switch off')").click()
    await expect(page.locator("tr", has_text="Reserve")).to_contain_text("off")


async def test_an_api_token_is_shown_once_and_revoked(visit: Visitors, stage: Stage) -> None:
    """It works until it is revoked."""
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/tokens")
    await page.fill("#f-name", "Отчёты")
    await page.click("button:has-text('Make a token')")
    token = await page.inner_text("#new-token")
    program = await stage.web.stranger()
    headers = {"Authorization": f"Bearer {token}"}
    assert (await program.call("GET", "~/me", headers=headers)).status == 200
    await page.click("button:has-text('Revoke')")
    await expect(page.locator("table")).to_contain_text("revoked")
    assert (await program.call("GET", "~/me", headers=headers)).status == 401


async def test_more_tokens_than_a_page_holds_are_behind_a_link(visit: Visitors, stage: Stage) -> None:
    """None is out of reach, and each stands there with the name of its user."""
    owner = await stage.web.user(Role.SUPERVISOR)
    names = [f"program {n:03}" for n in range(SHOWN + 1)]
    async with stage.web.database.tenant(1) as conn:
        await conn.execute(
            insert(api_token),
            [
                {"tenant_id": 1, "user_id": owner.id, "name": one, "token_hash": f"{one:_<64}"}
                for one in names
            ],
        )
    page = (person := await visit(Role.ADMINISTRATOR)).page
    await person.open("/tokens")
    await expect(page.locator("table")).not_to_contain_text(names[-1])
    await page.click("a:has-text('More tokens')")
    await expect(page.locator("tr", has_text=names[-1])).to_contain_text(owner.name)
    await expect(page.locator("a:has-text('More tokens')")).to_have_count(0)


async def test_a_calls_result_is_seen_on_a_phone(visit: Visitors, stage: Stage) -> None:
    """The column stands within the screen, without scrolling to the side."""
    person = await visit(Role.SUPERVISOR, locale="ru", width=390, height=844)
    await person.open("/calls")
    box = await person.page.locator("table.calls th:nth-child(4)").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
