"""The text of a flow is written, checked while it is, and tried without a call."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.errors import BadFlow, DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.inbound.http import INBOUND
from dialer.inbound.model import FlowRow
from dialer.inbound.trying import CALLER, DIALLED, Trial
from dialer.inbound.trying_http import TRIALS
from dialer.said import told
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import see
from dialer.web.views.flows import ONE, flow_row
from ivr_flows import shipped
from ivr_flows.model import LANGUAGES

routes = web.RouteTableDef()


@routes.get("/flows/new")
async def new(request: web.Request) -> web.StreamResponse:
    """One of the flows that come along is chosen; with `from` its text is there to be changed."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    asked = request.query.get("from", "")
    name, _, language = asked.rpartition(".")
    if name in shipped.NAMES and language in LANGUAGES:
        return await _editor(request, actor, shipped.text(name, language))
    flows = {one: {each: shipped.flow(one, each) for each in LANGUAGES} for one in shipped.NAMES}
    return await page(request, "flow_new.html", flows=flows)


@routes.post("/flows/new")
async def create(request: web.Request) -> web.StreamResponse:
    """The first draft of a flow, or a further one of the flow that the text names."""
    return await _save(request, page_actor(request, Right.CAMPAIGNS_EDIT), None)


@routes.get(ONE + "/edit")
async def edit(request: web.Request) -> web.StreamResponse:
    """The text of a version, of the newest where none is named."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    row = await flow_row(request, actor)
    asked = request.query.get("version", "")
    number = forms.whole(asked, "version") if asked else row.last_version or 0
    found = await request.app[INBOUND].version(actor, row.name, number)
    return await _editor(request, actor, found.text, row)


@routes.post(ONE + "/edit")
async def save(request: web.Request) -> web.StreamResponse:
    """A new draft."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    return await _save(request, actor, await flow_row(request, actor))


@routes.post("/flows/check")
async def check(request: web.Request) -> web.StreamResponse:
    """All that is wrong with the text as it is now."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    checked = await request.app[INBOUND].check(actor, await _text(request))
    return await page(request, "parts/flow_problems.html", problems=checked.problems, flow=checked.flow)


@routes.post("/flows/simulate")
async def simulate(request: web.Request) -> web.StreamResponse:
    """The text is played, as far as the words lead that were said; nobody is called."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    form, zone = await forms.texts(request), ZoneInfo(await request.app[LIVE].timezone(actor))
    words = [] if form.get("again") else [one for one in form.get("words", "").split(",") if one]
    if (word := form.get("word", "").strip()) and not form.get("again"):
        words.append(word.replace(",", " "))
    context: dict[str, Any] = {"words": words, "played": None, "fault": None}
    try:
        trial = Trial(words=words, at=forms.moment(form.get("at", "").strip(), "at", zone), **_given(form))
        context["played"] = await request.app[TRIALS].play(actor, await _text(request), trial)
    except BadFlow:
        context["fault"] = "bad"
    except Invalid as error:
        context["fault"] = forms.faults(error, locale_of(request))
    return await page(request, "parts/flow_played.html", **context)


def _given(form: MultiMapping[str]) -> dict[str, Any]:
    """Who calls whom, in which language, what is known, what the world answers. Raises Invalid."""
    language = form.get("language", "")
    variables, answers = _pairs(form, "variables", "="), _pairs(form, "answers", ":")
    return {
        "caller": forms.line(form, "caller", 100) or CALLER,
        "dialled": forms.line(form, "dialled", 100) or DIALLED,
        "language": language if language in LANGUAGES else "",
        "variables": variables,
        "answers": answers,
    }


def _pairs(form: MultiMapping[str], name: str, sign: str) -> dict[str, str]:
    """`contact.name=Anna` or `who: found` a line. Raises Invalid."""
    found = {}
    for line in filter(None, map(str.strip, form.get(name, "").splitlines())):
        first, there, second = (word.strip() for word in line.partition(sign))
        if not there or not first:
            raise Invalid(
                field=name, reason=told("“{line}” needs a name, {sign} and a value", line=line, sign=sign)
            )
        found[first] = second
    return found


async def _text(request: web.Request) -> str:
    """As browsers send it, lines end otherwise."""
    return (await forms.texts(request)).get("yaml", "").replace("\r\n", "\n")


async def _save(request: web.Request, actor: Actor, row: FlowRow | None) -> web.StreamResponse:
    text, service = await _text(request), request.app[INBOUND]
    try:
        made = await service.write(actor, text or " ", name=row.name if row else None)
    except DozvonError as error:
        return await _editor(request, actor, text, row, error)
    return see(f"/flows/{made.flow_id}/versions/{made.version}")


async def _editor(
    request: web.Request,
    actor: Actor,
    text: str,
    row: FlowRow | None = None,
    error: DozvonError | None = None,
) -> web.StreamResponse:
    checked = await request.app[INBOUND].check(actor, text)
    refused = {} if error is None or isinstance(error, BadFlow) else forms.faults(error, locale_of(request))
    return await page(
        request,
        "flow_editor.html",
        languages=LANGUAGES,
        usual={"caller": CALLER, "dialled": DIALLED},
        status=error.status if error else 200,
        row=row,
        text=text,
        problems=checked.problems,
        flow=checked.flow,
        refused=refused,
        saved=error is None,
    )
