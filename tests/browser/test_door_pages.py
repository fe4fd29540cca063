"""Logging in and out, languages, and what each role is shown."""

from __future__ import annotations

from support.browser import Visitors
from support.web import PASSWORD, Web

from dialer.httpkit.access import Role


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
    assert await person.page.locator("nav a").all_inner_texts() == ["Callbacks", "My desk"]
    await person.open("/users")
    assert "users_edit" in await person.page.inner_text("main")


async def test_an_unknown_page_is_told_of_in_words(visit: Visitors) -> None:
    """Not a trace and not a blank page."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    person.expected.add(404)
    await person.open("/no-such-page")
    assert await person.page.inner_text("h1") == "Не найдено"
