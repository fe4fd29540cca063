"""People: find one, see and change the card, numbers and consents, give out and erase."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.clock import utc_now
from dialer.compliance.consent import Given, consent_for
from dialer.compliance.policy import Purpose
from dialer.contacts.consents import Record
from dialer.contacts.duplicates_http import DUPLICATES
from dialer.contacts.duplicates_service import Asked
from dialer.contacts.erasure_http import ERASURE
from dialer.contacts.history import Entry
from dialer.contacts.people_base import Person
from dialer.contacts.people_http import (
    PEOPLE,
    ConsentIn,
    NewPerson,
    NumberChange,
    NumberIn,
    PersonFields,
)
from dialer.donotcall.http import DO_NOT_CALL
from dialer.errors import BadNumber, DozvonError, Invalid
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.i18n import translator
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import cut, decode, encode
from dialer.httpkit.problems import locale_of
from dialer.web import forms
from dialer.web.card_fields import card_fields, labels
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.callbacks import clocks
from dialer.web.views.door import see

routes = web.RouteTableDef()
PAGE = 50
HISTORY = 30
ONE = "/contacts/{contact_id:[0-9]{1,18}}"
NAMES = ("last_name", "first_name", "middle_name", "email", "timezone", "external_id")


@routes.get("/contacts")
async def list_(request: web.Request) -> web.StreamResponse:
    """People, the newest first, or those who were looked for."""
    return await _list(request, {}, {})


async def _list(
    request: web.Request, faults: dict[str, str], values: dict[str, Any], status: int = 200
) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    text = request.query.get("text", "").strip()
    wrong: dict[str, str] = {}
    cards: Any = ()
    following = None
    try:
        key = decode(request.query.get("cursor"), str, int)
        found = await request.app[PEOPLE].search(
            actor, text, after=(key[0], key[1]) if key else None, limit=PAGE
        )
        cards, following = found.cards, found.following
    except BadNumber as error:
        wrong, status = {"text": forms.faults(error, locale_of(request))[""]}, error.status
    more = urlencode({"text": text, "cursor": encode(*following)}) if following else None
    return await page(
        request,
        "contacts.html",
        status=status,
        cards=cards,
        text=text,
        wrong=wrong,
        following=f"/contacts?{more}" if more else None,
        first="cursor" not in request.query,
        faults=faults,
        values=values,
    )


@routes.post("/contacts")
async def add(request: web.Request) -> web.StreamResponse:
    """Make a card by hand."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    form = await forms.texts(request)
    values: dict[str, Any] = {name: form.get(name, "") for name in (*NAMES[:4], "number")}
    values["even_if_known"] = "even_if_known" in form
    try:
        given = {name: values[name] for name in NAMES[:4] if values[name]}
        numbers = [values["number"]] if values["number"] else []
        body = forms.read(NewPerson, {**given, "numbers": numbers, "even_if_known": values["even_if_known"]})
        made = await request.app[PEOPLE].add(
            actor, body.given(), body.numbers, even_if_known=body.even_if_known
        )
    except DozvonError as error:
        wrong = forms.faults(error, locale_of(request))
        if "numbers" in wrong or isinstance(error, BadNumber):
            wrong["number"] = wrong.pop("numbers", wrong.pop("", ""))
        return await _list(request, wrong, values, error.status)
    return see(f"/contacts/{made.card.id}")


