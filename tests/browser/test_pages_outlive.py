"""Pages that stay open outlive the server that gave them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, expect
from support.boards import EVENT_MS
from support.browser import Visitor, Visitors
from support.stage import Stage
from yarl import URL

from dialer.app.web import build_web
from dialer.httpkit.access import Role
from dialer.httpkit.application import serve
from dialer.settings import load

#: The browser asks again by itself in 3 s, and a busy machine is slow.
BACK_MS = 60_000
#: What a browser says of a server that is not there.
AWAY = ("net::ERR_", "htmx:")


@asynccontextmanager
async def server(database_url: str, port: int = 0) -> AsyncIterator[URL]:
    """A web process that can go before its pages do."""
    running = await serve(build_web(load(), database_url), "127.0.0.1", port)
    try:
        yield URL(running.url)
    finally:
        await running.close()


async def watching(person: Visitor, url: URL) -> Page:
    """The page, with its stream of events open."""
    async with person.page.expect_response(lambda reply: "/api/v1/events" in reply.url):
        await person.page.goto(str(url))
    await person.page.evaluate("window.sameDocument = true")
    return person.page


async def test_board_and_wall_outlive_a_restart_of_the_server(
    visit: Visitors, stage: Stage, database_url: str
) -> None:
    """They say that what they show is old; when the server is back they show what is so by then, the board
    where it stood, the wall as the new server draws it."""
    people = [await visit(Role.SUPERVISOR), await visit(Role.SUPERVISOR)]
    async with server(database_url) as url:
        board, wall = [
            await watching(person, url / path)
            for person, path in zip(people, ("board", "board/wall"), strict=True)
        ]
        paused = wall.locator(".wall-agents .a-paused b")
        before = int(await paused.inner_text())
    for page in (board, wall):
        await expect(page.locator("#link-lost")).to_be_visible(timeout=BACK_MS)
    await stage.put(stage.agents[0], "paused", pause_code="lunch")
    async with server(database_url, url.port or 0):
        for page in (board, wall):
            await expect(page.locator("#link-lost")).to_be_hidden(timeout=BACK_MS)
        await expect(paused).to_have_text(str(before + 1), timeout=BACK_MS)
        assert await wall.evaluate("window.sameDocument") is None
        tile = board.locator(f"#at-{stage.agents[0]}")
        await expect(tile).to_contain_text("on pause", timeout=BACK_MS)
        assert await board.evaluate("window.sameDocument") is True
        await stage.put(stage.agents[0], "ready")
        await expect(paused).to_have_text(str(before), timeout=EVENT_MS)
        for person in people:
            await person.context.close()
    for person in people:
        person.complaints[:] = [one for one in person.complaints if not any(word in one for word in AWAY)]
