"""Segments kept, counted and called by campaigns; grids and their cells: with a real database."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from support.floor import TENANT, Floor
from support.imports import BOSS

from dialer.clock import utc_now
from dialer.contacts import fields_store, segments_store
from dialer.contacts.fields import FieldSpec, FieldType
from dialer.contacts.fields_service import FieldService
from dialer.contacts.keeping import Keeper
from dialer.contacts.lists import Lists
from dialer.contacts.segments_service import Count, SegmentService
from dialer.db import events
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Conflict, Forbidden, Invalid, NotFound
from dialer.ids import new_id
from dialer.settings import load

SOON = {"field": "custom.credit_end", "op": "next", "value": "P90D"}


class Centre:
    """A campaign, fields, and people with a day each on which their credit ends."""

    def __init__(self, database: Database, floor: Floor) -> None:
        self.database = database
        self.floor = floor
        self.segments = SegmentService(database)
        self.fields = FieldService(database)
        self.keeper = Keeper(database)
        self.made = 0

    async def add(self, days: int | None, revenue: str | None = None) -> int:
        """A person whose credit ends in so many days."""
        self.made += 1
        custom = {} if days is None else {"credit_end": (self.today + timedelta(days=days)).isoformat()}
        custom |= {} if revenue is None else {"revenue": revenue}
        async with self.database.tenant(TENANT) as conn:
            contact_id = await conn.scalar(
                insert(t.contact).values(tenant_id=TENANT, custom=custom).returning(t.contact.c.id)
            )
            assert contact_id is not None
            await conn.execute(
                insert(t.contact_phone).values(
                    tenant_id=TENANT, contact_id=contact_id, position=1, e164=f"+7916{self.made:07}",
                    kind="mobile", timezones=["Europe/Moscow"],
                )
            )  # fmt: skip
            await fields_store.rewrite_values(conn, TENANT, [contact_id])
        return int(contact_id)

    @property
    def today(self) -> date:
        """By the tenant's calendar, give or take a day: the tests keep away from the edges."""
        return utc_now().date()

    async def move(self, contact_id: int, days: int) -> None:
        """Their credit ends on another day now."""
        custom = {"credit_end": (self.today + timedelta(days=days)).isoformat()}
        async with self.database.tenant(TENANT) as conn:
            await conn.execute(update(t.contact).where(t.contact.c.id == contact_id).values(custom=custom))
            await fields_store.rewrite_values(conn, TENANT, [contact_id])

    async def later(self) -> None:
        """Five minutes have passed, and the jobs process has looked."""
        async with self.database.tenant(TENANT) as conn:
            await conn.execute(
                update(t.campaign_segment).values(led_at=t.campaign_segment.c.led_at - timedelta(minutes=6))
            )
        await self.keeper.round(TENANT)

    async def leads(self, campaign_id: int | None = None) -> dict[int, str]:
        """The state of each contact's lead; with the reason of one that is closed."""
        c = t.lead.c
        wanted = campaign_id or self.floor.campaign_id
        async with self.database.tenant(TENANT) as conn:
            rows = await conn.execute(
                select(c.contact_id, c.status, c.closed_reason).where(c.campaign_id == wanted)
            )
            return {row.contact_id: row.closed_reason or row.status for row in rows}


@pytest.fixture
async def centre(database: Database) -> Centre:
    """A running campaign and two fields."""
    made = Centre(database, await Floor.open(database))
    await made.fields.add(BOSS, FieldSpec("credit_end", "Кредит", "Credit ends", FieldType.DATE))
    await made.fields.add(BOSS, FieldSpec("revenue", "Выручка", "Revenue", FieldType.MONEY))
    return made


async def test_a_segment_is_counted_and_looked_at(centre: Centre) -> None:
    """Exactly, where that takes no time; the same people come in pages."""
    people = [await centre.add(days) for days in (10, 20, 200)]
    assert await centre.segments.count(BOSS, SOON) == Count(2, exact=True)
    first = await centre.segments.people(BOSS, SOON, limit=1)
    rest = await centre.segments.people(BOSS, SOON, after=first[0].id)
    assert [one.id for one in (*first, *rest)] == people[:2]


