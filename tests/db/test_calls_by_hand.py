"""What people have the engine do: dial by hand, dial a lead that is shown, hang up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from support.fake_engine import FakeEngine, asked_by_a_desk, wrapped_up
from support.floor import TENANT, Floor

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.calls.commands import CommandDesk, CommandRunner
from dialer.calls.service import CallService
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.listen import MISSED, REPLIES
from dialer.db.session import Database
from dialer.errors import BadNumber, Forbidden, NotFound, NumberBusy, WrongState
from dialer.httpkit.access import Role
from dialer.settings import load
from scheduler import hopper


@pytest.fixture
async def engine(database: Database, database_url: str) -> AsyncIterator[tuple[FakeEngine, CommandDesk]]:
    """A fake engine that is running, and the desk that asks it."""
    async with asked_by_a_desk(database, database_url) as both:
        yield both


@pytest.fixture
def service(database: Database, engine: tuple[FakeEngine, CommandDesk]) -> CallService:
    """What can be done with calls."""
    return CallService(database, engine[1], load())


@pytest.fixture
async def manual(database: Database) -> Floor:
    """A running campaign whose calls people start."""
    return await Floor.open(database, mode="manual")


async def test_a_number_is_dialled_by_hand(
    manual: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """A number written in any way goes to the engine as E.164 with its zones, and the click is on record."""
    seat = await manual.seat()
    made = await service.dial_number(seat.actor, manual.campaign_id, "8 (916) 123-45-67")
    assert made == engine[0].attempt_id
    ((kind, payload),) = engine[0].asked
    assert (kind, payload["e164"], payload["session_id"]) == (
        "dial_number",
        "+79161234567",
        str(seat.session_id),
    )
    assert "Europe/Moscow" in payload["timezones"]
    assert payload["user_id"] == seat.actor.user_id
    async with manual.database.tenant(TENANT) as conn:
        row = (await conn.execute(select(t.audit.c.action, t.audit.c.user_id, t.audit.c.details))).one()
    assert (row.action, row.user_id) == ("call.dial", seat.actor.user_id)
    assert "916123" not in str(row.details)


async def test_the_engine_refusal_comes_back(
    manual: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """What the engine refuses with is what the caller gets."""
    seat = await manual.seat()
    engine[0].refuses = NumberBusy()
    with pytest.raises(NumberBusy):
        await service.dial_number(seat.actor, manual.campaign_id, "+79161234567")


async def test_notes_that_may_have_been_missed_are_no_answer(
    manual: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """A listener that has come back wakes everyone who waits: whose command is not done waits on."""
    seat = await manual.seat()
    engine[0].works.clear()
    asked = asyncio.create_task(service.dial_number(seat.actor, manual.campaign_id, "+79161234567"))
    await engine[0].begun.wait()
    async with manual.database.tenant(TENANT) as conn:
        await conn.execute(select(func.pg_notify(REPLIES, MISSED)))
    ended, _ = await asyncio.wait({asked}, timeout=0.5)
    assert not ended
    engine[0].works.set()
    assert await asked == engine[0].attempt_id


async def test_when_nothing_is_dialled_by_hand(
    manual: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """No call by hand without a shift, a free agent, a saved disposition, a number, or in another mode."""
    async with manual.database.tenant(TENANT) as conn:
        other = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="B", status="running", policy="default", mode="progressive")
            .returning(t.campaign.c.id)
        )
    assert other is not None
    free, owing, talking = await manual.seat(), await manual.seat(), await manual.seat()
    away, calling = await manual.seat(None), await manual.seat(AgentState.CALLING)
    await wrapped_up(manual, owing)
    await manual.talk(talking)
    number = "+79161234567"
    for seat in (owing, talking, away, calling):
        with pytest.raises(WrongState):
            await service.dial_number(seat.actor, manual.campaign_id, number)
    with pytest.raises(WrongState):
        await service.dial_number(free.actor, other, number)
    with pytest.raises(BadNumber):
        await service.dial_number(free.actor, manual.campaign_id, "12")
    with pytest.raises(NotFound):
        await service.dial_number(free.actor, 999, number)
    assert engine[0].asked == []


async def test_a_shown_lead_is_its_agents(
    database: Database, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """A lead that one agent is shown is dialled by that agent only."""
    floor = await Floor.open(database, mode="preview")
    lead_id, other_lead = await floor.leads(2)
    seat, other = await floor.seat(), await floor.seat()
    async with database.tenant(TENANT) as conn:
        await hopper.offered(conn, TENANT, lead_id)
        leaving = (AgentState.READY,)
        await agents.move(
            conn, TENANT, seat.session_id, AgentState.RESERVED, utc_now(), leaving=leaving, lead_id=lead_id
        )
    card = await service.card(seat.actor)
    assert card is not None
    assert (card.lead_id, card.call, card.number) == (lead_id, None, "+7916*****00")
    with pytest.raises(NotFound):
        await service.dial_lead(other.actor, lead_id)
    with pytest.raises(WrongState):
        await service.dial_lead(seat.actor, other_lead)
    await service.dial_lead(seat.actor, lead_id)
    assert [(kind, payload["lead_id"]) for kind, payload in engine[0].asked] == [("dial_lead", lead_id)]


async def test_what_is_asked_for_a_campaign_that_nobody_has_taken_yet(floor: Floor) -> None:
    """For one that runs it waits until a server has taken it; one that does not run is answered at once."""
    done: list[int] = []
    ours: set[int] = set()

    async def hang_up(_tenant: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        done.append(payload["campaign_id"])
        return {}

    runner = CommandRunner(floor.database, "main", lambda _tenant: ours, {"hang_up": hang_up})
    async with floor.database.tenant(TENANT) as conn:
        ended = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="B", status="stopped", policy="default", mode="progressive")
            .returning(t.campaign.c.id)
        )
        for campaign_id in (floor.campaign_id, ended):
            payload = {"campaign_id": campaign_id}
            await conn.execute(
                insert(t.command).values(
                    tenant_id=TENANT, kind="hang_up", campaign_id=campaign_id, payload=payload
                )
            )
    await runner.run_all(TENANT)
    assert done == [ended]
    ours.add(floor.campaign_id)
    await runner.run_all(TENANT)
    assert done == [ended, floor.campaign_id]


async def test_hanging_up(floor: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]) -> None:
    """An agent ends the own call, a supervisor anybody's, nobody else's agent does; an ended one stays so."""
    seat, other = await floor.seat(), await floor.seat()
    call = await floor.talk(seat)
    with pytest.raises(Forbidden):
        await service.hang_up(other.actor, call.attempt_id)
    await service.hang_up(seat.actor, call.attempt_id)
    await service.hang_up(await floor.user(Role.SUPERVISOR), call.attempt_id)
    assert [payload["by"] for _, payload in engine[0].asked] == ["agent", "server"]
    await floor.hang_up(call)
    with pytest.raises(WrongState):
        await service.hang_up(seat.actor, call.attempt_id)
