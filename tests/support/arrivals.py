"""Calls that come in, without an Asterisk: rows as the reception writes them, signals as the engine sees."""

from __future__ import annotations

from typing import Any

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.calls.journal import DatabaseJournal
from dialer.calls.model import (
    Assigned,
    Call,
    CallState,
    Connected,
    Direction,
    HungUp,
    HungUpBy,
    Queued,
    Result,
    Signal,
)
from dialer.calls.table import CallTable, Line
from dialer.clock import utc_now
from dialer.contacts.numbers import PhoneNumber
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from dialer.inbound import callers, store
from dialer.inbound.service import InboundService
from support.floor import NODE, TENANT, Floor, Seat

NUMBER = PhoneNumber("+79161112233", "mobile", ("Europe/Moscow",))
BOSS = Actor(TENANT, None, Role.ADMINISTRATOR, "Somebody", "en")


def document(word: str = "goodbye") -> dict[str, Any]:
    """A flow that says a word."""
    return {
        "name": "reception",
        "language": "en",
        "initial_state": "say",
        "states": [
            {
                "name": "say",
                "type": "play",
                "properties": {"sound": word},
                "transitions": {"default": "end"},
            },
            {"name": "end", "type": "hangup"},
        ],
    }


async def published(floor: Floor) -> store.Called:
    """A number whose callers hear a word."""
    service = InboundService(floor.database)
    await service.write(BOSS, document())
    await service.publish(BOSS, "reception", 1, "live")
    number = {"number": "+7 495 777-01-01", "name": "", "campaign_id": floor.campaign_id}
    await service.add_number(BOSS, "reception", {**number, "queue": "", "test": False, "active": True})
    async with floor.database.tenant(TENANT) as conn:
        called = await store.called(conn, TENANT, "74957770101")
    assert called is not None
    return called


async def arrived(floor: Floor, called: store.Called) -> Call:
    """A call that has just come in, from NUMBER."""
    call_id, now = new_id(), utc_now()
    async with floor.database.tenant(TENANT) as conn:
        caller = await callers.find(conn, TENANT, NUMBER)
        where: dict[str, Any] = {"node": NODE, "channel": f"1772442000.{call_id.int % 1000}"}
        await store.add(
            conn, TENANT, call_id, called, contact_id=caller.contact_id, e164=caller.e164, at=now, **where
        )
    return Call(
        call_id,
        TENANT,
        floor.campaign_id,
        screens=False,
        abandon_after_s=0.0,
        created_at=now,
        direction=Direction.INBOUND,
        channel=where["channel"],
        state=CallState.FLOW,
        answered_at=now,
    )


async def signals(floor: Floor, call: Call, *happened: Signal) -> Call:
    """Put these to the call, and have the journal write what follows."""
    journal = DatabaseJournal(floor.database)
    table = CallTable(journal)
    terms: Any = None  # nobody looks at them
    line = Line(call=call, terms=terms, e164=NUMBER.e164, trunk_id=0, node=NODE)
    table.add(line)
    for signal in happened:
        table.apply(call.attempt_id, signal)
    await journal.finish()
    return line.call


async def talked(floor: Floor, seat: Seat, called: store.Called) -> Call:
    """A call whose talk with the agent is over."""
    call = await arrived(floor, called)
    async with floor.database.tenant(TENANT) as conn:
        leaving = (AgentState.READY,)
        assert await agents.move(
            conn,
            TENANT,
            seat.session_id,
            AgentState.RESERVED,
            utc_now(),
            leaving=leaving,
            attempt_id=call.attempt_id,
        )
    now = utc_now()
    left = HungUp(now, result=Result.LEFT, cause=16, by=HungUpBy.CUSTOMER)
    who = seat.assignee
    return await signals(floor, call, Queued(now), Assigned(now, agent=who), Connected(now, agent=who), left)
