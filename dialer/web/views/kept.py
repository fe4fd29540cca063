"""Pages of what is kept under a name and named by flows: a list, a form for one, its removal.

What is different between them is a subclass of `Kept`: its service, its form's fields, its templates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.errors import DozvonError, InUse, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.problems import locale_of
from dialer.inbound.http import INBOUND
from dialer.web import forms
from dialer.web.keys import LIVE
from dialer.web.render import page
from dialer.web.views.door import see
from ivr_flows.naming import Named, compared

T = TypeVar("T")


class Kept(ABC, Generic[T]):
    """The pages of one kind of thing."""

    #: `/hours`; the templates are `hours.html` and `hours_form.html`
    path: ClassVar[str]
    #: what an error calls one
    what: ClassVar[str]
    #: how flows name it
    named: ClassVar[Named]
    #: to make, change and remove them
    edit: ClassVar[Right] = Right.CAMPAIGNS_EDIT
    #: what the form of a new one holds
    usual: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    async def all(self, request: web.Request, actor: Actor) -> Sequence[T]:
        """All, in their order."""

    @abstractmethod
    def key(self, one: T) -> int:
        """Its id."""

    @abstractmethod
    def name(self, one: T) -> str:
        """By which flows name it."""

    def names(self, one: T) -> Sequence[str]:
        """All by which flows name it."""
        return (self.name(one),)

    @abstractmethod
    def shown(self, one: T, zone: ZoneInfo) -> Mapping[str, Any]:
        """It as the form has it."""

    @abstractmethod
    async def save(
        self,
        request: web.Request,
        actor: Actor,
        one: T | None,
        form: MultiMapping[str],
        *,
        even_if_used: bool,
    ) -> object:
        """Make one (`one` is None), or write it anew. Raises DozvonError."""

    @abstractmethod
    async def remove(self, request: web.Request, actor: Actor, key: int, *, even_if_used: bool) -> None:
        """Forget it. Raises DozvonError."""

    async def more(self, _request: web.Request, _actor: Actor) -> Mapping[str, Any]:
        """What else the list and the form show."""
        return {}

    # -- the pages ---------------------------------------------------------------------------------------

    def routes(self) -> list[web.RouteDef]:
        """Where each page is."""
        one = self.path + "/{key:[0-9]{1,18}}"
        return [
            web.get(self.path, self._list),
            web.get(self.path + "/new", self._new),
            web.post(self.path + "/new", self._save),
            web.get(one, self._one),
            web.post(one, self._save),
            web.post(one + "/delete", self._delete),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        actor = page_actor(request, Right.CAMPAIGNS_READ)
        rows = await self.all(request, actor)
        return await page(
            request,
            f"{self._template}.html",
            rows=rows,
            used=await self._used(request, actor, rows),
            edits=actor.may(self.edit),
            **await self.more(request, actor),
        )

    async def _new(self, request: web.Request) -> web.StreamResponse:
        return await self._form(request, page_actor(request, self.edit), None, self.usual)

    async def _one(self, request: web.Request) -> web.StreamResponse:
        actor = page_actor(request, Right.CAMPAIGNS_READ)
        one = await self._found(request, actor)
        return await self._form(request, actor, one, self.shown(one, await _zone(request, actor)))

    async def _save(self, request: web.Request) -> web.StreamResponse:
        actor = page_actor(request, self.edit)
        one = await self._found(request, actor) if "key" in request.match_info else None
        form = await forms.texts(request)
        try:
            await self.save(request, actor, one, form, even_if_used="even_if_used" in form)
        except DozvonError as error:
            return await self._form(request, actor, one, self._again(form), error, going="save")
        return see(self.path)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        actor = page_actor(request, self.edit)
        one, form = await self._found(request, actor), await forms.texts(request)
        try:
            await self.remove(request, actor, self.key(one), even_if_used="even_if_used" in form)
        except DozvonError as error:
            shown = self.shown(one, await _zone(request, actor))
            return await self._form(request, actor, one, shown, error, going="delete")
        return see(self.path)

    # -- parts of them -----------------------------------------------------------------------------------

    @property
    def _template(self) -> str:
        return self.path.strip("/")

    def _again(self, form: MultiMapping[str]) -> Mapping[str, Any]:
        """The form as it was sent; a secret is typed again."""
        return {name: value for name, value in form.items() if name != "secret"}

    async def _used(
        self, request: web.Request, actor: Actor, rows: Sequence[T]
    ) -> Mapping[int, Sequence[str]]:
        """By id the flows that name it."""
        uses = await request.app[INBOUND].uses(actor, self.named)
        return {
            self.key(one): list(
                dict.fromkeys(
                    flow for name in self.names(one) for flow in uses.get(compared(self.named, name), ())
                )
            )
            for one in rows
        }

    async def _found(self, request: web.Request, actor: Actor) -> T:
        wanted = int(request.match_info["key"])
        for one in await self.all(request, actor):
            if self.key(one) == wanted:
                return one
        raise NotFound(what=self.what, key=wanted)

    async def _form(
        self,
        request: web.Request,
        actor: Actor,
        one: T | None,
        values: Mapping[str, Any],
        error: DozvonError | None = None,
        *,
        going: str = "",
    ) -> web.StreamResponse:
        """`going`: what was not done because of flows that name it, save or delete."""
        return await page(
            request,
            f"{self._template}_form.html",
            status=error.status if error else 200,
            one=one,
            key=None if one is None else self.key(one),
            title=None if one is None else self.name(one),
            back=self.path,
            values=values,
            faults=forms.faults(error, locale_of(request)) if error else {},
            going=going if isinstance(error, InUse) else "",
            used=[] if one is None else (await self._used(request, actor, [one]))[self.key(one)],
            editable=actor.may(self.edit),
            **await self.more(request, actor),
        )


async def _zone(request: web.Request, actor: Actor) -> ZoneInfo:
    return ZoneInfo(await request.app[LIVE].timezone(actor))