@routes.post("/contacts/alike")
async def alike(request: web.Request) -> web.StreamResponse:
    """Who in the base may be the person that is being typed: a part of the page."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    form = await forms.texts(request)
    last, first, middle, email = (form.get(name, "") for name in NAMES[:4])
    asked = Asked(last, first, middle, email, (form.get("number", ""),))
    try:
        found = await request.app[DUPLICATES].check_duplicates(actor, asked)
    except Invalid:  # too little is typed so far
        found = []
    return await page(request, "parts/alike.html", found=found)


@routes.get(ONE)
async def one(request: web.Request) -> web.StreamResponse:
    """All about a person."""
    return await show_card(request)


async def show_card(
    request: web.Request, form: str = "", error: DozvonError | None = None
) -> web.StreamResponse:
    """The card; `error` stands at the form that was sent."""
    actor, contact_id = page_actor(request), id_of(request)
    service = request.app[PEOPLE]
    person = await service.person(actor, contact_id)
    key = decode(request.query.get("history"), datetime, str, str)
    told = await service.history(
        actor, contact_id, after=(key[0], key[1], key[2]) if key else None, limit=HISTORY + 1
    )
    entries, following = cut(told, HISTORY, lambda entry: (entry.at, entry.source, entry.key))
    locale = locale_of(request)
    zones = {zone for number in person.card.numbers for zone in number.timezones}
    return await page(
        request,
        "contact.html",
        status=error.status if error else 200,
        person=person,
        card=person.card,
        fields={name: getattr(person.card, name) for name in NAMES},
        entries=entries,
        following=f"/contacts/{contact_id}?{urlencode({'history': following})}#history"
        if following
        else None,
        earlier=key is not None,
        local_times=clocks([person.card.timezone] if person.card.timezone else sorted(zones)),
        agreed=_agreed(person),
        state_of=_state_of,
        purposes=list(Purpose),
        wrong={form: forms.faults(error, locale_of(request))} if error else {},
        may_edit=actor.may(Right.CONTACTS_EDIT),
        custom=card_fields(
            person.fields, person.card.custom, locale, *map(translator(locale).gettext, ("yes", "no"))
        ),
        labels=_labels(person, entries, locale),
        **await _refused(request, actor, person),
    )


def _labels(person: Person, entries: Sequence[Entry], locale: str) -> dict[str, str]:
    """What the fields are called that the history names."""
    named = {name for entry in entries for name in entry.detail if name.startswith("custom.")}
    found = labels(person.fields, [name.removeprefix("custom.") for name in named], locale)
    return {f"custom.{name}": label for name, label in found.items()}


async def _refused(request: web.Request, actor: Actor, person: Person) -> dict[str, Any]:
    """What is said of the person's numbers in the list of those who are not to be called."""
    if not person.whole or person.card.erased_at is not None:
        return {"refusals": None}
    numbers = [number.e164 for number in person.card.numbers]
    checks = await request.app[DO_NOT_CALL].check_all(actor, numbers)
    entries = {entry.id: entry for check in checks for entry in check.entries}
    return {
        "refusals": sorted(entries.values(), key=lambda entry: -entry.id),
        "refused": {check.e164 for check in checks if check.forbidden},
        "their_campaigns": {lead.campaign_id: lead.campaign for lead in person.leads},
    }


def _agreed(person: Person) -> dict[str, bool]:
    """For which purposes the person may be called now."""
    known = [record.consent for record in person.consents]
    now = utc_now()
    return {
        purpose.value: isinstance(consent_for(known, purpose, now), Given)
        for purpose in Purpose
        if purpose is not Purpose.ANY
    }


def _state_of(record: Record) -> str:
    """What a consent is by itself: withdrawn, expired, not_yet or given."""
    one, now = record.consent, utc_now()
    if one.withdrawn_at is not None:
        return "withdrawn"
    if one.valid_from > now:
        return "not_yet"
    return "expired" if one.valid_until is not None and one.valid_until <= now else "given"


@routes.post(ONE)
async def change(request: web.Request) -> web.StreamResponse:
    """Write the fields of the card."""
    actor, form = page_actor(request), await forms.texts(request)
    try:
        values: dict[str, Any] = {name: form[name] for name in NAMES if name in form}
        body = forms.read(PersonFields, {**values, "custom": _custom(form)})
        await request.app[PEOPLE].change(actor, id_of(request), body.given(), body.custom)
    except DozvonError as error:
        return await show_card(request, "card", error)
    return back(request)


def _custom(form: MultiMapping[str]) -> dict[str, str | None]:
    """Pairs of a name and a value; an empty value takes the field away."""
    names, values = form.getall("custom_name", []), form.getall("custom_value", [])
    return {
        name.strip(): value.strip() or None
        for name, value in zip(names, values, strict=False)
        if name.strip()
    }


