"""Dispositions: what they end, their races with the hang-up, and the limit of a wrap-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from support.fake_engine import FakeEngine, asked_by_a_desk, wrapped_up
from support.floor import TENANT, Floor
from support.promises import ROUND_THE_CLOCK

from dialer.agents import store as agents
from dialer.agents.model import PAUSE_WRAP_UP_OVER, AgentState
from dialer.calls import wrapup_store
from dialer.calls.commands import CommandDesk
from dialer.calls.model import HungUp, Result
from dialer.calls.service import CallService
from dialer.calls.wrapup_store import WrapUps
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Forbidden, Invalid, NotFound, WrongState
from dialer.httpkit.access import Role
from dialer.ids import new_id
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


async def test_a_disposition_ends_the_wrap_up(floor: Floor, service: CallService) -> None:
    """Saved in wrap-up it ends the attempt, frees the agent, closes the lead and is told."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    call = await wrapped_up(floor, seat, lead_id)
    view = await service.dispose(seat.actor, call.attempt_id, "sale", "купил два")

    row = await floor.row(t.attempt, call.attempt_id)
    assert (row.state, row.disposition_note, row.disposed_by) == ("ended", "купил два", seat.actor.user_id)
    assert (view.call.disposition_code, view.call.state) == ("sale", "ended")
    assert (await floor.shift(seat)).state is AgentState.READY
    lead = await floor.row(t.lead, lead_id)
    assert (lead.status, lead.closed_reason, lead.last_result) == ("closed", "sale", "answered")
    async with floor.database.tenant(TENANT) as conn:
        kinds = list(await conn.scalars(select(t.event.c.kind).order_by(t.event.c.id.desc()).limit(3)))
    assert sorted(kinds) == ["agent.state", "call.disposed", "call.state"]


@pytest.mark.parametrize("first", ["hang-up", "disposition", "both at once"])
async def test_the_race_of_disposition_and_hang_up(floor: Floor, service: CallService, first: str) -> None:
    """In either order, and at once, the attempt ends, the disposition is kept, the agent is freed once."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    for _ in range(6 if first == "both at once" else 1):
        call = await floor.talk(seat, lead_id)
        save = service.dispose(seat.actor, call.attempt_id, "sale")
        end = floor.signals(call, HungUp(utc_now(), result=Result.FAILED, cause=16))
        if first == "hang-up":
            await end
            assert (await floor.shift(seat)).state is AgentState.WRAP_UP
            await save
        elif first == "disposition":
            await save
            assert (await floor.shift(seat)).state is AgentState.TALKING
            await end
        else:
            await asyncio.gather(save, end)
        row = await floor.row(t.attempt, call.attempt_id)
        assert (row.state, row.result) == ("ended", "answered")
        assert row.disposed_at is not None
        shift = await floor.shift(seat)
        assert (shift.state, shift.attempt_id) == (AgentState.READY, None)
        async with floor.database.tenant(TENANT) as conn:
            freed = await conn.scalar(
                select(func.count())
                .select_from(t.agent_time)
                .where(t.agent_time.c.state == "ready", t.agent_time.c.started_at >= call.created_at)
            )
        assert freed == 1
        lead = await floor.row(t.lead, lead_id)
        assert (lead.status, lead.closed_reason) == ("closed", "sale")
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(update(t.lead).values(status="waiting"))


async def test_a_callback_is_kept_through_the_hang_up(floor: Floor, service: CallService) -> None:
    """A callback saved while the talk goes on opens the lead for its moment, and is not dialled before."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(ROUND_THE_CLOCK))
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    call = await floor.talk(seat, lead_id)
    moment = utc_now() + timedelta(days=2)
    await service.dispose(seat.actor, call.attempt_id, "callback", callback_at=moment)
    await floor.hang_up(call)
    lead = await floor.row(t.lead, lead_id)
    assert (lead.status, lead.open_from) == ("waiting", moment)
    async with floor.database.tenant(TENANT) as conn:
        for at, many in ((moment - timedelta(seconds=1), 0), (moment, 1)):
            found = await hopper.claim(conn, TENANT, floor.campaign_id, 5, at, callbacks=True)
            assert len(found) == many


