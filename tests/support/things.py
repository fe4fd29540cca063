"""A web process that has things: what every request meets before its handler is tried on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from pydantic import Field

from dialer.db.session import Database
from dialer.errors import AsteriskUnavailable, Conflict, DatabaseUnavailable
from dialer.httpkit.access import Right
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out
from support.web import Web, serving

__all__ = ["web_things"]

things = Routes("things")
DONE = web.AppKey("done", list)
GATE = web.AppKey("gate", asyncio.Event)


class Thing(In):
    name: str = Field(min_length=2)
    size: int
    when: datetime | None = None


class ThingOut(Out):
    number: int
    name: str


class Filter(PageQuery):
    tag: list[str] = Field(default_factory=list)


@things.post("/things", right=Right.CAMPAIGNS_EDIT, status=201)
async def make(call: Call, body: Thing) -> ThingOut:
    """Make a thing."""
    done = call.app[DONE]
    done.append(body.name)
    if body.name == "refused":
        raise Conflict(reason="no more things")
    if body.name == "broken":
        raise AsteriskUnavailable(reason="a test")
    if body.name == "in doubt":
        raise DatabaseUnavailable(reason="a test")
    if body.name == "unforeseen":
        raise RuntimeError("+79161234567")
    if body.name == "slow":
        await call.app[GATE].wait()
    return ThingOut(number=len(done), name=body.name)


@things.get("/things")
async def fetch(call: Call, query: Filter) -> Page[ThingOut]:
    """Things by number."""
    after = decode(query.cursor, int)
    first = after[0] + 1 if after else 0
    found = [ThingOut(number=n, name=",".join(query.tag)) for n in range(first, 5)][: query.limit + 1]
    page, following = cut(found, query.limit, lambda row: (row.number,))
    return Page[ThingOut](items=page, next=following)


@things.get("/things/{number}/{key}/{word}")
async def one(call: Call, number: int, key: UUID, word: str) -> ThingOut:
    """One thing."""
    return ThingOut(number=number, name=f"{key}{word}")


@things.post("/things/empty")
async def empty(call: Call) -> None:
    """Nothing comes, nothing goes."""


@things.post("/things/file", accepts="text/csv", body_limit=1000)
async def upload(call: Call) -> ThingOut:
    """Take a file."""
    return ThingOut(number=sum([len(chunk) async for chunk in call.chunks()]), name="file")


@things.get("/things/raw", raw="text/csv")
async def raw(call: Call) -> web.Response:
    """Give a file."""
    return web.Response(text="a,b\n", content_type="text/csv")


@pytest.fixture
async def web_things(database: Database, database_url: str) -> AsyncIterator[Web]:
    """A web process that has things."""
    services: dict[web.AppKey[Any], Any] = {DONE: [], GATE: asyncio.Event()}
    async with serving(database, database_url, tables=[things], services=services) as running:
        running.stack.callback(services[GATE].set)
        yield running


GOOD: dict[str, object] = {"name": "thing", "size": 1}
KEY = UUID("0190a5b0-0000-7000-8000-000000000000")
