"""Alerts: what supervisors are called for, and the rules by which they are."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dialer.boards.alerting import OF_CAMPAIGN, OF_QUEUE, USUAL, Kind
from dialer.boards.alerts_http import ALERTS, AlertRuleIn
from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.queues.http import QUEUES
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()

#: Alerts of the past on the page, and campaigns that can be chosen.
SHOWN = 50
CAMPAIGNS_SHOWN = 100
#: Kinds whose threshold is a share, and is written in hundredths.
SHARES = frozenset({Kind.ABANDON_SHARE, Kind.SERVICE_LEVEL})


@routes.get("/board/alerts")
async def list_(request: web.Request) -> web.StreamResponse:
    """The rules, and the latest alerts."""
    return await _page(request, page_actor(request, Right.REPORTS_READ))


@routes.get("/board/alerts/now")
async def now(request: web.Request) -> web.StreamResponse:
    """What supervisors are called for, as it stands above the board."""
    actor = page_actor(request, Right.REPORTS_READ)
    return await page(request, "parts/alerts.html", alerts=await request.app[ALERTS].now(actor))


@routes.post("/board/alerts")
async def add(request: web.Request) -> web.StreamResponse:
    """Watch over something more."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    values = {name: form.get(name, "").strip() for name in ("kind", "threshold", "about")}
    try:
        wanted = forms.read(AlertRuleIn, _read(values))
        await request.app[ALERTS].add(
            actor, wanted.kind, wanted.asked, campaign_id=wanted.campaign_id, queue_id=wanted.queue_id
        )
    except DozvonError as error:
        return await _page(request, actor, error.status, values, forms.faults(error, locale_of(request)))
    return see("/board/alerts")


@routes.post("/board/alerts/{rule_id:[0-9]{1,18}}/delete")
async def remove(request: web.Request) -> web.StreamResponse:
    """Watch over it no more."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    await request.app[ALERTS].remove(actor, int(request.match_info["rule_id"]))
    return see("/board/alerts")


def _read(values: dict[str, str]) -> dict[str, Any]:
    """The fields of a form as the API has them. Raises Invalid."""
    found: dict[str, Any] = {"kind": values["kind"]}
    if values["threshold"]:
        try:
            number = float(values["threshold"].replace(",", ".").rstrip(" %"))
        except ValueError:
            raise Invalid(field="threshold", reason="must be a number") from None
        found["threshold"] = number / 100 if values["kind"] in SHARES else number
    what, _, key = values["about"].partition(":")
    if what in ("campaign", "queue"):
        found[f"{what}_id"] = forms.whole(key, "about")
    return found


async def _page(
    request: web.Request,
    actor: Actor,
    status: int = 200,
    values: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
) -> web.StreamResponse:
    since = await request.app[HUB].newest()
    service = request.app[ALERTS]
    campaigns = await request.app[CAMPAIGNS].campaigns(actor, limit=CAMPAIGNS_SHOWN)
    wrong = faults or {}
    for name in ("campaign_id", "queue_id"):
        if name in wrong:
            wrong["about"] = wrong.pop(name)
    return await page(
        request,
        "alerts.html",
        status=status,
        since=since,
        rules=await service.rules(actor),
        alerts=await service.now(actor),
        past=[one for one in await service.latest(actor, limit=SHOWN) if one.ended_at],
        kinds=tuple(Kind),
        usual={kind: USUAL[kind] * (100 if kind in SHARES else 1) for kind in Kind},
        shares=SHARES,
        of_campaign=OF_CAMPAIGN,
        of_queue=OF_QUEUE,
        campaigns=[one for one in campaigns if one.status.value in ("running", "paused", "draft")],
        queues=await request.app[QUEUES].queues(actor),
        values=values or {},
        faults=wrong,
    )
