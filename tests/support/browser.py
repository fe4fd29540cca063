"""A browser for the tests of pages: the machine's Chromium, else the distribution's, unpacked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from dialer.db.session import Database
from dialer.debian.packages import PackageSet, unpack
from dialer.httpkit.access import Actor, Role
from dialer.settings import load
from dialer.users.model import User
from dialer.web import frontend
from support.stage import Stage, set_stage
from support.web import PASSWORD, Web, whole_site

__all__ = ["Visitor", "Visitors", "_frontend", "browser", "chromium", "pages", "stage", "visit"]

#: A page of a busy machine may take its time, ms.
expect.set_options(timeout=30_000)

CHROMIUM = PackageSet(
    name="chromium",
    packages=("chromium", "fonts-dejavu-core"),
    suite="host",
    own_loader=False,
    library_dirs=("usr/lib/x86_64-linux-gnu/pulseaudio",),
    mend="install chromium by your system's own means",
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{root}/usr/share/fonts</dir><cachedir>{cache}</cachedir></fontconfig>
"""


@dataclass(frozen=True, slots=True)
class Chromium:
    """How the browser is started."""

    path: str
    environment: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The machine's Chromium, else the one of its distribution's packages."""
    with found_chromium() as found:
        yield found


@contextmanager
def found_chromium() -> Iterator[Chromium]:
    """The same, of whoever asks."""
    for name in ("chromium", "google-chrome"):
        found = shutil.which(name)
        if found:
            yield Chromium(found)
            return
    with tempfile.TemporaryDirectory(prefix="dozvon-fonts-") as cache:
        yield unpacked(Path(cache))


def unpacked(cache: Path) -> Chromium:
    """The distribution's Chromium, unpacked."""
    files = unpack(CHROMIUM, load().packages_dir, print)
    fonts = cache / "fonts.conf"
    fonts.write_text(FONTS.format(root=files.root, cache=cache))
    environment = files.environment() | {"FONTCONFIG_FILE": str(fonts)}
    return Chromium(files.argv("usr/lib/chromium/chromium")[-1], environment)


@pytest.fixture(scope="session")
async def browser(chromium: Chromium) -> AsyncIterator[Browser]:
    """One headless browser for all tests; each test has contexts of its own."""
    async with running_browser(chromium) as started:
        yield started


@asynccontextmanager
async def running_browser(chromium: Chromium) -> AsyncIterator[Browser]:
    """The browser, headless."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=chromium.path, args=FLAGS, env={**os.environ, **chromium.environment}
        )
        yield started
        await started.close()


@pytest.fixture(scope="session")
def _frontend() -> None:
    frontend.install(tests=True)


@pytest.fixture
async def pages(_frontend: None, database: Database, database_url: str) -> AsyncIterator[Web]:
    """The web process as the server builds it, on a free port."""
    async with whole_site(database, database_url) as running:
        yield running


@pytest.fixture
async def stage(pages: Web) -> Stage:
    """A contact centre in the middle of its day."""
    return await set_stage(pages)


@dataclass(slots=True)
class Visitor:
    """A person at a browser, and everything that the browser has complained of."""

    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    #: refusals (statuses) that the test means to cause; the console tells of each
    expected: set[int] = field(default_factory=set)

    async def open(self, path: str) -> None:
        """Go to a page and wait until it is there."""
        await self.page.goto(self.url + path)


class Visitors:
    """Makes visitors; after the test none may have complained."""

    def __init__(self, browser: Browser, web: Web) -> None:
        self._browser = browser
        self.web = web
        self.made: list[Visitor] = []

    async def __call__(
        self,
        user: User | Role | None,
        *,
        locale: str = "en",
        width: int = 1366,
        height: int = 768,
        dark: bool = False,
    ) -> Visitor:
        """A browser in which the user is logged in (None: a stranger), in this language."""
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            locale=locale,
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(30_000)
        page = await context.new_page()
        visitor = Visitor(context, page, self.web.url)
        self.made.append(visitor)
        page.on("console", lambda message: _noted(visitor, message))
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        if user is not None:
            if isinstance(user, Role):
                user = await self.web.user(user)
            await self.web.users.change(Actor.server(1), user.id, locale=locale)
            # The log-in page has tests of its own; a password of the real price at each visit is not needed.
            session = await self.web.users.log_in(user.login, PASSWORD, "127.0.0.1")
            await context.add_cookies(
                [{"name": "dozvon_session", "value": session.token, "url": self.web.url}]
            )
        return visitor


def _noted(visitor: Visitor, message: ConsoleMessage) -> None:
    meant = any(f" {status} " in message.text for status in visitor.expected)
    if message.type in ("error", "warning") and not meant:
        visitor.complaints.append(message.text)


@pytest.fixture
async def visit(browser: Browser, pages: Web) -> AsyncIterator[Visitors]:
    """Makes visitors, and asks at the end that no console has an error (a breach of the CSP is one)."""
    visitors = Visitors(browser, pages)
    yield visitors
    complaints = [line for visitor in visitors.made for line in visitor.complaints]
    for visitor in visitors.made:
        await visitor.context.close()
    assert complaints == [], complaints
