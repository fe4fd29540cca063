"""Do-not-call in the database: what an entry does to leads, to calls, and to other tenants."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from support.floor import NODE, TENANT, Floor
from support.placer import Line, placer_of, terms_of

from dialer.calls import admission
from dialer.calls import store as calls
from dialer.calls.journal import DatabaseJournal
from dialer.calls.model import DO_NOT_CALL, Answered, HungUp, Rang, Result
from dialer.calls.placing import Placed, Placer
from dialer.calls.service import CallService
from dialer.calls.targets import ByHand, Target
from dialer.calls.unwanted import Unwanted
from dialer.clock import utc_now
from dialer.contacts.forgotten import forget_numbers
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.donotcall import store
from dialer.donotcall.model import Refusal, Source
from dialer.errors import NotAllowed, NumberBusy
from dialer.ids import new_id
from dialer.pacing.model import DialMode
from dialer.settings import load
from scheduler import hopper

FIRST = "+79160000000"
SECOND = "+79160000001"
TARGET = Target(FIRST, ("Europe/Moscow",))


async def add(floor: Floor, *marks: str, **said: Any) -> dict[str, int]:
    """Entries that are committed."""
    async with floor.database.tenant(TENANT) as conn:
        return await store.add(conn, TENANT, marks, Refusal(Source.OPERATOR, **said), by=None, now=utc_now())


def journal_of(placer: Placer) -> DatabaseJournal:
    """Where the placer's calls are written."""
    journal = placer.calls.journal
    assert isinstance(journal, DatabaseJournal)
    return journal


async def another_campaign(floor: Floor, status: str = "running") -> int:
    """A second campaign of the tenant."""
    async with floor.database.tenant(TENANT) as conn:
        made = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name=f"{status} too", policy="default", status=status)
            .returning(t.campaign.c.id)
        )
    assert made is not None
    return int(made)


async def test_an_entry_closes_the_number_in_every_campaign(floor: Floor) -> None:
    """Who asks not to be called is called by no campaign; other people are."""
    second = await another_campaign(floor)
    here, there = await floor.leads(2), await floor.leads(2, campaign_id=second)
    await add(floor, FIRST)
    for asked, other in (here, there):
        row = await floor.row(t.lead, asked)
        assert (row.status, row.closed_reason, row.hold) == ("closed", "do_not_call", None)
        assert (await floor.row(t.lead, other)).status == "new"


async def test_an_entry_of_one_campaign_is_its_own(floor: Floor) -> None:
    """Another campaign goes on calling the number."""
    second = await another_campaign(floor)
    (here,), (there,) = await floor.leads(1), await floor.leads(1, campaign_id=second)
    await add(floor, FIRST, campaign_id=second)
    assert (await floor.row(t.lead, here)).status == "new"
    assert (await floor.row(t.lead, there)).closed_reason == "do_not_call"
    line = Line(floor.database)
    assert await placer_of(floor, line).next_leads(terms_of(floor), 1, NODE) == Placed(1)


async def test_a_disposition_is_an_entry_with_its_call(floor: Floor, database: Database) -> None:
    """An agent who says so has the number entered, with the call as where it came from, and its leads
    closed, in the transaction of the disposition."""
    second = await another_campaign(floor)
    (here,), (there,) = await floor.leads(1), await floor.leads(1, campaign_id=second)
    seat = await floor.seat()
    call = await floor.hang_up(await floor.talk(seat, here))
    desk: Any = None
    await CallService(database, desk, load()).dispose(seat.actor, call.attempt_id, "do-not-call")
    for lead in (here, there):
        row = await floor.row(t.lead, lead)
        assert (row.status, row.closed_reason) == ("closed", "do_not_call")
    async with database.tenant(TENANT) as conn:
        (entry,) = await store.entries_of(conn, TENANT, [FIRST])
    assert (entry.number, entry.source, entry.attempt_id) == (FIRST, Source.DISPOSITION, call.attempt_id)
    assert (entry.added_by, entry.campaign_id, entry.valid_until) == (seat.actor.name, None, None)


