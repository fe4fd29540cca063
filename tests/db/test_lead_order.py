"""The order of a campaign's leads in the database: written once, kept, and written anew with the order."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sqlalchemy import func, insert, select, text, update
from support.floor import FAR, TENANT, Floor

from dialer.clock import utc_now
from dialer.contacts import leadstore
from dialer.contacts import store as contacts
from dialer.db import tables as t
from dialer.db.sort_key import OF_LEAD
from scheduler import changes, hopper
from scheduler.changes import What
from scheduler.holds import Hold
from scheduler.order import Order, sort_key
from scheduler.retry import Again


async def set_order(floor: Floor, order: Order) -> None:
    """As a supervisor sets it, and the jobs process carries it out, in small pieces."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.campaign).where(t.campaign.c.id == floor.campaign_id).values(lead_order=order)
        )
        await changes.ask(conn, TENANT, floor.campaign_id, What.ORDER)
    await carry_out(floor)


async def carry_out(floor: Floor, most: int = 7) -> None:
    """All changes of leads that are asked for."""
    looked: int | None = 0
    while looked is not None:
        async with floor.database.tenant(TENANT) as conn:
            looked = await changes.piece(conn, TENANT, most)


async def claimed(floor: Floor, wanted: int = 100) -> list[int]:
    """Ids of the leads that a claim gives now."""
    async with floor.database.tenant(TENANT) as conn:
        return [one.id for one in await hopper.claim(conn, TENANT, floor.campaign_id, wanted, utc_now())]


async def people(floor: Floor, customs: list[dict[str, str]], first: int = 79260000000) -> list[int]:
    """Ids of new people of the floor's list, each with a number and these fields."""
    async with floor.database.tenant(TENANT) as conn:
        ids = list(
            await conn.scalars(
                insert(t.contact).returning(t.contact.c.id, sort_by_parameter_order=True),
                [{"tenant_id": TENANT, "custom": custom} for custom in customs],
            )
        )
        await conn.execute(
            insert(t.contact_phone),
            [
                {
                    "tenant_id": TENANT,
                    "contact_id": contact_id,
                    "position": 1,
                    "e164": f"+{first + n}",
                    "kind": "mobile",
                    "timezones": ["Europe/Moscow"],
                }
                for n, contact_id in enumerate(ids)
            ],
        )
        await contacts.join_list(conn, TENANT, floor.list_id, ids)
    return ids


async def test_the_rule_and_its_sql_say_the_same(floor: Floor) -> None:
    """Of a hundred leads of every kind, in each order."""
    rng, leads = random.Random(1), await floor.leads(100)
    now = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        for lead_id in leads:
            values: dict[str, Any] = {
                "priority": rng.randint(-1000, 1000),
                "attempts": rng.randint(0, 9),
                "created_at": now - timedelta(microseconds=rng.randint(0, 10**15)),
            }
            await conn.execute(update(t.lead).where(t.lead.c.id == lead_id).values(**values))
        for order in Order:
            await conn.execute(update(t.campaign).values(lead_order=order))
            rows = await conn.execute(
                text(
                    f"""
                    SELECT l.*, {OF_LEAD} AS place FROM lead l
                      JOIN campaign k ON k.tenant_id = l.tenant_id AND k.id = l.campaign_id
                    """
                )
            )
            for row in rows:
                assert row.place == sort_key(
                    order,
                    priority=row.priority,
                    added_at=row.created_at,
                    attempts=row.attempts,
                    contact_id=row.contact_id,
                    campaign_id=row.campaign_id,
                ), order


