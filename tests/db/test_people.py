"""A person's card: changed field by field, with history, by who may, and leads follow."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy import text as sql
from support import people as make
from support.people import Ground

from dialer.clock import utc_now
from dialer.compliance.policy import Hours, Purpose
from dialer.contacts import people_store
from dialer.contacts.model import MAX_PHONES
from dialer.contacts.people import PersonService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import BadNumber, Conflict, Forbidden, Invalid, NotFound
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from dialer.settings import load

SUPERVISOR = Actor(1, None, Role.SUPERVISOR, "Somebody", "en")
A, B, C = "+79161234567", "+74951234567", "+79160000001"


@pytest.fixture
def people(database: Database) -> PersonService:
    """The service."""
    return PersonService(database, load())


@pytest.fixture
async def place(database: Database) -> AsyncIterator[Ground]:
    """A list and two campaigns."""
    async with database.tenant(1) as conn:
        found = await make.ground(conn, campaigns=2)
    yield found


async def leads(database: Database) -> list[tuple[str, list[str], str, str | None]]:
    """Number, zones, status and hold of all leads, in the order they were made."""
    c = t.lead.c
    async with database.tenant(1) as conn:
        rows = await conn.execute(select(c.e164, c.timezones, c.status, c.hold).order_by(c.id))
        return [tuple(row) for row in rows]


async def test_a_card_made_by_hand(people: PersonService) -> None:
    """Numbers are read however written; a number that somebody has is told, and can be taken all the same."""
    made = await people.add(
        SUPERVISOR, {"last_name": "Орлова", "email": "o@example.org"}, ["8 916 123-45-67"]
    )
    assert [one.e164 for one in made.card.numbers] == [A]
    assert made.card.name == "Орлова"
    with pytest.raises(Conflict, match=str(made.card.id)):
        await people.add(SUPERVISOR, {}, ["+7 495 123-45-67", "9161234567"])
    again = await people.add(SUPERVISOR, {}, ["9161234567"], even_if_known=True)
    assert again.card.id != made.card.id
    with pytest.raises(BadNumber):
        await people.add(SUPERVISOR, {}, ["1"])
    told = await people.history(SUPERVISOR, made.card.id)
    assert [one.kind for one in told] == ["created"]


async def test_each_field_has_its_history(people: PersonService, database: Database, place: Ground) -> None:
    """Old and new value of what changed, who did it, and nothing for what stayed."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [A], custom={"VIN": "1", "car": "Volvo"})
        user = await conn.scalar(
            insert(t.app_user)
            .values(tenant_id=1, login="anna", name="Анна", role="supervisor", password_hash="x")
            .returning(t.app_user.c.id)
        )
    anna = Actor(1, user, Role.SUPERVISOR, "Анна", "ru")
    done = await people.change(
        anna, contact_id, {"last_name": "Иванов", "email": "i@example.org"}, {"VIN": None, "car": "Kia"}
    )
    assert (done.card.email, done.card.custom) == ("i@example.org", {"car": "Kia"})
    told = [one for one in await people.history(anna, contact_id) if one.source == "event"]
    assert [(one.by, one.kind, one.detail) for one in told] == [
        (
            "Анна",
            "changed",
            {"email": ["", "i@example.org"], "custom.VIN": ["1", None], "custom.car": ["Volvo", "Kia"]},
        )
    ]
    await people.change(anna, contact_id, {"last_name": "Иванов"})
    assert len([one for one in await people.history(anna, contact_id) if one.source == "event"]) == 1
    async with database.tenant(1) as conn:
        logged = [row.details for row in await conn.execute(select(t.audit.c.details))]
    assert not any("example" in str(details) for details in logged)