async def test_an_entry_with_an_end_puts_off(floor: Floor) -> None:
    """The lead rests under the filter's name until then, and is claimed from then on."""
    (lead,) = await floor.leads(1)
    until = utc_now() + timedelta(days=30)
    await add(floor, FIRST, valid_until=until)
    row = await floor.row(t.lead, lead)
    assert (row.status, row.hold, row.open_from) == ("waiting", "do_not_call", until)
    later = until + timedelta(seconds=1)
    async with floor.database.tenant(TENANT) as conn:
        assert [one.id for one in await hopper.claim(conn, TENANT, floor.campaign_id, 1, later)] == [lead]


async def test_what_is_said_twice_stands_once(floor: Floor) -> None:
    """A number that nobody may call has one entry; one that lasts longer is another."""
    soon = utc_now() + timedelta(days=1)
    assert set(await add(floor, FIRST, valid_until=soon)) == {FIRST}
    assert set(await add(floor, FIRST, SECOND)) == {FIRST, SECOND}
    assert await add(floor, FIRST) == {}
    assert await add(floor, FIRST, valid_until=soon) == {}
    assert await add(floor, FIRST, campaign_id=floor.campaign_id) == {}


async def test_a_removed_entry_is_kept_and_its_leads_come_back(floor: Floor) -> None:
    """Who removed it and why stays; the leads that it closed are dialled again, other closed ones not."""
    first, second = await floor.leads(2)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            t.lead.update().where(t.lead.c.id == second).values(status="closed", closed_reason="sale")
        )
    ids = await add(floor, FIRST, SECOND, reason="by letter")
    async with floor.database.tenant(TENANT) as conn:
        for number in (FIRST, SECOND):
            entry = await store.get(conn, TENANT, ids[number])
            assert entry is not None
            assert await store.remove(conn, TENANT, entry, reason="a mistake", by=None)
            assert not await store.remove(conn, TENANT, entry, reason="again", by=None)
        (kept,) = await store.entries_of(conn, TENANT, [FIRST])
    assert (kept.reason, kept.removed_reason) == ("by letter", "a mistake")
    assert not kept.in_force(utc_now())
    assert (await floor.row(t.lead, second)).closed_reason == "sale"
    line = Line(floor.database)
    assert await placer_of(floor, line).next_leads(terms_of(floor), 5, NODE) == Placed(1)
    assert (await floor.row(t.lead, first)).status == "dialling"


@pytest.mark.parametrize("mark", ["+7916*", "+7916000000*"])
async def test_a_prefix_stops_what_begins_so(floor: Floor, mark: str) -> None:
    """The placer closes what the claim has not heard of; another number is dialled."""
    covered, other = await floor.leads(1), await floor.leads(1, first=79031112233)
    await add(floor, mark)
    line = Line(floor.database)
    assert await placer_of(floor, line).next_leads(terms_of(floor), 5, NODE) == Placed(1)
    assert (await floor.row(t.lead, other[0])).status == "dialling"
    assert (await floor.row(t.lead, covered[0])).closed_reason == "do_not_call"


async def test_the_claim_passes_over_a_number_of_the_list(floor: Floor) -> None:
    """A lead that came to the base after the entry is not claimed."""
    await add(floor, FIRST)
    _, other = await floor.leads(2)
    async with floor.database.tenant(TENANT) as conn:
        found = await hopper.claim(conn, TENANT, floor.campaign_id, 5, utc_now())
    assert [one.id for one in found] == [other]


async def test_an_entry_of_tomorrow_stops_nothing_today(floor: Floor) -> None:
    """It counts from its moment on: then the lead that stood open is not claimed."""
    (lead,) = await floor.leads(1)
    tomorrow = utc_now() + timedelta(days=1)
    await add(floor, FIRST, valid_from=tomorrow)
    async with floor.database.tenant(TENANT) as conn:
        now = [one.id for one in await hopper.claim(conn, TENANT, floor.campaign_id, 1, utc_now())]
        then = await hopper.claim(conn, TENANT, floor.campaign_id, 1, tomorrow)
        covered = await store.covering(conn, TENANT, [FIRST], floor.campaign_id, tomorrow)
    assert (now, then, set(covered)) == ([lead], [], {FIRST})


