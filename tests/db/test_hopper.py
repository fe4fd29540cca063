"""Which lead is dialled next, and that no two claims win the same one."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, update
from support.floor import NODE, TENANT, Floor

from dialer.calls import store
from dialer.calls.store import NewAttempt
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.ids import new_id
from scheduler import hopper
from scheduler.holds import Hold
from scheduler.retry import Again, Close

WORKERS = 8
LEADS = 500


async def claim(floor: Floor, wanted: int = 10) -> list[int]:
    """Ids of the leads that a claim gives now, given back at once."""
    async with floor.database.tenant(TENANT) as conn:
        return [one.id for one in await hopper.claim(conn, TENANT, floor.campaign_id, wanted, utc_now())]


async def test_the_order_and_the_limit(floor: Floor) -> None:
    """Leads come in the campaign's order, as many as wanted."""
    leads = await floor.leads(5)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).where(t.lead.c.id == leads[4]).values(sort_key=-1))
    assert await claim(floor, 3) == [leads[4], leads[0], leads[1]]


async def test_what_may_not_be_dialled_now(floor: Floor) -> None:
    """Leads outside their hours, closed, offered, under way, or whose number is in a call do not come."""
    leads = await floor.leads(7)
    now = utc_now()
    changes: list[dict[str, Any]] = [
        {"open_from": now + timedelta(hours=1)},
        {"open_until": now - timedelta(seconds=1)},
        {"status": "closed"},
        {"status": "offered"},
    ]
    async with floor.database.tenant(TENANT) as conn:
        for lead_id, change in zip(leads, changes, strict=False):
            await conn.execute(update(t.lead).where(t.lead.c.id == lead_id).values(**change))
    await floor.place(leads[4])
    number = (await floor.row(t.lead, leads[5])).e164
    async with floor.database.tenant(TENANT) as conn:  # as a call of another campaign holds it
        assert await store.hold_numbers(conn, TENANT, {number: new_id()})
    assert await claim(floor) == [leads[6]]


async def test_a_claim_waits_for_no_other(floor: Floor) -> None:
    """While one claim is open another gets the leads behind it, at once."""
    leads = await floor.leads(4)
    async with floor.database.tenant(TENANT) as conn:
        first = await hopper.claim(conn, TENANT, floor.campaign_id, 2, utc_now())
        assert [one.id for one in first] == leads[:2]
        async with asyncio.timeout(30):
            assert await claim(floor) == leads[2:]
            async with floor.database.tenant(TENANT) as other:
                assert await hopper.claim_one(other, TENANT, floor.campaign_id, leads[0]) is None


async def test_one_chosen_lead(floor: Floor) -> None:
    """A lead that a person chose is claimed whatever its hours, unless it is closed or under way."""
    leads = await floor.leads(3)
    await floor.place(leads[0])
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).where(t.lead.c.id == leads[1]).values(status="closed"))
        found = [await hopper.claim_one(conn, TENANT, floor.campaign_id, one) for one in leads]
    assert [one.id if one else None for one in found] == [None, None, leads[2]]


async def test_offered_skipped_given_back(floor: Floor) -> None:
    """An offered lead comes to nobody else; skipped it is last, given back it keeps its place."""
    one, two, three = await floor.leads(3)
    async with floor.database.tenant(TENANT) as conn:
        for lead_id in (one, two):
            await hopper.offered(conn, TENANT, lead_id)
    assert await claim(floor) == [three]
    async with floor.database.tenant(TENANT) as conn:
        await hopper.skip(conn, TENANT, one)
        await hopper.give_back(conn, TENANT, two)
    assert await claim(floor) == [two, three, one]


async def test_a_talk_closes_or_reopens_its_lead(floor: Floor) -> None:
    """What the agent said decides over the lead, while it is still that attempt's."""
    one, two, three = await floor.leads(3)
    calls = [await floor.place(lead_id) for lead_id in (one, two, three)]
    later = utc_now() + timedelta(hours=3)
    async with floor.database.tenant(TENANT) as conn:
        await hopper.talked(conn, TENANT, one, calls[0].created_at, Close("sale"))
        await hopper.talked(conn, TENANT, two, calls[1].created_at, Again(later))
        # A later attempt has begun since: an old talk's word comes too late.
        await hopper.talked(conn, TENANT, three, calls[2].created_at - timedelta(days=1), Close("sale"))
    rows = [await floor.row(t.lead, lead_id) for lead_id in (one, two, three)]
    assert [(row.status, row.closed_reason) for row in rows] == [
        ("closed", "sale"),
        ("waiting", None),
        ("dialling", None),
    ]
    assert rows[1].open_from == later
    # Its number is still in the call.
    assert await claim(floor) == []


