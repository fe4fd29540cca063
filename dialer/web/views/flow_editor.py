"""The text of a flow is written, checked while it is, and tried without a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.clock import utc_now
from dialer.errors import BadFlow, DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.inbound.http import INBOUND
from dialer.inbound.model import FlowRow
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import see
from dialer.web.views.flows import ONE, flow_row
from ivr_flows import loader, shipped
from ivr_flows.model import LANGUAGES, Flow
from ivr_flows.rehearsal import rehearse

routes = web.RouteTableDef()

#: What the caller is said to have, when a flow is tried.
CALLER = {"caller": "+79161234567", "dialled": "+74951234567"}


@routes.get("/flows/new")
async def new(request: web.Request) -> web.StreamResponse:
    """One of the flows that come along is chosen; with `from` its text is there to be changed."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    asked = request.query.get("from", "")
    name, _, language = asked.rpartition(".")
    if name in shipped.NAMES and language in LANGUAGES:
        return await _editor(request, actor, shipped.text(name, language))
    flows = {one: {each: shipped.flow(one, each) for each in LANGUAGES} for one in shipped.NAMES}
    return await page(request, "flow_new.html", flows=flows)


@routes.post("/flows/new")
async def create(request: web.Request) -> web.StreamResponse:
    """The first draft of a flow, or a further one of the flow that the text names."""
    return await _save(request, page_actor(request, Right.CAMPAIGNS_EDIT), None)


@routes.get(ONE + "/edit")
async def edit(request: web.Request) -> web.StreamResponse:
    """The text of a version, of the newest where none is named."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    row = await flow_row(request, actor)
    asked = request.query.get("version", "")
    number = forms.whole(asked, "version") if asked else row.last_version or 0
    found = await request.app[INBOUND].version(actor, row.name, number)
    return await _editor(request, actor, found.text, row)


@routes.post(ONE + "/edit")
async def save(request: web.Request) -> web.StreamResponse:
    """A new draft."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    return await _save(request, actor, await flow_row(request, actor))


@routes.post("/flows/check")
async def check(request: web.Request) -> web.StreamResponse:
    """All that is wrong with the text as it is now."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    checked = await request.app[INBOUND].check(actor, await _text(request))
    return await page(request, "parts/flow_problems.html", problems=checked.problems, flow=checked.flow)


@routes.post("/flows/simulate")
async def simulate(request: web.Request) -> web.StreamResponse:
    """The text is played, as far as the words lead that were said; nobody is called."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form, zone = await forms.texts(request), ZoneInfo(await request.app[LIVE].timezone(actor))
    words = [] if form.get("again") else [one for one in form.get("words", "").split(",") if one]
    if (word := form.get("word", "").strip()) and not form.get("again"):
        words.append(word.replace(",", " "))
    context: dict[str, Any] = {"words": words, "played": None, "fault": None}
    try:
        began = forms.moment(form.get("at", ""), "at", zone) or utc_now()
        flow = loader.load(await _text(request), source="")
        live = {**await request.app[INBOUND].live_documents(actor), flow.name: flow.document}
        variables = {**CALLER, "zone": zone.key}
        context["played"] = rehearse(
            flow, words, now=began, variables=variables, other=lambda name: _other(live, name)
        )
    except BadFlow:
        context["fault"] = "bad"
    except (Invalid, ValueError):
        context["fault"] = "word"
    return await page(request, "parts/flow_played.html", **context)


def _other(live: Mapping[str, Mapping[str, Any]], name: str) -> Flow | None:
    """The flow that `goto_flow` names, as callers are led by it."""
    try:
        return loader.from_document(live[name]) if name in live else None
    except BadFlow:
        return None


async def _text(request: web.Request) -> str:
    """As browsers send it, lines end otherwise."""
    return (await forms.texts(request)).get("yaml", "").replace("\r\n", "\n")


async def _save(request: web.Request, actor: Actor, row: FlowRow | None) -> web.StreamResponse:
    text, service = await _text(request), request.app[INBOUND]
    try:
        made = await service.write(actor, text or " ", name=row.name if row else None)
    except DozvonError as error:
        return await _editor(request, actor, text, row, error)
    return see(f"/flows/{made.flow_id}/versions/{made.version}")


async def _editor(
    request: web.Request,
    actor: Actor,
    text: str,
    row: FlowRow | None = None,
    error: DozvonError | None = None,
) -> web.StreamResponse:
    checked = await request.app[INBOUND].check(actor, text)
    refused = {} if error is None or isinstance(error, BadFlow) else forms.faults(error, locale_of(request))
    return await page(
        request,
        "flow_editor.html",
        status=error.status if error else 200,
        row=row,
        text=text,
        problems=checked.problems,
        flow=checked.flow,
        refused=refused,
        saved=error is None,
    )
