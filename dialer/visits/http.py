"""Visits over HTTP: a diary of who comes reads them, a shop says who came."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.errors import NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Moment, Out
from dialer.visits.model import State
from dialer.visits.service import VisitService

VISITS = web.AppKey("visits", VisitService)
routes = Routes("visits")


class VisitsQuery(In):
    """A span of time."""

    since: Moment
    until: Moment


class VisitStateIn(In):
    """What became of a visit."""

    state: State


class VisitOut(Out):
    """A visit that somebody was booked for."""

    id: int
    contact_id: int
    name: str = Field(description="of the person")
    campaign_id: int
    campaign: str
    call_id: UUID = Field(description="in which it was agreed")
    agent: str
    at: datetime
    place: str
    note: str
    state: State
    booked_at: datetime


@routes.get("/visits", right=Right.CALLS_READ)
async def visits(call: Call, query: VisitsQuery) -> list[VisitOut]:
    """The visits from one moment to another, by when they are; 500 at most."""
    found = await call.app[VISITS].visits(call.actor, query.since, query.until)
    return [VisitOut.model_validate(one) for one in found]


@routes.put("/visits/{visit_id}/state", right=Right.CONTACTS_EDIT, errors=(NotFound,))
async def set_state(call: Call, visit_id: int, body: VisitStateIn) -> VisitOut:
    """Say who came, who did not, and what was called off."""
    return VisitOut.model_validate(await call.app[VISITS].set_state(call.actor, visit_id, body.state))
