"""The supervisor's board: the whole centre live, what is done with its agents, and the screen on the wall."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from dialer.agents.http import AGENTS
from dialer.agents.messages_http import MESSAGES, MessageIn
from dialer.boards.alerts_http import ALERTS
from dialer.boards.http import BOARDS, MOVING
from dialer.boards.model import STATES
from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import Invalid, WrongState
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.i18n import message, translator
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.web import forms
from dialer.web.render import is_fragment, page
from dialer.web.views.door import renewed, warned

routes = web.RouteTableDef()

#: There is room for so many at their size.
ALERTS_ON_WALL = 3


@routes.get("/board")
async def board(request: web.Request) -> web.StreamResponse:
    """All of it."""
    actor = page_actor(request, Right.REPORTS_READ)
    since = await request.app[HUB].newest()
    context = await _floor(request, actor) | await _work(request, actor)
    context |= {"alerts": await request.app[ALERTS].now(actor)}
    return await page(request, "board.html", since=since, **context)


@routes.get("/board/floor")
async def floor(request: web.Request) -> web.StreamResponse:
    """The part with the agents."""
    actor = page_actor(request, Right.REPORTS_READ)
    return await _part(request, "parts/floor.html", await _floor(request, actor))


@routes.get("/board/work")
async def work(request: web.Request) -> web.StreamResponse:
    """The part with campaigns, queues and trunks."""
    actor = page_actor(request, Right.REPORTS_READ)
    return await _part(request, "parts/work.html", await _work(request, actor))


@routes.get("/board/wall")
async def wall(request: web.Request) -> web.StreamResponse:
    """What hangs on the wall: the same in few large numbers, and nothing to press."""
    actor = page_actor(request, Right.REPORTS_READ)
    since = await request.app[HUB].newest()
    return await page(request, "wall.html", since=since, **await _wall(request, actor))


@routes.get("/board/wall/part")
async def wall_part(request: web.Request) -> web.StreamResponse:
    """What of it changes."""
    actor = page_actor(request, Right.REPORTS_READ)
    return await _part(request, "parts/wall.html", await _wall(request, actor))


async def _wall(request: web.Request, actor: Actor) -> dict[str, Any]:
    alerts = (await request.app[ALERTS].now(actor))[:ALERTS_ON_WALL]
    return await _work(request, actor) | {"alerts": alerts}


async def _part(request: web.Request, template: str, context: dict[str, Any]) -> web.StreamResponse:
    """A part that comes again and again: packed, a tenth of it goes over the line. It holds no secret whose
    length could tell of it."""
    reply = await page(request, template, **context)
    reply.enable_compression()
    return reply


async def _floor(request: web.Request, actor: Actor) -> dict[str, Any]:
    return {
        "board": await request.app[BOARDS].now(actor),
        "states": STATES,
        "pauses": {code.code: code for code in await request.app[CAMPAIGNS].pause_codes(actor)},
    }


async def _work(request: web.Request, actor: Actor) -> dict[str, Any]:
    counted = await request.app[BOARDS].counted(actor)
    return {"board": await request.app[BOARDS].now(actor), "counted": counted, "states": STATES}


# -- what is done with agents ------------------------------------------------------------------------------


@routes.post("/board/campaigns")
async def run(request: web.Request) -> web.StreamResponse:
    """Pause a campaign, or have it go on; what then keeps it from dialling is told."""
    actor = page_actor(request, Right.CAMPAIGNS_RUN)
    form = await forms.texts(request)
    action = next((one for one in ("pause", "resume") if one in form), None)
    if action is None:
        raise Invalid(field="do", reason="does not have the right form")
    campaign_id = forms.whole(form[action], "campaign")
    done = await getattr(request.app[CAMPAIGNS], action)(actor, campaign_id)
    if action == "resume" and done.warnings and is_fragment(request):
        headers = {"HX-Trigger": "refresh-all", "HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
        about = {"warnings": done.warnings, "campaign_id": campaign_id}
        return await page(request, "parts/nothing_dialled.html", headers=headers, **about)
    return renewed(request, "/board")


@routes.post("/board/agents")
async def act(request: web.Request) -> web.StreamResponse:
    """Do one thing with all agents that were ticked; what was refused is told by name."""
    actor = page_actor(request, Right.AGENTS_CONTROL)
    form = await forms.texts(request)
    chosen = [forms.whole(one, "agent") for one in form.getall("agent", [])]
    if not chosen:
        raise Invalid(field="agent", reason="tick the agents first")
    if form.get("do") == "move":
        told = await _move(request, actor, chosen, forms.whole(form.get("campaign", ""), "campaign"))
    else:
        told = await _each(request, actor, chosen, _deed(request, actor, form))
    if told and is_fragment(request):
        return await warned(request, " ".join(told))
    return renewed(request, "/board")


async def _move(request: web.Request, actor: Actor, chosen: Sequence[int], to: int) -> list[str]:
    """Have them work in a campaign; what is to be known of it."""
    moved = await request.app[MOVING].move(actor, chosen, to=to)
    if not moved.still:
        return []
    text = translator(locale_of(request)).gettext("Any agent can still be given calls of: %(names)s.")
    return [text % {"names": ", ".join(moved.still)}]


def _deed(request: web.Request, actor: Actor, form: MultiMapping[str]) -> Callable[[int], Awaitable[object]]:
    """What is done with each. Raises Invalid."""
    agents = request.app[AGENTS]
    match form.get("do"):
        case "ready":
            return partial(agents.ready, actor)
        case "pause":
            return partial(agents.pause, actor, code=form.get("code", ""))
        case "logout":
            return partial(agents.log_out, actor)
        case "message":
            words = forms.read(MessageIn, {"text": form.get("text", "")}).text
            return partial(request.app[MESSAGES].send, actor, text=words)
    raise Invalid(field="do", reason="does not have the right form")


async def _each(
    request: web.Request, actor: Actor, chosen: Sequence[int], deed: Callable[[int], Awaitable[object]]
) -> list[str]:
    """Do it for one after another; who of them it was refused for, and why."""
    refused, locale = [], locale_of(request)
    for agent_id in chosen:
        try:
            await deed(agent_id)
        except WrongState as error:
            agent, _ = await request.app[AGENTS].agent(actor, agent_id)
            refused.append(f"{agent.name}: {message(error, locale)}")
    return refused
