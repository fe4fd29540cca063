"""Articles over HTTP: found by their words in any form, in two languages; each tenant has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from support.web import Web, second_tenant, serving

from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.knowledge import http
from dialer.knowledge.service import KnowledgeService

WARRANTY = {"title": "Гарантия", "body": "На двигатель гарантия три года, на краску - пять лет."}
RETURNS = {"title": "Returns", "body": "Goods are taken back within fourteen days."}


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application with articles."""
    services: Any = {http.KNOWLEDGE: KnowledgeService(database)}
    async with serving(database, database_url, tables=[http.routes], services=services) as running:
        yield running


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("гарантии", ["Гарантия"]),
        ("сколько лет на двигатели?", ["Гарантия"]),
        ("good taking back", ["Returns"]),
        ("двигатель returned", ["Returns", "Гарантия"]),
        ("' & | ! :* (", []),
        ("велосипед", []),
    ],
)
async def test_an_article_is_found_by_any_form_of_its_words(site: Web, query: str, titles: list[str]) -> None:
    """Also where not all words are there; signs of a query language are words like any."""
    boss, agent = await site.program(Role.SUPERVISOR), await site.program(Role.OPERATOR)
    for one in (WARRANTY, RETURNS):
        assert (await boss.call("POST", "~/knowledge", one)).status == 201
    found = await agent.call("GET", f"~/knowledge?q={quote(query)}")
    assert found.status == 200, found.text
    assert sorted(one["title"] for one in found.json) == titles


async def test_an_article_is_changed_and_forgotten(site: Web, owner_url: str) -> None:
    """What it said before is not found any more; agents do not write; other tenants have others."""
    boss, agent = await site.program(Role.SUPERVISOR), await site.program(Role.OPERATOR)
    made = (await boss.call("POST", "~/knowledge", WARRANTY)).json
    assert (await boss.call("POST", "~/knowledge", WARRANTY)).status == 409
    assert (await agent.call("POST", "~/knowledge", RETURNS)).status == 403
    other = await site.program(Role.SUPERVISOR, tenant_id=await second_tenant(owner_url))
    assert (await other.call("GET", f"~/knowledge?q={quote('гарантия')}")).json == []
    assert (await other.call("DELETE", f"~/knowledge/{made['id']}")).status == 404
    await boss.call("PUT", f"~/knowledge/{made['id']}", RETURNS)
    assert (await boss.call("GET", f"~/knowledge?q={quote('гарантия')}")).json == []
    assert [one["title"] for one in (await agent.call("GET", "~/knowledge")).json] == ["Returns"]
    assert (await boss.call("DELETE", f"~/knowledge/{made['id']}")).status == 204
    assert (await agent.call("GET", "~/knowledge")).json == []
