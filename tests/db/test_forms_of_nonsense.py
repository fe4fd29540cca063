"""Each form of the site with nonsense in it: it is refused in words, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.showcase_filling import open_showcase
from support.site_pages import all_pages
from support.web import Caller, Reply, whole_site

from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.settings import load

#: Nothing, too little, no number, too much, too long, and what is a number to programs only.
NONSENSE = ("", "-1", "абв <b>", "9" * 25, "x" * 1100, "1e400", "nan")
TYPED = {"text", "number", "search", "tel", "email", "date", "datetime-local", "time", "url"}
#: What keeps this browser in: its session and its language.
LEFT_ALONE = re.compile(r"^/(logout|language|me\b)")


@dataclass(slots=True)
class Form:
    """A form as a browser would send it."""

    action: str
    method: str
    #: name, what a person types there (else None: the value stays), value
    fields: list[tuple[str, bool, str]] = field(default_factory=list)

    def filled(self, text: str) -> list[tuple[str, str]]:
        """What is sent when this text stands in every field."""
        return [(name, text if typed else value) for name, typed, value in self.fields]


class Forms(HTMLParser):
    """The forms of a page's main part."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open: Form | None = None
        self._main = False
        self._select: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        self._main |= tag == "main"
        if tag == "form" and self._main:
            self._open = Form(has.get("action", ""), has.get("method", "get").lower())
            self.found.append(self._open)
        if self._open is None:
            return
        name, kind = has.get("name", ""), has.get("type", "text")
        if tag == "textarea" or (tag == "input" and kind in TYPED):
            self._open.fields.append((name, True, ""))
        elif tag == "input" and (kind == "hidden" or "checked" in has):
            self._open.fields.append((name, False, has.get("value", "on")))
        elif tag == "select":
            self._select = name, []
        elif tag == "option" and self._select is not None:
            first = "selected" in has
            self._select[1].insert(0 if first else len(self._select[1]), has.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select" and self._select is not None:
            name, options = self._select
            if self._open is not None and options:
                self._open.fields.append((name, False, options[0]))
            self._select = None


def told(page: str) -> Iterator[str]:
    """What a page says of a refusal."""
    for found in re.findall(r'<(span|p|div)[^>]*class="(?:fault|strip bad)"[^>]*>(.*?)</\1>', page, re.S):
        yield " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def wrong(reply: Reply) -> str | None:
    """What is wrong with how nonsense was answered."""
    if reply.status >= 500:
        return f"{reply.status}"
    if reply.status < 400:
        return None
    said = list(told(reply.text)) or re.findall(r"<main[^>]*>(.*?)</main>", reply.text, re.S)
    english = [one for one in said if not re.search("[а-яё]", one, re.IGNORECASE)]
    return f"{reply.status}: {english or 'nothing is said'}" if english or not said else None


async def sent(caller: Caller, form: Form, path: str, text: str) -> Reply:
    """The answer to the form with this text in every field."""
    headers, action = {"Accept": "text/html"}, form.action or path
    if form.method == "post":
        return await caller.call("POST", action, data=form.filled(text), headers=headers)
    asked = "&".join(f"{name}={text}" for name, text in form.filled(text))
    return await caller.call("GET", f"{action.partition('?')[0]}?{asked}", headers=headers)


@pytest.mark.timeout(900)  # some hundred forms on a busy machine
async def test_nonsense_is_refused_in_words(database: Database, database_url: str, tmp_path: Path) -> None:
    """Never an error of the server, never silence, never an English sentence on a Russian page."""
    found, seen = [], set()
    async with whole_site(database, database_url, load(data_dir=tmp_path)) as web:
        made = await open_showcase(web, "ru")
        boss = await web.browser(Role.ADMINISTRATOR, user=made.people["boss"])
        for page in all_pages():
            if page.who != "boss" or page.status != 200:
                continue
            path = (page.path or page.route).format(**made.names)
            forms = Forms()
            forms.feed((await boss.call("GET", path, headers={"Accept": "text/html"})).text)
            for form in forms.found:
                known = re.sub(r"[0-9a-f-]{36}|\d+", "N", form.action or path), form.method
                typed = any(typed for _, typed, _ in form.fields)
                if known in seen or not typed or LEFT_ALONE.match(known[0]):
                    continue
                seen.add(known)
                for text in NONSENSE:
                    if fault := wrong(await sent(boss, form, path, text)):
                        found.append(f"{form.method} {form.action or path} with {text[:8]!r}: {fault}")
    assert found == []
    assert len(seen) > 40
