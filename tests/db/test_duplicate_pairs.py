"""Duplicates are found, looked through, merged and asked for, with a real database."""

from __future__ import annotations

from itertools import pairwise

import pytest
from support.base import Base
from support.floor import TENANT

from dialer.contacts import duplicates_store as store
from dialer.contacts.duplicates import SUGGEST_FROM
from dialer.contacts.duplicates_search import DuplicateSearch
from dialer.contacts.duplicates_service import Asked, DuplicateService
from dialer.contacts.duplicates_store import MEET, PairStatus
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Conflict, Forbidden, Invalid, NotFound
from dialer.httpkit.access import Actor, Role
from dialer.settings import load

BOSS = Actor(1, None, Role.SUPERVISOR, "Supervisor", "ru")
AGENT = Actor(1, None, Role.OPERATOR, "Agent", "ru")
ONE, TWO, THREE = "+79161112233", "+79264445566", "+74957778899"


@pytest.fixture
async def base(database: Database) -> Base:
    """A base without contacts."""
    return await Base.open(database)


@pytest.fixture
def service(database: Database) -> DuplicateService:
    """What a supervisor can do."""
    return DuplicateService(database, load())


async def look(base: Base) -> int:
    """Have the job look at all that is new or changed; how many contacts that were."""
    return await DuplicateSearch(base.database, batch=2, settled_s=-1).round()


async def open_pairs(service: DuplicateService) -> list[tuple[int, int]]:
    """The pairs that are put before a person."""
    return [(view.pair.first_id, view.pair.second_id) for view in await service.page(BOSS)]


async def test_pairs_are_found_across_steps(base: Base, service: DuplicateService) -> None:
    """Contacts of different steps of the job meet, by any number, e-mail or near name; relatives do not."""
    one = await base.contact("Иванов", ONE, first_name="Иван", middle_name="Петрович")
    await base.contact("Иванова", ONE, first_name="Анна", middle_name="Сергеевна")
    await base.contact("Сидоров", THREE, first_name="Олег")
    two = await base.contact("Ivanov", TWO, ONE, first_name="Ivan")
    three = await base.contact(
        "Иваноф", "+79169999999", first_name="Иван", middle_name="П.", email="x@b.example"
    )
    four = await base.contact("Иванов", "+79168888888", first_name="Ваня", email="X@B.example")
    assert await look(base) == 6
    assert sorted(await open_pairs(service)) == [(one, two), (three, four)]
    assert await look(base) == 0
    scores = [view.pair.score.value for view in await service.page(BOSS)]
    assert all(a >= b >= SUGGEST_FROM for a, b in pairwise(scores))


async def test_a_changed_contact_is_looked_at_again(base: Base, service: DuplicateService) -> None:
    """A number or a name that comes later makes a pair, one that goes takes it away; nothing else is looked
    at again."""
    one = await base.contact("Иванов", ONE, first_name="Иван")
    two = await base.contact("Иванов", TWO, first_name="Иван")
    await look(base)
    assert await open_pairs(service) == []
    phone = {"position": 2, "kind": "mobile", "timezones": []}
    async with base.database.tenant(TENANT) as conn:
        await conn.execute(t.contact_phone.insert().values(tenant_id=1, contact_id=two, e164=ONE, **phone))
    assert await look(base) == 1
    assert await open_pairs(service) == [(one, two)]
    async with base.database.tenant(TENANT) as conn:
        await conn.execute(t.contact.update().where(t.contact.c.id == one).values(first_name="Сергей"))
    assert await look(base) == 1
    assert await open_pairs(service) == []
    async with base.database.tenant(TENANT) as conn:
        await conn.execute(t.contact.update().values(timezone="Europe/Moscow"))
        await conn.execute(t.contact_phone.update().values(position=3))
    assert await look(base) == 0


async def test_an_erased_contact_is_nobodys_duplicate(base: Base, service: DuplicateService) -> None:
    """Who was erased leaves the pairs, and meets nobody."""
    await base.contact("Иванов", ONE, first_name="Иван")
    two = await base.contact("Иванов", ONE, first_name="Иван")
    await look(base)
    assert len(await open_pairs(service)) == 1
    async with base.database.tenant(TENANT) as conn:
        erased = {"erased_at": t.contact.c.created_at, "last_name": "", "first_name": ""}
        await conn.execute(t.contact.update().where(t.contact.c.id == two).values(**erased))
    await look(base)
    assert await open_pairs(service) == []
    assert {row.contact_id for row in await base.rows(t.contact_key)} == {two - 1}


async def test_who_differs_is_not_shown_again(base: Base, service: DuplicateService) -> None:
    """Once told apart by a person, a pair stays told apart, whatever is found later."""
    await base.contact("Иванов", ONE, first_name="Иван")
    two = await base.contact("Иванов", ONE, first_name="Иван")
    await look(base)
    (view,) = await service.page(BOSS)
    await service.differ(BOSS, view.pair.id)
    async with base.database.tenant(TENANT) as conn:
        await conn.execute(t.contact.update().where(t.contact.c.id == two).values(middle_name="Ильич"))
    assert await look(base) == 1
    assert await open_pairs(service) == []
    counts, left = await service.counts(BOSS)
    assert (counts[PairStatus.DIFFERENT], counts[PairStatus.OPEN], left) == (1, 0, 0)
    with pytest.raises(NotFound):
        await service.differ(BOSS, view.pair.id + 1)