async def test_another_zone_holds_for_leads_that_wait(
    people: PersonService, database: Database, place: Ground
) -> None:
    """What rested for its hours is looked at anew; a closed lead and one waiting for a retry keep theirs."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [A, B])
        await make.lead(conn, place, contact_id, A, hold="hours", status="waiting")
        await make.lead(conn, place, contact_id, B, hold="retry", status="waiting")
        await make.lead(conn, place, contact_id, A, campaign=1, status="closed")
    await people.change(SUPERVISOR, contact_id, {"timezone": "Asia/Omsk"})
    moscow, omsk = ["Europe/Moscow"], ["Asia/Omsk"]
    assert await leads(database) == [
        (A, omsk, "waiting", None),
        (B, omsk, "waiting", "retry"),
        (A, moscow, "closed", None),
    ]
    await people.change(SUPERVISOR, contact_id, {"timezone": None})
    assert [zones for _, zones, *_ in await leads(database)] == [moscow] * 3


async def test_numbers_come_change_and_go(people: PersonService, database: Database, place: Ground) -> None:
    """A lead goes on with the corrected number, then with the one that is left; the last cannot be taken."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [A])
        await make.lead(conn, place, contact_id, A)
    good = Hours.parse("18:00", "21:00")
    card = (await people.add_number(SUPERVISOR, contact_id, B, label="дача", good=good)).card
    assert [(one.position, one.e164, one.label, one.good) for one in card.numbers] == [
        (1, A, "", None),
        (2, B, "дача", good),
    ]
    with pytest.raises(Conflict):
        await people.add_number(SUPERVISOR, contact_id, A)
    first, second = (one.id for one in card.numbers)
    await people.change_number(SUPERVISOR, contact_id, first, written="8 916 000-00-01", good=None)
    assert [lead[0] for lead in await leads(database)] == [C]
    card = (await people.change_number(SUPERVISOR, contact_id, second, label="работа")).card
    assert [(one.label, one.good) for one in card.numbers] == [("", None), ("работа", good)]
    card = (await people.remove_number(SUPERVISOR, contact_id, first)).card
    assert [(one.position, one.e164) for one in card.numbers] == [(1, B)]
    assert [lead[0] for lead in await leads(database)] == [B]
    with pytest.raises(Conflict):
        await people.remove_number(SUPERVISOR, contact_id, second)
    told = [one.kind for one in await people.history(SUPERVISOR, contact_id) if one.source == "event"]
    assert told == ["phone_removed", "phone_changed", "phone_changed", "phone_added"]


async def test_the_first_number_is_called_first(
    people: PersonService, database: Database, place: Ground
) -> None:
    """Another order moves leads that nobody has called; others, and a campaign that has the number, not."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [A, B])
        await make.lead(conn, place, contact_id, A)
        await make.lead(conn, place, contact_id, A, campaign=1, attempts=1, status="waiting")
    ids = [one.id for one in (await people.person(SUPERVISOR, contact_id)).card.numbers]
    with pytest.raises(Invalid):
        await people.order_numbers(SUPERVISOR, contact_id, ids[:1])
    card = (await people.order_numbers(SUPERVISOR, contact_id, ids[::-1])).card
    assert [one.e164 for one in card.numbers] == [B, A]
    assert [lead[0] for lead in await leads(database)] == [B, A]


async def test_a_person_has_ten_numbers_at_most(people: PersonService) -> None:
    """The eleventh is refused, by hand as in a file."""
    numbers = [f"+7916000001{n}" for n in range(MAX_PHONES)]
    made = await people.add(SUPERVISOR, {}, numbers)
    with pytest.raises(Conflict):
        await people.add_number(SUPERVISOR, made.card.id, A)
    with pytest.raises(Invalid):
        await people.add(SUPERVISOR, {}, [*numbers, A], even_if_known=True)


async def test_an_agent_deals_with_the_person_on_the_line_alone(
    people: PersonService, database: Database, place: Ground
) -> None:
    """They read, correct and withdraw for the customer on the line, with masked numbers; for nobody else."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [A])
        stranger = await make.person(conn, place, [B])
        user = await conn.scalar(
            insert(t.app_user)
            .values(tenant_id=1, login="oleg", name="Олег", role="operator", password_hash="x")
            .returning(t.app_user.c.id)
        )
        agent = await conn.scalar(
            insert(t.agent)
            .values(tenant_id=1, user_id=user, name="Олег", endpoint="oleg")
            .returning(t.agent.c.id)
        )
        call = await make.attempt(
            conn, place, contact_id, A, state="connected", ended_at=None, connected_at=utc_now()
        )
        now = utc_now()
        shift = {"state_since": now, "idle_since": now, "logged_in_at": now, "attempt_id": call}
        await conn.execute(
            insert(t.agent_session).values(tenant_id=1, id=new_id(), agent_id=agent, state="talking", **shift)
        )
    oleg = Actor(1, user, Role.OPERATOR, "Олег", "ru")
    seen = await people.person(oleg, contact_id)
    assert A not in repr(seen)
    assert A not in repr(await people.history(oleg, contact_id))
    agreed = await people.add_consent(oleg, contact_id, Purpose.SURVEY, "talk")
    (record,) = agreed.consents
    assert record.by == "Олег"
    taken = await people.withdraw_consent(oleg, contact_id, record.consent.id)
    assert taken.consents[0].withdrawn_by == "Олег"
    assert (await people.change(oleg, contact_id, {"email": "a@example.org"})).card.email == "a@example.org"
    with pytest.raises(Forbidden):
        await people.remove_number(oleg, contact_id, seen.card.numbers[0].id)
    for forbidden in (
        people.person(oleg, stranger),
        people.history(oleg, stranger),
        people.change(oleg, stranger, {"email": ""}),
        people.add_consent(oleg, stranger, Purpose.SURVEY, "talk"),
        people.search(oleg, "Иванов"),
    ):
        with pytest.raises(Forbidden):
            await forbidden


