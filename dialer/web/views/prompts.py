"""Prompts: what callers hear, in each language; uploaded, spoken, listened to, removed."""

from __future__ import annotations

from aiohttp import web
from multidict import MultiMapping

from dialer.errors import DozvonError, InUse
from dialer.httpkit.access import Right
from dialer.httpkit.i18n import message
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import decode
from dialer.httpkit.problems import locale_of
from dialer.inbound import phrases
from dialer.inbound.http import INBOUND
from dialer.prompts.http import PROMPTS, cut_names
from dialer.prompts.model import LANGUAGES, OwnPrompt
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see
from ivr_flows.naming import Named

routes = web.RouteTableDef()

PAGE = 50


@routes.get("/prompts")
async def list_(request: web.Request) -> web.StreamResponse:
    """All prompts, by name, the languages side by side."""
    return await _page(request)


@routes.post("/prompts")
async def upload(request: web.Request) -> web.StreamResponse:
    """Bring a sound in."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    texts = await forms.texts(request)
    try:
        name, pieces = await forms.uploaded(request)
        await request.app[PROMPTS].upload(
            actor, texts.get("name", "").strip(), texts.get("language", ""), name, pieces,
            text=texts.get("text", "").strip(),
        )  # fmt: skip
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(request, error.status, values=texts, faults=faults)
    return see("/prompts")


@routes.post("/prompts/spoken")
async def speak(request: web.Request) -> web.StreamResponse:
    """Have a text spoken."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    texts = await forms.texts(request)
    try:
        await request.app[PROMPTS].speak(
            actor, texts.get("name", "").strip(), texts.get("language", ""), texts.get("text", "")
        )
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(request, error.status, values=texts, spoken_faults=faults)
    return see("/prompts")


@routes.post("/prompts/{prompt_id:[0-9]{1,18}}/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Remove one; what flows play goes when that is meant all the same."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    prompt_id, form = int(request.match_info["prompt_id"]), await forms.texts(request)
    try:
        await request.app[PROMPTS].remove(actor, prompt_id, even_if_used="even_if_used" in form)
    except InUse as error:
        going = await request.app[PROMPTS].prompt(actor, prompt_id)
        return await _page(request, error.status, going=going, refused=message(error, locale_of(request)))
    return see("/prompts")


async def _page(
    request: web.Request,
    status: int = 200,
    *,
    values: MultiMapping[str] | None = None,
    faults: dict[str, str] | None = None,
    spoken_faults: dict[str, str] | None = None,
    going: OwnPrompt | None = None,
    refused: str = "",
) -> web.StreamResponse:
    """`going`: a prompt that was not removed, `refused` says why."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    key = decode(request.query.get("cursor"), str)
    service = request.app[PROMPTS]
    found, following = cut_names(
        await service.prompts(actor, after=key[0] if key else None, limit=PAGE + 1), PAGE
    )
    by_name: dict[str, dict[str, object]] = {}
    for one in found:
        by_name.setdefault(one.name, {})[one.language] = one
    return await page(
        request,
        "prompts.html",
        status=status,
        prompts=by_name,
        used=await request.app[INBOUND].uses(actor, Named.SOUND),
        of_queues=phrases.NAMES,
        going=going,
        refused=refused,
        languages=LANGUAGES,
        words={language: await service.words(actor, language) for language in LANGUAGES},
        following=f"/prompts?cursor={following}" if following else None,
        values=values if values is not None else {},
        faults=faults or {},
        spoken_faults=spoken_faults or {},
    )
