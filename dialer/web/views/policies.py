"""The rules that campaigns follow, each with its source."""

from __future__ import annotations

from aiohttp import web

from dialer.compliance.model import POLICIES
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.web.render import page

routes = web.RouteTableDef()


@routes.get("/policies")
async def list_(request: web.Request) -> web.StreamResponse:
    """All rules."""
    page_actor(request, Right.CAMPAIGNS_READ)
    return await page(request, "policies.html", policies=list(POLICIES.values()))
