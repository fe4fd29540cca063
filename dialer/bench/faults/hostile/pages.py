"""Hostile names, labels and files on the pages that people see: all of it must come out as text.

Every field that a page shows is filled by the API, by a form or by a file, as an administrator of the
hostile tenant. Then every page is fetched and parsed: there is no element, attribute, address or script
that a text has made, and each text that was taken stands on its page to be read. They are opened in
a real browser too, where the bench finds one; its console tells of a script that ran, and of a breach of the
page's policy.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import quote

from aiohttp import ClientSession, ClientTimeout, CookieJar

from dialer.bench.faults.hostile import browser, texts
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.floor import PASSWORD, Floor
from dialer.bench.site import patience
from dialer.contacts.importing import run_next_import
from dialer.httpkit.access import Role
from dialer.users.service import NewSession

#: Elements of our own pages that may hold a script, and by which address only.
_SCRIPTS: Final = re.compile(r"/static/[\w./-]+(\?v=\w+)?")
#: An address that a page may lead to: of this server.
_OURS: Final = re.compile(r"(/(?!/)|#|\?|[\w-]+=|$)")
_ADDRESSES: Final = frozenset(
    {
        "href",
        "src",
        "action",
        "formaction",
        "hx-get",
        "hx-post",
        "hx-delete",
        "hx-put",
        "poster",
        "data",
        "srcset",
    }
)
#: What a hostile text calls, should it run; stands in every piece of markup.
MARK: Final = "dzv("
PAGES: Final = (
    "/campaigns", "/campaigns/new", "/campaigns/{campaign}", "/campaigns/{campaign}/edit",
    "/campaigns/{campaign}/board",
    "/campaigns/{campaign}/figures", "/calls", "/lists", "/lists/{list}", "/lists/{list}/imports", "/agents",
    "/agents/table", "/trunks", "/policies", "/users", "/tokens", "/me", "/status", "/desk",
)  # fmt: skip

#: What the short form opens in the browser.
LOOKED: Final = ("/campaigns", "/lists/{list}/imports", "/users")


class Reader(HTMLParser):
    """What a page is made of: what no page of ours has is a find, and its text as a person reads it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.words: list[str] = []
        #: a link to more of the same
        self.more = ""
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        given = dict(attrs)
        if tag == "script" and not _SCRIPTS.fullmatch(given.get("src") or ""):
            self.found.append(f"a script from {given.get('src')!r}")
        if tag in (
            "iframe",
            "object",
            "embed",
            "base",
            "math",
            "frame",
            "applet",
            "plaintext",
            "animate",
            "noembed",
        ):
            self.found.append(f"<{tag}>")
        if tag == "a" and "?cursor=" in (given.get("href") or ""):
            self.more = given["href"] or ""
        for name, value in attrs:
            text = value or ""
            if (
                name.startswith("on")
                or name in ("srcdoc", "style")
                or name.startswith("hx-on")
                or MARK in name
            ):
                self.found.append(f"{name}={text[:60]!r} of <{tag}>")
            if name in _ADDRESSES and not _OURS.match(text):
                self.found.append(f"leads to {text[:60]!r}")
            self.words.append(text)

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.found.append(f"a {self._within} of its own: {data[:60]!r}")
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.found.append(f"a comment: {data[:60]!r}")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"a declaration: {data[:60]!r}")


