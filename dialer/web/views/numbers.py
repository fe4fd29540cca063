"""Numbers that people call: which flow each leads to, and whose talks those are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

from aiohttp import web
from multidict import MultiMapping

from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import DozvonError, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.inbound.http import INBOUND, NumberEdit, NumberIn
from dialer.inbound.missed_rule import MissedDefault, Rule
from dialer.inbound.missed_rule_http import MISSED_RULES, MissedRuleIn
from dialer.inbound.model import MissedRule, Number
from dialer.queues.http import QUEUES
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()

ONE = "/numbers/{number_id:[0-9]{1,18}}"


@routes.get("/numbers")
async def list_(request: web.Request) -> web.StreamResponse:
    """All numbers."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    return await _list(request, actor)


@routes.post("/numbers/missed")
async def write_missed(request: web.Request) -> web.StreamResponse:
    """Say which missed callers are called back by numbers that say nothing of it."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    try:
        said = forms.read(MissedRuleIn, forms.given(form, MissedRuleIn))
        await request.app[MISSED_RULES].write(actor, MissedDefault(said.rule, said.after_s))
    except DozvonError as error:
        return await _list(request, actor, form, error)
    return see("/numbers")


@routes.get("/numbers/new")
async def new_form(request: web.Request) -> web.StreamResponse:
    """The form of a new number."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    usual = {
        "active": True,
        "missed_rule": "usual",
        "missed_after_s": 10,
        "flow": request.query.get("flow", ""),
    }
    return await _form(request, actor, usual, {})


@routes.post("/numbers/new")
async def create(request: web.Request) -> web.StreamResponse:
    """Lead a number to a flow."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form = await forms.texts(request)
    try:
        wanted = forms.read(NumberIn, forms.given(form, NumberIn))
        await request.app[INBOUND].add_number(actor, wanted.flow, wanted.model_dump(exclude={"flow"}))
    except DozvonError as error:
        return await _refused(request, actor, form, error)
    return see("/numbers")


@routes.get(ONE)
async def one(request: web.Request) -> web.StreamResponse:
    """What becomes of who calls a number."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    number = await _number(request, actor)
    return await _form(request, actor, asdict(number), {}, number=number)


@routes.post(ONE)
async def edit(request: web.Request) -> web.StreamResponse:
    """Say anew what becomes of who calls a number."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    number, form = await _number(request, actor), await forms.texts(request)
    try:
        wanted = forms.read(NumberEdit, forms.given(form, NumberEdit))
        values = wanted.model_dump(exclude={"flow"})
        await request.app[INBOUND].change_number(actor, number.id, wanted.flow, values)
    except DozvonError as error:
        return await _refused(request, actor, form, error, number)
    return see("/numbers")


@routes.post(ONE + "/delete")
async def delete(request: web.Request) -> web.StreamResponse:
    """Forget a number that nobody has called."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    number = await _number(request, actor)
    try:
        await request.app[INBOUND].remove_number(actor, number.id)
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _form(request, actor, asdict(number), faults, number=number, status=error.status)
    return see("/numbers")


async def _list(
    request: web.Request,
    actor: Actor,
    missed: Mapping[str, str] | None = None,
    error: DozvonError | None = None,
) -> web.StreamResponse:
    """`missed`: the rule of missed calls as it was sent."""
    service = request.app[INBOUND]
    return await page(
        request,
        "numbers.html",
        status=error.status if error else 200,
        numbers=await service.numbers(actor),
        flows={one.id: one for one in await service.flows(actor)},
        missed=missed if missed is not None else asdict(await request.app[MISSED_RULES].rule(actor)),
        rules=get_args(Rule),
        faults=forms.faults(error, locale_of(request)) if error else {},
    )


async def _number(request: web.Request, actor: Actor) -> Number:
    number_id = int(request.match_info["number_id"])
    for each in await request.app[INBOUND].numbers(actor):
        if each.id == number_id:
            return each
    raise NotFound(what="number", key=number_id)


async def _refused(
    request: web.Request,
    actor: Actor,
    form: MultiMapping[str],
    error: DozvonError,
    number: Number | None = None,
) -> web.StreamResponse:
    """The form as it was sent, with what is wrong."""
    values = {name: form.get(name, "") for name in NumberIn.model_fields}
    faults = forms.faults(error, locale_of(request))
    return await _form(request, actor, values, faults, number=number, status=error.status)


async def _form(
    request: web.Request,
    actor: Actor,
    values: Mapping[str, Any],
    faults: Mapping[str, str],
    *,
    number: Number | None = None,
    status: int = 200,
) -> web.StreamResponse:
    campaigns = {each.id: each.name for each in await request.app[CAMPAIGNS].campaigns(actor, limit=200)}
    if number is not None:  # an old one, behind so many newer
        campaigns.setdefault(number.campaign_id, number.campaign)
    return await page(
        request,
        "number_form.html",
        status=status,
        number=number,
        values=values,
        faults=faults,
        flows=await request.app[INBOUND].flows(actor),
        missed=await request.app[MISSED_RULES].rule(actor),
        rules=get_args(MissedRule),
        campaigns=campaigns,
        queues=[each.fields["name"] for each in await request.app[QUEUES].queues(actor)],
    )
