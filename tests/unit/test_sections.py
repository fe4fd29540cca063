"""The navigation: who is shown what, and where they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dialer.httpkit.access import Actor, Role
from dialer.web import views
from dialer.web.sections import SITE, Part, Shown, shown

#: Pages that are reached from others, or by everybody from the corner of the page.
ELSEWHERE = {"/", "/me", "/login", "/tokens"}


def row(role: Role, path: str = "/") -> list[Shown]:
    """The first row for somebody of this role."""
    return shown(Actor(1, 1, role, "Анна", "ru"), path)


def names(row: list[Shown]) -> list[str]:
    """What stands in a row."""
    return [one.name for one in row]


def test_what_each_role_is_shown() -> None:
    """What it may open, and nothing else; of a part with a single page that page itself."""
    first = ["board", "campaigns", "calls", "callbacks", "incoming", "agents", "customers", "set_up", "desk"]
    assert names(row(Role.OPERATOR)) == ["calls", "callbacks", "voicemail", "knowledge", "desk"]
    quality = ["board", "campaigns", "calls", "callbacks", "incoming", "agents", "visits", "set_up"]
    assert names(row(Role.QUALITY)) == quality
    assert names(row(Role.SUPERVISOR)) == names(row(Role.ADMINISTRATOR)) == first
    parts = {
        role: {one.name: names(list(one.row)) for one in row(role) if one.row}
        for role in (Role.SUPERVISOR, Role.ADMINISTRATOR)
    }
    customers = ["contacts", "lists", "segments", "visits", "do_not_call"]
    incoming = ["incoming_calls", "queues", "flows", "numbers", "hours", "offers", "voicemail"]
    calls = ["call_log", "recordings", "reviews", "surveys"]
    set_up = ["trunks", "destinations", "hosts", "policies", "scripts", "knowledge", "prompts"]
    assert parts[Role.SUPERVISOR] == {
        "calls": calls,
        "incoming": incoming,
        "customers": customers,
        "set_up": set_up,
    }
    assert parts[Role.ADMINISTRATOR] == {
        "calls": calls,
        "incoming": incoming,
        "customers": customers,
        "set_up": [*set_up, "users"],
    }


@pytest.mark.parametrize(
    ("path", "part", "page"),
    [
        ("/campaigns/7/why-not", "campaigns", None),
        ("/calls/7", "calls", "call_log"),
        ("/contacts/7", "customers", "contacts"),
        ("/why-not", "customers", "contacts"),
        ("/lists/quality", "customers", "lists"),
        ("/imports/3", "customers", "lists"),
        ("/grids", "customers", "segments"),
        ("/policies/ru-commercial", "set_up", "policies"),
        ("/numbers/7", "incoming", "numbers"),
        ("/hours/new", "incoming", "hours"),
        ("/hosts/7", "set_up", "hosts"),
        ("/listsome", None, None),
    ],
)
def test_where_one_is(path: str, part: str | None, page: str | None) -> None:
    """One link of the first row is the current one, and one of its own row."""
    found = [one for one in row(Role.ADMINISTRATOR, path) if one.current]
    assert names(found) == ([part] if part else [])
    assert [one.name for each in found for one in each.row if one.current] == ([page] if page else [])


def test_every_page_belongs_somewhere() -> None:
    """A page that is made belongs to a section, so that whoever opens it sees where they are."""
    folder = Path(views.__file__).parent
    paths = {
        path
        for file in folder.glob("*.py")
        for path in re.findall(
            r'(?:@routes\.get\(|path, what.* = )"(/[^"{]*)', file.read_text(encoding="utf-8")
        )
    }
    assert {"/hours", "/offers", "/hosts", "/destinations"} <= paths
    assert len(paths) > 20
    sections = [one for each in SITE for one in (each.sections if isinstance(each, Part) else (each,))]
    lost = {path for path in paths if not any(one.has(path.rstrip("/")) for one in sections)}
    assert lost - ELSEWHERE == set()
