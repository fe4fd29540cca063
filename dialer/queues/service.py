"""What can be done with queues. The engine hears of each change: it holds for the next caller on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.agents import store as shifts
from dialer.agents.model import Agent, AgentState, Shift
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.problems import invalid
from dialer.queues import places, stays, store, uses
from dialer.queues.fields import QueueEdit, QueueIn
from dialer.queues.model import Overflow
from dialer.queues.places import PlaceRow
from dialer.queues.turns import Stage, Why
from dialer.queues.uses import Leading
from dialer.said import Said, told
from dialer.surveys import fitting
from dialer.telemetry import mask_number

#: States of agents who take, or will take, calls.
_AT_WORK = (AgentState.READY, AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)


@dataclass(frozen=True, slots=True)
class Member:
    """An agent who can serve a queue."""

    agent: Agent
    #: None: not logged in
    shift: Shift | None
    #: of the queue's skill; None where the queue asks for none
    level: int | None
    #: whether the level is the least one or above; below it the agent serves when levels are relaxed so far
    at_once: bool

    @property
    def at_work(self) -> bool:
        """Whether they take calls now, or after the present one."""
        return self.shift is not None and self.shift.state in _AT_WORK

    @property
    def free(self) -> bool:
        """Whether they wait for a call."""
        return self.shift is not None and self.shift.state is AgentState.READY


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue with the agents who can serve it."""

    #: the columns of the row
    fields: Mapping[str, Any]
    members: tuple[Member, ...]

    @property
    def able(self) -> int:
        """Agents who can serve it, logged in or not."""
        return len(self.members)

    @property
    def at_work(self) -> int:
        """Those of them who take calls now, or after the present one."""
        return sum(one.at_work for one in self.members)

    @property
    def free(self) -> int:
        """Those of them who wait for a call."""
        return sum(one.free for one in self.members)


