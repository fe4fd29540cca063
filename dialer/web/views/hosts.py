"""The servers that flows may ask: their pages. A secret goes in and never comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.hosts.http import HOSTS, HostEdit, HostIn
from dialer.hosts.model import Host
from dialer.httpkit.access import Actor, Right
from dialer.web import forms
from dialer.web.views.kept import Kept
from ivr_flows.naming import Named


class Hosts(Kept[Host]):
    """Under their own names, which stay."""

    path, what, named, edit = "/hosts", "host", Named.HOST, Right.HOSTS_EDIT

    async def all(self, request: web.Request, actor: Actor) -> Sequence[Host]:
        """See `Kept`."""
        return await request.app[HOSTS].hosts(actor)

    def key(self, one: Host) -> int:
        """See `Kept`."""
        return one.id

    def name(self, one: Host) -> str:
        """See `Kept`."""
        return one.host

    def shown(self, one: Host, _zone: ZoneInfo) -> Mapping[str, Any]:
        """See `Kept`."""
        return {"host": one.host, "inside": one.inside, "header": one.header}

    async def save(
        self,
        request: web.Request,
        actor: Actor,
        one: Host | None,
        form: MultiMapping[str],
        *,
        even_if_used: bool,
    ) -> object:
        """See `Kept`. A secret that is left empty stays as it is."""
        if one is None:
            wanted = forms.read(HostIn, forms.given(form, HostIn, kept=("header",)))
            return await request.app[HOSTS].add(actor, wanted.values())
        changes = forms.read(HostEdit, forms.given(form, HostEdit, kept=("header",)))
        return await request.app[HOSTS].change(actor, one.id, changes.values())

    async def remove(self, request: web.Request, actor: Actor, key: int, *, even_if_used: bool) -> None:
        """See `Kept`."""
        await request.app[HOSTS].remove(actor, key, even_if_used=even_if_used)


routes = Hosts().routes()
