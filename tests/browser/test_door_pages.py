"""Logging in and out, languages, and what each role is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.browser import Visitors
from support.web import PASSWORD, Web

from dialer.httpkit.access import Role

#: A folder where pictures of the pages are put, to be looked at; unset: none are made.
SHOTS = os.environ.get("TEST_SHOTS", "")


async def test_a_person_logs_in_is_led_back_and_logs_out(visit: Visitors, pages: Web) -> None:
    """A stranger who asks for a page logs in, lands on that page, and after the log-out must log in again."""
    supervisor = await pages.user(Role.SUPERVISOR)
    stranger = await visit(None)
    stranger.expected.add(401)
    page = stranger.page
    await stranger.open("/trunks")
    assert page.url.endswith("/login?next=/trunks")
    await page.fill("#login", supervisor.login)
    await page.fill("#password", "not the password")
    await page.keyboard.press("Enter")
    assert "The login or the password is wrong" in (await page.inner_text("#door-fault"))
    assert await page.input_value("#login") == supervisor.login
    await page.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/trunks")
    await page.click("text=Log out")
    await page.wait_for_url("**/login")
    await stranger.open("/trunks")
    assert "/login" in page.url


async def test_the_language_is_chosen_at_the_door_and_kept_inside(visit: Visitors) -> None:
    """The log-in page speaks the language of the link; a switch inside is kept with the user."""
    stranger = await visit(None, locale="en")
    await stranger.open("/login")
    assert await stranger.page.inner_text("button.main") == "Log in"
    await stranger.page.click("text=Русский")
    assert await stranger.page.inner_text("button.main") == "Войти"
    assert await stranger.page.get_attribute("html", "lang") == "ru"
    person = await visit(Role.SUPERVISOR, locale="en")
    await person.open("/campaigns")
    await person.page.click("text=Русский")
    await person.page.wait_for_selector("h1:has-text('Кампании')")
    await person.open("/agents")
    assert await person.page.inner_text("h1") == "Операторы"


async def test_an_operator_sees_the_desk_and_nothing_of_the_supervisors(visit: Visitors) -> None:
    """Navigation holds what the role may open; the rest is refused in words."""
    person = await visit(Role.OPERATOR)
    person.expected.add(403)
    await person.open("/")
    assert person.page.url.endswith("/desk")
    assert await person.page.locator("nav a").all_inner_texts() == [
        "Calls",
        "Callbacks",
        "Voicemail",
        "Knowledge base",
        "My desk",
    ]
    await person.open("/users")
    assert "users_edit" in await person.page.inner_text("main")


@pytest.mark.parametrize("locale", ["ru", "en"])
async def test_the_navigation_is_one_row_at_a_desk_and_whole_on_a_phone(visit: Visitors, locale: str) -> None:
    """For everybody and at every usual width each row is one line; on a phone nothing of it is cut off. By
    keyboard all of it is reached, in its order, with a mark that is seen."""
    for role, path in ((Role.ADMINISTRATOR, "/contacts"), (Role.SUPERVISOR, "/trunks"), (Role.OPERATOR, "/")):
        person = await visit(role, locale=locale)
        await person.open(path)
        page = person.page
        for width in (1280, 1366, 1920):
            await page.set_viewport_size({"width": width, "height": 800})
            lines = await page.evaluate(
                "[...document.querySelectorAll('header nav')].map(nav =>"
                " new Set([...nav.children].map(link => link.getBoundingClientRect().top)).size)"
            )
            assert set(lines) == {1}, (role, width)
            self_top, nav_top = await page.evaluate(
                "['.self', 'header nav'].map(each => document.querySelector(each).offsetTop)"
            )
            assert abs(self_top - nav_top) < 20, (role, width)
            if SHOTS:
                await page.screenshot(path=Path(SHOTS, f"nav-{role}-{locale}-{width}.png"))
        await page.set_viewport_size({"width": 390, "height": 844})
        cut = await page.evaluate(
            "[...document.querySelectorAll('header a, header button')].filter(each => {"
            " const box = each.getBoundingClientRect(); return box.left < 0 || box.right > 390 })"
            ".filter(each => !each.matches('.skip')).map(each => each.textContent)"
        )
        assert cut == [], role
        if SHOTS:
            await page.screenshot(path=Path(SHOTS, f"nav-{role}-{locale}-390.png"))
        links = await page.locator("header nav a").all_inner_texts()
        reached = []
        for _ in range(60):
            await page.keyboard.press("Tab")
            text, seen = await page.evaluate(
                "[document.activeElement.closest('header nav') ? document.activeElement.innerText : '',"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            if text:
                reached.append(text)
                assert seen == "solid", text
            if len(reached) == len(links):
                break
        assert sorted(reached) == sorted(links)


async def test_an_unknown_page_is_told_of_in_words(visit: Visitors) -> None:
    """Not a trace and not a blank page."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    person.expected.add(404)
    await person.open("/no-such-page")
    assert await person.page.inner_text("h1") == "Не найдено"
