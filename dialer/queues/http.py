"""The API of queues."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from aiohttp import web
from pydantic import Field

from dialer.errors import Conflict, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out
from dialer.queues.fields import QueueEdit, QueueIn
from dialer.queues.model import Overflow, Rule
from dialer.queues.service import QueueService, QueueView

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
    callback_tries: int
    callback_again_s: int
    short_abandon_s: int
    target_share: float
    target_s: int
    wrap_up_s: int | None
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


@routes.get("/queues", right=Right.CAMPAIGNS_READ)
async def list_(call: Call) -> list[QueueOut]:
    """All queues, by name."""
    return [QueueOut.of(view) for view in await call.app[QUEUES].queues(call.actor)]


@routes.post("/queues", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Conflict,), idempotent=False)
async def create(call: Call, body: QueueIn) -> QueueOut:
    """Make a queue."""
    return QueueOut.of(await call.app[QUEUES].create(call.actor, body))


@routes.get("/queues/{queue_id}", right=Right.CAMPAIGNS_READ)
async def get(call: Call, queue_id: int) -> QueueOut:
    """One queue."""
    return QueueOut.of(await call.app[QUEUES].queue(call.actor, queue_id))


@routes.patch("/queues/{queue_id}", right=Right.CAMPAIGNS_EDIT, errors=(Conflict, NotFound))
async def edit(call: Call, queue_id: int, body: QueueEdit) -> QueueOut:
    """Change a queue; fields that are left out stay."""
    return QueueOut.of(await call.app[QUEUES].edit(call.actor, queue_id, body))


@routes.delete("/queues/{queue_id}", right=Right.CAMPAIGNS_EDIT, errors=(Conflict,))
async def delete(call: Call, queue_id: int) -> None:
    """Remove a queue into which no other one overflows."""
    await call.app[QUEUES].delete(call.actor, queue_id)
