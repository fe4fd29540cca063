"""Campaigns: the list, the form, and one campaign live."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from dialer.agents.http import AGENTS
from dialer.calls import crm
from dialer.calls.call_log import Filter
from dialer.calls.http import CALLS
from dialer.campaigns.editing import as_seen
from dialer.campaigns.fields import CampaignEdit, CampaignIn, RetriesIn
from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.model import DEFAULT_DISPOSITIONS, Campaign, Disposition, Status
from dialer.campaigns.service import CampaignView
from dialer.campaigns.store import KeptDisposition
from dialer.clock import utc_now
from dialer.compliance.timetable import WEEKDAYS
from dialer.contacts.keys import CONTACTS
from dialer.errors import Conflict, DozvonError, Invalid, NotFound, WrongState
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.i18n import message
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.inbound.http import INBOUND
from dialer.policies.http import POLICY_SERVICE
from dialer.reports.figures import FORMULAS, Group
from dialer.reports.http import FIGURES
from dialer.said import Said
from dialer.scripts.http import SCRIPTS
from dialer.trunks.http import TRUNKS
from dialer.web import forms, retry_form
from dialer.web.keys import LIVE
from dialer.web.render import is_fragment, page
from dialer.web.views.door import renewed, see
from dialer.web.views.surveys import survey_choices

routes = web.RouteTableDef()

#: Texts whose emptiness is meant.
KEPT = ("caller_name", "abandon_message", "crm_url")
#: Empty, these mean that there is none.
EMPTY = (
    "skill",
    "abandon_target",
    "flow",
    "script",
    "survey",
    "policy_version",
    "most_per_day",
    "most_per_week",
    "most_per_month",
)
LAST_CALLS = 14
PAGE = 50
#: Lists that can be chosen on a campaign's page; others are found on the page of lists.
LISTS = 100


# -- the list ----------------------------------------------------------------------------------------------


@routes.get("/campaigns")
async def list_(request: web.Request) -> web.StreamResponse:
    """All campaigns, newest first."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    service = request.app[CAMPAIGNS]
    since = await request.app[HUB].newest()
    before = request.query.get("before")
    found = await service.campaigns(
        actor, before=forms.whole(before, "before") if before else None, limit=PAGE + 1
    )
    views = [await service.campaign(actor, one.id) for one in found[:PAGE]]
    figures = await _figures_of_all(request, actor)
    template = "parts/campaign_rows.html" if is_fragment(request) else "campaigns.html"
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return await page(
        request, template, views=views, figures=figures, more=more, since=since, here=request.path_qs
    )


async def _figures_of_all(request: web.Request, actor: Actor) -> dict[int | None, Any]:
    """Today's figures by campaign."""
    report = await request.app[FIGURES].figures(actor, Group.CAMPAIGN)
    return {row.key: row for row in report.rows}


# -- making and changing -----------------------------------------------------------------------------------


@routes.get("/campaigns/new")
async def new_form(request: web.Request) -> web.StreamResponse:
    """The form of a new campaign."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    values = {name: about.get_default() for name, about in CampaignIn.model_fields.items()}
    return await _form(request, actor, None, values | {"name": ""}, {})


@routes.post("/campaigns/new")
async def create(request: web.Request) -> web.StreamResponse:
    """Make a draft."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    values = _values(await forms.texts(request), {})
    try:
        view = await request.app[CAMPAIGNS].create(actor, forms.read(CampaignIn, _sent(values)))
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _form(request, actor, None, values, faults, error.status)
    return see(f"/campaigns/{view.campaign.id}")