async def test_merging_and_undoing(base: Base, service: DuplicateService) -> None:
    """A merge closes the pair and is told in the history, the log and an event; undone, both are there, and
    the pair is open again."""
    one = await base.contact("Иванов", ONE, first_name="Иван")
    two = await base.contact("Иванов", ONE, TWO, first_name="Иван", email="a@b.example")
    await look(base)
    merge_id = await service.merge(BOSS, one, two)
    await look(base)
    assert [row.id for row in await base.rows(t.contact, "id")] == [one]
    assert await open_pairs(service) == []
    assert (await service.counts(BOSS))[0][PairStatus.MERGED] == 1
    (merge,) = await service.merges(BOSS, contact_id=one)
    assert (merge.id, merge.survivor_id, merge.merged_id, merge.undone_at) == (merge_id, one, two, None)
    assert (await service.undo(BOSS, merge_id)).undone_at is not None
    await look(base)
    assert [row.id for row in await base.rows(t.contact, "id")] == [one, two]
    assert await open_pairs(service) == [(one, two)]
    history = await base.rows(t.contact_event, "contact_id", "kind")
    assert history == [(one, "merged"), (one, "merge_undone")]
    assert [row.action for row in await base.rows(t.audit, "action")] == [
        "contact.merged",
        "contact.merge_undone",
    ]
    with pytest.raises(Conflict):
        await service.undo(BOSS, merge_id)


async def test_what_is_taken_is_a_field(base: Base, service: DuplicateService) -> None:
    """A name that neither of them has is refused, and nothing is merged."""
    one = await base.contact("Иванов", ONE)
    two = await base.contact("Петров", TWO)
    with pytest.raises(Invalid) as refused:
        await service.merge(BOSS, one, two, ["last_name", "nope"])
    assert refused.value.details["field"] == "take.1"
    assert [row.id for row in await base.rows(t.contact, "id")] == [one, two]
    await service.merge(BOSS, one, two, ["last_name"])
    assert [row.last_name for row in await base.rows(t.contact, "last_name")] == ["Петров"]


async def test_merges_are_undone_in_the_reverse_order(base: Base, service: DuplicateService) -> None:
    """A merge whose survivor became part of somebody else, or took in more, is undone after that."""
    one, two, three = [await base.contact("Иванов", number) for number in (ONE, TWO, THREE)]
    first = await service.merge(BOSS, two, three)
    second = await service.merge(BOSS, one, two)
    with pytest.raises(Conflict):
        await service.undo(BOSS, first)
    await service.undo(BOSS, second)
    await service.undo(BOSS, first)
    assert [row.id for row in await base.rows(t.contact, "id")] == [one, two, three]
    for survivor, merged in ((one, one), (one, three + 1)):
        with pytest.raises((Invalid, NotFound)):
            await service.merge(BOSS, survivor, merged)


async def test_forgetting_a_person_forgets_all_that_they_were_made_of(
    base: Base, service: DuplicateService
) -> None:
    """The record of a merge goes with the record of the later one that took its survivor in."""
    one, two, three = [await base.contact("Иванов", number) for number in (ONE, TWO, THREE)]
    await service.merge(BOSS, two, three)
    second = await service.merge(BOSS, one, two)
    async with base.database.tenant(TENANT) as conn:
        await conn.execute(t.contact_merge.delete().where(t.contact_merge.c.id == second))
    assert await base.rows(t.contact_merge) == []


async def test_a_client_is_asked_for_while_entered(base: Base, service: DuplicateService) -> None:
    """Whoever enters a client learns who that may be, the likeliest first, and why; an agent may ask too."""
    one = await base.contact("Иванов", ONE, first_name="Иван", middle_name="Петрович", email="ivan@b.example")
    await base.contact("Иванова", ONE, first_name="Анна")
    two = await base.contact("Иванов", TWO, first_name="Иван", custom={"VIN": "XTA210990Y2766389"})
    await look(base)
    found = await service.check_duplicates(AGENT, Asked(phones=("8 916 111-22-33",)))
    assert {candidate.contact.id for candidate in found} == {one, one + 1}
    assert found[0].score.reasons[0].field == "phone"
    assert ONE not in {phone.e164 for candidate in found for phone in candidate.contact.phones}
    asked = Asked("ИВАНОВ ИВАН ПЕТРОВИЧ", custom={"вин": "xta210990y2766389"})
    assert [candidate.contact.id for candidate in await service.check_duplicates(AGENT, asked)] == [two, one]
    assert await service.check_duplicates(AGENT, Asked(phones=("+74951112233",))) == []
    with pytest.raises(Invalid):
        await service.check_duplicates(AGENT, Asked("Иванов"))


async def test_asking_goes_by_the_index(base: Base) -> None:
    """Those who meet are looked up by their keys, though the table is large, under row security."""
    contact_id = await base.contact("Иванов", ONE)
    keys = {contact_id: [f"p{number:07}" for number in range(5000)]}
    async with base.database.tenant(TENANT) as conn:
        await store.write_keys(conn, TENANT, keys)
        (plan,) = await MEET.explain(conn, tenant_id=TENANT, keys=["p0000001", "p0000002"], most=50)
    text = str(plan)
    assert "contact_key_pkey" in text
    assert "Seq Scan" not in text


async def test_who_may(base: Base, service: DuplicateService) -> None:
    """Agents see no pairs and merge nobody."""
    one, two = [await base.contact("Иванов", number) for number in (ONE, TWO)]
    for refused in (service.page(AGENT), service.merge(AGENT, one, two), service.undo(AGENT, 1)):
        with pytest.raises(Forbidden):
            await refused
