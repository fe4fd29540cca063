"""The script of the talk at an agent's desk: each answer is kept as it is given."""

from __future__ import annotations

import structlog
from aiohttp import web

from dialer.calls.call_log import CallRow
from dialer.errors import BadScript, Forbidden, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.i18n import said, translator
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.scripts.http import SCRIPTS
from dialer.scripts.showing import Shown
from dialer.scripts.walking import Answered, Back, Done, Event, Left, Went
from dialer.web import forms
from dialer.web.render import is_fragment
from dialer.web.views.door import refused, renewed

log = structlog.get_logger(__name__)
routes = web.RouteTableDef()


async def of_call(request: web.Request, actor: Actor, call: CallRow | None) -> Shown | None:
    """Where the talk is in its script; None: it has none.

    A script that cannot be read any more must not take the customer's card away with it.
    """
    if call is None:
        return None
    try:
        return await request.app[SCRIPTS].of_call(actor, call.id)
    except (BadScript, Invalid) as error:
        log.warning("script_unreadable", call=str(call.id), error=str(error))
        return None
    except Forbidden:
        # The shift has the call a moment before the call's row has the agent: an event follows when it has.
        return None


@routes.post("/desk/script")
async def lead(request: web.Request) -> web.StreamResponse:
    """Lead the own talk on."""
    actor = page_actor(request, Right.WORK)
    call_id = forms.key(await forms.field(request, "attempt"), "call")
    step, event = await forms.field(request, "step"), await _event(request)
    try:
        await request.app[SCRIPTS].act(actor, call_id, step, event)
    except Invalid as error:
        if not isinstance(event, Answered | Done) or not is_fragment(request):
            raise
        return await _refused(request, error)
    return renewed(request, "/desk")


async def _refused(request: web.Request, error: Invalid) -> web.StreamResponse:
    """What was typed stays where it is; a notice says why it is no answer, or why a time cannot be."""
    locale = locale_of(request)
    texts, asked = translator(locale), error.details["field"] == "answer"
    text = (
        f"{texts.gettext('Answer') if asked else texts.gettext('Not done')}:"
        f" {said(error.details['reason'], locale)}."
    )
    return await refused(request, error, text)


async def _event(request: web.Request) -> Event:
    match await forms.field(request, "what"):
        case "answer":
            return Answered(await forms.field(request, "answer"))
        case "do":
            return Done()
        case "back":
            return Back()
        case "exit":
            return Left(await forms.field(request, "exit"))
        case "go":
            return Went()
    raise Invalid(field="what", reason="is not known here")
