"""Queues: where callers wait, how each serves, and who serves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aiohttp import web
from multidict import MultiMapping

from dialer.agents.http import AGENTS, AgentEdit
from dialer.errors import DozvonError, InUse, NotAllowed, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.inbound.reasons_http import REASONS
from dialer.queues.fields import QueueEdit, QueueIn
from dialer.queues.http import QUEUES
from dialer.queues.model import HIGHEST_LEVEL, LOWEST_LEVEL, Overflow, Rule
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import renewed, see
from dialer.web.views.surveys import survey_choices

routes = web.RouteTableDef()

ONE = "/queues/{queue_id:[0-9]{1,18}}"
#: With which a caller can ask for a call back.
KEYS = "1234567890*#"
#: Fields that mean "never", "any" or "none" when they are empty.
MAY_BE_EMPTY = (
    "skill",
    "relax_every_s",
    "max_wait_s",
    "max_waiting",
    "announce_first_s",
    "announce_every_s",
    "offer_callback_s",
    "offer_callback_wait_s",
    "wrap_up_s",
    "survey",
)


@routes.get("/queues")
async def list_(request: web.Request) -> web.StreamResponse:
    """All queues, with who serves them."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    return await page(
        request,
        "queues.html",
        since=await request.app[HUB].newest(),
        queues=await request.app[QUEUES].queues(actor),
        reasons=await request.app[REASONS].reasons(actor),
        faults={},
    )