async def test_who_agrees_is_called_at_once(people: PersonService, database: Database, place: Ground) -> None:
    """Leads that rested for a consent are looked at again; those that rest for something else are not."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [A])
        rest: dict[str, Any] = {"status": "waiting", "open_from": utc_now() + timedelta(days=1)}
        await make.lead(conn, place, contact_id, A, hold="consent", **rest)
        await make.lead(conn, place, contact_id, A, campaign=1, hold="retry", **rest)
    await people.add_consent(SUPERVISOR, contact_id, Purpose.ADVERTISING, "form")
    assert [hold for *_, hold in await leads(database)] == [None, "retry"]


async def test_a_withdrawal_names_a_consent_of_the_person(people: PersonService) -> None:
    """Another's consent is not found; the second withdrawal of one's own changes nothing."""
    anna = (await people.add(SUPERVISOR, {}, [A])).card.id
    boris = (await people.add(SUPERVISOR, {}, [B])).card.id
    agreed = await people.add_consent(SUPERVISOR, anna, Purpose.ANY, "form")
    consent = agreed.consents[0].consent.id
    with pytest.raises(NotFound):
        await people.withdraw_consent(SUPERVISOR, boris, consent)
    once = await people.withdraw_consent(SUPERVISOR, anna, consent)
    twice = await people.withdraw_consent(SUPERVISOR, anna, consent)
    assert once.consents[0].consent.withdrawn_at is not None
    assert twice.consents == once.consents


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("иванов", ["Иванов Пётр", "Иванова Анна"]),
        ("Иванов Петр", ["Иванов Пётр"]),
        ("пётр иванов", ["Иванов Пётр"]),
        ("петр", ["Пётр", "Петров Иван"]),
        ("петров петр", []),
        ("иванов анна петр", []),
        ("PETR@example", ["Петров Иван"]),
        ("8 (916) 000-00-01", ["Иванов Пётр"]),
        ("", ["Пётр", "Петров Иван", "Иванова Анна", "Иванов Пётр"]),
        ("ив%", []),
    ],
)
async def test_people_are_found(people: PersonService, text: str, found: list[str]) -> None:
    """By beginnings of names in any order and spelling, of e-mails, and by a number however written."""
    for n, (last, first, email) in enumerate(
        (
            ("Иванов", "Пётр", ""),
            ("Иванова", "Анна", ""),
            ("Петров", "Иван", "Petr@example.org"),
            ("", "Пётр", ""),
        ),
        start=1,
    ):
        await people.add(
            SUPERVISOR, {"last_name": last, "first_name": first, "email": email}, [f"+7916000000{n}"]
        )
    assert [one.name for one in (await people.search(SUPERVISOR, text)).cards] == found


async def test_a_search_goes_on_page_by_page(people: PersonService) -> None:
    """People of one name too, none twice and none left out; a number that is none is told."""
    for n in range(7):
        await people.add(
            SUPERVISOR, {"last_name": "Иванов", "first_name": "Пётр" if n % 2 else "Ян"}, [f"+7916000000{n}"]
        )
    for text in ("иван", "", "ян ив"):
        whole = [one.id for one in (await people.search(SUPERVISOR, text)).cards]
        pieces: list[int] = []
        page = await people.search(SUPERVISOR, text, limit=2)
        pieces += [one.id for one in page.cards]
        while page.following:
            page = await people.search(SUPERVISOR, text, after=page.following, limit=2)
            pieces += [one.id for one in page.cards]
        assert pieces == whole
        assert len(whole) == (4 if text == "ян ив" else 7)
    with pytest.raises(BadNumber):
        await people.search(SUPERVISOR, "123")


async def test_a_search_goes_by_an_index(database: Database) -> None:
    """Under row security, as the server's own role: beginnings of names and e-mails are index conditions."""
    asked = {"tenant_id": 1, "start": "ив", "stop": "ив" + chr(0x10FFFF), "after": None, "after_id": None}
    async with database.tenant(1) as conn:
        await conn.execute(sql("SET LOCAL enable_seqscan = off"))
        await conn.execute(sql("SET LOCAL enable_bitmapscan = off"))
        for statement, more in ((people_store._BY_NAME, {"words": ["пе"]}), (people_store._BY_EMAIL, {})):
            plan = str(await statement.explain(conn, **asked, limit=50, **more))
            assert re.search(r"Index Cond.{,40}(name|email)_key >= .{,40}_key < ", plan), plan
