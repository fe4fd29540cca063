"""Articles that agents look into while they talk: their pages, and what is found in a step of a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from dialer.errors import DozvonError, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.knowledge.http import KNOWLEDGE, ArticleIn
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()
ONE = "/knowledge/{article_id:[0-9]{1,18}}"
LONGEST = 200


@routes.get("/knowledge")
async def list_(request: web.Request) -> web.StreamResponse:
    """All articles, or those with the words that are looked for."""
    actor = page_actor(request)
    return await page(request, "knowledge.html", **await _found(request, actor, all_of_none=True))


@routes.get("/knowledge/found")
async def found(request: web.Request) -> web.StreamResponse:
    """What a step of a script finds."""
    return await page(request, "parts/articles.html", **await _found(request, page_actor(request)))


@routes.get("/knowledge/new")
async def new(request: web.Request) -> web.StreamResponse:
    """The form of a new article."""
    page_actor(request, Right.CAMPAIGNS_EDIT)
    return await _form(request, None, {}, {})


@routes.get(ONE)
async def edit(request: web.Request) -> web.StreamResponse:
    """The form of one."""
    actor, article_id = page_actor(request, Right.CAMPAIGNS_EDIT), _id(request)
    one = await request.app[KNOWLEDGE].article(actor, article_id)
    return await _form(request, article_id, {"title": one.title, "body": one.body}, {})


@routes.post("/knowledge/new")
async def create(request: web.Request) -> web.StreamResponse:
    """Write one."""
    return await _save(request, None)


@routes.post(ONE)
async def save(request: web.Request) -> web.StreamResponse:
    """Write one anew."""
    return await _save(request, _id(request))


@routes.post(ONE + "/delete")
async def remove(request: web.Request) -> web.StreamResponse:
    """Forget one."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    await request.app[KNOWLEDGE].remove(actor, _id(request))
    return see("/knowledge")


async def _found(request: web.Request, actor: Actor, *, all_of_none: bool = False) -> dict[str, Any]:
    asked, service = request.query.get("q", "").strip()[:LONGEST], request.app[KNOWLEDGE]
    rows = await service.search(actor, asked) if asked else []
    if all_of_none and not asked:
        rows = await service.articles(actor)
    return {"articles": rows, "asked": asked}


async def _save(request: web.Request, article_id: int | None) -> web.StreamResponse:
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    values = {"title": form.get("title", ""), "body": form.get("body", "").replace("\r\n", "\n").strip()}
    try:
        sent = forms.read(ArticleIn, values)
        await request.app[KNOWLEDGE].write(actor, sent.title, sent.body, article_id)
    except NotFound:
        raise
    except DozvonError as error:
        return await _form(request, article_id, values, forms.faults(error, locale_of(request)), error.status)
    return see("/knowledge")


async def _form(
    request: web.Request,
    article_id: int | None,
    values: Mapping[str, Any],
    faults: Mapping[str, str],
    status: int = 200,
) -> web.StreamResponse:
    return await page(
        request, "article_form.html", status=status, key=article_id, values=values, faults=faults
    )


def _id(request: web.Request) -> int:
    return int(request.match_info["article_id"])