class QueueService:
    """Queues of a tenant."""

    def __init__(self, database: Database, leading: Leading = uses.unled) -> None:
        self._database = database
        self._leading = leading

    async def queues(self, actor: Actor) -> list[QueueView]:
        """All queues by name, with their agents."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            rows = await store.all_fields(conn, actor.tenant_id)
            return await _views(conn, actor, rows)

    async def places(self, actor: Actor, queue_id: int | None = None) -> list[PlaceRow]:
        """The places that are kept for calls back, of one queue or of all, in the order of their turns; their
        numbers and names as the reader may see them."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await places.shown(conn, actor.tenant_id, queue_id)
        if actor.may(Right.CONTACTS_READ):
            return found
        named = actor.may(Right.CALLS_READ)
        return [replace(one, e164=mask_number(one.e164), name=one.name if named else "") for one in found]

    async def drop_place(self, actor: Actor, call_id: UUID) -> None:
        """Have nobody call for this place. Raises NotFound, and WrongState where it is being called."""
        actor.require(Right.AGENTS_CONTROL)
        async with self._database.tenant(actor.tenant_id) as conn:
            if await places.end(conn, actor.tenant_id, [call_id], Stage.DROPPED, utc_now(), Why.CANCELED):
                await audit.record(conn, actor, "queue.place_dropped", f"call:{call_id}")
                return
            found = next((o for o in await places.shown(conn, actor.tenant_id) if o.call_id == call_id), None)
        if found is None:
            raise NotFound(what="kept place", key=call_id)
        raise WrongState(what="The place", state="being called", allowed="kept")

    async def queue(self, actor: Actor, queue_id: int) -> QueueView:
        """One queue with its agents. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            (view,) = await _views(conn, actor, [await _found(conn, actor, queue_id)])
            return view

    async def create(self, actor: Actor, wanted: QueueIn) -> QueueView:
        """Make a queue. Raises Conflict when the name is taken, Invalid when there is no such overflow
        queue."""
        actor.require(Right.CAMPAIGNS_EDIT)
        values = wanted.model_dump()
        async with self._database.tenant(actor.tenant_id) as conn:
            await fitting.check(conn, actor.tenant_id, wanted.survey)
            try:
                queue_id = await store.add(conn, actor.tenant_id, values)
            except IntegrityError as error:
                raise _refused(error, wanted.name) from None
            await _told(conn, actor, "queue.create", queue_id, values)
            (view,) = await _views(conn, actor, [await _found(conn, actor, queue_id)])
            return view

    async def edit(
        self, actor: Actor, queue_id: int, changes: QueueEdit, *, even_if_used: bool = False
    ) -> QueueView:
        """Change a queue. Raises NotFound, Invalid, Conflict, and QueueInUse where flows or numbers go by the
        old name."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, queue_id, lock=True)
            given = {name: getattr(changes, name) for name in changes.model_fields_set}
            before = {name: now[name] for name in QueueIn.model_fields}
            if given.get("overflow") not in (None, Overflow.QUEUE):
                before["overflow_queue_id"] = None
            try:
                wanted = QueueIn.model_validate(before | given)
            except ValidationError as error:
                raise invalid(error) from None
            if wanted.overflow_queue_id == queue_id:
                raise Invalid(field="overflow_queue_id", reason="a queue does not overflow into itself")
            values = {name: value for name, value in wanted.model_dump().items() if value != now[name]}
            if "survey" in values:
                await fitting.check(conn, actor.tenant_id, wanted.survey)
            if "name" in values and not even_if_used:
                uses.check(await self._leading(conn, actor.tenant_id, now["name"]))
            if values:
                try:
                    await store.change(conn, actor.tenant_id, queue_id, values)
                except IntegrityError as error:
                    raise _refused(error, wanted.name) from None
                await _told(conn, actor, "queue.edit", queue_id, values)
            (view,) = await _views(conn, actor, [await _found(conn, actor, queue_id)])
            return view

    async def delete(self, actor: Actor, queue_id: int, *, even_if_used: bool = False) -> None:
        """Remove a queue. Who waits in it waits on by its rules; kept places become promised calls. Raises
        NotFound, Conflict when another one overflows into it, QueueInUse."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, queue_id, lock=True)
            others = [one for one in await store.all_fields(conn, actor.tenant_id) if one["id"] != queue_id]
            if names := [one["name"] for one in others if one["overflow_queue_id"] == queue_id]:
                raise Conflict(reason=told("queues overflow into it: {names}", names=", ".join(names)))
            if not even_if_used:
                (view,) = await _views(conn, actor, [now])
                skills = {one["skill"] for one in others}
                uses.check(
                    await self._leading(conn, actor.tenant_id, now["name"]),
                    agents=[one.agent.name for one in view.members if now["skill"] not in (None, *skills)],
                    waiting=await stays.waiting(conn, actor.tenant_id, queue_id),
                    kept=len(await places.shown(conn, actor.tenant_id, queue_id)),
                )
            await store.remove(conn, actor.tenant_id, queue_id)
            await _told(conn, actor, "queue.delete", queue_id, ())


async def _views(conn: AsyncConnection, actor: Actor, rows: Iterable[Mapping[str, Any]]) -> list[QueueView]:
    agents = [one for one in await people.agents(conn, actor.tenant_id) if one.enabled]
    open_ = {shift.agent_id: shift for shift in await shifts.open_shifts(conn, actor.tenant_id)}
    return [QueueView(row, _members(row, agents, open_)) for row in rows]


def _members(
    row: Mapping[str, Any], agents: Iterable[Agent], open_: Mapping[int, Shift]
) -> tuple[Member, ...]:
    least = row["lowest_level"] if row["relax_every_s"] is not None else row["least_level"]
    found = []
    for agent in agents:
        level = None if row["skill"] is None else agent.levels.get(row["skill"], 0)
        if level is None:
            found.append(Member(agent, open_.get(agent.id), None, at_once=True))
        elif level >= least:
            at_once = level >= row["least_level"]
            found.append(Member(agent, open_.get(agent.id), level, at_once))
    return tuple(found)


async def _found(conn: AsyncConnection, actor: Actor, queue_id: int, *, lock: bool = False) -> dict[str, Any]:
    found = await store.fields(conn, actor.tenant_id, queue_id, lock=lock)
    if found is None:
        raise NotFound(what="queue", key=queue_id)
    return found


async def _told(
    conn: AsyncConnection, actor: Actor, action: str, queue_id: int, changed: Iterable[str]
) -> None:
    """Note the change, tell whoever watches, and wake the engine: all when the transaction commits."""
    await audit.record(conn, actor, action, f"queue:{queue_id}", fields=sorted(changed))
    await events.emit(conn, "queue.changed", {"queue_id": queue_id}, tenant_id=actor.tenant_id)
    await events.wake(conn, "agents", tenant_id=actor.tenant_id)  # they are given out anew


def _refused(error: IntegrityError, name: str) -> Conflict | Invalid:
    if "overflow_queue_id_fkey" in str(error.orig):
        return Invalid(field="overflow_queue_id", reason="there is no such queue")
    return Conflict(reason=Said("there is a queue {name} already", name=name))