@pytest.mark.parametrize(
    ("code", "in_s", "listed", "field", "reason"),
    [
        ("callback", -1, True, "callback_at", "must be in the future"),
        ("callback", 400 * 86400, True, "callback_at", "must be in the future"),
        ("callback", 60, False, "callback_at", "the number is of nobody"),
        ("sale", 60, True, "callback_at", "goes only with a disposition of the kind callback"),
        ("nothing", None, True, "code", "must be one of: sale, callback"),
    ],
)
async def test_wrong_dispositions(
    floor: Floor,
    service: CallService,
    code: str,
    in_s: int | None,
    listed: bool,
    field: str,
    reason: str,
) -> None:
    """A code that the campaign has not, a callback in the past or to nobody of its lists is refused and
    changes nothing."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(ROUND_THE_CLOCK))
    seat = await floor.seat()
    (lead_id,) = await floor.leads(1)
    call = await wrapped_up(floor, seat, lead_id if listed else None)
    moment = utc_now() + timedelta(seconds=in_s) if in_s is not None else None
    with pytest.raises(Invalid, match=reason) as refused:
        await service.dispose(seat.actor, call.attempt_id, code, callback_at=moment)
    assert refused.value.details["field"] == field
    kept = await floor.row(t.attempt, call.attempt_id)
    assert (kept.state, kept.disposition_id) == ("wrap_up", None)


async def test_who_may_save(floor: Floor, service: CallService) -> None:
    """Only the call's agent and supervisors save its disposition, and only of a talk."""
    seat, other = await floor.seat(), await floor.seat()
    call = await wrapped_up(floor, seat)
    with pytest.raises(Forbidden):
        await service.dispose(other.actor, call.attempt_id, "sale")
    await service.dispose(await floor.user(Role.SUPERVISOR), call.attempt_id, "sale")
    never = await floor.place()
    with pytest.raises(WrongState):
        await service.dispose(await floor.user(Role.SUPERVISOR), never.attempt_id, "sale")
    with pytest.raises(NotFound):
        await service.dispose(await floor.user(Role.SUPERVISOR), new_id(), "sale")


async def test_a_disposition_may_be_changed(floor: Floor, service: CallService) -> None:
    """Saved again it is another one, the log of changes knows, and a later call stays as it is."""
    seat = await floor.seat()
    first = await wrapped_up(floor, seat)
    await service.dispose(seat.actor, first.attempt_id, "sale")
    second = await floor.talk(seat)
    view = await service.dispose(seat.actor, first.attempt_id, "no-contact")
    assert view.call.disposition_code == "no-contact"
    shift = await floor.shift(seat)
    assert (shift.state, shift.attempt_id) == (AgentState.TALKING, second.attempt_id)
    async with floor.database.tenant(TENANT) as conn:
        actions = list(await conn.scalars(select(t.audit.c.action)))
    assert actions == ["call.dispose_again"]


@pytest.mark.parametrize(("asked", "then"), [(None, "ready"), ("break", "paused"), ("offline", "offline")])
async def test_after_the_wrap_up_limit(
    floor: Floor, service: CallService, asked: str | None, then: str
) -> None:
    """Over the limit the attempt ends and the agent is paused; the disposition, when it comes, sends the
    agent to what was asked for meanwhile."""
    seat = await floor.seat()
    call = await wrapped_up(floor, seat)
    late = utc_now() + timedelta(hours=1)
    async with floor.database.tenant(TENANT) as conn:
        if asked is not None:
            state = AgentState.OFFLINE if asked == "offline" else AgentState.PAUSED
            await agents.ask_next(conn, TENANT, seat.session_id, state, "break" if asked == "break" else None)
        await wrapup_store.end_overdue(conn, TENANT, [floor.campaign_id], late, WrapUps())
        over = await wrapup_store.shifts_over(conn, TENANT, [floor.campaign_id], late, WrapUps())
        assert over == [(call.attempt_id, seat.session_id)]
        await agents.move(
            conn,
            TENANT,
            seat.session_id,
            AgentState.PAUSED,
            utc_now(),
            leaving=(AgentState.WRAP_UP,),
            pause_code=PAUSE_WRAP_UP_OVER,
        )
    card = await service.card(seat.actor)
    assert card is not None
    assert card.call is not None
    assert card.call.id == call.attempt_id
    await service.dispose(seat.actor, call.attempt_id, "sale")
    shift = await floor.shift(seat)
    assert (shift.state, shift.pause_code) == (then, "break" if asked == "break" else None)


async def test_a_wrap_up_that_outlived_a_lost_phone(floor: Floor, service: CallService) -> None:
    """The phone was lost in wrap-up and came back after the limit: the disposition still frees the agent."""
    seat = await floor.seat()
    call = await wrapped_up(floor, seat)
    async with floor.database.tenant(TENANT) as conn:
        await agents.move(conn, TENANT, seat.session_id, AgentState.LOST, utc_now())
        await wrapup_store.end_overdue(
            conn, TENANT, [floor.campaign_id], utc_now() + timedelta(hours=1), WrapUps()
        )
        owed = await agents.owes_disposition(conn, TENANT, seat.session_id)
        assert owed == call.attempt_id
        await agents.move(conn, TENANT, seat.session_id, AgentState.WRAP_UP, utc_now(), attempt_id=owed)
    await service.dispose(seat.actor, call.attempt_id, "sale")
    assert (await floor.shift(seat)).state is AgentState.READY
