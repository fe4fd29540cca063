"""Promised calls: the calendar, one callback with what can be done with it, and a new one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.agents.http import AGENTS
from dialer.callbacks.http import CALLBACKS, CallbackEdit, CallbackIn, CancelIn, ManyIn
from dialer.callbacks.making import Asked
from dialer.callbacks.service import Change, Outlook
from dialer.callbacks.store import CallbackRow, Which
from dialer.clock import utc_now
from dialer.compliance.model import zone_of
from dialer.contacts.people_http import PEOPLE
from dialer.errors import DozvonError, Forbidden, Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import is_fragment, page
from dialer.web.views.door import see
from scheduler.callbacks import Away, Stage, State

routes = web.RouteTableDef()
ONE = "/callbacks/{callback_id:[0-9]{1,18}}"
#: Callbacks of one view; a day of a hundred agents has fewer.
MOST = 500
#: Missed ones are shown for so long.
MISSED_FOR = timedelta(days=7)
#: Promises to one person; few have had so many.
ON_CARD = 100
#: Clocks of places where somebody may be that are told one by one.
MOST_CLOCKS = 3
OPEN = (State.WAITING, State.DIALLING)


# -- the calendar ------------------------------------------------------------------------------------------


@routes.get("/callbacks")
async def calendar(request: web.Request) -> web.StreamResponse:
    """A week or a day of calls that were promised; what is late comes first."""
    return await _calendar(request)


async def _calendar(
    request: web.Request, status: int = 200, faults: dict[str, str] | None = None
) -> web.StreamResponse:
    actor = page_actor(request)
    since = await request.app[HUB].newest()
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    now = utc_now()
    view = "day" if request.query.get("view") == "day" else "week"
    day = _day(request.query.get("day", ""), now.astimezone(zone).date())
    first = day if view == "day" else day - timedelta(days=day.weekday())
    days = [first + timedelta(days=n) for n in range(1 if view == "day" else 7)]
    begins, ends = (datetime.combine(one, time(), zone) for one in (days[0], days[-1] + timedelta(days=1)))
    which = _which(request)
    service = request.app[CALLBACKS]
    rows = await service.callbacks(actor, Which(**which, since=begins, until=ends), limit=MOST)
    late = await service.callbacks(actor, Which(**which, states=OPEN, until=now), limit=MOST)
    missed = await service.callbacks(
        actor, Which(**which, states=(State.MISSED,), since=now - MISSED_FOR), limit=MOST
    )
    gone = await service.callbacks(actor, Which(**which, states=(State.WAITING,), gone=True), limit=MOST)
    step = timedelta(days=len(days))
    everybody = actor.may(Right.AGENTS_READ)
    return await page(
        request,
        "parts/callbacks.html" if is_fragment(request) else "callbacks.html",
        status=status,
        since=since,
        view=view,
        days=days,
        today=now.astimezone(zone).date(),
        day=day,
        earlier=first - step,
        later=first + step,
        lines=_lines(rows, days, zone, now),
        gone=gone,
        owed=[row for row in late if row.state is State.WAITING and not row.agent_gone],
        missed=missed,
        cut_off=len(rows) == MOST or len(late) == MOST,
        agents=await service.callers(actor) if everybody else [],
        everybody=everybody,
        may_change=actor.may(Right.AGENTS_CONTROL),
        agent=request.query.get("agent", ""),
        faults=faults or {},
        here=request.path_qs,
    )


def _day(text: str, today: date) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return today
    return found if 2000 < found.year < 2100 else today


def _which(request: web.Request) -> dict[str, Any]:
    agent = request.query.get("agent", "")
    if agent == "anyone":
        return {"anyones": True}
    return {"agent_id": forms.whole(agent, "agent")} if agent else {}


def _lines(
    rows: Sequence[CallbackRow], days: Sequence[date], zone: ZoneInfo, now: datetime
) -> list[tuple[str | None, dict[date, list[tuple[CallbackRow, Stage]]]]]:
    """A line for each agent (None: anybody calls), with what each day has for them."""
    names = sorted({row.agent for row in rows}, key=lambda name: (name is not None, name or ""))
    return [
        (
            name,
            {
                day: [
                    (row, row.stage(now))
                    for row in rows
                    if row.agent == name and row.due_at.astimezone(zone).date() == day
                ]
                for day in days
            },
        )
        for name in names
    ]


async def _own(request: web.Request, actor: Actor) -> int | None:
    """The agent that the reader is."""
    if not actor.may(Right.WORK):
        return None
    try:
        return await request.app[AGENTS].own_id(actor)
    except NotFound:
        return None


@routes.post("/callbacks/change")
async def change_many(request: web.Request) -> web.StreamResponse:
    """Give many to somebody else, move or cancel them."""
    actor, form = page_actor(request, Right.AGENTS_CONTROL), await forms.texts(request)
    try:
        wanted = forms.read(ManyIn, {"ids": form.getall("ids", []), **_what(form)})
        await request.app[CALLBACKS].change_many(
            actor,
            wanted.ids,
            agent_id=wanted.agent_id,
            anyone=wanted.anyone,
            by=timedelta(seconds=wanted.move_by_s) if wanted.move_by_s is not None else None,
            cancel=wanted.cancel,
        )
    except DozvonError as error:
        return await _calendar(request, error.status, forms.faults(error, locale_of(request)))
    return see(_back_to(form))


def _what(form: MultiMapping[str]) -> dict[str, Any]:
    """What is to be done with those that are ticked."""
    what = form.get("what", "")
    if what == "anyone":
        return {"anyone": True}
    if what == "move":
        return {"move_by_s": forms.whole(form.get("minutes", "").strip() or "x", "minutes") * 60}
    if what == "cancel":
        return {"cancel": form.get("reason", "").strip() or None}
    return {"agent_id": what or None}


def _back_to(form: MultiMapping[str]) -> str:
    here = form.get("here", "")
    return here if here.startswith("/callbacks") else "/callbacks"


# -- one ---------------------------------------------------------------------------------------------------


@routes.get(ONE)
async def one(request: web.Request) -> web.StreamResponse:
    """One callback."""
    return await _one(request)


async def _one(request: web.Request, form: str = "", error: DozvonError | None = None) -> web.StreamResponse:
    actor = page_actor(request)
    row = await request.app[CALLBACKS].get(actor, _id(request))
    return await page(
        request,
        "callback.html",
        status=error.status if error else 200,
        row=row,
        stage=row.stage(utc_now()),
        just_made="made" in request.query,
        agents=await request.app[CALLBACKS].callers(actor),
        aways=list(Away),
        changeable=actor.may(Right.WORK) and row.state in (State.WAITING, State.MISSED),
        wrong={form: forms.faults(error, locale_of(request))} if error else {},
        local_at=_local(row.from_at, row.zone),
        local_until=_local(row.until_at, row.zone) if row.until_at else "",
    )


def _local(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")


def _id(request: web.Request) -> int:
    return int(request.match_info["callback_id"])


@routes.post(ONE)
async def change(request: web.Request) -> web.StreamResponse:
    """Another time, another agent, another note."""
    actor, form = page_actor(request, Right.WORK), await forms.texts(request)
    try:
        values = _when(form) | {"note": form.get("note", "")}
        row = await request.app[CALLBACKS].get(actor, _id(request))
        if values.get("at") == _local(row.from_at, row.zone) and row.state is State.WAITING:
            same_end = values.get("until", "") == (_local(row.until_at, row.zone) if row.until_at else "")
            if same_end and values.get("zone", row.zone) == row.zone:
                values = {name: value for name, value in values.items() if name not in ("at", "until")}
        body = forms.read(CallbackEdit, values)
        wanted = Change(**{name: getattr(body, name) for name in CallbackEdit.model_fields})
        await request.app[CALLBACKS].change(actor, _id(request), wanted)
    except DozvonError as error:
        return await _one(request, "change", error)
    try:
        await request.app[CALLBACKS].get(actor, _id(request))
    except Forbidden:  # it is a colleague's now
        return see("/callbacks")
    return see(f"/callbacks/{_id(request)}?made=1")


@routes.post(ONE + "/cancel")
async def cancel(request: web.Request) -> web.StreamResponse:
    """Nobody calls."""
    actor, form = page_actor(request, Right.WORK), await forms.texts(request)
    try:
        body = forms.read(CancelIn, {"reason": form.get("reason", ""), "close_lead": "close_lead" in form})
        await request.app[CALLBACKS].cancel(actor, _id(request), body.reason, close_lead=body.close_lead)
    except DozvonError as error:
        return await _one(request, "cancel", error)
    return see(f"/callbacks/{_id(request)}")


def _when(form: MultiMapping[str]) -> dict[str, Any]:
    """Time, zone, agent and the rest of a form; what is empty is left out."""
    agent = form.get("agent", "")
    found: dict[str, Any] = {
        "at": form.get("at", "").strip(),
        "until": form.get("until", "").strip(),
        "zone": form.get("zone", "").strip(),
        "away": form.get("away", ""),
        "agent_id": agent if agent.isdigit() else "",
    }
    found = {name: value for name, value in found.items() if value}
    return found | ({"anyone": True} if agent == "anyone" else {})


# -- a new one ---------------------------------------------------------------------------------------------


@routes.get("/contacts/{contact_id:[0-9]{1,18}}/callbacks")
async def of_card(request: web.Request) -> web.StreamResponse:
    """On the card of a person: what they were promised, the latest first; an agent sees the own promises."""
    contact_id = int(request.match_info["contact_id"])
    which = Which(contact_id=contact_id)
    rows = await request.app[CALLBACKS].callbacks(page_actor(request), which, limit=ON_CARD)
    return await page(request, "parts/card_callbacks.html", rows=rows[::-1], contact_id=contact_id)


@routes.get("/contacts/{contact_id:[0-9]{1,18}}/callback")
async def new(request: web.Request) -> web.StreamResponse:
    """The form of a call that is promised to a person."""
    return await _new(request, {}, {})


async def _new(
    request: web.Request, values: dict[str, Any], faults: dict[str, str], status: int = 200
) -> web.StreamResponse:
    actor, contact_id = page_actor(request), int(request.match_info["contact_id"])
    person = await request.app[PEOPLE].person(actor, contact_id)
    campaigns = {one.campaign_id: one.campaign for one in person.leads}
    zones = {zone for number in person.card.numbers for zone in number.timezones}
    known = [person.card.timezone] if person.card.timezone else sorted(zones)
    own, others = await _own(request, actor), await request.app[CALLBACKS].callers(actor)
    if not actor.may(Right.AGENTS_CONTROL):
        others = [one for one in others if one[0] == own]
    return await page(
        request,
        "callback_new.html",
        status=status,
        card=person.card,
        campaigns=campaigns,
        places=places(known),
        agents=others,
        own=own,
        aways=list(Away),
        values=values,
        faults=faults,
    )


def places(zones: Sequence[str]) -> list[tuple[str, str, str]]:
    """Zones to choose from, the one by which a time is latest first: name, its clock now, its offset."""
    now = utc_now()
    found = [
        (here.utcoffset(), name, here.strftime("%H:%M"), here.strftime("%z"))
        for name in zones
        if (place := zone_of(name)) is not None
        for here in [now.astimezone(place)]
    ]
    return [(name, clock, f"UTC{offset[:3]}:{offset[3:]}") for _, name, clock, offset in sorted(found)]


def clocks(zones: Sequence[str]) -> str:
    """What clocks show now where somebody may be, from west to east; of many the first and the last."""
    told = list(dict.fromkeys(clock for _, clock, _ in places(zones)))
    return " / ".join(told) if len(told) <= MOST_CLOCKS else f"{told[0]} – {told[-1]}"


@routes.post("/contacts/{contact_id:[0-9]{1,18}}/callback")
async def make(request: web.Request) -> web.StreamResponse:
    """Write a promise down."""
    actor, form = page_actor(request, Right.WORK), await forms.texts(request)
    contact_id = int(request.match_info["contact_id"])
    try:
        given = {name: value for name, value in _when(form).items() if name != "anyone"}
        campaign = forms.whole(form.get("campaign", ""), "campaign_id")
        values = {**given, "campaign_id": campaign, "contact_id": contact_id, "note": form.get("note", "")}
        body = forms.read(CallbackIn, values)
        made = await request.app[CALLBACKS].make(actor, body.campaign_id, contact_id, body.asked())
    except DozvonError as error:
        return await _new(request, dict(form), forms.faults(error, locale_of(request)), error.status)
    return see(f"/callbacks/{made.id}?made=1")


@routes.get("/callbacks/outlook")
async def outlook(request: web.Request) -> web.StreamResponse:
    """While a time is typed: what it is by our clock, and when it would be dialled."""
    actor, query = page_actor(request, Right.WORK), request.query
    found: Outlook | None = None
    fault = ""
    try:
        if at := query.get("at") or query.get("callback_at"):
            zone = query.get("zone") or query.get("callback_zone") or ""
            until = query.get("until") or query.get("callback_until")
            asked = Asked(_reading(at), _reading(until) if until else None, zone)
            campaign, contact = (forms.whole(query.get(name, ""), name) for name in ("campaign", "contact"))
            found = await request.app[CALLBACKS].outlook(actor, campaign, contact, asked)
    except DozvonError as error:
        fault = " ".join(forms.faults(error, locale_of(request)).values())
    return await page(request, "parts/outlook.html", found=found, fault=fault)


def _reading(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(field="at", reason="must be a date like 2026-01-31") from None
    if not 2000 < found.year < 2100:
        raise Invalid(field="at", reason="must be of the years 2000 to 2100")
    return found
