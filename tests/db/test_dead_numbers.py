"""Dead numbers are found in what calls came to, and stand aside for living ones; with a real database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.base import Base

from dialer.clock import utc_now
from dialer.contacts import dead_numbers_store as store
from dialer.contacts import leadstore
from dialer.contacts.dead_numbers import DeadReason, ListCount
from dialer.contacts.dead_numbers_service import DeadNumberSearch, DeadNumberService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import BadNumber, Forbidden, NotFound
from dialer.httpkit.access import Actor, Role
from dialer.settings import load

BOSS = Actor(1, None, Role.SUPERVISOR, "Supervisor", "ru")
ONE, TWO, THREE = "+79160000001", "+79160000002", "+79160000003"


@pytest.fixture
async def base(database: Database) -> Base:
    """A base without contacts."""
    return await Base.open(database)


@pytest.fixture
def service(database: Database) -> DeadNumberService:
    """What a supervisor can do."""
    return DeadNumberService(database, load())


async def look(base: Base) -> set[str]:
    """Have the job look at calls; the numbers that are dead then."""
    await DeadNumberSearch(base.database).round()
    async with base.database.tenant(1) as conn:
        return await store.dead_numbers(conn, 1, [ONE, TWO, THREE])


async def test_a_number_dies_of_two_invalid_calls(base: Base) -> None:
    """The second invalid call in a row makes it dead, in whichever campaign; the other contact's with it."""
    first = await base.contact("Иванов", ONE, TWO)
    second = await base.contact("Петров", THREE, ONE)
    await base.call(ONE, "invalid", at=utc_now() - timedelta(hours=3))
    assert await look(base) == set()
    await base.call(ONE, "congestion", at=utc_now() - timedelta(seconds=9))
    await base.call(ONE, "invalid", at=utc_now())
    assert await look(base) == {ONE}
    dead = await base.rows(t.contact_phone, "contact_id", "dead_reason", e164=ONE)
    assert dead == [(first, "invalid"), (second, "invalid")]
    events = await base.rows(t.contact_event, "contact_id", "kind", "detail")
    detail = {"e164": ONE, "by_calls": True}
    assert events == [(first, "phone_dead", detail), (second, "phone_dead", detail)]


async def test_faults_of_the_carrier_kill_nobody(base: Base) -> None:
    """Calls that the trunk failed, and calls that go on, are no proof."""
    await base.contact("Иванов", ONE)
    await base.call(ONE, "invalid", trunk_fault=True)
    await base.call(ONE, "invalid", trunk_fault=True)
    await base.call(ONE, "invalid")
    await base.call(ONE, None)
    assert await look(base) == set()


async def test_a_call_that_was_going_on_is_looked_at_when_it_ends(base: Base) -> None:
    """The look begins again at the oldest call that was open, so none is ever passed over."""
    await base.contact("Иванов", ONE)
    long_ago = utc_now() - timedelta(hours=5)
    await base.call(ONE, "invalid", at=long_ago)
    going_on = await base.call(ONE, None, at=long_ago + timedelta(minutes=1))
    await base.call(TWO, "busy", at=utc_now() - timedelta(minutes=30))
    assert await look(base) == set()
    async with base.database.tenant(1) as conn:
        c = t.attempt.c
        await conn.execute(
            t.attempt.update()
            .where(c.id == going_on)
            .values(state="ended", result="invalid", ended_at=long_ago + timedelta(minutes=2))
        )
    assert await look(base) == {ONE}


@pytest.mark.parametrize(
    ("result", "moments", "rises"),
    [
        ("no_answer", ("ringing_at",), True),
        ("answered", ("answered_at",), True),
        ("no_answer", (), False),  # no sign of life
        ("invalid", ("ringing_at",), False),  # the network's own words, as early media
        ("canceled", ("ringing_at",), False),
    ],
)
async def test_a_call_that_rings_revives(
    base: Base, result: str, moments: tuple[str, ...], rises: bool
) -> None:
    """A later call by hand that rings or is answered shows that somebody is there."""
    await base.contact("Иванов", ONE)
    for hours in (3, 2):
        await base.call(ONE, "invalid", at=utc_now() - timedelta(hours=hours))
    assert await look(base) == {ONE}
    await base.call(ONE, result, at=utc_now(), **dict.fromkeys(moments, utc_now()))
    assert await look(base) == (set() if rises else {ONE})


async def test_the_next_number_takes_the_place(base: Base) -> None:
    """The dead number's leads are closed, also one that a call has closed as invalid; the contact's next
    living number is called in their place, in the same order."""
    contact_id = await base.contact("Иванов", ONE, TWO, THREE)
    lead = await base.lead(contact_id, ONE, status="closed", closed_reason="invalid", sort_key=7)
    waiting = await base.lead(await base.contact("Петров", ONE), ONE[:-1] + "9", sort_key=8)
    async with base.database.tenant(1) as conn:
        await store.confirm(conn, 1, [TWO])
    for hours in (3, 2):
        await base.call(ONE, "invalid", at=utc_now() - timedelta(hours=hours))
    assert await look(base) == {ONE, TWO}
    assert await base.rows(
        t.lead, "id", "e164", "status", "closed_reason", "sort_key", contact_id=contact_id
    ) == [
        (lead, ONE, "closed", "dead_number", 7),
        (lead + 2, THREE, "new", None, 7),
    ]
    assert await base.rows(t.lead, "status", id=waiting) == [("new",)]


