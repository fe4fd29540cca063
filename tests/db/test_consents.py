"""Consents and forgotten numbers as the database keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select
from support.floor import NODE, Floor
from support.placer import Line, placer_of, terms_of

from dialer.clock import utc_now
from dialer.compliance.consent import Consent, Given, Lack, NotGiven, consent_for
from dialer.compliance.policy import Purpose
from dialer.contacts import consents, forgotten
from dialer.contacts.agreed import NewConsent
from dialer.contacts.people import PersonService
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.httpkit.access import Actor
from dialer.settings import load


@pytest.fixture
async def people(database: Database) -> list[int]:
    """Two contacts."""
    async with database.tenant(1) as conn:
        made = insert(t.contact).values(
            [{"tenant_id": 1, "last_name": name} for name in ("Иванов", "Петров")]
        )
        return sorted(await conn.scalars(made.returning(t.contact.c.id)))


def new(contact_id: int, purpose: Purpose = Purpose.ADVERTISING) -> NewConsent:
    """A consent of a year from yesterday."""
    day = utc_now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return NewConsent(contact_id, purpose, "form on the site", day, day + timedelta(days=365), "№ 17")


async def agreed(database: Database, contact_id: int) -> list[Consent]:
    """The consents of a contact."""
    async with database.tenant(1) as conn:
        return [one.consent for one in await consents.records_of(conn, 1, contact_id)]


async def test_everybody_has_their_own_consents(database: Database, people: list[int]) -> None:
    """What one contact has agreed to says nothing of another."""
    anna, boris = people
    async with database.tenant(1) as conn:
        assert len(await consents.add_many(conn, 1, [new(anna)], None)) == 1
    assert isinstance(consent_for(await agreed(database, anna), Purpose.ADVERTISING, utc_now()), Given)
    assert consent_for(await agreed(database, boris), Purpose.ADVERTISING, utc_now()) == NotGiven(Lack.NONE)


async def test_the_same_consent_twice_is_one(database: Database, people: list[int]) -> None:
    """A file that is brought again adds none; another purpose does."""
    async with database.tenant(1) as conn:
        await consents.add_many(conn, 1, [new(people[0])], None)
    async with database.tenant(1) as conn:
        again = await consents.add_many(conn, 1, [new(people[0]), new(people[0], Purpose.SURVEY)], None)
        assert len(again) == 1
    assert len(await agreed(database, people[0])) == 2


async def test_a_withdrawal_is_of_ones_own_consent_and_once(database: Database, people: list[int]) -> None:
    """It stops the calls at once, says its purpose the first time, and touches nobody else's consent."""
    anna, boris = people
    async with database.tenant(1) as conn:
        (mine,) = await consents.add_many(conn, 1, [new(anna)], None)
        assert await consents.withdraw(conn, 1, boris, mine, None) is None
        assert await consents.withdraw(conn, 1, anna, mine, None) is Purpose.ADVERTISING
        assert await consents.withdraw(conn, 1, anna, mine, None) is None
    found = await agreed(database, anna)
    assert consent_for(found, Purpose.ADVERTISING, utc_now()) == NotGiven(Lack.WITHDRAWN)


async def test_a_forgotten_number_is_known_again_and_stands_nowhere(
    database: Database, owner_url: str
) -> None:
    """It is found among others, by its own tenant alone, and cannot be read from what is kept."""
    async with database.tenant(1) as conn:
        assert await forgotten.forgotten(conn, 1, ["+79161234567"]) == set()
        await forgotten.forget_numbers(conn, 1, ["+79161234567"])
        await forgotten.forget_numbers(conn, 1, ["+79161234567", "+79160000001"])
    async with database.tenant(1) as conn:
        asked = ["+79161234567", "+79160000001", "+79160000002"]
        assert await forgotten.forgotten(conn, 1, asked) == set(asked[:2])
        assert len(list(await conn.scalars(select(t.forgotten_number.c.digest)))) == 2
        kept = b"".join(await conn.scalars(select(t.forgotten_number.c.digest)))
    assert b"9161234567" not in kept
    owner = await connect(owner_url)
    await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'Second')")
    await owner.close()
    async with database.tenant(2) as conn:
        await forgotten.forget_numbers(conn, 2, ["+79160000005"])
        assert await forgotten.forgotten(conn, 2, ["+79161234567"]) == set()


async def test_nobody_is_dialled_without_the_consent_that_the_policy_asks_for(database: Database) -> None:
    """The lead waits for one; with it the call is made, and the attempt keeps which one it was."""
    floor = await Floor.open(database)
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    placer = placer_of(floor, Line(database))
    policy = replace(terms_of(floor).policy, asks_consent=True)
    terms = terms_of(floor, policy=policy, purpose=Purpose.ADVERTISING)
    assert (await placer.next_leads(terms, 1, NODE)).dialled == 0
    assert (await floor.row(t.lead, lead_id)).hold == "consent"
    people = PersonService(database, load())
    agreed = await people.add_consent(Actor.server(1), contact_id, Purpose.ADVERTISING, "form")
    assert (await placer.next_leads(terms, 1, NODE)).dialled == 1
    async with database.tenant(1) as conn:
        kept = await conn.scalar(select(t.attempt.c.evidence))
    assert kept is not None
    assert kept["consent"] == {"id": agreed.consents[0].consent.id, "until": None}
