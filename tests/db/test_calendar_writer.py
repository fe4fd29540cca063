"""When leads may be dialled, as it is written on them: at their making, when hours end, when rules change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from support.floor import TENANT, Floor

from dialer.clock import utc_now
from dialer.contacts import leadstore
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor
from dialer.policies.fields import PolicyBody, PolicyIn, VersionIn
from dialer.policies.service import PolicyService
from scheduler import hopper
from scheduler.calendar_writer import CalendarWriter

ACTOR = Actor.server(TENANT)
NINE_TO_SIX = {"policy": "demo", "call_from": "09:00", "call_until": "18:00"}


def zone_where_it_is(hour: int, now: datetime) -> str:
    """A zone without summer time where the clock shows that hour now."""
    ahead = hour - now.hour
    ahead = ahead - 24 if ahead > 14 else ahead + 24 if ahead < -12 else ahead
    return f"Etc/GMT{-ahead:+d}"


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A campaign that calls from 9 to 18, every day."""
    return await Floor.open(database, **NINE_TO_SIX)


async def put(floor: Floor, lead_ids: Sequence[int], **values: Any) -> None:
    """Write columns of leads."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).where(t.lead.c.id.in_(lead_ids)).values(**values))


async def kept(floor: Floor, lead_ids: Sequence[int]) -> list[Any]:
    """These leads, in their order."""
    async with floor.database.tenant(TENANT) as conn:
        return list(await conn.execute(select(t.lead).where(t.lead.c.id.in_(lead_ids)).order_by(t.lead.c.id)))


async def claimed(floor: Floor) -> list[int]:
    """Whom a claim gives."""
    async with floor.database.tenant(TENANT) as conn:
        return [lead.id for lead in await hopper.claim(conn, TENANT, floor.campaign_id, 10, utc_now())]


def local(moment: datetime, zone: str) -> int:
    """The hour there."""
    return (moment.hour - int(zone.removeprefix("Etc/GMT"))) % 24


async def test_new_leads_have_their_hours(floor: Floor) -> None:
    """Where it is noon a lead is open until six; where it is ten at night it rests until nine."""
    now = utc_now()
    noon, night = zone_where_it_is(12, now), zone_where_it_is(22, now)
    async with floor.database.tenant(TENANT) as conn:
        made = insert(t.contact).returning(t.contact.c.id)
        for n, zone in enumerate((noon, night, "Mars/Base")):
            contact_id = await conn.scalar(made, {"tenant_id": TENANT, "last_name": zone})
            keys = {"tenant_id": TENANT, "contact_id": contact_id}
            await conn.execute(
                insert(t.contact_phone).values(
                    **keys, position=1, e164=f"+7916000000{n}", kind="mobile", timezones=[zone]
                )
            )
            await conn.execute(insert(t.list_contact).values(**keys, list_id=floor.list_id))
        assert await leadstore.add_leads_of_list(conn, TENANT, floor.campaign_id, floor.list_id) == 3
        rows = list(await conn.execute(select(t.lead).order_by(t.lead.c.e164)))
    at_noon, at_night, unknown = rows
    assert (at_noon.hold, local(at_noon.open_until, noon)) == (None, 18)
    assert at_noon.open_from <= utc_now() < at_noon.open_until < now + timedelta(hours=7)
    assert (at_night.hold, local(at_night.open_from, night), local(at_night.open_until, night)) == (
        "hours",
        9,
        18,
    )
    assert now + timedelta(hours=10) < at_night.open_from < now + timedelta(hours=12)
    assert unknown.hold == "zone"
    assert await claimed(floor) == [at_noon.id]
    assert await CalendarWriter(floor.database).round() <= 1  # of the unknown one the time moves on
    (still,) = await kept(floor, [at_noon.id])
    assert (still.open_from, still.open_until) == (at_noon.open_from, at_noon.open_until)


async def test_a_window_that_is_over_is_followed_by_the_next(floor: Floor) -> None:
    """A closed lead leaves the claim's index by itself, and comes back with its hours."""
    now = utc_now()
    noon, night = zone_where_it_is(12, now), zone_where_it_is(22, now)
    here, there = await floor.leads(2)
    await put(floor, [here], timezones=[noon], open_until=now - timedelta(seconds=1))
    await put(floor, [there], timezones=[night], open_until=now - timedelta(hours=4))
    assert await claimed(floor) == []
    assert await CalendarWriter(floor.database, piece=1, rest=0).round() >= 2
    one, other = await kept(floor, [here, there])
    assert (one.hold, local(one.open_until, noon)) == (None, 18)
    assert (other.hold, local(other.open_from, night)) == ("hours", 9)
    assert await claimed(floor) == [here]
    # Its hour has come: the clock of the database is not set, so the lead is.
    await put(floor, [there], timezones=[noon], open_from=now - timedelta(seconds=1))
    assert set(await claimed(floor)) == {here, there}


