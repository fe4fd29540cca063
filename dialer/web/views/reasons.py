"""The reasons for which people call: a section of the page of queues."""

from __future__ import annotations

from aiohttp import web

from dialer.errors import DozvonError
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.inbound.reasons_http import REASONS, ReasonsIn
from dialer.queues.http import QUEUES
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()


@routes.post("/reasons")
async def write(request: web.Request) -> web.StreamResponse:
    """Write the list anew, a line a reason."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    text = await forms.field(request, "reasons")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    try:
        await request.app[REASONS].write(actor, forms.read(ReasonsIn, {"reasons": names}).reasons)
    except DozvonError as error:
        return await page(
            request,
            "queues.html",
            status=error.status,
            since=await request.app[HUB].newest(),
            queues=await request.app[QUEUES].queues(actor),
            reasons=names,
            faults=forms.faults(error, locale_of(request)),
        )
    return see("/queues#reasons")