async def test_what_takes_too_long_is_told_from_a_sample(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that is broken off gives way to a sample, and says so; the connection stays of use."""
    for days in (10, 20, 200):
        await centre.add(days)

    async def slow(conn: Any, *_: object) -> int:
        await conn.execute(text("SELECT pg_sleep(5)"))
        return 0

    monkeypatch.setattr(segments_store, "count", slow)
    # The sample is of all pages of so small a table.
    assert await centre.segments.count(BOSS, SOON) == Count(2, exact=False)
    monkeypatch.setattr(segments_store, "estimate", slow)
    assert await centre.segments.count(BOSS, {"not": SOON}) == Count(None, exact=False)
    monkeypatch.undo()
    assert await centre.segments.count(BOSS, {"not": SOON}) == Count(1, exact=True)


async def test_a_campaign_follows_a_segment(centre: Centre) -> None:
    """Who enters gets a lead, who leaves uncalled loses theirs, who comes back is called after all."""
    stays, leaves, enters = await centre.add(10), await centre.add(20), await centre.add(200)
    segment = await centre.segments.add(BOSS, "Кредит кончается", SOON)
    (use,) = await centre.segments.use(BOSS, centre.floor.campaign_id, segment.id, frozen=False)
    assert use.led_at is None
    await centre.keeper.round(TENANT)
    assert await centre.leads() == {stays: "new", leaves: "new"}
    await centre.move(leaves, 300)
    await centre.move(enters, 30)
    await centre.keeper.round(TENANT)
    assert await centre.leads() == {stays: "new", leaves: "new"}, "not yet: five minutes have not passed"
    await centre.later()
    assert await centre.leads() == {stays: "new", leaves: "segment", enters: "new"}
    await centre.move(leaves, 5)
    await centre.later()
    assert await centre.leads() == {stays: "new", leaves: "new", enters: "new"}
    (use,) = await centre.segments.uses(BOSS, centre.floor.campaign_id)
    assert (use.leads, use.frozen, use.led_at is not None) == (3, False, True)


async def test_whom_somebody_has_called_stays(centre: Centre) -> None:
    """A lead with attempts goes on after its person has left the segment."""
    person = await centre.add(10)
    segment = await centre.segments.add(BOSS, "S", SOON)
    await centre.segments.use(BOSS, centre.floor.campaign_id, segment.id, frozen=False)
    await centre.keeper.round(TENANT)
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).values(status="waiting", attempts=1))
    await centre.move(person, 500)
    await centre.later()
    assert await centre.leads() == {person: "waiting"}


async def test_who_is_in_another_segment_of_the_campaign_stays(centre: Centre) -> None:
    """Leaving one of two costs no lead."""
    person = await centre.add(10)
    soon = await centre.segments.add(BOSS, "S", SOON)
    all_ = await centre.segments.add(BOSS, "T", {"field": "custom.credit_end", "op": "is_set"})
    for one in (soon, all_):
        await centre.segments.use(BOSS, centre.floor.campaign_id, one.id, frozen=False)
    await centre.keeper.round(TENANT)
    await centre.move(person, 500)
    await centre.later()
    assert await centre.leads() == {person: "new"}


async def test_a_frozen_segment_is_who_was_in_it_at_the_start(centre: Centre) -> None:
    """A draft gets its leads at once, and others at its first start; from then on nothing moves."""
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(status="draft", started_at=None))
    early, leaves = await centre.add(10), await centre.add(20)
    segment = await centre.segments.add(BOSS, "S", SOON)
    await centre.segments.use(BOSS, centre.floor.campaign_id, segment.id, frozen=True)
    await centre.keeper.round(TENANT)
    assert await centre.leads() == {early: "new", leaves: "new"}
    enters = await centre.add(30)
    await centre.move(leaves, 400)
    await centre.later()
    assert await centre.leads() == {early: "new", leaves: "new"}
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(status="running", started_at=utc_now()))
    await centre.later()
    at_start = {early: "new", leaves: "segment", enters: "new"}
    assert await centre.leads() == at_start
    await centre.add(40)
    await centre.move(early, 400)
    await centre.later()
    assert await centre.leads() == at_start


async def test_a_changed_segment_is_followed_at_once(centre: Centre) -> None:
    """A new expression makes and closes leads in the next round."""
    near, far = await centre.add(10), await centre.add(200)
    segment = await centre.segments.add(BOSS, "S", SOON)
    await centre.segments.use(BOSS, centre.floor.campaign_id, segment.id, frozen=False)
    await centre.keeper.round(TENANT)
    await centre.segments.change(BOSS, segment.id, "Далеко", {"not": SOON})
    await centre.keeper.round(TENANT)
    assert await centre.leads() == {near: "segment", far: "new"}
    async with centre.database.tenant(TENANT) as conn:
        names = await conn.scalars(select(t.contact_list.c.name).where(t.contact_list.c.of_segment))
        assert list(names) == ["Далеко"], "reports by list say its present name"


async def test_a_segment_whose_field_is_gone_leaves_leads_alone(centre: Centre) -> None:
    """An archived field breaks its segments: they say so, and campaigns keep what they have."""
    person = await centre.add(10)
    segment = await centre.segments.add(BOSS, "S", SOON)
    await centre.segments.use(BOSS, centre.floor.campaign_id, segment.id, frozen=False)
    await centre.keeper.round(TENANT)
    (field, _) = await centre.fields.fields(BOSS)
    await centre.fields.change(BOSS, field.field.id, lambda spec: spec, archived=True)
    await centre.later()
    assert await centre.leads() == {person: "new"}
    with pytest.raises(Invalid, match=r"expression\.field"):
        await centre.segments.count(BOSS, segment.expression)


async def test_a_segments_list_is_no_list_of_people(centre: Centre) -> None:
    """It is on no page, takes no file and shares no name with a list; it goes with an unused segment."""
    await centre.add(10)
    lists = Lists(centre.database, load())
    segment = await centre.segments.add(BOSS, "S", SOON)
    with pytest.raises(Conflict, match="A already"):
        await centre.segments.add(BOSS, "A", SOON)
    await centre.segments.use(BOSS, centre.floor.campaign_id, segment.id, frozen=False)
    await centre.keeper.round(TENANT)
    async with centre.database.tenant(TENANT) as conn:
        list_id = await conn.scalar(select(t.segment.c.list_id))
    assert list_id is not None
    assert [one.name for one in await lists.lists(BOSS)] == ["A"]
    with pytest.raises(NotFound):
        await lists.rename_list(BOSS, list_id, "B")
    with pytest.raises(Invalid, match="no list"):
        await centre.segments.count(BOSS, {"field": "list", "op": "in", "value": [list_id]})
    with pytest.raises(Conflict):
        await centre.segments.remove(BOSS, segment.id)
    await centre.segments.let_go(BOSS, centre.floor.campaign_id, segment.id)
    with pytest.raises(Conflict):
        await centre.segments.remove(BOSS, segment.id)
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(t.lead.delete())
    await centre.segments.remove(BOSS, segment.id)
    async with centre.database.tenant(TENANT) as conn:
        assert list(await conn.scalars(select(t.contact_list.c.name))) == ["A"]


async def test_calls_are_in_segments_soon_after_they_end(centre: Centre) -> None:
    """What events tell of is counted; what they were not followed for is counted from the attempts."""
    person = await centre.add(10)
    floor = centre.floor
    never = {"field": "attempts", "op": "eq", "value": 0}
    await centre.keeper.round(TENANT)
    attempt_id = new_id()
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.attempt).values(
                tenant_id=TENANT, id=attempt_id, campaign_id=floor.campaign_id, contact_id=person,
                e164="+79160000001", trunk_id=floor.trunk_id, caller_id="+74950000000", mode="progressive",
                policy="default/1", state="ended", result="busy", created_at=utc_now(), ended_at=utc_now(),
            )
        )  # fmt: skip
        await events.emit(
            conn, "call.state", {"attempt_id": str(attempt_id), "state": "ended"}, tenant_id=TENANT
        )
    async with centre.database.system() as conn:
        await conn.execute(text("SELECT number_events(100)"))
    assert (await centre.segments.count(BOSS, never)).people == 1
    await centre.keeper.round(TENANT)
    assert (await centre.segments.count(BOSS, never)).people == 0
    busy = {"field": "last_result", "op": "eq", "value": "busy"}
    assert (await centre.segments.count(BOSS, busy)).people == 1
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(t.contact_activity.delete())
        await conn.execute(t.activity_state.delete())
    await centre.keeper.round(TENANT)
    assert (await centre.segments.count(BOSS, busy)).people == 1


async def test_a_grid_and_its_cells(centre: Centre) -> None:
    """Bands of equal size; a cell that is a segment moves with them."""
    people = [await centre.add(-10 * place, str(100 * place)) for place in range(1, 5)]
    await centre.add(None, "5")
    money, days = [one.field.id for one in reversed(await centre.fields.fields(BOSS))]
    made = await centre.segments.add_grid(BOSS, "Ценность", (money, 2), (days, 2))
    assert made.counted_at is None
    await centre.keeper.round(TENANT)
    grid = await centre.segments.grid(BOSS, made.id)
    # 100 and 200, 300 and 400: who has brought more was here longer ago.
    assert grid.counts == ((0, 2), (2, 0))
    assert (grid.money_bounds, grid.without) == ((300.0,), 1)
    segment = await centre.segments.add_cell(BOSS, made.id, (2, 1), "Уходят")
    inside = {one.id for one in await centre.segments.people(BOSS, segment.expression)}
    assert len(inside) == grid.counts[1][0]
    assert inside <= set(people)
    for _ in range(4):
        await centre.add(-500, "90000")
    await centre.segments.recount_grid(BOSS, made.id)
    moved = await centre.segments.get(BOSS, segment.id)
    assert moved.expression != segment.expression
    grid = await centre.segments.grid(BOSS, made.id)
    assert (await centre.segments.count(BOSS, moved.expression)).people == grid.counts[1][0]
    with pytest.raises(Conflict):
        await centre.segments.remove_grid(BOSS, made.id)
    with pytest.raises(Conflict):
        await centre.segments.change(BOSS, segment.id, said=SOON)
    await centre.segments.remove(BOSS, segment.id)
    await centre.segments.remove_grid(BOSS, made.id)
    with pytest.raises(Invalid):
        await centre.segments.add_grid(BOSS, "x", (days, 2), (money, 2))


async def test_fields_by_a_schema(centre: Centre) -> None:
    """What it does not name is archived, what it names is made or changed; nothing happens by half."""
    with pytest.raises(Invalid):
        await centre.fields.put_schema(
            BOSS,
            [FieldSpec("vip", "VIP", "VIP", FieldType.YES_NO), FieldSpec("x", "vip", "x", FieldType.TEXT)],
        )
    spec = FieldSpec("revenue", "Оборот", "Revenue", FieldType.NUMBER)
    await centre.fields.put_schema(BOSS, [FieldSpec("vip", "VIP", "VIP", FieldType.YES_NO), spec])
    found = {one.field.key: one.field for one in await centre.fields.fields(BOSS)}
    assert list(found) == ["vip", "revenue", "credit_end"]
    assert [one.archived for one in found.values()] == [False, False, True]
    assert found["revenue"].spec == spec
    await centre.fields.add_template(BOSS, "cars")
    with pytest.raises(NotFound):
        await centre.fields.add_template(BOSS, "boats")


async def test_operators_have_no_right(centre: Centre) -> None:
    """They see their calls' cards, not the base."""
    from dialer.httpkit.access import Role

    operator = await centre.floor.user(Role.OPERATOR)
    for asked in (
        centre.segments.count(operator, SOON),
        centre.segments.add(operator, "S", SOON),
        centre.fields.fields(operator),
        centre.segments.grids(operator),
    ):
        with pytest.raises(Forbidden):
            await asked
