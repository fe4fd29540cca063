"""Promised calls in the database: claimed before the list, kept by their agent, never lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from support.floor import NODE, TENANT, Floor
from support.placer import Line, placer_of, terms_of
from support.promises import claimed, open_floor, promised, row

from dialer.agents.model import AgentState
from dialer.callbacks.making import Asked
from dialer.callbacks.reminding import Reminding
from dialer.callbacks.service import CallbackService, Change
from dialer.calls import store as calls
from dialer.calls.journal import DatabaseJournal
from dialer.calls.model import Answered, Call, Connected, HungUp, Rang, Result
from dialer.calls.placing import Placed, Placer
from dialer.calls.tracking import leg_of
from dialer.campaigns.promises import Promises
from dialer.clock import utc_now
from dialer.compliance.model import Hours, Timetable
from dialer.contacts import merging
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Refusal, Source
from dialer.errors import Invalid, NotAllowed, WrongState
from dialer.httpkit.access import Actor
from dialer.ids import new_id
from scheduler import hopper
from scheduler import promised as promised_rows
from scheduler.calendar_writer import CalendarWriter
from scheduler.callbacks import Away, State

SERVER = Actor.server(TENANT)


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await open_floor(database)


async def placed(placer: Placer) -> list[Call]:
    """The calls on the placer's lines."""
    await placer.settled(NODE)
    return [line.call for line in placer.calls]


async def end(placer: Placer, call: Call, result: Result) -> None:
    """The call ends, and that is written."""
    now = utc_now()
    signals = [Answered(now)] if result is Result.ANSWERED else [Rang(now)]
    for signal in (*signals, HungUp(now, result=result)):
        placer.calls.apply(call.attempt_id, signal)
    journal = placer.calls.journal
    assert isinstance(journal, DatabaseJournal)
    await journal.finish()


# -- the claim -----------------------------------------------------------------------------------------------


async def test_a_due_callback_comes_before_the_list(floor: Floor) -> None:
    """The last of the list, whatever its place; before its time it is not claimed at all."""
    leads = await floor.leads(4)
    await promised(floor, leads[3], due_s=-5)
    await promised(floor, leads[2], due_s=3600)
    assert await claimed(floor, 3) == [leads[3], leads[0], leads[1]]
    assert await claimed(floor, 9, callbacks=False) == leads[:2]


async def test_the_longest_due_comes_first(floor: Floor) -> None:
    """Of several callbacks."""
    leads = await floor.leads(3)
    for lead_id, due_s in zip(leads, (-10, -30, -20), strict=True):
        await promised(floor, lead_id, due_s=due_s)
    assert await claimed(floor, 3) == [leads[1], leads[2], leads[0]]


async def test_a_personal_one_is_claimed_for_its_agent_alone(floor: Floor) -> None:
    """Until its agent was waited for; then it is anybody's."""
    (lead_id,) = await floor.leads(1)
    seat, other = await floor.seat(), await floor.seat()
    made = await promised(floor, lead_id, due_s=-5, agent_id=seat.agent_id)
    assert await claimed(floor, 5) == []
    async with floor.database.tenant(TENANT) as conn:
        now = utc_now()
        assert await hopper.claim_promised(conn, TENANT, floor.campaign_id, other.agent_id, now) is None
        mine = await hopper.claim_promised(conn, TENANT, floor.campaign_id, seat.agent_id, now)
        assert mine is not None
        assert (mine.id, mine.callback_id) == (lead_id, made.id)
        later = now + timedelta(seconds=600)
        (anybodys,) = await hopper.claim(conn, TENANT, floor.campaign_id, 5, later, callbacks=True)
        assert anybodys.id == lead_id


