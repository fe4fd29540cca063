"""One person of a campaign, written into a test's database: with lists, leads and calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import store
from dialer.contacts.model import FAR_FUTURE
from dialer.db import tables as t
from dialer.ids import new_id

MOSCOW = ("Europe/Moscow",)


@dataclass(frozen=True, slots=True)
class Ground:
    """What calls need: a list, campaigns and a trunk."""

    list_id: int
    campaigns: tuple[int, ...]
    trunk_id: int


async def ground(conn: AsyncConnection, *, campaigns: int = 1) -> Ground:
    """Make it for tenant 1."""
    list_id = await store.add_list(conn, 1, "Весна")
    assert list_id is not None
    made = [
        await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=1, name=f"Осень {n}", policy="us-tsr")
            .returning(t.campaign.c.id)
        )
        for n in range(campaigns)
    ]
    trunk_id = await conn.scalar(
        insert(t.trunk)
        .values(tenant_id=1, name="T", endpoint="t", caller_id="+74950000000", allowed_prefixes=["+7"])
        .returning(t.trunk.c.id)
    )
    assert trunk_id is not None
    return Ground(list_id, tuple(one for one in made if one is not None), trunk_id)


async def person(
    conn: AsyncConnection, place: Ground, numbers: Sequence[str], last_name: str = "Иванов", **more: Any
) -> int:
    """A contact of the list with these numbers."""
    return await card(conn, place.list_id, numbers, last_name, **more)


async def card(
    conn: AsyncConnection, list_id: int, numbers: Sequence[str], last_name: str, **more: Any
) -> int:
    """A contact of tenant 1 in a list, whoever has the numbers already."""
    values = {"tenant_id": 1, "last_name": last_name, **more}
    made: int | None = await conn.scalar(insert(t.contact).values(values).returning(t.contact.c.id))
    assert made is not None
    whose = {"tenant_id": 1, "contact_id": made, "kind": "mobile", "timezones": list(MOSCOW)}
    phones = [{**whose, "position": n, "e164": e164} for n, e164 in enumerate(numbers, start=1)]
    await conn.execute(insert(t.contact_phone), phones)
    await store.join_list(conn, 1, list_id, [made])
    return made


async def lead(
    conn: AsyncConnection, place: Ground, contact_id: int, e164: str, *, campaign: int = 0, **values: Any
) -> int:
    """A lead of the person in one of the campaigns."""
    found: int | None = await conn.scalar(
        insert(t.lead)
        .values(
            **{
                "tenant_id": 1,
                "campaign_id": place.campaigns[campaign],
                "list_id": place.list_id,
                "contact_id": contact_id,
                "e164": e164,
                "timezones": list(MOSCOW),
                "open_from": utc_now(),
                "open_until": FAR_FUTURE,
                **values,
            }
        )
        .returning(t.lead.c.id)
    )
    assert found is not None
    return found


async def attempt(
    conn: AsyncConnection, place: Ground, contact_id: int | None, e164: str, **values: Any
) -> UUID:
    """A call of an hour ago that nobody has answered, unless `values` say otherwise."""
    made = utc_now() - timedelta(hours=1)
    attempt_id = new_id()
    await conn.execute(
        insert(t.attempt).values(
            **{
                "tenant_id": 1,
                "id": attempt_id,
                "campaign_id": place.campaigns[0],
                "list_id": place.list_id,
                "contact_id": contact_id,
                "e164": e164,
                "trunk_id": place.trunk_id,
                "caller_id": "+74950000000",
                "mode": "progressive",
                "policy": "us-tsr/1",
                "state": "ended",
                "result": "no_answer",
                "created_at": made,
                "ended_at": made + timedelta(seconds=30),
                **values,
            }
        )
    )
    return attempt_id
