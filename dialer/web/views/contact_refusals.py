"""What stands against calling a person, on their card: entries of do-not-call, and numbers that are dead."""

from __future__ import annotations

from aiohttp import web

from dialer.contacts.dead_numbers_http import DEAD_NUMBERS
from dialer.contacts.people_http import PEOPLE
from dialer.donotcall.http import DO_NOT_CALL
from dialer.errors import DozvonError, Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.web import forms
from dialer.web.views.contacts import ONE, back, id_of, show_card
from dialer.web.views.donotcall import refusal, take_out

routes = web.RouteTableDef()


@routes.post(ONE + "/do-not-call")
async def add(request: web.Request) -> web.StreamResponse:
    """Have nobody call these of the person's numbers."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    form = await forms.texts(request)
    try:
        chosen = {forms.whole(one, "phone") for one in form.getall("phone", [])}
        numbers = await _numbers(request, actor, chosen)
        if not numbers:
            raise Invalid(field="phone", reason="choose a number")
        said = await refusal(request, actor, form)
        await request.app[DO_NOT_CALL].add(actor, numbers, [], said)
    except DozvonError as error:
        return await show_card(request, "refusals", error)
    return back(request, "refusals")


@routes.post(ONE + "/do-not-call/{entry_id:[0-9]{1,18}}/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Let an entry count no more."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    form = await forms.texts(request)
    try:
        await take_out(request, actor, form)
    except DozvonError as error:
        return await show_card(request, f"refusal-{request.match_info['entry_id']}", error)
    return back(request, "refusals")


@routes.post(ONE + "/numbers/{phone_id:[0-9]{1,18}}/{what:alive|dead}")
async def living(request: web.Request) -> web.StreamResponse:
    """Say that a number leads to somebody, or to nobody."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    phone_id = int(request.match_info["phone_id"])
    try:
        found = await _numbers(request, actor, {phone_id})
        if not found:
            raise NotFound(what="number", key=phone_id)
        service = request.app[DEAD_NUMBERS]
        say = service.revive if request.match_info["what"] == "alive" else service.confirm
        await say(actor, found[0])
    except DozvonError as error:
        return await show_card(request, f"number-{phone_id}", error)
    return back(request, "numbers")


async def _numbers(request: web.Request, actor: Actor, phone_ids: set[int]) -> list[str]:
    """Those of the person's numbers, E.164."""
    person = await request.app[PEOPLE].person(actor, id_of(request))
    return [number.e164 for number in person.card.numbers if number.id in phone_ids]
