"""Scripts of talks: which there are, what they say, how they are written, rehearsed and published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from dialer.clock import utc_now
from dialer.errors import BadScript, DozvonError, Invalid, NotFound, WrongState
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.scripts import shipped
from dialer.scripts.http import SCRIPTS, EventIn
from dialer.scripts.model import ScriptRow, Version
from dialer.scripts.service import MOST_EVENTS
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see
from ivr_flows.changes import Changes, changes
from ivr_flows.model import LANGUAGES

routes = web.RouteTableDef()

ONE = "/scripts/{script_id:[0-9]{1,18}}"
VERSION = ONE + "/versions/{version:[0-9]{1,9}}"
#: Days of the figures.
SPANS = (1, 7, 30)
EVENTS: TypeAdapter[list[EventIn]] = TypeAdapter(list[EventIn])


@routes.get("/scripts")
async def list_(request: web.Request) -> web.StreamResponse:
    """All scripts."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    service = request.app[SCRIPTS]
    rows = await service.scripts(actor)
    shares = {row.name: await _figures(request, actor, row, 30) for row in rows}
    return await page(
        request, "scripts.html", scripts=rows, campaigns=await service.campaigns(actor), shares=shares
    )


@routes.get("/scripts/new")
async def new(request: web.Request) -> web.StreamResponse:
    """The one that comes along is there to be changed, in the language of `from`, else in the reader's."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    asked = request.query.get("from", locale_of(request))
    return await _editor(request, actor, shipped.text(asked if asked in LANGUAGES else "en"))


@routes.post("/scripts/new")
async def create(request: web.Request) -> web.StreamResponse:
    """The first draft of a script, or a further one of the script that the text names."""
    return await _save(request, page_actor(request, Right.CAMPAIGNS_EDIT), None)


@routes.get(ONE + "/edit")
async def edit(request: web.Request) -> web.StreamResponse:
    """The text of a version, of the newest where none is named."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    row = await _row(request, actor)
    asked = request.query.get("version", "")
    number = forms.whole(asked, "version") if asked else row.last_version or 0
    found = await request.app[SCRIPTS].version(actor, row.name, number)
    return await _editor(request, actor, found.text, row)


@routes.post(ONE + "/edit")
async def save(request: web.Request) -> web.StreamResponse:
    """A new draft."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    return await _save(request, actor, await _row(request, actor))


@routes.post("/scripts/check")
async def check(request: web.Request) -> web.StreamResponse:
    """All that is wrong with the text as it is now."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    checked = await request.app[SCRIPTS].check(actor, await _text(request))
    return await page(
        request, "parts/script_problems.html", problems=checked.problems, written=checked.script
    )


