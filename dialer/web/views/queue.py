"""What comes next in a campaign: its order, the shares of its lists, quotas, retries, recycling."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.leads import CLOSED_FOR, QuotasIn, RecycleIn, SharesIn
from dialer.campaigns.leads_http import LEADS
from dialer.campaigns.model import Status
from dialer.db.tables import DISPOSITION_KINDS
from dialer.errors import DozvonError, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.web import forms, retry_form
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()

PATH = "/campaigns/{campaign_id:[0-9]{1,18}}/queue"
#: Empty lines of the table of quotas, for new ones.
MORE_QUOTAS = 3
DAY_S = 86400


@routes.get(PATH)
async def queue(request: web.Request) -> web.StreamResponse:
    """The page."""
    return await _page(request, page_actor(request, Right.CAMPAIGNS_READ))


@routes.post(PATH + "/shares")
async def set_shares(request: web.Request) -> web.StreamResponse:
    """Save the shares of the lists."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    items = [
        {"list_id": match[1], "share": form[field].strip()}
        for field in form
        if (match := re.fullmatch(r"share\.([0-9]{1,18})", field)) and form[field].strip() not in ("", "0")
    ]
    try:
        await request.app[LEADS].set_shares(actor, _id(request), forms.read(SharesIn, {"items": items}))
    except NotFound:
        raise
    except DozvonError as error:
        return await _page(
            request, actor, shares=forms.faults(error, locale_of(request)), status=error.status
        )
    return see(_here(request))


@routes.post(PATH + "/quotas")
async def set_quotas(request: web.Request) -> web.StreamResponse:
    """Save the quotas."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    columns = [form.getall(name, []) for name in ("field", "value", "wanted")]
    items = [
        {"field": field.strip(), "value": value.strip(), "wanted": wanted.strip(), "counts": counts}
        for n, (field, value, wanted) in enumerate(zip(*columns, strict=False))
        if field.strip() or value.strip()
        for counts in [form.getall(f"counts.{n}", [])]
    ]
    try:
        await request.app[LEADS].set_quotas(actor, _id(request), forms.read(QuotasIn, {"items": items}))
    except NotFound:
        raise
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(request, actor, quotas=faults, asked=items, status=error.status)
    return see(_here(request))


@routes.post(PATH + "/recycle")
async def recycle(request: web.Request) -> web.StreamResponse:
    """Count the leads that would begin anew, or have them begin."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    rule = _rule(form)
    service = request.app[LEADS]
    try:
        wanted = forms.read(RecycleIn, rule)
        if "go" not in form:
            preview = await service.would_recycle(actor, _id(request), wanted)
            return await _page(request, actor, rule=rule, preview=preview)
        await service.recycle(actor, _id(request), wanted)
    except NotFound:
        raise
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(request, actor, recycling=faults, rule=rule, status=error.status)
    return see(_here(request))


def _rule(form: MultiMapping[str]) -> dict[str, Any]:
    days = form.get("days", "").strip()
    older = int(days) * DAY_S if re.fullmatch(r"[0-9]{1,5}", days) else (days or 0)
    return {
        "reasons": form.getall("reasons", []),
        "older_than_s": older,
        "reset_attempts": "reset_attempts" in form,
    }


async def _page(
    request: web.Request,
    actor: Actor,
    *,
    shares: dict[str, str] | None = None,
    quotas: dict[str, str] | None = None,
    recycling: dict[str, str] | None = None,
    asked: list[dict[str, Any]] | None = None,
    rule: dict[str, Any] | None = None,
    preview: int | None = None,
    status: int = 200,
) -> web.StreamResponse:
    service, campaign_id = request.app[LEADS], _id(request)
    campaign = (await request.app[CAMPAIGNS].campaign(actor, campaign_id)).campaign
    dispositions = await request.app[CAMPAIGNS].dispositions(actor, campaign_id)
    kept = [asdict(one) | {"full": one.full} for one in await service.quotas(actor, campaign_id)]
    closed: dict[str, int] = {}
    for one in await service.closed(actor, campaign_id):
        closed[one.reason] = closed.get(one.reason, 0) + one.leads
    return await page(
        request,
        "queue.html",
        status=status,
        campaign=campaign,
        editable=actor.may(Right.CAMPAIGNS_EDIT) and campaign.status is not Status.STOPPED,
        settings=actor.may(Right.CAMPAIGNS_EDIT) and campaign.status in (Status.DRAFT, Status.PAUSED),
        lists=await service.shares(actor, campaign_id),
        quotas=asked if asked is not None else kept,
        more_quotas=[{"field": "", "value": "", "wanted": "", "counts": ["sale"]}] * MORE_QUOTAS,
        kinds=[kind for kind in DISPOSITION_KINDS if kind != "do_not_call"],
        closed=closed,
        reasons=[reason for reason in CLOSED_FOR if closed.get(reason)],
        rules=retry_form.rules(locale_of(request), campaign.retries, dispositions),
        recycled=await service.recycled(actor, campaign_id),
        rule=rule,
        preview=preview,
        faults={"shares": shares or {}, "quotas": quotas or {}, "recycling": recycling or {}},
    )


def _here(request: web.Request) -> str:
    return f"/campaigns/{_id(request)}/queue"


def _id(request: web.Request) -> int:
    return int(request.match_info["campaign_id"])