async def test_no_number_is_dialled_twice(floor: Floor) -> None:
    """Eight claimers at once, two campaigns with the same 500 numbers: one attempt a number, none missed."""
    async with floor.database.tenant(TENANT) as conn:
        second = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="Вторая", status="running", policy="default")
            .returning(t.campaign.c.id)
        )
    assert second is not None
    await floor.leads(LEADS)
    await floor.leads(LEADS, campaign_id=second)
    wins: Counter[int] = Counter()

    async def work(worker: int) -> None:
        campaigns = [floor.campaign_id, second]
        while campaigns:
            campaign_id = campaigns[worker % len(campaigns)]
            placed = await _place_some(floor, campaign_id, 7)
            wins[worker] += placed
            if placed == 0 and await _nothing_left(floor, campaign_id):
                campaigns.remove(campaign_id)

    async with asyncio.timeout(60):
        await asyncio.gather(*map(work, range(WORKERS)))

    async with floor.database.tenant(TENANT) as conn:
        numbers = list(await conn.scalars(select(t.attempt.c.e164)))
        held = list(await conn.scalars(select(t.active_number.c.e164)))
    assert len(numbers) == len(set(numbers)) == LEADS
    assert sorted(held) == sorted(numbers)
    assert sum(wins.values()) == LEADS
    assert len(+wins) > 1, "only one of them has worked: nothing was put to the test"


async def _nothing_left(floor: Floor, campaign_id: int) -> bool:
    async with floor.database.tenant(TENANT) as conn:
        found = await conn.scalar(
            select(t.lead.c.id)
            .where(
                t.lead.c.campaign_id == campaign_id,
                t.lead.c.status == "new",
                t.lead.c.e164.not_in(select(t.active_number.c.e164)),
            )
            .limit(1)
        )
    return found is None


async def _place_some(floor: Floor, campaign_id: int, wanted: int) -> int:
    """Claim, hold and commit attempts, as the placer does; how many."""
    now = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        leads = await hopper.claim(conn, TENANT, campaign_id, wanted, now)
        if not leads:
            return 0
        ids = {lead.e164: new_id() for lead in leads}
        held = await store.hold_numbers(conn, TENANT, ids)
        mine = [lead for lead in leads if lead.e164 in held]
        if not mine:
            return 0
        attempts = [
            NewAttempt(
                id=ids[lead.e164],
                campaign_id=campaign_id,
                e164=lead.e164,
                trunk_id=floor.trunk_id,
                node=NODE,
                caller_id="+74950000000",
                mode="progressive",
                policy="default/1",
                list_id=lead.list_id,
                lead_id=lead.id,
                contact_id=lead.contact_id,
            )
            for lead in mine
        ]
        await store.add(conn, TENANT, attempts, now)
        await hopper.dialling(conn, TENANT, [lead.id for lead in mine], now)
        return len(mine)


async def test_a_lead_rests_until_its_time_and_is_claimed_from_then_on(floor: Floor) -> None:
    """What is put off is out of the claim's index, comes back by itself when its time has come, in its old
    place, and is claimed by every later claim as well."""
    leads = await floor.leads(3)
    until = utc_now() + timedelta(hours=1)
    async with floor.database.tenant(TENANT) as conn:
        await hopper.postpone(conn, TENANT, leads[0], until, Hold.HOURS)
        early = await hopper.claim(conn, TENANT, floor.campaign_id, 3, until - timedelta(seconds=1))
    assert [one.id for one in early] == leads[1:]
    assert (await floor.row(t.lead, leads[0])).hold == "hours"
    for _ in range(2):
        async with floor.database.tenant(TENANT) as conn:
            due = await hopper.claim(conn, TENANT, floor.campaign_id, 3, until)
        assert [one.id for one in due] == leads
    assert (await floor.row(t.lead, leads[0])).hold is None


async def test_a_lead_whose_time_has_come_keeps_its_place(floor: Floor) -> None:
    """The claim that wakes it gives it before those behind it, though these were awake and enough."""
    leads = await floor.leads(3)
    due = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        await hopper.postpone(conn, TENANT, leads[0], due, Hold.HOURS)
    async with floor.database.tenant(TENANT) as conn:
        assert [one.id for one in await hopper.claim(conn, TENANT, floor.campaign_id, 1, due)] == leads[:1]
