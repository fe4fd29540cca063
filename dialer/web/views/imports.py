"""One file on its way into a list: looked at, its columns named, started, watched, its rejects mended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from dialer.campaigns.http import CAMPAIGNS
from dialer.contacts.columns import Field
from dialer.contacts.files import BadRecord
from dialer.contacts.imports_http import import_out
from dialer.contacts.keys import CONTACTS
from dialer.contacts.mappings_http import MAPPINGS, MappingIn
from dialer.contacts.model import ImportJob, ImportStatus, Wins
from dialer.contacts.previews import Preview
from dialer.contacts.previews_http import PREVIEWS
from dialer.contacts.reading import CUSTOM_KEY, DELIMITERS, ENCODINGS, MAX_MAPPED, Reading
from dialer.errors import DozvonError
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.i18n import message
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()

REJECTS = 50
#: As people know them.
ENCODING_NAMES = dict(zip(ENCODINGS, ("UTF-8", "Windows-1251", "UTF-16"), strict=True))
#: As the form has them: a browser would not send a tab.
DELIMITER_WORDS = dict(zip(("semicolon", "tab", "comma"), DELIMITERS, strict=True))
#: Values of a column that are shown beside its name.
SAMPLES = 3
#: Most characters of a cell that are shown.
SHOWN = 120


@routes.get("/imports/{import_id:[0-9]{1,18}}")
async def one(request: web.Request) -> web.StreamResponse:
    """A file that waits, or how far its loading is and what it has not taken."""
    return await _page(request, {})


async def _page(request: web.Request, faults: dict[str, str], status: int = 200) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    since = await request.app[HUB].newest()
    job = await request.app[CONTACTS].get_import(actor, _id(request))
    if job.status is ImportStatus.PREVIEW:
        return await _preview(request, actor, job, faults, status)
    return await page(request, "import.html", status=status, since=since, **await _state(request, actor))


async def _preview(
    request: web.Request, actor: Actor, job: ImportJob, faults: dict[str, str], status: int
) -> web.StreamResponse:
    actor.require(Right.CONTACTS_EDIT)
    shown = await request.app[PREVIEWS].preview(actor, job.id)
    return await page(
        request,
        "import_preview.html",
        status=status,
        shown=shown,
        list=await request.app[CONTACTS].get_list(actor, job.list_id),
        campaigns=await request.app[CAMPAIGNS].campaigns(actor, limit=200),
        columns=_columns(shown),
        rows=[
            (one.number, one.code.value, (one.value[:SHOWN],))
            if isinstance(one, BadRecord)
            else (one.number, None, tuple(cell[:SHOWN] for cell in one.cells))
            for one in shown.rows
        ],
        plain_fields=[field.value for field in Field if field is not Field.CUSTOM],
        own={spec.key: spec for spec in shown.own},
        encodings=ENCODING_NAMES,
        delimiters=DELIMITER_WORDS,
        wins=list(Wins),
        fault=message(shown.fault, locale_of(request)) if shown.fault else None,
        faults=faults,
    )


def _columns(shown: Preview) -> list[dict[str, Any]]:
    """Each column as the form has it."""
    found = []
    for place, (column, word) in enumerate(zip(shown.layout.columns, shown.words, strict=True)):
        cells = [one.cells[place] for one in shown.rows if not isinstance(one, BadRecord)]
        key = word.removeprefix(CUSTOM_KEY) if word.startswith(CUSTOM_KEY) else ""
        found.append(
            {
                "name": column.name,
                "word": word,
                "key": key,
                "samples": [cell.strip()[:SHOWN] for cell in cells if cell.strip()][:SAMPLES],
            }
        )
    return found


@routes.post("/imports/{import_id:[0-9]{1,18}}")
async def change(request: web.Request) -> web.StreamResponse:
    """Have the file read as the form says; look again, save what its columns are, or start."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    form, import_id = await forms.texts(request), _id(request)
    previews = request.app[PREVIEWS]
    try:
        job = await request.app[CONTACTS].get_import(actor, import_id)
        campaign, saved = form.get("campaign", ""), form.get("saved", "")
        campaign_id = forms.whole(campaign, "campaign") if campaign else None
        wins = Wins.FILE if form.get("wins") == Wins.FILE else Wins.BASE
        chosen = saved != form.get("saved_was", "")
        reading = replace(
            job.reading,
            encoding=form.get("encoding") or None,
            delimiter=DELIMITER_WORDS.get(form.get("delimiter", "")),
            sheet=form.get("sheet") or None,
            mapping={} if chosen else _mapping(form, job.reading),
        )
        mapping_id = forms.whole(saved, "saved") if chosen and saved else None
        await previews.change(actor, import_id, reading, campaign_id, mapping_id=mapping_id, wins=wins)
        if form.get("do") == "save":
            values = {"name": form.get("save_as", ""), "columns": _all_columns(form)}
            made = forms.read(MappingIn, values)
            await request.app[MAPPINGS].add(actor, made.name, made.columns)
            reading = replace(reading, mapping=made.columns)
            await previews.change(actor, import_id, reading, campaign_id, wins=wins)
        elif form.get("do") == "start":
            await previews.start(actor, import_id)
    except DozvonError as error:
        return await _page(request, forms.faults(error, locale_of(request)), error.status)
    return see(f"/imports/{import_id}")


def _all_columns(form: MultiMapping[str]) -> dict[str, str]:
    """What the form says of each column."""
    found = {}
    for place in range(MAX_MAPPED):
        name, word = form.get(f"name-{place}"), form.get(f"word-{place}")
        if name is None or word is None:
            break
        key = " ".join(form.get(f"key-{place}", "").split())
        if word == Field.CUSTOM and key and key != name:
            word = CUSTOM_KEY + key
        found[name] = word
    return found


def _mapping(form: MultiMapping[str], now: Reading) -> dict[str, str]:
    """What the form says of the columns; as it was, if nothing of it was changed."""
    said = _all_columns(form)
    was = {name: form.get(f"was-{place}", "") for place, name in enumerate(said)}
    return dict(now.mapping) if said == was else said


@routes.post("/imports/{import_id:[0-9]{1,18}}/discard")
async def discard(request: web.Request) -> web.StreamResponse:
    """Throw the file away."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    job = await request.app[CONTACTS].get_import(actor, _id(request))
    await request.app[PREVIEWS].discard(actor, job.id)
    return see(f"/lists/{job.list_id}")


@routes.get("/imports/{import_id:[0-9]{1,18}}/state")
async def state(request: web.Request) -> web.StreamResponse:
    """The part that changes while a file loads."""
    actor = page_actor(request, Right.CONTACTS_READ)
    return await page(request, "parts/import_state.html", **await _state(request, actor))


async def _state(request: web.Request, actor: Actor) -> dict[str, Any]:
    service = request.app[CONTACTS]
    job = await service.get_import(actor, _id(request))
    key = decode(request.query.get("cursor"), int)
    found = await service.rejects(actor, job.id, after=key[0] if key else None, limit=REJECTS + 1)
    rejects, following = cut(found, REJECTS, lambda row: (row[0],))
    return {
        "job": import_out(job, locale_of(request)),
        "list": await service.get_list(actor, job.list_id),
        "codes": await service.reject_codes(actor, job.id),
        "rejects": [row for _, row in rejects],
        "first": key is None,
        "following": f"/imports/{job.id}?{urlencode({'cursor': following})}#rejects" if following else None,
        "here": f"/imports/{job.id}/state?{request.query_string}",
    }


def _id(request: web.Request) -> int:
    return int(request.match_info["import_id"])
