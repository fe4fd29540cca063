"""Quotas and recycling: which leads rest because enough talks were had, and which begin anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from support.floor import NODE, TENANT, Floor, Seat
from support.placer import Line, placer_of

from dialer.agents.model import AgentState
from dialer.calls import admission
from dialer.calls.placing import Placed
from dialer.calls.service import CallService
from dialer.calls.targets import Target
from dialer.campaigns.leads import (
    CLOSED_FOR,
    LeadService,
    PriorityIn,
    QuotaIn,
    QuotasIn,
    RecycleIn,
    ShareIn,
    SharesIn,
)
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.clock import utc_now
from dialer.compliance.filters import Filter
from dialer.contacts.people import PersonService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Forbidden, Invalid, NotFound, WrongState
from dialer.httpkit.access import Actor, Role
from dialer.settings import load
from scheduler import changes, hopper
from scheduler.recycling import Recycle


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database, policy="demo", call_from="00:00", call_until="24:00")


@pytest.fixture
def service(floor: Floor) -> LeadService:
    """What is under test."""
    return LeadService(floor.database, "RU")


@pytest.fixture
async def boss(floor: Floor) -> Actor:
    """A supervisor."""
    return await floor.user(Role.SUPERVISOR)


async def leads_of(floor: Floor, cities: Sequence[str]) -> list[int]:
    """A lead of somebody from each of these cities."""
    leads = await floor.leads(len(cities))
    async with floor.database.tenant(TENANT) as conn:
        for lead_id, city in zip(leads, cities, strict=True):
            contact = select(t.lead.c.contact_id).where(t.lead.c.id == lead_id).scalar_subquery()
            await conn.execute(
                update(t.contact).where(t.contact.c.id == contact).values(custom={"city": city})
            )
    return leads


async def carry_out(floor: Floor) -> None:
    """All changes of leads that are asked for, in small pieces."""
    looked: int | None = 0
    while looked is not None:
        async with floor.database.tenant(TENANT) as conn:
            looked = await changes.piece(conn, TENANT, 3)


async def claimed(floor: Floor) -> list[int]:
    """Ids of the leads that a claim gives now."""
    async with floor.database.tenant(TENANT) as conn:
        return [one.id for one in await hopper.claim(conn, TENANT, floor.campaign_id, 100, utc_now())]


async def talk(floor: Floor, lead_id: int, *codes: str, seat: Seat | None = None) -> None:
    """A talk that is closed with these dispositions, one after the other."""
    seat = seat or await floor.seat(AgentState.READY)
    call = await floor.talk(seat, lead_id)
    await floor.hang_up(call)
    desk: Any = None
    service = CallService(floor.database, desk, load())
    for code in codes:
        await service.dispose(seat.actor, call.attempt_id, code)


async def quota(
    service: LeadService, boss: Actor, floor: Floor, wanted: int, counts: Sequence[Any] = ("sale",)
) -> int:
    """Set a quota of Moscow; how many talks it has."""
    items = [QuotaIn(field="city", value="Москва", wanted=wanted, counts=list(counts))]
    (made,) = await service.set_quotas(boss, floor.campaign_id, QuotasIn(items=items))
    await carry_out(floor)
    return made.reached


async def test_a_full_quota_stops_its_people(floor: Floor, service: LeadService, boss: Actor) -> None:
    """When the talk is closed they rest under its name, whatever way the value is written; others do not;
    raised, it opens them again in their places."""
    one, two, other, three = await leads_of(floor, ["Москва", "  москва ", "Омск", "МОСКВА"])
    await quota(service, boss, floor, 1)
    assert await claimed(floor) == [one, two, other, three]
    await talk(floor, one, "sale")
    await carry_out(floor)
    assert await claimed(floor) == [other]
    assert {(await floor.row(t.lead, lead_id)).hold for lead_id in (two, three)} == {"quota"}
    assert await quota(service, boss, floor, 2) == 1
    assert await claimed(floor) == [two, other, three]


async def test_what_is_said_anew_is_counted_anew(floor: Floor, service: LeadService, boss: Actor) -> None:
    """A talk counts once, whatever was said how often; taken back it opens the quota."""
    one, two = await leads_of(floor, ["Москва", "Москва"])
    await quota(service, boss, floor, 1)
    await talk(floor, one, "sale", "sale")
    await carry_out(floor)
    assert [each.reached for each in await service.quotas(boss, floor.campaign_id)] == [1]
    assert await claimed(floor) == []
    seat = await floor.seat(AgentState.READY)
    await talk(floor, (await floor.leads(1, first=79330000000))[0], "no-contact", seat=seat)
    await talk(floor, two, "no-contact", "sale", "no-contact")
    assert [each.reached for each in await service.quotas(boss, floor.campaign_id)] == [1]


async def test_the_filter_says_so_before_any_sweep(floor: Floor, service: LeadService, boss: Actor) -> None:
    """From the commit of the talk on no call is begun, even before its leads were put to rest."""
    one, two, other = await leads_of(floor, ["Москва", "Москва", "Омск"])
    await quota(service, boss, floor, 1)
    await talk(floor, one, "sale")
    terms = await DatabaseTermsBook(floor.database, Path()).terms(TENANT, floor.campaign_id)
    async with floor.database.tenant(TENANT) as conn:
        leads = await hopper.claim(conn, TENANT, floor.campaign_id, 10, utc_now())
        targets = [Target(lead.e164, lead.timezones, lead) for lead in leads]
        judged = await admission.judge(conn, terms, targets, utc_now())
    assert [lead.id for lead in leads] == [two, other]
    assert judged[1].answer is None
    stopped = judged[0].answer
    assert stopped is not None
    assert stopped.filter is Filter.QUOTA
    assert stopped.denied is not None
    assert stopped.denied.detail == "city = Москва"


async def test_a_new_quota_counts_the_talks_that_were_had(
    floor: Floor, service: LeadService, boss: Actor
) -> None:
    """Also when it counts other dispositions than before."""
    one, two = await leads_of(floor, ["Москва", "Москва"])
    await talk(floor, one, "sale")
    await talk(floor, two, "no-contact")
    assert await quota(service, boss, floor, 5) == 1
    assert await quota(service, boss, floor, 5, ["sale", "no_contact"]) == 2


async def test_another_value_is_looked_at_again(floor: Floor, service: LeadService, boss: Actor) -> None:
    """Who rests for a full quota and turns out to be of another kind may be called; who is still of that kind
    rests on when the placer has asked."""
    one, two, three = await leads_of(floor, ["Москва", "Москва", "Москва"])
    await quota(service, boss, floor, 1)
    await talk(floor, one, "sale")
    await carry_out(floor)
    assert await claimed(floor) == []
    people = PersonService(floor.database, load())
    moved, stayed = [(await floor.row(t.lead, lead_id)).contact_id for lead_id in (two, three)]
    await people.change(boss, moved, {}, {"city": "Омск"})
    assert await claimed(floor) == [two]
    await people.change(boss, stayed, {}, {"city": "москва"})
    terms = await DatabaseTermsBook(floor.database, Path()).terms(TENANT, floor.campaign_id)
    line = Line(floor.database)
    assert await placer_of(floor, line).next_leads(terms, 5, NODE) == Placed(1)
    assert (await floor.row(t.lead, three)).hold == "quota"


# -- recycling ---------------------------------------------------------------------------------------------


async def closed(floor: Floor) -> list[int]:
    """Six leads, five of them closed for this and that, days ago."""
    leads = await floor.leads(6)
    now = utc_now()
    ways = [
        ("max_attempts", "no_answer", 10), ("max_attempts", "busy", 1), ("invalid", "invalid", 10),
        ("sale", "answered", 10), ("do_not_call", "answered", 10),
    ]  # fmt: skip
    async with floor.database.tenant(TENANT) as conn:
        for lead_id, (reason, result, days) in zip(leads, ways, strict=False):
            values = {"status": "closed", "closed_reason": reason, "last_result": result, "attempts": 3}
            when = {"last_attempt_at": now - timedelta(days=days)}
            await conn.execute(update(t.lead).where(t.lead.c.id == lead_id).values(**values, **when))
    return leads


@pytest.mark.parametrize(
    ("rule", "which"),
    [
        ({}, [0, 1, 2, 3]),
        ({"reasons": ["max_attempts"]}, [0, 1]),
        ({"reasons": ["max_attempts"], "older_than_s": 5 * 86400}, [0]),
        ({"results": ["busy", "invalid"]}, [1, 2]),
        ({"reasons": ["sale"], "results": ["busy"]}, []),
    ],
)
async def test_closed_leads_begin_anew_by_rule(
    floor: Floor, service: LeadService, boss: Actor, rule: dict[str, Any], which: list[int]
) -> None:
    """As many as the preview says, and never one who asked not to be called."""
    leads = await closed(floor)
    wanted = RecycleIn(**rule)
    assert await service.would_recycle(boss, floor.campaign_id, wanted) == len(which)
    asked, about = await service.recycle(boss, floor.campaign_id, wanted)
    assert (about, asked.finished_at) == (len(which), None)
    await carry_out(floor)
    assert await claimed(floor) == sorted([leads[n] for n in which] + [leads[5]])
    assert {(await floor.row(t.lead, leads[n])).attempts for n in which} <= {0}
    (done,) = await service.recycled(boss, floor.campaign_id)
    assert (done.changed, done.finished_at is not None) == (len(which), True)
    assert (await floor.row(t.lead, leads[4])).closed_reason == "do_not_call"


async def test_attempts_may_be_kept(floor: Floor, service: LeadService, boss: Actor) -> None:
    """Then each gets one more."""
    leads = await closed(floor)
    await service.recycle(boss, floor.campaign_id, RecycleIn(reasons=["sale"], reset_attempts=False))
    await carry_out(floor)
    row = await floor.row(t.lead, leads[3])
    assert (row.status, row.attempts, row.closed_reason) == ("waiting", 3, None)


async def test_who_asked_not_to_be_called_is_no_rule() -> None:
    """It is refused where it is asked for."""
    with pytest.raises(ValueError, match="do_not_call"):
        Recycle(("do_not_call",))
    assert "do_not_call" not in CLOSED_FOR


async def test_what_is_closed_is_counted_by_reason(floor: Floor, service: LeadService, boss: Actor) -> None:
    """For a page to choose from."""
    await closed(floor)
    found = {(one.reason, one.result): one.leads for one in await service.closed(boss, floor.campaign_id)}
    assert found[("max_attempts", "busy")] == 1
    assert sum(found.values()) == 5


# -- what the service refuses ------------------------------------------------------------------------------


async def test_a_stopped_campaign_stays_as_it_was(floor: Floor, service: LeadService, boss: Actor) -> None:
    """Nothing of it is changed any more, and an agent changes nothing at all."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(status="stopped"))
    asked: list[Callable[[Actor], Awaitable[object]]] = [
        lambda who: service.recycle(who, floor.campaign_id, RecycleIn()),
        lambda who: service.set_quotas(who, floor.campaign_id, QuotasIn(items=[])),
        lambda who: service.set_shares(who, floor.campaign_id, SharesIn(items=[])),
        lambda who: service.set_priority(who, floor.campaign_id, PriorityIn(priority=1, leads=[1])),
    ]
    agent = await floor.user(Role.OPERATOR)
    for ask in asked:
        with pytest.raises(WrongState):
            await ask(boss)
        with pytest.raises(Forbidden):
            await ask(agent)
    with pytest.raises(NotFound):
        await service.shares(boss, 10**9)