@routes.get("/campaigns/{campaign_id:[0-9]{1,18}}/edit")
async def edit_form(request: web.Request) -> web.StreamResponse:
    """The form of a campaign."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    view = await request.app[CAMPAIGNS].campaign(actor, _id(request))
    values = _shown(view)
    seen = as_seen(values)
    if values["abandon_target"] is not None:
        values["abandon_target"] = f"{100 * values['abandon_target']:g}"
    return await _form(request, actor, view.campaign, values, {}, seen=seen)


@routes.post("/campaigns/{campaign_id:[0-9]{1,18}}/edit")
async def edit(request: web.Request) -> web.StreamResponse:
    """Change a draft or paused campaign, or the pace of one that runs; what somebody else has saved since the
    form was opened stays."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    service, campaign_id = request.app[CAMPAIGNS], _id(request)
    kept = (await service.campaign(actor, campaign_id)).campaign
    form = await forms.texts(request)
    values, seen = _values(form, kept.retries), _seen(form)
    try:
        # What the form does not have stays: settings of the detector.
        changes = {name: value for name, value in _sent(values).items() if name != "amd"}
        changes = dict.fromkeys(EMPTY) | changes
        await service.edit(actor, campaign_id, forms.read(CampaignEdit, changes), seen)
    except NotFound:
        raise
    except DozvonError as error:
        now = await service.campaign(actor, campaign_id)
        faults = forms.faults(error, locale_of(request))
        if isinstance(error, Conflict | WrongState):
            faults |= {"": message(error, locale_of(request))}
        if isinstance(error, Conflict) and seen is not None:
            # Who saves again has read what the others have set.
            seen |= {name: value for name, value in as_seen(_shown(now)).items() if name in faults}
        return await _form(request, actor, now.campaign, values, faults, error.status, seen=seen)
    return see(f"/campaigns/{campaign_id}")


def _shown(view: CampaignView) -> dict[str, Any]:
    return {
        name: list(view.trunks) if name == "trunks" else getattr(view.campaign, name)
        for name in CampaignIn.model_fields
    }


def _seen(form: MultiMapping[str]) -> dict[str, Any] | None:
    """What the form has shown when it was opened; None: it does not say."""
    try:
        found = json.loads(form.get("seen", ""))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _sent(values: Mapping[str, Any]) -> dict[str, Any]:
    """The form's texts as the API has them. Raises Invalid."""
    sent = dict(values) | {"exceptions": _days(values["exceptions"])}
    if "abandon_target" in sent:
        sent["abandon_target"] = forms.share(sent["abandon_target"], "abandon_target")
    return sent


def _days(text: str) -> dict[str, list[str]]:
    """A line a day, `2026-12-31 09:00-15:00` or `31.12.2026 -`. Raises Invalid."""
    found: dict[str, list[str]] = {}
    for written, *rest in (line.split(None, 1) for line in text.splitlines() if line.strip()):
        day = re.sub(r"^(\d\d)\.(\d\d)\.(\d{4})$", r"\3-\2-\1", written)
        if day in found:
            raise Invalid(field="exceptions", reason=Said("{day} stands there twice", day=day))
        found[day] = _spans("".join(rest))
    return found