@pytest.mark.parametrize("away", [Away.WAIT, Away.SUPERVISOR])
async def test_one_that_waits_for_its_agent_is_nobody_elses(floor: Floor, away: Away) -> None:
    """However late."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat(None)
    await promised(floor, lead_id, due_s=-90_000, agent_id=seat.agent_id, away=away)
    assert await claimed(floor, 5) == []


async def test_a_number_in_a_call_is_passed_over(floor: Floor) -> None:
    """It is tried again when that call is over."""
    (lead_id,) = await floor.leads(1)
    await promised(floor, lead_id, due_s=-5)
    async with floor.database.tenant(TENANT) as conn:
        await calls.hold_numbers(conn, TENANT, {"+79160000000": new_id()})
    assert await claimed(floor, 5) == []


# -- a call and what it comes to -----------------------------------------------------------------------------


async def test_a_promise_goes_with_its_attempt(floor: Floor) -> None:
    """Dialled it names its attempt, not answered it waits again, and answered it is done."""
    (lead_id,) = await floor.leads(1)
    made = await promised(floor, lead_id, due_s=-5)
    placer = placer_of(floor, Line(floor.database))
    assert await placer.next_leads(terms_of(floor), 1, NODE, callbacks=True) == Placed(1)
    (call,) = await placed(placer)
    one = await row(floor, made.id)
    assert (one.state, one.attempt_id) == ("dialling", call.attempt_id)
    await end(placer, call, Result.NO_ANSWER)
    one, lead = await row(floor, made.id), await floor.row(t.lead, lead_id)
    assert (one.state, one.tries, one.ended_at) == ("waiting", 1, None)
    assert (lead.status, lead.hold, lead.open_from) == ("waiting", "callback", one.due_at)
    assert timedelta(minutes=9) < one.due_at - utc_now() < timedelta(minutes=11)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.callback).values(due_at=utc_now(), open_at=utc_now()))
    assert await placer.next_leads(terms_of(floor), 1, NODE, callbacks=True) == Placed(1)
    (call,) = await placed(placer)
    await end(placer, call, Result.ANSWERED)
    # Answered by nobody of ours: it is no talk.
    assert (await row(floor, made.id)).state == "waiting"


async def test_after_the_last_try_the_lead_is_one_of_its_list(floor: Floor) -> None:
    """It says that it was missed, and waits as the retry rule has it."""
    (lead_id,) = await floor.leads(1)
    made = await promised(floor, lead_id, due_s=-5)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(callback_tries=1))
    placer = placer_of(floor, Line(floor.database))
    await placer.next_leads(terms_of(floor), 1, NODE, callbacks=True)
    (call,) = await placed(placer)
    await end(placer, call, Result.BUSY)
    one, lead = await row(floor, made.id), await floor.row(t.lead, lead_id)
    assert (one.state, one.reason, one.tries) == ("missed", "busy", 1)
    assert one.ended_at is not None
    assert (lead.status, lead.hold) == ("waiting", "retry")


async def test_out_of_hours_it_waits_for_the_opening_and_says_so(floor: Floor) -> None:
    """What was changed since the promise holds: nobody is dialled out of hours, and nothing is lost."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    made = await promised(floor, lead_id, due_s=-5, agent_id=seat.agent_id)
    shut = utc_now() + timedelta(hours=3 + 2)  # Moscow, two hours from now
    hour = min(shut.hour, 22)
    terms = terms_of(floor, window=Timetable.alike(Hours(hour * 60, hour * 60 + 30)))
    placer = placer_of(floor, Line(floor.database))
    assert seat.shift is not None
    assert (await placer.promised(terms, await floor.shift(seat))).dialled == 0
    one, lead = await row(floor, made.id), await floor.row(t.lead, lead_id)
    assert (one.state, one.moved) == ("waiting", "hours")
    assert one.due_at > utc_now()
    assert one.open_at - one.due_at == timedelta(seconds=600)
    assert (lead.hold, lead.open_from) == ("callback", one.due_at)
    assert (await floor.shift(seat)).state is AgentState.READY