@routes.post(ONE + "/numbers")
async def add_number(request: web.Request) -> web.StreamResponse:
    """One number more."""
    actor, form = page_actor(request), await forms.texts(request)
    try:
        body = forms.read(
            NumberIn,
            {"number": form.get("number", ""), "label": form.get("label", ""), "good": _hours(form)},
        )
        await request.app[PEOPLE].add_number(
            actor,
            id_of(request),
            body.number,
            label=body.label,
            good=body.good.hours() if body.good else None,
        )
    except DozvonError as error:
        return await show_card(request, "numbers", error)
    return back(request, "numbers")


@routes.post(ONE + "/numbers/{phone_id:[0-9]{1,18}}")
async def change_number(request: web.Request) -> web.StreamResponse:
    """Correct or name a number, or say when it may be called."""
    actor, form = page_actor(request, Right.CONTACTS_EDIT), await forms.texts(request)
    phone_id = int(request.match_info["phone_id"])
    try:
        values = {"number": form.get("number") or None, "label": form.get("label", ""), "good": _hours(form)}
        body = forms.read(NumberChange, values)
        await request.app[PEOPLE].change_number(
            actor,
            id_of(request),
            phone_id,
            written=body.number,
            label=body.label,
            good=body.good.hours() if body.good else None,
        )
    except DozvonError as error:
        return await show_card(request, f"number-{phone_id}", error)
    return back(request, "numbers")


def _hours(form: MultiMapping[str]) -> dict[str, str] | None:
    opens, closes = form.get("opens", ""), form.get("closes", "")
    return {"opens": opens, "closes": closes} if opens or closes else None


@routes.post(ONE + "/numbers/{phone_id:[0-9]{1,18}}/{what:first|remove}")
async def move_number(request: web.Request) -> web.StreamResponse:
    """Dial a number first, or take it off the card."""
    actor, service = page_actor(request, Right.CONTACTS_EDIT), request.app[PEOPLE]
    phone_id = int(request.match_info["phone_id"])
    try:
        if request.match_info["what"] == "remove":
            await service.remove_number(actor, id_of(request), phone_id)
        else:
            card = (await service.person(actor, id_of(request))).card
            others = [number.id for number in card.numbers if number.id != phone_id]
            await service.order_numbers(actor, id_of(request), [phone_id, *others])
    except DozvonError as error:
        return await show_card(request, f"number-{phone_id}", error)
    return back(request, "numbers")


@routes.post(ONE + "/consents")
async def add_consent(request: web.Request) -> web.StreamResponse:
    """The person agrees."""
    actor, form = page_actor(request), await forms.texts(request)
    zone = ZoneInfo(await request.app[LIVE].timezone(actor))
    try:
        values: dict[str, Any] = {
            name: form[name] for name in ("purpose", "source", "proof") if form.get(name)
        }
        for name in ("valid_from", "valid_until"):
            values[name] = forms.moment(form.get(name, ""), name, zone)
        body = forms.read(ConsentIn, values)
        await request.app[PEOPLE].add_consent(
            actor,
            id_of(request),
            body.purpose,
            body.source,
            proof=body.proof,
            valid_from=body.valid_from,
            valid_until=body.valid_until,
        )
    except DozvonError as error:
        return await show_card(request, "consents", error)
    return back(request, "consents")


@routes.post(ONE + "/consents/{consent_id:[0-9]{1,18}}/withdraw")
async def withdraw(request: web.Request) -> web.StreamResponse:
    """The person agrees no more."""
    consent_id = int(request.match_info["consent_id"])
    await request.app[PEOPLE].withdraw_consent(page_actor(request), id_of(request), consent_id)
    return back(request, "consents")


@routes.post(ONE + "/erase")
async def erase(request: web.Request) -> web.StreamResponse:
    """Erase the person, once the box is ticked."""
    actor, form = page_actor(request, Right.PEOPLE_ERASE), await forms.texts(request)
    try:
        if "sure" not in form:
            raise Invalid(field="sure", reason="tick the box: it cannot be undone")
        await request.app[ERASURE].erase(actor, id_of(request), never_again="never_again" in form)
    except DozvonError as error:
        return await show_card(request, "erase", error)
    return back(request)


def id_of(request: web.Request) -> int:
    """Whose card is asked for."""
    return int(request.match_info["contact_id"])


def back(request: web.Request, part: str = "") -> web.StreamResponse:
    """To the card, at that part of it."""
    return see(f"/contacts/{id_of(request)}" + (f"#{part}" if part else ""))
