"""What flows offer to callers, and how it is taken: the pages of offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.clock import utc_now
from dialer.httpkit.access import Actor
from dialer.offers.http import OFFERS, OfferIn
from dialer.offers.model import Offer, usual_span
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.views.kept import Kept
from ivr_flows.naming import Named

_TIMES = ("active_from", "active_until")


class Offers(Kept[Offer]):
    """With the figures of their answers."""

    path, what, named = "/offers", "offer", Named.PLACE
    usual: ClassVar[Mapping[str, Any]] = {"active": True, "position": 100}

    async def all(self, request: web.Request, actor: Actor) -> Sequence[Offer]:
        """See `Kept`."""
        return await request.app[OFFERS].offers(actor)

    def key(self, one: Offer) -> int:
        """See `Kept`."""
        return one.id

    def name(self, one: Offer) -> str:
        """See `Kept`."""
        return one.name

    def names(self, one: Offer) -> Sequence[str]:
        """See `Kept`."""
        return (one.place,)

    def shown(self, one: Offer, zone: ZoneInfo) -> Mapping[str, Any]:
        """See `Kept`."""
        values = asdict(one)
        for name in _TIMES:
            moment = values[name]
            values[name] = moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if moment else ""
        return values

    async def save(
        self,
        request: web.Request,
        actor: Actor,
        one: Offer | None,
        form: MultiMapping[str],
        *,
        even_if_used: bool,
    ) -> object:
        """See `Kept`."""
        zone = ZoneInfo(await request.app[LIVE].timezone(actor))
        values = forms.given(form, OfferIn)
        values |= {name: forms.moment(form.get(name, "").strip(), name, zone) for name in _TIMES}
        sent = forms.read(OfferIn, values).model_dump()
        service = request.app[OFFERS]
        if one is None:
            return await service.add(actor, sent)
        return await service.change(actor, one.id, sent, even_if_used=even_if_used)

    async def remove(self, request: web.Request, actor: Actor, key: int, *, even_if_used: bool) -> None:
        """See `Kept`."""
        await request.app[OFFERS].remove(actor, key, even_if_used=even_if_used)

    async def more(self, request: web.Request, actor: Actor) -> Mapping[str, Any]:
        """See `Kept`."""
        since, until = usual_span(None, None, utc_now())
        return {"tallies": await request.app[OFFERS].tallies(actor, since, until), "since": since}


routes = Offers().routes()
