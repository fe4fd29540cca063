"""`make screenshots`: a picture of every page, in both languages and at three sizes, for docs/pages.md."""

from __future__ import annotations

import argparse
import asyncio
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, Error, Page

from dialer.db.session import Database
from dialer.settings import load
from dialer.web import frontend
from support.browser import Visitor, Visitors, found_chromium, running_browser
from support.docs import ROOT
from support.postgres import fresh_database, running_postgres, short_folder
from support.showcase_filling import open_showcase
from support.site_pages import LOCALES, PICTURES, SIZES, SitePage, all_pages, picture
from support.web import whole_site

#: A phone shows more by scrolling: pixels of a page that are taken at most.
TALLEST = 1600
#: How long anything may take, ms: nothing is measured here.
PATIENT_MS = 120_000
#: Pages have few colours; so many keep their text as sharp as it is.
COLOURS = 64


@dataclass(frozen=True, slots=True)
class Shooting:
    """What is taken, and where it goes."""

    browser: Browser
    pages: Sequence[SitePage]
    sizes: Sequence[str]
    folder: Path

    async def take(self, locale: str, database_url: str, data: Path) -> None:
        """All pictures of one language, of a centre in an empty database."""
        database = Database.open(database_url, pool=10)
        async with whole_site(database, database_url, load(data_dir=data)) as web:
            made = await open_showcase(web, locale)
            visitors = Visitors(self.browser, web)
            # One person after the other: an open page asks the server for what is new all the time.
            for who, pages in groupby(self.pages, key=lambda page: page.who):
                visitor = await visitors(made.people[who] if who else None, locale=locale)
                visitor.context.set_default_timeout(PATIENT_MS)
                for page in pages:
                    try:
                        await self._page(visitor, page, locale, made.names)
                    except Error as error:  # the others are taken all the same
                        print(f"{page.name}.{locale} was not taken: {error}")
                print(*visitor.complaints, sep="\n", end="")
                await visitor.context.close()
        await database.close()

    async def _page(self, visitor: Visitor, page: SitePage, locale: str, names: Mapping[str, object]) -> None:
        await visitor.page.set_viewport_size({"width": 1366, "height": 768})
        await page.open(visitor, names)
        for size in self.sizes:
            width, height = SIZES[size]
            await visitor.page.set_viewport_size({"width": width, "height": height})
            await settled(visitor.page)
            taken = await self._taken(visitor.page, size)
            await asyncio.to_thread(kept, taken, self.folder / picture(page.name, locale, size))
        print(f"{page.name}.{locale}")

    async def _taken(self, page: Page, size: str) -> bytes:
        """What is seen of the page; on a phone, more of it."""
        if size != "phone":
            return await page.screenshot(animations="disabled")
        width, height = SIZES[size]
        shown = await page.evaluate("document.documentElement.scrollHeight")
        clip: Any = {"x": 0, "y": 0, "width": width, "height": min(max(shown, height), TALLEST)}
        return await page.screenshot(full_page=True, clip=clip, animations="disabled")


async def settled(page: Page) -> None:
    """Wait until parts that come by themselves are there, and what is drawn of them."""
    await page.wait_for_selector(".htmx-request", state="detached")
    await page.wait_for_timeout(250)


def kept(png: bytes, file: Path) -> None:
    """Write a picture in its most frequent colours: grounds and texts keep theirs."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    counted: Any = image.getcolors(image.width * image.height)
    often = sorted(counted, reverse=True)[:COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in often for part in colour])
    few = image.quantize(palette=palette, dither=Image.Dither.NONE)
    few.convert("RGB").save(file, "WEBP", lossless=True, quality=75, method=4)


async def main(only: str, locales: Sequence[str], sizes: Sequence[str], folder: Path) -> None:
    """Take the pictures whose names match."""
    frontend.install(tests=True)
    pages = [page for page in all_pages() if re.search(only, page.name)]
    with short_folder() as data, found_chromium() as chromium, tempfile.TemporaryDirectory() as kept_files:
        async with running_postgres(data) as cluster, running_browser(chromium) as browser:
            shooting = Shooting(browser, pages, sizes, folder)
            for locale in locales:
                async with fresh_database(cluster) as fresh:
                    await shooting.take(locale, fresh.app, Path(tempfile.mkdtemp(dir=kept_files)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the names of pages, a regular expression")
    parser.add_argument("--locales", nargs="+", choices=LOCALES, default=LOCALES)
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=tuple(SIZES))
    parser.add_argument("--folder", type=Path, default=ROOT / PICTURES)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(given.only, given.locales, given.sizes, given.folder))
