"""The page an agent works with: the own state, who is on the line, what it came to."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web

from dialer.agents.http import AGENTS
from dialer.agents.messages_http import MESSAGES
from dialer.agents.model import Phone
from dialer.callbacks.http import CALLBACKS
from dialer.callbacks.store import CallbackRow
from dialer.calls.controlling import To
from dialer.calls.controls_http import CONTROLS
from dialer.calls.http import CALLS
from dialer.calls.model import Direction
from dialer.campaigns.http import CAMPAIGNS
from dialer.clock import utc_now
from dialer.errors import Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.i18n import translator
from dialer.httpkit.identity import page_actor
from dialer.httpkit.keys import SETTINGS
from dialer.httpkit.problems import locale_of
from dialer.httpkit.schema import near
from dialer.httpkit.stream import HUB
from dialer.inbound.http import SCREENS
from dialer.inbound.reasons_http import REASONS
from dialer.reports.http import SHIFTS
from dialer.reports.shift import SHIFT_FORMULAS
from dialer.users.http import USERS
from dialer.web import formats, forms
from dialer.web.keys import LIVE
from dialer.web.render import is_fragment, page
from dialer.web.views import callbacks, desk_person, desk_script
from dialer.web.views.door import refused, renewed, warned
from dialer.web.words import mark

routes = web.RouteTableDef()
LONGEST_NOTE = 2000
#: What can be pressed for the far end of a talk.
KEYS = re.compile(r"[0-9*#]{1,32}")


@routes.get("/desk")
async def desk(request: web.Request) -> web.StreamResponse:
    """The page."""
    actor = page_actor(request, Right.WORK)
    since = await request.app[HUB].newest()
    try:
        context = await _context(request, actor)
    except NotFound:
        # A user with the right to work who was not given a phone yet.
        return await page(request, "no_desk.html")
    frames = await request.app[CALLS].crm_servers(actor)
    return await page(request, "desk.html", since=since, frames=frames, **context)


@routes.get("/desk/panel")
async def panel(request: web.Request) -> web.StreamResponse:
    """All of it that changes."""
    actor = page_actor(request, Right.WORK)
    return await page(request, "parts/desk.html", **await _context(request, actor))


# Apart from the panel: they must not hold up the card.


@routes.get("/desk/messages")
async def messages(request: web.Request) -> web.StreamResponse:
    """What a supervisor has written, or has put one into, and one has not confirmed."""
    actor = page_actor(request, Right.WORK)
    told = await request.app[MESSAGES].mine(actor)
    codes = await request.app[CAMPAIGNS].pause_codes(actor) if any(one.pause_code for one in told) else ()
    return await page(
        request, "parts/messages.html", messages=told, pauses={code.code: code for code in codes}
    )


@routes.get("/desk/own")
async def own(request: web.Request) -> web.StreamResponse:
    """The own figures of the shift."""
    actor = page_actor(request, Right.WORK)
    formulas = {name: one.text(locale_of(request)) for name, one in SHIFT_FORMULAS.items()}
    return await page(request, "parts/own.html", own=await request.app[SHIFTS].mine(actor), formulas=formulas)


async def _context(request: web.Request, actor: Actor) -> dict[str, Any]:
    app = request.app
    agent, shift = await app[AGENTS].agent(actor, await app[AGENTS].own_id(actor))
    card = await app[CALLS].card(actor)
    extras = await app[LIVE].desk(actor, agent, card)
    call = card.call if card else None
    came_in = call is not None and call.direction is Direction.INBOUND
    screen = await app[SCREENS].of_call(actor, call.id) if call and came_in else None
    third = await app[CONTROLS].third(actor, call.id) if call and call.state == "connected" else None
    now = utc_now()
    codes = await app[CAMPAIGNS].pause_codes(actor)
    zone = ZoneInfo(await app[LIVE].timezone(actor))
    tomorrow = datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)
    return {
        "agent": agent,
        "shift": shift,
        "card": card,
        "extras": extras,
        "screen": screen,
        "told_way": await app[SCREENS].told(actor, call.id, screen) if call and screen else None,
        "reasons": await app[REASONS].reasons(actor) if came_in else [],
        "targets": await app[CONTROLS].targets(actor) if call and call.state == "connected" else None,
        "script": await desk_script.of_call(request, actor, call),
        "own_fields": desk_person.fields_of(request, card),
        "third": third,
        "asked": bool(third and third.there and third.agent and third.agent.agent_id == agent.id),
        "keys": await app[USERS].shortcuts(actor),
        "codes": codes,
        "pauses": {code.code: code for code in codes},
        "promised": await app[CALLBACKS].mine(actor, tomorrow),
        "places": callbacks.places(extras.zones),
        "soon": now + timedelta(seconds=app[SETTINGS].callback_reminder_s),
        "local_times": callbacks.clocks(extras.zones),
    }


@routes.post("/desk/{action:login|ready|pause|logout|skip}")
async def act(request: web.Request) -> web.StreamResponse:
    """Change the own state."""
    actor = page_actor(request, Right.WORK)
    service = request.app[AGENTS]
    agent_id = await service.own_id(actor)
    match request.match_info["action"]:
        case "login":
            browser = await forms.field(request, "phone") == Phone.BROWSER
            await service.log_in(actor, agent_id, browser=browser)
        case "ready":
            await service.ready(actor, agent_id)
        case "pause":
            await service.pause(actor, agent_id, await forms.field(request, "code"))
        case "logout":
            await service.log_out(actor, agent_id)
        case "skip":
            await service.skip_lead(actor, agent_id)
    return renewed(request, "/desk")


@routes.post("/desk/call")
async def call(request: web.Request) -> web.StreamResponse:
    """Preview: call the shown lead."""
    actor = page_actor(request, Right.CALLS_PLACE)
    await request.app[CALLS].dial_lead(actor, forms.whole(await forms.field(request, "lead"), "lead"))
    return renewed(request, "/desk")


@routes.post("/desk/dial")
async def dial(request: web.Request) -> web.StreamResponse:
    """Manual: call a typed number."""
    actor = page_actor(request, Right.CALLS_PLACE)
    campaign_id = forms.whole(await forms.field(request, "campaign"), "campaign")
    await request.app[CALLS].dial_number(actor, campaign_id, (await forms.field(request, "number"))[:50])
    return renewed(request, "/desk")


@routes.post("/desk/hang-up")
async def hang_up(request: web.Request) -> web.StreamResponse:
    """End the own call."""
    actor = page_actor(request, Right.WORK)
    await request.app[CALLS].hang_up(actor, await _attempt(request))
    return renewed(request, "/desk")


#: What is done with the third party of a talk.
_BESIDES = ("complete", "confer", "part", "back", "leave")


@routes.post("/desk/talk/{what:hold|resume|mute|unmute|unrecord|record|keys|transfer|ask|message}")
async def steer(request: web.Request) -> web.StreamResponse:
    """Do something with the customer of the own talk."""
    actor, attempt_id = page_actor(request, Right.WORK), await _attempt(request)
    controls = request.app[CONTROLS]
    match request.match_info["what"]:
        case "hold" | "resume" as what:
            await controls.hold(actor, attempt_id, on=what == "hold")
        case "mute" | "unmute" as what:
            await controls.mute(actor, attempt_id, on=what == "mute")
        case "unrecord" | "record" as what:
            await controls.pause_recording(actor, attempt_id, on=what == "unrecord")
        case "transfer":
            to = await _to(request)
            await controls.transfer(
                actor, attempt_id, agent_id=to.agent_id, queue=to.queue, destination=to.destination
            )
        case "ask":
            await controls.consult(actor, attempt_id, await _to(request))
        case "message":
            language, _, name = (await forms.field(request, "to")).partition(":")
            await controls.leave_message(actor, attempt_id, name, language)
        case "keys":
            keys = await forms.field(request, "keys")
            if not KEYS.fullmatch(keys):
                raise Invalid(field="keys", reason="does not have the right form")
            await controls.press(actor, attempt_id, keys)
    return renewed(request, "/desk")


@routes.post("/desk/confirm")
async def confirm(request: web.Request) -> web.StreamResponse:
    """Say that one has read a message."""
    actor = page_actor(request, Right.WORK)
    await request.app[MESSAGES].confirm(actor, forms.whole(await forms.field(request, "message"), "message"))
    return renewed(request, "/desk")


@routes.post("/desk/talk/{what:" + "|".join(_BESIDES) + "}")
async def besides(request: web.Request) -> web.StreamResponse:
    """Do something with whom the agent has called besides the customer, or was called by."""
    actor, attempt_id = page_actor(request, Right.WORK), await _attempt(request)
    controls = request.app[CONTROLS]
    match request.match_info["what"]:
        case "complete":
            await controls.complete(actor, attempt_id)
        case "confer" | "part" as what:
            await controls.conference(actor, attempt_id, on=what == "confer")
        case "back":
            await controls.end_consult(actor, attempt_id)
        case "leave":
            await controls.leave(actor)
    return renewed(request, "/desk")


async def _to(request: web.Request) -> To:
    """Whom the agent has chosen of those who can be called."""
    kind, _, name = (await forms.field(request, "to")).partition(":")
    match kind:
        case "queue":
            return To(queue=name)
        case "destination":
            return To(destination=name)
    return To(agent_id=forms.whole(name, "to"))


@routes.post("/desk/reason")
async def say_reason(request: web.Request) -> web.StreamResponse:
    """Say why somebody has called."""
    actor = page_actor(request, Right.WORK)
    reason = await forms.field(request, "reason")
    await request.app[REASONS].set(actor, await _attempt(request), reason or None)
    return renewed(request, "/desk")


@routes.post("/desk/disposition")
async def dispose(request: web.Request) -> web.StreamResponse:
    """Save what the talk came to."""
    actor = page_actor(request, Right.WORK)
    note = await forms.field(request, "note")
    if len(note) > LONGEST_NOTE:
        raise Invalid(field="note", reason="does not have the right form")
    attempt_id, code = await _attempt(request), await forms.field(request, "code")
    try:
        wanted = await _promise(request, actor, attempt_id, code)
        saved = await request.app[CALLS].dispose(actor, attempt_id, code, note, **wanted)
    except Invalid as error:
        if error.details["field"] not in _TIMES or not is_fragment(request):
            raise
        locale = locale_of(request)
        (said, *_) = forms.faults(error, locale).values()
        label = translator(locale).gettext(_TIMES[str(error.details["field"])])
        return await refused(request, error, f"{label}: {said}.")
    if saved.callback is not None and saved.callback.moved and is_fragment(request):
        return await _moved(request, saved.callback)
    return renewed(request, "/desk")


#: How the form calls the fields of a promise.
_TIMES = {
    "callback_at": mark("Call back at"),
    "callback_until": mark("Call back until"),
    "callback_zone": mark("Their clock"),
}


async def _promise(request: web.Request, actor: Actor, attempt_id: UUID, code: str) -> dict[str, Any]:
    """The call back that the form names, where the disposition promises one."""
    if not await forms.field(request, "callback_at"):
        return {}
    if not await _is_callback(request, actor, attempt_id, code):
        return {}
    return {
        "callback_at": await _clock(request, "callback_at"),
        "callback_until": await _clock(request, "callback_until"),
        "callback_zone": await forms.field(request, "callback_zone"),
        "personal": (await forms.field(request, "callback_by")) == "me",
    }


async def _moved(request: web.Request, row: CallbackRow) -> web.StreamResponse:
    """Nobody may be called at the time that was promised: the agent hears of it while the person may still
    be on the line."""
    locale, here = locale_of(request), await request.app[LIVE].timezone(page_actor(request))
    text = translator(locale).gettext("The call is moved: %(there)s there, %(here)s here.") % {
        "there": formats.moment(row.due_at, row.zone, locale),
        "here": formats.moment(row.due_at, here, locale),
    }
    return await warned(request, text)


async def _is_callback(request: web.Request, actor: Actor, attempt_id: UUID, code: str) -> bool:
    """Whether the disposition promises a call; others leave the fields of a promise be."""
    choices = (await request.app[CALLS].get(actor, attempt_id)).card.choices
    return any(one.code == code and one.kind == "callback" for one in choices)


async def _clock(request: web.Request, name: str) -> datetime | None:
    """A reading of the person's clock."""
    text = await forms.field(request, name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(field=name, reason="must be a date like 2026-01-31") from None
    try:
        return near(found)
    except ValueError as error:
        raise Invalid(field=name, reason=str(error)) from None


async def _attempt(request: web.Request) -> UUID:
    return forms.key(await forms.field(request, "attempt"), "call")
