"""Hours that are kept by name: their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

from dialer.errors import Invalid
from dialer.hours.http import HOURS, OpeningIn
from dialer.hours.model import by_day, grouped
from dialer.hours.service import OpeningView
from dialer.httpkit.access import Actor
from dialer.web import forms
from dialer.web.views.kept import Kept
from ivr_flows.hours import DAYS
from ivr_flows.naming import Named


class Hours(Kept[OpeningView]):
    """A field a weekday; a line a date that has other hours."""

    path, what, named = "/hours", "hours", Named.HOURS
    usual = dict.fromkeys(DAYS[:5], "09:00-18:00")

    async def all(self, request: web.Request, actor: Actor) -> Sequence[OpeningView]:
        """See `Kept`."""
        return await request.app[HOURS].hours(actor)

    def key(self, one: OpeningView) -> int:
        """See `Kept`."""
        return one.opening.id

    def name(self, one: OpeningView) -> str:
        """See `Kept`."""
        return one.opening.name

    def shown(self, one: OpeningView, _zone: ZoneInfo) -> Mapping[str, Any]:
        """See `Kept`."""
        opening = one.opening
        return {
            "name": opening.name,
            "holidays": opening.holidays,
            "zone": opening.zone,
            "exceptions": "\n".join(f"{day}: {spans}" for day, spans in sorted(opening.exceptions.items())),
            **by_day(opening.week),
        }

    async def save(
        self,
        request: web.Request,
        actor: Actor,
        one: OpeningView | None,
        form: MultiMapping[str],
        *,
        even_if_used: bool,
    ) -> object:
        """See `Kept`."""
        values = forms.given(form, OpeningIn) | {
            "week": grouped({day: form.get(day, "").strip() for day in DAYS}),
            "exceptions": _exceptions(form.get("exceptions", "")),
        }
        sent = forms.read(OpeningIn, values).model_dump()
        service = request.app[HOURS]
        if one is None:
            return await service.add(actor, sent)
        return await service.change(actor, one.opening.id, sent, even_if_used=even_if_used)

    async def remove(self, request: web.Request, actor: Actor, key: int, *, even_if_used: bool) -> None:
        """See `Kept`."""
        await request.app[HOURS].remove(actor, key, even_if_used=even_if_used)

    async def more(self, _request: web.Request, _actor: Actor) -> Mapping[str, Any]:
        """See `Kept`."""
        return {"days": DAYS}


def _exceptions(text: str) -> dict[str, str]:
    """`2026-12-31: 09:00-15:00` a line. Raises Invalid."""
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        day, colon, spans = line.partition(":")
        if not colon or not spans.strip():
            raise Invalid(field="exceptions", reason="each line has a date, a colon and hours, or closed")
        if day.strip() in found:
            raise Invalid(field="exceptions", reason="a date stands in it twice")
        found[day.strip()] = spans.strip()
    return found


routes = Hours().routes()
