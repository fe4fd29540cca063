"""Finds one person by what is known of them: a number, an e-mail, an id, a field of the tenant's own.

Everything is asked by equality on columns with an index: under row security nothing else uses one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import fields_store
from dialer.contacts.fields import Typed, read_value
from dialer.db.prepared import Prepared
from dialer.errors import NotFound
from dialer.httpkit.paging import MAX_ID
from dialer.inbound import callers

#: Of more people of whom the same is known, only the newest are compared.
MOST: Final = 100

#: What is found by a column of the contact itself.
_BY_COLUMN: Final = {
    "id": Prepared("SELECT id FROM contact WHERE tenant_id = :tenant_id AND id = :value LIMIT :most"),
    "email": Prepared(
        """
        SELECT id FROM contact WHERE tenant_id = :tenant_id AND email_key = :value
         ORDER BY id DESC LIMIT :most
        """
    ),
    "external_id": Prepared(
        """
        SELECT id FROM contact WHERE tenant_id = :tenant_id AND external_id = :value
         ORDER BY id DESC LIMIT :most
        """
    ),
}
_BY_VALUE = """
    SELECT contact_id FROM contact_value
     WHERE tenant_id = :tenant_id AND field_id = :field_id AND {column} = :value
     ORDER BY contact_id DESC LIMIT :most
"""
#: And by a field, by the column of its type.
_BY_FIELD: Final = {column: Prepared(_BY_VALUE.format(column=column)) for column in ("number", "day", "text")}


async def find(conn: AsyncConnection, tenant_id: int, by: str, value: str, region: str) -> int | None:
    """The contact; of several the one with whom we had a call last, else the newest. None: nobody.

    `by`: phone, id, email, external_id, or the key of a field. `region`: the country of numbers that are
    given without one. Raises NotFound where there is no such field.
    """
    if by == "phone":
        number = callers.number_of(value, region)
        return await callers.owner(conn, tenant_id, number.e164) if number else None
    found = await _candidates(conn, tenant_id, by, value.strip())
    return await callers.last_met(conn, tenant_id, found) if found else None


async def _candidates(conn: AsyncConnection, tenant_id: int, by: str, value: str) -> Sequence[int]:
    if (statement := _BY_COLUMN.get(by)) is not None:
        wanted = _whole(value) if by == "id" else value.lower() if by == "email" else value
        if not wanted:
            return ()
        return await statement.column(conn, tenant_id=tenant_id, value=wanted, most=MOST)
    field = next((one for one in await fields_store.shown(conn, tenant_id) if one.key == by), None)
    if field is None:
        raise NotFound(what="field", key=by)
    read = read_value(field, value) if value else None
    if not isinstance(read, Typed):
        return ()  # nobody's value is one that the field does not take
    column = next(name for name in _BY_FIELD if getattr(read, name) is not None)
    return await _BY_FIELD[column].column(
        conn, tenant_id=tenant_id, field_id=field.id, value=getattr(read, column), most=MOST
    )


def _whole(value: str) -> int | None:
    """The id that is written so; None: it can be nobody's."""
    if not (value.isascii() and value.isdecimal() and len(value) < 20):
        return None
    return number if (number := int(value)) <= MAX_ID else None
