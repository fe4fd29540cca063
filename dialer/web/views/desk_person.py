"""The person on an agent's card: each field is saved as it is changed, with history."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dialer.calls.card import Card
from dialer.contacts.people import FIELDS
from dialer.contacts.people_http import PEOPLE, PersonFields
from dialer.errors import Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.i18n import translator
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.web import forms
from dialer.web.card_fields import CardField, card_fields, labels
from dialer.web.render import is_fragment, page
from dialer.web.views.door import refused, see
from dialer.web.words import word

routes = web.RouteTableDef()
#: The tenant's own fields, as the form names them.
_OWN = "custom."


def fields_of(request: web.Request, card: Card | None) -> list[CardField]:
    """The tenant's own fields of who is on the card, also those without a value."""
    if card is None or card.person is None:
        return []
    locale = locale_of(request)
    words = map(translator(locale).gettext, ("yes", "no"))
    return card_fields(card.person.fields, card.person.custom, locale, *words)


@routes.post("/desk/person")
async def change(request: web.Request) -> web.StreamResponse:
    """Save one field of the person on the own card."""
    actor, locale = page_actor(request, Right.WORK), locale_of(request)
    contact_id = forms.whole(await forms.field(request, "contact"), "contact")
    name, value = await forms.field(request, "field"), await forms.field(request, "value")
    people, own = request.app[PEOPLE], name.removeprefix(_OWN)
    if own == name and name not in FIELDS:
        raise Invalid(field="field", reason="is not known here")
    given: dict[str, Any] = {name: value} if own == name else {"custom": {own: value or None}}
    label = word(locale, "card_field", name) if own == name else own
    try:
        body = forms.read(PersonFields, given)
        changed = await people.change(actor, contact_id, body.given(), body.custom)
    except Invalid as error:
        if not is_fragment(request):
            raise
        (said, *_) = forms.faults(error, locale).values()
        return await refused(request, error, f"{label}: {said}")
    if not is_fragment(request):
        return see("/desk")
    if own != name:
        label = labels(changed.fields, [own], locale)[own]
    return await page(request, "parts/saved.html", headers={"HX-Trigger": "refresh-all"}, label=label)
