"""How good talks were: scores and figures, drawn calls, calibration, forms; and the scoring beside a call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.campaigns.http import CAMPAIGNS
from dialer.errors import DozvonError, Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.recordings.http import RECORDINGS
from dialer.reviews.http import REVIEW_FORMS, REVIEWS, CalibrationIn, FormEdit, PlanIn, ScoresIn
from dialer.reviews.model import Form, shipped
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import see
from dialer.web.views.recordings import beside

routes = web.RouteTableDef()
PAGE = 50
FORM = "/reviews/forms/{form_id:[0-9]{1,18}}"
PLAN = "/reviews/plans/{plan_id:[0-9]{1,18}}"
CALIBRATION = "/reviews/calibrations/{calibration_id:[0-9]{1,18}}"
CALL = "/calls/{call_id:[0-9a-f-]{36}}"
#: Empty rows below the criteria of a form that is edited.
EMPTY_ROWS = 2
#: Rows that are read of a form.
MOST_ROWS = 40


@routes.get("/reviews")
async def list_(request: web.Request) -> web.StreamResponse:
    """Figures of agents, calls to be scored, calibrations, the latest scores; an agent has the own scores."""
    actor, service = page_actor(request), request.app[REVIEWS]
    reads = actor.may(Right.REVIEWS_READ)
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    asked = {name: request.query.get(name, "").strip()[:40] for name in ("from", "until")}
    faults: dict[str, str] = {}
    status, since, until = 200, None, None
    try:
        since, until = (forms.moment(asked[name], name, zone) for name in ("from", "until"))
    except Invalid as error:
        faults, status = forms.faults(error, locale_of(request)), error.status
    key = decode(request.query.get("cursor"), datetime, int)
    found = await service.reviews(
        actor, since=since, until=until, after=(key[0], key[1]) if key else None, limit=PAGE + 1
    )
    rows, following = cut(found, PAGE, lambda one: (one.made_at, one.id))
    given = {name: value for name, value in asked.items() if value}
    return await page(
        request,
        "reviews.html",
        status=status,
        asked=asked,
        faults=faults,
        reads=reads,
        rows=rows,
        following=request.rel_url.with_query({**given, "cursor": following}) if following else None,
        figures=await service.figures(actor, since=since, until=until),
        forms={one.id: one for one in await request.app[REVIEW_FORMS].forms(actor)},
        tasks=await service.tasks(actor, open_=True) if reads else [],
        calibrations=await service.calibrations(actor) if reads else [],
    )


# -- beside a call -------------------------------------------------------------------------------------------


async def of_call(
    request: web.Request,
    actor: Actor,
    call_id: UUID,
) -> dict[str, Any]:
    """What `parts/reviews.html` shows of a call: scores, the form to score by, calibrations that go on."""
    service, reads = request.app[REVIEWS], actor.may(Right.REVIEWS_READ)
    reviews = await service.of_call(actor, call_id)
    known = await request.app[REVIEW_FORMS].forms(actor)
    usable = [one for one in known if one.active] if await service.may_score(actor, call_id) else []
    asked = request.query.get("form", "")
    chosen = next((one for one in usable if str(one.id) == asked), usable[0] if usable else None)
    mine = next(
        (one for one in reviews if chosen and (one.form_id, one.scorer_id) == (chosen.id, actor.user_id)),
        None,
    )
    return {
        "reviews": reviews,
        "titles": {one.id: {each.key: each for each in one.criteria} for one in known},
        "forms": usable,
        "form": chosen,
        "formless": not any(one.active for one in known),
        "mine": mine,
        "scores": dict(mine.scores) if mine else {},
        "comment": mine.comment if mine else "",
        "open_calibrations": await service.open_of_call(actor, call_id) if reads else [],
    }


def _scores(form: MultiMapping[str]) -> dict[str, Any]:
    """`score-speech=4` of a form; an empty one did not come up."""
    found: dict[str, int | None] = {}
    for name, value in form.items():
        if name.startswith("score-") and len(found) < MOST_ROWS:
            found[name.removeprefix("score-")] = forms.whole(value, name) if value else None
    return {"scores": found, "comment": form.get("comment", "")}


@routes.post(CALL + "/reviews/{form_id:[0-9]{1,18}}")
async def score(request: web.Request) -> web.StreamResponse:
    """Score a call; what is wrong is told as a notice."""
    actor = page_actor(request, Right.REVIEWS_SCORE)
    call_id, form_id = UUID(request.match_info["call_id"]), int(request.match_info["form_id"])
    body = forms.read(ScoresIn, _scores(await forms.texts(request)))
    await request.app[REVIEWS].score(actor, call_id, form_id, body.scores, body.comment)
    return see(f"/calls/{call_id}?form={form_id}#reviews")


@routes.post(CALL + "/calibrations")
async def open_calibration(request: web.Request) -> web.StreamResponse:
    """Have several people score a call."""
    actor = page_actor(request, Right.REVIEWS_EDIT)
    call_id, form = UUID(request.match_info["call_id"]), await forms.texts(request)
    form_id = forms.whole(form.get("form_id", ""), "form_id")
    body = forms.read(CalibrationIn, {"form_id": form_id, "reason": form.get("reason", "")})
    made = await request.app[REVIEWS].open_calibration(actor, call_id, body.form_id, body.reason)
    return see(f"/reviews/calibrations/{made.id}")


# -- calibration ---------------------------------------------------------------------------------------------


@routes.get(CALIBRATION)
async def calibration(request: web.Request) -> web.StreamResponse:
    """One calibration: one's own scores while it goes on, all of them once it is closed."""
    actor = page_actor(request, Right.REVIEWS_READ)
    service = request.app[REVIEWS]
    found = await service.calibrated(actor, _number(request, "calibration_id"))
    mine = next((one for one in found.reviews if one.scorer_id == actor.user_id), None)
    recording = None
    if actor.may(Right.RECORDINGS_LISTEN):
        recording = await request.app[RECORDINGS].of_call(actor, found.calibration.call_id)
    heard = await beside(request, actor, recording) if recording else {"recording": None}
    return await page(
        request,
        "calibration.html",
        **heard,
        found=found,
        one=found.calibration,
        may_score=await service.may_score(actor, found.calibration.call_id),
        form=found.form,
        mine=mine,
        scores=dict(mine.scores) if mine else {},
        comment=mine.comment if mine else "",
    )