async def test_what_waits_for_something_else_keeps_that(floor: Floor) -> None:
    """A retry that is due at night keeps its time and its word until then; after it, it rests for hours."""
    now = utc_now()
    night, due = zone_where_it_is(22, now), now + timedelta(hours=1)
    (lead,) = await floor.leads(1)
    late = {"timezones": [night], "status": "waiting", "hold": "retry", "open_until": now}
    await put(floor, [lead], open_from=due, **late)
    writer = CalendarWriter(floor.database)
    await writer.round()
    (row,) = await kept(floor, [lead])
    assert (row.hold, row.open_from, row.open_until) == ("retry", due, due)
    await put(floor, [lead], open_from=now - timedelta(seconds=1), open_until=now - timedelta(seconds=1))
    await writer.round()
    (row,) = await kept(floor, [lead])
    assert (row.hold, local(row.open_from, night)) == ("hours", 9)
    # At noon it is open: it only waits for the retry.
    noon = zone_where_it_is(12, now)
    await put(floor, [lead], open_from=due, **late | {"timezones": [noon]})
    await writer.round()
    (row,) = await kept(floor, [lead])
    assert (row.hold, row.open_from, local(row.open_until, noon)) == ("retry", due, 18)


async def test_other_hours_of_a_campaign_reach_all_its_leads(floor: Floor) -> None:
    """In pieces, from where a writer that has died was; then nothing is left to do."""
    now = utc_now()
    noon = zone_where_it_is(12, now)
    leads = await floor.leads(5)
    await put(floor, leads, timezones=[noon])
    writer = CalendarWriter(floor.database, piece=2, rest=0)
    assert await writer.round() == 5
    assert await writer.round() == 0
    assert {local(row.open_until, noon) for row in await kept(floor, leads)} == {18}
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(call_until="16:00", week={"mon": ["09:00-16:00"]}))
        stamp = await conn.scalar(select(t.campaign.c.calendar_stamp))
    assert await writer.round() == 5
    assert {local(row.open_until, noon) for row in await kept(floor, leads)} == {16}
    async with floor.database.tenant(TENANT) as conn:
        now_stamp, done = (
            await conn.execute(select(t.campaign.c.calendar_stamp, t.campaign.c.calendar_done))
        ).one()
        assert (now_stamp != stamp, done) == (True, None)
        # As if it had died after the second lead, whose number the row has.
        second = (await kept(floor, leads))[1].e164
        await conn.execute(update(t.campaign).values(calendar_done=second))
    await put(floor, leads, open_until=now + timedelta(days=1))
    assert await CalendarWriter(floor.database, piece=2, rest=0).round() == 3
    assert [local(row.open_until, noon) == 16 for row in await kept(floor, leads)] == [False] * 2 + [True] * 3


async def test_a_campaign_follows_the_newest_version_or_keeps_to_one(database: Database) -> None:
    """A version with shorter hours closes the leads of who follows, not of who keeps to the first."""
    now, policies = utc_now(), PolicyService(database)
    noon = zone_where_it_is(12, now)
    first: dict[str, Any] = {name: ["09:00-18:00"] for name in ("working", "day_off", "holiday")}
    words: dict[str, Any] = {
        "title_ru": "Своя",
        "title_en": "Own",
        "source": "counsel",
        "read_on": now.date(),
    }
    made = await policies.create(ACTOR, PolicyIn(code="own", **first, **words))
    own = {"policy": "own", "call_from": "00:00", "call_until": "24:00"}
    follows = await Floor.open(database, **own)
    (one,) = await follows.leads(1)
    async with database.tenant(TENANT) as conn:
        keeps = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="keeps", status="running", policy_version=1, **own)
            .returning(t.campaign.c.id)
        )
    (other,) = await follows.leads(1, campaign_id=keeps, first=79170000000)
    await put(follows, [one, other], timezones=[noon])
    writer = CalendarWriter(database)
    await writer.round()
    assert [local(row.open_until, noon) for row in await kept(follows, [one, other])] == [18, 18]
    evening: dict[str, Any] = {name: ["20:00-21:00"] for name in ("working", "day_off", "holiday")}
    body = PolicyBody.of(made.policy).model_dump() | evening
    await policies.next_version(ACTOR, "own", VersionIn(**body, after=1))
    await writer.round()
    closed, still = await kept(follows, [one, other])
    assert (local(closed.open_from, noon), local(still.open_until, noon)) == (20, 18)
    assert await claimed(follows) == []
