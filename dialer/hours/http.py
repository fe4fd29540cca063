"""The API of hours."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from aiohttp import web
from pydantic import Field

from dialer.errors import Conflict, InUse, Invalid, NotFound
from dialer.hours.service import HoursService, OpeningView
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out, UsedQuery

HOURS = web.AppKey("hours", HoursService)
routes = Routes("hours")

#: Days, or a date, or hours of one.
Word = Annotated[Line, Field(max_length=100)]


class OpeningIn(In):
    """Hours that flows look at by a name."""

    name: Line = Field(min_length=1, max_length=63, description="unique; flows name it")
    week: dict[Word, Word] = Field(
        {}, max_length=7, description="mon-fri: 09:00-18:00; sat, sun: closed; several spans, 24h"
    )
    exceptions: dict[Word, Word] = Field(
        {}, max_length=400, description="2026-12-31: 09:00-15:00; also of a holiday"
    )
    holidays: Line = Field("", max_length=10, description="whose public holidays: RU, DE-BY; empty: none")
    zone: Line = Field("", max_length=64, description="IANA name; empty: the tenant's")


class OpeningOut(Out):
    """Hours that flows look at by a name."""

    id: int
    name: str
    week: dict[str, str]
    exceptions: dict[str, str]
    holidays: str
    zone: str
    now: Literal["open", "closed", "holiday"] = Field(description="what they say at this moment")

    @classmethod
    def of(cls, view: OpeningView) -> Self:
        """The reply of hours."""
        names = cls.model_fields.keys() - {"now"}
        return cls.model_validate({name: getattr(view.opening, name) for name in names} | {"now": view.now})


@routes.get("/hours", right=Right.CAMPAIGNS_READ)
async def list_(call: Call) -> list[OpeningOut]:
    """All hours, by name, with what they say now."""
    return [OpeningOut.of(one) for one in await call.app[HOURS].hours(call.actor)]


@routes.post("/hours", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Invalid, Conflict), idempotent=False)
async def add(call: Call, body: OpeningIn) -> OpeningOut:
    """Keep hours under a name."""
    return OpeningOut.of(await call.app[HOURS].add(call.actor, body.model_dump()))


@routes.put("/hours/{hours_id}", right=Right.CAMPAIGNS_EDIT, errors=(Invalid, NotFound, InUse, Conflict))
async def change(call: Call, hours_id: int, query: UsedQuery, body: OpeningIn) -> OpeningOut:
    """Say hours anew; they hold from a flow's next look on."""
    return OpeningOut.of(
        await call.app[HOURS].change(call.actor, hours_id, body.model_dump(), even_if_used=query.even_if_used)
    )


@routes.delete("/hours/{hours_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound, InUse))
async def remove(call: Call, hours_id: int, query: UsedQuery) -> None:
    """Forget hours; a flow that names them goes on from `failed`."""
    await call.app[HOURS].remove(call.actor, hours_id, even_if_used=query.even_if_used)
