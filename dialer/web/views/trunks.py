"""Trunks: the lines to the telephone network."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from multidict import MultiMapping

from dialer.calls.http import CALLS
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.keys import SETTINGS
from dialer.httpkit.problems import locale_of
from dialer.trunks.caps import TYPED_PER_HOUR
from dialer.trunks.fields import CapsIn, TrunkEdit, TrunkIn
from dialer.trunks.http import TRUNKS
from dialer.trunks.model import CODECS
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()


@routes.get("/trunks")
async def list_(request: web.Request) -> web.StreamResponse:
    """All trunks."""
    return await _page(request, page_actor(request, Right.TRUNKS_READ))


@routes.post("/trunks")
async def create(request: web.Request) -> web.StreamResponse:
    """Make a trunk."""
    actor = page_actor(request, Right.TRUNKS_EDIT)
    form = await forms.texts(request)
    values = forms.given(form, TrunkIn, lists=("allowed_prefixes", "codecs")) | {"enabled": True}
    try:
        values |= _money(form, "max_spend_per_day") | {"rates": _tariff(form.get("rates", ""))}
        await request.app[TRUNKS].create(actor, forms.read(TrunkIn, values))
    except DozvonError as error:
        shown = {name: value for name, value in form.items() if name != "sip_secret"}
        faults = forms.faults(error, locale_of(request))
        return await _page(request, actor, error.status, shown, faults)
    return see("/trunks")


@routes.post("/trunks/caps")
async def set_caps(request: web.Request) -> web.StreamResponse:
    """Set the caps over all trunks: an empty field is no cap."""
    actor = page_actor(request, Right.TRUNKS_EDIT)
    form = await forms.texts(request)
    values = {name: form.get(name, "").strip().replace(",", ".") or None for name in CapsIn.model_fields}
    try:
        await request.app[TRUNKS].set_caps(actor, forms.read(CapsIn, values))
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(request, actor, error.status, caps_values=values, caps_faults=faults)
    return see("/trunks")


@routes.post("/trunks/{trunk_id:[0-9]{1,18}}/caps")
async def set_price(request: web.Request) -> web.StreamResponse:
    """Set a trunk's money of a day and its tariff."""
    actor = page_actor(request, Right.TRUNKS_EDIT)
    trunk_id, form = int(request.match_info["trunk_id"]), await forms.texts(request)
    values = {"max_spend_per_day": None} | _money(form, "max_spend_per_day")
    try:
        wanted = forms.read(TrunkEdit, values | {"rates": _tariff(form.get("rates", ""))})
        await request.app[TRUNKS].edit(actor, trunk_id, wanted)
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(request, actor, error.status, price_of=trunk_id, price_faults=faults)
    return see("/trunks")


@routes.post("/trunks/{trunk_id:[0-9]{1,18}}/{action:on|off|delete}")
async def act(request: web.Request) -> web.StreamResponse:
    """Switch a trunk on or off, or remove one that was never used."""
    actor = page_actor(request, Right.TRUNKS_EDIT)
    trunk_id, action = int(request.match_info["trunk_id"]), request.match_info["action"]
    if action == "delete":
        await request.app[TRUNKS].delete(actor, trunk_id)
    else:
        await request.app[TRUNKS].edit(actor, trunk_id, TrunkEdit(enabled=action == "on"))
    return see("/trunks")


def _money(form: MultiMapping[str], name: str) -> dict[str, str]:
    text = form.get(name, "").strip()
    return {name: text.replace(",", ".")} if text else {}


def _tariff(text: str) -> list[dict[str, str]]:
    """`+7 1.20` a line, with the price of an answered call as a third word. Raises Invalid."""
    rates = []
    for line in filter(None, map(str.strip, text.splitlines())):
        words = line.replace(";", " ").split()
        if not 2 <= len(words) <= 3:
            raise Invalid(
                field="rates", reason="each line has a prefix, a price of a minute and, if any, of a call"
            )
        names = ("prefix", "per_minute", "per_call")
        rates.append(dict(zip(names, (word.replace(",", ".") for word in words), strict=False)))
    return rates


async def _page(
    request: web.Request,
    actor: Actor,
    status: int = 200,
    values: dict[str, Any] | None = None,
    faults: dict[str, str] | None = None,
    **more: Any,
) -> web.StreamResponse:
    service = request.app[TRUNKS]
    caps = await service.caps(actor)
    context = {
        "trunks": await service.trunks(actor),
        "caps": caps,
        "caps_values": caps,
        "caps_faults": {},
        "price_of": None,
        "price_faults": {},
        "refusals": await request.app[CALLS].refusals(actor) if actor.may(Right.AUDIT_READ) else [],
        "typed_default": TYPED_PER_HOUR,
        "values": values or {},
        "faults": faults or {},
        "codecs": CODECS,
        "managed": request.app[SETTINGS].asterisk == "managed",
    }
    return await page(request, "trunks.html", status=status, **(context | more))