async def test_each_order_gives_its_leads(floor: Floor) -> None:
    """Set for leads that are there, claimed in that order; what is closed or rests comes in its place too."""
    leads = await floor.leads(20)
    now, rng = utc_now(), random.Random(2)
    facts: dict[int, dict[str, Any]] = {
        lead_id: {
            "priority": rng.randint(-3, 3),
            "attempts": rng.randint(0, 3),
            "created_at": now - timedelta(seconds=rng.randint(0, 3)),
        }
        for lead_id in leads
    }
    async with floor.database.tenant(TENANT) as conn:
        for lead_id, values in facts.items():
            await conn.execute(update(t.lead).where(t.lead.c.id == lead_id).values(**values))
        await hopper.postpone(conn, TENANT, leads[4], now, Hold.RETRY)
    ways: dict[Order, Any] = {
        Order.PRIORITY: lambda one: (-facts[one]["priority"], one),
        Order.NEWEST: lambda one: (-facts[one]["created_at"].timestamp(), one),
        Order.FEWEST_ATTEMPTS: lambda one: (facts[one]["attempts"], one),
        Order.OLDEST: lambda one: one,
        Order.BEST_HOUR: lambda one: one,
    }
    for order, way in ways.items():
        await set_order(floor, order)
        assert await claimed(floor) == sorted(leads, key=way), order
    await set_order(floor, Order.RANDOM)
    shuffled = await claimed(floor)
    assert sorted(shuffled) == leads
    assert shuffled != leads


