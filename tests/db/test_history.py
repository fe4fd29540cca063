"""What happened to a person, from all the rows that say so."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert

from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts import consents, history, store
from dialer.contacts.agreed import NewConsent
from dialer.contacts.history import Kind
from dialer.contacts.model import NewContact
from dialer.contacts.numbers import PhoneNumber
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.ids import new_id

NUMBER, OTHER = "+79161234567", "+79160000001"


@pytest.fixture
async def person(database: Database) -> int:
    """A contact of one list with a number, a call, a typed call at the number, and a consent withdrawn."""
    now = utc_now()
    async with database.tenant(1) as conn:
        list_id = await store.add_list(conn, 1, "Весна")
        assert list_id is not None
        phone = PhoneNumber(NUMBER, "mobile", ("Europe/Moscow",))
        found, stranger = await store.add_contacts(
            conn, 1, list_id, [NewContact(1, (phone,), "Иванов"), NewContact(2, (phone,), "Петров")]
        )
        campaign = await conn.scalar(
            insert(t.campaign).values(tenant_id=1, name="A", policy="us-tsr").returning(t.campaign.c.id)
        )
        trunk = await conn.scalar(
            insert(t.trunk)
            .values(tenant_id=1, name="T", endpoint="t", caller_id="+74950000000", allowed_prefixes=["+7"])
            .returning(t.trunk.c.id)
        )
        made = {
            "tenant_id": 1, "campaign_id": campaign, "trunk_id": trunk, "caller_id": "+74950000000",
            "mode": "progressive", "policy": "us-tsr/1", "state": "ended", "result": "no_answer",
            "ended_at": now,
        }  # fmt: skip
        for contact_id, e164, ago in (
            (found, NUMBER, 5),
            (None, NUMBER, 4),
            (stranger, NUMBER, 3),
            (None, OTHER, 2),
        ):
            await conn.execute(
                insert(t.attempt).values(
                    **made,
                    id=new_id(),
                    contact_id=contact_id,
                    e164=e164,
                    created_at=now - timedelta(hours=ago),
                )
            )
        ids = await consents.add_many(
            conn, 1, [NewConsent(found, Purpose.SURVEY, "form", now - timedelta(days=1))], None
        )
        await consents.withdraw(conn, 1, found, ids[0], None)
        await history.add(conn, 1, found, Kind.CHANGED, None, {"last_name": ["Иваноф", "Иванов"]})
        await history.add(conn, 1, stranger, Kind.CHANGED, None, {"last_name": ["Петроф", "Петров"]})
    return found


async def test_everything_of_a_person_and_of_nobody_else(database: Database, person: int) -> None:
    """Own calls, calls to a typed number of theirs, lists, consents and changes are told; a stranger's call
    to the same number is not."""
    async with database.tenant(1) as conn:
        told = await history.page(conn, 1, person, limit=50)
    assert sorted(one.source for one in told) == ["call", "call", "consent", "event", "list", "withdrawal"]
    assert [one.at for one in told] == sorted((one.at for one in told), reverse=True)
    (change,) = (one for one in told if one.source == "event")
    assert (change.kind, change.by, change.detail) == ("changed", None, {"last_name": ["Иваноф", "Иванов"]})
    call = next(one for one in told if one.source == "call")
    assert UUID(call.key)
    assert (call.detail["campaign"], call.detail["result"], call.detail["recording"]) == (
        "A",
        "no_answer",
        False,
    )


async def test_pages_leave_nothing_out(database: Database, person: int) -> None:
    """Entry by entry, also where several have one moment, the pages are the whole."""
    async with database.tenant(1) as conn:
        await history.add_all(conn, 1, [(person, Kind.CHANGED, None, {"n": n}) for n in range(12)])
        whole = await history.page(conn, 1, person, limit=100)
        assert len(whole) == 18
        pieces: list[history.Entry] = []
        while page := await history.page(
            conn,
            1,
            person,
            limit=1,
            after=(pieces[-1].at, pieces[-1].source, pieces[-1].key) if pieces else None,
        ):
            pieces += page
    assert pieces == whole