async def test_its_agent_is_reserved_for_the_call(floor: Floor) -> None:
    """From the commit on: whoever answers gets the agent who has promised."""
    leads = await floor.leads(2)
    seat = await floor.seat()
    made = await promised(floor, leads[1], due_s=-5, agent_id=seat.agent_id)
    placer = placer_of(floor, Line(floor.database))
    assert await placer.promised(terms_of(floor), await floor.shift(seat)) == Placed(1)
    (call,) = await placed(placer)
    shift = await floor.shift(seat)
    assert (shift.state, shift.attempt_id) == (AgentState.RESERVED, call.attempt_id)
    assert call.agent == seat.assignee
    attempt = await floor.row(t.attempt, call.attempt_id)
    assert (attempt.lead_id, attempt.agent_id, attempt.clicked_by) == (leads[1], seat.agent_id, None)
    assert (await row(floor, made.id)).attempt_id == call.attempt_id


@pytest.mark.parametrize("state", [AgentState.PAUSED, AgentState.TALKING])
async def test_nothing_is_dialled_for_an_agent_who_is_not_ready(floor: Floor, state: AgentState) -> None:
    """Who has gone into a pause since is not pulled out of it, and no attempt is left behind."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    before = await floor.shift(seat)
    made = await promised(floor, lead_id, due_s=-5, agent_id=seat.agent_id)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.agent_session).values(state=state))
    line = Line(floor.database)
    with pytest.raises(WrongState):
        await placer_of(floor, line).promised(terms_of(floor), before)
    assert (await row(floor, made.id)).state == "waiting"
    async with floor.database.tenant(TENANT) as conn:
        assert await conn.scalar(select(func.count()).select_from(t.attempt)) == 0
    assert line.asked == []


async def test_a_call_by_hand_keeps_the_promise(floor: Floor) -> None:
    """An agent dials the lead before its time: the callback goes with that call."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    made = await promised(floor, lead_id, due_s=3600, agent_id=seat.agent_id)
    call = await floor.place(lead_id, agent=seat)
    async with floor.database.tenant(TENANT) as conn:
        await promised_rows.take(conn, TENANT, [lead_id], [call.attempt_id])
    await floor.signals(call, HungUp(utc_now(), result=Result.NO_ANSWER))
    one = await row(floor, made.id)
    assert (one.state, one.tries, one.due_at) == ("waiting", 0, made.due_at)
    call = await floor.place(lead_id)
    async with floor.database.tenant(TENANT) as conn:
        await promised_rows.take(conn, TENANT, [lead_id], [call.attempt_id])
    await floor.signals(
        call, Connected(utc_now(), agent=seat.assignee), HungUp(utc_now(), result=Result.FAILED)
    )
    assert (await row(floor, made.id)).state == "done"


# -- pacing --------------------------------------------------------------------------------------------------


async def test_pacing_keeps_the_agent_free_and_calls(floor: Floor) -> None:
    """While a call is in the air that was dialled with the agent in mind nothing is taken from it; then the
    promised one is dialled, and only for that agent."""
    leads = await floor.leads(3)
    seat, other = await floor.seat(), await floor.seat()
    made = await promised(floor, leads[2], due_s=-5, agent_id=seat.agent_id)
    placer = placer_of(floor, Line(floor.database))
    terms = terms_of(floor)
    for one in (seat, other):
        assert one.shift is not None
        placer.tracker.know(leg_of(one.shift, up=True))
    await placer.next_leads(terms, 1, NODE)
    (before,) = await placed(placer)
    promises = Promises(floor.database, placer.calls, placer)
    await promises.refresh([TENANT])
    known, ours = {floor.campaign_id: terms}, {floor.campaign_id}

    async def left() -> list[int]:
        shifts = [await floor.shift(seat), await floor.shift(other)]
        return [one.agent_id for one in await promises.keep(TENANT, shifts, known, ours, NODE)]

    assert await left() == [other.agent_id]
    assert (await row(floor, made.id)).state == "waiting"
    await end(placer, before, Result.BUSY)
    assert await left() == [other.agent_id]
    assert (await row(floor, made.id)).state == "dialling"
    assert (await floor.shift(seat)).state is AgentState.RESERVED
    await promises.refresh([TENANT])
    assert await left() == [seat.agent_id, other.agent_id]


