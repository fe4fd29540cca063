"""Trunks: the lines to the telephone network."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dialer.errors import DozvonError
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.keys import SETTINGS
from dialer.httpkit.problems import locale_of
from dialer.trunks.fields import TrunkEdit, TrunkIn
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
        await request.app[TRUNKS].create(actor, forms.read(TrunkIn, values))
    except DozvonError as error:
        shown = {name: value for name, value in form.items() if name != "sip_secret"}
        faults = forms.faults(error, locale_of(request))
        return await _page(request, actor, error.status, shown, faults)
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


async def _page(
    request: web.Request,
    actor: Actor,
    status: int = 200,
    values: dict[str, Any] | None = None,
    faults: dict[str, str] | None = None,
) -> web.StreamResponse:
    return await page(
        request,
        "trunks.html",
        status=status,
        trunks=await request.app[TRUNKS].trunks(actor),
        values=values or {},
        faults=faults or {},
        codecs=CODECS,
        managed=request.app[SETTINGS].asterisk == "managed",
    )
