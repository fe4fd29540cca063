"""The API of queues."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.errors import Conflict, NotFound, QueueInUse, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out, UsedQuery
from dialer.queues.fields import QueueEdit, QueueIn
from dialer.queues.model import Overflow, Rule
from dialer.queues.places import PlaceRow
from dialer.queues.service import QueueService, QueueView
from dialer.queues.turns import Stage

QUEUES = web.AppKey("queues", QueueService)
routes = Routes("queues")


class QueueOut(Out):
    """A queue: where callers wait for an agent."""

    id: int
    name: str
    skill: str | None = Field(description="null: any agent")
    least_level: int
    relax_every_s: int | None
    lowest_level: int
    rule: Rule
    priority: int
    last_agent_s: int
    max_wait_s: int | None
    max_waiting: int | None
    needs_agents: bool
    overflow: Overflow
    overflow_queue_id: int | None
    music: str
    announce_first_s: int | None
    announce_every_s: int | None
    announce_position: bool
    announce_wait: bool
    announce_most_position: int
    offer_callback_s: int | None
    offer_callback_wait_s: int | None
    offer_callback_key: str
    callback_tries: int
    callback_again_s: int
    short_abandon_s: int
    target_share: float
    target_s: int
    wrap_up_s: int | None
    survey: str | None
    created_at: datetime
    agents_able: int = Field(description="agents who can serve it, logged in or not")
    agents_at_work: int = Field(description="of them, who take calls now or after the present one")
    agents_free: int = Field(description="of them, who wait for a call")

    @classmethod
    def of(cls, view: QueueView) -> Self:
        """The reply of a queue."""
        agents = {
            "agents_able": view.able,
            "agents_at_work": view.at_work,
            "agents_free": view.free,
        }
        return cls.model_validate(dict(view.fields) | agents)


class PlaceOut(Out):
    """A place in a queue that is kept for somebody who has hung up."""

    call_id: UUID = Field(description="of the call in which it was asked for")
    queue_id: int | None = Field(description="null: the queue is gone")
    queue: str
    campaign_id: int
    contact_id: int | None
    name: str = Field(description="of the person; empty: not known")
    number: str = Field(description="E.164; masked for who may not see contacts")
    priority: int
    reason: str = Field(description="why they have called; empty: not said")
    since: datetime = Field(description="when the wait began: the turn goes by it")
    kept_at: datetime
    stage: Stage = Field(description="kept: waits for its turn; calling: an agent calls them now")
    tries: int
    not_before: datetime | None = Field(description="rests until then: they were not reached")
    attempt_id: UUID | None = Field(description="the latest call to them")

    @classmethod
    def of(cls, row: PlaceRow) -> Self:
        """The reply of a place."""
        plain = {name: getattr(row, name) for name in cls.model_fields if name != "number"}
        return cls.model_validate(plain | {"number": row.e164})


class PlacesQuery(In):
    """Which places."""

    queue: int | None = Field(None, ge=1, le=MAX_ID)


@routes.get("/queues", right=Right.CAMPAIGNS_READ)
async def list_(call: Call) -> list[QueueOut]:
    """All queues, by name."""
    return [QueueOut.of(view) for view in await call.app[QUEUES].queues(call.actor)]


@routes.post("/queues", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Conflict,), idempotent=False)
async def create(call: Call, body: QueueIn) -> QueueOut:
    """Make a queue."""
    return QueueOut.of(await call.app[QUEUES].create(call.actor, body))


@routes.get("/queues/places", right=Right.CAMPAIGNS_READ)
async def places(call: Call, query: PlacesQuery) -> list[PlaceOut]:
    """Places that are kept for calls back in turn, in the order of their turns."""
    return [PlaceOut.of(row) for row in await call.app[QUEUES].places(call.actor, query.queue)]


@routes.delete("/queues/places/{call_id}", right=Right.AGENTS_CONTROL, errors=(NotFound, WrongState))
async def drop_place(call: Call, call_id: UUID) -> None:
    """Have nobody call for a place that waits for its turn."""
    await call.app[QUEUES].drop_place(call.actor, call_id)


@routes.get("/queues/{queue_id}", right=Right.CAMPAIGNS_READ)
async def get(call: Call, queue_id: int) -> QueueOut:
    """One queue."""
    return QueueOut.of(await call.app[QUEUES].queue(call.actor, queue_id))


@routes.patch("/queues/{queue_id}", right=Right.CAMPAIGNS_EDIT, errors=(Conflict, NotFound, QueueInUse))
async def edit(call: Call, queue_id: int, query: UsedQuery, body: QueueEdit) -> QueueOut:
    """Change a queue; fields that are left out stay. Flows and numbers go by its name."""
    view = await call.app[QUEUES].edit(call.actor, queue_id, body, even_if_used=query.even_if_used)
    return QueueOut.of(view)


@routes.delete("/queues/{queue_id}", right=Right.CAMPAIGNS_EDIT, errors=(Conflict, NotFound, QueueInUse))
async def delete(call: Call, queue_id: int, query: UsedQuery) -> None:
    """Remove a queue into which no other one overflows."""
    await call.app[QUEUES].delete(call.actor, queue_id, even_if_used=query.even_if_used)
