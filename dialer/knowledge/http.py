"""Articles over HTTP."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer.errors import Conflict, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out
from dialer.knowledge.service import KnowledgeService

KNOWLEDGE = web.AppKey("knowledge", KnowledgeService)
routes = Routes("knowledge")


class KnowledgeQuery(In):
    """What is looked for."""

    q: str = Field("", max_length=200, description="words, in any of their forms; empty: all, by title")


class ArticleIn(In):
    """An article."""

    title: Line = Field(min_length=1, max_length=200, description="unique")
    body: str = Field(min_length=1, max_length=50_000, description="plain text")


class ArticleOut(Out):
    """An article."""

    id: int
    title: str
    body: str
    changed_at: datetime


@routes.get("/knowledge", right=None)
async def list_(call: Call, query: KnowledgeQuery) -> list[ArticleOut]:
    """Articles: all by title, or the ten that have the words best; for agents too."""
    service = call.app[KNOWLEDGE]
    asked = query.q.strip()
    found = await (service.search(call.actor, asked) if asked else service.articles(call.actor))
    return [ArticleOut.model_validate(one) for one in found]


@routes.post("/knowledge", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Conflict,))
async def add(call: Call, body: ArticleIn) -> ArticleOut:
    """Write an article."""
    return ArticleOut.model_validate(await call.app[KNOWLEDGE].write(call.actor, body.title, body.body))


@routes.put("/knowledge/{article_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound, Conflict))
async def change(call: Call, article_id: int, body: ArticleIn) -> ArticleOut:
    """Write an article anew."""
    return ArticleOut.model_validate(
        await call.app[KNOWLEDGE].write(call.actor, body.title, body.body, article_id)
    )


@routes.delete("/knowledge/{article_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound,))
async def remove(call: Call, article_id: int) -> None:
    """Forget an article."""
    await call.app[KNOWLEDGE].remove(call.actor, article_id)