async def test_shares_are_of_lists_that_there_are(floor: Floor, service: LeadService, boss: Actor) -> None:
    """They are shown with what was dialled, and kept when others come beside them."""
    await floor.leads(2)
    shown = await service.set_shares(
        boss, floor.campaign_id, SharesIn(items=[ShareIn(list_id=floor.list_id, share=3)])
    )
    assert [(one.list_id, one.share, one.dialled, one.leads) for one in shown] == [(floor.list_id, 3, 0, 2)]
    now = utc_now()
    async with floor.database.tenant(TENANT) as conn:
        leads = await hopper.claim(conn, TENANT, floor.campaign_id, 1, now, mixed=True)
        await hopper.count_dialled(conn, TENANT, floor.campaign_id, leads)
        other = await conn.scalar(
            insert(t.contact_list).values(tenant_id=TENANT, name="B").returning(t.contact_list.c.id)
        )
    assert other is not None
    items = [ShareIn(list_id=floor.list_id, share=1), ShareIn(list_id=other, share=1)]
    shown = await service.set_shares(boss, floor.campaign_id, SharesIn(items=items))
    assert [(one.list_id, one.dialled) for one in shown] == [(floor.list_id, 1), (other, 0)]
    with pytest.raises(Invalid, match="there is no list"):
        await service.set_shares(boss, floor.campaign_id, SharesIn(items=[ShareIn(list_id=10**9, share=1)]))
    assert [one.share for one in await service.set_shares(boss, floor.campaign_id, SharesIn(items=[]))] == [
        None
    ]


async def test_a_priority_moves_leads(floor: Floor, service: LeadService, boss: Actor) -> None:
    """By ids, numbers or a list; it counts where the campaign goes by priority."""
    leads = await floor.leads(3)
    number = (await floor.row(t.lead, leads[2])).e164
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(lead_order="priority"))
        await conn.execute(update(t.lead).values(sort_key=0))
    campaign = floor.campaign_id
    assert await service.set_priority(boss, campaign, PriorityIn(priority=9, numbers=[number])) == 1
    assert await service.set_priority(boss, campaign, PriorityIn(priority=5, leads=[leads[1]])) == 1
    assert await claimed(floor) == [leads[2], leads[1], leads[0]]
    assert await service.set_priority(boss, campaign, PriorityIn(priority=1, list_id=floor.list_id)) == 3
    assert await claimed(floor) == leads
    wrongs: list[dict[str, Any]] = [{}, {"leads": [1], "numbers": [number]}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="must be given"):
            PriorityIn(priority=1, **wrong)
