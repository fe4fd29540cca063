"""Pages of fields, segments and grids, as a browser without scripts sees them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar
from sqlalchemy import insert, select
from support.floor import TENANT, Floor
from support.web import whole_site

from dialer.contacts import fields_store
from dialer.contacts.keeping import Keeper
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.settings import load
from dialer.users.service import ensure_administrator


class Browser:
    """An administrator's."""

    def __init__(self, http: ClientSession, url: str, csrf: str) -> None:
        self._http = http
        self._url = url
        self._csrf = csrf

    async def get(self, path: str) -> str:
        """A page; it has to be there."""
        async with self._http.get(self._url + path, headers={"Accept": "text/html"}) as reply:
            text = await reply.text()
            assert reply.status == 200, (path, text)
            return text

    async def post(
        self, path: str, fields: dict[str, str] | None = None, status: int = 303, *, part: bool = False
    ) -> str:
        """What a form leads to: the address it sends one to, or the page that is shown again."""
        sent = {"csrf_token": self._csrf, **(fields or {})}
        headers = {"Accept": "text/html"} | ({"HX-Request": "true"} if part else {})
        async with self._http.post(
            self._url + path, data=sent, headers=headers, allow_redirects=False
        ) as reply:
            text = await reply.text()
            assert reply.status == status, (path, reply.status, text)
            return reply.headers["Location"] if status == 303 else text


@pytest.fixture
async def browser(database: Database, database_url: str, data_folder: Path) -> AsyncIterator[Browser]:
    """Logged in, in English."""
    settings = load(data_dir=data_folder, asterisk="external")
    password = await ensure_administrator(database)
    async with (
        whole_site(database, database_url, settings) as site,
        ClientSession(cookie_jar=CookieJar(unsafe=True), headers={"Accept-Language": "en"}) as http,
    ):
        log_in = {"login": "admin", "password": password}
        async with http.post(f"{site.url}/api/v1/session", json=log_in) as reply:
            csrf = (await reply.json())["csrf_token"]
        made = Browser(http, site.url, csrf)
        await made.post("/language", {"lang": "en", "next": "/me"})
        yield made


async def people(database: Database, *customs: dict[str, str]) -> None:
    """People with these values, each with a number."""
    async with database.tenant(TENANT) as conn:
        for place, custom in enumerate(customs):
            contact_id = await conn.scalar(
                insert(t.contact)
                .values(tenant_id=TENANT, last_name=f"Person{place}", custom=custom)
                .returning(t.contact.c.id)
            )
            await conn.execute(
                insert(t.contact_phone).values(
                    tenant_id=TENANT, contact_id=contact_id, position=1, e164=f"+7916000000{place}",
                    kind="mobile", timezones=["Europe/Moscow"],
                )
            )  # fmt: skip
            assert contact_id is not None
            await fields_store.rewrite_values(conn, TENANT, [contact_id])


async def test_from_fields_to_a_campaign(browser: Browser, database: Database) -> None:
    """Fields of the trade are made, a segment is built row by row with its count, kept, and called."""
    assert "There is no field yet" in await browser.get("/fields")
    await browser.post("/fields/template", {"template": "cars"})
    assert "Monthly payment" in await browser.get("/fields")
    await people(database, {"revenue": "100"}, {"revenue": "5000"}, {"revenue": "много"})
    assert "Person0" in await browser.get("/segments/new")
    row = {
        "g0.how": "all", "g0.c0.field": "custom.revenue", "g0.c0.op": "ge", "g0.c0.value": "1 000,00",
        "name": "", "segment": "",
    }  # fmt: skip
    shown = await browser.post("/segments/form", row, status=200, part=True)
    assert "<html" not in shown
    assert "Person1" in shown
    assert "Person0" not in shown
    more = await browser.post("/segments/form", row | {"do": "more:0"}, status=200, part=True)
    assert 'name="g0.c1.field"' in more
    assert "conditions that say nothing yet are left out" in more
    again = await browser.post("/segments/new", row, status=422)
    assert "is missing" in again
    assert 'value="1 000,00"' in again
    page = await browser.post("/segments/new", row | {"name": "Spends"})
    assert re.search(r'value="1000(\.0)?"', await browser.get(page))
    assert "Spends" in await browser.get("/segments")
    assert (await browser.get(f"{page}/count")).strip() == "1"

    floor = await Floor.open(database)
    campaign = f"/campaigns/{floor.campaign_id}"
    assert "Spends" in await browser.get(f"{campaign}/segments")
    segment = page.rpartition("/")[2]
    await browser.post(f"{campaign}/segments", {"segment": segment, "how": "followed"})
    assert "leads are being made" in await browser.get(f"{campaign}/segments")
    await Keeper(database).round(TENANT)
    assert "is followed" in await browser.get(f"{campaign}/segments")
    async with database.tenant(TENANT) as conn:
        assert list(await conn.scalars(select(t.lead.c.e164))) == ["+79160000001"]
    await browser.post(f"{campaign}/segments/{segment}/delete")
    await browser.post(f"{page}/delete", status=409)