@routes.get("/queues/table")
async def table(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    return await page(request, "parts/queues_table.html", queues=await request.app[QUEUES].queues(actor))


@routes.get("/queues/new")
async def new_form(request: web.Request) -> web.StreamResponse:
    """The form of a new queue."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    usual = {name: field.default for name, field in QueueIn.model_fields.items() if not field.is_required()}
    return await _form(request, actor, _shown(usual))


@routes.post("/queues/new")
async def create(request: web.Request) -> web.StreamResponse:
    """Make a queue."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    try:
        made = await request.app[QUEUES].create(actor, forms.read(QueueIn, _values(form)))
    except DozvonError as error:
        return await _form(request, actor, _again(form), error)
    return see(f"/queues/{made.fields['id']}")


@routes.get(ONE)
async def one(request: web.Request) -> web.StreamResponse:
    """One queue: its settings, and its agents with their levels."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    view = await request.app[QUEUES].queue(actor, _id(request))
    return await _form(request, actor, _shown(view.fields))


@routes.post(ONE)
async def edit(request: web.Request) -> web.StreamResponse:
    """Change a queue."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    try:
        wanted = forms.read(QueueIn, _values(form))
        changes = forms.read(QueueEdit, wanted.model_dump())
        even = "even_if_used" in form
        await request.app[QUEUES].edit(actor, _id(request), changes, even_if_used=even)
    except NotFound:
        raise
    except DozvonError as error:
        return await _form(request, actor, _again(form), error, going="save")
    return see("/queues")


@routes.post(ONE + "/delete")
async def delete(request: web.Request) -> web.StreamResponse:
    """Remove a queue; one that is used, when that is meant all the same."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    even = "even_if_used" in await forms.texts(request)
    try:
        await request.app[QUEUES].delete(actor, _id(request), even_if_used=even)
    except NotFound:
        raise
    except DozvonError as error:
        view = await request.app[QUEUES].queue(actor, _id(request))
        return await _form(request, actor, _shown(view.fields), error, going="delete")
    return see("/queues")


@routes.post(ONE + "/levels/{agent_id:[0-9]{1,18}}")
async def set_level(request: web.Request) -> web.StreamResponse:
    """Give an agent another level of the queue's skill."""
    actor = page_actor(request, Right.AGENTS_EDIT)
    view = await request.app[QUEUES].queue(actor, _id(request))
    if view.fields["skill"] is None:
        raise NotAllowed(reason="the queue asks for no skill")
    wanted = forms.read(AgentEdit, {"levels": {view.fields["skill"]: await forms.field(request, "level")}})
    await request.app[AGENTS].change(actor, int(request.match_info["agent_id"]), levels=wanted.levels)
    return renewed(request, f"/queues/{_id(request)}")


@routes.get(ONE + "/agents")
async def members(request: web.Request) -> web.StreamResponse:
    """The part of a queue's page that changes."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    view = await request.app[QUEUES].queue(actor, _id(request))
    levels = range(HIGHEST_LEVEL, LOWEST_LEVEL - 1, -1)
    held = await request.app[LIVE].on_hold(actor)
    return await page(request, "parts/queue_agents.html", view=view, levels=levels, held=held)


@routes.get(ONE + "/places")
async def places(request: web.Request) -> web.StreamResponse:
    """The places that are kept in a queue, for its page."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    kept = await request.app[QUEUES].places(actor, _id(request))
    return await page(request, "parts/queue_places.html", kept=kept, queue_id=_id(request))


@routes.post(ONE + "/places/{call_id:[0-9a-f-]{36}}/drop")
async def drop_place(request: web.Request) -> web.StreamResponse:
    """Have nobody call for a place."""
    actor = page_actor(request, Right.AGENTS_CONTROL)
    try:
        call_id = UUID(request.match_info["call_id"])
    except ValueError:
        raise NotFound(what="kept place", key=request.match_info["call_id"]) from None
    await request.app[QUEUES].drop_place(actor, call_id)
    return renewed(request, f"/queues/{_id(request)}")


def _id(request: web.Request) -> int:
    return int(request.match_info["queue_id"])


def _values(form: MultiMapping[str]) -> dict[str, Any]:
    """What the form says of a queue, as the API takes it."""
    values = forms.given(form, QueueIn)
    values |= {name: None for name in MAY_BE_EMPTY if not form.get(name, "").strip()}
    # One choice on the page: the flow, voicemail, or a queue by its id.
    overflow, _, queue_id = form.get("overflow", Overflow.FLOW.value).partition(":")
    values |= {"overflow": overflow, "overflow_queue_id": queue_id or None}
    if isinstance(share := values.get("target_share"), str):
        try:
            values["target_share"] = float(share) / 100
        except ValueError:
            values["target_share"] = share  # refused as no number, with all else that is wrong
    return values


def _shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a queue is, as the form has it."""
    overflow = fields["overflow"]
    if fields.get("overflow_queue_id"):
        overflow = f"{overflow}:{fields['overflow_queue_id']}"
    return dict(fields) | {"overflow": str(overflow), "target_share": f"{100 * fields['target_share']:g}"}


def _again(form: MultiMapping[str]) -> dict[str, Any]:
    """The form as it was sent."""
    return {name: form.get(name, "") for name in QueueIn.model_fields}


async def _form(
    request: web.Request,
    actor: Actor,
    values: Mapping[str, Any],
    error: DozvonError | None = None,
    *,
    going: str = "",
) -> web.StreamResponse:
    """`going`: what was not done because the queue is used, save or delete."""
    since = await request.app[HUB].newest()
    queues = await request.app[QUEUES].queues(actor)
    mine = int(request.match_info.get("queue_id", 0))
    view = await request.app[QUEUES].queue(actor, mine) if mine else None
    agents = await request.app[AGENTS].agents(actor) if actor.may(Right.AGENTS_READ) else []
    return await page(
        request,
        "queue_form.html",
        status=error.status if error else 200,
        since=since,
        view=view,
        kept=await request.app[QUEUES].places(actor, mine) if mine else [],
        queue_id=mine,
        values=values,
        faults=forms.faults(error, locale_of(request)) if error else {},
        held=await request.app[LIVE].on_hold(actor) if mine else {},
        going=going if isinstance(error, InUse) else "",
        keys=[(key, key) for key in KEYS],
        rules=list(Rule),
        surveys=await survey_choices(request, actor, values.get("survey")),
        others=[each.fields for each in queues if each.fields["id"] != mine],
        skills=sorted({skill for agent, _ in agents for skill in agent.skills}),
        levels=range(HIGHEST_LEVEL, LOWEST_LEVEL - 1, -1),
    )
