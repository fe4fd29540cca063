"""What holds for every page: whom it is for, no breach of the policy. That each is sound, in either language:
test_pages_in_english.py and test_pages_in_russian.py, which several processes may run at once."""

from __future__ import annotations

from aiohttp import ClientSession
from support.browser import Visitors
from support.stage import Stage
from support.web import Web

from dialer.httpkit.access import Role
from dialer.web.keys import FILES


async def test_quality_control_can_open_all_that_its_navigation_names(visit: Visitors, stage: Stage) -> None:
    """From its own first page on; nothing there is refused."""
    person = await visit(Role.QUALITY)
    await person.open("/")
    assert person.page.url.endswith("/reviews")
    seen: list[str] = ["/reviews"]
    for path in seen:  # which grows
        await person.open(path)
        assert await person.page.locator("main h1").count() == 1, path
        links = await person.page.eval_on_selector_all(
            "header nav a", "all => all.map(one => one.getAttribute('href'))"
        )
        seen += [one for one in links if one not in seen]
    assert {"/board", "/campaigns", "/calls", "/recordings", "/agents", "/voicemail"} <= set(seen)


async def test_pages_allow_no_inline_script_or_style(pages: Web) -> None:
    """The policy of pages names no unsafe source, and no page is kept by a cache."""
    async with ClientSession() as http, http.get(pages.url + "/login") as reply:
        policy = reply.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert reply.headers["Cache-Control"] == "no-store"
        text = await reply.text()
    assert "style=" not in text
    assert "<script>" not in text


async def test_static_files_are_kept_by_browsers_until_they_change(pages: Web) -> None:
    """Under the address with their version for ever, under any other never; what is no file is not found."""
    async with ClientSession() as http:
        async with http.get(pages.url + "/static/app.css") as plain:
            assert plain.headers["Cache-Control"] == "no-cache"
        async with http.get(pages.url + pages.app[FILES].url("app.css")) as current:
            assert "immutable" in current.headers["Cache-Control"]
            assert current.content_type == "text/css"
        async with http.get(pages.url + "/static/..%2fpages.py") as outside:
            assert outside.status == 404