def read(page: str) -> tuple[list[str], str, str]:
    """What should not be on the page, all of its words, and where it goes on."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader.found, squeezed(" ".join(reader.words)), reader.more


def squeezed(text: str) -> str:
    """Blanks as a browser shows them."""
    return " ".join(text.split())


def naughty(dice: random.Random, most: int) -> str:
    """A text that a name may be: one line, not too long, with markup, templates or turning marks in it."""
    made = texts.sendable(
        texts.hostile(dice, "Анна", texts.MARKUP, texts.MARKUP, texts.TURNS, texts.FORMULAS)
    )
    # What the API refuses is no text on a page: line ends and control characters go.
    made = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", made).strip()[:most].strip()
    return made or "<b>"


class Visit:
    """A person of the hostile tenant at a browser, by HTTP."""

    def __init__(self, block: Block, url: str, http: ClientSession, session: NewSession) -> None:
        self.block = block
        self.url = url
        self.http = http
        self.session = session
        self.headers = {"X-CSRF-Token": session.csrf_token}
        #: where the page that was read last goes on
        self.more = ""

    async def api(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """A request to the API; harm for a 5xx. The reply's JSON, None for a refusal."""
        async with self.http.request(
            method,
            f"{self.url}/api/v1{path}",
            json=body,
            headers={**self.headers, **more.pop("headers", {})},
            **more,
        ) as reply:
            if reply.status >= 500:
                self.block.harm(f"pages: {method} {path}: {reply.status}")
            return await reply.json(content_type=None) if reply.status < 300 and reply.status != 204 else None

    async def pages(self, path: str) -> str:
        """The words of a page and of those that go on where it ends."""
        words, where = "", path
        while where:
            words, where = f"{words} {await self.page(where)}", self.more
        return words

    async def page(self, path: str) -> str:
        """A page; harm for a 5xx and for markup that is not ours."""
        async with self.http.get(self.url + path, headers={"Accept": "text/html"}) as reply:
            text = await reply.text()
            if reply.status >= 500:
                self.block.harm(f"pages: GET {path[:80]}: {reply.status}")
            found, words, self.more = read(text)
            for each in found:
                self.block.harm(f"pages: {path[:60]} has {each}")
            return words


@asynccontextmanager
async def visiting(block: Block, floor: Floor) -> AsyncIterator[Visit]:
    """An administrator of the hostile tenant, logged in."""
    login = await floor.login(Role.ADMINISTRATOR)
    session = await floor.users.log_in(login, PASSWORD, "127.0.0.1")
    jar = CookieJar(unsafe=True)
    async with ClientSession(cookie_jar=jar, timeout=ClientTimeout(total=patience(60))) as http:
        jar.update_cookies({"dozvon_session": session.token})
        yield Visit(block, floor.site.url, http, session)


async def run(block: Block, floor: Floor) -> None:
    """A block: fill, fetch, read, and look with a real browser."""
    since = floor.site.mark()
    async with visiting(block, floor) as visit:
        taken = await fill(visit, floor)
        addresses = {path: path.format(**taken.ids) for path in PAGES}
        shown = {path: await visit.pages(address) for path, address in addresses.items()}
        for path, name in taken.texts:
            block.took("html")
            if squeezed(name) not in shown[path]:
                block.harm(f"pages: {path} does not show {name!r} as it is")
        for path in _errors(block.dice, block.size(30, 8)):
            await visit.page(path)
            block.took("html")
        looked = [addresses[path] for path in LOOKED] if block.short else list(addresses.values())
        complaints = await browser.look(floor.site.url, visit.session.token, looked)
        if complaints is None:
            block.undone.append("no browser here: pages were parsed, and not opened in one")
        else:
            block.took("html_browser", len(looked))
            for each in complaints:
                block.harm(f"pages: the browser says {each}")
    await floor.holds(block, since)