@routes.post(CALIBRATION + "/scores")
async def score_blind(request: web.Request) -> web.StreamResponse:
    """One's own scores in a calibration."""
    actor, number = page_actor(request, Right.REVIEWS_SCORE), _number(request, "calibration_id")
    body = forms.read(ScoresIn, _scores(await forms.texts(request)))
    await request.app[REVIEWS].score_blind(actor, number, body.scores, body.comment)
    return see(f"/reviews/calibrations/{number}")


@routes.post(CALIBRATION + "/close")
async def close(request: web.Request) -> web.StreamResponse:
    """No more scores."""
    number = _number(request, "calibration_id")
    await request.app[REVIEWS].close(page_actor(request, Right.REVIEWS_EDIT), number)
    return see(f"/reviews/calibrations/{number}")


# -- forms and plans -----------------------------------------------------------------------------------------


@routes.get("/reviews/forms")
async def form_list(request: web.Request) -> web.StreamResponse:
    """Forms, and how many calls of whom are drawn each week."""
    return await _form_list(request)


async def _form_list(
    request: web.Request, values: Mapping[str, str] | None = None, error: DozvonError | None = None
) -> web.StreamResponse:
    actor, service = page_actor(request, Right.REVIEWS_READ), request.app[REVIEW_FORMS]
    return await page(
        request,
        "review_forms.html",
        status=error.status if error else 200,
        rows=await service.forms(actor),
        plans=await service.plans(actor),
        campaigns=await request.app[CAMPAIGNS].campaigns(actor, limit=200),
        values=values or {"calls": "5", "least_s": "30"},
        faults=forms.faults(error, locale_of(request)) if error else {},
    )


@routes.get("/reviews/forms/new")
async def new(request: web.Request) -> web.StreamResponse:
    """A new form, which begins with the shipped criteria."""
    page_actor(request, Right.REVIEWS_EDIT)
    criteria = shipped(locale_of(request))
    values = {"name": "", "active": True, "criteria": [_row(one) for one in criteria]}
    return await _editor(request, None, values)