async def test_an_agent_is_not_idle_for_what_cannot_be_dialled(floor: Floor) -> None:
    """A promise that no line can carry at the moment leaves its agent to the others, and is tried again."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    await promised(floor, lead_id, due_s=-5, agent_id=seat.agent_id)
    placer = placer_of(floor, Line(floor.database))
    assert seat.shift is not None
    placer.tracker.know(leg_of(seat.shift, up=True))
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.trunk).values(enabled=False))
    promises = Promises(floor.database, placer.calls, placer)
    await promises.refresh([TENANT])
    terms = {floor.campaign_id: terms_of(floor, trunks=[])}
    left = await promises.keep(TENANT, [await floor.shift(seat)], terms, {floor.campaign_id}, NODE)
    assert [one.agent_id for one in left] == [seat.agent_id]


# -- making and changing -------------------------------------------------------------------------------------


async def test_a_time_out_of_hours_is_moved_and_said(database: Database) -> None:
    """To the next opening of the campaign at the person's place; the promise itself stands as it was made."""
    floor = await Floor.open(database, policy="demo", call_from="10:00", call_until="18:00")
    (lead_id,) = await floor.leads(1)
    lead = await floor.row(t.lead, lead_id)
    evening = (utc_now() + timedelta(days=3)).replace(hour=19, minute=0, second=0, microsecond=0)  # 22:00
    made = await CallbackService(database).make(
        SERVER, floor.campaign_id, lead.contact_id, Asked(evening, note="после работы")
    )
    assert (made.from_at, made.moved, made.zone) == (evening, "hours", "Europe/Moscow")
    assert made.due_at == evening + timedelta(hours=12)
    assert (await floor.row(t.lead, lead_id)).open_from == made.due_at


