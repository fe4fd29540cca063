"""The rules that campaigns follow, each with its source and its versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from dialer.clock import utc_now
from dialer.errors import DozvonError, Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.policies.fields import PolicyBody, PolicyIn, VersionIn
from dialer.policies.http import POLICY_SERVICE
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()

#: Fields that are lists of words, and those that people write in hours.
LISTS = ("working", "day_off", "holiday", "holidays", "regions", "forbidden_modes")
IN_HOURS = (
    "abandon_window_s",
    "redial_after_abandoned_s",
    "redial_after_machine_s",
    "redial_after_refusal_s",
)
NEW = "/policies/new"


@routes.get("/policies")
async def list_(request: web.Request) -> web.StreamResponse:
    """All rules."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    return await page(request, "policies.html", policies=await request.app[POLICY_SERVICE].policies(actor))


@routes.get(NEW)
async def new_form(request: web.Request) -> web.StreamResponse:
    """The form of a policy of one's own, from another one or from the careful values."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    base = (await request.app[POLICY_SERVICE].policy(actor, request.query.get("from", "default"))).policy
    own = {"code": f"{base.code}-own"[:50], "read_on": utc_now().date()}
    return await _form(request, PolicyBody.values_of(base) | own, {})


@routes.post(NEW)
async def create(request: web.Request) -> web.StreamResponse:
    """Make a policy of one's own."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    form = await forms.texts(request)
    try:
        made = await request.app[POLICY_SERVICE].create(actor, forms.read(PolicyIn, _values(form, PolicyIn)))
    except DozvonError as error:
        return await _form(request, form, forms.faults(error, locale_of(request)), error.status)
    return see(f"/policies/{made.policy.code}")


@routes.get("/policies/{code:[a-z0-9-]{1,50}}")
async def one(request: web.Request) -> web.StreamResponse:
    """One policy with its past."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    view = await request.app[POLICY_SERVICE].policy(actor, request.match_info["code"])
    return await page(request, "policy.html", view=view)


@routes.get("/policies/{code:[a-z0-9-]{1,50}}/edit")
async def edit_form(request: web.Request) -> web.StreamResponse:
    """The form of the next version."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    view = await _own(request, actor)
    return await _form(request, PolicyBody.values_of(view), {}, code=view.code, after=view.version)


@routes.post("/policies/{code:[a-z0-9-]{1,50}}/edit")
async def edit(request: web.Request) -> web.StreamResponse:
    """Write the next version."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    now, form = await _own(request, actor), await forms.texts(request)
    try:
        wanted = forms.read(VersionIn, _values(form, VersionIn))
        await request.app[POLICY_SERVICE].next_version(actor, now.code, wanted)
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _form(request, form, faults, error.status, code=now.code, after=now.version)
    return see(f"/policies/{now.code}")


async def _own(request: web.Request, actor: Actor) -> Any:
    view = await request.app[POLICY_SERVICE].policy(actor, request.match_info["code"])
    if not view.own:
        raise NotFound(what="policy of your own", key=view.policy.code)
    return view.policy


def _values(form: Any, model: type[PolicyBody]) -> dict[str, Any]:
    values = forms.given(form, model, lists=LISTS, kept=("forbidden_by",))
    values["moved"] = dict(map(_moved, filter(str.strip, form.get("moved", "").splitlines())))
    for name in IN_HOURS:
        if name in values:
            values[name] = _seconds(values[name], name)
    return values


def _moved(line: str) -> tuple[str, str]:
    day, *kind = line.split()
    if len(kind) != 1:
        raise Invalid(field="moved", reason="a line has a date and what the day is")
    return day, kind[0]


def _seconds(hours: str, name: str) -> int:
    try:
        return round(float(hours.replace(",", ".")) * 3600)
    except (ValueError, OverflowError):
        raise Invalid(field=name, reason="must be a number") from None


def _shown(name: str, value: Any) -> Any:
    """A value as the form has it."""
    if name in IN_HOURS:
        return f"{value / 3600:g}"
    if name == "moved":
        return "\n".join(f"{day} {kind}" for day, kind in sorted(value.items()))
    return ", ".join(value) if name in LISTS else value


async def _form(
    request: web.Request,
    values: Mapping[str, Any],
    faults: dict[str, str],
    status: int = 200,
    *,
    code: str = "",
    after: int = 0,
) -> web.StreamResponse:
    sent = request.method == "POST"
    modes = (await forms.texts(request)).getall("forbidden_modes", []) if sent else values["forbidden_modes"]
    names = PolicyBody.model_fields
    shown = {name: values.get(name, "") if sent else _shown(name, values[name]) for name in names}
    return await page(
        request,
        "policy_form.html",
        status=status,
        values=shown | {"code": values.get("code", "")},
        forbidden=modes,
        faults=faults,
        of=code,
        action=f"/policies/{code}/edit" if after else NEW,
        back=f"/policies/{code}" if after else "/policies",
        after=after,
    )
