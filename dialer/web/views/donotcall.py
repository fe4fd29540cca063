"""Who is not to be called: looked up, added, brought in as a file, removed, with who, when and why."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.campaigns.http import CAMPAIGNS
from dialer.clock import utc_now
from dialer.donotcall.http import DO_NOT_CALL, RemovalIn, numbers_out
from dialer.donotcall.model import Refusal, Source
from dialer.errors import DozvonError
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()

ENTRIES, IMPORTS = 50, 10
LONGEST_REASON = 500


@routes.get("/do-not-call")
async def list_(request: web.Request) -> web.StreamResponse:
    """The whole list, or what is said of a number."""
    return await _page(request)


@routes.get("/do-not-call/imports")
async def imports(request: web.Request) -> web.StreamResponse:
    """Files and registries: the part that changes while a file loads."""
    actor = page_actor(request, Right.CONTACTS_READ)
    return await page(request, "parts/numbers_imports.html", **await _files(request, actor))


@routes.post("/do-not-call")
async def add(request: web.Request) -> web.StreamResponse:
    """Add numbers and prefixes."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    form = await forms.texts(request)
    try:
        numbers = [line.strip() for line in form.get("numbers", "").splitlines() if line.strip()]
        # No blanks: "8 (495)" is one.
        prefixes = [one.strip() for one in re.split("[,;\n]", form.get("prefixes", "")) if one.strip()]
        said = await refusal(request, actor, form)
        await request.app[DO_NOT_CALL].add(actor, numbers, prefixes, said)
    except DozvonError as error:
        return await _page(request, error.status, values=form, faults=forms.faults(error, locale_of(request)))
    return see("/do-not-call")


@routes.post("/do-not-call/imports")
async def upload(request: web.Request) -> web.StreamResponse:
    """Bring a file in, of a registry if one is named."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    texts = await forms.texts(request)
    try:
        name, pieces = await forms.uploaded(request)
        said = Refusal(Source.IMPORT, reason=forms.line(texts, "file_reason", LONGEST_REASON))
        await request.app[DO_NOT_CALL].add_import(
            actor,
            name,
            pieces,
            said,
            registry=forms.line(texts, "registry", forms.LONGEST_NAME) or None,
            renew_by=await _moment(request, actor, texts, "renew_by"),
            fewer="fewer" in texts,
        )
    except DozvonError as error:
        faults = forms.faults(error, locale_of(request))
        return await _page(request, error.status, values=texts, file_faults=faults)
    return see("/do-not-call#files")


@routes.post("/do-not-call/{entry_id:[0-9]{1,18}}/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Let an entry count no more."""
    actor = page_actor(request, Right.COMPLIANCE_EDIT)
    form = await forms.texts(request)
    try:
        await take_out(request, actor, form)
    except DozvonError as error:
        faults, entry_id = forms.faults(error, locale_of(request)), int(request.match_info["entry_id"])
        return await _page(request, error.status, removing=entry_id, remove_faults=faults)
    return see("/do-not-call")


async def refusal(request: web.Request, actor: Actor, form: MultiMapping[str]) -> Refusal:
    """What a form says of those who are not to be called. Raises Invalid."""
    campaign = form.get("campaign", "")
    return Refusal(
        Source.OPERATOR,
        campaign_id=forms.whole(campaign, "campaign") if campaign else None,
        reason=forms.line(form, "reason", LONGEST_REASON),
        valid_until=await _moment(request, actor, form, "valid_until"),
    )


async def take_out(request: web.Request, actor: Actor, form: MultiMapping[str]) -> None:
    """Have the entry of the path count no more. Raises Invalid, NotFound, WrongState."""
    wanted = forms.read(RemovalIn, {"reason": form.get("reason", "")})
    await request.app[DO_NOT_CALL].remove(actor, int(request.match_info["entry_id"]), wanted.reason)


async def _moment(request: web.Request, actor: Actor, form: MultiMapping[str], name: str) -> datetime | None:
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    return forms.moment(form.get(name, ""), name, zone)


async def _files(request: web.Request, actor: Actor) -> dict[str, Any]:
    service, locale = request.app[DO_NOT_CALL], locale_of(request)
    found = await service.imports(actor, limit=IMPORTS)
    return {
        "imports": [numbers_out(one, locale) for one in found],
        "registries": await service.registries(actor),
        "today": utc_now(),
    }


async def _page(
    request: web.Request,
    status: int = 200,
    *,
    values: MultiMapping[str] | None = None,
    faults: dict[str, str] | None = None,
    file_faults: dict[str, str] | None = None,
    removing: int | None = None,
    remove_faults: dict[str, str] | None = None,
) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    since = await request.app[HUB].newest()
    service, query = request.app[DO_NOT_CALL], request.query
    asked, source = query.get("number", "").strip(), query.get("source", "")
    removed = "removed" in query
    found, ask_faults = None, {}
    if asked:
        try:
            found = await service.check(actor, asked)
        except DozvonError as error:
            ask_faults, status = forms.faults(error, locale_of(request)), error.status
    cursor = decode(query.get("cursor"), int)
    entries = await service.entries(
        actor,
        source=Source(source) if source in set(Source) else None,
        removed=removed,
        before=cursor[0] if cursor else None,
        limit=ENTRIES + 1,
    )
    entries, following = cut(entries, ENTRIES, lambda one: (one.id,))
    shown = found.entries if found else entries
    kept = {name: query[name] for name in ("source", "removed") if name in query} | {
        "cursor": following or ""
    }
    return await page(
        request,
        "do_not_call.html",
        status=status,
        since=since,
        asked=asked,
        found=found,
        ask_faults=ask_faults,
        entries=shown,
        doubtful=await service.doubtful(actor, shown),
        following=f"/do-not-call?{urlencode(kept)}" if following and not found else "",
        source=source,
        sources=list(Source),
        removed=removed,
        campaigns=await request.app[CAMPAIGNS].campaigns(actor, limit=200),
        values=values if values is not None else {},
        faults=faults or {},
        file_faults=file_faults or {},
        removing=removing,
        remove_faults=remove_faults or {},
        **await _files(request, actor),
    )