async def test_nobody_takes_the_place_of_a_person_who_is_called_anyway(base: Base) -> None:
    """A contact with another open lead in the campaign gets no third; a call that goes on is left alone."""
    contact_id = await base.contact("Иванов", ONE, TWO, THREE)
    dying = await base.lead(contact_id, ONE)
    await base.lead(contact_id, TWO)
    busy = await base.lead(await base.contact("Петров", ONE), "+79160000004", status="dialling")
    for hours in (3, 2):
        await base.call(ONE, "invalid", at=utc_now() - timedelta(hours=hours))
        await base.call("+79160000004", "invalid", at=utc_now() - timedelta(hours=hours))
    await look(base)
    assert await base.rows(t.lead, "id", "status", contact_id=contact_id) == [
        (dying, "closed"),
        (dying + 1, "new"),
    ]
    assert await base.rows(t.lead, "status", id=busy) == [("dialling",)]


async def test_a_lead_is_made_of_the_first_number_that_lives(base: Base, service: DeadNumberService) -> None:
    """Dead numbers are passed over. Who has no other gets a lead that is closed, and counts as none: it opens
    when the number is found alive."""
    second = await base.contact("Иванов", ONE, TWO)
    nobody = await base.contact("Петров", THREE)
    for number in (ONE, THREE):
        await service.confirm(BOSS, number)
    campaign, members = base.floor.campaign_id, base.floor.list_id
    async with base.database.tenant(1) as conn:
        assert await leadstore.add_leads(conn, 1, campaign, members, [second, nobody]) == 1
        assert await leadstore.add_leads_of_list(conn, 1, campaign, members) == 0
    leads = ("contact_id", "e164", "status", "closed_reason")
    assert await base.rows(t.lead, *leads) == [
        (second, TWO, "new", None),
        (nobody, THREE, "closed", "dead_number"),
    ]
    await service.revive(BOSS, THREE)
    assert (await base.rows(t.lead, *leads))[1] == (nobody, THREE, "new", None)


async def test_a_person_decides(base: Base, service: DeadNumberService) -> None:
    """Revived, a number stays alive whatever its calls came to before, and its lead is opened; confirmed,
    it is dead without any call."""
    contact_id = await base.contact("Иванов", ONE)
    lead = await base.lead(contact_id, ONE, attempts=2)
    for hours in (3, 2):
        await base.call(ONE, "invalid", at=utc_now() - timedelta(hours=hours))
    assert await look(base) == {ONE}
    await service.revive(BOSS, "8 916 000-00-01")
    assert await base.rows(t.lead, "id", "status", "closed_reason") == [(lead, "waiting", None)]
    assert await look(base) == set()
    with pytest.raises(NotFound):
        await service.revive(BOSS, ONE)
    await service.confirm(BOSS, ONE)
    await service.confirm(BOSS, ONE)  # twice is once
    (found,) = await service.page(BOSS)
    assert (found.e164, found.reason, found.invalid, found.others) == (ONE, DeadReason.CONFIRMED, 2, 0)
    assert await base.rows(t.lead, "status", "closed_reason") == [("closed", "dead_number")]
    assert [row.action for row in await base.rows(t.audit, "action")] == [
        "dead_numbers.revive",
        "dead_numbers.confirm",
        "dead_numbers.confirm",
    ]


async def test_what_a_tenant_says_counts(base: Base, service: DeadNumberService) -> None:
    """With one call set as enough, one is enough."""
    await base.contact("Иванов", ONE)
    await base.call(ONE, "invalid")
    assert await service.in_a_row(BOSS) == 2
    await service.set_in_a_row(BOSS, 1)
    assert await service.in_a_row(BOSS) == 1
    assert await look(base) == {ONE}


async def test_the_page(base: Base, service: DeadNumberService) -> None:
    """Dead numbers come in their order and in pages, of a list and for a reason, and are counted by list."""
    await base.contact("Иванов", ONE, TWO)
    await base.contact("Петров", THREE)
    for number in (ONE, THREE):
        await service.confirm(BOSS, number)
    first, second = await service.page(BOSS, list_id=base.floor.list_id)
    assert (first.last_name, first.others, second.last_name, second.others) == ("Иванов", 1, "Петров", 0)
    assert await service.page(BOSS, after=(first.e164, first.id)) == [second]
    assert await service.page(BOSS, reason=DeadReason.INVALID) == []
    assert await service.page(BOSS, list_id=base.floor.list_id + 1) == []
    assert await service.by_list(BOSS) == [ListCount(base.floor.list_id, "A", dead=2, unreachable=1)]


async def test_who_may(base: Base, service: DeadNumberService) -> None:
    """Agents have no right here; what is no number, or nobody's, is refused."""
    agent = Actor(1, None, Role.OPERATOR, "Agent", "ru")
    for refused in (service.page(agent), service.revive(agent, ONE), service.set_in_a_row(agent, 1)):
        with pytest.raises(Forbidden):
            await refused
    with pytest.raises(BadNumber):
        await service.confirm(BOSS, "нет")
    with pytest.raises(NotFound):
        await service.confirm(BOSS, ONE)
    assert await base.rows(t.audit) == []
