"""Why not: of a number, a contact, a lead, and of a whole campaign."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dialer.campaigns.http import CAMPAIGNS
from dialer.clock import utc_now
from dialer.errors import BadNumber
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.whynot.http import WHY_NOT
from dialer.whynot.model import Report
from dialer.whynot.words import Words

routes = web.RouteTableDef()

CAMPAIGN = "/campaigns/{campaign_id:[0-9]{1,18}}"
#: Campaigns that can be chosen; others are asked from their own pages.
CHOICE = 100


@routes.get("/why-not")
async def number(request: web.Request) -> web.StreamResponse:
    """A number, however it is written."""
    actor = page_actor(request, Right.CONTACTS_READ)
    asked = request.query.get("number", "").strip()
    chosen = request.query.get("campaign", "")
    report: Report | None = None
    faults: dict[str, str] = {}
    status = 200
    if asked:
        try:
            campaign_id = forms.whole(chosen, "campaign") if chosen else None
            report = await request.app[WHY_NOT].number(actor, asked, campaign_id)
        except BadNumber as error:
            faults, status = forms.faults(error, locale_of(request)), error.status
    return await _report(request, actor, report, status, asked=asked, chosen=chosen, faults=faults)


@routes.get("/contacts/{contact_id:[0-9]{1,18}}/why-not")
async def contact(request: web.Request) -> web.StreamResponse:
    """A contact, by all its leads."""
    actor = page_actor(request, Right.CONTACTS_READ)
    found = await request.app[WHY_NOT].contact(actor, int(request.match_info["contact_id"]))
    return await _report(request, actor, found)


@routes.get(CAMPAIGN + "/leads/{lead_id:[0-9]{1,18}}/why-not")
async def lead(request: web.Request) -> web.StreamResponse:
    """One lead."""
    actor = page_actor(request, Right.CONTACTS_READ)
    finding = await request.app[WHY_NOT].lead(actor, _id(request), int(request.match_info["lead_id"]))
    found = Report(None, (), unwanted=False, findings=(finding,))
    return await _report(request, actor, found, chosen=str(_id(request)))


async def _report(
    request: web.Request,
    actor: Actor,
    report: Report | None,
    status: int = 200,
    *,
    asked: str = "",
    chosen: str = "",
    faults: dict[str, str] | None = None,
) -> web.StreamResponse:
    return await page(
        request,
        "why_not.html",
        status=status,
        report=report,
        asked=asked,
        chosen=chosen,
        faults=faults or {},
        campaigns=await request.app[CAMPAIGNS].campaigns(actor, limit=CHOICE),
        said=await _words(request, actor),
    )


@routes.get(CAMPAIGN + "/why-not")
async def campaign(request: web.Request) -> web.StreamResponse:
    """A campaign's leads by what stops them."""
    return await page(request, "why_not_campaign.html", **await _funnel(request))


@routes.get(CAMPAIGN + "/why-not/board")
async def board(request: web.Request) -> web.StreamResponse:
    """The same in a few lines, for the campaign's page: it comes after the page, since it counts every
    lead."""
    return await page(request, "parts/why_not.html", **await _funnel(request))


async def _funnel(request: web.Request) -> dict[str, Any]:
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    funnel = await request.app[WHY_NOT].campaign(actor, _id(request))
    said = await _words(request, actor)
    running = funnel.campaign.status == "running"
    return {"funnel": funnel, "said": said, "warnings": said.warnings(funnel) if running else []}


async def _words(request: web.Request, actor: Actor) -> Words:
    return Words(locale_of(request), await request.app[LIVE].timezone(actor), utc_now())


def _id(request: web.Request) -> int:
    return int(request.match_info["campaign_id"])
