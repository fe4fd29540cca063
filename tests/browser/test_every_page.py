"""What holds for every page: both languages, any width, no breach of the policy, fit for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import select
from support.browser import Visitor, Visitors
from support.flow_pages import a_flow
from support.kept_things import kept_things
from support.recordings import keep
from support.stage import TENANT, Stage
from support.talk_scripts import published
from support.web import Web

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role
from dialer.inbound.http import INBOUND
from dialer.recordings.http import RECORDINGS
from dialer.reviews.http import REVIEW_FORMS, REVIEWS
from dialer.reviews.model import shipped
from dialer.vault.files import Vault
from dialer.web.frontend import MODULES
from dialer.web.keys import FILES

PATHS = (
    "/campaigns", "/campaigns/new", "/campaigns/{campaign}", "/campaigns/{campaign}/edit",
    "/campaigns/{campaign}/pace", "/campaigns/{campaign}/queue", "/do-not-call", "/prompts",
    "/calls",
    "/contacts", "/contacts/{contact}", "/lists", "/lists/{list}", "/lists/mappings",
    "/board", "/board/wall", "/board/alerts", "/agents", "/trunks", "/policies", "/users",
    "/tokens", "/me", "/desk",
    "/why-not?number=89160000000", "/campaigns/{campaign}/why-not", "/contacts/{contact}/why-not",
    "/lists/quality", "/lists/duplicates", "/lists/dead-numbers",
    "/callbacks", "/callbacks?view=day", "/contacts/{contact}/callback",
    "/queues", "/queues/new", "/queues/figures", "/voicemail", "/numbers", "/numbers/new",
    "/incoming",
    "/flows", "/flows/new", "/flows/new?from=survey.en", "/flows/1", "/flows/1/edit", "/flows/1/versions/1",
    "/visits", "/surveys", "/knowledge", "/knowledge/new",
    "/scripts", "/scripts/new", "/scripts/1", "/scripts/1/edit", "/scripts/1/versions/1",
)  # fmt: skip
KEPT_PATHS = tuple(
    f"/{kind}{one}" for kind in ("hours", "offers", "hosts", "destinations") for one in ("", "/new", "/1")
)
SEGMENT_PATHS = ("/segments", "/segments/new", "/fields", "/grids")
AXE = MODULES / "axe-core/axe.min.js"


async def faults(person: Visitor) -> list[str]:
    """Serious faults that axe finds on the page."""
    # By the debugger, which no policy of the page holds back.
    await person.page.evaluate(await asyncio.to_thread(AXE.read_text))
    found: dict[str, Any] = await person.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("locale", "dark"), [("ru", False), ("en", True)])
async def test_every_page_is_sound(visit: Visitors, stage: Stage, locale: str, dark: bool) -> None:
    """No console error, no serious accessibility fault, no sideways scroll at a phone's width."""
    person = await visit(Role.ADMINISTRATOR, locale=locale, dark=dark)
    await a_flow(stage.web.app[INBOUND])
    await published(stage.database, Actor.server(TENANT))
    async with stage.database.tenant(TENANT) as conn:
        contact = await conn.scalar(
            select(t.attempt.c.contact_id).where(t.attempt.c.disposition_id.is_not(None))
        )
    names = {"contact": contact, "campaign": stage.campaign_id, "list": stage.list_id}
    await sound(person, locale, (path.format(**names) for path in PATHS + SEGMENT_PATHS))


@pytest.mark.parametrize(("locale", "dark"), [("ru", True), ("en", False)])
async def test_the_pages_of_what_flows_name_are_sound(
    visit: Visitors, stage: Stage, locale: str, dark: bool
) -> None:
    """The same, of lists and forms that hold something."""
    await kept_things(stage.web.app)
    await sound(await visit(Role.ADMINISTRATOR, locale=locale, dark=dark), locale, KEPT_PATHS)


async def sound(person: Visitor, locale: str, paths: Iterable[str]) -> None:
    """Look at each page, wide and narrow."""
    for path in paths:
        await person.page.set_viewport_size({"width": 1366, "height": 768})
        await person.open(path)
        assert await person.page.get_attribute("html", "lang") == locale
        assert await faults(person) == [], path
        await person.page.set_viewport_size({"width": 390, "height": 844})
        assert await person.page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert person.complaints == [], path


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


@pytest.mark.parametrize(("locale", "dark"), [("ru", True), ("en", False)])
async def test_the_pages_of_recordings_and_of_their_quality_are_sound(
    visit: Visitors, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locale: str, dark: bool
) -> None:
    """The same, with a mark, a pause, a hold, a form, a plan, scores and a closed calibration."""
    app, boss = stage.web.app, Actor.server(TENANT)
    monkeypatch.setattr(app[RECORDINGS], "_vault", Vault(tmp_path))
    async with stage.database.tenant(TENANT) as conn:
        call = await conn.scalar(select(t.attempt.c.id).where(t.attempt.c.disposition_id.is_not(None)))
    assert call is not None
    pauses = [{"from_s": 1.0, "until_s": 2.0}]
    made = await keep(stage.database, tmp_path, call, pauses=pauses, held_at=utc_now(), hold_reason="claim")
    await app[RECORDINGS].mark(boss, made, 1.0, "Hello")
    form = await app[REVIEW_FORMS].add(boss, "Talks", shipped(locale))
    await app[REVIEW_FORMS].add_plan(boss, form.id, 3)
    user = await visit.web.user(Role.ADMINISTRATOR)
    scorer = Actor(TENANT, user.id, Role.ADMINISTRATOR, user.name, locale)
    await app[REVIEWS].score(scorer, call, form.id, {"speech": 4}, "Calm")
    for _ in range(2):
        calibration = (await app[REVIEWS].open_calibration(boss, call, form.id)).id
        await app[REVIEWS].score_blind(scorer, calibration, {"speech": 4})
    await app[REVIEWS].close(boss, calibration)
    paths = (
        f"/calls/{call}", "/recordings", "/reviews", "/reviews/forms", "/reviews/forms/new",
        f"/reviews/calibrations/{calibration}", f"/reviews/calibrations/{calibration - 1}",
    )  # fmt: skip
    await sound(await visit(user, locale=locale, dark=dark), locale, paths)


async def test_the_desk_in_a_talk_is_sound(visit: Visitors, stage: Stage) -> None:
    """The fullest state of the agent's page, at all widths."""
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[1])
    person = await visit(user, locale="ru")
    await person.open("/desk")
    await person.page.wait_for_selector(".choices")
    assert await faults(person) == []
    for width in (390, 768, 1366, 1920):
        await person.page.set_viewport_size({"width": width, "height": 800})
        assert await person.page.evaluate("document.documentElement.scrollWidth") <= width


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
