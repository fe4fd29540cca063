"""Whether pages are fit for everybody: by axe, on any screen, without a complaint of the browser."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from dialer.db.session import Database
from dialer.settings import load
from dialer.web.frontend import MODULES
from support.browser import Visitor, Visitors
from support.showcase_filling import open_showcase
from support.site_pages import SitePage, all_pages
from support.web import whole_site

AXE = MODULES / "axe-core/axe.min.js"
#: Everything that is folded is to be sound too.
UNFOLD = "document.querySelectorAll('main details').forEach(one => { one.open = true; })"
#: The innermost of what reaches beyond the right edge, and is not scrolled by what it lies in.
WIDEST = """width => [...document.querySelectorAll('body *')].filter(one => {
    if (one.getBoundingClientRect().right <= width) return false;
    for (let up = one.parentElement; up; up = up.parentElement)
        if (getComputedStyle(up).overflowX !== 'visible') return false;
    return true;
}).map(one => one.outerHTML.slice(0, 120)).pop()"""
#: Widths of screens: a phone, a tablet, a desk.
WIDTHS = (390, 768, 1366)
#: How long a page of a busy machine may take, ms: nothing is measured here.
PATIENT_MS = 60_000


async def faults(person: Visitor) -> list[str]:
    """Serious faults that axe finds on the page that is open."""
    # By the debugger, which no policy of the page holds back.
    await person.page.evaluate(await asyncio.to_thread(AXE.read_text))
    found: dict[str, Any] = await person.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


async def too_wide(person: Visitor) -> list[str]:
    """Widths of screens on which the open page has to be scrolled sideways."""
    wrong = []
    for width in WIDTHS:
        await person.page.set_viewport_size({"width": width, "height": 800})
        if (shown := await person.page.evaluate("document.documentElement.scrollWidth")) > width:
            wide = await person.page.evaluate(WIDEST, width)
            wrong.append(f"{shown} pixels on a screen of {width}: {wide}")
    return wrong


async def unsound(person: Visitor, page: SitePage, names: dict[str, Any], locale: str) -> list[str]:
    """What is wrong with one page, with all of it unfolded."""
    await person.page.set_viewport_size({"width": 1366, "height": 768})
    await page.open(person, names)
    # Parts that come by themselves are there.
    await person.page.wait_for_selector(".htmx-request", state="detached")
    wrong = []
    if (told := await person.page.get_attribute("html", "lang")) != locale:
        wrong.append(f"it is in {told!r}")
    await person.page.evaluate(UNFOLD)
    wrong += await faults(person) + await too_wide(person) + person.complaints
    person.complaints.clear()
    return [f"{page.name}: {one}" for one in wrong]


async def unsound_pages(
    browser: Browser, database: Database, database_url: str, folder: Path, locale: str, *, dark: bool
) -> list[str]:
    """What is wrong with any page of the site, in one language, light or dark: of a centre in an empty
    database whose files lie in `folder`."""
    wrong: list[str] = []
    async with whole_site(database, database_url, load(data_dir=folder)) as web:
        made = await open_showcase(web, locale)
        visitors = Visitors(browser, web)
        person: Visitor | None = None
        who: str | None = None
        for page in all_pages():
            if person is None or page.who != who:
                # One person after the other: an open page asks the server for what is new all the time.
                if person is not None:
                    await person.context.close()
                user = made.people[page.who] if page.who else None
                person, who = await visitors(user, locale=locale, dark=dark), page.who
                person.context.set_default_timeout(PATIENT_MS)
            wrong += await unsound(person, page, made.names, locale)
        assert person is not None
        await person.context.close()
    return wrong