async def test_nobody_dials_by_hand_what_is_on_the_list(floor: Floor) -> None:
    """A person's own call is refused too, and says why."""
    await add(floor, FIRST)
    seat = await floor.seat()
    placer = placer_of(floor, Line(floor.database))
    by_hand = terms_of(floor, mode=DialMode.MANUAL)
    shift = await floor.shift(seat)
    with pytest.raises(NotAllowed, match="it is on the do-not-call list") as refused:
        await placer.one(by_hand, Target(FIRST, ("Europe/Moscow",)), ByHand(seat.actor.user_id, shift))
    assert refused.value.details["code"] == "do_not_call"


async def test_an_erased_person_who_asked_stays_uncalled(floor: Floor) -> None:
    """Nothing but a digest of the number is kept, and it is enough."""
    lead, _ = await floor.leads(2)
    async with floor.database.tenant(TENANT) as conn:
        await forget_numbers(conn, TENANT, [FIRST])
    line = Line(floor.database)
    assert await placer_of(floor, line).next_leads(terms_of(floor), 5, NODE) == Placed(1)
    assert (await floor.row(t.lead, lead)).closed_reason == "do_not_call"


async def test_tenants_never_see_each_others(floor: Floor, owner_url: str) -> None:
    """An entry of another tenant neither stops a call nor is shown, and its locks are others."""
    owner = await connect(owner_url)
    await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'Second')")
    await owner.close()
    await floor.leads(1)
    async with floor.database.tenant(2) as theirs:
        await store.add(theirs, 2, [FIRST, "+7916*"], Refusal(Source.API), by=None, now=utc_now())
        async with floor.database.tenant(TENANT) as ours:  # while theirs holds its locks
            assert await admission.lock(ours, terms_of(floor), [TARGET]) == {FIRST}
            assert await store.entries_of(ours, TENANT, [FIRST]) == []
            (known,) = await admission.subjects(ours, terms_of(floor), [TARGET], utc_now())
            assert (known.do_not_call, known.version) == (None, 0)
    line = Line(floor.database)
    assert await placer_of(floor, line).next_leads(terms_of(floor), 1, NODE) == Placed(1)


# -- the race ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [FIRST, "+7916*"])
async def test_no_attempt_is_made_while_an_entry_is_committed(floor: Floor, mark: str) -> None:
    """Who dials waits for nobody: the number is passed over, by hand it is refused."""
    lead, _ = await floor.leads(2)
    seat = await floor.seat()
    shift = await floor.shift(seat)
    line = Line(floor.database)
    placer = placer_of(floor, line)
    async with floor.database.tenant(TENANT) as adding:
        await store.add(adding, TENANT, [mark], Refusal(Source.API), by=None, now=utc_now())
        by_hand = ByHand(seat.actor.user_id, shift)
        with pytest.raises(NumberBusy):
            await placer.one(
                terms_of(floor, mode=DialMode.MANUAL), Target(FIRST, ("Europe/Moscow",)), by_hand
            )
        async with asyncio.timeout(10):
            placed = await placer.next_leads(terms_of(floor), 2, NODE)
        assert placed == (Placed(1) if mark == FIRST else Placed(0, "no_lines"))
        async with floor.database.tenant(TENANT) as conn:
            made = list(await conn.scalars(select(t.attempt.c.e164)))
        assert made == ([SECOND] if mark == FIRST else [])
    await placer.next_leads(terms_of(floor), 2, NODE)
    assert (await floor.row(t.lead, lead)).closed_reason == "do_not_call"


