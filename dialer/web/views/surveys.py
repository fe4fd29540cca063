"""What customers say of talks in the survey after them: figures, the latest answers, and beside a call."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.errors import Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.surveys.http import SURVEYS
from dialer.surveys.model import Which
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page

routes = web.RouteTableDef()
PAGE = 50


@routes.get("/surveys")
async def list_(request: web.Request) -> web.StreamResponse:
    """Figures of agents, and the latest surveys."""
    actor, service = page_actor(request, Right.REVIEWS_READ), request.app[SURVEYS]
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    asked = {name: request.query.get(name, "").strip()[:40] for name in ("from", "until")}
    faults: dict[str, str] = {}
    status, which = 200, Which()
    try:
        which = Which(
            since=forms.moment(asked["from"], "from", zone), until=forms.moment(asked["until"], "until", zone)
        )
    except Invalid as error:
        faults, status = forms.faults(error, locale_of(request)), error.status
    key = decode(request.query.get("cursor"), datetime, UUID)
    found = await service.surveys(actor, which, after=(key[0], key[1]) if key else None, limit=PAGE + 1)
    rows, following = cut(found, PAGE, lambda one: (one.began_at, one.call_id))
    figures = await service.figures(actor, which)
    given = {name: value for name, value in asked.items() if value}
    return await page(
        request,
        "surveys.html",
        status=status,
        asked=asked,
        faults=faults,
        rows=rows,
        following=request.rel_url.with_query({**given, "cursor": following}) if following else None,
        figures=figures,
        titles=await service.titles(actor, {one.flow for one in figures} | {one.flow for one in rows}),
    )


async def of_call(request: web.Request, actor: Actor, call_id: UUID) -> dict[str, Any]:
    """What `parts/survey.html` shows of a call; for who may not read it, nothing."""
    if not actor.may(Right.REVIEWS_READ):
        return {"survey": None}
    service = request.app[SURVEYS]
    survey = await service.of_call(actor, call_id)
    titles = await service.titles(actor, {survey.flow} if survey else ())
    return {"survey": survey, "survey_titles": titles.get(survey.flow, {}) if survey else {}}


async def survey_choices(request: web.Request, actor: Actor, chosen: object) -> list[str]:
    """The names of the flows that a form offers, and the one that is chosen."""
    return sorted({*await request.app[SURVEYS].choices(actor), *([str(chosen)] if chosen else ())})
