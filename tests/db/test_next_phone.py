"""A person with several numbers: one lead, which the retry rule leads from number to number."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, text, update
from support.floor import TENANT, Floor
from support.placer import terms_of

from dialer.agents.model import AgentState
from dialer.calls import admission
from dialer.calls.model import Call, HungUp, Result
from dialer.calls.service import CallService
from dialer.calls.targets import Target
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.settings import load

NUMBERS = ["+79160000000", "+79160000001", "+79160000002"]
#: After no answer the next number a minute later, and an hour after the last one.
ROUND = {"after_s": 3600, "next_phone_s": 60}


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database, max_attempts=10)


async def lead_of_three(floor: Floor, retries: dict[str, Any]) -> int:
    """A lead of a person with three numbers, of a campaign with these rules."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(retries=retries))
    (lead_id,) = await floor.leads(1, first=int(NUMBERS[0][1:]))
    lead = await floor.row(t.lead, lead_id)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.contact_phone),
            [
                {
                    "tenant_id": TENANT,
                    "contact_id": lead.contact_id,
                    "position": place,
                    "e164": number,
                    "kind": "mobile",
                    "timezones": [zone],
                }
                for place, (number, zone) in enumerate(
                    [(NUMBERS[1], "Asia/Omsk"), (NUMBERS[2], "Europe/Moscow")], start=2
                )
            ],
        )
    return lead_id


async def tried(floor: Floor, lead_id: int, result: Result = Result.NO_ANSWER) -> tuple[str, int]:
    """A call to the lead with this end: the number that is tried next, and after how many seconds."""
    call = await floor.place(lead_id)
    return await over(floor, lead_id, call, result)


async def over(floor: Floor, lead_id: int, call: Call, result: Result) -> tuple[str, int]:
    """The same of a call that is under way."""
    at = utc_now()
    await floor.signals(call, HungUp(at, result=result))
    lead = await floor.row(t.lead, lead_id)
    assert lead.status == "waiting", lead.closed_reason
    return lead.e164, round((lead.open_from - at).total_seconds())


async def test_the_numbers_are_tried_in_their_order(floor: Floor) -> None:
    """One after the other, then the usual wait and the first again; zones go with the number, and the
    attempts are counted on the one lead."""
    lead_id = await lead_of_three(floor, {"results": {"no_answer": ROUND}})
    assert await tried(floor, lead_id) == (NUMBERS[1], 60)
    assert (await floor.row(t.lead, lead_id)).timezones == ["Asia/Omsk"]
    assert await tried(floor, lead_id) == (NUMBERS[2], 60)
    assert await tried(floor, lead_id) == (NUMBERS[0], 3600)
    assert await tried(floor, lead_id) == (NUMBERS[1], 60)
    # Another result has no such rule: the same number again.
    assert await tried(floor, lead_id, Result.BUSY) == (NUMBERS[1], 900)
    assert (await floor.row(t.lead, lead_id)).attempts == 5


async def test_a_number_of_somebody_else_is_passed_over(floor: Floor) -> None:
    """A number that the campaign has as another person's lead is that lead's."""
    lead_id = await lead_of_three(floor, {"results": {"no_answer": ROUND}})
    await floor.leads(1, first=int(NUMBERS[1][1:]))
    assert await tried(floor, lead_id) == (NUMBERS[2], 60)


async def test_a_number_taken_at_that_moment_costs_nothing(floor: Floor) -> None:
    """Somebody is brought in with the number while the lead is about to go on to it: the lead keeps its own,
    and nothing else of the transaction is lost."""
    lead_id = await lead_of_three(floor, {"results": {"no_answer": ROUND}})
    (other,) = await floor.leads(1, first=79990000000)
    call = await floor.place(lead_id)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).where(t.lead.c.id == other).values(e164=NUMBERS[1]))
        ending = asyncio.create_task(over(floor, lead_id, call, Result.NO_ANSWER))
        async with asyncio.timeout(30):
            while True:
                if await conn.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                    break
                await asyncio.sleep(0.01)  # nothing tells that somebody waits for a lock
    assert await ending == (NUMBERS[0], 60)


async def test_a_wrong_number_closes_the_lead_after_the_last(floor: Floor) -> None:
    """`invalid` with no wait: on to the next number, and after the last one the lead is closed."""
    rule = {"results": {"invalid": {"after_s": -1, "next_phone_s": 0}}}
    lead_id = await lead_of_three(floor, rule)
    assert await tried(floor, lead_id, Result.INVALID) == (NUMBERS[1], 0)
    assert await tried(floor, lead_id, Result.INVALID) == (NUMBERS[2], 0)
    call = await floor.place(lead_id)
    await floor.signals(call, HungUp(utc_now(), result=Result.INVALID))
    lead = await floor.row(t.lead, lead_id)
    assert (lead.status, lead.closed_reason) == ("closed", "invalid")


async def test_a_disposition_leads_to_the_next_number(floor: Floor) -> None:
    """A talk that did not reach the person: by its code, the next number."""
    rule = {"dispositions": {"no-contact": {"after_s": 3600, "next_phone_s": 30}}}
    lead_id = await lead_of_three(floor, rule)
    seat = await floor.seat(AgentState.READY)
    call = await floor.talk(seat, lead_id)
    await floor.hang_up(call)
    desk: Any = None
    service = CallService(floor.database, desk, load())
    at = utc_now()
    await service.dispose(seat.actor, call.attempt_id, "no-contact")
    lead = await floor.row(t.lead, lead_id)
    assert (lead.e164, lead.status) == (NUMBERS[1], "waiting")
    assert 30 <= (lead.open_from - at).total_seconds() < 40


async def test_a_person_counts_over_all_their_numbers(floor: Floor) -> None:
    """How often a person was tried is known for each of their numbers; of other people nothing."""
    lead_id = await lead_of_three(floor, {"results": {"no_answer": ROUND}})
    await tried(floor, lead_id)
    other = (await floor.row(t.lead, (await floor.leads(1, first=79261112233))[0])).e164
    async with floor.database.tenant(TENANT) as conn:
        targets = [Target(number, ("UTC",)) for number in (*NUMBERS, other, "+79260000000")]
        found = await admission.subjects(conn, terms_of(floor), targets, utc_now())
    assert [len(one.tried) for one in found] == [1, 1, 1, 0, 0]
    assert len({one.contact for one in found}) == 3  # theirs, the other's, nobody's
