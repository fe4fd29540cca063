"""Where who calls a number of ours is led now, and whether anybody is at work there: for the hook `route`.

The flow is walked as for a caller whom nobody knows, until it would wait for a key, an agent or an answer.
Nothing is played and nothing is asked of anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from dialer.db.session import Database
from dialer.errors import BadFlow
from dialer.hooks import store
from dialer.httpkit.access import Actor
from dialer.inbound import store as inbound
from dialer.inbound.model import dialled_digits
from dialer.queues.service import QueueService
from ivr_flows import interpreter, loader
from ivr_flows.model import (
    Action,
    Began,
    Came,
    Enqueue,
    Event,
    Flow,
    Lookup,
    Played,
    Say,
)
from ivr_flows.properties import EnqueueProperties

#: Things to be heard or looked up before a caller is asked: more is a flow that never asks.
MOST_STEPS: Final = 100


@dataclass(frozen=True, slots=True)
class Leads:
    """What becomes of a call now."""

    #: empty: a queue was asked for
    flow: str = ""
    #: where the flow first waits: for a key, for an agent, for its end
    state: str = ""
    #: where callers wait; empty: a key decides
    queue: str = ""
    #: agents who serve this queue, or those that the flow names: who take calls now or after the present one
    at_work: int = 0
    #: of them, who wait for a call
    free: int = 0
    #: callers who wait in these queues
    waiting: int = 0


def first_stop(flow: Flow, caller: str, dialled: str, now: datetime) -> tuple[str, Action | None]:
    """The state in which the flow first waits for somebody, and what for; None: it ends there."""
    variables = {"caller": caller, "dialled": dialled}
    event: Event = Began()
    at = interpreter.step(flow, interpreter.begin(flow, variables=variables), event, now=now)
    for _ in range(MOST_STEPS):
        match at.action:
            case Say():
                event = Played()
            case Lookup():
                event = Came("unknown")
            case _:
                break
        at = interpreter.step(flow, at.position, event, now=now)
    return at.position.state, at.action


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where numbers and queues lead."""

    database: Database
    queues: QueueService

    async def of_number(self, actor: Actor, dialled: str, caller: str, now: datetime) -> Leads | None:
        """Where the number leads; None: it is none of ours, or is led nowhere."""
        async with self.database.tenant(actor.tenant_id) as conn:
            called = await inbound.called(conn, actor.tenant_id, dialled_digits(dialled))
        if called is None:
            return None
        try:
            flow = loader.from_document(called.document)
        except BadFlow:  # it was checked when it was published: by an earlier version of ours
            return None
        state, action = first_stop(flow, caller, called.number, now)
        queue = action.queue or called.queue if isinstance(action, Enqueue) else ""
        names = {queue} if queue else _named(flow) | {called.queue}
        return await self._with(actor, names, Leads(called.flow, state, queue))

    async def of_queue(self, actor: Actor, name: str) -> Leads | None:
        """Who is at work for a queue; None: there is none of this name."""
        if all(view.fields["name"] != name for view in await self.queues.queues(actor)):
            return None
        return await self._with(actor, {name}, Leads(queue=name))

    async def _with(self, actor: Actor, names: Iterable[str], leads: Leads) -> Leads:
        """The same with those who serve the queues of these names: each agent once."""
        wanted = sorted(name for name in names if name)
        views = [view for view in await self.queues.queues(actor) if view.fields["name"] in wanted]
        members = {one.agent.id: one for view in views for one in view.members}.values()
        async with self.database.tenant(actor.tenant_id) as conn:
            waiting = await store.waiting(conn, actor.tenant_id, wanted)
        return replace(
            leads,
            at_work=sum(one.at_work for one in members),
            free=sum(one.free for one in members),
            waiting=waiting,
        )


def _named(flow: Flow) -> set[str]:
    said = (state.properties for state in flow.states.values())
    return {one.queue for one in said if isinstance(one, EnqueueProperties)}
