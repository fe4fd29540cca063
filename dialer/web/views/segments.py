"""Segments: the list, the form with its live count and first people; what campaigns call."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from multidict import MultiDict

from dialer.contacts.segments_http import SEGMENTS
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.web import forms
from dialer.web.render import is_fragment, page
from dialer.web.views import segment_form as builder
from dialer.web.views.door import see
from dialer.web.views.segment_form import Form

routes = web.RouteTableDef()

FIRST = 20


@routes.get("/segments")
async def list_(request: web.Request) -> web.StreamResponse:
    """All segments; each is counted as soon as the page is there."""
    actor = page_actor(request, Right.CONTACTS_READ)
    return await page(request, "segments.html", segments=await request.app[SEGMENTS].segments(actor))


@routes.get("/segments/{segment_id:[0-9]{1,18}}/count")
async def count(request: web.Request) -> web.StreamResponse:
    """How many are in one."""
    actor = page_actor(request, Right.CONTACTS_READ)
    service = request.app[SEGMENTS]
    try:
        found = await service.count(actor, (await service.get(actor, _id(request))).expression)
    except Invalid:
        found = None
    return await page(request, "parts/segment_count.html", count=found)


@routes.get("/segments/new")
async def new(request: web.Request) -> web.StreamResponse:
    """The form of a new segment."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    known, _ = await request.app[SEGMENTS].catalog(actor)
    form = builder.read_form(MultiDict({"g0.how": "all", "do": "more:0"}), known)
    return await _page(request, actor, form=form)


@routes.get("/segments/{segment_id:[0-9]{1,18}}")
async def one(request: web.Request) -> web.StreamResponse:
    """The form of a segment."""
    actor = page_actor(request, Right.CONTACTS_READ)
    return await _page(request, actor, segment_id=_id(request))


@routes.post("/segments/form")
async def renew(request: web.Request) -> web.StreamResponse:
    """The form after a change, with who is meant now."""
    actor = page_actor(request, Right.CONTACTS_READ)
    sent = await forms.texts(request)
    known, _ = await request.app[SEGMENTS].catalog(actor)
    form = builder.read_form(sent, known)
    segment = sent.get("segment", "")
    return await _page(
        request, actor, form=form, segment_id=int(segment) if segment.isdecimal() else None,
        name=sent.get("name", ""),
    )  # fmt: skip


@routes.post("/segments/new")
async def create(request: web.Request) -> web.StreamResponse:
    """Keep a new one."""
    return await _save(request, None)


@routes.post("/segments/{segment_id:[0-9]{1,18}}")
async def edit(request: web.Request) -> web.StreamResponse:
    """Change one."""
    return await _save(request, _id(request))


async def _save(request: web.Request, segment_id: int | None) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_EDIT)
    service, sent = request.app[SEGMENTS], await forms.texts(request)
    known, _ = await service.catalog(actor)
    name, said, form = sent.get("name", "").strip(), None, None
    if "g0.how" in sent:
        form = builder.read_form(sent, known)
        said = builder.document_of(form, known)
    try:
        name = forms.line(sent, "name", forms.LONGEST_NAME, needed=True)
        if form is not None and not form.is_whole:
            raise Invalid(field="expression", reason="a condition says nothing yet")
        if segment_id is None:
            segment_id = (await service.add(actor, name, said)).id
        else:
            await service.change(actor, segment_id, name, said)
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(
            request, actor, form=form, segment_id=segment_id, name=name, faults=faults, status=error.status
        )
    return see(f"/segments/{segment_id}")


@routes.post("/segments/{segment_id:[0-9]{1,18}}/delete")
async def remove(request: web.Request) -> web.StreamResponse:
    """Remove one."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    await request.app[SEGMENTS].remove(actor, _id(request))
    return see("/segments")


async def _page(
    request: web.Request,
    actor: Actor,
    *,
    form: Form | None = None,
    segment_id: int | None = None,
    name: str | None = None,
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> web.StreamResponse:
    service = request.app[SEGMENTS]
    known, places = await service.catalog(actor)
    segment = await service.get(actor, segment_id) if segment_id is not None else None
    said: Any = None
    broken = ""
    if form is not None:
        said = builder.document_of(form, known)
    elif segment is not None:
        said = segment.expression
        form = builder.form_of(said, known)
    found, people = None, []
    try:
        found = await service.count(actor, said)
        people = await service.people(actor, said, limit=FIRST)
    except Invalid as error:
        # A field, a list or a campaign that it names is there no more.
        broken = next(iter(forms.faults(error, locale_of(request)).values()))
    template = "parts/segment_form.html" if is_fragment(request) else "segment.html"
    return await page(
        request,
        template,
        status=status,
        segment=segment,
        form=form,
        shown=json.dumps(said, ensure_ascii=False, indent=2),
        broken=broken,
        name=name if name is not None else (segment.name if segment else ""),
        faults=faults or {},
        known=known,
        places=places,
        count=found,
        people=people,
        chooses=builder.chooses,
    )


# -- campaigns ---------------------------------------------------------------------------------------------


@routes.get("/campaigns/{campaign_id:[0-9]{1,18}}/segments")
async def of_campaign(request: web.Request) -> web.StreamResponse:
    """The segments that a campaign calls: a part of its page."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    campaign_id = int(request.match_info["campaign_id"])
    service = request.app[SEGMENTS]
    uses = await service.uses(actor, campaign_id)
    used = {one.segment_id for one in uses}
    return await page(
        request,
        "parts/campaign_segments.html",
        campaign_id=campaign_id,
        uses=uses,
        others=[one for one in await service.segments(actor) if one.id not in used],
    )


@routes.post("/campaigns/{campaign_id:[0-9]{1,18}}/segments")
async def use(request: web.Request) -> web.StreamResponse:
    """Have a campaign call one."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    campaign_id = int(request.match_info["campaign_id"])
    sent = await forms.texts(request)
    segment_id = forms.whole(sent.get("segment", ""), "segment")
    await request.app[SEGMENTS].use(actor, campaign_id, segment_id, frozen=sent.get("how") == "frozen")
    return see(f"/campaigns/{campaign_id}")


@routes.post("/campaigns/{campaign_id:[0-9]{1,18}}/segments/{segment_id:[0-9]{1,18}}/delete")
async def let_go(request: web.Request) -> web.StreamResponse:
    """Have a campaign follow one no more."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    campaign_id = int(request.match_info["campaign_id"])
    await request.app[SEGMENTS].let_go(actor, campaign_id, _id(request))
    return see(f"/campaigns/{campaign_id}")


def _id(request: web.Request) -> int:
    return int(request.match_info["segment_id"])