async def test_new_leads_get_their_place_at_once(floor: Floor) -> None:
    """Those of a list that is added: by the campaign's order, with the priority of their file's column."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(lead_order="priority"))
    await people(
        floor, [{"priority": "-1"}, {"Приоритет": "5"}, {}, {"priority": "soon"}, {"priority": "+7"}]
    )
    async with floor.database.tenant(TENANT) as conn:
        assert await leadstore.add_leads_of_list(conn, TENANT, floor.campaign_id, floor.list_id) == 5
        rows = await conn.execute(select(t.lead.c.priority, t.lead.c.sort_key).order_by(t.lead.c.id))
        assert [tuple(row) for row in rows] == [(-1, 1), (5, -5), (0, 0), (0, 0), (7, -7)]
    # Later ones come after those of the same priority.
    await people(floor, [{"priority": "5"}], first=79270000000)
    async with floor.database.tenant(TENANT) as conn:
        assert await leadstore.add_leads_of_list(conn, TENANT, floor.campaign_id, floor.list_id) == 1
        order = select(t.lead.c.priority).order_by(t.lead.c.sort_key, t.lead.c.id)
        assert list(await conn.scalars(order)) == [7, 5, 5, 0, 0, -1]


async def test_everybody_once_before_anybody_twice(floor: Floor) -> None:
    """By fewest attempts a lead that was dialled goes behind; an attempt that did not count moves it back."""
    one, two = await floor.leads(2)
    await set_order(floor, Order.FEWEST_ATTEMPTS)
    call = await floor.place(one)
    assert (await floor.row(t.lead, one)).sort_key == 1
    async with floor.database.tenant(TENANT) as conn:
        fate = Again(utc_now(), spared=True)
        await hopper.settle(conn, TENANT, one, call.created_at, "canceled", fate)
        await conn.execute(t.active_number.delete())
    assert (await floor.row(t.lead, one)).sort_key == 0
    assert await claimed(floor) == [one, two]
    call = await floor.place(one)
    async with floor.database.tenant(TENANT) as conn:
        await hopper.settle(conn, TENANT, one, call.created_at, "busy", Again(utc_now()))
        await conn.execute(t.active_number.delete())
    assert await claimed(floor) == [two, one]


async def test_a_person_has_one_lead_a_campaign(floor: Floor) -> None:
    """Also when the lead has gone on to another of their numbers."""
    (person,) = await people(floor, [{}])
    async with floor.database.tenant(TENANT) as conn:
        assert await leadstore.add_leads_of_list(conn, TENANT, floor.campaign_id, floor.list_id) == 1
        await conn.execute(update(t.lead).values(e164="+79990000000"))
        assert await leadstore.add_leads(conn, TENANT, floor.campaign_id, floor.list_id, [person]) == 0
        assert await conn.scalar(select(func.count()).select_from(t.lead)) == 1


async def test_a_skipped_lead_is_last_in_a_long_list(floor: Floor) -> None:
    """Behind all that can be dialled now, whatever the order; alone it stays where it is."""
    leads = await floor.leads(3)
    await set_order(floor, Order.NEWEST)
    async with floor.database.tenant(TENANT) as conn:
        await hopper.offered(conn, TENANT, leads[0])
        await hopper.skip(conn, TENANT, leads[0])
    assert await claimed(floor) == [leads[1], leads[2], leads[0]]
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).where(t.lead.c.id != leads[0]).values(status="closed"))
        await hopper.offered(conn, TENANT, leads[0])
        await hopper.skip(conn, TENANT, leads[0])
    assert await claimed(floor) == [leads[0]]


# -- lists by shares ---------------------------------------------------------------------------------------


async def shares(floor: Floor, *given: int) -> list[int]:
    """Lists of the campaign with these shares (0: none) and ten leads each; ids of the lists."""
    ids = []
    async with floor.database.tenant(TENANT) as conn:
        for n, share in enumerate(given):
            list_id = await conn.scalar(
                insert(t.contact_list).values(tenant_id=TENANT, name=f"L{n}").returning(t.contact_list.c.id)
            )
            assert list_id is not None
            ids.append(list_id)
            if share:
                await conn.execute(
                    insert(t.campaign_list).values(
                        tenant_id=TENANT, campaign_id=floor.campaign_id, list_id=list_id, share=share
                    )
                )
    for n, list_id in enumerate(ids):
        leads = await floor.leads(10, first=79500000000 + 100 * n)
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(update(t.lead).where(t.lead.c.id.in_(leads)).values(list_id=list_id))
    return ids


async def dial(floor: Floor, wanted: int) -> list[int]:
    """Claim by shares and dial; the lists of the leads, in order."""
    now = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        leads = await hopper.claim(conn, TENANT, floor.campaign_id, wanted, now, mixed=True)
        assert len({one.id for one in leads}) == len(leads)
        await hopper.dialling(conn, TENANT, [one.id for one in leads], now)
        await hopper.count_dialled(conn, TENANT, floor.campaign_id, leads)
    return [one.list_id for one in leads]


async def test_lists_are_dialled_by_their_shares(floor: Floor) -> None:
    """Batch by batch; what a list has not the others make up for; those without a share come last."""
    many, few, none = await shares(floor, 3, 1, 0)
    dialled: list[int] = []
    for wanted in (1, 3, 4):
        dialled += await dial(floor, wanted)
    assert (dialled.count(many), dialled.count(few)) == (6, 2)
    dialled += await dial(floor, 12)  # 15 to 5 would be due, and the first has but ten
    assert (dialled.count(many), dialled.count(few), dialled.count(none)) == (10, 10, 0)
    assert await dial(floor, 4) == [none] * 4
    async with floor.database.tenant(TENANT) as conn:
        kept = await conn.execute(select(t.campaign_list.c.dialled).order_by(t.campaign_list.c.list_id))
        assert [row.dialled for row in kept] == [10, 10]


async def test_a_new_day_begins_with_no_deficit(floor: Floor) -> None:
    """What was dialled on another day counts for nothing."""
    many, few = await shares(floor, 1, 1)
    async with floor.database.tenant(TENANT) as conn:
        yesterday = (utc_now() - timedelta(days=2)).date()
        await conn.execute(
            update(t.campaign_list)
            .where(t.campaign_list.c.list_id == many)
            .values(dialled=1000, dialled_on=yesterday)
        )
    assert sorted(await dial(floor, 4)) == [many, many, few, few]


async def test_a_look_ahead_shows_what_a_claim_would_give(floor: Floor) -> None:
    """By shares too, and nothing is locked."""
    await shares(floor, 2, 1)
    async with floor.database.tenant(TENANT) as conn:
        seen = await hopper.peek(conn, TENANT, floor.campaign_id, 9, utc_now(), mixed=True)
        async with floor.database.tenant(TENANT) as other:
            won = await hopper.claim(other, TENANT, floor.campaign_id, 9, utc_now(), mixed=True)
    assert seen == won
    assert len(seen) == 9


async def test_a_resting_lead_of_a_list_wakes(floor: Floor) -> None:
    """The claim by shares puts back what has come due, as the plain one does."""
    (only,) = await shares(floor, 1)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.lead).values(
                hold="hours", open_from=utc_now() - timedelta(seconds=1), open_until=utc_now() + FAR
            )
        )
    assert await dial(floor, 2) == [only, only]