def _values(form: MultiMapping[str], retries: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says, its shares and dates as they were typed."""
    values = forms.given(form, CampaignIn, lists=("trunks",), kept=KEPT)
    week = {name: form.get(f"week-{name}", "").strip() for name in WEEKDAYS}
    values["week"] = {name: _spans(text) for name, text in week.items() if text}
    values["exceptions"] = form.get("exceptions", "")
    return values | {"retries": retry_form.read(form, retries)}


def _spans(text: str) -> list[str]:
    """`10:00-13:00, 14:00-20:00`; a hyphen, or nothing, is no calls."""
    return [] if text.strip() in ("", "-") else [part for part in re.split(r"[,;\s]+", text) if part]


def _written(spans: Sequence[str]) -> str:
    return ", ".join(spans) or "-"


async def _form(
    request: web.Request,
    actor: Actor,
    campaign: Campaign | None,
    values: dict[str, Any],
    faults: dict[str, str],
    status: int = 200,
    *,
    seen: Mapping[str, Any] | None = None,
) -> web.StreamResponse:
    defaults = {name: about.get_default() for name, about in CampaignIn.model_fields.items()}
    shown = defaults | {"name": ""} | values
    if isinstance(shown["retries"], RetriesIn):
        shown["retries"] = shown["retries"].model_dump()
    dispositions = await _dispositions(request, actor, campaign)
    chosen = {str(one) for one in values.get("trunks", [])}
    return await page(
        request,
        "campaign_form.html",
        status=status,
        campaign=campaign,
        values=shown,
        waits=retry_form.lines(locale_of(request), shown["retries"], dispositions),
        weekdays=WEEKDAYS,
        week={name: _written(shown["week"][name]) if name in shown["week"] else "" for name in WEEKDAYS},
        exceptions=shown["exceptions"]
        if isinstance(shown["exceptions"], str)
        else "\n".join(f"{day} {_written(spans)}" for day, spans in shown["exceptions"].items()),
        seen=json.dumps(seen, ensure_ascii=False) if seen is not None else "",
        skills=await _skills(request, actor),
        chosen=chosen,
        faults=faults,
        flows=await _flows(request, actor, shown["flow"]),
        scripts=await _scripts(request, actor, shown["script"]),
        surveys=await survey_choices(request, actor, shown["survey"]),
        trunks=await request.app[TRUNKS].trunks(actor),
        policies=await request.app[POLICY_SERVICE].policies(actor),
        crm_variables=crm.VARIABLES,
    )


async def _skills(request: web.Request, actor: Actor) -> list[str]:
    """The skills that agents have."""
    return sorted({skill for agent, _ in await request.app[AGENTS].agents(actor) for skill in agent.skills})


async def _flows(request: web.Request, actor: Actor, chosen: str | None) -> list[str]:
    """The names of the flows that can be chosen, and the one that is."""
    live = {one.name for one in await request.app[INBOUND].flows(actor) if one.live_version is not None}
    return sorted(live | ({chosen} if chosen else set()))


async def _scripts(request: web.Request, actor: Actor, chosen: str | None) -> list[str]:
    """The names of the scripts that can be chosen, and the one that is."""
    live = {one.name for one in await request.app[SCRIPTS].scripts(actor) if one.live_version is not None}
    return sorted(live | ({chosen} if chosen else set()))


@routes.get("/campaigns/rules-check")
async def rules_check(request: web.Request) -> web.StreamResponse:
    """What the chosen policy says to the chosen mode and purpose, while the form is filled in."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    asked = [request.query.get(name, "") for name in ("policy", "mode", "purpose")]
    problems = await request.app[CAMPAIGNS].rule_problems(actor, *asked)
    return await page(request, "parts/rules_check.html", problems=problems)


async def _dispositions(
    request: web.Request, actor: Actor, campaign: Campaign | None
) -> Sequence[Disposition | KeptDisposition]:
    if campaign is None:
        return DEFAULT_DISPOSITIONS
    return await request.app[CAMPAIGNS].dispositions(actor, campaign.id)


# -- running -----------------------------------------------------------------------------------------------


@routes.post("/campaigns/{campaign_id:[0-9]{1,18}}/{action:start|pause|resume|stop|delete}")
async def act(request: web.Request) -> web.StreamResponse:
    """Start, pause, resume, stop, or remove a draft."""
    action, campaign_id = request.match_info["action"], _id(request)
    right = Right.CAMPAIGNS_EDIT if action == "delete" else Right.CAMPAIGNS_RUN
    actor = page_actor(request, right)
    done = await getattr(request.app[CAMPAIGNS], action)(actor, campaign_id)
    # The campaign's own page says it where it counts its leads.
    elsewhere = not request.headers.get("HX-Current-URL", "").endswith(f"/campaigns/{campaign_id}")
    if is_fragment(request) and action in ("start", "resume") and done.warnings and elsewhere:
        headers = {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML", "HX-Trigger": "refresh-all"}
        return await page(
            request,
            "parts/nothing_dialled.html",
            headers=headers,
            warnings=done.warnings,
            campaign_id=campaign_id,
        )
    back = "/campaigns" if action == "delete" else await forms.field(request, "back", "")
    return renewed(request, back if back == "/campaigns" else f"/campaigns/{campaign_id}")


@routes.post("/campaigns/{campaign_id:[0-9]{1,18}}/lists")
async def add_list(request: web.Request) -> web.StreamResponse:
    """Have the campaign call a list."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    list_id = forms.whole(await forms.field(request, "list"), "list")
    await request.app[CONTACTS].add_list_to_campaign(actor, list_id, _id(request))
    return see(f"/campaigns/{_id(request)}")


# -- live --------------------------------------------------------------------------------------------------


@routes.get("/campaigns/{campaign_id:[0-9]{1,18}}")
async def live(request: web.Request) -> web.StreamResponse:
    """One campaign as it goes on."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    # First the number, then what is read: no change in between is lost.
    since = await request.app[HUB].newest()
    context = await _board(request, actor) | await _figures(request, actor)
    adds = actor.may(Right.CAMPAIGNS_EDIT)
    lists = await request.app[CONTACTS].lists(actor, limit=LISTS + 1) if adds else []
    return await page(
        request,
        "campaign_live.html",
        part=False,
        since=since,
        lists=lists[:LISTS],
        more_lists=len(lists) > LISTS,
        **context,
    )


@routes.get("/campaigns/{campaign_id:[0-9]{1,18}}/board")
async def board(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes with every call."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    return await page(request, "parts/board.html", **await _board(request, actor))


@routes.get("/campaigns/{campaign_id:[0-9]{1,18}}/outcomes")
async def outcomes(request: web.Request) -> web.StreamResponse:
    """What its calls came to."""
    actor, campaign_id = page_actor(request, Right.CAMPAIGNS_READ), _id(request)
    counted = await request.app[CAMPAIGNS].outcomes(actor, campaign_id)
    return await page(request, "parts/outcomes.html", counted=[one for one in counted if one.calls])


@routes.get("/campaigns/{campaign_id:[0-9]{1,18}}/figures")
async def figures(request: web.Request) -> web.StreamResponse:
    """The figures of the page."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    return await page(request, "parts/figures.html", part=True, **await _figures(request, actor))


async def _board(request: web.Request, actor: Actor) -> dict[str, Any]:
    view = await request.app[CAMPAIGNS].campaign(actor, _id(request))
    last = None
    if actor.may(Right.CALLS_READ):
        last = await request.app[CALLS].calls(actor, Filter(campaign_id=view.campaign.id), limit=LAST_CALLS)
    return {
        "view": view,
        "campaign": view.campaign,
        "policy": view.policy,
        "board": await request.app[LIVE].board(actor, view.campaign),
        "last": last,
        "pauses": {code.code: code for code in await request.app[CAMPAIGNS].pause_codes(actor)},
    }


async def _figures(request: web.Request, actor: Actor) -> dict[str, Any]:
    view = await request.app[CAMPAIGNS].campaign(actor, _id(request))
    policy = view.policy
    service, locale = request.app[FIGURES], locale_of(request)
    total = (await service.campaign_figures(actor, view.campaign.id)).total
    since = utc_now() - timedelta(seconds=policy.abandon_window_s)
    started = view.campaign.started_at or view.campaign.created_at
    if view.campaign.created_at < since and started < since:
        window = (await service.campaign_figures(actor, view.campaign.id, since=since)).total
    else:
        window = total  # all of its life is inside the policy's time
    return {
        "view": view,
        "campaign": view.campaign,
        "policy": policy,
        "total": total,
        "window": window,
        "formulas": {name: formula.text(locale) for name, formula in FORMULAS.items()},
        "editable": view.campaign.status in (Status.DRAFT, Status.PAUSED),
    }


def _id(request: web.Request) -> int:
    return int(request.match_info["campaign_id"])