@routes.post("/reviews/forms")
async def add(request: web.Request) -> web.StreamResponse:
    """Make it."""
    actor = page_actor(request, Right.REVIEWS_EDIT)
    values = _read(await forms.texts(request))
    try:
        body = forms.read(FormEdit, values)
        criteria = [one.made() for one in body.criteria]
        await request.app[REVIEW_FORMS].add(actor, body.name, criteria)
    except DozvonError as error:
        return await _editor(request, None, values, error)
    return see("/reviews/forms")


@routes.get(FORM)
async def edit(request: web.Request) -> web.StreamResponse:
    """A form as it is."""
    actor = page_actor(request, Right.REVIEWS_EDIT)
    form = await request.app[REVIEW_FORMS].form(actor, _number(request, "form_id"))
    values = {"name": form.name, "active": form.active, "criteria": [_row(one) for one in form.criteria]}
    return await _editor(request, form, values)


@routes.post(FORM)
async def change(request: web.Request) -> web.StreamResponse:
    """As it is from now on."""
    actor, number = page_actor(request, Right.REVIEWS_EDIT), _number(request, "form_id")
    values = _read(await forms.texts(request))
    try:
        body = forms.read(FormEdit, values)
        criteria = [one.made() for one in body.criteria]
        await request.app[REVIEW_FORMS].change(actor, number, body.name, criteria, active=body.active)
    except NotFound:
        raise
    except DozvonError as error:
        return await _editor(request, await request.app[REVIEW_FORMS].form(actor, number), values, error)
    return see("/reviews/forms")


async def _editor(
    request: web.Request, form: Form | None, values: Mapping[str, Any], error: DozvonError | None = None
) -> web.StreamResponse:
    return await page(
        request,
        "review_form.html",
        status=error.status if error else 200,
        form=form,
        values=values,
        rows=[*values["criteria"], *({} for _ in range(EMPTY_ROWS))],
        faults=forms.faults(error, locale_of(request)) if error else {},
    )


def _row(criterion: Any) -> dict[str, Any]:
    return {name: getattr(criterion, name) for name in ("key", "title", "hint", "weight", "most")}


def _read(form: MultiMapping[str]) -> dict[str, Any]:
    """A form from its rows; one without a title is none. A new row has a key of its own."""
    criteria: list[dict[str, Any]] = []
    given = {key: form.getall(key, []) for key in ("key", "title", "hint", "weight", "most")}
    taken = set(given["key"])
    for n, title in enumerate(given["title"][:MOST_ROWS]):
        if not title.strip():
            continue
        row = {name: values[n] if n < len(values) else "" for name, values in given.items()}
        if not row["key"]:
            row["key"] = next(f"c{m}" for m in range(1, 1000) if f"c{m}" not in taken)
            taken.add(row["key"])
        criteria.append({name: value for name, value in row.items() if value.strip() or name == "hint"})
    return {"name": form.get("name", ""), "active": "active" in form, "criteria": criteria}


@routes.post("/reviews/plans")
async def add_plan(request: web.Request) -> web.StreamResponse:
    """Have calls drawn."""
    actor, form = page_actor(request, Right.REVIEWS_EDIT), await forms.texts(request)
    values = {name: form.get(name, "") for name in ("form_id", "campaign_id", "calls", "least_s")}
    try:
        body = forms.read(PlanIn, {name: value for name, value in values.items() if value})
        await request.app[REVIEW_FORMS].add_plan(
            actor, body.form_id, body.calls, campaign_id=body.campaign_id, least_s=body.least_s
        )
    except Invalid as error:
        return await _form_list(request, values, error)
    return see("/reviews/forms")


@routes.post(PLAN + "/switch")
async def switch_plan(request: web.Request) -> web.StreamResponse:
    """Draw, or draw no more."""
    actor = page_actor(request, Right.REVIEWS_EDIT)
    active = await forms.field(request, "active") == "1"
    await request.app[REVIEW_FORMS].switch_plan(actor, _number(request, "plan_id"), active=active)
    return see("/reviews/forms")


@routes.post(PLAN + "/delete")
async def drop_plan(request: web.Request) -> web.StreamResponse:
    """Take it away."""
    actor = page_actor(request, Right.REVIEWS_EDIT)
    await request.app[REVIEW_FORMS].drop_plan(actor, _number(request, "plan_id"))
    return see("/reviews/forms")


def _number(request: web.Request, name: str) -> int:
    return int(request.match_info[name])
