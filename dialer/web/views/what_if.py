"""What another setting of a campaign would give, and how it is set as the campaign runs."""

from __future__ import annotations

from aiohttp import web

from dialer.boards.what_if_http import WHAT_IF, WhatIfIn
from dialer.boards.what_if_service import BOUND_S, MODES
from dialer.campaigns.fields import CampaignEdit
from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import DozvonError, Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.web import forms
from dialer.web.render import is_fragment, page
from dialer.web.views.door import see

routes = web.RouteTableDef()
PATH = "/campaigns/{campaign_id:[0-9]{1,18}}/what-if"
TUNE = "/campaigns/{campaign_id:[0-9]{1,18}}/tune"
#: What of the form a campaign is set to.
TUNED = ("mode", "ratio", "abandon_target")


@routes.get(PATH)
async def form(request: web.Request) -> web.StreamResponse:
    """The form."""
    actor = page_actor(request, Right.CAMPAIGNS_RUN)
    view = await request.app[CAMPAIGNS].campaign(actor, int(request.match_info["campaign_id"]))
    return await page(
        request,
        "what_if.html",
        campaign=view.campaign,
        policy=view.policy,
        modes=MODES,
        bound_s=BOUND_S,
        answer=None,
        faults={},
    )


@routes.post(PATH)
async def ask(request: web.Request) -> web.StreamResponse:
    """The answer, beside the present setting."""
    actor = page_actor(request, Right.CAMPAIGNS_RUN)
    campaign_id = int(request.match_info["campaign_id"])
    view = await request.app[CAMPAIGNS].campaign(actor, campaign_id)
    values = forms.given(await forms.texts(request), WhatIfIn)
    answer, faults = None, {}
    try:
        if "abandon_target" in values:
            values["abandon_target"] = forms.share(values["abandon_target"], "abandon_target")
        answer = await request.app[WHAT_IF].ask(actor, campaign_id, forms.read(WhatIfIn, values).change)
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
    return await page(
        request,
        "parts/what_if.html",
        campaign=view.campaign,
        policy=view.policy,
        answer=answer,
        faults=faults,
    )


@routes.post(TUNE)
async def tune(request: web.Request) -> web.StreamResponse:
    """Have the campaign dial so from now on, as it runs. Agents are moved on the board."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    campaign_id = int(request.match_info["campaign_id"])
    values = forms.given(await forms.texts(request), WhatIfIn)
    wanted = {name: values[name] for name in TUNED if name in values}
    faults: dict[str, str] = {}
    try:
        if "abandon_target" in wanted:
            wanted["abandon_target"] = forms.share(wanted["abandon_target"], "abandon_target")
        if not wanted:
            raise Invalid(field="mode", reason="nothing would be changed")
        await request.app[CAMPAIGNS].edit(actor, campaign_id, forms.read(CampaignEdit, wanted))
    except NotFound:
        raise
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
    if not faults and not is_fragment(request):
        return see(f"/campaigns/{campaign_id}")
    view = await request.app[CAMPAIGNS].campaign(actor, campaign_id)
    return await page(request, "parts/tuned.html", campaign=view.campaign, policy=view.policy, faults=faults)
