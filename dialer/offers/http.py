"""The API of offers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.clock import utc_now
from dialer.errors import Conflict, InUse, Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Moment, Out, UsedQuery
from dialer.offers.model import Answer, usual_span
from dialer.offers.service import OfferService

OFFERS = web.AppKey("offers", OfferService)
routes = Routes("offers")


class OfferIn(In):
    """Something that flows offer at a place."""

    place: Line = Field(min_length=1, max_length=63, description="as flows name it: ivr_after_information")
    name: Line = Field(min_length=1, max_length=100, description="for people")
    text_ru: str = Field("", max_length=1000, description="what is said, in Russian")
    text_en: str = Field("", max_length=1000, description="and in English; one of the two must be given")
    active_from: Moment | None = None
    active_until: Moment | None = Field(None, description="from then on it is not made any more")
    active: bool = True
    position: int = Field(100, ge=1, le=1000, description="the lowest comes first")


class OfferOut(Out):
    """Something that flows offer at a place."""

    id: int
    place: str
    name: str
    text_ru: str
    text_en: str
    active_from: datetime | None
    active_until: datetime | None
    active: bool
    position: int


class TallyQuery(In):
    """Which answers."""

    since: Moment | None = Field(None, description="from this moment on; left out: of the last 30 days")
    until: Moment | None = Field(None, description="before this moment")


class TallyOut(Out):
    """What became of an offer."""

    offer_id: int
    made: int = Field(description="how often it was spoken")
    accepted: int
    declined: int
    share: float | None = Field(description="accepted of all that was spoken; null: it never was")


class AnswerOut(Out):
    """What a caller said to an offer."""

    id: int
    offer_id: int
    name: str
    place: str
    call_id: UUID
    contact_id: int | None
    answer: Answer
    reason: dict[str, Any] = Field(description="`skipped`: offers that came before it, each with why not")
    at: datetime


@routes.get("/offers", right=Right.CAMPAIGNS_READ)
async def list_(call: Call) -> list[OfferOut]:
    """All offers, by place and in their order."""
    return [OfferOut.model_validate(one) for one in await call.app[OFFERS].offers(call.actor)]


@routes.post("/offers", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Invalid,))
async def add(call: Call, body: OfferIn) -> OfferOut:
    """A new offer."""
    return OfferOut.model_validate(await call.app[OFFERS].add(call.actor, body.model_dump()))


@routes.put("/offers/{offer_id}", right=Right.CAMPAIGNS_EDIT, errors=(Invalid, NotFound, InUse))
async def change(call: Call, offer_id: int, query: UsedQuery, body: OfferIn) -> OfferOut:
    """Say an offer anew."""
    return OfferOut.model_validate(
        await call.app[OFFERS].change(
            call.actor, offer_id, body.model_dump(), even_if_used=query.even_if_used
        )
    )


@routes.delete("/offers/{offer_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound, Conflict, InUse))
async def remove(call: Call, offer_id: int, query: UsedQuery) -> None:
    """Remove an offer that was never made; others can be switched off."""
    await call.app[OFFERS].remove(call.actor, offer_id, even_if_used=query.even_if_used)


@routes.get("/offers/figures", right=Right.CAMPAIGNS_READ)
async def figures(call: Call, query: TallyQuery) -> list[TallyOut]:
    """What became of the offers that were made, by the last word of each call."""
    found = await call.app[OFFERS].tallies(call.actor, *usual_span(query.since, query.until, utc_now()))
    return [
        TallyOut(
            offer_id=one, made=each.made, accepted=each.accepted, declined=each.declined, share=each.share
        )
        for one, each in sorted(found.items())
    ]


@routes.get("/offers/answers", right=Right.CALLS_READ)
async def answers(call: Call, query: PageQuery) -> Page[AnswerOut]:
    """What callers said to offers, newest first."""
    key = decode(query.cursor, int)
    found = await call.app[OFFERS].answers(call.actor, before=key[0] if key else None, limit=query.limit + 1)
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[AnswerOut](items=[AnswerOut.model_validate(one) for one in page], next=following)
