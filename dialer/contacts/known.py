"""What flows and scripts may know of a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import fields_store, store


async def card(conn: AsyncConnection, tenant_id: int, contact_id: int) -> Mapping[str, Any]:
    """What may be known of a person: their fields by name, and those of the tenant's own by their keys,
    whatever a file calls them. `name` is what they are addressed by."""
    found = await store.get_contact(conn, tenant_id, contact_id)
    if found is None:
        return {}
    own: dict[str, Any] = {}
    if found.custom:  # of nobody who has just called for the first time
        read = await fields_store.reader(conn, tenant_id)
        own = {field.key: value for header, value in found.custom.items() if (field := read.field_of(header))}
    return {
        "id": found.id,
        "name": " ".join(filter(None, (found.first_name, found.middle_name))),
        "last_name": found.last_name,
        "first_name": found.first_name,
        "middle_name": found.middle_name,
        "email": found.email,
        "external_id": found.external_id or "",
        **found.custom,
        **own,
    }