class Taken:
    """What was taken: the ids of it, and which text must stand on which page."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {"campaign": 0, "list": 0}
        self.texts: list[tuple[str, str]] = []


async def fill(visit: Visit, floor: Floor) -> Taken:
    """A hostile text into every field that a page shows."""
    dice, taken = visit.block.dice, Taken()

    def name(most: int = 90) -> str:
        return naughty(dice, most)

    own = name(80) + f" {dice.getrandbits(40)}"
    listed = await visit.api("POST", "/lists", {"name": own})
    if listed:
        taken.ids["list"] = listed["id"]
        taken.texts += [("/lists", own), ("/lists/{list}", own)]
    trunk_name = name(80) + f" {dice.getrandbits(40)}"
    trunk = {
        "name": trunk_name,
        "caller_id": "+74951234567",
        "allowed_prefixes": ["+7"],
        "endpoint": "nobodys",
    }
    made = await visit.api("POST", "/trunks", trunk)
    if made:
        taken.texts.append(("/trunks", trunk_name))
    own, caller = name(60) + f" {dice.getrandbits(40)}", name()
    body = {
        "name": own, "mode": "manual", "policy": "demo", "skill": name(40), "caller_name": caller,
        "abandon_message":
        name(200), "trunks": [made["id"]] if made else [],
    }  # fmt: skip
    campaign = await visit.api("POST", "/campaigns", body) or await visit.api(
        "POST", "/campaigns", {"name": f"plain {dice.getrandbits(40)}", "mode": "manual", "policy": "demo"}
    )
    if campaign:
        taken.ids["campaign"] = campaign["id"]
        if campaign["name"] == own:
            taken.texts += [
                ("/campaigns", own),
                ("/campaigns/{campaign}", own),
                ("/campaigns/{campaign}/edit", own),
            ]
            taken.texts.append(("/campaigns/{campaign}/edit", caller))
        labels = [
            {"code": f"c{n}", "label_ru": name(), "label_en": name(), "kind": "other"} for n in range(3)
        ]
        await visit.api("PUT", f"/campaigns/{campaign['id']}/dispositions", {"items": labels})
    login = f"user{dice.getrandbits(48)}"
    person = name(100)
    user = await visit.api(
        "POST", "/users", {"login": login, "name": person, "role": "operator", "password": "correct-horse-9"}
    )
    if user:
        taken.texts.append(("/users", person))
        skill = name(40)
        agent = {
            "user_id": user["id"],
            "name": name(),
            "endpoint": f"h{dice.getrandbits(40)}",
            "skills": [skill],
        }
        if await visit.api("POST", "/agents", agent):
            taken.texts += [("/agents", agent["name"]), ("/agents", skill)]
    token = name(100)
    if await visit.api("POST", "/tokens", {"name": token}):
        taken.texts.append(("/tokens", token))
    if listed:
        taken.texts += await _bring_in(visit, floor, listed["id"], taken.ids["campaign"])
    return taken


async def _bring_in(visit: Visit, floor: Floor, list_id: int, campaign: int) -> list[tuple[str, str]]:
    """A file of hostile cells, loaded by the code of the jobs process."""
    dice = visit.block.dice
    rows = [["phone", "name", "comment", naughty(dice, 40)]]
    for _ in range(20):
        cells = [f"+7916{dice.randrange(10**7):07}", *(naughty(dice, 80) for _ in range(3))]
        if dice.random() < 0.3:
            cells[0] = naughty(dice, 80)  # becomes a reject, which the page shows too
        rows.append(cells)
    quoted = "\r\n".join(";".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    visit.block.took("html", 3 * len(rows))
    file = naughty(dice, 80)
    where = f"/lists/{list_id}/imports?filename={quote(file, safe='')}" + (
        f"&campaign={campaign}" if campaign else ""
    )
    job = await visit.api("POST", where, data=quoted.encode(), headers={"Content-Type": "text/csv"})
    if not job:
        return []
    while await run_next_import(floor.site.database, floor.site.settings):
        pass
    return [("/lists/{list}/imports", job["filename"])]


def _errors(dice: random.Random, count: int) -> Iterator[str]:
    """Addresses that are shown back: of no page, of no row, with hostile queries."""
    for _ in range(count):
        bad = quote(texts.sendable(texts.hostile(dice, "x", texts.MARKUP)).replace("\0", ""), safe="")[:1_500]
        yield dice.choice(
            (f"/{bad}", f"/calls?number={bad}", f"/calls?result={bad}&campaign={bad}", f"/login?next={bad}",
             f"/login?lang={bad}", f"/calls/{bad}", f"/lists/1?cursor={bad}", f"/campaigns/1/{bad}",
             f"/calls?from={bad}")
        )  # fmt: skip