async def test_a_reading_of_a_clock_is_that_of_the_person(floor: Floor) -> None:
    """Of a number that may be in two zones, the one by which the call is later; who knows better says so."""
    (lead_id,) = await floor.leads(1)
    both = ["Asia/Yekaterinburg", "Europe/Moscow"]
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).values(timezones=both))
    lead = await floor.row(t.lead, lead_id)
    service = CallbackService(floor.database)
    day = (utc_now() + timedelta(days=2)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
    made = await service.make(SERVER, floor.campaign_id, lead.contact_id, Asked(day))
    assert (made.zone, made.due_at.hour) == ("Europe/Moscow", 12)
    made = await service.make(
        SERVER, floor.campaign_id, lead.contact_id, Asked(day, zone="Asia/Yekaterinburg")
    )
    assert (made.zone, made.due_at.hour) == ("Asia/Yekaterinburg", 10)
    with pytest.raises(Invalid):
        await service.make(SERVER, floor.campaign_id, lead.contact_id, Asked(day, zone="Mars/Base"))


async def test_a_second_promise_takes_the_place_of_the_first(floor: Floor) -> None:
    """A person is owed one call of a campaign; the row of the first stays, and says what became of it."""
    (lead_id,) = await floor.leads(1)
    first = await promised(floor, lead_id, due_s=3600)
    second = await promised(floor, lead_id, due_s=7200)
    one = await row(floor, first.id)
    assert (one.state, one.reason) == ("canceled", "replaced")
    assert (await row(floor, second.id)).state == "waiting"


async def test_who_is_not_to_be_called_is_promised_nothing(floor: Floor) -> None:
    """Neither anew, nor any more: the callback is canceled with the entry, and says why."""
    leads = await floor.leads(2)
    made = await promised(floor, leads[0], due_s=-5)
    said = Refusal(Source.OPERATOR)
    async with floor.database.tenant(TENANT) as conn:
        await donotcall.add(conn, TENANT, ["+79160000000", "+79160000001"], said, by=None, now=utc_now())
    one = await row(floor, made.id)
    assert (one.state, one.reason) == ("canceled", "do_not_call")
    assert await claimed(floor, 5) == []
    with pytest.raises((NotAllowed, WrongState)):
        await promised(floor, leads[1])


async def test_an_entry_for_a_prefix_is_met_when_the_call_is_due(floor: Floor) -> None:
    """Of the numbers that begin so nobody has made a list."""
    (lead_id,) = await floor.leads(1)
    made = await promised(floor, lead_id, due_s=-5)
    async with floor.database.tenant(TENANT) as conn:
        await donotcall.add(conn, TENANT, ["+7916*"], Refusal(Source.OPERATOR), by=None, now=utc_now())
    line = Line(floor.database)
    assert (await placer_of(floor, line).next_leads(terms_of(floor), 1, NODE, callbacks=True)).dialled == 0
    one = await row(floor, made.id)
    assert (one.state, one.reason, line.asked) == ("canceled", "do_not_call", [])


async def test_it_is_moved_handed_over_and_taken_back(floor: Floor) -> None:
    """Each time the lead rests for it, until nobody calls: then it is one of its list again."""
    (lead_id,) = await floor.leads(1)
    first, second = await floor.seat(None), await floor.seat(None)
    made = await promised(floor, lead_id, due_s=-600, agent_id=first.agent_id, away=Away.WAIT)
    service = CallbackService(floor.database)
    changed = await service.change(SERVER, made.id, Change(agent_id=second.agent_id))
    assert (changed.agent_id, changed.due_at, changed.open_at) == (second.agent_id, made.due_at, None)
    later = utc_now() + timedelta(days=1)
    changed = await service.change(SERVER, made.id, Change(at=later, anyone=True))
    assert (changed.agent_id, changed.due_at, changed.open_at) == (None, later, later)
    assert (await floor.row(t.lead, lead_id)).open_from == later
    canceled = await service.cancel(SERVER, made.id, "заболел")
    assert (canceled.state, canceled.reason) == (State.CANCELED, "заболел")
    assert await claimed(floor, 5, callbacks=False) == [lead_id]
    with pytest.raises(WrongState):
        await service.cancel(SERVER, made.id, "ещё раз")


async def test_one_that_was_missed_can_be_promised_again(floor: Floor) -> None:
    """The same row, with its tries anew."""
    (lead_id,) = await floor.leads(1)
    made = await promised(floor, lead_id, due_s=-5)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.callback).values(state="missed", tries=3, ended_at=utc_now()))
        await conn.execute(update(t.lead).values(hold=None, status="closed", closed_reason="max_attempts"))
    later = utc_now() + timedelta(hours=2)
    changed = await CallbackService(floor.database).change(SERVER, made.id, Change(at=later))
    assert (changed.state, changed.tries, changed.ended_at) == (State.WAITING, 0, None)
    lead = await floor.row(t.lead, lead_id)
    assert (lead.status, lead.hold, lead.closed_reason) == ("waiting", "callback", None)


# -- others who change leads ---------------------------------------------------------------------------------


async def test_the_calendar_leaves_a_promised_lead_its_hold(database: Database) -> None:
    """Out of hours too, where it writes its own onto all others."""
    hour = (utc_now() + timedelta(hours=5)).hour
    hour = 1 if hour > 21 else hour
    floor = await Floor.open(database, policy="demo", call_from=f"{hour:02}:00", call_until=f"{hour:02}:30")
    first, second = await floor.leads(2)
    made = await promised(floor, first, due_s=-5)
    async with database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).values(open_until=utc_now() - timedelta(seconds=1)))
    await CalendarWriter(database).round()
    assert (await floor.row(t.lead, first)).hold == "callback"
    assert (await floor.row(t.lead, second)).hold == "hours"
    assert (await row(floor, made.id)).state == "waiting"
    assert await CalendarWriter(database).round() == 0


