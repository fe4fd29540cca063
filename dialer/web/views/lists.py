"""Lists of contacts: make one, bring a file in, watch it load, fetch what was refused."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from dialer.campaigns.http import CAMPAIGNS
from dialer.clock import utc_now
from dialer.contacts.imports_http import import_out
from dialer.contacts.keys import CONTACTS
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.forms import read_form
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import see
from dialer.whynot.http import WHY_NOT
from dialer.whynot.words import Words

routes = web.RouteTableDef()
LISTS = 50
IMPORTS = 20


@routes.get("/lists")
async def list_(request: web.Request) -> web.StreamResponse:
    """All lists, newest first."""
    return await _lists(request, {})


@routes.post("/lists")
async def create(request: web.Request) -> web.StreamResponse:
    """Make an empty list."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    name = await forms.field(request, "name")
    try:
        if not 0 < len(name) <= forms.LONGEST_NAME:
            raise Invalid(field="name", reason="is missing" if not name else "does not have the right form")
        made = await request.app[CONTACTS].add_list(actor, name)
    except DozvonError as error:
        return await _lists(request, forms.faults(error, locale_of(request)), error.status, name)
    return see(f"/lists/{made.id}")


async def _lists(
    request: web.Request, faults: dict[str, str], status: int = 200, name: str = ""
) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    asked = request.query.get("q", "").strip()[: forms.LONGEST_NAME]
    key = decode(request.query.get("cursor"), int)
    found = await request.app[CONTACTS].lists(
        actor, name=asked, before=key[0] if key else None, limit=LISTS + 1
    )
    rows, following = cut(found, LISTS, lambda row: (row.id,))
    given = {"q": asked} if asked else {}
    return await page(
        request,
        "lists.html",
        status=status,
        lists=rows,
        asked=asked,
        first=key is None,
        following="/lists?" + urlencode({**given, "cursor": following}) if following else None,
        faults=faults,
        name=name,
    )


@routes.get("/lists/{list_id:[0-9]{1,18}}")
async def one(request: web.Request) -> web.StreamResponse:
    """One list with its imports."""
    return await _one(request, {})


async def _one(request: web.Request, faults: dict[str, str], status: int = 200) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    since = await request.app[HUB].newest()
    service = request.app[CONTACTS]
    found = await service.get_list(actor, _id(request))
    sample = await service.contacts(actor, list_id=found.id, limit=10)
    return await page(
        request,
        "list.html",
        status=status,
        list=found,
        sample=sample,
        imports=await _imports_of(request),
        campaigns=await request.app[CAMPAIGNS].campaigns(actor, limit=100),
        faults=faults,
        since=since,
    )


async def _imports_of(request: web.Request) -> list[object]:
    actor = page_actor(request, Right.CONTACTS_READ)
    found = await request.app[CONTACTS].imports(actor, _id(request), limit=IMPORTS)
    return [import_out(job, locale_of(request)) for job in found]


@routes.get("/lists/{list_id:[0-9]{1,18}}/imports")
async def imports(request: web.Request) -> web.StreamResponse:
    """The imports of the list: the part that changes while a file loads."""
    actor = page_actor(request, Right.CONTACTS_READ)
    found = await request.app[CONTACTS].get_list(actor, _id(request))
    return await page(request, "parts/imports.html", imports=await _imports_of(request), list=found)


@routes.get("/lists/{list_id:[0-9]{1,18}}/funnel")
async def funnel(request: web.Request) -> web.StreamResponse:
    """What has become of the list: a part that comes after the page, since it counts every row."""
    actor = page_actor(request, Right.CONTACTS_READ)
    found = await request.app[CONTACTS].funnel(actor, _id(request))
    counted = [
        await request.app[WHY_NOT].campaign(actor, one.campaign_id, list_id=_id(request))
        for one in found.campaigns
    ]
    said = Words(locale_of(request), await request.app[LIVE].timezone(actor), utc_now())
    return await page(request, "parts/funnel.html", funnel=found, counted=counted, said=said)


@routes.post("/lists/{list_id:[0-9]{1,18}}/imports")
async def upload(request: web.Request) -> web.StreamResponse:
    """Bring a file in."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    form = await read_form(request)
    campaign = form.get("campaign")
    try:
        name, pieces = await forms.uploaded(request)
        campaign_id = forms.whole(campaign, "campaign") if isinstance(campaign, str) and campaign else None
        looked_at = form.get("do") != "load"
        job = await request.app[CONTACTS].add_import(
            actor, _id(request), name, pieces, campaign_id, preview=looked_at
        )
    except DozvonError as error:
        return await _one(request, forms.faults(error, locale_of(request)), error.status)
    return see(f"/imports/{job.id}" if looked_at else f"/lists/{_id(request)}")


@routes.post("/lists/{list_id:[0-9]{1,18}}/leads")
async def add_leads(request: web.Request) -> web.StreamResponse:
    """Have a campaign call the list."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    campaign_id = forms.whole(await forms.field(request, "campaign"), "campaign")
    await request.app[CONTACTS].add_list_to_campaign(actor, _id(request), campaign_id)
    return see(f"/campaigns/{campaign_id}")


def _id(request: web.Request) -> int:
    return int(request.match_info["list_id"])
