"""What is asked before a number is dialled, and what stands in the database when Asterisk is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from support.floor import NODE, TENANT, Floor
from support.placer import Line, placer_of, terms_of

from dialer.calls import admission
from dialer.calls.model import Answered, Call, GaveUp, HungUp, Result
from dialer.calls.placing import Placed
from dialer.calls.targets import Target
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.errors import DatabaseUnavailable
from dialer.pacing.model import DialMode
from scheduler.hopper import ClaimedLead


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database)


async def test_an_attempt_stands_before_asterisk_is_asked(floor: Floor) -> None:
    """When an Originate goes out, the attempt that it names and the hold on its number are committed."""
    await floor.leads(3)
    line = Line(floor.database)
    placer = placer_of(floor, line)
    assert await placer.next_leads(terms_of(floor), 3, NODE) == Placed(3)
    await placer.settled(NODE)
    named = {UUID(action["ChannelId"]) for action in line.asked}
    assert len(named) == 3
    assert named == line.committed == line.held


async def test_an_abandoned_number_stays_so_after_a_call_by_hand(floor: Floor) -> None:
    """A person's call to an abandoned number does not open it to the machine before its time."""
    (lead_id,) = await floor.leads(1)
    e164 = (await floor.row(t.lead, lead_id)).e164
    line = Line(floor.database)
    placer = placer_of(floor, line)
    now = utc_now()
    for ends in (
        (Answered(now), GaveUp(now), HungUp(now, result=Result.FAILED)),
        (HungUp(now, result=Result.BUSY),),
    ):
        call = await floor.place(lead_id)
        await floor.signals(call, *ends)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            t.lead.update()
            .where(t.lead.c.id == lead_id)
            .values(status="waiting", open_from=now - timedelta(seconds=1))
        )
    assert await placer.next_leads(terms_of(floor), 1, NODE) == Placed(0, "no_leads")
    assert line.asked == []
    lead = await floor.row(t.lead, lead_id)
    assert timedelta(hours=71) < lead.open_from - now < timedelta(hours=73)
    target = Target(e164, ("Europe/Moscow",))
    assert lead.hold == "redial"
    async with floor.database.tenant(TENANT) as conn:
        by_hand = terms_of(floor, mode=DialMode.MANUAL)
        (judged,) = await admission.judge(conn, by_hand, [target], now)
    assert judged.answer is None


async def _held_up(owner_url: str, when: str) -> None:
    """Let the database take a second for each attempt: at its insertion, or at the commit."""
    owner = await connect(owner_url)
    await owner.execute(
        "CREATE FUNCTION held_up() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(1.2); RETURN NULL; END $$"
    )
    await owner.execute(f"CREATE {when} FOR EACH ROW EXECUTE FUNCTION held_up()")
    await owner.close()


async def test_a_call_whose_commit_was_held_up_is_taken_back(floor: Floor, owner_url: str) -> None:
    """A second after the commit was asked for nobody knows what happened since: Asterisk is not asked."""
    await _held_up(
        owner_url, "CONSTRAINT TRIGGER held_up AFTER INSERT ON attempt DEFERRABLE INITIALLY DEFERRED"
    )
    await floor.leads(1)
    line = Line(floor.database)
    placer = placer_of(floor, line)
    ends: list[Call] = []
    placer.calls.watchers.append(lambda _line, change: ends.append(change.after))
    assert await placer.next_leads(terms_of(floor), 1, NODE) == Placed(1)
    await placer.settled(NODE)
    assert [(call.result, call.detail) for call in ends] == [(Result.CANCELED, "sent_too_late")]
    assert line.asked == []


async def test_a_decision_that_was_held_up_is_given_up(
    floor: Floor, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the database took too long before the commit nothing is written, and pacing decides anew."""
    monkeypatch.setattr("dialer.calls.placing.DECIDE_WITHIN_S", 1.0)
    await _held_up(owner_url, "TRIGGER held_up AFTER INSERT ON attempt")
    (lead_id,) = await floor.leads(1)
    line = Line(floor.database)
    placer = placer_of(floor, line)
    with pytest.raises(DatabaseUnavailable, match="held up"):
        await placer.next_leads(terms_of(floor), 1, NODE)
    async with floor.database.tenant(TENANT) as conn:
        assert list(await conn.scalars(select(t.attempt.c.id))) == []
    assert (await floor.row(t.lead, lead_id)).status == "new"
    assert line.asked == []


async def test_of_many_leads_those_near_their_best_hour_are_dialled(floor: Floor) -> None:
    """More are looked at than are wanted; the others are left as they were."""
    leads = await floor.leads(25)
    placer = placer_of(floor, Line(floor.database))

    def near(lead: ClaimedLead, now: datetime) -> float:
        assert now.tzinfo is not None
        return 1.0 if lead.id in (leads[7], leads[19], leads[22]) else 0.5

    assert await placer.next_leads(terms_of(floor), 2, NODE, near=near) == Placed(2)
    dialled = [one for one in leads if (await floor.row(t.lead, one)).status == "dialling"]
    assert dialled == [leads[7], leads[19]]  # the third is beyond those that are looked at
    assert await placer.next_leads(terms_of(floor), 2, NODE, near=near) == Placed(2)
    dialled = [one for one in leads if (await floor.row(t.lead, one)).status == "dialling"]
    assert dialled == [leads[0], leads[1], leads[7], leads[19]]


async def test_what_is_dialled_counts_for_the_share_of_its_list(floor: Floor) -> None:
    """In the transaction of the attempt; what is only looked at counts for nothing."""
    await floor.leads(5)
    async with floor.database.tenant(TENANT) as conn:
        values = {"campaign_id": floor.campaign_id, "list_id": floor.list_id, "share": 1}
        await conn.execute(t.campaign_list.insert().values(tenant_id=TENANT, **values))
    placer = placer_of(floor, Line(floor.database))
    assert await placer.next_leads(terms_of(floor, mixed=True), 3, NODE) == Placed(3)
    async with floor.database.tenant(TENANT) as conn:
        assert await conn.scalar(select(t.campaign_list.c.dialled)) == 3
