"""People and programs at work while the database is away: what they were told, and whether it was true.

A writer keeps each change that was acknowledged (HTTP 2xx), to be looked for in the database afterwards. A
looker reads pages in both languages: each answer is the page, or one that says what is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, CookieJar
from sqlalchemy import select

from dialer.bench.site import TENANT, Site
from dialer.clock import utc_now
from dialer.db import tables as t

#: Between two things that a person does, seconds.
STEP_S = 0.15
#: Longer than any answer may take: what it cuts is counted as no answer.
_PATIENCE = ClientTimeout(total=30)
#: What a page says in place of itself, in the reader's own language where it is still known who that is.
SAYS = {"ru": "Разговоры продолжаются", "en": "Talks go on"}


def says_what_is_away(path: str, text: str) -> bool:
    """Whether a refusal names the database: the API by its problem, a page in words."""
    if path.startswith("/api/"):
        return '"/problems/database-' in text
    return any(says in text for says in SAYS.values())


@dataclass(slots=True)
class Told:
    """What came back over HTTP."""

    #: statuses with how often
    statuses: dict[int, int] = field(default_factory=dict)
    #: requests to which nothing came back (the connection broke)
    without: int = 0
    slowest_s: float = 0.0
    #: answers that are neither what was asked for nor a clear word
    unclear: list[str] = field(default_factory=list)
    #: pages that said that something is away
    away: int = 0
    #: refusals (503) that said what is away, and when to come again: of pages and of the API
    clear: int = 0
    #: names of lists whose making was acknowledged
    lists: list[str] = field(default_factory=list)
    #: what a campaign was last told to be, and whether a later wish was not answered
    campaign: str = ""
    in_doubt: bool = False


@dataclass(slots=True)
class Witnesses:
    """A writer and a looker at a site. Use `at_work`."""

    site: Site
    told: Told = field(default_factory=Told)
    #: a campaign without numbers, to be paused and resumed
    campaign_id: int = 0
    _count: itertools.count[int] = field(default_factory=itertools.count)

    async def begin(self) -> None:
        """Make the campaign that is paused and resumed."""
        async with self.site.api() as api:
            await api.log_in(*self.site.supervisor)
            like = await api.call("GET", f"/campaigns/{self.site.campaign_id}")
            body = {
                "name": f"Проба {utc_now():%H:%M:%S.%f}",
                "mode": "manual",
                "policy": "demo",
                "caller_name": "автосалон «Северный»",
                "abandon_message": "Вам звонил автосалон «Северный».",
                "trunks": like["trunks"],
            }
            self.campaign_id = (await api.call("POST", "/campaigns", body))["id"]
            await api.call("POST", f"/campaigns/{self.campaign_id}/start")
        self.told.campaign = "running"

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[Told]:
        """Both work inside the block; what they are told is new for each block."""
        self.told = Told(campaign=self.told.campaign)
        async with ClientSession(cookie_jar=CookieJar(unsafe=True), timeout=_PATIENCE) as http:
            token = await self._log_in(http)
            tasks = [asyncio.create_task(work) for work in (self._write(http, token), self._look(http))]
            try:
                yield self.told
            finally:
                for task in tasks:
                    task.cancel()
                for end in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(end, Exception):
                        raise end

    async def _log_in(self, http: ClientSession) -> str:
        login, password = self.site.supervisor
        body = {"login": login, "password": password}
        async with http.post(f"{self.site.url}/api/v1/session", json=body) as reply:
            reply.raise_for_status()
            token: str = (await reply.json())["csrf_token"]
            return token

    async def _write(self, http: ClientSession, token: str) -> None:
        headers = {"X-CSRF-Token": token}
        while True:
            name = f"Список {next(self._count)} {utc_now():%H:%M:%S.%f}"
            status, _ = await self._ask(http, "POST", "/api/v1/lists", headers, json={"name": name})
            if status == 201:
                self.told.lists.append(name)
            wish = "pause" if self.told.campaign == "running" else "resume"
            path = f"/api/v1/campaigns/{self.campaign_id}/{wish}"
            self.told.in_doubt = True
            status, _ = await self._ask(http, "POST", path, headers)
            if 200 <= status < 300 or status == 409:
                # 409: it is so already; the wish before, of which nobody knew, was done.
                self.told.campaign = "paused" if wish == "pause" else "running"
                self.told.in_doubt = False
            await asyncio.sleep(STEP_S)

    async def _look(self, http: ClientSession) -> None:
        for path, locale in itertools.cycle(itertools.product(("/campaigns", "/status", "/me"), SAYS)):
            headers = {"Accept": "text/html", "Accept-Language": locale}
            if path == "/status":
                headers["HX-Request"] = "true"
            status, text = await self._ask(http, "GET", path, headers)
            shown = status == 200 and 'id="trouble-' in text and "engine_down" not in text
            if shown or (status == 503 and says_what_is_away(path, text)):
                self.told.away += 1
            await asyncio.sleep(STEP_S)

    async def _ask(
        self, http: ClientSession, method: str, path: str, headers: dict[str, str], **body: Any
    ) -> tuple[int, str]:
        """One request: its status (0: nothing came back) and text."""
        began, told = time.monotonic(), self.told
        try:
            async with http.request(
                method, self.site.url + path, headers=headers, allow_redirects=False, **body
            ) as reply:
                status, text = reply.status, await reply.text()
        except (ClientError, OSError, TimeoutError):
            told.without += 1
            return 0, ""
        finally:
            told.slowest_s = max(told.slowest_s, time.monotonic() - began)
        told.statuses[status] = told.statuses.get(status, 0) + 1
        if status >= 500 and status != 503:
            told.unclear.append(f"{method} {path}: {status} {text[:100]}")
        if status == 503:
            wrong = [] if says_what_is_away(path, text) else [f"{method} {path}: 503 of {text[:100]}"]
            if reply.headers.get("Retry-After") is None:
                wrong.append(f"{method} {path}: 503 without Retry-After")
            told.unclear += wrong
            told.clear += not wrong
        return status, text

    async def lost(self) -> list[str]:
        """What was acknowledged and is not in the database, in words. Raises DatabaseUnavailable."""
        async with self.site.database.tenant(TENANT) as conn:
            names = set(await conn.scalars(select(t.contact_list.c.name)))
            status = await conn.scalar(select(t.campaign.c.status).where(t.campaign.c.id == self.campaign_id))
        found = [f"list {name!r}" for name in self.told.lists if name not in names]
        if status != self.told.campaign and not self.told.in_doubt:
            found.append(f"campaign is {status}, was acknowledged to be {self.told.campaign}")
        return found
