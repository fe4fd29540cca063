"""What pages and API say while the database is frozen or killed, and how they come back by themselves."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect
from sqlalchemy import select
from support.browser import Visitors
from support.stage import TENANT, Stage, breathe

from dialer.bench.site_parts import stopped
from dialer.db import migrate
from dialer.db import tables as t
from dialer.db.cluster import APP_ROLE
from dialer.db.embedded import EmbeddedPostgres
from dialer.httpkit.access import Actor, Role

#: From the silence of a database to the word about it on a page: what is borne, and a look. Generous: a
#: loaded machine draws slowly.
SOON_MS = 15_000


@pytest.fixture
async def mortal(data_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of the test's own, migrated: it is frozen and killed, and keeps what it was given."""
    cluster = EmbeddedPostgres(data_folder)
    urls = await cluster.start()
    await migrate.upgrade(urls.owner)
    yield cluster
    await cluster.stop()


@pytest.fixture
def database_url(mortal: EmbeddedPostgres) -> str:
    """In place of the shared one: what stands on it (pages, stage, visit) stands on the mortal one."""
    return mortal.url(APP_ROLE)


async def kill(cluster: EmbeddedPostgres) -> None:
    """kill -9 of the postmaster, and its end."""
    pid = cluster.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await cluster.gone()


async def test_open_pages_say_once_that_the_database_is_silent_and_go_on(
    visit: Visitors, stage: Stage, mortal: EmbeddedPostgres
) -> None:
    """While the database is frozen the supervisor's wall board says so in one strip, however many parts of it
    ask, and shows what it had; afterwards the strip goes and the board is new."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    person.expected.add(503)
    page = person.page
    await person.open(f"/campaigns/{stage.campaign_id}")
    strip = page.locator("#status .strip")
    await expect(strip).to_have_count(0)
    with stopped(mortal.pids):
        await expect(strip).to_contain_text("База данных не отвечает.", timeout=SOON_MS)
        await expect(strip).to_contain_text("Разговоры продолжаются")
        await page.wait_for_timeout(3500)  # another look of the page: nothing piles up
        await expect(strip).to_have_count(1)
        await expect(page.locator("#notices .strip")).to_have_count(0)
        await expect(page.locator("#link-lost")).to_be_hidden()
        assert await page.locator("#board table").count() > 0
    await expect(strip).to_have_count(0, timeout=SOON_MS)
    await stage.put(stage.agents[5], "paused", pause_code="break")
    await expect(page.locator("#board")).to_contain_text("Орлов", timeout=SOON_MS)


async def test_a_page_opened_without_the_database_says_so_and_comes_back(
    visit: Visitors, stage: Stage, mortal: EmbeddedPostgres
) -> None:
    """In the place of the page that was asked for stands what is away and what goes on, in the reader's
    language; when the database is back, the page itself."""
    texts = {
        "ru": ("База данных не отвечает.", "Разговоры продолжаются", "Кампании"),
        "en": ("The database does not answer.", "Talks go on", "Campaigns"),
    }
    people = {locale: await visit(Role.SUPERVISOR, locale=locale) for locale in texts}
    await kill(mortal)
    for locale, person in people.items():
        person.expected.add(503)
        what, meanwhile, _ = texts[locale]
        reply = await person.page.goto(person.url + "/campaigns")
        assert reply is not None
        assert (reply.status, reply.headers["retry-after"]) == (503, "2")
        assert (await person.page.inner_text("h1")).strip() == what
        assert meanwhile in await person.page.inner_text(".meanwhile")
        assert await person.page.get_attribute("html", "lang") == locale
    await mortal.start()
    for locale, person in people.items():
        await expect(person.page.locator("h1")).to_have_text(texts[locale][2], timeout=SOON_MS)
    assert stage.campaign_id


async def test_a_disposition_that_was_not_saved_stays_on_the_desk(
    visit: Visitors, stage: Stage, mortal: EmbeddedPostgres
) -> None:
    """The agent is told once that it was not saved and finds the note still typed; sent again afterwards it
    is in the database."""
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[1])
    person = await visit(user, locale="en")
    person.expected.add(503)
    page = person.page
    await person.open("/desk")
    await page.fill("#note", "wants the blue one")
    choice = page.locator(".choices button").first
    strip, notice = page.locator("#status .strip"), page.locator("#notices .notice")
    await kill(mortal)
    for _ in range(2):
        async with page.expect_response(lambda reply: reply.request.method == "POST") as refused:
            await choice.click()
        assert (await refused.value).status == 503
    await expect(notice).to_have_count(1)
    await expect(notice).to_contain_text("This was not saved.")
    await expect(strip).to_contain_text("The database does not answer.", timeout=SOON_MS)
    assert await page.input_value("#note") == "wants the blue one"
    await mortal.start()
    await expect(strip).to_have_count(0, timeout=SOON_MS)
    await choice.click()
    await expect(page.locator("button.chosen")).to_have_count(1, timeout=SOON_MS)
    async with stage.database.tenant(TENANT) as conn:
        kept = await conn.scalars(
            select(t.attempt.c.disposition_note).where(t.attempt.c.disposed_by == stage.users[1])
        )
        assert list(kept) == ["wants the blue one"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"disk_full": True}, ("На диске базы данных кончилось место.", "администратор сервера")),
        (
            {"asterisk": False, "trouble": ""},
            ("Нет связи с Asterisk: новых звонков нет.", "разговоры продолжаются"),
        ),
    ],
)
async def test_a_part_that_is_away_is_named_on_every_page(
    visit: Visitors, stage: Stage, status: dict[str, object], words: tuple[str, ...]
) -> None:
    """A strip says what it is, what goes on and who has to do something, also at a phone's width; then it
    goes."""
    person = await visit(Role.SUPERVISOR, locale="ru", width=390, height=844)
    await person.open("/agents")
    strip = person.page.locator("#status .strip")
    async with stage.database.system() as conn:
        await breathe(conn, **status)
    await expect(strip).to_have_count(1, timeout=SOON_MS)
    for word in words:
        await expect(strip).to_contain_text(word)
    assert await person.page.evaluate("document.documentElement.scrollWidth") <= 390
    async with stage.database.system() as conn:
        await breathe(conn)
    await expect(strip).to_have_count(0, timeout=SOON_MS)


async def test_a_program_is_told_when_to_ask_again(
    visit: Visitors, stage: Stage, mortal: EmbeddedPostgres
) -> None:
    """Of a frozen database the API says in time: 503, a stable type, Retry-After, in the caller's language; a
    stream that was open stays open and tells afterwards what happened since."""
    program = await visit.web.program(Role.SUPERVISOR)
    program.headers["Accept-Language"] = "ru"
    async with program.http.get(f"{program.url}/api/v1/events", headers=program.headers) as stream:
        assert await stream.content.readline()
        with stopped(mortal.pids):
            began = time.monotonic()
            for method, path, body in (("GET", "~/campaigns", None), ("POST", "~/lists", {"name": "Новый"})):
                refused = await program.call(method, path, body)
                assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
                assert refused.json["type"] == "/problems/database-unavailable"
                assert refused.json["title"] == "Сервис недоступен"
            assert time.monotonic() - began < SOON_MS / 1000
            health = await program.call("GET", "/healthz")
            assert (health.status, health.json["parts"]["database"]) == (503, "down")
        async with asyncio.timeout(SOON_MS / 1000):
            while (await program.call("GET", "~/campaigns")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # what a program does that was told to ask again
            await stage.put(stage.agents[5], "paused", pause_code="break")
            while b"agent.state" not in await stream.content.readline():
                continue
