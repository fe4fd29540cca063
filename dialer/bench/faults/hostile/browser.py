"""A real browser for hostile pages, where this machine has one: Chromium, driven by Playwright.

Neither is part of the server. Playwright comes with the packages that its tests need; Chromium is the
machine's.
"""

from __future__ import annotations

import importlib.util
import shutil
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
)


def found() -> str | None:
    """The browser's program; None where there is none, or nothing to drive it by."""
    if importlib.util.find_spec("playwright") is None:
        return None
    return next((path for name in NAMES if (path := shutil.which(name))), None)


async def look(url: str, session: str, paths: list[str]) -> list[str] | None:
    """Open the pages as who has this session: what the console and the pages complained of, None without
    one."""
    program = found()
    if program is None:
        return None
    from playwright.async_api import async_playwright

    complaints: list[str] = []
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        context = await started.new_context()
        await context.add_cookies([{"name": "dozvon_session", "value": session, "url": url}])
        # What every hostile text calls, should it run.
        await context.add_init_script("window.dzv = () => console.error('a hostile script ran')")
        page = await context.new_page()

        def heard(message: Any) -> None:
            # A part that an agent has no page of answers 403; that is no work of a text.
            if message.type == "error" and "the server responded with a status of" not in message.text:
                complaints.append(message.text[:200])

        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)[:200]))
        page.on("dialog", lambda _dialog: complaints.append("a dialog was opened"))
        for path in paths:
            await page.goto(url + path, wait_until="load")
            if not page.url.startswith(url):
                complaints.append(f"{path} led to {page.url[:100]}")
        await started.close()
    return complaints
