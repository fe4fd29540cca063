"""Flows: which there are, where callers are in them and where they leave, versions and their publishing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, cast
from zoneinfo import ZoneInfo

from aiohttp import web
from markupsafe import Markup

from dialer.clock import utc_now
from dialer.errors import BadFlow, DozvonError, Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.inbound.http import INBOUND
from dialer.inbound.model import FlowRow, Version
from dialer.inbound.service import Use
from dialer.inbound.traffic import StateTraffic
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import see
from ivr_flows import drawing, loader
from ivr_flows.changes import Changes, changes
from ivr_flows.drawing import Mark
from ivr_flows.model import Flow

routes = web.RouteTableDef()

ONE = "/flows/{flow_id:[0-9]{1,18}}"
VERSION = ONE + "/versions/{version:[0-9]{1,9}}"
#: The spans that can be chosen without typing: word -> days back; 0: today.
SPANS = {"today": 0, "7d": 7, "30d": 30}


@routes.get("/flows")
async def list_(request: web.Request) -> web.StreamResponse:
    """All flows."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    since = await request.app[HUB].newest()
    return await page(request, "flows.html", since=since, **await _table(request, actor))


@routes.get("/flows/table")
async def table(request: web.Request) -> web.StreamResponse:
    """The part of the list that changes."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    return await page(request, "parts/flows_table.html", **await _table(request, actor))


async def _table(request: web.Request, actor: Actor) -> dict[str, Any]:
    service = request.app[INBOUND]
    numbers: dict[int, list[str]] = {}
    for one in await service.numbers(actor):
        numbers.setdefault(one.flow_id, []).append(one.number)
    here = {flow: sum(states.values()) for flow, states in (await service.here(actor)).items()}
    return {"flows": await service.flows(actor), "numbers": numbers, "here": here}


@routes.get(ONE)
async def one(request: web.Request) -> web.StreamResponse:
    """A flow: drawn, with its traffic, and its versions."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    row = await flow_row(request, actor)
    since = await request.app[HUB].newest()
    versions = await request.app[INBOUND].versions(actor, row.name)
    return await page(
        request,
        "flow.html",
        since=since,
        row=row,
        versions=[(each, _before(each, versions)) for each in versions],
        numbers=[each for each in await request.app[INBOUND].numbers(actor) if each.flow_id == row.id],
        **await _traffic(request, actor, row, versions),
    )


@routes.get(ONE + "/traffic")
async def live(request: web.Request) -> web.StreamResponse:
    """The part of a flow's page that changes."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    row = await flow_row(request, actor)
    versions = await request.app[INBOUND].versions(actor, row.name)
    return await page(
        request, "parts/flow_traffic.html", row=row, **await _traffic(request, actor, row, versions)
    )


@routes.get(VERSION)
async def version(request: web.Request) -> web.StreamResponse:
    """A version: what it says, what is different in it, what hinders its publishing."""
    return await _version(request, page_actor(request, Right.CAMPAIGNS_READ))


@routes.post(VERSION + "/publish")
async def publish(request: web.Request) -> web.StreamResponse:
    """Have callers led by a version."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    row, number = await flow_row(request, actor), int(request.match_info["version"])
    use = await forms.field(request, "use")
    if use not in ("test", "live"):
        raise Invalid(field="use", reason="is not known here")
    try:
        await request.app[INBOUND].publish(actor, row.name, number, cast("Use", use))
    except BadFlow as error:
        return await _version(request, actor, error.status)
    return see(f"/flows/{row.id}")


async def _version(request: web.Request, actor: Actor, status: int = 200) -> web.StreamResponse:
    row, number = await flow_row(request, actor), int(request.match_info["version"])
    service = request.app[INBOUND]
    versions = await service.versions(actor, row.name)
    found = next((each for each in versions if each.version == number), None)
    if found is None:
        raise NotFound(what="version of the flow", key=f"{row.name} {number}")
    live_one = next((each for each in versions if each.version == row.live_version), None)
    flow = loader.from_document(found.document, checked=False)
    return await page(
        request,
        "flow_version.html",
        status=status,
        row=row,
        version=found,
        picture=await _picture(flow),
        problems=await service.hindrances(actor, row.name, number),
        changed=changes(live_one.document, found.document) if live_one and live_one is not found else None,
        numbers=[each for each in await service.numbers(actor) if each.flow_id == row.id and each.active],
    )


async def _picture(flow: Flow, marks: Mapping[str, Mark] = MappingProxyType({})) -> Markup:
    """The drawing. Of a thousand states it takes a second, in which other pages go on."""
    return Markup(await asyncio.to_thread(drawing.svg, flow, marks))  # noqa: S704 - it escapes


async def flow_row(request: web.Request, actor: Actor) -> FlowRow:
    """The flow that the path names. Raises NotFound."""
    flow_id = int(request.match_info["flow_id"])
    for each in await request.app[INBOUND].flows(actor):
        if each.id == flow_id:
            return each
    raise NotFound(what="flow", key=flow_id)


def _before(version: Version, versions: Sequence[Version]) -> Changes | None:
    """What is different from the version before."""
    older = next((each for each in versions if each.version == version.version - 1), None)
    return changes(older.document, version.document) if older else None


async def _traffic(
    request: web.Request, actor: Actor, row: FlowRow, versions: Sequence[Version]
) -> dict[str, Any]:
    """The flow as it is drawn, its states with their traffic, and the span of time."""
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    asked = {name: request.query.get(name, "").strip() for name in ("span", "from", "until")}
    faults: dict[str, str] = {}
    try:
        since, until = _span(asked, zone)
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        since, until = _span({"span": "today"}, zone)
    shown = row.live_version or row.last_version
    drawn = next((each for each in versions if each.version == shown), None)
    traffic = await request.app[INBOUND].traffic(actor, row.name, since, until)
    flow = loader.from_document(drawn.document, checked=False) if drawn else None
    marks = {name: each.mark for name, each in traffic.items()}
    return {
        "drawn": drawn,
        "picture": await _picture(flow, marks) if flow else None,
        "states": _states(flow, traffic),
        "asked": asked,
        "spans": tuple(SPANS),
        "faults": faults,
        "begins": since,
    }


def _states(
    flow: Flow | None, traffic: Mapping[str, StateTraffic]
) -> list[tuple[str, str, str, StateTraffic]]:
    """Name, title, verb and traffic: in the order of the flow, then those of earlier versions."""
    now = flow.states if flow else {}
    found = [
        (name, state.title, state.verb.value, traffic.get(name, StateTraffic()))
        for name, state in now.items()
    ]
    return found + [(name, "", "", each) for name, each in sorted(traffic.items()) if name not in now]


def _span(asked: Mapping[str, str], zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when to when; to the end of time where no end was asked for. Raises Invalid."""
    now = utc_now()
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    since = forms.moment(asked.get("from", ""), "from", zone)
    until = forms.moment(asked.get("until", ""), "until", zone)
    if since is None:
        since = today - timedelta(days=SPANS.get(asked.get("span") or "today", 0))
    return since, until or now + timedelta(days=1)
