"""What is asked before a number is dialled, and what stands in the database when Asterisk is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text, update
from support.floor import NODE, TENANT, Floor
from support.placer import Line, placer_of, terms_of

from dialer.calls import admission
from dialer.calls.model import Answered, Call, GaveUp, HungUp, Result
from dialer.calls.placing import Placed
from dialer.calls.targets import Target
from dialer.clock import utc_now
from dialer.compliance.filters import Filter
from dialer.compliance.policy import ALL_DAY, Limits
from dialer.contacts import dead_numbers_store
from dialer.db import tables as t
from dialer.db.session import connect, driver_of
from dialer.errors import DatabaseUnavailable
from dialer.pacing.model import DialMode
from scheduler import hopper
from scheduler.hopper import ClaimedLead


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


# -- what is asked before ----------------------------------------------------------------------------------


async def dies(floor: Floor, number: str) -> None:
    """The number is dead, and nobody has looked at its leads."""
    async with floor.database.tenant(TENANT) as conn:
        assert await dead_numbers_store.confirm(conn, TENANT, [number])


async def second_number(floor: Floor, lead_id: int, number: str) -> None:
    """The lead's person has another number."""
    lead = await floor.row(t.lead, lead_id)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.contact_phone).values(
                tenant_id=TENANT,
                contact_id=lead.contact_id,
                position=2,
                e164=number,
                kind="mobile",
                timezones=["Europe/Moscow"],
            )
        )


async def test_a_dead_number_makes_way_for_the_next_one(floor: Floor) -> None:
    """Its lead is closed, and the person's living number is called in the same look; one who has no other
    number is left in peace."""
    gone, alone, other = await floor.leads(3)
    await second_number(floor, gone, "+79261112233")
    await dies(floor, "+79160000000")
    await dies(floor, "+79160000001")
    line = Line(floor.database)
    placer = placer_of(floor, line)
    assert await placer.next_leads(terms_of(floor), 5, NODE) == Placed(1)
    assert await placer.next_leads(terms_of(floor), 5, NODE) == Placed(1)
    await placer.settled(NODE)
    async with floor.database.tenant(TENANT) as conn:
        dialled = set(await conn.scalars(select(t.attempt.c.e164)))
    assert dialled == {"+79160000002", "+79261112233"}
    assert (await floor.row(t.lead, other)).status == "dialling"
    for lead_id in (gone, alone):
        lead = await floor.row(t.lead, lead_id)
        assert (lead.status, lead.closed_reason, lead.hold) == ("closed", "dead_number", None)


async def test_a_person_may_try_a_dead_number(floor: Floor) -> None:
    """What somebody dials by hand is not asked whether it lives."""
    await floor.leads(1)
    await dies(floor, "+79160000000")
    target = Target("+79160000000", ("Europe/Moscow",))
    async with floor.database.tenant(TENANT) as conn:
        (by_hand,) = await admission.judge(conn, terms_of(floor, mode=DialMode.MANUAL), [target], utc_now())
        (machine,) = await admission.judge(conn, terms_of(floor), [target], utc_now())
    assert by_hand.answer is None
    assert machine.answer is not None
    assert machine.answer.filter is Filter.NUMBER


async def test_a_mode_that_was_forbidden_since_dials_nothing(floor: Floor) -> None:
    """No lead is put off for it: with another mode they are all there."""
    (lead_id,) = await floor.leads(1)
    strict = replace(terms_of(floor).policy, forbidden_modes=frozenset({"progressive"}))
    placer = placer_of(floor, Line(floor.database))
    assert await placer.next_leads(terms_of(floor, policy=strict), 1, NODE) == Placed(0, "mode_forbidden")
    assert (await floor.row(t.lead, lead_id)).status == "new"
    by_power = terms_of(floor, policy=strict, mode=DialMode.POWER)
    assert await placer.next_leads(by_power, 1, NODE) == Placed(1)


async def test_all_is_asked_by_one_statement_without_locks(floor: Floor) -> None:
    """What is known of a batch, also where attempts at a person are limited, consents and quotas count: who
    only wants to know holds nobody up."""
    await floor.leads(3)
    policy = replace(terms_of(floor).policy, asks_consent=True, limits=Limits(per_day=1))
    terms = terms_of(floor, policy=policy, has_quotas=True)
    targets = [Target(f"+{79160000000 + n}", ("Europe/Moscow",)) for n in range(3)]
    asked: list[str] = []
    async with floor.database.tenant(TENANT) as conn:
        driver = driver_of(conn)
        await admission.subjects(conn, terms, targets, utc_now())  # the driver looks at types, once
        with driver.query_logger(lambda record: asked.append(record.query)):
            known = await admission.subjects(conn, terms, targets, utc_now())
        held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert await conn.scalar(held) == 0
        assert await admission.lock(conn, terms, targets) == {target.e164 for target in targets}
        assert await conn.scalar(held) == 7  # of each number, of each person, and of all numbers
    assert len(asked) == 1
    assert len({one.contact for one in known} - {None}) == 3
    assert [(one.dead, one.do_not_call, one.full, list(one.tried)) for one in known] == [
        (False, None, "", [])
    ] * 3


async def test_each_number_is_told_of_its_own(floor: Floor) -> None:
    """One number of two contacts is asked about for each of them: whose hours they are, who was tried."""
    first, second = await floor.leads(2)
    await second_number(floor, second, "+79160000000")
    await floor.place(first)
    now = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.contact_phone)
            .where(t.contact_phone.c.position == 2)
            .values(good_from="18:00", good_until="20:00")
        )
        leads = [await hopper.claim_one(conn, TENANT, floor.campaign_id, second)]
        assert leads[0] is not None
        theirs = replace(leads[0], e164="+79160000000")
        targets = [
            Target(theirs.e164, theirs.timezones, theirs),
            Target(leads[0].e164, theirs.timezones, leads[0]),
            Target("+79160000000", theirs.timezones),
        ]
        shared, own, typed = await admission.subjects(conn, terms_of(floor), targets, now)
    assert (shared.contact, len(shared.tried), str(shared.good)) == (theirs.contact_id, 1, "18:00-20:00")
    assert (own.contact, len(own.tried), own.good) == (theirs.contact_id, 0, ALL_DAY)
    assert (typed.contact, len(typed.tried), typed.good) == (theirs.contact_id - 1, 1, ALL_DAY)


async def test_what_is_asked_is_planned_once(floor: Floor) -> None:
    """PostgreSQL keeps the plan, whatever is asked about: to plan costs more than to answer."""
    await floor.leads(30)
    async with floor.database.tenant(TENANT) as conn:
        for many in (1, 2, 20, 1, 5, 1, 3, 1, 9):
            targets = [Target(f"+{79160000000 + n}", ("Europe/Moscow",)) for n in range(many)]
            await admission.subjects(conn, terms_of(floor), targets, utc_now())
        plans = await conn.execute(
            text(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
                " WHERE statement LIKE '%good_from%' AND statement NOT LIKE '%pg_prepared%'"
            )
        )
    assert [tuple(row) for row in plans] == [(4, 5)]