@pytest.mark.parametrize("mark", [FIRST, "+7916*"])
async def test_an_entry_waits_for_the_attempt_that_was_there_first(
    floor: Floor, owner_url: str, mark: str
) -> None:
    """Its commit comes after that of the attempt, so whoever hears of it finds the call that is to be taken
    back."""

    async def entry() -> int:
        async with floor.database.tenant(TENANT) as conn:
            await store.add(conn, TENANT, [mark], Refusal(Source.API), by=None, now=utc_now())
            return await conn.scalar(select(func.count()).select_from(t.active_number)) or 0

    owner = await connect(owner_url)
    async with floor.database.tenant(TENANT) as dialling:
        assert await admission.lock(dialling, terms_of(floor), [TARGET]) == {FIRST}
        adding = asyncio.create_task(entry())
        async with asyncio.timeout(10):
            while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # a lock that is waited for tells nobody
        assert not adding.done()
        await calls.hold_numbers(dialling, TENANT, {FIRST: new_id()})
    assert await adding == 1
    await owner.close()


async def test_entries_at_once_for_the_same_people_do_not_deadlock(floor: Floor) -> None:
    """Agents who enter numbers of several campaigns at the same moment wait for each other in one order."""
    second = await another_campaign(floor)
    await floor.leads(20)
    await floor.leads(20, campaign_id=second)
    numbers = [f"+{79160000000 + n}" for n in range(20)]
    await asyncio.gather(
        *(add(floor, *order) for order in (numbers, numbers[::-1], numbers[::2], numbers[::3]))
    )
    async with floor.database.tenant(TENANT) as conn:
        assert await conn.scalar(select(func.count()).select_from(t.do_not_call)) == 20
        open_ = select(func.count()).select_from(t.lead).where(t.lead.c.status != "closed")
        assert await conn.scalar(open_) == 0


# -- calls that are under way -----------------------------------------------------------------------------


async def test_an_entry_takes_back_what_nobody_has_answered(floor: Floor) -> None:
    """The ringing call of the number ends as taken back for it, and closes its lead; an answered one and
    those of others go on."""
    leads = await floor.leads(4)
    line = Line(floor.database)
    placer = placer_of(floor, line)
    assert await placer.next_leads(terms_of(floor), 4, NODE) == Placed(4)
    await placer.settled(NODE)
    by_number = {one.e164: one.call.attempt_id for one in placer.calls}
    answered, ringing, other = (by_number[f"+{79160000000 + n}"] for n in range(3))
    for id_ in (answered, ringing, other):
        placer.calls.apply(id_, Rang(utc_now()))
    placer.calls.apply(answered, Answered(utc_now()))
    unwanted = Unwanted(floor.database, placer.calls, placer)
    looking = asyncio.create_task(unwanted.run())
    await add(floor, FIRST, SECOND)
    line.asked.clear()
    unwanted.look(TENANT)
    async with asyncio.timeout(10):
        while not line.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the line is a list
    looking.cancel()
    await placer.settled(NODE)
    hang_ups = [(action["Action"], action["Channel"]) for action in line.asked]
    assert hang_ups == [("Hangup", str(ringing))]
    canceled = [one.call.attempt_id for one in placer.calls if one.call.canceled]
    assert canceled == [ringing]
    placer.calls.apply(ringing, HungUp(utc_now(), result=Result.FAILED, cause=16))
    await journal_of(placer).finish()
    attempt = await floor.row(t.attempt, ringing)
    assert (attempt.result, attempt.detail) == ("canceled", DO_NOT_CALL)
    row = await floor.row(t.lead, leads[1])
    assert (row.status, row.closed_reason) == ("closed", "do_not_call")


async def test_a_call_that_is_decided_meanwhile_is_looked_at_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that is heard of between an attempt's commit and the table of calls takes it back too."""
    await floor.leads(1)
    placer = placer_of(floor, Line(floor.database))
    unwanted = Unwanted(floor.database, placer.calls, placer)
    judge = admission.judge

    async def heard_meanwhile(*given: Any) -> Any:
        unwanted.look(TENANT)
        looked_at.append(TENANT)
        return await judge(*given)

    looked_at: list[int] = []
    again: list[int] = []
    placer.refused_meanwhile = again.append
    await placer.next_leads(terms_of(floor), 1, NODE)
    assert again == []
    await floor.leads(1, first=79031112233)
    monkeypatch.setattr(admission, "judge", heard_meanwhile)
    assert await placer.next_leads(terms_of(floor), 1, NODE) == Placed(1)
    assert again == looked_at == [TENANT]