async def test_of_two_leads_of_one_person_the_promised_one_stays(floor: Floor) -> None:
    """When two cards are made one; made two again, the promise is where it was."""
    first, second = await floor.leads(2)
    made = await promised(floor, second, due_s=3600)
    people = [(await floor.row(t.lead, one)).contact_id for one in (first, second)]
    async with floor.database.tenant(TENANT) as conn:
        found = await merging.lock(conn, TENANT, people)
        await merging.merge(conn, TENANT, found[people[0]], found[people[1]], {}, None)
    kept, gone = await floor.row(t.lead, second), await floor.row(t.lead, first)
    assert (kept.hold, gone.closed_reason) == ("callback", "duplicate")
    assert (await row(floor, made.id)).contact_id == people[0]
    async with floor.database.tenant(TENANT) as conn:
        record = (await conn.execute(select(t.contact_merge.c.record))).scalar_one()
        await merging.lock(conn, TENANT, people[:1])
        await merging.undo(conn, TENANT, record, people[0])
    one = await row(floor, made.id)
    assert (one.contact_id, one.state) == (people[1], "waiting")


async def test_what_others_break_is_put_right(floor: Floor) -> None:
    """A lead that was closed is not called back, and says why; one that rests for nothing goes on."""
    first, second = await floor.leads(2)
    made = await promised(floor, first, due_s=-5)
    async with floor.database.tenant(TENANT) as conn:
        closed = {"status": "closed", "closed_reason": "segment", "hold": None}
        await conn.execute(update(t.lead).where(t.lead.c.id == first).values(**closed))
        await conn.execute(update(t.lead).where(t.lead.c.id == second).values(hold="callback"))
    await Reminding(floor.database, 300).round()
    one = await row(floor, made.id)
    assert (one.state, one.reason) == ("canceled", "segment")
    assert await claimed(floor, 5) == [second]


# -- reminders -----------------------------------------------------------------------------------------------


async def told(floor: Floor) -> list[tuple[str, int | None]]:
    """What was said of callbacks, to whom."""
    e = t.event.c
    async with floor.database.tenant(TENANT) as conn:
        rows = await conn.execute(
            select(e.payload, e.agent_id).where(e.kind == "callback.reminder").order_by(e.id)
        )
        return [(row.payload["what"], row.agent_id) for row in rows]


async def test_an_agent_is_reminded_once_before_and_once_at_the_time(floor: Floor) -> None:
    """Also when the process that reminds is started anew; a callback that is moved is told anew."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat(None)
    made = await promised(floor, lead_id, due_s=200, agent_id=seat.agent_id)
    for _ in range(2):
        await Reminding(floor.database, 300).round()
    assert await told(floor) == [("soon", seat.agent_id)]
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.callback).values(due_at=utc_now() - timedelta(seconds=1)))
    for _ in range(2):
        await Reminding(floor.database, 300).round()
    assert await told(floor) == [("soon", seat.agent_id), ("due", seat.agent_id)]
    await CallbackService(floor.database).change(
        SERVER, made.id, Change(at=utc_now() + timedelta(seconds=100))
    )
    await Reminding(floor.database, 300).round()
    assert (await told(floor))[2:] == [("soon", seat.agent_id)]


async def test_supervisors_are_told_when_nobody_is_there(floor: Floor) -> None:
    """After the campaign's wait, once."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat(None)
    await promised(floor, lead_id, due_s=-590, agent_id=seat.agent_id, away=Away.SUPERVISOR)
    await Reminding(floor.database, 300).round()
    assert [what for what, _ in await told(floor)] == ["due"]
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.callback).values(due_at=utc_now() - timedelta(seconds=601)))
    for _ in range(2):
        await Reminding(floor.database, 300).round()
    assert [what for what, _ in await told(floor)] == ["due", "late"]
