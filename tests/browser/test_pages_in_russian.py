"""Every page of the site in Russian, in the light."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser
from support.soundness import unsound_pages

from dialer.db.session import Database


@pytest.mark.timeout(1200)  # a hundred pages on a busy machine, one of which simulates a campaign
async def test_every_page_is_sound(
    _frontend: None, browser: Browser, database: Database, database_url: str, tmp_path: Path
) -> None:
    """No serious accessibility fault with all of it unfolded, nothing sideways to scroll on any screen, no
    complaint of the browser. The list of pages has all that there are: tests/unit/test_site_pages.py."""
    assert await unsound_pages(browser, database, database_url, tmp_path, "ru", dark=False) == []
