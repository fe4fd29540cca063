"""Flows and calls that came in, written into a test's database: no caller, no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from dialer.inbound import store
from dialer.inbound.service import InboundService
from ivr_flows.model import Passed
from support.stage import TENANT

#: Of the stage's agents: what serves where there is no queue of the name.
SKILL = "продажи"
BOSS = Actor(TENANT, None, Role.ADMINISTRATOR, "Somebody", "en")


def document(name: str = "reception", word: str = "Hello.") -> dict[str, Any]:
    """A flow that greets, asks for a key, lets wait, and ends."""
    states: Sequence[Mapping[str, Any]] = (
        {
            "name": "greeting",
            "type": "say",
            "title": "Greeting",
            "properties": {"prompt": word},
            "transitions": {"done": "menu"},
        },
        {
            "name": "menu",
            "type": "menu",
            "properties": {"prompt": "Sales: 1. Service: 2."},
            "transitions": {"1": "sales", "2": "end", "default": "end"},
        },
        {
            "name": "sales",
            "type": "enqueue",
            "properties": {"queue": SKILL},
            "transitions": {"default": "end"},
        },
        {"name": "end", "type": "hangup"},
    )
    return {
        "name": name,
        "language": "en",
        "initial_state": "greeting",
        "states": [dict(one) for one in states],
    }


async def a_flow(service: InboundService, name: str = "reception", *, publish: bool = True) -> None:
    """A flow of that name, live."""
    made = await service.write(BOSS, document(name))
    if publish:
        await service.publish(BOSS, name, made.version, "live")


async def a_call(
    database: Database,
    number: str,
    *way: tuple[str, str | None],
    caller: str = "+79161112233",
    at: datetime | None = None,
    **columns: Any,
) -> UUID:
    """A call to the number that has gone this way through its flow: states with the events by which they were
    left, None for the one where the caller is. `columns` of the call are set beside."""
    call_id, at = new_id(), at or utc_now()
    async with database.tenant(TENANT) as conn:
        called = await store.called(conn, TENANT, number)
        assert called is not None
        where: dict[str, Any] = {"node": "main", "channel": f"1772442000.{call_id.int % 10**6}"}
        await store.add(conn, TENANT, call_id, called, contact_id=None, e164=caller, at=at, **where)
        passed = [Passed(state, event) for state, event in way if event is not None]
        now_in = way[-1][0] if way and way[-1][1] is None else None
        await store.stepped(conn, TENANT, call_id, called.flow, 0, passed, now_in, at)
        if columns:
            c = t.inbound_call.c
            mine = c.tenant_id == TENANT, c.id == call_id
            await conn.execute(update(t.inbound_call).where(*mine).values(**columns))
    return call_id
