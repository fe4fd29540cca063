"""Promises when people or agents change: two become one, an agent goes, a person is erased."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update
from support.floor import TENANT, Floor
from support.promises import claimed, open_floor, promised, row

from dialer.callbacks.reminding import Reminding
from dialer.callbacks.service import CallbackService, Change
from dialer.callbacks.store import Which
from dialer.clock import utc_now
from dialer.contacts import merging
from dialer.contacts.erasure import ErasureService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Invalid
from dialer.httpkit.access import Actor
from scheduler.callbacks import Away

SERVER = Actor.server(TENANT)


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await open_floor(database)


async def merged(floor: Floor, leads: Sequence[int]) -> None:
    """The people of two leads are made one."""
    people = [(await floor.row(t.lead, one)).contact_id for one in leads]
    async with floor.database.tenant(TENANT) as conn:
        found = await merging.lock(conn, TENANT, people)
        await merging.merge(conn, TENANT, found[people[0]], found[people[1]], {}, None)


async def apart(floor: Floor) -> None:
    """And two again."""
    async with floor.database.tenant(TENANT) as conn:
        done = (await conn.execute(select(t.contact_merge))).one()
        await merging.lock(conn, TENANT, [done.survivor_id])
        await merging.undo(conn, TENANT, done.record, done.survivor_id)


async def test_two_who_become_one_are_owed_one_call(floor: Floor) -> None:
    """The promise that was made last, as if it had been made to one person; both are owed theirs again when
    they are two again."""
    leads = await floor.leads(2)
    first = await promised(floor, leads[0], due_s=600)
    second = await promised(floor, leads[1], due_s=7200)
    await merged(floor, leads)
    one, other = await row(floor, first.id), await row(floor, second.id)
    assert (one.state, one.reason, one.ended_at is not None) == ("canceled", "replaced", True)
    assert (other.state, one.contact_id) == ("waiting", other.contact_id)
    closed, kept = [await floor.row(t.lead, lead) for lead in leads]
    assert (closed.closed_reason, kept.status, kept.hold) == ("duplicate", "waiting", "callback")
    await apart(floor)
    for made, lead in zip((first, second), leads, strict=True):
        one = await row(floor, made.id)
        assert (one.state, one.reason, one.ended_at) == ("waiting", None, None)
        assert (await floor.row(t.lead, lead)).hold == "callback"


async def test_a_promise_is_not_lost_to_a_call_of_the_other_number(floor: Floor) -> None:
    """While one of the two is being called for nothing promised, the other one's promise stays."""
    leads = await floor.leads(2)
    made = await promised(floor, leads[1], due_s=600)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).where(t.lead.c.id == leads[0]).values(status="dialling"))
    await merged(floor, leads)
    assert (await row(floor, made.id)).state == "waiting"
    assert [(await floor.row(t.lead, lead)).status for lead in leads] == ["dialling", "waiting"]


async def dismissed(floor: Floor, agent_id: int, at: datetime | None) -> None:
    """The agent's user can log in no more, or again (None)."""
    async with floor.database.tenant(TENANT) as conn:
        user = select(t.agent.c.user_id).where(t.agent.c.id == agent_id).scalar_subquery()
        await conn.execute(update(t.app_user).where(t.app_user.c.id == user).values(disabled_at=at))


async def test_nothing_is_promised_for_an_agent_who_is_gone(floor: Floor) -> None:
    """Neither anew, nor handed over one by one or many at once, and nobody can choose them."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    made = await promised(floor, lead_id, due_s=600)
    await dismissed(floor, seat.agent_id, utc_now())
    service = CallbackService(floor.database)
    with pytest.raises(Invalid, match="works here no more"):
        await promised(floor, lead_id, agent_id=seat.agent_id)
    with pytest.raises(Invalid, match="works here no more"):
        await service.change(SERVER, made.id, Change(agent_id=seat.agent_id))
    with pytest.raises(Invalid, match="works here no more"):
        await service.change_many(SERVER, [made.id], agent_id=seat.agent_id)
    assert await service.callers(SERVER) == []


@pytest.mark.parametrize(("terms", "anybodys"), [("anyone", True), ("wait", False)])
async def test_what_a_gone_agent_had_promised_goes_by_the_campaign(
    floor: Floor, terms: str, anybodys: bool
) -> None:
    """It does not wait for ever for somebody who does not come; it does again when they are back."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat(None)
    made = await promised(floor, lead_id, due_s=-3600, agent_id=seat.agent_id, away=Away.WAIT)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(callback_away=terms))
    reminding, service = Reminding(floor.database, 300), CallbackService(floor.database)
    await reminding.round()
    assert (await claimed(floor, 5), (await service.get(SERVER, made.id)).agent_gone) == ([], False)
    await dismissed(floor, seat.agent_id, utc_now())
    await reminding.round()
    assert await claimed(floor, 5) == ([lead_id] if anybodys else [])
    (shown,) = await service.callbacks(SERVER, Which(gone=True))
    assert (shown.id, shown.agent_gone, shown.away) == (made.id, True, Away.WAIT)
    await dismissed(floor, seat.agent_id, None)
    await reminding.round()
    assert await claimed(floor, 5) == []
    assert await service.callbacks(SERVER, Which(gone=True)) == []


async def test_an_erasure_ends_what_was_promised(floor: Floor, tmp_path: Path) -> None:
    """At that moment; what was over before ended when it did."""
    (lead_id,) = await floor.leads(1)
    first = await promised(floor, lead_id, due_s=600)
    second = await promised(floor, lead_id, due_s=600)
    was = await row(floor, first.id)
    erasure = ErasureService(floor.database, tmp_path)
    await erasure.erase(SERVER, was.contact_id, never_again=False)
    one, other = await row(floor, first.id), await row(floor, second.id)
    assert (one.state, one.ended_at) == ("canceled", was.ended_at)
    assert (other.state, other.reason, other.ended_at is not None) == ("canceled", "erased", True)
