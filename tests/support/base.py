"""A base of contacts in the test's database, and calls of their past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.ids import new_id
from support.floor import FAR, TENANT, Floor


@dataclass(slots=True)
class Base:
    """Contacts of a floor with one list and one campaign."""

    database: Database
    floor: Floor

    @classmethod
    async def open(cls, database: Database) -> Base:
        """A base without contacts."""
        return cls(database, await Floor.open(database))

    async def contact(
        self, last: str = "", *numbers: str, custom: Mapping[str, str] | None = None, **fields: Any
    ) -> int:
        """A contact of the list with these numbers, in their order; its id."""
        async with self.database.tenant(TENANT) as conn:
            contact_id: int | None = await conn.scalar(
                insert(t.contact)
                .values(tenant_id=TENANT, last_name=last, custom=dict(custom or {}), **fields)
                .returning(t.contact.c.id)
            )
            assert contact_id is not None
            key = {"tenant_id": TENANT, "contact_id": contact_id}
            for position, number in enumerate(numbers, start=1):
                phone = {
                    "position": position,
                    "e164": number,
                    "kind": "mobile",
                    "timezones": ["Europe/Moscow"],
                }
                await conn.execute(insert(t.contact_phone).values(key | phone))
            await conn.execute(insert(t.list_contact).values(list_id=self.floor.list_id, **key))
        return contact_id

    async def lead(self, contact_id: int, number: str, **fields: Any) -> int:
        """A lead of a contact's number, to be dialled now; its id."""
        now = utc_now()
        values = {
            "campaign_id": self.floor.campaign_id,
            "list_id": self.floor.list_id,
            "timezones": ["Europe/Moscow"],
            "open_from": now - timedelta(seconds=1),
            "open_until": now + FAR,
        } | fields
        async with self.database.tenant(TENANT) as conn:
            made: int | None = await conn.scalar(
                insert(t.lead)
                .values(tenant_id=TENANT, contact_id=contact_id, e164=number, **values)
                .returning(t.lead.c.id)
            )
        assert made is not None
        return made

    async def call(
        self, number: str, result: str | None, *, at: datetime | None = None, **fields: Any
    ) -> UUID:
        """A call that has come to this result (None: it goes on); made `at`, or an hour ago."""
        made_at, attempt_id = at or utc_now() - timedelta(hours=1), new_id()
        ended = {} if result is None else {"ended_at": made_at + timedelta(seconds=20), "result": result}
        values = {
            "campaign_id": self.floor.campaign_id,
            "trunk_id": self.floor.trunk_id,
            "caller_id": "+74950000000",
            "mode": "progressive",
            "policy": "default/1",
            "state": "dialling" if result is None else "ended",
            "created_at": made_at,
        }
        async with self.database.tenant(TENANT) as conn:
            await conn.execute(
                insert(t.attempt).values(
                    tenant_id=TENANT, id=attempt_id, e164=number, **values | ended | fields
                )
            )
        return attempt_id

    async def rows(self, table: Any, *columns: str, **where: Any) -> Sequence[Any]:
        """Rows of a table by its key, or these columns of them, where columns have these values."""
        chosen = [table.c[name] for name in columns] or [table]
        query = select(*chosen).where(*(table.c[name] == value for name, value in where.items()))
        async with self.database.tenant(TENANT) as conn:
            return (await conn.execute(query.order_by(*table.primary_key.columns))).all()