async def test_a_segment_of_another_shape_is_shown_and_renamed(browser: Browser) -> None:
    """What the form cannot say stays as it was made."""
    inner: dict[str, object] = {"not": {"all": [{"any": []}]}}
    async with browser._http.post(
        f"{browser._url}/api/v1/segments",
        json={"name": "Deep", "expression": inner},
        headers={"X-CSRF-Token": browser._csrf},
    ) as reply:
        assert reply.status == 201
        segment_id = (await reply.json())["id"]
    assert "made over the API" in await browser.get(f"/segments/{segment_id}")
    await browser.post(f"/segments/{segment_id}", {"name": "Deeper"})
    async with browser._http.get(f"{browser._url}/api/v1/segments/{segment_id}") as reply:
        kept = await reply.json()
    assert (kept["name"], kept["expression"]) == ("Deeper", inner)


async def test_a_field_is_changed_and_shows_what_does_not_fit(browser: Browser, database: Database) -> None:
    """Mistakes are told beside their fields; a value that does not fit stands under the field."""
    wrong = await browser.post(
        "/fields", {"key": "1", "label_ru": "Цена", "label_en": "Price", "type": "choice"}, status=422
    )
    assert 'id="fault-key"' in wrong
    await browser.post(
        "/fields", {"key": "price", "label_ru": "Цена", "label_en": "Price", "type": "money", "minimum": "0"}
    )
    await people(database, {"price": "дорого"}, {"Price": "-1"}, {"price": "7"})
    async with database.tenant(TENANT) as conn:
        field_id = await conn.scalar(select(t.custom_field.c.id))
    shown = await browser.get(f"/fields/{field_id}")
    assert "дорого" in shown
    assert "out of its bounds" in shown
    await browser.post(f"/fields/{field_id}", {"label_ru": "Цена", "label_en": "Price", "type": "text"})
    await Keeper(database).round(TENANT)
    assert "Every value fits" in await browser.get(f"/fields/{field_id}")
    await browser.post(f"/fields/{field_id}/archive")
    assert "archived" in await browser.get("/fields")


async def test_a_grid_and_a_cell(browser: Browser, database: Database) -> None:
    """A grid is counted as it is made; a cell becomes a segment with its people."""
    assert "A grid needs" in await browser.get("/grids")
    await browser.post("/fields/template", {"template": "cars"})
    customs = [{"revenue": str(n * 10), "last_visit": f"2024-0{n}-01"} for n in range(1, 7)]
    await people(database, *customs)
    async with database.tenant(TENANT) as conn:
        rows = await conn.execute(select(t.custom_field.c.key, t.custom_field.c.id))
        ids = {row.key: str(row.id) for row in rows}
    form = {"name": "Value", "money_field": ids["revenue"], "day_field": ids["last_visit"]}
    wrong = await browser.post("/grids", form | {"money_bands": "1", "day_bands": "3"}, status=422)
    assert "needs 2 to 10 bands" in wrong
    page = await browser.post("/grids", form | {"money_bands": "3", "day_bands": "2"})
    assert "from 2024-04-01" in await browser.get(page)
    segment = await browser.post(f"{page}/cells", {"name": "Best", "row": "3", "column": "2"})
    shown = await browser.get(segment)
    assert "Person5" in shown
    assert "Person3" not in shown
    assert "Best" in await browser.get(page)
    await browser.post(f"{page}/recount")
    await browser.post(f"{page}/delete", status=409)