@routes.post("/scripts/rehearse")
async def rehearse(request: web.Request) -> web.StreamResponse:
    """The text is gone through with a sample customer; nobody is called, nothing is kept or carried out."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    text, happened = await _text(request), await _happened(request)
    new = await _event(request)
    context: dict[str, Any] = {"script": None, "bad": False, "fault": ""}
    # What the agent has just done may be wrong; what was done before, no more fit a text that was changed.
    for tried in ([*happened, *new], happened, []):
        try:
            context["script"] = await request.app[SCRIPTS].rehearse(
                actor, text or " ", [one.event() for one in tried]
            )
            happened = tried
            break
        except BadScript:
            context["bad"] = True
            break
        except (Invalid, NotFound, WrongState) as error:
            context["fault"] = "; ".join(forms.faults(error, locale_of(request)).values())
    context["events"] = json.dumps([one.model_dump() for one in happened])
    return await page(request, "parts/script_rehearsal.html", **context)


@routes.get(ONE)
async def one(request: web.Request) -> web.StreamResponse:
    """A script: what it says, who uses it, what it brings, and its versions."""
    actor = page_actor(request, Right.CAMPAIGNS_READ)
    row = await _row(request, actor)
    service = request.app[SCRIPTS]
    versions = await service.versions(actor, row.name)
    shown = next((each for each in versions if each.version == (row.live_version or row.last_version)), None)
    return await page(
        request,
        "script.html",
        row=row,
        shown=shown,
        written=(await service.check(actor, shown.text)).script if shown else None,
        versions=[(each, _before(each, versions)) for each in versions],
        campaigns=(await service.campaigns(actor)).get(row.name, []),
        figures=[(days, await _figures(request, actor, row, days)) for days in SPANS],
    )


@routes.get(VERSION)
async def version(request: web.Request) -> web.StreamResponse:
    """A version: what it says, what is different in it, what hinders its publishing."""
    return await _version(request, page_actor(request, Right.CAMPAIGNS_READ))


@routes.post(VERSION + "/publish")
async def publish(request: web.Request) -> web.StreamResponse:
    """Have talks led by a version."""
    actor = page_actor(request, Right.CAMPAIGNS_EDIT)
    row, number = await _row(request, actor), int(request.match_info["version"])
    try:
        await request.app[SCRIPTS].publish(actor, row.name, number)
    except BadScript as error:
        return await _version(request, actor, error.status)
    return see(f"/scripts/{row.id}")


async def _version(request: web.Request, actor: Actor, status: int = 200) -> web.StreamResponse:
    row, number = await _row(request, actor), int(request.match_info["version"])
    service = request.app[SCRIPTS]
    versions = await service.versions(actor, row.name)
    found = next((each for each in versions if each.version == number), None)
    if found is None:
        raise NotFound(what="version of the script", key=f"{row.name} {number}")
    live = next((each for each in versions if each.version == row.live_version), None)
    checked = await service.check(actor, found.text)
    return await page(
        request,
        "script_version.html",
        status=status,
        row=row,
        version=found,
        written=checked.script,
        problems=checked.problems,
        changed=_changes(live, found) if live and live is not found else None,
        campaigns=(await service.campaigns(actor)).get(row.name, []),
    )


async def _figures(request: web.Request, actor: Actor, row: ScriptRow, days: int) -> Any:
    """What talks of so many days came to; None: the reader may not know."""
    if not actor.may(Right.REPORTS_READ):
        return None
    now = utc_now()
    return await request.app[SCRIPTS].figures(actor, row.name, now - timedelta(days=days), now)


async def _row(request: web.Request, actor: Actor) -> ScriptRow:
    """The script that the path names. Raises NotFound."""
    script_id = int(request.match_info["script_id"])
    for each in await request.app[SCRIPTS].scripts(actor):
        if each.id == script_id:
            return each
    raise NotFound(what="script", key=script_id)


def _changes(older: Version, newer: Version) -> Changes:
    return changes(older.document, newer.document, parts="steps")


def _before(version: Version, versions: Sequence[Version]) -> Changes | None:
    """What is different from the version before."""
    older = next((each for each in versions if each.version == version.version - 1), None)
    return _changes(older, version) if older else None


async def _happened(request: web.Request) -> list[EventIn]:
    """What has been done so far. Raises Invalid."""
    try:
        return EVENTS.validate_json((await forms.texts(request)).get("events") or "[]")[:MOST_EVENTS]
    except ValidationError:
        raise Invalid(field="events", reason="does not have the right form") from None


async def _event(request: web.Request) -> list[EventIn]:
    """What is done now; nothing of a rehearsal that begins. Raises Invalid."""
    form = await forms.texts(request)
    if not form.get("what"):
        return []
    return [forms.read(EventIn, {name: form.get(name, "") for name in EventIn.model_fields})]


async def _text(request: web.Request) -> str:
    """As browsers send it, lines end otherwise."""
    return (await forms.texts(request)).get("yaml", "").replace("\r\n", "\n")


async def _save(request: web.Request, actor: Actor, row: ScriptRow | None) -> web.StreamResponse:
    text = await _text(request)
    try:
        made = await request.app[SCRIPTS].write(actor, text or " ", name=row.name if row else None)
    except DozvonError as error:
        return await _editor(request, actor, text, row, error)
    return see(f"/scripts/{made.script_id}/versions/{made.version}")


async def _editor(
    request: web.Request,
    actor: Actor,
    text: str,
    row: ScriptRow | None = None,
    error: DozvonError | None = None,
) -> web.StreamResponse:
    checked = await request.app[SCRIPTS].check(actor, text or " ")
    refused = {} if error is None or isinstance(error, BadScript) else forms.faults(error, locale_of(request))
    return await page(
        request,
        "script_editor.html",
        status=error.status if error else 200,
        row=row,
        text=text,
        problems=checked.problems,
        written=checked.script,
        refused=refused,
        saved=error is None,
    )
