"""Who calls: the contact with the caller's number, made where nobody has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import fields_store, history
from dialer.contacts.forgotten import forgotten
from dialer.contacts.history import Kind
from dialer.contacts.numbers import BadNumber, PhoneNumber, read_number
from dialer.db.prepared import Prepared

#: Of several people the one who was called, or has called, last; else the newest.
_LAST_MET = """
     ORDER BY greatest(
               (SELECT max(a.created_at) FROM attempt a
                 WHERE a.tenant_id = c.tenant_id AND a.contact_id = c.id),
               (SELECT max(i.created_at) FROM inbound_call i
                 WHERE i.tenant_id = c.tenant_id AND i.contact_id = c.id)) DESC NULLS LAST,
              c.id DESC
     LIMIT 1
"""
_OWNER = Prepared(
    f"""
    SELECT c.id FROM contact_phone p
      JOIN contact c ON c.tenant_id = p.tenant_id AND c.id = p.contact_id AND c.erased_at IS NULL
     WHERE p.tenant_id = :tenant_id AND p.e164 = :e164
    {_LAST_MET}
    """  # noqa: S608 - a text of ours
)
_OF_THESE = Prepared(
    f"""
    SELECT c.id FROM contact c
     WHERE c.tenant_id = :tenant_id AND c.id = ANY (CAST(:ids AS bigint[])) AND c.erased_at IS NULL
    {_LAST_MET}
    """  # noqa: S608 - a text of ours
)


_ONE_BY_ONE = Prepared("SELECT pg_advisory_xact_lock(hashtextextended(:what, :tenant_id))")
_MAKE = Prepared(
    """
    WITH person AS (
        INSERT INTO contact (tenant_id, last_name) VALUES (:tenant_id, '') RETURNING tenant_id, id)
    INSERT INTO contact_phone (tenant_id, contact_id, position, e164, kind, timezones)
    SELECT tenant_id, id, 1, CAST(:e164 AS text), CAST(:kind AS text), CAST(:timezones AS text[]) FROM person
    RETURNING contact_id
    """
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as is known."""

    #: E.164; empty: withheld, or no number that could be called
    e164: str
    contact_id: int | None = None


def number_of(sent: str, region: str) -> PhoneNumber | None:
    """The number that a trunk sends as the caller's; None: it is withheld, or is none."""
    if not any(map(str.isdigit, sent)):
        return None
    written = sent if sent.startswith("+") or len(sent.lstrip("0")) < 11 or sent[0] == "8" else f"+{sent}"
    read = read_number(written, region)
    return None if isinstance(read, BadNumber) else read


async def owner(conn: AsyncConnection, tenant_id: int, e164: str) -> int | None:
    """The contact who has the number."""
    found: int | None = await _OWNER.value(conn, tenant_id=tenant_id, e164=e164)
    return found


async def last_met(conn: AsyncConnection, tenant_id: int, contact_ids: Sequence[int]) -> int | None:
    """Of these contacts, who are not erased, the one with whom we had a call last, else the newest."""
    found: int | None = await _OF_THESE.value(conn, tenant_id=tenant_id, ids=list(contact_ids))
    return found


async def find(conn: AsyncConnection, tenant_id: int, number: PhoneNumber | None) -> Caller:
    """The contact who has the number. Nobody is made whose number we were asked to forget.

    Two calls at once from one unknown number make one contact: the second waits for the first.
    """
    if number is None:
        return Caller("")
    contact_id = await owner(conn, tenant_id, number.e164)
    if contact_id is None and not await forgotten(conn, tenant_id, [number.e164]):
        await _ONE_BY_ONE.row(conn, what=f"caller {number.e164}", tenant_id=tenant_id)
        contact_id = await owner(conn, tenant_id, number.e164)
        if contact_id is None:
            contact_id = await _make(conn, tenant_id, number)
    return Caller(number.e164, contact_id)


async def _make(conn: AsyncConnection, tenant_id: int, number: PhoneNumber) -> int:
    about = {"e164": number.e164, "kind": number.kind, "timezones": list(number.timezones)}
    contact_id: int = await _MAKE.value(conn, tenant_id=tenant_id, **about)
    read = await fields_store.reader(conn, tenant_id)
    await fields_store.add_values(conn, tenant_id, read, [(contact_id, {})])
    await history.add(conn, tenant_id, contact_id, Kind.CREATED, None, {"source": "inbound"})
    return contact_id
