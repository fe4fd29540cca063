"""The phones and numbers that flows may ring: their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.destinations.http import DESTINATIONS, DestinationIn
from dialer.destinations.model import Destination, Kind
from dialer.httpkit.access import Actor, Right
from dialer.trunks.http import TRUNKS
from dialer.web import forms
from dialer.web.views.kept import Kept
from ivr_flows.naming import Named


class Destinations(Kept[Destination]):
    """With what the trunks let through."""

    path, what, named, edit = "/destinations", "destination", Named.DESTINATION, Right.TRUNKS_EDIT
    usual: ClassVar[Mapping[str, Any]] = {"kind": Kind.NUMBER}

    async def all(self, request: web.Request, actor: Actor) -> Sequence[Destination]:
        """See `Kept`."""
        return await request.app[DESTINATIONS].destinations(actor)

    def key(self, one: Destination) -> int:
        """See `Kept`."""
        return one.id

    def name(self, one: Destination) -> str:
        """See `Kept`."""
        return one.name

    def names(self, one: Destination) -> Sequence[str]:
        """See `Kept`."""
        return (one.name, one.value)

    def shown(self, one: Destination, _zone: ZoneInfo) -> Mapping[str, Any]:
        """See `Kept`."""
        return {"name": one.name, "kind": one.kind, "value": one.value}

    async def save(
        self,
        request: web.Request,
        actor: Actor,
        one: Destination | None,
        form: MultiMapping[str],
        *,
        even_if_used: bool,
    ) -> object:
        """See `Kept`."""
        sent = forms.read(DestinationIn, forms.given(form, DestinationIn)).model_dump()
        service = request.app[DESTINATIONS]
        if one is None:
            return await service.add(actor, sent)
        return await service.change(actor, one.id, sent, even_if_used=even_if_used)

    async def remove(self, request: web.Request, actor: Actor, key: int, *, even_if_used: bool) -> None:
        """See `Kept`."""
        await request.app[DESTINATIONS].remove(actor, key, even_if_used=even_if_used)

    async def more(self, request: web.Request, actor: Actor) -> Mapping[str, Any]:
        """See `Kept`."""
        service = request.app[TRUNKS]
        trunks = [one for one in await service.trunks(actor) if one["enabled"]]
        prefixes = tuple(prefix for one in trunks for prefix in one["allowed_prefixes"])
        return {"caps": await service.caps(actor), "prefixes": prefixes, "kinds": tuple(Kind)}


routes = Destinations().routes()
