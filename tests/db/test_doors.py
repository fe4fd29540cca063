"""Every route of the server, API and pages: which roles pass it, and that another company's things are not
behind it.

`doors.txt` says for whom each is; a route without a line fails, and so does a line without a route.
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp.test_utils import make_mocked_request
from sqlalchemy import text
from support.door_keys import Keys, Things, nobody
from support.one_of_each import WHOEVER, OneOfEach, number_of
from support.web import Caller, Reply, Web, second_tenant, whole_site

from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.httpkit.access import Role
from dialer.settings import load

LETTERS: Final = {
    Role.OPERATOR: "o", Role.QUALITY: "q", Role.ANALYST: "n", Role.SUPERVISOR: "s", Role.ADMINISTRATOR: "a",
}  # fmt: skip
LINE: Final = re.compile(r"([oqnsaOQ]+|-|\.) +([A-Z]+) +(\S+)")
API: Final = "/api/v1/"
OURS, THEIRS = "ourzeta", "theiromega"
#: They end the session of who asks.
LAST: Final = ("/api/v1/session", "/logout")
#: Streams and WebSockets, which go on for whom they let in: tests of their own open them.
OPEN_ENDED: Final = ("/api/v1/events", "/phone")
#: What a page leads to: links, forms, what its parts ask for and do.
TAG: Final = re.compile(r"<[a-z]+\b([^>]*)>")
FORM: Final = re.compile(r"<form\b.*?</form>", re.DOTALL)
HOW: Final = {
    "href": "GET", "action": "GET", "formaction": "POST",
    "hx-get": "GET", "hx-post": "POST", "hx-put": "PUT", "hx-delete": "DELETE",
}  # fmt: skip
ATTRIBUTE: Final = re.compile(r'\b(href|action|method|formaction|hx-get|hx-post|hx-put|hx-delete)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Door:
    """A line of the table."""

    who: str
    method: str
    path: str

    def lets(self, role: Role) -> bool:
        """Whether the role passes, with the own things at least."""
        return self.who == "-" or LETTERS[role] in self.who.lower()

    def own_only(self, role: Role) -> bool:
        """Whether it does so with the own things only."""
        return LETTERS[role].upper() in self.who

    @property
    def looks(self) -> bool:
        """Whether nothing is changed."""
        return self.method == "GET"


@cache
def doors() -> Sequence[Door]:
    """The table, in its order, with what ends a session last."""
    lines = Path(__file__).with_name("doors.txt").read_text().splitlines()
    found = [LINE.fullmatch(line) for line in lines if line and not line.startswith("#")]
    made = [Door(one[1], one[2], one[3]) for one in found if one is not None]
    assert len(made) == len(found), "a line that is none"
    return sorted(made, key=lambda one: one.path in LAST)


@pytest.fixture
async def site(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    """The whole server's pages and API."""
    async with whole_site(database, database_url, load(data_dir=tmp_path)) as running:
        yield running


