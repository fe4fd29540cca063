"""The API of destinations."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from dialer.destinations.model import Kind
from dialer.destinations.service import DestinationService
from dialer.errors import Conflict, InUse, Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out, UsedQuery

DESTINATIONS = web.AppKey("destinations", DestinationService)
routes = Routes("destinations")


class DestinationIn(In):
    """A phone or number that flows may ring."""

    name: Line = Field(min_length=1, max_length=100, description="unique; flows name it")
    kind: Kind = Field(description="phone: a PJSIP endpoint; number: an outside number, over the trunks")
    value: Line = Field(min_length=1, max_length=64, description="the endpoint's name, or the number, E.164")


class DestinationOut(Out):
    """A phone or number that flows may ring."""

    id: int
    name: str
    kind: Kind
    value: str


@routes.get("/destinations", right=Right.TRUNKS_READ)
async def list_(call: Call) -> list[DestinationOut]:
    """The phones and numbers that flows may ring, by name."""
    found = await call.app[DESTINATIONS].destinations(call.actor)
    return [DestinationOut.model_validate(one) for one in found]


@routes.post(
    "/destinations", right=Right.TRUNKS_EDIT, status=201, errors=(Invalid, Conflict), idempotent=False
)
async def add(call: Call, body: DestinationIn) -> DestinationOut:
    """Let flows ring a phone or a number."""
    return DestinationOut.model_validate(await call.app[DESTINATIONS].add(call.actor, body.model_dump()))


@routes.put(
    "/destinations/{destination_id}", right=Right.TRUNKS_EDIT, errors=(Invalid, NotFound, InUse, Conflict)
)
async def change(call: Call, destination_id: int, query: UsedQuery, body: DestinationIn) -> DestinationOut:
    """Say anew what flows ring under a name."""
    changed = await call.app[DESTINATIONS].change(
        call.actor, destination_id, body.model_dump(), even_if_used=query.even_if_used
    )
    return DestinationOut.model_validate(changed)


@routes.delete("/destinations/{destination_id}", right=Right.TRUNKS_EDIT, errors=(NotFound, InUse))
async def remove(call: Call, destination_id: int, query: UsedQuery) -> None:
    """Let flows ring a phone or a number no more."""
    await call.app[DESTINATIONS].remove(call.actor, destination_id, even_if_used=query.even_if_used)
