"""Every page of the site is known: it is looked at by tests, and docs/pages.md has its pictures."""

from __future__ import annotations

from support.docs import ROOT
from support.site_pages import LOCALES, NO_PAGES, PARTS, PICTURES, SIZES, all_pages, picture

from dialer.app.web import build_web
from dialer.httpkit.routes import PREFIX
from dialer.settings import load


def test_every_route_that_shows_something_is_in_the_list_of_pages() -> None:
    """A new page without an entry is named here; so is an entry of a page that is gone."""
    app = build_web(load(), "postgresql://nobody@localhost/none")
    routes = {
        route.resource.canonical
        for route in app.router.routes()
        if route.method == "GET" and route.resource is not None
    }
    pages = {page.route for page in all_pages() if page.route}
    shown = {one for one in routes if not one.startswith(PREFIX)} - PARTS - NO_PAGES.keys()
    assert shown - pages == set(), "add it to support/site_pages.py, then: make screenshots"
    assert pages | PARTS | NO_PAGES.keys() <= routes


def test_each_page_has_its_pictures() -> None:
    """In both languages, at a desk's size at least; none is left of a page that is gone; each is small."""
    sizes = {
        size: {picture(page.name, locale, size) for page in all_pages() for locale in LOCALES}
        for size in SIZES
    }
    files = {file.name: file.stat().st_size for file in (ROOT / PICTURES).iterdir()}
    assert sizes["1366"] - files.keys() == set(), "run: make screenshots"
    assert files.keys() - set().union(*sizes.values()) == set(), "these are of no page: remove them"
    assert {name: size for name, size in files.items() if size > 100_000} == {}


def test_pages_have_names_of_their_own() -> None:
    """Two with one name would share a picture."""
    names = [page.name for page in all_pages()]
    assert len(names) == len(set(names))
