"""Agents as a supervisor sees them: who they are, what each does, and what can be done for them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dialer.agents.http import AGENTS, AgentEdit, AgentIn
from dialer.agents.model import HIGHEST_RANK, LOWEST_RANK, USUAL_LEVEL, USUAL_RANK, Takes
from dialer.calls.controls_http import CONTROLS
from dialer.calls.listeners import Mode
from dialer.calls.listening_http import LISTENING, ModeIn
from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import DozvonError
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.keys import SETTINGS
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import is_fragment, page
from dialer.web.views.door import renewed, see

routes = web.RouteTableDef()


@routes.get("/agents")
async def list_(request: web.Request) -> web.StreamResponse:
    """All agents with their states."""
    return await _page(request, page_actor(request, Right.AGENTS_READ))


@routes.get("/agents/table")
async def table(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes."""
    actor = page_actor(request, Right.AGENTS_READ)
    return await page(request, "parts/agents_table.html", **await _table(request, actor))


@routes.post("/agents")
async def create(request: web.Request) -> web.StreamResponse:
    """Make a user an agent; the phone's password is on the page that comes back, and nowhere else."""
    actor = page_actor(request, Right.AGENTS_EDIT)
    form = await forms.texts(request)
    values = forms.given(form, AgentIn, lists=("skills",))
    try:
        wanted = forms.read(AgentIn, values)
        made = await request.app[AGENTS].create(
            actor,
            user_id=wanted.user_id,
            name=wanted.name,
            endpoint=wanted.endpoint,
            skills=wanted.skills,
            rank=wanted.rank,
            takes=wanted.takes,
        )
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(request, actor, status=error.status, values=dict(form), faults=faults)
    return await _page(request, actor, made=made)


@routes.post("/agents/{agent_id:[0-9]{1,18}}/{action:login|ready|pause|logout}")
async def act(request: web.Request) -> web.StreamResponse:
    """Log somebody in, make ready, pause, log out."""
    actor = page_actor(request, Right.AGENTS_CONTROL)
    service, agent_id = request.app[AGENTS], int(request.match_info["agent_id"])
    match request.match_info["action"]:
        case "login":
            await service.log_in(actor, agent_id)
        case "ready":
            await service.ready(actor, agent_id)
        case "pause":
            await service.pause(actor, agent_id, await forms.field(request, "code"))
        case "logout":
            await service.log_out(actor, agent_id)
    return renewed(request, "/agents")


@routes.post("/agents/{agent_id:[0-9]{1,18}}/listen")
async def listen(request: web.Request) -> web.StreamResponse:
    """Listen to an agent, go on in another mode, or end it; the reply is the part of the page for that."""
    actor, agent_id = page_actor(request, Right.AGENTS_CONTROL), int(request.match_info["agent_id"])
    service, said = request.app[LISTENING], await forms.texts(request)
    agent, _ = await request.app[AGENTS].agent(actor, agent_id)
    wanted = said.get("mode") or Mode.LISTEN
    if listening := said.get("listening"):
        known = forms.key(listening, "listening")
        if wanted == "take":
            _, shift = await request.app[AGENTS].agent(actor, agent_id)
            await request.app[CONTROLS].take_over(actor, agent_id, known)
            taken = shift.attempt_id if shift else None
            return await page(request, "parts/listening.html", agent=agent, mode="taken", call_id=taken)
        if wanted == "end":
            await service.end(actor, agent_id, known)
            return web.Response() if is_fragment(request) else see("/agents")
        mode = forms.read(ModeIn, {"mode": wanted}).mode
        await service.change(actor, agent_id, known, mode)
    else:
        mode = Mode.LISTEN
        kind, _, name = said.get("phone", "").partition(":")
        known = await service.begin(actor, agent_id, mode, name, browser=kind == "browser")
    return await page(request, "parts/listening.html", agent=agent, listening=known, mode=mode.value)


@routes.post("/agents/{agent_id:[0-9]{1,18}}/{field:rank|takes}")
async def set_field(request: web.Request) -> web.StreamResponse:
    """Give an agent another rank, or other calls."""
    actor, agent_id = page_actor(request, Right.AGENTS_EDIT), int(request.match_info["agent_id"])
    name = request.match_info["field"]
    wanted = forms.read(AgentEdit, {name: await forms.field(request, name)})
    await request.app[AGENTS].change(actor, agent_id, rank=wanted.rank, takes=wanted.takes)
    return renewed(request, "/agents")


async def _table(request: web.Request, actor: Actor) -> dict[str, Any]:
    return {
        "agents": await request.app[AGENTS].agents(actor),
        "held": await request.app[LIVE].on_hold(actor),
        "pauses": {code.code: code for code in await request.app[CAMPAIGNS].pause_codes(actor)},
        "ranks": range(HIGHEST_RANK, LOWEST_RANK - 1, -1),
        "usual_rank": USUAL_RANK,
        "phones": await request.app[LISTENING].phones(actor) if actor.may(Right.AGENTS_CONTROL) else None,
        "takes": tuple(Takes),
        "usual_level": USUAL_LEVEL,
    }


async def _page(
    request: web.Request,
    actor: Actor,
    *,
    status: int = 200,
    values: dict[str, Any] | None = None,
    faults: dict[str, str] | None = None,
    made: object = None,
) -> web.StreamResponse:
    since = await request.app[HUB].newest()
    context = await _table(request, actor)
    free = await request.app[AGENTS].candidates(actor) if actor.may(Right.AGENTS_EDIT) else []
    settings = request.app[SETTINGS]
    return await page(
        request,
        "agents.html",
        status=status,
        since=since,
        free=free,
        values=values or {},
        faults=faults or {},
        made=made,
        registrar=f"{settings.sip_host}:{settings.sip_port}",
        **context,
    )