def test_every_route_has_a_line(site: Web) -> None:
    """Whoever adds a route says for whom it is."""
    routes = {
        (route.method, route.resource.canonical)
        for route in site.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    table = [(one.method, one.path) for one in doors()]
    assert len(table) == len(set(table)), "a route has two lines"
    assert sorted(routes - set(table)) == []
    assert sorted(set(table) - routes) == []


@pytest.mark.parametrize("role", Role)
async def test_a_role_passes_its_doors_and_no_other(site: Web, database: Database, role: Role) -> None:
    """What is not for it is refused, with things that are there; what is for it is not, and its pages lead to
    nothing that would be."""
    things = Things(OneOfEach(database, 1, OURS))
    keys = Keys(site.app)
    caller = await site.browser(role)
    wrong = []
    for door in sorted(doors(), key=lambda one: (one.path in LAST, not one.looks, one.lets(role))):
        if door.path in OPEN_ENDED and door.lets(role):
            continue
        allowed, own = door.lets(role), door.own_only(role)
        with_these = nobody if allowed and not own and not door.looks else things.value
        for path in await keys.paths(door.method, door.path, with_these):
            reply = await ask(caller, keys, door, path, with_these)
            if said := await _wrong(door, reply, allowed=allowed, own=own):
                wrong.append(f"{door.method} {path}: {said}")
            if allowed and door.looks and not door.path.startswith(API):
                for behind in await shut_behind(site, reply.text, role):
                    wrong.append(f"{door.method} {path} leads to {behind}")
            if role is Role.ANALYST and tells_of_a_customer(reply.text):
                wrong.append(f"{door.method} {path}: it tells of a customer")
    assert not wrong, "\n".join(wrong)


async def shut_behind(site: Web, page: str, role: Role) -> set[str]:
    """Where a page leads to and the role may not go: links, forms, buttons, what parts of it ask for."""
    table, shut = {(door.method, door.path): door for door in doors()}, set()
    for method, target in set(led_to(page)):
        matched = await site.app.router.resolve(make_mocked_request(method, target))
        resource = matched.route.resource
        behind = table.get((method, resource.canonical)) if resource is not None else None
        if behind is None or not behind.lets(role):
            shut.add(f"{method} {target}")
    return shut


def tells_of_a_customer(reply: str) -> bool:
    """By a name, a word about them, or their whole number."""
    return WHOEVER in reply or number_of(1)[1:] in re.sub(r"[\s()-]", "", reply)


def led_to(page: str) -> Iterator[tuple[str, str]]:
    """What a page leads to at this server: (method, address). A form without a button is there to be read."""
    for form in FORM.findall(page):
        if "<button" not in form:
            page = page.replace(form, "")
    for written in TAG.findall(page):
        said = dict(ATTRIBUTE.findall(written))
        for name, method in HOW.items():
            address = html.unescape(said.get(name, "")).partition("#")[0]
            if address.startswith("/"):
                yield said.get("method", "get").upper() if name == "action" else method, address


async def _wrong(door: Door, reply: Reply, *, allowed: bool, own: bool) -> str:
    """What is wrong with a reply."""
    short = f"{reply.status} {reply.text[:200]!r}"
    if not allowed:
        return "" if reply.status == 403 else short
    if own and not door.looks:
        return "" if reply.status in (403, 404) else f"somebody else's: {short}"
    if own:
        return "" if reply.status < 500 and OURS not in reply.text else f"somebody else's: {short}"
    if reply.status == 401 and (door.path in LAST or door.who == "-"):  # no such password, no session now
        return ""
    if reply.status in (401, 403) or (reply.status >= 500 and reply.status != 503):
        return short
    if door.looks and reply.status >= 400 and door.path not in Keys.EMPTY:
        return f"it is there, and was not shown: {short}"
    return ""


async def test_who_is_not_logged_in_passes_no_door(site: Web, database: Database) -> None:
    """But for the door itself, and what everybody may see."""
    things, keys = Things(OneOfEach(database, 1, OURS)), Keys(site.app)
    stranger = await site.stranger()
    wrong = []
    for door in doors():
        if door.who == "-" or door.path == "/metrics":  # a program of this machine may read those
            continue
        for path in await keys.paths(door.method, door.path, things.value):
            reply = await ask(stranger, keys, door, path, things.value)
            led = reply.status == 303 and reply.headers["Location"].startswith("/login")
            if reply.status not in (401, 403) and not led:
                wrong.append(f"{door.method} {path}: {reply.status}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("second_lock", [True, False], ids=["both locks", "without row security"])
async def test_another_companys_things_are_not_there(
    site: Web, database: Database, owner_url: str, second_lock: bool
) -> None:
    """Who may do all in one company finds and changes nothing of another one, whatever is asked for: it is
    not there, or what was sent is refused before it is looked for. The server filters by itself: so it is
    where the database does not."""
    tenant = await second_tenant(owner_url)
    if not second_lock:
        await _lift_row_security(owner_url)
    things, keys = Things(OneOfEach(database, tenant, THEIRS)), Keys(site.app)
    caller = await site.browser(Role.ADMINISTRATOR)
    asked = [
        (door, path)
        for door in doors()
        if door.path not in (*OPEN_ENDED, *LAST) and "{" in door.path and door.path != "/static/{name}"
        for path in await keys.paths(door.method, door.path, things.value)
    ]
    before = await _rows(database, tenant)
    wrong = []
    for door, path in asked:
        reply = await ask(caller, keys, door, path, things.value)
        if THEIRS in re.sub("|".join(map(re.escape, path.split("?")[0].split("/")[1:])), "", reply.text):
            wrong.append(f"{door.method} {path}: tells {reply.text[:300]!r}")
        elif reply.status not in (200 if door.path in Keys.EMPTY_LISTS else 404, 404, 409, 422):
            wrong.append(f"{door.method} {path}: {reply.status} {reply.text[:200]!r}")
    for door in doors():
        if door.looks and "{" not in door.path and door.path not in (*OPEN_ENDED, *LAST):
            reply = await caller.call("GET", door.path)
            if THEIRS in reply.text:
                wrong.append(f"GET {door.path}: tells {reply.text[:300]!r}")
    assert not wrong, "\n".join(wrong)
    assert await _rows(database, tenant) == before


async def ask(caller: Caller, keys: Keys, door: Door, path: str, value: Any) -> Reply:
    """One request, with a body that the route takes."""
    if door.method == "GET":
        return await caller.call("GET", path)
    kind, body = await keys.body(door.method, door.path, value)
    if kind == "json":
        return await caller.call(door.method, path, body)
    return await caller.call(door.method, path, data=body, headers={"Content-Type": kind} if kind else None)


async def _rows(database: Database, tenant_id: int) -> Mapping[str, Sequence[str]]:
    """Every row of a company, as text."""
    found = {}
    async with database.tenant(tenant_id) as conn:
        for table in t.metadata.sorted_tables:
            if "tenant_id" in table.columns:
                query = text(f'SELECT CAST(r AS text) FROM "{table.name}" r WHERE tenant_id = :tenant_id')
                rows = await conn.scalars(query, {"tenant_id": tenant_id})
                found[table.name] = sorted(rows)
    return found


async def _lift_row_security(owner_url: str) -> None:
    """Every table shows every row to everybody."""
    owner = await connect(owner_url)
    for table in t.metadata.sorted_tables:
        await owner.execute(f'ALTER TABLE "{table.name}" DISABLE ROW LEVEL SECURITY')
    await owner.close()
